//! Ollama's own API: `POST …/api/chat`, `…/api/generate`, `…/api/embed` and the older `…/api/embeddings`.
//!
//! Governing text: the API documentation of ollama/ollama. A stream is a JSON object on each line, the last of which says
//! `done`, why, how many tokens, and how long the server took; an answer that was no stream is that one object. Chat and
//! generate differ in the member that holds the text, so one reader takes both. Knows nothing of other dialects.

mod prompt;
mod request;

use crate::dialect::contract::{Dialect, Facts, Framing, Output, Reader};
use crate::dialect::kit::error::{self, note_error};
use crate::dialect::kit::member::{self, decode, keep, typed};
use crate::dialect::kit::server_times::OLLAMA;
use crate::dialect::kit::tool_calls::ToolCalls;
use crate::dialect::kit::{message, path, usage};
use crate::dialect::part::{Part, Visitor};
use crate::exchange::{Choice, Operation, Problems, Request, Response};
use crate::parse::json::{self, Index, Kind, Value};

/// The dialect, for one of its paths.
pub(super) struct Ollama {
    operation: Operation,
    route: &'static str,
    /// The path's last segment, after `api`.
    last: &'static str,
}

/// `/api/chat`.
pub(super) static CHAT: Ollama = Ollama {
    operation: Operation::OllamaChat,
    route: "/api/chat",
    last: "chat",
};

/// `/api/generate`.
pub(super) static GENERATE: Ollama = Ollama {
    operation: Operation::OllamaGenerate,
    route: "/api/generate",
    last: "generate",
};

/// `/api/embed`.
pub(super) static EMBED: Ollama = Ollama {
    operation: Operation::OllamaEmbed,
    route: "/api/embed",
    last: "embed",
};

/// `/api/embeddings`.
pub(super) static EMBEDDINGS: Ollama = Ollama {
    operation: Operation::OllamaEmbed,
    route: "/api/embeddings",
    last: "embeddings",
};

impl Dialect for Ollama {
    fn operation(&self) -> Operation {
        self.operation
    }

    fn route(&self) -> &'static str {
        self.route
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        method == "POST" && path::ends_in(path, &["api", self.last])
    }

    fn request(
        &self,
        body: &[u8],
        request: &mut Request,
        problems: &mut Problems,
        prompt: &mut dyn Visitor,
    ) {
        let streams = self.operation.generates_text();
        request::read(body, (streams, self.last), request, problems, prompt);
    }

    fn framing(&self) -> Framing {
        if self.operation.generates_text() {
            Framing::Lines
        } else {
            Framing::Events
        }
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::<OllamaAnswer>::default()
    }
}

/// Reads one response.
#[derive(Debug, Default)]
struct OllamaAnswer {
    tool_calls: ToolCalls,
}

impl Reader for OllamaAnswer {
    fn event(&mut self, _name: &[u8], data: &[u8], facts: &mut Facts) -> Output {
        self.read(data, true, facts)
    }

    /// Only vectors come in an answer that is kept until it is whole.
    fn reads_lists(&self) -> bool {
        false
    }

    fn body(&mut self, status: u16, body: &[u8], facts: &mut Facts) -> Output {
        self.read(body, status < 400, facts)
    }
}

impl OllamaAnswer {
    /// Reads one object; what is none is a problem where one was to be `expected`.
    fn read(&mut self, object: &[u8], expected: bool, facts: &mut Facts) -> Output {
        let text = decode(object.trim_ascii());
        let mut index = Index::default();
        match json::parse_prefix_indexed(&text, &mut index) {
            Ok((object, "")) if object.kind() == Kind::Object => self.read_object(object, facts),
            _ => {
                facts.problems.malformed += u64::from(expected);
                Output::default()
            }
        }
    }

    fn read_object(&mut self, object: Value<'_>, facts: &mut Facts) -> Output {
        let [model, error, message, response, thinking, done, reason] = object.select([
            "model",
            "error",
            "message",
            "response",
            "thinking",
            "done",
            "done_reason",
        ]);
        let problems = &mut facts.problems;
        let model = typed(model, problems, Value::as_text).filter(|model| !model.is_empty());
        if let Some(model) = model {
            facts.response.model = Some(keep(model));
        }
        let text = typed(response, problems, Value::as_text);
        let thinking = typed(thinking, problems, Value::as_text);
        // A message that is a text is that of an error.
        let failure = match message.filter(|message| message.kind() == Kind::Object) {
            None if text.is_none() => error::inside(object),
            _ => error.and_then(error::from_member),
        };
        let message = message.filter(|_| failure.is_none());
        let message = typed(message, problems, member::object);
        note_error(failure, facts);
        if message.is_some() || text.is_some() {
            let reason = typed(reason, &mut facts.problems, Value::as_text);
            if reason.is_some_and(|reason| reason.is("load") || reason.is("unload")) {
                // A model came or went, and generated nothing.
                facts.show(0, &Part::Hidden);
            }
            note_choice(&mut facts.response, reason.map(keep));
        }
        let mut output = Output::default();
        if let Some(message) = message {
            output |= message::read(message, 0, &mut self.tool_calls, facts);
        }
        output.reasoning |= thinking.is_some_and(|text| facts.say(0, Part::Reasoning, text));
        output.content |= text.is_some_and(|text| facts.say(0, Part::Text, text));
        // Only a part of a stream is not done; a whole answer is.
        match typed(done, &mut facts.problems, Value::as_bool) {
            Some(true) => facts.response.done = true,
            Some(false) => facts.response.streamed = true,
            None => {}
        }
        read_costs(object, facts);
        output
    }
}

/// Notes that the one choice exists and, where a reason is given, how it ended.
fn note_choice(response: &mut Response, reason: Option<String>) {
    if response.choices.is_empty() {
        response.choices.push(Choice::default());
    }
    if let Some(reason) = reason.filter(|reason| !reason.is_empty()) {
        response.choices[0].finish_reason = Some(reason);
    }
}

/// Tokens and times. A prompt that was cached whole is left out by older versions, so its count is not known then.
fn read_costs(object: Value<'_>, facts: &mut Facts) {
    let [input, output, reported] = object.select(["prompt_eval_count", "eval_count", "usage"]);
    let (tokens, problems) = (&mut facts.usage, &mut facts.problems);
    usage::take(&mut tokens.input_tokens, input, problems);
    usage::take(&mut tokens.output_tokens, output, problems);
    // Gateways that mount OpenAI's API at `/api` have embeddings at the same path.
    usage::merge(reported, facts);
    let problems = &mut facts.problems;
    OLLAMA.read(Some(object), &mut facts.response.server_times, problems);
}
