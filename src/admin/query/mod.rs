//! The query language of lists: terms with blanks between them, all of which must hold.
//!
//! `model:gpt* -end:done ttft>2s has:error "a b"`. A term is `FIELD:GLOB` (whatever the case; `*`; `a|b` for either), `FIELD>N` with
//! `>`, `>=`, `<`, `<=` or `=` and a unit, `has:FIELD`, or a word that is looked for in model, path, upstream, error, conversation and trace;
//! `-` before it turns it round. Quotes hold blanks and whatever else has a meaning.

mod field;
mod parse;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::view::Row;

use field::{Field, Unit, Values};

/// What rows must be like; the default takes all of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query(Vec<Term>);

/// What is wrong with a query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Mistake {
    /// What would be right.
    pub message: String,
    /// Where it stands, in characters from 0.
    pub position: usize,
}

#[derive(Debug, Clone, PartialEq)]
struct Term {
    negated: bool,
    condition: Condition,
}

#[derive(Debug, Clone, PartialEq)]
enum Condition {
    /// One of these is a value of the field.
    Is(&'static Field, Vec<Glob>),
    /// A number is so.
    Compared(&'static Field, Comparison, f64),
    /// There is a value.
    Has(&'static Field),
    /// It is in one of the texts of [`field::SEARCHED`]; in small letters.
    Word(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    More,
    AtLeast,
    Less,
    AtMost,
    Equal,
}

/// A text in which `*` stands for anything, in small letters: what is between these.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Glob(Vec<String>);

impl Query {
    /// Reads a query. An empty one takes all rows.
    ///
    /// # Errors
    /// The first mistake in it.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        parse::terms(text).map(Self)
    }

    /// Whether it takes this row.
    #[must_use]
    pub fn takes(&self, row: &Row<'_>) -> bool {
        self.0
            .iter()
            .all(|term| term.negated != term.condition.holds(row))
    }
}

impl Condition {
    fn holds(&self, row: &Row<'_>) -> bool {
        match self {
            Self::Is(field, globs) => {
                field.any_text(row, |text| globs.iter().any(|it| it.fits(text)))
            }
            Self::Compared(field, comparison, than) => match field.values {
                Values::Number(_, number) => {
                    number(row).is_some_and(|it| comparison.holds(it, *than))
                }
                Values::Text(_) | Values::Word(..) => false,
            },
            Self::Has(field) => field.is_there(row),
            Self::Word(word) => field::SEARCHED
                .iter()
                .any(|field| field.any_text(row, |text| text.to_lowercase().contains(word))),
        }
    }
}

impl Comparison {
    fn holds(self, one: f64, than: f64) -> bool {
        match self {
            Self::More => one > than,
            Self::AtLeast => one >= than,
            Self::Less => one < than,
            Self::AtMost => one <= than,
            // Times are kept to the microsecond.
            Self::Equal => (one - than).abs() < 1e-9,
        }
    }
}

impl Glob {
    fn new(text: &str) -> Self {
        Self(text.to_lowercase().split('*').map(str::to_owned).collect())
    }

    fn fits(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        let [first, between @ .., last] = self.0.as_slice() else {
            // Without a `*`.
            return self.0.first().is_some_and(|whole| *whole == text);
        };
        let Some(mut rest) = text.strip_prefix(first.as_str()) else {
            return false;
        };
        for part in between {
            let Some((_, after)) = rest.split_once(part.as_str()) else {
                return false;
            };
            rest = after;
        }
        rest.ends_with(last.as_str())
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Instant => "a time in milliseconds since 1970, such as 1767225600000",
            Self::Time => "a time such as 250ms, 2s or 1.5m",
            Self::Count => "a number such as 20, 8k or 1.5M",
            Self::Usd => "an amount in USD such as 0.05",
        })
    }
}
