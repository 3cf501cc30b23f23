//! A number of 64 bits as it is written: no memory is taken for it.

use super::Digest;

/// Sixteen hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hex([u8; 16]);

impl Hex {
    /// Those of a number.
    #[must_use]
    pub fn of(number: u64) -> Self {
        let mut digits = [0; 16];
        for (at, digit) in digits.iter_mut().enumerate() {
            *digit = b"0123456789abcdef"[(number >> (60 - 4 * at)) as usize & 0xf];
        }
        Self(digits)
    }

    /// The same as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("digits are ASCII")
    }
}

impl Digest {
    /// As it is written.
    #[must_use]
    pub fn hex(self) -> Hex {
        Hex::of(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_digit_is_written() {
        let number = 0x0123_4567_89ab_cdef;
        assert_eq!(Hex::of(number).as_str(), format!("{number:016x}"));
        assert_eq!(Digest(7).hex().as_str(), "0000000000000007");
    }
}
