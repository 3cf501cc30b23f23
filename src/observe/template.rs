//! The template that a prompt was made from, where a client tells which, and what it put into it.

use std::borrow::Cow;

use super::ObserveConfig;
use super::told::{self, Source};
use crate::exchange::{Digest, History, Speaker, Template};
use crate::message::Fields;
use crate::parse::json::{Kind, Value};

/// What names of variables begin with, in baggage and in `metadata`.
const VARIABLE: &str = "llm.prompt.variables.";

/// The same of header fields.
const VARIABLE_FIELD: &str = "x-prompt-variable-";

/// Most variables of a template that are kept, and most bytes of a name.
const VARIABLES_MAX: usize = 32;
const NAME_MAX: usize = 64;

/// The sources of a template's name if nothing else is set.
#[must_use]
pub fn names() -> Vec<Source> {
    sources("llm.prompt.template", "x-prompt-template")
}

/// The sources of its version if nothing else is set.
#[must_use]
pub fn versions() -> Vec<Source> {
    sources("llm.prompt.template.version", "x-prompt-template-version")
}

fn sources(entry: &str, field: &'static str) -> Vec<Source> {
    let field = Source::Header(http::HeaderName::from_static(field));
    vec![Source::Baggage(entry.into()), field]
}

/// What the head of a request tells of its template.
pub(super) fn of_head(config: &ObserveConfig, fields: &Fields) -> Option<Box<Template>> {
    let find = |sources: &[Source]| sources.iter().find_map(|source| source.value(fields));
    let name = find(&config.templates);
    let version = name.as_ref().and_then(|_| find(&config.template_versions));
    let mut variables = Vec::new();
    if config.template_variables {
        let named = fields.iter().filter_map(|field| {
            let start = field.name().get(..VARIABLE_FIELD.len())?;
            let is_variable = start.eq_ignore_ascii_case(VARIABLE_FIELD);
            is_variable.then_some((&field.name()[VARIABLE_FIELD.len()..], field.text()?.into()))
        });
        let entries = told::baggage_entries(fields)
            .filter_map(|(key, value)| Some((key.strip_prefix(VARIABLE)?, told::decoded(value)?)));
        add_variables(named.chain(entries), &mut variables);
    }
    let is_there = name.is_some() || !variables.is_empty();
    is_there.then(|| {
        Box::new(Template {
            name,
            version,
            variables,
        })
    })
}

/// Adds what stands in a request: `metadata`, and `prompt` of the Responses API.
pub(super) fn add_variables_of(
    [metadata, prompt]: [Option<Value<'_>>; 2],
    template: &mut Option<Box<Template>>,
) {
    let of = |object: Option<Value<'_>>, prefix: &str| -> Vec<(String, String)> {
        let members = object.into_iter().flat_map(Value::members);
        let named = members.filter_map(|(key, value)| {
            let key = key.decode();
            Some((
                key.strip_prefix(prefix)?.to_owned(),
                text(value)?.into_owned(),
            ))
        });
        named.take(VARIABLES_MAX).collect()
    };
    let of_metadata = of(metadata, VARIABLE);
    let of_prompt = of(prompt.and_then(|prompt| prompt.get("variables")), "");
    let all = of_metadata.iter().chain(&of_prompt);
    let all = all.map(|(name, value)| (name.as_str(), Cow::Borrowed(value.as_str())));
    let mut variables = template.take().unwrap_or_default();
    add_variables(all, &mut variables.variables);
    let is_there = variables.name.is_some() || !variables.variables.is_empty();
    *template = is_there.then_some(variables);
}

/// The text of a variable; of an image or a file there is none.
fn text(value: Value<'_>) -> Option<Cow<'_, str>> {
    match value.kind() {
        Kind::Object => Some(value.get("text")?.as_text()?.decode()),
        _ => Some(value.as_text()?.decode()),
    }
}

/// Adds those that are not there yet.
fn add_variables<'v>(
    named: impl Iterator<Item = (&'v str, Cow<'v, str>)>,
    variables: &mut Vec<(String, String)>,
) {
    for (name, value) in named {
        let is_known = variables.iter().any(|(known, _)| *known == name);
        let fits = !name.is_empty() && name.len() <= NAME_MAX && variables.len() < VARIABLES_MAX;
        if let Some(value) = told::kept(&value).filter(|_| fits && !is_known) {
            variables.push((name.to_owned(), value));
        }
    }
}

/// The hash of what stays the same in all prompts of a program: the system prompt at the front, and the definitions of the tools.
pub(super) fn fingerprint(history: &History) -> Option<Digest> {
    let items = history.items.iter();
    let system = items.take_while(|item| item.speaker == Speaker::System);
    let system = system.map(|item| item.segment.raw);
    let tools = history.tools.map(|tools| tools.raw);
    let mut parts = tools.into_iter().chain(system).peekable();
    parts.peek()?;
    Some(crate::dialect::history::of_all(parts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{Item, Segment};
    use crate::parse::json;

    fn head(fields: &[(&str, &str)], variables: bool) -> Option<Template> {
        let config = ObserveConfig {
            template_variables: variables,
            ..ObserveConfig::default()
        };
        let fields: Fields = fields.iter().copied().collect();
        of_head(&config, &fields).map(|template| *template)
    }

    #[test]
    fn a_template_is_named_by_baggage_or_header_and_a_version_belongs_to_a_name() {
        let baggage = (
            "baggage",
            "llm.prompt.template=greet%20all,llm.prompt.template.version=2",
        );
        let header = ("X-Prompt-Template", "other");
        let version = ("x-prompt-template-version", "3");
        for (fields, expected) in [
            (
                &[baggage, header, version][..],
                Some(("greet all", Some("2"))),
            ),
            (&[header, version], Some(("other", Some("3")))),
            (&[header], Some(("other", None))),
            (&[version], None),
        ] {
            let found = head(fields, false);
            let found = found
                .as_ref()
                .map(|it| (it.name.as_deref().unwrap(), it.version.as_deref()));
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn variables_are_taken_only_where_they_are_wanted_and_cut() {
        let long = "x".repeat(300);
        let fields = [
            (
                "baggage",
                "llm.prompt.variables.city=Rome,llm.prompt.variables.=none",
            ),
            ("X-Prompt-Variable-Text", long.as_str()),
            ("x-prompt-variable-city", "Oslo"),
        ];
        assert_eq!(head(&fields, false), None);
        let variables = head(&fields, true).unwrap().variables;
        let expected = [("Text", &long[..200]), ("city", "Oslo")];
        assert_eq!(
            variables,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn variables_stand_in_metadata_and_in_a_prompt_of_responses() {
        let body = r#"{"metadata":{"llm.prompt.variables.a":"1","team":"x"},
            "prompt":{"id":"p","variables":{"b":"2","c":{"type":"input_text","text":"3"},"d":{"type":"input_image"},"a":"4"}}}"#;
        let found = json::parse(body.as_bytes())
            .unwrap()
            .select(["metadata", "prompt"]);
        let mut template = None;
        add_variables_of(found, &mut template);
        let variables = template.unwrap().variables;
        let expected = [("a", "1"), ("b", "2"), ("c", "3")];
        assert_eq!(
            variables,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        let mut nothing = None;
        add_variables_of([None, None], &mut nothing);
        assert_eq!(nothing, None);
    }

    #[test]
    fn a_fingerprint_is_of_the_constant_part_alone() {
        let item = |raw, speaker| Item {
            segment: Segment {
                raw: Digest(raw),
                bytes: 1,
            },
            speaker,
            text: None,
        };
        let of = |tools: Option<u64>, items: &[(u64, Speaker)]| {
            fingerprint(&History {
                tools: tools.map(|raw| item(raw, Speaker::Other).segment),
                items: items
                    .iter()
                    .map(|(raw, speaker)| item(*raw, *speaker))
                    .collect(),
                ..History::default()
            })
        };
        let (system, user) = (Speaker::System, Speaker::User);
        assert_eq!(of(None, &[(2, user), (1, system)]), None);
        let constant = of(Some(9), &[(1, system), (2, user)]);
        assert_eq!(
            constant,
            of(Some(9), &[(1, system), (3, user), (4, system)])
        );
        assert_ne!(constant, of(Some(8), &[(1, system)]));
        assert_ne!(constant, of(Some(9), &[(5, system)]));
        assert_ne!(constant, of(None, &[(1, system)]));
    }
}
