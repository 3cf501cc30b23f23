//! From the text of a query to its terms.

use super::field::{self, FIELDS, Field, Unit, Values};
use super::{Comparison, Condition, Glob, Mistake, Term};

/// Longest query, in characters.
const CHARS_MAX: usize = 2_000;
/// Most terms of a query.
const TERMS_MAX: usize = 64;

/// What is said of a value that is missing: a blank ends a term.
const NO_BLANK: &str = ", with no blank before it, as in ttft>2s or model:gpt*";

/// A character, and whether it stood in quotes, where nothing has a meaning.
type Char = (char, bool);

/// A word, and where it begins.
struct Word {
    at: usize,
    chars: Vec<Char>,
}

pub(super) fn terms(text: &str) -> Result<Vec<Term>, Mistake> {
    if text.chars().nth(CHARS_MAX).is_some() {
        return Err(mistake(
            CHARS_MAX,
            format!("expected at most {CHARS_MAX} characters"),
        ));
    }
    let words = words(text)?;
    if let Some(word) = words.get(TERMS_MAX) {
        return Err(mistake(
            word.at,
            format!("expected at most {TERMS_MAX} terms"),
        ));
    }
    words.iter().map(term).collect()
}

fn mistake(position: usize, message: impl Into<String>) -> Mistake {
    Mistake {
        message: message.into(),
        position,
    }
}

/// The words of a query. Of a quote in quotes a backslash is before it.
fn words(text: &str) -> Result<Vec<Word>, Mistake> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut quote = None;
    let mut chars = text.chars().enumerate().peekable();
    while let Some((at, c)) = chars.next() {
        if quote.is_none() && c.is_whitespace() {
            words.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_with(|| Word {
            at,
            chars: Vec::new(),
        });
        match c {
            '"' if quote.is_some() => quote = None,
            '"' => quote = Some(at),
            '\\' if quote.is_some() => {
                let next = chars.next_if(|(_, next)| matches!(next, '"' | '\\'));
                word.chars.push((next.map_or(c, |(_, next)| next), true));
            }
            c => word.chars.push((c, quote.is_some())),
        }
    }
    if let Some(at) = quote {
        return Err(mistake(at, "expected another \" where the quotes end"));
    }
    words.extend(word);
    Ok(words)
}

fn term(word: &Word) -> Result<Term, Mistake> {
    let negated = matches!(word.chars.as_slice(), [('-', false), _, ..]);
    let skipped = usize::from(negated);
    let condition = condition(&word.chars[skipped..], word.at + skipped)?;
    Ok(Term { negated, condition })
}

fn condition(chars: &[Char], at: usize) -> Result<Condition, Mistake> {
    let is_sign = |(c, quoted): &Char| !quoted && matches!(c, ':' | '<' | '>' | '=');
    let Some(sign) = chars.iter().position(is_sign) else {
        let word = text(chars).to_lowercase();
        return match word.is_empty() {
            true => Err(mistake(
                at,
                "expected a word or a term in place of empty quotes",
            )),
            false => Ok(Condition::Word(word)),
        };
    };
    let (name, rest) = chars.split_at(sign);
    if name.is_empty() {
        return Err(mistake(
            at,
            format!(
                "expected a field before {}, with no blank between them, as in ttft>2s or model:gpt*",
                rest[0].0
            ),
        ));
    }
    let (name, quoted) = (text(name), name.iter().any(|(_, quoted)| *quoted));
    let value_at = at + sign + 1;
    if rest[0].0 == ':' {
        if name == "has" {
            if rest.len() == 1 {
                return Err(mistake(value_at, format!("expected a field{NO_BLANK}")));
            }
            return Ok(Condition::Has(field_named(&text(&rest[1..]), value_at)?));
        }
        return is(field_of(&name, quoted, at)?, &rest[1..], value_at);
    }
    compared(field_of(&name, quoted, at)?, rest, at + sign)
}

fn text(chars: &[Char]) -> String {
    chars.iter().map(|(c, _)| *c).collect()
}

fn field_of(name: &str, quoted: bool, at: usize) -> Result<&'static Field, Mistake> {
    let field = field_named(name, at);
    // A word in quotes that goes on behind them was meant as a word.
    field.map_err(|wrong| match quoted {
        true => mistake(at, "expected the quotes around the whole word"),
        false => wrong,
    })
}

fn field_named(name: &str, at: usize) -> Result<&'static Field, Mistake> {
    field::named(name).ok_or_else(|| {
        let names: Vec<&str> = FIELDS.iter().map(|field| field.name).collect();
        let names = names.join(", ");
        mistake(
            at,
            format!("expected a field in place of {name:?}: {names}; quotes make a word of it"),
        )
    })
}

/// `FIELD:GLOB`, of which there may be several.
fn is(field: &'static Field, chars: &[Char], at: usize) -> Result<Condition, Mistake> {
    if let Values::Number(unit @ (Unit::Time | Unit::Usd), _) = field.values {
        let name = field.name;
        return Err(mistake(
            at - 1,
            format!("expected {name}>N, {name}<N or {name}=N, N being {unit}"),
        ));
    }
    let mut globs = Vec::new();
    for glob in chars.split(|c| *c == ('|', false)) {
        if glob.is_empty() {
            let no_blank = if chars.is_empty() { NO_BLANK } else { "" };
            return Err(mistake(
                at,
                format!("expected a text, in which * stands for anything{no_blank}"),
            ));
        }
        let text = text(glob);
        let glob = Glob::new(&text);
        if let Values::Word(words, _) = field.values
            && !words.iter().any(|word| glob.fits(word))
        {
            let mut words = words.to_vec();
            words.dedup();
            let (name, words) = (field.name, words.join(", "));
            return Err(mistake(
                at,
                format!("expected one of {words} in place of {text:?}: no {name} is so"),
            ));
        }
        globs.push(glob);
    }
    Ok(Condition::Is(field, globs))
}

/// `FIELD>N`.
fn compared(field: &'static Field, signs: &[Char], at: usize) -> Result<Condition, Mistake> {
    let Values::Number(unit, _) = field.values else {
        let name = field.name;
        return Err(mistake(
            at,
            format!("expected {name}:TEXT: {name} is no number"),
        ));
    };
    let (comparison, length) = match signs {
        [('>', _), ('=', false), ..] => (Comparison::AtLeast, 2),
        [('<', _), ('=', false), ..] => (Comparison::AtMost, 2),
        [('>', _), ..] => (Comparison::More, 1),
        [('<', _), ..] => (Comparison::Less, 1),
        _ => (Comparison::Equal, 1),
    };
    let value = text(&signs[length..]);
    let number = number(&value, unit).ok_or_else(|| {
        let no_blank = if value.is_empty() { NO_BLANK } else { "" };
        mistake(at + length, format!("expected {unit}{no_blank}"))
    })?;
    Ok(Condition::Compared(field, comparison, number))
}

/// A number with the unit behind it; times without are in milliseconds.
fn number(text: &str, unit: Unit) -> Option<f64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (digits, suffix) = text.split_at(end.unwrap_or(text.len()));
    let factor = match (unit, suffix) {
        (Unit::Time, "us" | "µs") => 1e-3,
        (Unit::Time, "" | "ms") => 1.0,
        (Unit::Time, "s") => 1e3,
        (Unit::Time, "m") => 60e3,
        (Unit::Time, "h") => 3_600e3,
        (Unit::Instant | Unit::Count | Unit::Usd, "") => 1.0,
        (Unit::Count, "k") => 1e3,
        (Unit::Count, "M") => 1e6,
        _ => return None,
    };
    let number: f64 = digits.parse().ok()?;
    Some(number * factor)
}
