//! A hash of what a JSON text says, however it is written.
//!
//! White space, the order of members, how a number is spelled (`1`, `1.0`, `1e0`) and which characters are escaped make no
//! difference; of members of one name the last counts, as for nearly every reader. It is taken while the text is validated,
//! at any depth, and no tree is built.

use std::borrow::Cow;
use std::ops::Range;

use super::scan::{self, Visit};
use super::{Kind, Value};
use crate::parse::hash::{chain, hash};

/// What the hash of a value begins with, by its type.
mod begin {
    pub(super) const WORD: u64 = 1;
    pub(super) const STRING: u64 = 2;
    pub(super) const WHOLE: u64 = 3;
    pub(super) const NUMBER: u64 = 4;
    pub(super) const ARRAY: u64 = 5;
    pub(super) const OBJECT: u64 = 6;
}

/// The hash of what a text says; `None` where it is not one JSON value. `each` is called with the strings in it, but for the
/// names of members, in order; where it is no value these calls are void.
pub fn meaning(text: &str, each: impl FnMut(&str)) -> Option<u64> {
    let bytes = text.as_bytes();
    let mut reading = Reading {
        text,
        each,
        open: Vec::new(),
        members: Vec::new(),
        whole: 0,
    };
    let start = scan::space(bytes, 0);
    let end = scan::validate(bytes, start, &mut reading).ok()?;
    (scan::space(bytes, end) == bytes.len()).then_some(reading.whole)
}

/// As much as was read of a text.
struct Reading<'t, E> {
    text: &'t str,
    each: E,
    /// Containers that are open, innermost last.
    open: Vec<Container>,
    /// The members so far of all objects that are open, each after the one that it lies in: hashes of names and values.
    members: Vec<(u64, u64)>,
    /// The hash of the value that is complete.
    whole: u64,
}

struct Container {
    /// The hash of its own name.
    name: u64,
    holds: Holds,
}

enum Holds {
    /// The hash of the elements so far.
    Elements(u64),
    /// From here on in [`Reading::members`].
    Members(usize),
}

impl<E: FnMut(&str)> Reading<'_, E> {
    /// Puts a value into the container that it lies in.
    fn add(&mut self, name: u64, value: u64) {
        match self.open.last_mut().map(|container| &mut container.holds) {
            None => self.whole = value,
            Some(Holds::Elements(so_far)) => *so_far = chain(*so_far, value),
            Some(Holds::Members(_)) => self.members.push((name, value)),
        }
    }

    /// The hash of a member's name; nothing of an element, which has none.
    fn name(&self, at: Range<usize>) -> u64 {
        match self.open.last().map(|container| &container.holds) {
            Some(Holds::Members(_)) => hash(unescaped(&self.text[at]).as_bytes()),
            Some(Holds::Elements(_)) | None => 0,
        }
    }

    fn object(&mut self, first: usize) -> u64 {
        let members = &mut self.members[first..];
        // Stable, so that of those of one name the last stays last.
        members.sort_by_key(|(name, _)| *name);
        let last_of_each = members.chunk_by(|one, next| one.0 == next.0);
        let last_of_each = last_of_each.filter_map(<[_]>::last);
        let object = last_of_each.fold(begin::OBJECT, |so_far, (name, value)| {
            chain(chain(so_far, *name), *value)
        });
        self.members.truncate(first);
        object
    }
}

impl<E: FnMut(&str)> Visit for Reading<'_, E> {
    fn scalar(&mut self, name: Range<usize>, at: Range<usize>) {
        let value = Value::unindexed(&self.text[at]);
        let hash = match value.as_text() {
            Some(text) => {
                let text = text.decode();
                (self.each)(&text);
                chain(begin::STRING, hash(text.as_bytes()))
            }
            None => hash_of_word(value),
        };
        let name = self.name(name);
        self.add(name, hash);
    }

    fn opens(&mut self, name: Range<usize>, at: usize) {
        let holds = match self.text.as_bytes()[at] {
            b'[' => Holds::Elements(begin::ARRAY),
            _ => Holds::Members(self.members.len()),
        };
        let name = self.name(name);
        self.open.push(Container { name, holds });
    }

    fn closes(&mut self, _: usize) {
        let Some(Container { name, holds }) = self.open.pop() else {
            return;
        };
        let value = match holds {
            Holds::Elements(elements) => elements,
            Holds::Members(first) => self.object(first),
        };
        self.add(name, value);
    }
}

/// The hash of a number or a word. A number that neither type can hold is what is written.
fn hash_of_word(value: Value<'_>) -> u64 {
    let is_number = value.kind() == Kind::Number;
    let whole = value
        .as_i64()
        .map(|number| chain(begin::WHOLE, number as u64));
    let number = || {
        value
            .as_f64()
            .map(|number| chain(begin::NUMBER, number.to_bits()))
    };
    let known = if is_number {
        whole.or_else(number)
    } else {
        None
    };
    known.unwrap_or_else(|| chain(begin::WORD, hash(value.raw())))
}

fn unescaped(raw: &str) -> Cow<'_, str> {
    super::Text { raw }.decode()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn of(text: &str) -> Option<u64> {
        meaning(text, |_| {})
    }

    #[test]
    fn what_is_written_otherwise_means_the_same() {
        for (one, other) in [
            (
                r#"{"a":1,"b":[true,null]}"#,
                " { \"b\" : [ true , null ] ,\n\"a\" : 1 } ",
            ),
            (
                r#"{"city":"Orl\u00e9ans","path":"a\/b"}"#,
                r#"{"path":"a/b","city":"Orléans"}"#,
            ),
            (r#"{"\u0061":1}"#, r#"{"a":1}"#),
            ("[1.0,1e2,-0]", "[1,100,0]"),
            ("[0.5]", "[5e-1]"),
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
            (r#"{"x":{"c":1,"b":{}}}"#, r#"{"x":{"b":{},"c":1.0}}"#),
        ] {
            assert!(of(one).is_some());
            assert_eq!(of(one), of(other), "{one} {other}");
        }
    }

    #[test]
    fn what_means_something_else_differs() {
        let texts = [
            "{}",
            "[]",
            "0",
            "\"\"",
            "null",
            "false",
            "\"null\"",
            "1",
            "\"1\"",
            "[1]",
            "[[1]]",
            "[1,2]",
            "[2,1]",
            "[[1],2]",
            "[1.5]",
            r#"{"a":1}"#,
            r#"{"a":2}"#,
            r#"{"b":1}"#,
            r#"{"a":{"b":1}}"#,
            r#"{"a":[1]}"#,
            r#"{"":1}"#,
            r#"{"a":1,"b":2}"#,
            r#"{"a":2,"b":1}"#,
            "9007199254740993",
            "9007199254740992",
            "1e400",
            "2e400",
        ];
        let mut hashes: Vec<_> = texts.iter().map(|text| of(text).unwrap()).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), texts.len());
    }

    #[test]
    fn what_is_no_value_has_no_meaning() {
        for text in ["", " ", "{", "{}{}", "{a:1}", "tru", "{} x"] {
            assert_eq!(of(text), None, "{text}");
        }
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert!(of(&deep).is_some());
    }

    #[test]
    fn strings_are_told_in_order_and_without_names() {
        let mut strings = Vec::new();
        meaning(r#"{"name":"\u0061","b":["c",1,{"d":"e"}]}"#, |text| {
            strings.push(text.to_owned())
        });
        assert_eq!(strings, ["a", "c", "e"]);
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(json!(null)),
            any::<bool>().prop_map(serde_json::Value::from),
            any::<i64>().prop_map(serde_json::Value::from),
            any::<String>().prop_map(serde_json::Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
                prop::collection::btree_map("[a-c]{0,2}", inner, 0..4)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    /// Written with other spaces, all that is no ASCII escaped, and the members backwards.
    fn rewritten(value: &serde_json::Value) -> String {
        match value {
            serde_json::Value::Object(members) => {
                let members = members.iter().rev().map(|(name, value)| {
                    format!("\n{} :{}", rewritten(&json!(name)), rewritten(value))
                });
                format!("{{{} }}", members.collect::<Vec<_>>().join(" ,"))
            }
            serde_json::Value::Array(list) => {
                let list: Vec<_> = list.iter().map(rewritten).collect();
                format!("[ {}]", list.join(",\t"))
            }
            serde_json::Value::String(text) => {
                let escaped = text.encode_utf16().map(|unit| format!("\\u{unit:04X}"));
                format!("\"{}\"", escaped.collect::<String>())
            }
            other => other.to_string(),
        }
    }

    proptest! {
        #[test]
        fn a_value_means_the_same_however_it_is_written(one in any_json(), other in any_json()) {
            let meaning = of(&one.to_string());
            prop_assert!(meaning.is_some());
            prop_assert_eq!(of(&rewritten(&one)), meaning);
            prop_assert_eq!(of(&other.to_string()) == meaning, other == one);
        }
    }
}
