//! The cursor: it takes what another reader takes, and walks the same with and without an index.

use serde::de::IgnoredAny;
use streamgauge::parse::json::{self, Index, Kind, Value};

use crate::mutate::Random;
use crate::run::shape;

pub(crate) fn check(input: &[u8], _: &mut Random) -> u64 {
    let parsed = json::parse(input);
    let elsewhere = serde_json::from_slice::<IgnoredAny>(input);
    match &parsed {
        Ok(_) => assert!(elsewhere.is_ok(), "taken, and refused elsewhere"),
        Err(error) => {
            assert!(error.offset <= input.len());
            // It looks into strings, the other one does not.
            let text = std::str::from_utf8(input);
            assert!(
                elsewhere.is_err() || text.is_err(),
                "refused, and taken elsewhere: {error}"
            );
        }
    }
    let Ok(text) = json::text(input) else {
        return shape("no text");
    };
    let mut index = Index::default();
    let indexed = json::parse_prefix_indexed(text, &mut index);
    let unindexed = json::parse_prefix(text);
    let (Ok((indexed, rest)), Ok((unindexed, other))) = (indexed, unindexed) else {
        assert_eq!(indexed.is_ok(), unindexed.is_ok());
        return shape(unindexed.err().map(|error| error.expected));
    };
    assert_eq!(rest, other);
    let mut kinds = Vec::new();
    walk(indexed, unindexed, &mut kinds);
    shape((kinds, rest.is_empty()))
}

/// Goes through a value both ways, and notes the kinds of what is in it.
fn walk(one: Value<'_>, other: Value<'_>, kinds: &mut Vec<u8>) {
    assert_eq!(one.raw(), other.raw());
    kinds.push(one.kind() as u8);
    match one.kind() {
        Kind::Object => {
            let (mut ones, mut others) = (one.members(), other.members());
            loop {
                match (ones.next(), others.next()) {
                    (None, None) => break,
                    (Some((key, one)), Some((name, other))) => {
                        assert_eq!(key.raw(), name.raw());
                        assert_eq!(key.chars(), key.decode().chars().count() as u64);
                        walk(one, other, kinds);
                    }
                    (one, other) => panic!("{one:?} and {other:?}"),
                }
            }
        }
        Kind::Array => {
            assert_eq!(one.elements().count(), other.elements().count());
            let pairs = one.elements().zip(other.elements());
            pairs.for_each(|(one, other)| walk(one, other, kinds));
        }
        Kind::String => {
            let text = one.as_text().unwrap();
            assert_eq!(text.chars(), text.decode().chars().count() as u64);
        }
        _ => assert_eq!(one.as_i64().is_some(), other.as_i64().is_some()),
    }
}
