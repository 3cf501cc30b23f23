//! The texts that a model generated, put together: so that their tokens can be counted, of which one may reach over the
//! border of two fragments, and for what the next request repeats of them.

use crate::dialect::part::{Part, Place, Visitor, Words};

/// Most text of one exchange that is gathered, in bytes, and the longest request body whose prompt is counted.
pub const TEXT_MAX: usize = 1 << 20;

/// Room made at once for a text that comes in fragments, in bytes.
const TEXT_USUAL: usize = 256;

/// Most texts that are gathered: those of all choices and tool calls that are kept.
const TEXTS_MAX: usize = 512;

/// What was generated, apart by choice, by kind, and by tool call: a model ends one before it begins the other, so no token
/// has a share in two of them.
#[derive(Debug, Default)]
pub struct Texts {
    gathered: Vec<Gathered>,
    /// Of all of them, in bytes.
    held: usize,
    /// Something came that is no text, or too much.
    uncountable: bool,
    /// Too much came: nothing is gathered any more.
    cut: bool,
    /// They are not only for their tokens, so that they are gathered also where these cannot be counted.
    for_history: bool,
}

#[derive(Debug)]
struct Gathered {
    choice: u64,
    of: Strand,
    text: String,
}

/// What a text is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strand {
    Content,
    Reasoning,
    Refusal,
    /// The name in a tool call.
    Name(u64),
    /// The arguments of a tool call.
    Arguments(u64),
}

impl Texts {
    /// Nothing yet, of texts that are for the history, too.
    #[must_use]
    pub fn for_history() -> Self {
        Self {
            for_history: true,
            ..Self::default()
        }
    }

    /// The texts; `None` where not all that was generated is text, or too much of it.
    #[must_use]
    pub fn into_texts(self) -> Option<Vec<String>> {
        let texts = self.gathered.into_iter().map(|gathered| gathered.text);
        (!self.uncountable).then(|| texts.collect())
    }

    /// Whether too much was generated to gather it.
    pub(super) const fn is_cut(&self) -> bool {
        self.cut
    }

    /// The content of the first choice that has some.
    pub(super) fn content(&self) -> &str {
        let contents = self.gathered.iter().filter(|it| it.of == Strand::Content);
        let first = contents.min_by_key(|it| it.choice);
        first.map_or("", |it| &it.text)
    }

    /// The arguments of a call, by its number.
    pub(super) fn arguments(&self, number: u64) -> &str {
        let mut gathered = self.gathered.iter();
        let arguments = gathered.find(|it| it.of == Strand::Arguments(number));
        arguments.map_or("", |it| &it.text)
    }

    fn push(&mut self, place: Place, of: Strand, text: Words<'_>) {
        if self.cut || text.is_empty() {
            return;
        }
        let text = text.decode();
        self.held += text.len();
        let choice = place.choice;
        let mut known = self.gathered.iter_mut();
        let known = known.find(|known| known.choice == choice && known.of == of);
        if self.held > TEXT_MAX {
            self.cut();
        } else if let Some(known) = known {
            known.text.push_str(&text);
        } else if self.gathered.len() == TEXTS_MAX {
            self.cut();
        } else {
            // Grown from the first word on it would be moved four times over the next dozen.
            let room = match of {
                Strand::Content | Strand::Reasoning => TEXT_USUAL,
                Strand::Refusal | Strand::Name(_) | Strand::Arguments(_) => 0,
            };
            let mut first = String::with_capacity(text.len().max(room));
            first.push_str(&text);
            self.gathered.push(Gathered {
                choice,
                of,
                text: first,
            });
        }
    }

    /// Gathers nothing any more.
    fn cut(&mut self) {
        self.uncountable = true;
        self.cut = true;
        self.gathered = Vec::new();
    }

    /// Arguments are said again: where that is not what came before, which of them was generated is not known.
    fn replace_arguments(&mut self, place: Place, number: u64, arguments: Words<'_>) {
        if *self.arguments(number) != *arguments.decode() {
            self.lose();
            let strand = Strand::Arguments(number);
            self.gathered.retain(|gathered| gathered.of != strand);
            self.push(place, strand, arguments);
        }
    }

    /// The tokens of what was generated cannot be counted.
    fn lose(&mut self) {
        self.uncountable = true;
        if !self.for_history {
            self.cut();
        }
    }
}

impl Visitor for Texts {
    #[inline(always)]
    fn part(&mut self, place: Place, part: &Part<'_>) {
        match part {
            Part::Text(text) => self.push(place, Strand::Content, *text),
            Part::Reasoning(text) => self.push(place, Strand::Reasoning, *text),
            Part::Refusal(text) => self.push(place, Strand::Refusal, *text),
            Part::ToolCall(call) => {
                if let Some(name) = call.name {
                    self.push(place, Strand::Name(call.number), name);
                }
                match call.arguments {
                    Some(arguments) if call.again => {
                        self.replace_arguments(place, call.number, arguments);
                    }
                    Some(arguments) => self.push(place, Strand::Arguments(call.number), arguments),
                    None => {}
                }
            }
            Part::Summary(_) => {}
            // How many tokens these have, their size does not tell.
            _ => self.lose(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::part::CallPart;
    use crate::parse::json;

    fn show(texts: &mut Texts, choice: u64, part: Part<'_>) {
        texts.part(Place::answer(choice), &part);
    }

    fn text(text: &str) -> Part<'_> {
        Part::Text(text.into())
    }

    #[test]
    fn fragments_are_put_together_apart_by_choice_kind_and_call() {
        let mut texts = Texts::default();
        let arguments = |number, arguments| {
            Part::ToolCall(CallPart {
                number,
                id: None,
                name: None,
                arguments: Some(Words::Plain(arguments)),
                again: false,
            })
        };
        for (choice, part) in [
            (0, text("wa")),
            (1, text("x")),
            (0, Part::Reasoning("hm".into())),
            (0, text("ter")),
            (0, arguments(0, "{\"a\"")),
            (0, arguments(1, "[")),
            (0, arguments(0, ":1}")),
            (0, Part::Summary("for people".into())),
        ] {
            show(&mut texts, choice, part);
        }
        let expected = ["water", "x", "hm", "{\"a\":1}", "["];
        assert_eq!(texts.into_texts().unwrap(), expected);
    }

    #[test]
    fn what_is_no_text_leaves_nothing_to_count() {
        let object = json::parse(b"{}").unwrap();
        for other in [Part::Hidden, Part::Other(object)] {
            let mut texts = Texts::default();
            for part in [text("a"), other, text("b")] {
                show(&mut texts, 0, part);
            }
            assert_eq!(texts.into_texts(), None, "{other:?}");
        }
    }

    #[test]
    fn nothing_is_held_beyond_the_bounds() {
        let mut long = Texts::default();
        show(&mut long, 0, text(&"x".repeat(TEXT_MAX)));
        assert!(!long.cut);
        show(&mut long, 1, text("x"));
        show(&mut long, 1, text("x"));
        assert!(long.gathered.is_empty());
        assert_eq!(long.into_texts(), None);
        let mut many = Texts::default();
        for choice in 0..=TEXTS_MAX as u64 {
            show(&mut many, choice, text("x"));
        }
        assert_eq!(many.into_texts(), None);
    }
}
