//! The parameters of a request.

use std::str::FromStr;
use std::time::Duration;

use axum::http::{StatusCode, Uri};
use percent_encoding::percent_decode_str;

use super::Wrong;
use crate::admin::query::Query;

/// Names and values of a query, decoded; each name once.
#[derive(Debug)]
pub(super) struct Asked(Vec<(&'static str, String)>);

impl Asked {
    /// Those of a URI, which may have these names.
    ///
    /// # Errors
    /// A name that is none of them or comes twice, and a value that is no UTF-8.
    pub(super) fn of(uri: &Uri, names: &[&'static str]) -> Result<Self, Wrong> {
        let mut asked: Vec<(&'static str, String)> = Vec::new();
        let pairs = uri.query().unwrap_or_default().split('&');
        for pair in pairs.filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decoded(name).unwrap_or_default();
            let Some(known) = names.iter().find(|known| **known == name) else {
                let expected = match names {
                    [] => "expected no parameters".to_owned(),
                    names => format!("expected {}, and no other parameter", names.join(", ")),
                };
                return Err(Wrong::new(StatusCode::BAD_REQUEST, expected));
            };
            if asked.iter().any(|(before, _)| before == known) {
                return Err(Wrong::parameter(known, "expected it once"));
            }
            let value = decoded(value).ok_or_else(|| Wrong::parameter(known, "expected UTF-8"))?;
            asked.push((known, value));
        }
        Ok(Self(asked))
    }

    /// The value of a parameter.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A value of a type of its own.
    pub(super) fn value<T: FromStr>(
        &self,
        name: &'static str,
        expected: &str,
    ) -> Result<Option<T>, Wrong> {
        let value = self.get(name).map(str::parse).transpose();
        value.map_err(|_| Wrong::parameter(name, expected))
    }

    /// How many are asked for, at most so many.
    pub(super) fn limit(&self, default: usize, most: usize) -> Result<usize, Wrong> {
        let Some(text) = self.get("limit") else {
            return Ok(default);
        };
        let limit = number(text).and_then(|limit| usize::try_from(limit).ok());
        limit
            .filter(|limit| (1..=most).contains(limit))
            .ok_or_else(|| Wrong::parameter("limit", format!("expected a number from 1 to {most}")))
    }

    /// An id.
    pub(super) fn id(&self, name: &'static str) -> Result<Option<u64>, Wrong> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let id = number(text).ok_or_else(|| Wrong::parameter(name, "expected an id, a number"))?;
        Ok(Some(id))
    }

    /// What exchanges are asked for.
    pub(super) fn query(&self) -> Result<Query, Wrong> {
        Query::parse(self.get("q").unwrap_or_default()).map_err(|mistake| Wrong {
            position: Some(mistake.position),
            ..Wrong::parameter("q", mistake.message)
        })
    }

    /// A time.
    pub(super) fn duration(&self, name: &'static str) -> Result<Option<Duration>, Wrong> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let time = duration(text);
        let expected = "expected a number with s, m or h behind it, such as 15m, of at most 24h";
        time.ok_or_else(|| Wrong::parameter(name, expected))
            .map(Some)
    }
}

/// As forms and `URLSearchParams` write it; `None` where it is no UTF-8.
fn decoded(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    let text = percent_decode_str(&text).decode_utf8();
    text.ok().map(std::borrow::Cow::into_owned)
}

/// A number without a sign.
pub(super) fn number(text: &str) -> Option<u64> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

fn duration(text: &str) -> Option<Duration> {
    const MOST: u64 = 24 * 3_600;
    let (count, seconds) = [("s", 1), ("m", 60), ("h", 3_600)]
        .into_iter()
        .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)))?;
    let seconds = number(count)?.checked_mul(seconds)?;
    (1..=MOST)
        .contains(&seconds)
        .then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> Result<Asked, Wrong> {
        let uri = format!("/x?{query}").parse().unwrap();
        Asked::of(&uri, &["q", "limit", "before", "since"])
    }

    #[test]
    fn values_are_decoded_as_pages_write_them() {
        let asked = asked("q=model%3Agpt*+-end:done&limit=7&before=12&since=90s").unwrap();
        assert_eq!(asked.get("q"), Some("model:gpt* -end:done"));
        assert_eq!(
            (asked.limit(1, 10).unwrap(), asked.id("before").unwrap()),
            (7, Some(12))
        );
        assert_eq!(
            asked.duration("since").unwrap(),
            Some(Duration::from_secs(90))
        );
        assert!(asked.query().is_ok());
    }

    #[test]
    fn what_is_wrong_names_its_parameter() {
        for (query, parameter) in [("q=a&q=b", "q"), ("q=%FF", "q")] {
            assert_eq!(
                asked(query).unwrap_err().parameter,
                Some(parameter),
                "{query}"
            );
        }
        assert!(
            asked("Q=a")
                .unwrap_err()
                .message
                .contains("q, limit, before")
        );
        for limit in ["0", "11", "+1", "-1", "x", "", "99999999999999999999"] {
            let wrong = asked(&format!("limit={limit}")).unwrap().limit(1, 10);
            assert!(wrong.is_err(), "{limit}");
        }
        for since in ["0s", "25h", "1d", "+1s", "s", "", "1"] {
            let wrong = asked(&format!("since={since}")).unwrap().duration("since");
            assert!(wrong.is_err(), "{since}");
        }
        let wrong = asked("q=a+b:c").unwrap().query().unwrap_err();
        assert_eq!((wrong.parameter, wrong.position), (Some("q"), Some(2)));
    }
}
