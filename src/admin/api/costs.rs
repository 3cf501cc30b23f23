//! Sums of costs and tokens: `/api/costs?by=model,team&since=24h`, as JSON or as CSV.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use axum::extract::State;
use axum::http::header::{self, HeaderMap};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode_str;
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::Wrong;
use crate::admin::AdminState;
use crate::sink::costs::{Costs, Dimension, Sums, Table};

/// The schema of the sums of a row or of all of them, beside which a row has what it is told apart by.
pub(super) fn schema(is_row: bool) -> Value {
    let members = SUMS.iter().map(|name| {
        let schema = match *name {
            "usd" => {
                json!({ "type": ["string", "null"], "description": "What reported tokens cost, an exact decimal; `null` where no call has a price." })
            }
            "estimated_usd" => {
                json!({ "type": ["string", "null"], "description": "What estimated tokens cost; `null` likewise." })
            }
            _ => json!({ "type": "integer", "minimum": 0 }),
        };
        ((*name).to_owned(), schema)
    });
    let others = match is_row {
        true => json!({ "type": ["string", "null"] }),
        false => false.into(),
    };
    json!({
        "type": "object",
        "properties": members.collect::<Map<_, _>>(),
        "required": SUMS,
        "additionalProperties": others,
    })
}

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    /// Names and what they are.
    by: Vec<(&'static str, Dimension)>,
    /// How far back.
    since: Duration,
    /// As CSV; `None` leaves it to the `Accept` header.
    csv: Option<bool>,
}

/// Columns behind those that were asked for.
const SUMS: [&str; 9] = [
    "calls",
    "input_tokens",
    "output_tokens",
    "estimated_input_tokens",
    "estimated_output_tokens",
    "usd",
    "estimated_usd",
    "unpriced_calls",
    "partial_calls",
];

pub(super) async fn show(
    State(state): State<AdminState>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let costs = &state.costs;
    let asked = match asked(uri.query().unwrap_or_default(), &costs.dimensions()) {
        Ok(asked) => asked,
        Err(wrong) => return wrong.into_response(),
    };
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    let wants_csv = accept.is_some_and(|accept| accept.contains("text/csv"));
    let table = table(costs, &asked);
    let (kind, body) = match asked.csv.unwrap_or(wants_csv) {
        true => ("text/csv; charset=utf-8", csv(&asked, &table)),
        false => ("application/json", json(&asked, &table).to_string()),
    };
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

fn table(costs: &Costs, asked: &Asked) -> Table {
    let by: Vec<Dimension> = asked.by.iter().map(|(_, dimension)| *dimension).collect();
    let since = SystemTime::now().checked_sub(asked.since);
    costs.table(&by, since.unwrap_or(SystemTime::UNIX_EPOCH))
}

/// What a query asks for, or what is wrong with it.
fn asked(query: &str, known: &[(&'static str, Dimension)]) -> Result<Asked, Wrong> {
    let mut asked = Asked {
        by: Vec::new(),
        since: Duration::from_secs(24 * 3_600),
        csv: None,
    };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent_decode_str(value).decode_utf8_lossy();
        match name {
            "by" => {
                for name in value.split(',').filter(|name| !name.is_empty()) {
                    let found = known.iter().find(|(known, _)| *known == name);
                    let found = found.ok_or_else(|| {
                        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
                        let names = names.join(", ");
                        Wrong::parameter("by", format!("by: expected some of {names} with commas between them; telemetry.labels adds names"))
                    })?;
                    if !asked.by.contains(found) {
                        asked.by.push(*found);
                    }
                }
            }
            "since" => {
                let since = since(&value);
                asked.since = since.ok_or_else(|| {
                    let message = "since: expected how far back to go, such as 24h, 90m or 7d";
                    Wrong::parameter("since", message)
                })?;
            }
            "format" => {
                asked.csv = Some(match &*value {
                    "csv" => true,
                    "json" => false,
                    _ => return Err(Wrong::parameter("format", "format: expected json or csv")),
                });
            }
            _ => {
                let message = "expected by, since and format, and no other parameter";
                return Err(Wrong::new(StatusCode::BAD_REQUEST, message));
            }
        }
    }
    Ok(asked)
}

/// A number of days, hours or minutes.
fn since(text: &str) -> Option<Duration> {
    let (count, seconds) = [("d", 86_400), ("h", 3_600), ("m", 60)]
        .into_iter()
        .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)))?;
    let is_number = count.bytes().all(|byte| byte.is_ascii_digit());
    let count: u64 = count.parse().ok().filter(|_| is_number)?;
    Some(Duration::from_secs(count.checked_mul(seconds)?))
}

fn json(asked: &Asked, table: &Table) -> Value {
    let rows = table.rows.iter().map(|(key, sums)| {
        let names = asked.by.iter().map(|(name, _)| (*name).to_owned());
        let mut row: Map<String, Value> = names.zip(key.iter().map(|part| json!(part))).collect();
        row.extend(object(sums));
        Value::Object(row)
    });
    json!({
        "by": asked.by.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        "rows": rows.collect::<Vec<_>>(),
        "total": Value::Object(object(&table.total).collect()),
    })
}

/// Whole numbers as such, and money as text, which is exact. What no call has a price for is unknown, and not zero.
fn object(sums: &Sums) -> impl Iterator<Item = (String, Value)> {
    let is_priced = sums.cost().is_some();
    let money = |usd: Decimal| json!(is_priced.then(|| usd.normalize().to_string()));
    let cells = [
        json!(sums.calls),
        json!(sums.input_tokens),
        json!(sums.output_tokens),
        json!(sums.estimated_input_tokens),
        json!(sums.estimated_output_tokens),
        money(sums.usd),
        money(sums.estimated_usd),
        json!(sums.unpriced_calls),
        json!(sums.partial_calls),
    ];
    SUMS.map(str::to_owned).into_iter().zip(cells)
}

/// As RFC 4180 has it.
fn csv(asked: &Asked, table: &Table) -> String {
    let names = asked.by.iter().map(|(name, _)| *name);
    let mut text: String = names.chain(SUMS).map(cell).collect::<Vec<_>>().join(",");
    text.push_str("\r\n");
    for (key, sums) in &table.rows {
        for part in key {
            text.push_str(&cell(part.as_deref().unwrap_or_default()));
            text.push(',');
        }
        let sums: Vec<String> = object(sums)
            .map(|(_, value)| match value {
                Value::Null => String::new(),
                Value::String(text) => text,
                value => value.to_string(),
            })
            .collect();
        let _ = write!(text, "{}\r\n", sums.join(","));
    }
    text
}

/// What a formula begins with. The wide forms, which some spreadsheets take for the narrow ones, are U+FF1D, U+FF0B, U+FF0D and
/// U+FF20; a line feed is skipped as the other blanks are.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// A cell. A client chooses what stands in it, and a spreadsheet would run what begins like a formula.
fn cell(text: &str) -> String {
    let is_formula = text.starts_with(FORMULA);
    let text = if is_formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [(&str, Dimension); 3] = [
        ("hour", Dimension::Hour),
        ("model", Dimension::Part(1)),
        ("team", Dimension::Part(2)),
    ];

    #[test]
    fn a_query_is_read_or_told_what_would_be_right() {
        let day = Duration::from_secs(86_400);
        for (query, by, since, csv) in [
            ("", &[][..], day, None),
            (
                "by=team,model&since=7d",
                &[KNOWN[2], KNOWN[1]],
                7 * day,
                None,
            ),
            (
                "by=hour%2Cteam,team&format=csv",
                &[KNOWN[0], KNOWN[2]],
                day,
                Some(true),
            ),
            (
                "since=90m&format=json",
                &[],
                Duration::from_secs(5_400),
                Some(false),
            ),
        ] {
            let expected = Asked {
                by: by.to_vec(),
                since,
                csv,
            };
            assert_eq!(asked(query, &KNOWN), Ok(expected), "{query}");
        }
        for (query, wrong) in [
            ("by=user", "by: expected some of hour, model, team"),
            ("since=yesterday", "since: expected"),
            ("since=+1h", "since: expected"),
            ("since=99999999999999999d", "since: expected"),
            ("format=xml", "format: expected"),
            ("until=1h", "expected by, since and format"),
        ] {
            let told = asked(query, &KNOWN).unwrap_err().message;
            assert!(told.starts_with(wrong), "{query}: {told}");
        }
    }

    #[test]
    fn a_cell_is_quoted_and_no_formula() {
        for (text, expected) in [
            ("gpt-4o", "gpt-4o"),
            ("a,b", "\"a,b\""),
            ("a\"b", "\"a\"\"b\""),
            ("=1+1", "'=1+1"),
            ("@a,b", "\"'@a,b\""),
            ("＝1+1", "'＝1+1"),
            ("＋1", "'＋1"),
            ("－1", "'－1"),
            ("＠a", "'＠a"),
            ("\n=1", "\"'\n=1\""),
            ("ａ＝1", "ａ＝1"),
        ] {
            assert_eq!(cell(text), expected);
        }
    }
}
