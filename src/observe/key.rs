//! Which key a client sent, without the key: a keyed hash, so that nobody without the secret can try keys.
//!
//! SipHash-2-4, whose purpose that is. With the same secret a key has the same fingerprint in every process and after each start.

use std::fmt;
#[expect(
    deprecated,
    reason = "the standard library's SipHash-2-4; what took its place has no keys and may change"
)]
use std::hash::SipHasher;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use http::header::AUTHORIZATION;

use crate::exchange::Hex;
use crate::message::Fields;

/// What fingerprints of keys are made with.
#[derive(Clone, PartialEq, Eq)]
pub struct KeySecret([u64; 2]);

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySecret")
    }
}

impl KeySecret {
    /// That of a text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self([0, 1].map(|key| sip([key, 0], text.as_bytes())))
    }

    /// One that no other process has.
    #[must_use]
    pub fn random() -> Self {
        let random = || RandomState::new().build_hasher().finish();
        Self([random(), random()])
    }

    /// How long [its text](Self::to_text) is, without the line's end.
    pub const TEXT_BYTES: usize = 32;

    /// As it is kept.
    #[must_use]
    pub fn to_text(&self) -> String {
        let Self([one, other]) = self;
        format!("{one:016x}{other:016x}\n")
    }

    /// The fingerprint of the key in a request's head; `None` where there is none.
    #[must_use]
    pub fn fingerprint(&self, fields: &Fields) -> Option<Hex> {
        let key = key(fields)?;
        Some(Hex::of(sip(self.0, key.as_bytes())))
    }
}

/// The key of a request: of OpenAI and compatible servers, Azure, Anthropic, Google.
fn key(fields: &Fields) -> Option<&str> {
    if let Some(value) = fields.text(AUTHORIZATION) {
        let (_, key) = value.split_once(' ').unwrap_or(("", value));
        return Some(key.trim()).filter(|key| !key.is_empty());
    }
    let others = ["api-key", "x-api-key", "x-goog-api-key"];
    let mut values = others.into_iter().filter_map(|name| fields.text(name));
    values.find(|key| !key.is_empty())
}

#[expect(deprecated, reason = "as above")]
fn sip([one, other]: [u64; 2], bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher::new_with_keys(one, other);
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(secret: &str, fields: &[(&str, &str)]) -> Option<String> {
        let fields: Fields = fields.iter().copied().collect();
        let fingerprint = KeySecret::of(secret).fingerprint(&fields);
        fingerprint.map(|it| it.as_str().to_owned())
    }

    #[test]
    fn the_hash_is_that_of_the_paper() {
        // SipHash-2-4 of the bytes 0 to 14 with the key 00 01 … 0f.
        let bytes: Vec<u8> = (0..15).collect();
        let key = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
        assert_eq!(sip(key, &bytes), 0xa129_ca61_49be_45e5);
    }

    #[test]
    fn a_key_has_one_fingerprint_wherever_it_stands_and_none_says_anything_without_the_secret() {
        let one = of("s", &[("Authorization", "Bearer sk-1")]).unwrap();
        assert_eq!(one.len(), 16);
        for name in ["authorization", "api-key", "x-api-key", "x-goog-api-key"] {
            assert_eq!(of("s", &[(name, "sk-1")]).as_ref(), Some(&one), "{name}");
        }
        assert_ne!(of("s", &[("api-key", "sk-2")]), Some(one.clone()));
        assert_ne!(of("t", &[("api-key", "sk-1")]), Some(one));
        for none in [
            ("x-team", "a"),
            ("authorization", "Bearer "),
            ("api-key", ""),
        ] {
            assert_eq!(of("s", &[none]), None, "{none:?}");
        }
    }

    #[test]
    fn no_two_processes_have_the_same_secret_and_none_is_shown() {
        let secret = KeySecret::random();
        assert_ne!(secret, KeySecret::random());
        assert_eq!(format!("{secret:?}"), "KeySecret");
        assert_eq!(secret.to_text().trim().len(), 32);
    }
}
