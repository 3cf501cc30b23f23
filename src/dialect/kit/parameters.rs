//! What a request asks for by name, written as a JSON object or as a form.
//!
//! The same rules hold for both: what is absent, `null` or empty is not asked for, and what is of a wrong type is taken as
//! absent and counted. In a form every value is text, so a number or a truth value is what its text spells.

use std::str::FromStr;

use crate::dialect::kit::member::{decode, keep, keep_str, typed};
use crate::dialect::part::{Part, Place, PromptKind, Role, Visitor, Words};
use crate::exchange::Problems;
use crate::parse::json::{self, Index, Kind, Text, Value};
use crate::parse::multipart::Form;

/// The parameters of a request.
#[derive(Debug, Clone, Copy)]
pub(in crate::dialect) enum Parameters<'a> {
    /// Members of an object.
    Members(Value<'a>),
    /// Fields of a form.
    Fields(&'a Form),
}

impl<'a> Parameters<'a> {
    /// Reads them from a body that must be one JSON object; a problem where it is none.
    pub(in crate::dialect) fn read_body(
        body: &[u8],
        problems: &mut Problems,
        read: impl FnOnce(Parameters<'_>, &mut Problems),
    ) {
        let text = decode(body);
        let mut index = Index::default();
        match json::parse_prefix_indexed(&text, &mut index) {
            Ok((object, "")) if object.kind() == Kind::Object => {
                read(Parameters::Members(object), problems);
            }
            _ => problems.malformed += 1,
        }
    }

    /// A text, cut at the bound of those that are kept.
    pub(in crate::dialect) fn text(self, name: &str, problems: &mut Problems) -> Option<String> {
        let member = |text: Text<'_>| Some(keep(text));
        self.read(
            name,
            problems,
            |value| value.as_text().and_then(member),
            |text| Some(keep_str(text)),
        )
    }

    /// Shows a text that is not for a model of language.
    pub(in crate::dialect) fn show(
        self,
        name: &str,
        problems: &mut Problems,
        prompt: &mut dyn Visitor,
    ) {
        let mut show = |text: Words<'_>| {
            prompt.prompt(PromptKind::Unknown);
            prompt.part(Place::said_by(Role::User), &Part::Text(text));
        };
        match self {
            Self::Members(object) => {
                let text = typed(object.get(name), problems, Value::as_text);
                text.into_iter().for_each(|text| show(text.into()));
            }
            Self::Fields(form) => {
                let text = form.get(name).filter(|text| !text.is_empty());
                text.into_iter()
                    .for_each(|text| show((&*decode(text)).into()));
            }
        }
    }

    /// A whole number.
    pub(in crate::dialect) fn integer(self, name: &str, problems: &mut Problems) -> Option<i64> {
        self.read(name, problems, Value::as_i64, spelled)
    }

    /// A number.
    pub(in crate::dialect) fn float(self, name: &str, problems: &mut Problems) -> Option<f64> {
        let finite = |text: &str| spelled(text).filter(|number: &f64| number.is_finite());
        self.read(name, problems, Value::as_f64, finite)
    }

    /// A truth value: as text `true` or `false` in any case, as Python spells them too, or a digit.
    pub(in crate::dialect) fn flag(self, name: &str, problems: &mut Problems) -> Option<bool> {
        self.read(name, problems, Value::as_bool, |text| match text.trim() {
            "1" => Some(true),
            "0" => Some(false),
            word => spelled(&word.to_ascii_lowercase()),
        })
    }

    fn read<T>(
        self,
        name: &str,
        problems: &mut Problems,
        member: impl FnOnce(Value<'a>) -> Option<T>,
        field: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        match self {
            Self::Members(object) => typed(object.get(name), problems, member),
            Self::Fields(form) => {
                let value = form.get(name).filter(|value| !value.is_empty())?;
                let read = field(&decode(value));
                problems.mistyped += u64::from(read.is_none());
                read
            }
        }
    }
}

fn spelled<T: FromStr>(text: &str) -> Option<T> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::fold::PromptLength;

    #[derive(Debug, PartialEq)]
    struct Asked {
        text: Option<String>,
        length: Option<u64>,
        integer: Option<i64>,
        float: Option<f64>,
        flag: Option<bool>,
        mistyped: u64,
    }

    fn ask(parameters: Parameters<'_>) -> Asked {
        let mut problems = Problems::default();
        Asked {
            text: parameters.text("t", &mut problems),
            length: {
                let mut length = PromptLength::default();
                parameters.show("t", &mut problems, &mut length);
                length.chars()
            },
            integer: parameters.integer("i", &mut problems),
            float: parameters.float("f", &mut problems),
            flag: parameters.flag("b", &mut problems),
            mistyped: problems.mistyped,
        }
    }

    fn form(fields: [(&'static str, &str); 4]) -> Asked {
        let mut form = Form::default();
        for (name, value) in fields {
            form.set(name, value.into());
        }
        ask(Parameters::Fields(&form))
    }

    fn json(body: &str) -> Asked {
        let mut asked = None;
        let mut problems = Problems::default();
        Parameters::read_body(body.as_bytes(), &mut problems, |members, _| {
            asked = Some(ask(members));
        });
        assert_eq!(problems, Problems::default());
        asked.unwrap()
    }

    #[test]
    fn a_form_and_an_object_ask_alike() {
        let all = Asked {
            text: Some("né".into()),
            length: Some(2),
            integer: Some(-2),
            float: Some(0.5),
            flag: Some(true),
            mistyped: 0,
        };
        assert_eq!(
            form([("t", "né"), ("i", " -2"), ("f", "0.5"), ("b", "True")]),
            all
        );
        assert_eq!(json(r#"{"t":"né","i":-2,"f":0.5,"b":true}"#), all);
        let none = Asked {
            text: None,
            length: None,
            integer: None,
            float: None,
            flag: None,
            mistyped: 0,
        };
        assert_eq!(form([("t", ""), ("i", ""), ("f", ""), ("b", "")]), none);
        assert_eq!(json(r#"{"t":null,"i":null}"#), none);
        let mistyped = Asked {
            mistyped: 3,
            ..none
        };
        let wrong = form([("x", "a"), ("i", "two"), ("f", "inf"), ("b", "yes!")]);
        assert_eq!(wrong, mistyped);
        assert_eq!(json(r#"{"i":"2","f":"1","b":1}"#), mistyped);
    }

    #[test]
    fn a_body_that_is_no_object_is_malformed() {
        for body in ["", "[]", "{", "{} {}"] {
            let mut problems = Problems::default();
            Parameters::read_body(body.as_bytes(), &mut problems, |_, _| {
                panic!("{body:?} was read")
            });
            assert_eq!(problems.malformed, 1, "{body:?}");
        }
    }
}
