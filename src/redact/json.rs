//! Texts that are JSON: each string in one is looked at as what it says, not as it is written, and a string that is JSON
//! itself in the same way. Members keep their order, and what is not replaced stays as it was written.

use serde::de::IgnoredAny;

use super::detector::Detector;
use super::member::Says;
use super::unescaped::Unescaped;

/// Fewest digits of a number that may be one of somebody's.
const NUMBER_DIGITS: usize = 9;

/// Whether a text is a JSON object, array or string.
pub(super) fn is_json(text: &str) -> bool {
    let trimmed = text.trim();
    trimmed.starts_with(['{', '[', '"']) && serde_json::from_str::<IgnoredAny>(trimmed).is_ok()
}

/// The text, which is JSON, with what `redact` finds in its strings and numbers replaced, and, where `by_name`, what stands
/// under names of credentials; `None` where nothing is.
pub(super) fn redact(
    text: &str,
    by_name: bool,
    redact: &dyn Fn(&str) -> Option<String>,
) -> Option<String> {
    let mut walk = Walk {
        text,
        by_name,
        redact,
        kept: 0,
        out: String::new(),
        open: Vec::new(),
        says: Says::Nothing,
    };
    walk.run();
    (walk.kept > 0).then(|| walk.out + &text[walk.kept..])
}

struct Walk<'t> {
    text: &'t str,
    by_name: bool,
    redact: &'t dyn Fn(&str) -> Option<String>,
    /// How much of the text is in `out` already.
    kept: usize,
    out: String,
    /// What the names above say of all that stands in each object or array that is open.
    open: Vec<Says>,
    /// What the name before a value says of it.
    says: Says,
}

impl Walk<'_> {
    fn run(&mut self) {
        let bytes = self.text.as_bytes();
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'"' => at = self.string(at),
                b'{' | b'[' => {
                    let above = self.open.last().copied().unwrap_or(Says::Nothing);
                    let says = std::mem::replace(&mut self.says, Says::Nothing);
                    self.open
                        .push(if says == Says::Nothing { above } else { says });
                    at += 1;
                }
                b'}' | b']' => {
                    self.open.pop();
                    at += 1;
                }
                b'-' | b'0'..=b'9' => at = self.number(at),
                b',' => {
                    self.says = Says::Nothing;
                    at += 1;
                }
                _ => at += 1,
            }
        }
    }

    /// What the nearest name says of the value that follows.
    fn said(&self) -> Says {
        match self.says {
            Says::Nothing => self.open.last().copied().unwrap_or(Says::Nothing),
            says => says,
        }
    }

    fn string(&mut self, start: usize) -> usize {
        let end = end_of_string(self.text.as_bytes(), start);
        let literal = &self.text[start..end];
        // Half of a surrogate pair is allowed in JSON, and no text.
        let decoded: String = serde_json::from_str(literal).unwrap_or_else(|_| {
            let plain = Unescaped::of(literal.trim_matches('"'));
            plain.map(|plain| plain.text).unwrap_or_default()
        });
        let is_name = self.text[end..].trim_start().starts_with(':');
        if is_name && self.by_name {
            self.says = Says::of(&decoded);
        }
        let replaced = if !is_name && self.said().hides(&decoded) {
            Some(Detector::Member.mark().to_owned())
        } else {
            (self.redact)(&decoded)
        };
        if let Some(replaced) = replaced {
            self.replace(start, end, &replaced);
        }
        end
    }

    fn number(&mut self, start: usize) -> usize {
        let rest = &self.text[start..];
        let is_of_number = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
        let number = rest
            .find(|c| !is_of_number(c))
            .map_or(rest, |end| &rest[..end]);
        let replaced = if self.said() == Says::Secret {
            Some(Detector::Member.mark().to_owned())
        } else if number.len() >= NUMBER_DIGITS {
            (self.redact)(number)
        } else {
            None
        };
        if let Some(replaced) = replaced {
            self.replace(start, start + number.len(), &replaced);
        }
        start + number.len()
    }

    fn replace(&mut self, start: usize, end: usize, by: &str) {
        self.out.push_str(&self.text[self.kept..start]);
        self.out.push_str(&serde_json::Value::from(by).to_string());
        self.kept = end;
    }
}

/// Where the string that starts here ends, its last quote included.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    loop {
        match memchr::memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
            None => return bytes.len(),
            Some(skipped) if bytes[at + skipped] == b'"' => return at + skipped + 1,
            Some(skipped) => at += skipped + 2,
        }
    }
}
