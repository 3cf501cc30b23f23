//! The choices of a response: which there are, how each ended, and what each brought.

use crate::dialect::contract::{Facts, Output};
use crate::dialect::kit::error::{self, note_error, note_failed_finish};
use crate::dialect::kit::member::{self, count, keep, typed};
use crate::dialect::kit::tool_calls::ToolCalls;
use crate::dialect::kit::{message, usage};
use crate::dialect::part::Part;
use crate::exchange::{Choice, Quirks, Response};
use crate::parse::json::{Kind, Text, Value};

/// Most choices that are kept; an upstream may send any index.
const CHOICES_KEPT: usize = 128;

/// What the text of a chunk is.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::dialect) enum DeltaText {
    /// The answer.
    #[default]
    Content,
    /// The reasoning before it.
    Reasoning,
}

/// What must be remembered between the chunks of one response.
#[derive(Debug, Default)]
pub(in crate::dialect) struct Choices {
    tool_calls: ToolCalls,
    /// Output came in deltas, so a full message that follows repeats it.
    in_deltas: bool,
    /// The choice that was last read in full, which is that of the chunks that repeat it.
    last: u64,
}

impl Choices {
    /// Reads the array `choices` of one chunk or answer.
    pub(in crate::dialect) fn read(&mut self, choices: Value<'_>, facts: &mut Facts) -> Output {
        let mut output = Output::default();
        let mut several = false;
        for (position, choice) in choices.elements().enumerate() {
            several = position > 0;
            if choice.kind() == Kind::Object {
                output |= self.read_choice(choice, position as u64, facts);
            } else {
                facts.problems.mistyped += 1;
            }
        }
        if several {
            facts.counts.choices_came(false);
        }
        output
    }

    /// What was odd about the tool calls so far.
    pub(in crate::dialect) const fn quirks(&self) -> Quirks {
        self.tool_calls.quirks()
    }

    /// Reads a chunk of which nothing is new but the text of its delta.
    #[inline]
    pub(in crate::dialect) fn read_text(
        &mut self,
        of: DeltaText,
        text: Text<'_>,
        facts: &mut Facts,
    ) -> Output {
        let mut output = Output::default();
        match of {
            DeltaText::Content => output.content = facts.say(self.last, Part::Text, text),
            DeltaText::Reasoning => output.reasoning = facts.say(self.last, Part::Reasoning, text),
        }
        self.in_deltas |= output.any();
        output
    }

    fn read_choice(&mut self, choice: Value<'_>, position: u64, facts: &mut Facts) -> Output {
        let [
            index,
            delta,
            message,
            text,
            finish,
            logprobs,
            reported,
            error,
        ] = choice.select([
            "index",
            "delta",
            "message",
            "text",
            "finish_reason",
            "logprobs",
            "usage",
            "error",
        ]);
        let problems = &mut facts.problems;
        let index = typed(index, problems, count).unwrap_or(position);
        self.last = index;
        let finish = typed(finish, problems, Value::as_text);
        let ended = note_choice(&mut facts.response, index, finish);
        facts.counts.choices_came(ended);
        // Moonshot reports usage inside the choice.
        usage::merge(reported, facts);
        // OpenRouter says it here.
        note_error(error.and_then(error::from_member), facts);
        if let Some(reason) = finish {
            note_failed_finish(reason, facts);
        }
        let mut output = self.read_output(index, [delta, message, text], facts);
        if let Some(logprobs) = logprobs.filter(|logprobs| !logprobs.is_null()) {
            facts.response.logprobs = true;
            output.other |= has_tokens(logprobs);
        }
        output
    }

    /// Reads the one of delta, message and text that is there.
    fn read_output(
        &mut self,
        index: u64,
        [delta, message, text]: [Option<Value<'_>>; 3],
        facts: &mut Facts,
    ) -> Output {
        let delta = typed(delta, &mut facts.problems, member::object);
        let message = typed(message, &mut facts.problems, member::object);
        let mut output = Output::default();
        if let Some(delta) = delta {
            output = message::read(delta, index, &mut self.tool_calls, facts);
            self.in_deltas |= output.any();
        }
        // MiniMax ends a stream with the whole message again.
        if let Some(message) = message.filter(|_| !self.in_deltas) {
            output |= message::read(message, index, &mut self.tool_calls, facts);
        }
        if let Some(text) = text.filter(|_| delta.is_none() && message.is_none())
            && let Some(text) = typed(Some(text), &mut facts.problems, Value::as_text)
        {
            output.content |= facts.say(index, Part::Text, text);
        }
        output
    }
}

/// Notes that a choice exists and, where a reason is given, how it ended. The last reason wins. Says whether there was one.
fn note_choice(response: &mut Response, index: u64, finish: Option<Text<'_>>) -> bool {
    let choices = &mut response.choices;
    let at = match choices.binary_search_by_key(&index, |choice| choice.index) {
        Ok(at) => at,
        Err(_) if choices.len() == CHOICES_KEPT => {
            response.truncated = true;
            return false;
        }
        Err(at) => {
            let finish_reason = None;
            choices.insert(
                at,
                Choice {
                    index,
                    finish_reason,
                },
            );
            at
        }
    };
    // Some servers send an empty reason, or the word null, on every chunk.
    let reason = finish.filter(|reason| !reason.is_empty() && !reason.is("null"));
    if let Some(reason) = reason {
        choices[at].finish_reason = Some(keep(reason));
    }
    reason.is_some()
}

/// Whether log probabilities name a token: of chat (`content`, `refusal`) or of text completions (`tokens`).
fn has_tokens(logprobs: Value<'_>) -> bool {
    let lists = logprobs.select(["content", "refusal", "tokens"]);
    lists
        .into_iter()
        .flatten()
        .any(|list| list.elements().next().is_some())
}
