//! Text from the wire without what a terminal would obey, and figures as people read them.

use std::fmt;

use serde::Deserialize;

/// Most characters of one text that are kept: no view shows more.
const MOST: usize = 2000;
/// Stands for a character that is not shown.
const REPLACED: char = '\u{fffd}';

/// Text that may have been chosen by a client or an upstream. It has no control character, nothing that changes the
/// direction of what follows, and no line end: a terminal takes it as letters.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text(String);

impl Text {
    /// The text, what is not letters replaced.
    pub(super) fn new(text: &str) -> Self {
        let shown = text.chars().take(MOST);
        Self(
            shown
                .map(|it| if is_shown(it) { it } else { REPLACED })
                .collect(),
        )
    }
}

impl std::ops::Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What a JSON value is written as, where it is no string: attributes are of every kind.
impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        Ok(match value {
            serde_json::Value::String(text) => Self::new(&text),
            other => Self::new(&other.to_string()),
        })
    }
}

/// Whether a terminal takes a character as one that is drawn. Controls (C0, DEL, C1) begin escape sequences; the others
/// turn the direction of a line around, end it, or have no width and so hide what a text says.
pub(super) fn is_shown(character: char) -> bool {
    !character.is_control()
        && !matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// Text of many lines that no terminal obeys: controls but line feeds and tabs replaced. All else stays, since joiners and marks of
/// direction belong to what people write in many scripts.
pub(crate) fn shown_lines(text: &str) -> String {
    let is_obeyed = |it: char| it.is_control() && !matches!(it, '\n' | '\t');
    text.replace(is_obeyed, REPLACED.encode_utf8(&mut [0; 4]))
}

/// JSON of which no character is obeyed by a terminal, and whose values are the same: what [`is_shown`] refuses is
/// written as `\u….`. Only strings can have such a character in them.
pub(crate) fn shown_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        if is_shown(character) {
            out.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}

/// A duration of so many milliseconds: `850 µs`, `4.2 ms`, `320 ms`, `1.25 s`, `3 m 20 s`.
pub(super) fn duration(ms: f64) -> String {
    match ms {
        ms if ms < 0.9995 => format!("{:.0} µs", ms * 1000.0),
        ms if ms < 9.95 => format!("{ms:.1} ms"),
        ms if ms < 999.5 => format!("{ms:.0} ms"),
        ms if ms < 59_995.0 => format!("{:.2} s", ms / 1000.0),
        ms => {
            let seconds = (ms / 1000.0).round() as u64;
            match seconds / 3600 {
                0 => format!("{} m {} s", seconds / 60, seconds % 60),
                hours => format!("{hours} h {} m", seconds / 60 % 60),
            }
        }
    }
}

/// A count, short: `950`, `12.3k`, `4.56M`.
pub(super) fn count(n: u64) -> String {
    match n {
        0..10_000 => n.to_string(),
        10_000..1_000_000 => format!("{:.1}k", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.2}M", n as f64 / 1e6),
        _ => format!("{:.2}G", n as f64 / 1e9),
    }
}

/// So many of something: `1 error`, `2 errors`.
pub(super) fn number(n: u64, of: &str) -> String {
    let ending = if n == 1 { "" } else { "s" };
    format!("{} {of}{ending}", count(n))
}

/// A share of 0 to 1: `62%`, `0.4%`. Nearly all is not all: `99.6%`.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let is_nearly_all = percent > 99.0 && percent < 99.95;
    match percent == 0.0 || (percent >= 9.95 && !is_nearly_all) {
        true => format!("{percent:.0}%"),
        false => format!("{percent:.1}%"),
    }
}

/// So many a second: `0.4`, `12.3`, `1250`.
pub(super) fn rate(per_second: f64) -> String {
    match per_second {
        it if it < 99.95 => format!("{it:.1}"),
        it if it < 9999.5 => format!("{it:.0}"),
        it => count(it as u64),
    }
}

/// A figure, with the mark of one that stands on estimated tokens.
pub(super) fn estimated(figure: String, is_estimated: bool) -> String {
    match is_estimated {
        true => format!("~{figure}"),
        false => figure,
    }
}

/// An amount in USD as it was given, exact, shortened to four digits after the leading zeros.
pub(super) fn usd(amount: &str) -> String {
    let Some((whole, fraction)) = amount.split_once('.') else {
        return format!("${amount}");
    };
    let zeros = fraction.len() - fraction.trim_start_matches('0').len();
    let is_small = whole.trim_start_matches('-').chars().all(|it| it == '0');
    let digits = if is_small { zeros + 4 } else { 4 };
    let fraction: String = fraction.chars().take(digits).collect();
    match fraction.trim_end_matches('0') {
        "" => format!("${whole}"),
        fraction => format!("${whole}.{fraction}"),
    }
}

/// The time of day, UTC, of an instant in milliseconds since the epoch: `14:03:59`.
pub(super) fn clock(at_ms: u64) -> String {
    let seconds = at_ms / 1000;
    let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}", seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left_of_a_text() {
        let wicked = "a\x1b]0;title\x07b\x1b[2Jc\u{9b}31md\u{202e}e\r\nf\u{7f}\u{200b}g\t";
        let text = Text::new(wicked);
        assert!(text.chars().all(is_shown), "{text:?}");
        assert_eq!(text.replace('\u{fffd}', ""), "a]0;titleb[2Jc31mdefg");
        let read: Text = serde_json::from_str("\"\\u001b[31mred\"").unwrap();
        assert_eq!(&*read, "\u{fffd}[31mred");
    }

    #[test]
    fn lines_keep_their_ends_and_tabs_and_lose_what_a_terminal_obeys() {
        let shown = shown_lines("a\tb\x1b[2J\r\nc\u{80}\u{9b}31m\u{7f}\0 عربي 👩\u{200d}👧\n");
        assert_eq!(
            shown,
            "a\tb\u{fffd}[2J\u{fffd}\nc\u{fffd}\u{fffd}31m\u{fffd}\u{fffd} عربي 👩\u{200d}👧\n"
        );
    }

    #[test]
    fn letters_of_every_script_stay() {
        for text in ["gpt-4o", "通义千问", "modèle", "emoji 🙂", "عربي"] {
            assert_eq!(&*Text::new(text), text);
        }
        assert_eq!(Text::new(&"x".repeat(1 << 20)).len(), MOST);
    }

    #[test]
    fn json_keeps_its_value_and_has_nothing_that_a_terminal_obeys() {
        let wicked = "\x1b[2J \u{9b}m \u{7f} \u{202e} \u{e0041} ü";
        let json = serde_json::to_string(wicked).unwrap();
        let shown = shown_json(&json);
        assert!(shown.chars().all(is_shown), "{shown}");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), wicked);
    }

    #[test]
    fn values_of_other_kinds_are_shown_as_json() {
        let read: Vec<Text> = serde_json::from_str("[1, 2.5, true, [\"a\"]]").unwrap();
        let shown: Vec<&str> = read.iter().map(|it| &**it).collect();
        assert_eq!(shown, ["1", "2.5", "true", "[\"a\"]"]);
    }

    #[test]
    fn figures_are_short() {
        let durations = [
            0.0,
            0.42,
            0.9996,
            9.94,
            9.96,
            999.4,
            999.6,
            59_994.0,
            61_000.0,
            3_720_000.0,
        ];
        let shown = durations.map(duration);
        let expected = [
            "0 µs", "420 µs", "1.0 ms", "9.9 ms", "10 ms", "999 ms", "1.00 s", "59.99 s",
            "1 m 1 s", "1 h 2 m",
        ];
        assert_eq!(shown, expected);
        let counts = [0, 9999, 12_345, 1_234_567, 2_000_000_000].map(count);
        assert_eq!(counts, ["0", "9999", "12.3k", "1.23M", "2.00G"]);
        assert_eq!(
            [0.04, 12.34, 1234.0, 20_000.0].map(rate),
            ["0.0", "12.3", "1234", "20.0k"]
        );
        assert_eq!(
            [0.0, 0.004, 0.62, 0.996, 1.0].map(percent),
            ["0%", "0.4%", "62%", "99.6%", "100%"]
        );
        assert_eq!(clock(86_400_000 + 3_723_999), "01:02:03");
    }

    #[test]
    fn small_amounts_keep_their_digits_and_large_ones_are_cut() {
        let amounts = ["0", "0.000012345678", "12.345678", "3.00", "0.10", "1"].map(usd);
        assert_eq!(
            amounts,
            ["$0", "$0.00001234", "$12.3456", "$3", "$0.1", "$1"]
        );
    }
}
