//! What of a row can be asked for.

use rust_decimal::prelude::ToPrimitive as _;

use crate::exchange::End;
use crate::view::Row;

/// A field: one row of [`FIELDS`].
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) values: Values,
}

/// Shows each text that a row has in a field.
type Texts = fn(&Row<'_>, &mut dyn FnMut(&str));

/// What values it has.
#[derive(Debug)]
pub(super) enum Values {
    /// Texts, each of which is shown.
    Text(Texts),
    /// One text out of these.
    Word(&'static [&'static str], Texts),
    /// A number; `None` where there is none.
    Number(Unit, fn(&Row<'_>) -> Option<f64>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// In milliseconds.
    Time,
    /// In milliseconds since 1970. No duration, so that no unit of one may stand behind it.
    Instant,
    Count,
    Usd,
}

impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Field {
    /// Whether a text of it is so. A count is a text, too.
    pub(super) fn any_text(&self, row: &Row<'_>, is: impl Fn(&str) -> bool) -> bool {
        let mut any = false;
        match self.values {
            Values::Text(show) | Values::Word(_, show) => show(row, &mut |text| any |= is(text)),
            Values::Number(_, number) => {
                any = number(row).is_some_and(|number| is(&number.to_string()));
            }
        }
        any
    }

    pub(super) fn is_there(&self, row: &Row<'_>) -> bool {
        match self.values {
            Values::Text(_) | Values::Word(..) => self.any_text(row, |_| true),
            Values::Number(_, number) => number(row).is_some(),
        }
    }
}

/// The field of that name.
pub(super) fn named(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.name == name)
}

fn count(count: Option<u64>) -> Option<f64> {
    count.map(|count| count as f64)
}

macro_rules! text {
    ($name:literal, $row:ident => $value:expr) => {
        Field {
            name: $name,
            values: Values::Text(|$row, show| {
                if let Some(text) = $value {
                    show(text);
                }
            }),
        }
    };
}

macro_rules! number {
    ($name:literal, $unit:ident, $row:ident => $value:expr) => {
        Field {
            name: $name,
            values: Values::Number(Unit::$unit, |$row| $value),
        }
    };
}

/// Every field.
pub(super) static FIELDS: [Field; 27] = [
    text!("model", row => row.model.as_deref()),
    text!("upstream", row => row.upstream.as_deref()),
    text!("route", row => row.route.as_deref()),
    text!("provider", row => row.provider.as_deref()),
    text!("operation", row => row.operation.as_deref()),
    text!("path", row => Some(&*row.path)),
    text!("method", row => Some(&*row.method)),
    number!("status", Count, row => row.status.map(f64::from)),
    Field {
        name: "end",
        values: Values::Word(&End::NAMES, |row, show| show(&row.end)),
    },
    text!("error", row => row.error.as_deref()),
    Field {
        name: "finish",
        values: Values::Text(|row, show| row.finish_reasons.iter().for_each(|it| show(it))),
    },
    Field {
        name: "stream",
        values: Values::Word(&["true", "false"], |row, show| {
            show(if row.streamed { "true" } else { "false" });
        }),
    },
    number!("ttft", Time, row => row.time_to_first_token_ms),
    number!("tpot", Time, row => row.time_per_output_token_ms),
    number!("duration", Time, row => Some(row.duration_ms)),
    number!("chunks", Count, row => count(row.chunks)),
    number!("in", Count, row => count(row.input_tokens)),
    number!("out", Count, row => count(row.output_tokens)),
    number!("cached", Count, row => count(row.cached_tokens)),
    number!("cost", Usd, row => row.cost_usd.and_then(|usd| usd.0.to_f64())),
    number!("tools", Count, row => Some(row.tool_calls as f64)),
    number!("stalls", Count, row => Some(row.stalls as f64)),
    Field {
        name: "conversation",
        values: Values::Text(|row, show| {
            row.conversation.iter().for_each(|id| show(&id.to_string()));
        }),
    },
    number!("turn", Count, row => row.turn.map(f64::from)),
    Field {
        name: "trace",
        values: Values::Text(|row, show| {
            let ids = row.trace_id.iter().chain(&row.upstream_trace_id);
            ids.for_each(|id| show(&id.to_string()));
        }),
    },
    text!("key", row => row.key_fingerprint.as_deref()),
    number!("ended", Instant, row => Some(row.ended_at_ms() as f64)),
];

/// Where a word is looked for.
pub(super) static SEARCHED: [&Field; 6] = [
    &FIELDS[0],
    &FIELDS[5],
    &FIELDS[1],
    &FIELDS[9],
    &FIELDS[22],
    &FIELDS[24],
];
