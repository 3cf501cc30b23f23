//! Reads one message: its events, or the whole of it.

use super::known::{EVENTS, REASONS};
use super::order::EventOrder;
use super::usage;
use crate::dialect::contract::{Facts, Output};
use crate::dialect::kit::chunks::read_identity;
use crate::dialect::kit::error::note_failed_finish;
use crate::dialect::kit::item_calls::{ItemCalls, ItemKey};
use crate::dialect::kit::member::{self, count, keep, typed};
use crate::dialect::kit::typed::{Typed, the_choice, type_of};
use crate::dialect::kit::unknown::{Known, check_name};
use crate::dialect::part::Part;
use crate::exchange::{Quirk, ToolKind};
use crate::parse::json::{Text, Value};

/// The message, as far as it has come.
#[derive(Debug, Default)]
pub(super) struct AnthropicMessage {
    calls: ItemCalls,
    order: EventOrder,
    /// Output came in events, so a whole message that follows repeats it.
    in_deltas: bool,
}

impl Typed for AnthropicMessage {
    const EVENTS: &'static [Known] = EVENTS;

    const HAS_NAMES: bool = true;

    fn typed(&mut self, kind: &str, event: Value<'_>, facts: &mut Facts) -> Output {
        let in_order = self.order.follow(kind);
        facts.quirks.insert_if(!in_order, Quirk::EventOrder);
        let output = match kind {
            "message_start" => {
                self.read_start(event, facts);
                Output::default()
            }
            "content_block_start" => self.read_block_start(event, facts),
            "content_block_delta" => self.read_delta(event, facts),
            "message_delta" => {
                self.read_message_delta(event, facts);
                Output::default()
            }
            "message_stop" => {
                facts.response.done = true;
                Output::default()
            }
            // Some relays send it after the events that made it up.
            "message" => self.whole(event, facts),
            _ => Output::default(),
        };
        self.in_deltas |= output.any();
        output
    }

    fn whole(&mut self, answer: Value<'_>, facts: &mut Facts) -> Output {
        let [content, stop] = answer.select(["content", "stop_reason"]);
        self.read_envelope(answer, facts);
        note_stop(stop, facts);
        let content = typed(content, &mut facts.problems, member::array);
        let mut output = Output::default();
        for (index, block) in content.into_iter().flat_map(Value::elements).enumerate() {
            if !self.in_deltas {
                output |= self.read_block(block, Some(index as u64), true, facts);
            }
        }
        output
    }
}

impl AnthropicMessage {
    fn read_start(&mut self, event: Value<'_>, facts: &mut Facts) {
        the_choice(&mut facts.response);
        let message = typed(event.get("message"), &mut facts.problems, member::object);
        if let Some(message) = message {
            self.read_envelope(message, facts);
        }
        // What comes from the cache is input too, so a message without any is a relay's that counts later.
        let zero = facts.usage.input_tokens == Some(0);
        facts.quirks.insert_if(zero, Quirk::ZeroInput);
    }

    fn read_envelope(&mut self, message: Value<'_>, facts: &mut Facts) {
        let [id, model, usage] = message.select(["id", "model", "usage"]);
        read_identity([id, model, None, None], facts);
        usage::merge(usage, facts);
    }

    /// Reads what changes in the message as a whole: why it ended, and what it took.
    fn read_message_delta(&mut self, event: Value<'_>, facts: &mut Facts) {
        let [delta, usage] = event.select(["delta", "usage"]);
        usage::merge(usage, facts);
        let delta = typed(delta, &mut facts.problems, member::object);
        note_stop(delta.and_then(|delta| delta.get("stop_reason")), facts);
    }

    fn read_block_start(&mut self, event: Value<'_>, facts: &mut Facts) -> Output {
        let [index, block] = event.select(["index", "content_block"]);
        let index = typed(index, &mut facts.problems, count);
        match typed(block, &mut facts.problems, member::object) {
            Some(block) => self.read_block(block, index, false, facts),
            None => Output::default(),
        }
    }

    /// Reads a block, which at its start is empty but for the name of a tool.
    fn read_block(
        &mut self,
        block: Value<'_>,
        index: Option<u64>,
        whole: bool,
        facts: &mut Facts,
    ) -> Output {
        let mut output = Output::default();
        match &*type_of(block) {
            "text" => output.content = read_content(block, facts),
            "thinking" => output.reasoning = read_thinking(block, facts),
            "redacted_thinking" => {
                facts.show(0, &Part::Hidden);
                output.other = true;
            }
            "tool_use" => {
                let tool = ToolKind::Function;
                output.tool_call = self.read_tool_use(block, index, whole, tool, facts);
            }
            kind => {
                // Tools that the server runs, their results, and what is yet to be invented.
                let part = if whole {
                    Part::Other(block)
                } else {
                    Part::Hidden
                };
                facts.show(0, &part);
                if matches!(kind, "server_tool_use" | "mcp_tool_use") {
                    self.read_tool_use(block, index, whole, ToolKind::Extension, facts);
                }
            }
        }
        output
    }

    /// Notes the call of a tool of this kind. Says whether it was new.
    fn read_tool_use(
        &mut self,
        block: Value<'_>,
        index: Option<u64>,
        whole: bool,
        kind: ToolKind,
        facts: &mut Facts,
    ) -> bool {
        let [id, name, input] = block.select(["id", "name", "input"]);
        let id = typed(id, &mut facts.problems, Value::as_text);
        let name = typed(name, &mut facts.problems, Value::as_text);
        let key = ItemKey {
            call: id.filter(|id| !id.is_empty()),
            item: None,
            index,
        };
        let name = name.map(Text::decode).unwrap_or_default();
        let new = self.calls.begin(key, (&name, kind), facts);
        // At a block's start the input is `{}`, and comes in fragments; some relays send it whole.
        let brings = |input: &Value<'_>| whole || input.members().next().is_some();
        if let Some(input) = input.filter(brings) {
            self.calls.set(key, input, facts);
        }
        new
    }

    fn read_delta(&mut self, event: Value<'_>, facts: &mut Facts) -> Output {
        let [index, delta] = event.select(["index", "delta"]);
        let index = typed(index, &mut facts.problems, count);
        let mut output = Output::default();
        let Some(delta) = typed(delta, &mut facts.problems, member::object) else {
            return output;
        };
        match &*type_of(delta) {
            "text_delta" => output.content = read_content(delta, facts),
            "thinking_delta" => output.reasoning = read_thinking(delta, facts),
            "input_json_delta" => output = self.read_input(delta, index, facts),
            // Proves reasoning to the server's next turn, and is none.
            "signature_delta" => {}
            // Quotes from the prompt, which cost nothing.
            "citations_delta" => output.other = true,
            // What is yet to be invented.
            _ => {
                facts.show(0, &Part::Other(delta));
                output.other = true;
            }
        }
        output
    }

    /// Reads a fragment of the input of a tool, the client's or the server's.
    fn read_input(&mut self, delta: Value<'_>, index: Option<u64>, facts: &mut Facts) -> Output {
        let fragment = delta.get("partial_json");
        let mut output = Output::default();
        let Some(fragment) = typed(fragment, &mut facts.problems, Value::as_text) else {
            return output;
        };
        let key = ItemKey {
            index,
            ..ItemKey::default()
        };
        if self.calls.has_client_call(key, facts) {
            self.calls.add(key, fragment, facts);
            output.tool_call = !fragment.is_empty();
        } else {
            self.calls.add_known(key, fragment, facts);
            output.other = !fragment.is_empty();
        }
        output
    }
}

/// Shows the answer text of a block or delta. Says whether there was any.
fn read_content(from: Value<'_>, facts: &mut Facts) -> bool {
    let text = typed(from.get("text"), &mut facts.problems, Value::as_text);
    text.is_some_and(|text| facts.say(0, Part::Text, text))
}

/// Shows the reasoning text of a block or delta. Says whether there was any.
fn read_thinking(from: Value<'_>, facts: &mut Facts) -> bool {
    let text = typed(from.get("thinking"), &mut facts.problems, Value::as_text);
    text.is_some_and(|text| facts.say(0, Part::Reasoning, text))
}

/// Notes why the message ended, in the wire's own word.
fn note_stop(reason: Option<Value<'_>>, facts: &mut Facts) {
    let reason = typed(reason, &mut facts.problems, Value::as_text);
    if let Some(reason) = reason {
        let unknown = (Quirk::UnknownFinishReason, "stop_reason");
        check_name(&reason.decode(), REASONS, unknown, facts);
        note_failed_finish(reason, facts);
    }
    if let Some(reason) = reason.filter(|reason| !reason.is_empty()) {
        the_choice(&mut facts.response).finish_reason = Some(keep(reason));
    }
}
