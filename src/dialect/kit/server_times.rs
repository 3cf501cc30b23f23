//! What servers say of their own time, each under names and in a unit of its own.
//!
//! Sources: vLLM, "Per-Request Metrics" (`--enable-per-request-metrics`); Groq and Cerebras, API references, "Chat";
//! llama.cpp, the README of its server; Ollama, API documentation. They agree on what is measured well enough to share
//! names: vLLM's time to first token counts from being scheduled, so it is the prefill, and its generation time begins at
//! the first token; llama.cpp, Groq, Cerebras and Ollama count the generation from the end of the prompt.

use std::time::Duration;

use crate::dialect::kit::member::{object, typed};
use crate::exchange::{Problems, ServerTimes};
use crate::parse::json::Value;

/// The names and the unit of one kind of server; a name is `None` for what it does not say.
#[derive(Debug)]
pub(in crate::dialect) struct ServerClock {
    load: Option<&'static str>,
    queue: Option<&'static str>,
    prefill: Option<&'static str>,
    decode: Option<&'static str>,
    /// How many of its units are a second.
    per_second: f64,
}

/// vLLM's `metrics`, beside the usage of a response or in the last chunk of a stream.
pub(in crate::dialect) const VLLM: ServerClock = ServerClock {
    load: None,
    queue: Some("queue_time_ms"),
    prefill: Some("time_to_first_token_ms"),
    decode: Some("generation_time_ms"),
    per_second: 1e3,
};

/// llama.cpp's `timings`, in the last chunk of a stream or, if asked for, in each.
pub(in crate::dialect) const LLAMA_CPP: ServerClock = ServerClock {
    load: None,
    queue: None,
    prefill: Some("prompt_ms"),
    decode: Some("predicted_ms"),
    per_second: 1e3,
};

/// Groq's `usage`, and Cerebras's `time_info`.
pub(in crate::dialect) const GROQ: ServerClock = ServerClock {
    load: None,
    queue: Some("queue_time"),
    prefill: Some("prompt_time"),
    decode: Some("completion_time"),
    per_second: 1.0,
};

/// Ollama's last line, or its whole answer.
pub(in crate::dialect) const OLLAMA: ServerClock = ServerClock {
    load: Some("load_duration"),
    queue: None,
    prefill: Some("prompt_eval_duration"),
    decode: Some("eval_duration"),
    per_second: 1e9,
};

impl ServerClock {
    /// Takes over the times in `member`. The last one of each kind wins: a running total grows.
    pub(in crate::dialect) fn read(
        &self,
        member: Option<Value<'_>>,
        times: &mut ServerTimes,
        problems: &mut Problems,
    ) {
        let Some(told) = typed(member, problems, object) else {
            return;
        };
        let slots = [
            &mut times.load,
            &mut times.queue,
            &mut times.prefill,
            &mut times.decode,
        ];
        for (time, slot) in self.select(told).into_iter().zip(slots) {
            let time = typed(time, problems, |time| self.duration(time));
            *slot = time.or(*slot);
        }
    }

    /// The member of each of its names, in the order of the slots. One pass: most that is told has none of them.
    fn select<'a>(&self, told: Value<'a>) -> [Option<Value<'a>>; 4] {
        let names = [self.load, self.queue, self.prefill, self.decode];
        let mut found = [None; 4];
        for (name, value) in told.members() {
            let known = match names
                .iter()
                .position(|known| *known == Some(name.written()))
            {
                None if name.has_escapes() => {
                    let is_it = |known: &Option<&str>| known.is_some_and(|known| name.is(known));
                    names.iter().position(is_it)
                }
                written => written,
            };
            if let Some(at) = known {
                found[at] = Some(value);
            }
        }
        found
    }

    /// `None` for what is no number, and for a time that runs backwards.
    fn duration(&self, time: Value<'_>) -> Option<Duration> {
        Duration::try_from_secs_f64(time.as_f64()? / self.per_second).ok()
    }
}
