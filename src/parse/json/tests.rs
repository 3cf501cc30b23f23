use proptest::prelude::*;
use serde::de::IgnoredAny;

use super::*;

fn value(text: &str) -> Value<'_> {
    parse(text.as_bytes()).unwrap()
}

fn text(json: &str) -> Text<'_> {
    value(json).as_text().unwrap()
}

#[test]
fn raw_is_the_value_without_the_space_around_it() {
    let object = value(" \r\n{ \"a\" :\t[ 1 , 2 ] } \n");
    assert_eq!(object.raw(), b"{ \"a\" :\t[ 1 , 2 ] }");
    assert_eq!(object.get("a").unwrap().raw(), b"[ 1 , 2 ]");
}

#[test]
fn members_keep_order_and_duplicates_and_get_takes_the_last() {
    let object = value(r#"{"a":1,"b":{"a":2},"a":"3"}"#);
    let keys: Vec<_> = object.members().map(|(key, _)| key.decode()).collect();
    assert_eq!(keys, ["a", "b", "a"]);
    assert_eq!(object.get("a").unwrap().raw(), b"\"3\"");
    assert!(object.get("c").is_none());
}

#[test]
fn an_escaped_key_is_understood() {
    let object = value(r#"{"\u0073tream":true,"a\/b":1}"#);
    assert_eq!(object.get("stream").unwrap().as_bool(), Some(true));
    assert_eq!(object.get("a/b").unwrap().as_i64(), Some(1));
}

#[test]
fn what_stops_a_string_is_seen_at_every_place() {
    for length in (0..50).chain(160..200) {
        let plain = "a".repeat(length);
        let judged = |string: &str| parse(format!("[\"{string}\"]").as_bytes()).is_ok();
        assert!(judged(&plain) && !text(&format!("\"{plain}\"")).has_escapes());
        for at in 0..length {
            let (before, after) = (&plain[..at], &plain[at..]);
            let with = |stop: &str| format!("{before}{stop}{after}");
            assert!(
                !judged(&with("\"")) && !judged(&with("\n")),
                "{length}, {at}"
            );
            let escaped = format!("\"{}\"", with("\\\\"));
            assert!(text(&escaped).has_escapes(), "{length}, {at}");
        }
    }
}

/// Escapes so close that they are looked at in blocks, with plain text between and behind.
fn dense() -> impl Strategy<Value = String> {
    let escape = prop_oneof![
        r#"\\[\\"/bfnrt]"#,
        r"\\u[0-9a-fA-F]{4}",
        Just(r"\ud83d\ude00".to_owned()),
        r"[ -!#-\[\]-~é橋]{0,9}",
    ];
    prop::collection::vec(escape, 20..200).prop_map(|pieces| pieces.concat())
}

/// Where an escape begins, each half of a pair by itself, and the end.
fn places_between(string: &str) -> Vec<usize> {
    let bytes = string.as_bytes();
    let (mut places, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let length = match (bytes[at], bytes.get(at + 1)) {
            (b'\\', Some(b'u')) => 6,
            (b'\\', _) => 2,
            _ => 1,
        };
        if length > 1 {
            places.push(at);
        }
        at += length;
    }
    places.push(at);
    places
}

proptest! {
    #[test]
    fn escapes_close_together_are_read_as_they_are_one_by_one(string in dense(), rest in "[a-z ]{0,150}") {
        let document = format!(r#"["{string}",1,"{rest}"]"#);
        let read = value(&document);
        let strings: Vec<_> = read.elements().filter_map(Value::as_text).collect();
        prop_assert_eq!(strings[0].written(), &string);
        prop_assert_eq!(strings[0].chars(), strings[0].decode().chars().count() as u64);
        prop_assert_eq!(strings[1].written(), &rest);
    }

    #[test]
    fn what_is_wrong_among_many_escapes_is_found_where_it_is(string in dense(), at in any::<prop::sample::Index>(), wrong in 0..3_usize) {
        let place = *at.get(&places_between(&string));
        let (wrong, expected) = [
            ("\u{1}", "control characters to be escaped"),
            (r"\x", "an escape sequence"),
            (r"\u00g0", "four hexadecimal digits"),
        ][wrong];
        let document = format!("[\"{}{wrong}{}\"]", &string[..place], &string[place..]);
        let error = parse(document.as_bytes()).unwrap_err();
        let offset = 2 + place + wrong.find(['x', 'g', '\u{1}']).unwrap();
        prop_assert_eq!(error, Error { offset, expected });
    }
}

#[test]
fn whole_numbers_may_be_written_as_fractions() {
    assert_eq!(value("12.0").as_i64(), Some(12));
    assert_eq!(value("1.2e1").as_u64(), Some(12));
    assert_eq!(value("-0.0").as_u64(), Some(0));
    assert_eq!(value("18446744073709551615").as_u64(), Some(u64::MAX));
    assert_eq!(value("12.5").as_i64(), None);
    assert_eq!(value("-1").as_u64(), None);
    assert_eq!(value("1e300").as_i64(), None);
    assert_eq!(value("\"12\"").as_i64(), None);
}

#[test]
fn a_number_beyond_every_type_is_json_without_a_value() {
    assert_eq!(value("1e999").kind(), Kind::Number);
    assert_eq!(value("1e999").as_f64(), None);
}

#[test]
fn a_lone_surrogate_is_one_replacement_character() {
    for lone in [r#""\ud83d""#, r#""\ude00""#] {
        assert_eq!(text(lone).decode(), "\u{fffd}");
        assert_eq!(text(lone).chars(), 1);
    }
    assert_eq!(
        text(r#""\ud83dx\ude00\ud83d\ude00""#).decode(),
        "\u{fffd}x\u{fffd}😀"
    );
    assert_eq!(text(r#""\ud83d\u0041""#).decode(), "\u{fffd}A");
}

#[test]
fn what_is_no_container_has_no_children() {
    for scalar in ["1", "\"{\\\"a\\\":1}\"", "null", "[]", "{}"] {
        assert_eq!(value(scalar).members().count(), 0);
        assert_eq!(value(scalar).elements().count(), 0);
    }
}

#[test]
fn nesting_may_be_of_any_depth() {
    for depth in [1, 127, 128, 129, 255, 256, 257, 500, 1_000_000] {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        let text = format!("{{\"a\":{open}{close},\"b\":{open}{{\"c\":1}}{close}}}");
        let mut names = Vec::new();
        let object = parse_object(&text, |name, _| names.push(name.written())).unwrap();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(object.get("b").unwrap().raw().len(), 2 * depth + 7);
        let wrong = format!("{open}{{\"c\":1]{close}}}");
        assert_eq!(parse(wrong.as_bytes()).unwrap_err().offset, depth + 6);
        let short = &text[..text.len() - 2];
        assert_eq!(parse(short.as_bytes()).unwrap_err().offset, short.len());
    }
}

#[test]
fn the_kinds_of_what_is_around_are_kept_at_any_depth() {
    let open = "[{\"a\":".repeat(300);
    let close = "}]".repeat(300);
    assert!(parse(format!("{open}1{close}").as_bytes()).is_ok());
    for at in (0..600).step_by(7) {
        let mut wrong = format!("{open}1{close}").into_bytes();
        let place = open.len() + 1 + at;
        wrong[place] = if wrong[place] == b'}' { b']' } else { b'}' };
        assert_eq!(parse(&wrong).unwrap_err().offset, place);
    }
}

#[test]
fn errors_name_the_place() {
    for (bytes, offset) in [
        (&b""[..], 0),
        (b"{\"a\":1,}", 7),
        (b"[1 2]", 3),
        (b"\"a\nb\"", 2),
        (b"\"\\u12x4\"", 5),
        (b"\"\xff\"", 1),
        (b"\xef\xbb\xbf{}", 0),
        (b"01", 1),
        (b"nul", 0),
        (b"\"\\", 2),
    ] {
        assert_eq!(parse(bytes).unwrap_err().offset, offset, "{bytes:?}");
    }
    let error = parse(b"{} {}").unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid json at byte 3: expected the end"
    );
}

#[test]
fn a_prefix_leaves_what_follows() {
    let (value, rest) = parse_prefix("\n\n{\"a\":1}\n data: [DONE]").unwrap();
    assert_eq!(value.raw(), b"{\"a\":1}");
    assert_eq!(rest, "data: [DONE]");
}

#[test]
fn an_index_may_be_used_again_and_too_large_a_document_is_read_without() {
    let document = |elements: usize| format!("{{\"a\":[{}0]}}", "7,".repeat(elements - 1));
    let documents = [1, 1022, 1023, 4000, 2].map(|elements| (elements, document(elements)));
    let mut index = Index::default();
    for (elements, text) in &documents {
        let (object, _) = parse_prefix_indexed(text, &mut index).unwrap();
        assert_eq!(!object.inside.is_empty(), *elements < 1023, "{elements}");
        let array = object.get("a").unwrap();
        assert_eq!(array.elements().count(), *elements);
        assert_eq!(array.elements().last().unwrap().as_u64(), Some(0));
    }
}

/// What must hold for any bytes: the verdict is serde_json's, which alone ignores encoding.
fn agrees_with_serde(bytes: &[u8]) {
    let verdict = parse(bytes);
    let oracle =
        serde_json::from_slice::<IgnoredAny>(bytes).is_ok() && std::str::from_utf8(bytes).is_ok();
    assert_eq!(
        verdict.is_ok(),
        oracle,
        "{}",
        String::from_utf8_lossy(bytes)
    );
    if let (Ok(ours), Ok(theirs)) = (verdict, serde_json::from_slice(bytes)) {
        same(ours, &theirs);
        let text = super::text(bytes).unwrap();
        let mut index = Index::default();
        let (indexed, rest) = parse_prefix_indexed(text, &mut index).unwrap();
        assert_eq!((indexed.raw(), rest), (ours.raw(), ""));
        same(indexed, &theirs);
    }
    let mut members = Vec::new();
    let parsed = super::text(bytes)
        .and_then(|text| parse_object(text, |key, value| members.push((key, value))));
    match verdict {
        Ok(object) if object.kind() == Kind::Object => {
            assert_eq!(parsed.unwrap().raw(), object.raw());
            let raw =
                |(key, value): (Text<'_>, Value<'_>)| [key.raw().to_vec(), value.raw().to_vec()];
            let walked: Vec<_> = object.members().map(raw).collect();
            assert_eq!(members.into_iter().map(raw).collect::<Vec<_>>(), walked);
        }
        _ => assert!(parsed.is_err()),
    }
}

/// Compares by structure and content; serde_json keeps the last of duplicate members, as `get` does.
fn same(ours: Value<'_>, theirs: &serde_json::Value) {
    match theirs {
        serde_json::Value::Null => assert!(ours.is_null()),
        serde_json::Value::Bool(value) => assert_eq!(ours.as_bool(), Some(*value)),
        serde_json::Value::Number(number) => {
            // serde_json's own float parsing is off by one unit in rare cases, so floats are compared within one.
            let (a, b) = (ours.as_f64().unwrap(), number.as_f64().unwrap());
            assert!((a - b).abs() <= a.abs() * 4.0 * f64::EPSILON, "{a} {b}");
            if let Some(whole) = number.as_i64() {
                assert_eq!(ours.as_i64(), Some(whole));
            }
            if let Some(whole) = number.as_u64() {
                assert_eq!(ours.as_u64(), Some(whole));
            }
        }
        serde_json::Value::String(string) => {
            let text = ours.as_text().unwrap();
            assert_eq!(text.decode(), string.as_str());
            assert_eq!(text.chars(), string.chars().count() as u64);
            assert!(text.is(string));
            assert_eq!(text.is_empty(), string.is_empty());
        }
        serde_json::Value::Array(array) => {
            assert_eq!(ours.elements().count(), array.len());
            let mut selecting = ours.elements();
            for (ours, theirs) in ours.elements().zip(array) {
                same(ours, theirs);
                let (selected, _) = selecting.next_selecting(["a"]).unwrap();
                assert_eq!(selected.raw(), ours.raw());
            }
            assert!(selecting.next_selecting(["a"]).is_none());
        }
        serde_json::Value::Object(object) => {
            for (key, _) in ours.members() {
                assert!(object.contains_key(&*key.decode()));
            }
            for (key, theirs) in object {
                let (_, last) = ours
                    .members()
                    .filter(|(name, _)| name.is(key))
                    .last()
                    .unwrap();
                same(last, theirs);
                if !key.contains('\\') {
                    assert_eq!(ours.get(key).unwrap().raw(), last.raw());
                }
            }
        }
    }
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let string = "[ -~é漢😀\"\\\\\n\u{1}\u{7f}]{0,40}";
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        string.prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::vec((string, inner), 0..6)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

#[test]
fn elements_and_their_members_are_found_in_one_pass() {
    let text = r#"[ {"a":1,"b":"}","a":[2,{"a":3}]} ,{}, 4,{"\u0062":5}]"#;
    let mut index = Index::default();
    let (indexed, _) = parse_prefix_indexed(text, &mut index).unwrap();
    for document in [parse(text.as_bytes()).unwrap(), indexed] {
        let mut elements = document.elements();
        let mut next = || {
            let (element, found) = elements.next_selecting(["b", "a"])?;
            let found = found.map(|member| member.map(Value::written));
            Some((element.written(), found))
        };
        let first = r#"{"a":1,"b":"}","a":[2,{"a":3}]}"#;
        let members = [Some(r#""}""#), Some(r#"[2,{"a":3}]"#)];
        assert_eq!(next(), Some((first, members)));
        assert_eq!(next(), Some(("{}", [None; 2])));
        assert_eq!(next(), Some(("4", [None; 2])));
        assert_eq!(next().unwrap().1, [Some("5"), None]);
        assert_eq!(next(), None);
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_judged_as_serde_judges_them(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        agrees_with_serde(&bytes);
    }

    #[test]
    fn almost_json_is_judged_as_serde_judges_it(text in r#"[\[\]{}:,"\\u0-9d8dca.eE+\-truefalsn \n]{0,24}"#) {
        agrees_with_serde(text.as_bytes());
    }

    #[test]
    fn strings_of_escapes_are_judged_as_serde_judges_them(text in r#""(\\(u[dD][89abcdef0-3][0-9a-f]{2}|u00[0-9]{2}|[nrtbf/"\\]|x)|[a-z😀]){0,6}"#) {
        agrees_with_serde(format!("{text}\"").as_bytes());
    }

    #[test]
    fn long_strings_are_judged_as_serde_judges_them(
        text in r#"[a-z漢]{0,300}(\\\\){0,3}(\\["\\n]|["\n]|)[a-z😀]{0,600}(\\){0,2}"#, key in any::<bool>(),
    ) {
        let document = if key { format!("{{\"{text}\":[\"{text}\"]}}") } else { format!("[\"{text}\",1]") };
        agrees_with_serde(document.as_bytes());
    }

    #[test]
    fn long_documents_that_are_damaged_are_judged_as_serde_judges_them(
        length in 100..700_usize, at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut bytes = format!("{{\"a\":\"{}\"}}", "é".repeat(length)).into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        agrees_with_serde(&bytes);
    }

    #[test]
    fn documents_read_as_serde_reads_them(document in json(), pretty in any::<bool>()) {
        let text = if pretty {
            serde_json::to_string_pretty(&document)
        } else {
            serde_json::to_string(&document)
        };
        same(parse(text.unwrap().as_bytes()).unwrap(), &document);
    }

    #[test]
    fn damaged_documents_are_judged_as_serde_judges_them(
        document in json(), at in any::<prop::sample::Index>(), byte in any::<u8>(), kind in 0..3,
    ) {
        let mut bytes = serde_json::to_vec(&document).unwrap();
        let at = at.index(bytes.len());
        match kind {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            _ => bytes.truncate(at),
        }
        agrees_with_serde(&bytes);
    }
}
