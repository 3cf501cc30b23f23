//! The fields of a line of text: `name=value` one behind another, so that a line can be cut into them again.
//!
//! A value stands in quotes where it would not be told apart from what is around it, however it came to be logged. What comes
//! with `tracing` has a text in quotes and what is shown by its own words without any, whatever is in it.

use std::error::Error;
use std::fmt::{self, Debug};

use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

/// The field that is the line's own text.
const MESSAGE: &str = "message";

/// Writes the fields of lines for people.
#[derive(Debug)]
pub(super) struct TextFields;

impl<'w> FormatFields<'w> for TextFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut line = Line {
            writer,
            is_first: true,
            outcome: Ok(()),
        };
        fields.record(&mut line);
        line.outcome
    }
}

struct Line<'w> {
    writer: Writer<'w>,
    is_first: bool,
    outcome: fmt::Result,
}

impl Line<'_> {
    fn put(&mut self, name: &str, value: &str) {
        if self.outcome.is_ok() {
            self.outcome = self.written(name, value);
        }
    }

    fn written(&mut self, name: &str, value: &str) -> fmt::Result {
        if !std::mem::take(&mut self.is_first) {
            self.writer.write_char(' ')?;
        }
        if name == MESSAGE {
            return self.writer.write_str(value);
        }
        match self.writer.has_ansi_escapes() {
            true => write!(self.writer, "\x1b[3m{name}\x1b[0m\x1b[2m=\x1b[0m")?,
            false => write!(self.writer, "{name}=")?,
        }
        match is_plain(value) {
            true => self.writer.write_str(value),
            false => write!(self.writer, "{value:?}"),
        }
    }
}

/// Whether a value is one word, and nothing in it ends it.
fn is_plain(value: &str) -> bool {
    let ends = |at: char| at.is_whitespace() || at.is_control() || matches!(at, '"' | '=');
    !value.is_empty() && !value.contains(ends)
}

impl Visit for Line<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.put(field.name(), &value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field.name(), &format!("{value:?}"));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    use tracing::{Level, event};
    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::layer::SubscriberExt as _;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<String>>);

    impl std::io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let text = std::str::from_utf8(bytes).unwrap();
            self.0.lock().unwrap().push_str(text);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Written {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    /// What is written of what is logged, from the message on.
    pub(crate) fn written(ansi: bool, log: impl FnOnce()) -> String {
        let written = Written::default();
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(written.clone())
            .with_ansi(ansi)
            .without_time()
            .with_level(false)
            .with_target(false)
            .fmt_fields(TextFields);
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, log);
        written.0.lock().unwrap().trim().to_owned()
    }

    #[test]
    fn a_value_is_quoted_by_what_is_in_it_and_not_by_how_it_was_logged() {
        for (value, shown) in [
            ("word", "word"),
            ("http://a/v1?b", "http://a/v1?b"),
            ("two words", r#""two words""#),
            ("a=b", r#""a=b""#),
            (r#"say "a""#, r#""say \"a\"""#),
            ("", r#""""#),
            ("a\nb", r#""a\nb""#),
            ("\x1b[31m", r#""\u{1b}[31m""#),
        ] {
            let by_text = written(false, || event!(Level::INFO, value, "said"));
            let by_words = written(false, || event!(Level::INFO, value = %value, "said"));
            let expected = format!("said value={shown}");
            assert_eq!((by_text, by_words), (expected.clone(), expected));
        }
    }

    #[test]
    fn numbers_and_what_is_absent_are_as_they_were() {
        let line = written(false, || {
            event!(
                Level::INFO,
                count = 7,
                none = None::<u64>,
                is = true,
                "said it"
            );
        });
        assert_eq!(line, "said it count=7 is=true");
    }

    #[test]
    fn names_are_coloured_where_lines_are() {
        let line = written(true, || event!(Level::INFO, a = "b", "said"));
        assert!(line.contains("\x1b[3ma\x1b[0m\x1b[2m=\x1b[0mb"), "{line:?}");
    }
}
