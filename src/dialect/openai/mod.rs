//! What the OpenAI-shaped dialects share: one response, streamed or whole, from envelope to last choice.
//!
//! Chat chunks (`choices[].delta`), chat answers (`choices[].message`) and text completions (`choices[].text`) differ
//! in one member only, and relays mix them, so one reader takes all three. Governing text: the OpenAI API reference,
//! "Chat" and "Completions"; where servers depart from it, the comment names who and how. Knows nothing of the request.

use crate::dialect::server_times::{GROQ, LLAMA_CPP, VLLM};
use crate::dialect::{Facts, Output, Reader, member, read_events};
use crate::exchange::Quirk;
use crate::json::{self, Index, Kind, Value};
use crate::sse::{self, Sniff};

mod choice;
pub(super) mod error;
mod inspect;
pub(super) mod items;
mod known;
pub(super) mod length;
pub(super) mod message;
pub(super) mod prompt;
pub(super) mod request;
mod template;
pub(super) mod tool_calls;
pub(super) mod unary;
pub(super) mod usage;

pub(super) use choice::Choices;
use inspect::Inspection;
use member::{decode, keep, typed};
use template::Template;

/// Reads one response of a chat or text completion, or of what has an envelope like theirs.
#[derive(Debug, Default)]
pub(super) struct Answer {
    choices: Choices,
    template: Template,
    /// Holds what is read against the reference; `None` for APIs with another one.
    inspection: Option<Inspection>,
}

impl Reader for Answer {
    fn event(&mut self, name: &[u8], data: &[u8], facts: &mut Facts) -> Output {
        facts.response.streamed = true;
        self.read_event(name, data, facts)
    }

    fn body(&mut self, status: u16, body: &[u8], facts: &mut Facts) -> Output {
        let body = body.trim_ascii();
        if sse::sniff(body) == Sniff::Stream {
            facts.response.streamed = true;
            return self.read_events(body, facts);
        }
        let failed = status >= 400;
        let text = decode(body);
        let mut index = Index::default();
        let Ok((value, rest)) = json::parse_prefix_indexed(&text, &mut index) else {
            // An error page of a network on the way is no fault of the API's.
            facts.problems.malformed += u64::from(!failed && !body.is_empty());
            return Output::default();
        };
        let mut output = self.read_value(value, failed, facts);
        // Some relays glue the sentinel to a whole body.
        let glued = !rest.trim_ascii().is_empty();
        facts.quirks.insert_if(glued, Quirk::ContentType);
        output |= self.read_events(rest.as_bytes(), facts);
        output
    }
}

impl Answer {
    /// A reader that names the quirks of a chat or text completion.
    pub(super) fn inspected() -> Self {
        Self {
            inspection: Some(Inspection::default()),
            ..Self::default()
        }
    }

    fn read_events(&mut self, stream: &[u8], facts: &mut Facts) -> Output {
        read_events(stream, facts, |name, data, facts| {
            self.read_event(name, data, facts)
        })
    }

    fn read_event(&mut self, name: &[u8], data: &[u8], facts: &mut Facts) -> Output {
        let data = data.trim_ascii();
        let after = facts.response.done;
        facts.quirks.insert_if(after, Quirk::AfterDone);
        // What is named error is told by what it says.
        let named = !matches!(name, b"" | b"error");
        facts.quirks.insert_if(named, Quirk::NamedEvent);
        if data == b"[DONE]" {
            facts.response.done = true;
            return Output::default();
        }
        if is_keep_alive(data) {
            facts.quirks.insert(Quirk::KeepAliveData);
            return Output::default();
        }
        let failed = name == b"error";
        if let Some((of, text)) = self.template.text(data).filter(|_| !failed) {
            return self.choices.read_text(of, text, facts);
        }
        let text = decode(data);
        let mut index = Index::default();
        match json::parse_prefix_indexed(&text, &mut index) {
            Ok((value, "")) => self.read_chunk(&text, value, failed, facts),
            _ if failed => {
                facts
                    .response
                    .error
                    .get_or_insert_with(|| error::from_text(&text));
                Output::default()
            }
            _ => unreadable(&text, facts),
        }
    }

    /// Reads a chunk in full, and makes it the template of the next ones.
    fn read_chunk(
        &mut self,
        chunk: &str,
        value: Value<'_>,
        failed: bool,
        facts: &mut Facts,
    ) -> Output {
        let problems = facts.problems.clone();
        let output = self.read_value(value, failed, facts);
        if facts.problems == problems {
            self.template.learn(chunk, value, output);
        } else {
            self.template.forget();
        }
        output
    }

    fn read_value(&mut self, value: Value<'_>, failed: bool, facts: &mut Facts) -> Output {
        match value.kind() {
            Kind::Object => self.read_object(value, failed, facts),
            // Gemini's compatible API wraps an error in an array.
            Kind::Array => match value.elements().next().and_then(|first| first.get("error")) {
                Some(error) => {
                    note_error(error::from_member(error), facts);
                    Output::default()
                }
                None => malformed(facts),
            },
            _ => malformed(facts),
        }
    }

    fn read_object(&mut self, object: Value<'_>, failed: bool, facts: &mut Facts) -> Output {
        let envelope = Envelope::of(object);
        let Envelope {
            choices,
            usage,
            vendor,
            error,
            ..
        } = envelope;
        let is_error = failed || (choices.is_none() && error::is_bare(object));
        if let Some(inspection) = self.inspection.as_mut().filter(|_| !is_error) {
            inspection.object(object, &envelope, facts);
        }
        read_identity(envelope.identity, facts);
        let mut output = Output::default();
        if let Some(choices) = typed(choices, &mut facts.problems, member::array) {
            output = self.choices.read(choices, facts);
            facts.quirks |= self.choices.quirks();
        }
        // Last wins: the envelope's own count stands above a vendor's or a choice's.
        for usage in [vendor, usage] {
            usage::merge(usage, &mut facts.usage, &mut facts.problems);
        }
        read_times([vendor, usage], envelope.times, facts);
        if error.is_some() {
            note_error(error.and_then(error::from_member), facts);
        } else if choices.is_none() && (failed || error::is_bare(object)) {
            note_error(error::from_object(object), facts);
        }
        output
    }
}

/// The members of a chunk or an answer that are read, looked up once.
struct Envelope<'a> {
    /// Id, model, service tier and fingerprint.
    identity: [Option<Value<'a>>; 4],
    /// The member `object`.
    kind: Option<Value<'a>>,
    choices: Option<Value<'a>>,
    usage: Option<Value<'a>>,
    /// Groq's usage, beside or in place of that of the reference.
    vendor: Option<Value<'a>>,
    error: Option<Value<'a>>,
    /// The members that vLLM, llama.cpp and Cerebras say their times in.
    times: [Option<Value<'a>>; 3],
}

impl<'a> Envelope<'a> {
    fn of(object: Value<'a>) -> Self {
        let [
            id,
            model,
            tier,
            fingerprint,
            kind,
            choices,
            usage,
            groq,
            error,
            times @ ..,
        ] = object.select([
            "id",
            "model",
            "service_tier",
            "system_fingerprint",
            "object",
            "choices",
            "usage",
            "x_groq",
            "error",
            "metrics",
            "timings",
            "time_info",
        ]);
        Self {
            identity: [id, model, tier, fingerprint],
            kind,
            choices,
            usage,
            vendor: groq.and_then(|groq| groq.get("usage")),
            error,
            times,
        }
    }
}

fn malformed(facts: &mut Facts) -> Output {
    facts.problems.malformed += 1;
    Output::default()
}

/// Counts an event that is no JSON.
pub(super) fn unreadable(text: &str, facts: &mut Facts) -> Output {
    // Nothing but the beginning of another event explains a field name inside of one.
    let half = text.contains("data:");
    facts.quirks.insert_if(half, Quirk::HalfEvent);
    malformed(facts)
}

/// Keeps the first error: what follows it is often its echo.
pub(super) fn note_error(error: Option<crate::exchange::ApiError>, facts: &mut Facts) {
    if facts.response.error.is_none() {
        facts.response.error = error;
    }
}

/// Groq says its times in the usage, vLLM (`metrics`), llama.cpp (`timings`) and Cerebras (`time_info`) beside it.
fn read_times(
    usages: [Option<Value<'_>>; 2],
    [metrics, timings, time_info]: [Option<Value<'_>>; 3],
    facts: &mut Facts,
) {
    let (times, problems) = (&mut facts.response.server_times, &mut facts.problems);
    let told = [(metrics, &VLLM), (timings, &LLAMA_CPP), (time_info, &GROQ)];
    let usages = usages
        .into_iter()
        .flatten()
        .filter(|usage| usage.kind() == Kind::Object);
    let usages = usages.map(|usage| (Some(usage), &GROQ));
    for (member, clock) in usages.chain(told) {
        clock.read(member, times, problems);
    }
}

/// The first non-empty id and fingerprint, the last non-empty model and tier: Azure opens with empty ones, routers
/// name the model they chose late, and some servers make up a fingerprint for every chunk.
pub(super) fn read_identity(members: [Option<Value<'_>>; 4], facts: &mut Facts) {
    let response = &mut facts.response;
    let slots = [
        (&mut response.id, true),
        (&mut response.model, false),
        (&mut response.service_tier, false),
        (&mut response.system_fingerprint, true),
    ];
    for (member, (slot, first_wins)) in members.into_iter().zip(slots) {
        let Some(text) = typed(member, &mut facts.problems, Value::as_text) else {
            continue;
        };
        let settled = slot
            .as_deref()
            .is_some_and(|kept| first_wins || text.is(kept));
        if !text.is_empty() && !settled {
            *slot = Some(keep(text));
        }
    }
}

/// Relays keep a connection warm with events that say nothing, a comment sent as data among them.
pub(super) fn is_keep_alive(data: &[u8]) -> bool {
    matches!(data, b"" | b"null" | b"{}" | [b':', ..])
}
