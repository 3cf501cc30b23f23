//! The trace that a request's body names: work that came through a queue has no headers to carry it.
//!
//! It stands in an object `_trace_ctx` of the body, as a producer wrote it into its message, or among the members of its
//! `metadata`. An upstream knows no `_trace_ctx` and may refuse it, so that one is left out of what is sent, with every
//! other byte as it was. Anything ambiguous is left alone: what is no JSON object, a name twice or with escapes, what is no
//! object under it. W3C Trace Context says nothing of bodies; the names are those of the OpenTelemetry propagators.

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::{self, Finder};

use super::object::{Occurs, Sought, read};
use crate::parse::json::{Kind, Value};
use crate::tap;

/// In which bodies a trace context is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BodyContext {
    /// In none; `_trace_ctx` passes.
    Off,
    /// In those that are read whole anyway: of completions, and where a route looks at the model.
    #[default]
    Held,
    /// In every JSON body of a POST, which is read whole for it.
    All,
}

/// The object that is for the trace context alone.
const MEMBER: &str = "_trace_ctx";
/// What names the span that a request belongs to, wherever it stands.
const PARENT: &str = "traceparent";
/// The object that may have it among other things.
const METADATA: &str = "metadata";

/// Longest value that is taken; a `tracestate` should pass up to 512 characters.
const VALUE_BYTES: usize = 1 << 10;
/// Most of them: no format has more.
const VALUES: usize = 8;

/// What a body says of the trace it belongs to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The context, which nobody has tried to read.
    pub context: tap::CarriedContext,
    /// Where in the body the member is that is not to be sent.
    pub left_out: Option<Range<usize>>,
}

/// Looks for a trace context in a body. Where what both names have in common is not in it, that is all that is done: one
/// search.
#[must_use]
pub fn find(body: &[u8]) -> Option<Found> {
    static COMMON: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new("trace"));
    let rest = &body[COMMON.find(body)?.saturating_sub(1)..];
    if [MEMBER, PARENT]
        .iter()
        .all(|name| memmem::find(rest, name.as_bytes()).is_none())
    {
        return None;
    }
    let mut sought = [MEMBER, METADATA].map(Sought::new);
    read(body, &mut sought, &mut |_, _| {})?;
    let [own, metadata] = sought.map(|sought| sought.found);
    let in_metadata = || match metadata {
        Occurs::Once(metadata) => context(metadata),
        Occurs::Absent | Occurs::Ambiguous(_) => tap::CarriedContext::default(),
    };
    match own {
        Occurs::Absent => Some(Found {
            context: in_metadata(),
            left_out: None,
        }),
        Occurs::Once(own) if own.kind() == Kind::Object => {
            let context = context(own);
            Some(Found {
                context: match context.0.is_empty() {
                    true => in_metadata(),
                    false => context,
                },
                left_out: Some(place(body, own)),
            })
        }
        Occurs::Once(_) | Occurs::Ambiguous(_) => None,
    }
}

/// The texts of an object that a header could have. They may become headers of the request, so a line end is in none.
fn context(object: Value<'_>) -> tap::CarriedContext {
    let is_value = |text: &str| {
        text.len() <= VALUE_BYTES && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
    };
    let texts = object.members().filter_map(|(name, value)| {
        let (name, value) = (name.decode(), value.as_text()?.decode());
        (is_value(&name) && is_value(&value)).then(|| (name.into_owned(), value.into_owned()))
    });
    tap::CarriedContext(texts.take(VALUES).collect())
}

/// Where the member lies whose value this is, with the comma that goes with it. It is a member of the object that the body
/// is.
fn place(body: &[u8], value: Value<'_>) -> Range<usize> {
    let start = value.raw().as_ptr() as usize - body.as_ptr() as usize;
    let end = start + value.raw().len();
    let before_colon = body[..start].trim_ascii_end().strip_suffix(b":");
    let name = before_colon.unwrap_or_default().trim_ascii_end();
    // It was found by its name, which has no escapes.
    let start = name.len() - MEMBER.len() - 2;
    let after = body[end..].trim_ascii_start();
    if let Some(next) = after.strip_prefix(b",") {
        return start..body.len() - next.trim_ascii_start().len();
    }
    match body[..start].trim_ascii_end().strip_suffix(b",") {
        Some(before) => before.len()..end,
        None => start..end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CONTEXT: &str = r#"{"traceparent":"00-a-b-01","tracestate":"one=1"}"#;

    fn found(body: &str) -> Option<(Vec<(String, String)>, String)> {
        let found = find(body.as_bytes())?;
        let out = found.left_out.unwrap_or(0..0);
        Some((
            found.context.0,
            [&body[..out.start], &body[out.end..]].concat(),
        ))
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn both() -> Vec<(String, String)> {
        pairs(&[("traceparent", "00-a-b-01"), ("tracestate", "one=1")])
    }

    #[test]
    fn the_object_is_left_out_with_its_comma_and_nothing_else() {
        for (sent, left) in [
            (r#"{"_trace_ctx":C,"a":1}"#, r#"{"a":1}"#),
            (r#"{"a":1,"_trace_ctx":C}"#, r#"{"a":1}"#),
            (
                r#"{"a":1 , "_trace_ctx" : C , "b":2}"#,
                r#"{"a":1 , "b":2}"#,
            ),
            (r#"{"a":1 , "_trace_ctx" : C }"#, r#"{"a":1  }"#),
            (r#" { "_trace_ctx":C } "#, r#" {  } "#),
            (r#"{"_trace_ctx":C}"#, "{}"),
            (
                r#"{"a":{"_trace_ctx":1},"_trace_ctx":C}"#,
                r#"{"a":{"_trace_ctx":1}}"#,
            ),
        ] {
            let sent = sent.replace('C', CONTEXT);
            assert_eq!(found(&sent), Some((both(), left.to_owned())), "{sent}");
        }
    }

    #[test]
    fn what_is_ambiguous_is_left_alone() {
        for body in [
            r#"{"_trace_ctx":C,"_trace_ctx":C}"#,
            r#"{"_trace_ctx":C,"_trace\u005fctx":C}"#,
            r#"{"_trace_ctx":"00-a-b-01"}"#,
            r#"{"_trace_ctx":[C]}"#,
            r#"{"_trace_ctx":null}"#,
            r#"[{"_trace_ctx":C}]"#,
            r#"{"_trace_ctx":C}}"#,
            r#"{"_trace_ctx":C"#,
            "\u{feff}{\"_trace_ctx\":C}",
        ] {
            let body = body.replace('C', CONTEXT);
            assert_eq!(found(&body), None, "{body}");
        }
    }

    #[test]
    fn metadata_names_a_trace_too_and_stays() {
        let body = format!(r#"{{"metadata":{CONTEXT},"a":1}}"#);
        assert_eq!(found(&body), Some((both(), body.clone())));
        let own = r#"{"metadata":{"traceparent":"2"},"_trace_ctx":{"traceparent":"1"}}"#;
        let left = r#"{"metadata":{"traceparent":"2"}}"#;
        let first = pairs(&[("traceparent", "1")]);
        assert_eq!(found(own), Some((first, left.to_owned())));
        // A producer without a span writes an empty object.
        let empty = r#"{"metadata":{"traceparent":"2"},"_trace_ctx":{}}"#;
        let second = pairs(&[("traceparent", "2")]);
        assert_eq!(found(empty), Some((second, left.to_owned())));
    }

    #[test]
    fn a_body_that_only_speaks_of_it_names_none() {
        for body in [
            r#"{"messages":[{"content":"what is _trace_ctx, what a traceparent?"}]}"#,
            r#"{"messages":[{"traceparent":"1"}],"metadata":"traceparent"}"#,
            r#"{"metadata":{"traceparent":1}}"#,
        ] {
            assert_eq!(found(body), Some((Vec::new(), body.to_owned())), "{body}");
        }
        assert_eq!(found(r#"{"model":"m","metadata":{"user":"7"}}"#), None);
    }

    #[test]
    fn no_value_can_end_a_header_line() {
        let body = r#"{"_trace_ctx":{"traceparent":"1\r\nx: y","trace\nstate":"1","tracestate":"ä","b3":"0"}}"#;
        assert_eq!(found(body), Some((pairs(&[("b3", "0")]), "{}".to_owned())));
        let long = format!(
            r#"{{"_trace_ctx":{{"tracestate":"{}"}}}}"#,
            "a".repeat(2_000)
        );
        assert_eq!(found(&long), Some((Vec::new(), "{}".to_owned())));
    }

    proptest! {
        #[test]
        fn whatever_stands_around_it_the_other_members_are_what_they_were(
            members in prop::collection::vec(("[a-z]{1,3}", "[\\[\\]{}\", :_a-z\\\\]{0,12}"), 0..5),
            at in 0_usize..6,
            spaces in prop::collection::vec("[ \t\r\n]{0,2}", 4),
        ) {
            let member = |name: &str, value: &str| format!("{}{}{}:{}{value}", spaces[0], serde_json::json!(name), spaces[1], spaces[2]);
            let mut written: Vec<String> = members.iter().map(|(name, text)| member(name, &serde_json::json!(text).to_string())).collect();
            let others = serde_json::from_str::<serde_json::Value>(&format!("{{{}}}", written.join(","))).unwrap();
            written.insert(at.min(written.len()), member(MEMBER, CONTEXT));
            let body = format!("{{{}{}}}", written.join(","), spaces[3]);
            let (context, left) = found(&body).unwrap();
            prop_assert_eq!(context, both());
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&left).unwrap(), others);
        }
    }
}
