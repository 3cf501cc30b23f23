//! A hash that is the same in every process, on every machine and in every version: XXH3 with 64 bits, of which the
//! specification is final.
//!
//! It tells what is the same from what is not. It is no safeguard against somebody who looks for two texts of one hash.

use twox_hash::XxHash3_64;

/// The hash of some bytes.
#[must_use]
pub fn hash(bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot(bytes)
}

/// A hash that begins with a number, for what stays in this process: who does not know the number knows no two texts of one
/// hash.
#[must_use]
pub fn seeded(seed: u64, bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot_with_seed(seed, bytes)
}

/// The hash of a sequence, of which `before` is the hash so far, and what comes next. A sequence begins with any number.
#[must_use]
pub fn chain(before: u64, next: u64) -> u64 {
    let pair = u128::from(before) << u64::BITS | u128::from(next);
    hash(&pair.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_specification() {
        // `XXH3_64bits` of xxHash 0.8.
        assert_eq!(hash(b""), 0x2d06_8005_38d3_94c2);
        assert_eq!(hash(b"a"), 0xe6c6_32b6_1e96_4e1f);
        assert_ne!(chain(1, 2), chain(2, 1));
    }
}
