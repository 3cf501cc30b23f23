//! The shape of what is not known: names and JSON types, never values.

use crate::dialect::contract::Facts;
use crate::dialect::kit::member::is_odd_count;
use crate::exchange::Quirk;
use crate::parse::json::{Kind, Text, Value};

/// Longest name that is kept, in bytes.
const NAME_KEPT: usize = 64;
/// Members of an object that a shape names.
const MEMBERS_SHOWN: usize = 8;
/// How deep a shape goes below the value itself.
const DEPTH: u8 = 1;
/// How many arrays around one another it shows.
const LISTS: u8 = 4;

/// A member and what is known of it: a quirk where the reference does not have it.
pub(in crate::dialect) type Known = (&'static str, Option<Quirk>);

/// Asks what is `known` of the members of an object that are not null: notes the quirks they stand for, and as `kind` those
/// of which nothing is. `place` is where the object stood.
pub(in crate::dialect) fn check_members(
    object: Value<'_>,
    known: impl Fn(&str) -> Result<Option<Quirk>, ()>,
    (kind, place): (Quirk, &'static str),
    facts: &mut Facts,
) {
    for (name, value) in object.members().filter(|(_, value)| !value.is_null()) {
        // No known name has a backslash, so none is taken for another as it is written.
        match known(name.written()).or_else(|()| known(&name.decode())) {
            Ok(None) => {}
            Ok(Some(quirk)) => facts.quirks.insert(quirk),
            Err(()) => {
                facts.quirks.insert(kind);
                // A name costs something to make up, and an object may have millions.
                if !facts.unknown.is_full() {
                    let shape = || shape(value, DEPTH, LISTS);
                    let name = shortened(&name.decode());
                    facts.unknown.note(kind, place, &name, shape);
                }
            }
        }
    }
}

/// What a table knows of a name. It is short and its names differ in length, so going through it takes fewer instructions
/// than a search by order.
fn find(known: &[Known], name: &str) -> Result<Option<Quirk>, ()> {
    let row = known.iter().find(|(known, _)| *known == name);
    row.map(|(_, quirk)| *quirk).ok_or(())
}

/// Looks up the members of usage as [`check_members`] does, and the form of its token counts.
pub(in crate::dialect) fn check_usage(
    usage: Value<'_>,
    known: &[Known],
    place: &'static str,
    facts: &mut Facts,
) {
    let unknown = (Quirk::UnknownUsageMember, place);
    check_members(usage, |name| find(known, name), unknown, facts);
    let is_count = |name: Text<'_>| name.decode().ends_with("_tokens");
    let mut counts = usage.members().filter(|(name, _)| is_count(*name));
    let odd = counts.any(|(_, number)| is_odd_count(number));
    facts.quirks.insert_if(odd, Quirk::OddNumber);
}

/// Looks up a name that stands for itself, an event type or a finish reason, in a table sorted by name.
pub(in crate::dialect) fn check_name(
    name: &str,
    known: &[Known],
    (kind, place): (Quirk, &'static str),
    facts: &mut Facts,
) {
    debug_assert!(is_sorted(known), "{known:?}");
    match known.binary_search_by_key(&name, |(name, _)| *name) {
        Ok(at) => known[at]
            .1
            .into_iter()
            .for_each(|quirk| facts.quirks.insert(quirk)),
        Err(_) => note_name(name, kind, place, facts),
    }
}

fn is_sorted(known: &[Known]) -> bool {
    known.is_sorted_by(|one, next| one.0 < next.0)
}

/// Notes a name that stands for itself and is not known.
pub(in crate::dialect) fn note_name(
    name: &str,
    kind: Quirk,
    place: &'static str,
    facts: &mut Facts,
) {
    facts.quirks.insert(kind);
    if !facts.unknown.is_full() {
        facts
            .unknown
            .note(kind, place, &shortened(name), String::new);
    }
}

/// A name cut at the bound. Whatever is no part of a name becomes a question mark, so that a log line stays one.
fn shortened(name: &str) -> String {
    let is_part = |character: &char| {
        character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.' | ':' | '/' | '$')
    };
    let characters = name.chars().take(NAME_KEPT);
    characters
        .map(|character| Some(character).filter(is_part).unwrap_or('?'))
        .collect()
}

/// The type of a value; of an object the names and types of its first members, of an array the shape of its first.
fn shape(value: Value<'_>, depth: u8, lists: u8) -> String {
    match value.kind() {
        Kind::Null => "null".into(),
        Kind::Bool => "boolean".into(),
        Kind::Number => "number".into(),
        Kind::String => "string".into(),
        Kind::Object if depth == 0 => "object".into(),
        Kind::Array => match value.elements().next() {
            Some(_) if lists == 0 => "array".into(),
            Some(first) => format!("[{}]", shape(first, depth, lists - 1)),
            None => "[]".into(),
        },
        Kind::Object => {
            let members = value.members().take(MEMBERS_SHOWN);
            let members: Vec<_> = members
                .map(|(name, value)| {
                    format!(
                        "{}: {}",
                        shortened(&name.decode()),
                        shape(value, depth - 1, lists)
                    )
                })
                .collect();
            format!("{{{}}}", members.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::json;

    fn shown(json: &str) -> Vec<String> {
        let mut facts = Facts::default();
        let known: [Known; 2] = [("id", None), ("x_groq", Some(Quirk::OwnMembers))];
        let place = (Quirk::UnknownMember, "choices[]");
        let object = json::parse(json.as_bytes()).unwrap();
        check_members(object, |name| find(&known, name), place, &mut facts);
        let ids = facts.quirks.iter().map(|quirk| quirk.id().to_owned());
        ids.chain(facts.unknown.iter().map(ToString::to_string))
            .collect()
    }

    #[test]
    fn known_members_are_no_news_and_those_of_servers_are_quirks() {
        assert_eq!(shown(r#"{"id":1,"mood":null}"#), [""; 0]);
        assert_eq!(shown(r#"{"x_groq":{}}"#), ["B-14"]);
    }

    #[test]
    fn a_shape_has_names_and_types_and_no_value() {
        let shown = shown(
            r#"{"a":"secret","b":{"c":[{"d":"secret"}],"e":1,"f":true},"g":[],"secret \n":[[1]]}"#,
        );
        let expected = [
            "unknown_member",
            "choices[].a: string",
            "choices[].b: {c: [object], e: number, f: boolean}",
            "choices[].g: []",
            "choices[].secret??: [[number]]",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_shape_is_bounded() {
        let members: Vec<_> = (0..1000).map(|at| format!("\"{at:0>99}\":1")).collect();
        let object = format!("{{\"{}\":{{{}}}}}", "n".repeat(9999), members.join(","));
        assert!(shown(&object).concat().len() < 1000);
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100), "]".repeat(100));
        assert!(shown(&deep).concat().len() < 400);
        let depth = 1_000_000;
        let deepest = format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(shown(&deepest)[1], "choices[].a: [[[[array]]]]");
    }
}
