//! Chunks that differ from the one before in their text alone, read without reading the rest again.
//!
//! Nearly every chunk of a stream repeats its envelope byte for byte: id, model, index, all but the text of its delta
//! and OpenAI's `obfuscation`. A [`Template`] is such a chunk with holes in place of these two strings. What fits it is
//! a JSON value of the same shape, in which a full reading would find the same members with the same values, and settle
//! the same facts once more; only the text is new. It brought a chunk from 12,200 instructions to 2,600, framing and
//! folding included (`cargo bench --bench observe` under callgrind).

use crate::dialect::contract::Output;
use crate::dialect::kit::choice::DeltaText;
use crate::dialect::kit::message::REASONING;
use crate::parse::json::{self, Kind, Text, Value};

/// Templates that may be made in vain, one after another, before a stream is taken for one whose envelopes all differ.
const VAIN_MAX: u8 = 8;

/// OpenAI's padding against guessing by length: a string of its own on each chunk, which nobody reads.
const PADDING: &str = "obfuscation";

/// The chunk that was last read in full, if it is one that others may repeat.
#[derive(Debug, Default)]
pub(super) struct Template {
    /// From the chunk's first byte to before the text's quote; empty where there is no template.
    before: String,
    /// From behind the text to the chunk's end, or to before the padding's quote.
    after: String,
    /// From behind the padding to the chunk's end; `None` without padding.
    padded: Option<String>,
    of: DeltaText,
    /// Templates made since the last chunk that fitted one.
    vain: u8,
}

impl Template {
    /// The text of a chunk that fits; `None` where the chunk must be read in full.
    #[inline]
    pub(super) fn text<'a>(&mut self, chunk: &'a [u8]) -> Option<(DeltaText, Text<'a>)> {
        if self.before.is_empty() {
            return None;
        }
        // The cuts are before and behind strings, so they break no character.
        let rest = chunk.strip_prefix(self.before.as_bytes())?;
        let end = self.padded.as_ref().unwrap_or(&self.after);
        let rest = std::str::from_utf8(rest.strip_suffix(end.as_bytes())?).ok()?;
        let (text, rest) = json::parse_string_prefix(rest).ok()?;
        let rest = match self.padded {
            None => rest,
            Some(_) => {
                let padding = rest.strip_prefix(&*self.after)?;
                json::parse_string_prefix(padding).ok()?.1
            }
        };
        if !rest.is_empty() {
            return None;
        }
        self.vain = 0;
        Some((self.of, text))
    }

    /// Takes the place of the last template. `object` is what `chunk` holds; it was just read in full without a problem,
    /// and brought `output`. What brings more than one text would add the others to what they were before; what brings none,
    /// as the first chunk and the last do, is seldom repeated.
    pub(super) fn learn(&mut self, chunk: &str, object: Value<'_>, output: Output) {
        self.forget();
        if output.any()
            && self.vain < VAIN_MAX
            && let Some((of, text)) = only_text(object, output)
        {
            self.vain += 1;
            self.of = of;
            self.cut(chunk, object, text);
        }
    }

    /// Nothing fits until something is learnt.
    pub(super) fn forget(&mut self) {
        self.before.clear();
    }

    fn cut(&mut self, chunk: &str, object: Value<'_>, text: Value<'_>) {
        let Some((before, after)) = around(chunk, text) else {
            return;
        };
        let padding = object.members().last().filter(|(key, _)| key.is(PADDING));
        let cut = padding.and_then(|(_, padding)| around(after, padding));
        let (after, padded) = cut.map_or((after, None), |(after, end)| (after, Some(end)));
        before.clone_into(&mut self.before);
        after.clone_into(&mut self.after);
        self.padded = padded.map(str::to_owned);
    }
}

/// The one text in the delta of a chunk's only choice.
fn only_text(object: Value<'_>, output: Output) -> Option<(DeltaText, Value<'_>)> {
    if output.tool_call || output.audio || output.other {
        return None;
    }
    let mut choices = object.get("choices")?.elements();
    let choice = choices.next().filter(|_| choices.next().is_none())?;
    let [delta, message] = choice.select(["delta", "message"]);
    let delta = delta.filter(|_| message.is_none())?;
    let (of, text) = if output.reasoning {
        let named = delta.select(REASONING).into_iter().flatten();
        let mut there = named.filter(|member| !member.is_null());
        let only = there.next().filter(|_| there.next().is_none());
        (DeltaText::Reasoning, only.filter(|_| !output.content)?)
    } else {
        (DeltaText::Content, delta.get("content")?)
    };
    (text.kind() == Kind::String).then_some((of, text))
}

/// What lies before and behind a string within `whole`.
fn around<'a>(whole: &'a str, part: Value<'_>) -> Option<(&'a str, &'a str)> {
    let at = part.raw().as_ptr().addr() - whole.as_ptr().addr();
    let (before, rest) = whole.split_at(at);
    Some((before, json::parse_string_prefix(rest).ok()?.1))
}

#[cfg(test)]
mod tests {
    use super::super::Completion;
    use super::*;
    use crate::dialect::contract::{Facts, Reader};
    use crate::dialect::fold::{AnswerFolds, Texts};
    use crate::dialect::kit::chunks::ChunkReader;
    use proptest::prelude::*;

    /// What a reader makes of some chunks, and how many of them fitted a template.
    fn read(
        mut reader: ChunkReader<Completion>,
        chunks: &[Vec<u8>],
    ) -> (Facts, Vec<Output>, usize) {
        let (mut outputs, mut fitted) = (Vec::new(), 0);
        let mut facts = Facts {
            folds: AnswerFolds::gathering(Texts::default()),
            ..Facts::default()
        };
        for chunk in chunks {
            fitted += usize::from(reader.0.template.text(chunk).is_some());
            outputs.push(reader.event(b"", chunk, &mut facts));
        }
        (facts, outputs, fitted)
    }

    /// Reads chunks with templates and in full, compares, and says how many fitted.
    fn compare(chunks: &[Vec<u8>]) -> usize {
        let mut in_full = ChunkReader::<Completion>::default();
        in_full.0.template.vain = VAIN_MAX;
        let (expected, outputs, none) = read(in_full, chunks);
        let (facts, seen, fitted) = read(ChunkReader::<Completion>::default(), chunks);
        assert_eq!((none, seen), (0, outputs));
        let noted = |facts: &Facts| (facts.quirks, facts.unknown.clone());
        assert_eq!(noted(&facts), noted(&expected));
        let parts = |facts: Facts| {
            let texts = facts.folds.texts.and_then(Texts::into_texts);
            (facts.response, facts.usage, facts.problems, texts)
        };
        assert_eq!(parts(facts), parts(expected));
        fitted
    }

    fn chunk(delta: &str, rest: &str) -> Vec<u8> {
        let choice = format!(r#"{{"index":0,"delta":{delta},"finish_reason":null}}"#);
        format!(r#"{{"id":"a","model":"m","choices":[{choice}]{rest}}}"#).into_bytes()
    }

    #[test]
    fn chunks_that_differ_in_text_and_padding_fit() {
        let text = |text: &str| chunk(&format!(r#"{{"content":"{text}"}}"#), "");
        assert_eq!(
            compare(&[text("a"), text(""), text("\\ud83d\\ude00é\\\""), text("b")]),
            3
        );
        let padded = |text: &str, padding: &str| {
            let rest = format!(r#","usage":null,"obfuscation":"{padding}""#);
            chunk(&format!(r#"{{"content":"{text}"}}"#), &rest)
        };
        assert_eq!(
            compare(&[padded("a", "xyz"), padded("bc", ""), padded("", "\\\\")]),
            2
        );
    }

    #[test]
    fn a_text_that_fits_belongs_to_the_choice_of_its_template() {
        let of = |index: u64, text: &str| {
            let delta = format!(r#"{{"index":{index},"delta":{{"content":"{text}"}}}}"#);
            format!(r#"{{"choices":[{delta}]}}"#).into_bytes()
        };
        let chunks = [of(1, "a"), of(1, "b"), of(0, "c"), of(0, "d"), of(1, "e")];
        assert_eq!(compare(&chunks), 2);
        let (facts, ..) = read(ChunkReader::default(), &chunks);
        let texts = facts.folds.texts.and_then(Texts::into_texts);
        assert_eq!(texts, Some(vec!["abe".to_owned(), "cd".to_owned()]));
    }

    #[test]
    fn what_brings_more_than_a_text_is_read_in_full() {
        for delta in [
            r#"{"content":"a","reasoning":"b"}"#,
            r#"{"reasoning":"a","thinking":"bc"}"#,
            r#"{"reasoning_details":[{"text":"a"}]}"#,
            r#"{"content":"a","refusal":"b"}"#,
            r#"{"content":"a","tool_calls":[{"index":0,"function":{"arguments":"b"}}]}"#,
            r#"{"content":"a","audio":{"data":"b"}}"#,
            r#"{"content":"a","refusal":1}"#,
            r#"{"content":null}"#,
            r#"{"content":[{"text":"a"}]}"#,
        ] {
            assert_eq!(compare(&[chunk(delta, ""), chunk(delta, "")]), 0, "{delta}");
        }
    }

    #[test]
    fn a_text_with_an_invalid_end_is_read_in_full() {
        let begun = br#"{"choices":[{"delta":{"content":"a"}}]}"#.to_vec();
        let ended =
            |end: &str| [&br#"{"choices":[{"delta":{"content":"#[..], end.as_bytes()].concat();
        for end in [
            "",
            "\"",
            "1}}]}",
            "\"\\q\"}}]}",
            "\"\n\"}}]}",
            "\"b\"}}]",
            "\"b\"}}]}}",
            "\"b\",\"c\":1}}]}",
        ] {
            assert_eq!(compare(&[begun.clone(), ended(end)]), 0, "{end}");
        }
        assert_eq!(compare(&[begun, ended("\"b\" }}]}")]), 1);
    }

    #[test]
    fn a_stream_whose_envelopes_differ_is_given_up() {
        let stamped = |at: u64| chunk(r#"{"content":"a"}"#, &format!(r#","at":{at}"#));
        let mut chunks: Vec<_> = (0..u64::from(VAIN_MAX)).map(stamped).collect();
        chunks.extend([stamped(99), stamped(99)]);
        assert_eq!(compare(&chunks), 0);
        chunks.insert(1, stamped(0));
        assert_eq!(compare(&chunks), 2, "a chunk that fits wins time");
    }

    proptest! {
        #[test]
        fn reading_by_template_and_in_full_give_the_same(
            chunks in prop::collection::vec(
                (0usize..8, any::<String>(), "[a-z\"\\\\]{0,3}", prop::option::weighted(0.1, (any::<prop::sample::Index>(), any::<u8>()))),
                1..20,
            )
        ) {
            let chunks: Vec<Vec<u8>> = chunks.into_iter().map(|(kind, text, padding, damage)| {
                let [text, padding] = [text, padding].map(|text| serde_json::to_string(&text).unwrap());
                let mut bytes = match kind {
                    0 => chunk(&format!(r#"{{"role":"assistant","content":{text}}}"#), ""),
                    1 => chunk(&format!(r#"{{"content":{text}}}"#), &format!(r#","obfuscation":{padding}"#)),
                    2 => chunk(&format!(r#"{{"reasoning":{padding},"content":{text}}}"#), ""),
                    4 => chunk(&format!(r#"{{"content":null,"reasoning_content":{text}}}"#), ""),
                    5 => chunk(&format!(r#"{{"reasoning":{text},"thinking":{padding}}}"#), ""),
                    3 => chunk(r#"{}"#, &format!(r#","usage":{{"completion_tokens":{}}}"#, text.len())),
                    _ => chunk(&format!(r#"{{"content":{text}}}"#), ""),
                };
                if let Some((at, byte)) = damage {
                    let at = at.index(bytes.len());
                    bytes[at] = byte;
                }
                bytes
            }).collect();
            compare(&chunks);
        }
    }
}
