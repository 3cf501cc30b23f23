//! Hashes by their first digits, as people write them.

use std::fmt;

use crate::exchange::ContentHash;

/// The first digits of a hash, or all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashPrefix(String);

/// Fewer digits would be those of many hashes, where a store is large.
const PREFIX_MIN: usize = 8;

impl HashPrefix {
    /// Reads 8 to 64 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_long_enough = (PREFIX_MIN..=64).contains(&text.len());
        let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        (is_long_enough && is_hex).then(|| Self(text.to_ascii_lowercase()))
    }

    /// The hash, where all digits are there.
    #[must_use]
    pub fn whole(&self) -> Option<ContentHash> {
        ContentHash::parse(&self.0)
    }

    /// The part of a key that all hashes have in common that begin like this.
    pub(super) fn folder(&self) -> &str {
        &self.0[..2]
    }

    /// The hash of an object whose file has this name, if it begins like this.
    pub(super) fn hash_of_file(&self, name: &str) -> Option<ContentHash> {
        let digits = name.strip_suffix(".json")?;
        ContentHash::parse(digits).filter(|_| digits.starts_with(&self.0))
    }
}

impl fmt::Display for HashPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
