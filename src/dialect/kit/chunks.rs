//! What the APIs share whose streams are untyped chunks: each event is a part of the answer in the same envelope, and
//! `[DONE]` is the last.
//!
//! Governing text: the OpenAI API reference, "Chat" and "Completions"; where servers depart from it, the comment names
//! who and how. Knows nothing of the request.

use crate::dialect::contract::{Facts, Output, Reader};
use crate::dialect::kit::error::{self, note_error};
use crate::dialect::kit::events::{is_keep_alive, malformed, read_events, unreadable};
use crate::dialect::kit::member::{self, decode, keep, typed};
use crate::dialect::kit::server_times::{GROQ, LLAMA_CPP, VLLM};
use crate::dialect::kit::usage;
use crate::dialect::provider;
use crate::exchange::{ApiError, Quirk};
use crate::parse::json::{self, Index, Kind, Value};
use crate::parse::sse::{self, Sniff};

/// What the chunks and answers of one API hold besides their envelope.
pub(in crate::dialect) trait Chunks: Send {
    /// Reads a chunk that differs from one before it in so little that it need not be parsed; `None` for any other.
    fn repeated(&mut self, _chunk: &[u8], _facts: &mut Facts) -> Option<Output> {
        None
    }

    /// Looks at an object that is about to be read.
    fn inspect(&mut self, _object: Value<'_>, _envelope: &Envelope<'_>, _facts: &mut Facts) {}

    /// Reads the array `choices`.
    fn choices(&mut self, _choices: Value<'_>, _facts: &mut Facts) -> Output {
        Output::default()
    }

    /// A chunk has been read in full: what it holds, and what it brought, if it was read without a problem.
    fn learn(&mut self, _chunk: &str, _object: Value<'_>, _brought: Option<Output>) {}
}

/// Reads responses of an API whose streams are chunks.
#[derive(Debug, Default)]
pub(in crate::dialect) struct ChunkReader<T>(pub(in crate::dialect) T);

impl<T: Chunks> Reader for ChunkReader<T> {
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

impl<T: Chunks> ChunkReader<T> {
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
        if !failed && let Some(output) = self.0.repeated(data, facts) {
            return output;
        }
        let text = decode(data);
        let mut index = Index::default();
        match json::parse_prefix_indexed(&text, &mut index) {
            Ok((value, "")) => self.read_chunk(&text, value, failed, facts),
            _ if failed => {
                note_error(Some(error::from_text(&text)), facts);
                Output::default()
            }
            _ => unreadable(&text, facts),
        }
    }

    /// Reads a chunk in full.
    fn read_chunk(
        &mut self,
        chunk: &str,
        value: Value<'_>,
        failed: bool,
        facts: &mut Facts,
    ) -> Output {
        let problems = facts.problems.clone();
        let output = self.read_value(value, failed, facts);
        let brought = (facts.problems == problems).then_some(output);
        self.0.learn(chunk, value, brought);
        output
    }

    fn read_value(&mut self, value: Value<'_>, failed: bool, facts: &mut Facts) -> Output {
        match value.kind() {
            Kind::Object => self.read_object(value, failed, facts),
            // Gemini's compatible API wraps an error in an array, llama.cpp the answers to several prompts.
            Kind::Array if value.elements().next().is_some_and(is_chunk) => {
                let mut output = Output::default();
                for element in value.elements().filter(|element| is_chunk(*element)) {
                    output |= self.read_object(element, failed, facts);
                }
                output
            }
            _ => malformed(facts),
        }
    }

    fn read_object(&mut self, object: Value<'_>, failed: bool, facts: &mut Facts) -> Output {
        let envelope = Envelope::of(object);
        let Envelope {
            choices,
            usage,
            vendor,
            ..
        } = envelope;
        let failure = envelope.failure(object, failed);
        // Its members are those of an error, and none of an answer's.
        let in_place = choices.is_none() && (failed || failure.is_some());
        if !in_place {
            self.0.inspect(object, &envelope, facts);
        }
        note_error(failure, facts);
        read_identity(envelope.identity, facts);
        let mut output = Output::default();
        if let Some(choices) = typed(choices, &mut facts.problems, member::array) {
            output = self.0.choices(choices, facts);
        }
        read_timings(envelope.times[1], facts);
        // Last wins: the envelope's own count stands above a vendor's or a choice's.
        for usage in [vendor, usage] {
            usage::merge(usage, facts);
        }
        // llama.cpp puts the choices of several answers into the first of them, and leaves its usage as it is.
        let [_, timings, _] = envelope.times;
        let merged = timings.is_some()
            && !facts.response.streamed
            && choices.is_some_and(|choices| choices.elements().nth(1).is_some());
        facts.usage.partial |= merged;
        facts.quirks.insert_if(merged, Quirk::UsageOfChoice);
        read_times([vendor, usage], envelope.times, facts);
        if !facts.response.streamed {
            let choices = choices.into_iter().flat_map(Value::elements);
            facts.response.provider = provider::of_answer(object, choices);
        }
        output
    }
}

/// Whether an element of an array is an answer, or an error.
fn is_chunk(element: Value<'_>) -> bool {
    let members = element.select(["choices", "error"]);
    members.into_iter().flatten().next().is_some()
}

/// The members of a chunk or an answer that are read, looked up once.
pub(in crate::dialect) struct Envelope<'a> {
    /// Id, model, service tier and fingerprint.
    pub(in crate::dialect) identity: [Option<Value<'a>>; 4],
    /// The member `object`.
    pub(in crate::dialect) kind: Option<Value<'a>>,
    pub(in crate::dialect) choices: Option<Value<'a>>,
    pub(in crate::dialect) usage: Option<Value<'a>>,
    /// Groq's usage, beside or in place of that of the reference.
    pub(in crate::dialect) vendor: Option<Value<'a>>,
    pub(in crate::dialect) error: Option<Value<'a>>,
    /// What MiniMax says of how it went.
    base: Option<Value<'a>>,
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
            base,
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
            "base_resp",
            "metrics",
            "timings",
            "time_info",
        ]);
        Self {
            identity: [id, model, tier, fingerprint],
            kind,
            choices: choices.filter(|choices| !choices.is_null()),
            usage,
            vendor: groq.and_then(|groq| groq.get("usage")),
            error,
            base,
            times,
        }
    }

    /// The error that the object it is of says: in `error`, or in place of choices by itself. `failed` if it is known to be
    /// one.
    fn failure(&self, object: Value<'_>, failed: bool) -> Option<ApiError> {
        let member = self.error.and_then(error::from_member);
        let answered = self.choices.and_then(|it| it.elements().next()).is_some();
        member.or_else(|| match self.choices {
            None if failed || error::is_bare(object) => error::from_object(object),
            // Of a whole answer too MiniMax says how it went.
            _ if !answered || self.base.is_some() => error::from_envelope(object),
            _ => None,
        })
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

/// llama.cpp has the tokens in its `timings` too, and in a stream that was not asked for usage only there. Before 2025-09
/// `cache_n` was not among them, and they did not say how long the prompt was, only how much of it was worked on.
fn read_timings(timings: Option<Value<'_>>, facts: &mut Facts) {
    let (usage, problems) = (&mut facts.usage, &mut facts.problems);
    let Some(timings) = timings.filter(|timings| timings.kind() == Kind::Object) else {
        return;
    };
    let [worked_on, cached, generated] = timings.select(["prompt_n", "cache_n", "predicted_n"]);
    let counts = [worked_on, cached].map(|count| typed(count, problems, member::tokens));
    if let [Some(worked_on), Some(in_cache)] = counts {
        usage.input_tokens = worked_on.checked_add(in_cache);
        usage::take(&mut usage.cache_read_input_tokens, cached, problems);
        usage::take(&mut usage.output_tokens, generated, problems);
    }
}

/// The first non-empty id and fingerprint, the last non-empty model and tier: Azure opens with empty ones, routers
/// name the model they chose late, and some servers make up a fingerprint for every chunk.
pub(in crate::dialect) fn read_identity(members: [Option<Value<'_>>; 4], facts: &mut Facts) {
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
