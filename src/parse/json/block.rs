//! Which bytes of a string are escaped, 64 at a time and a bit for each.
//!
//! In code, and in text that is escaped throughout, escapes stand too close together to stop at each.

/// Bytes that are looked at together.
pub(super) const BLOCK: usize = u64::BITS as usize;

/// The bits of a block whose places are even.
const EVEN: u64 = u64::MAX / 3;

/// Finds backslashes.
#[inline(always)]
pub(super) fn backslashes(block: &[u8; BLOCK]) -> u64 {
    bits(block, |word| none_in(word ^ each(b'\\')))
}

/// Finds each `u`, which begins the number of a character where it is escaped.
pub(super) fn letters_u(block: &[u8; BLOCK]) -> u64 {
    bits(block, |word| none_in(word ^ each(b'u')))
}

/// A word of eight such bytes.
pub(super) const fn each(byte: u8) -> u64 {
    u64::MAX / 0xff * byte as u64
}

/// The top bits of the bytes of a word that are zero, and of no others.
#[inline(always)]
const fn none_in(word: u64) -> u64 {
    let low = each(0x7f);
    !(((word & low) + low) | word | low)
}

/// A bit for each byte whose top bit `marked` sets in its word.
#[inline(always)]
fn bits(block: &[u8; BLOCK], marked: impl Fn(u64) -> u64) -> u64 {
    let (words, _) = block.as_chunks::<8>();
    let mut bits = 0;
    for (number, word) in words.iter().enumerate() {
        bits |= gathered(marked(u64::from_le_bytes(*word))) << (8 * number);
    }
    bits
}

/// The top bits of eight bytes, side by side.
#[inline(always)]
const fn gathered(word: u64) -> u64 {
    // The bit of byte k goes to 56 + k by the term of the factor that is 2^(56 - 7k); no two terms meet in one place.
    (word >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// Which bytes of a block are escaped: stand behind an odd number of backslashes. `carried` is whether the first one is, and then
/// whether the first one of the next block is.
pub(super) const fn escaped(backslashes: u64, carried: &mut bool) -> u64 {
    let first = *carried as u64;
    // One that is itself escaped escapes nothing.
    let backslashes = backslashes & !first;
    let behind = backslashes << 1 | first;
    // What stands behind an even place of a run, counted from 0, is escaped. Of a run that begins at an even place of the block
    // those are even places of the block too, of another they are odd: the addition carries its bits away, to behind its end.
    let odd_begins = backslashes & !EVEN & !behind;
    let (of_even_begins, over) = odd_begins.overflowing_add(backslashes);
    *carried = over;
    (EVEN ^ (of_even_begins << 1)) & behind
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same, byte by byte.
    fn plainly(bytes: &[u8]) -> Vec<bool> {
        let mut is_escaped = false;
        let each = bytes.iter().map(|byte| {
            let was = is_escaped;
            is_escaped = *byte == b'\\' && !was;
            was
        });
        each.collect()
    }

    #[test]
    fn marks_are_in_the_order_of_the_bytes_and_exact() {
        let mut block = [b'.'; BLOCK];
        (block[0], block[9], block[63]) = (b'\\', b'\\', b'\\');
        // Bytes beside them that a mark would also be set on if one were carried from the byte below.
        (block[1], block[10], block[62]) = (b'\\' ^ 1, b'\\' ^ 0x80, b'u');
        assert_eq!(backslashes(&block), 1 | 1 << 9 | 1 << 63);
        assert_eq!(letters_u(&block), 1 << 62);
    }

    proptest! {
        #[test]
        fn what_is_escaped_is_found_across_blocks(text in r#"[\\\\\\n"é]{192,400}"#) {
            let expected = plainly(text.as_bytes());
            let (blocks, _) = text.as_bytes().as_chunks::<BLOCK>();
            let mut carried = false;
            for (number, block) in blocks.iter().enumerate() {
                let found = escaped(backslashes(block), &mut carried);
                for place in 0..BLOCK {
                    prop_assert_eq!(found >> place & 1 == 1, expected[number * BLOCK + place]);
                }
            }
        }
    }
}
