//! The chat completions that the benches exchange: requests as an SDK sends them, answers as a model server does.
//!
//! Every chunk of a stream has the same length and carries the instant it was sent, in digits of a fixed width, where
//! the generated text would be: a receiver in this process can tell how long it was under way.

use std::sync::LazyLock;
use std::time::Instant;

use memchr::memmem;

/// Request header that tells the upstream which answer is wanted; passes through any transparent proxy.
pub(crate) const WORK_HEADER: &str = "x-load";

/// What stands before the same at the end of a first message: of a body's other members a proxy may drop any.
pub(crate) const WORK_IN_BODY: &str = "x-load:";

/// What stands before the number of chunks of [`Answer::Timed`] in it.
pub(crate) const TIMED: &str = "timed-";

/// What stands before the number by which requests differ.
const NUMBER: &str = "Question ";

/// The answer that a request asks the upstream for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// One JSON object.
    Unary,
    /// So many chunks, as fast as they can be written.
    Unpaced(u64),
    /// Chunks at the pacer's interval until it is told to end.
    Paced,
    /// So many chunks, the first at once and each of the others 20 ms after the one before.
    Timed(u64),
}

/// A JSON request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    /// What the upstream shall answer.
    pub(crate) answer: Answer,
    /// Whether the client itself sets `stream_options.include_usage`.
    pub(crate) asks_usage: bool,
    /// Length of the prompt, in bytes, about which the body is as long.
    pub(crate) prompt_bytes: usize,
    /// Whether the answer may come in a proxy's own words: then only the chunks and the end are compared.
    pub(crate) restated: bool,
    /// Whether its first message says too which answer is wanted, for a proxy that drops the header.
    pub(crate) asks_in_body: bool,
    /// Which of many models it names; 0 for the usual one.
    pub(crate) model: u32,
    /// How many messages stand before the last.
    pub(crate) history: usize,
    /// Whether each time that it is sent it asks something else.
    pub(crate) differs: bool,
}

impl Request {
    /// A request of about 1 KB that does not ask for usage, as most clients send it.
    pub(crate) fn new(answer: Answer) -> Self {
        Self {
            answer,
            asks_usage: false,
            prompt_bytes: 800,
            restated: false,
            asks_in_body: false,
            model: 0,
            history: 0,
            differs: false,
        }
    }

    /// The same request, asking something else each time.
    pub(crate) fn differing(self) -> Self {
        Self {
            differs: true,
            ..self
        }
    }

    /// Makes the bytes of one that differs into those of another.
    pub(crate) fn differ(self, bytes: &mut [u8]) {
        if let Some(at) = memmem::find(bytes, NUMBER.as_bytes()).filter(|_| self.differs) {
            let digits = at + NUMBER.len();
            stamp(&mut bytes[digits..digits + STAMP_DIGITS], now_ns());
        }
    }

    /// The same request with so many messages before the last: questions, and answers of which every other calls a tool.
    pub(crate) fn with_history(self, messages: usize) -> Self {
        Self {
            history: messages,
            ..self
        }
    }

    /// The same request, asking for usage.
    pub(crate) fn asking_usage(self) -> Self {
        Self {
            asks_usage: true,
            ..self
        }
    }

    /// The same request with a prompt of so many bytes.
    pub(crate) fn with_prompt(self, prompt_bytes: usize) -> Self {
        Self {
            prompt_bytes,
            ..self
        }
    }

    /// The same request naming another model.
    pub(crate) fn with_model(self, model: u32) -> Self {
        Self { model, ..self }
    }

    /// The headers that matter here, in an SDK's order and casing of HTTP/2, without `host` and `content-length`.
    pub(crate) fn headers(self) -> [(&'static str, String); 7] {
        [
            ("accept", "application/json".to_owned()),
            (
                "authorization",
                "Bearer sk-bench-000000000000000000000000000000000000000000000000".to_owned(),
            ),
            ("content-type", "application/json".to_owned()),
            ("user-agent", "AsyncOpenAI/Python 1.99.9".to_owned()),
            ("x-stainless-lang", "python".to_owned()),
            ("x-stainless-package-version", "1.99.9".to_owned()),
            (WORK_HEADER, self.work()),
        ]
    }

    /// The value of [`WORK_HEADER`].
    fn work(self) -> String {
        match self.answer {
            Answer::Unary => "unary".to_owned(),
            Answer::Unpaced(chunks) => chunks.to_string(),
            Answer::Paced => "paced".to_owned(),
            Answer::Timed(chunks) => format!("{TIMED}{chunks}"),
        }
    }

    /// The JSON body.
    pub(crate) fn body(self) -> String {
        const WORDS: &str =
            "Measure the level of the river at the bridge, and say what it was an hour ago. ";
        let number = if self.differs {
            format!("{NUMBER}{:0STAMP_DIGITS$}. ", 0)
        } else {
            String::new()
        };
        let words = WORDS.chars().cycle().take(self.prompt_bytes);
        let prompt: String = number.chars().chain(words).collect();
        let stream = match (self.answer, self.asks_usage) {
            (Answer::Unary, _) => "",
            (_, false) => r#","stream":true"#,
            (_, true) => r#","stream":true,"stream_options":{"include_usage":true}"#,
        };
        let model = match self.model {
            0 => "gpt-4o-mini".to_owned(),
            number => format!("gpt-4o-mini-{number}"),
        };
        let work = if self.asks_in_body {
            format!(" {WORK_IN_BODY}{}", self.work())
        } else {
            String::new()
        };
        let history = self.history();
        format!(
            r#"{{"messages":[{{"role":"system","content":"You are a careful hydrologist. Answer in one short paragraph.{work}"}},{history}{{"role":"user","content":"{prompt}"}}],"model":"{model}","max_tokens":256,"temperature":0.2,"top_p":1{stream}}}"#
        )
    }

    /// The messages before the last, as an agent sends them.
    fn history(self) -> String {
        let message = |at: usize| {
            match at % 4 {
            0 => format!(r#"{{"role":"user","content":"What is the level at bridge {at}?\nAnd what was it an hour ago, in metres above the gauge datum?"}},"#),
            1 => format!(
                r#"{{"role":"assistant","content":null,"tool_calls":[{{"id":"call_C2bTq9sVfYx0n4Zr7LkPm{at:03}","type":"function","function":{{"name":"read_gauge","arguments":"{{\"bridge\": {at}, \"unit\": \"m\", \"hours\": [0, 1]}}"}}}}]}},"#
            ),
            2 => format!(
                r#"{{"role":"tool","tool_call_id":"call_C2bTq9sVfYx0n4Zr7LkPm{:03}","content":"{{\"levels\": [2.41, 2.30], \"unit\": \"m\", \"quality\": \"good\"}}"}},"#,
                at - 1
            ),
            _ => r#"{"role":"assistant","content":"The level is 2.41 m, eleven centimetres above the reading of an hour ago. The rise is steady and follows last night's rain in the upper valley."},"#.to_owned(),
        }
        };
        (0..self.history).map(message).collect()
    }

    /// The whole request as HTTP/1.1.
    pub(crate) fn bytes(self, host: &str) -> Vec<u8> {
        let body = self.body();
        let mut head = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\n");
        for (name, value) in self.headers() {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        (head + &body).into_bytes()
    }
}

/// The answer to a request without `stream`.
pub(crate) const COMPLETION: &str = r#"{"id":"chatcmpl-C2bTq9sVfYx0n4Zr7LkPm3dWcE5uH","object":"chat.completion","created":1760000000,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"message":{"role":"assistant","content":"The level at the bridge is 2.41 m, eleven centimetres above the reading of an hour ago. The rise is steady and follows last night's rain in the upper valley; it should peak before noon and fall slowly after that.","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":214,"completion_tokens":49,"total_tokens":263,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":"fp_06737a9306"}"#;

macro_rules! chunk {
    ($rest:literal) => {
        concat!(
            r#"data: {"id":"chatcmpl-C2bTq9sVfYx0n4Zr7LkPm3dWcE5uH","object":"chat.completion.chunk","created":1760000000,"model":"gpt-4o-mini-2024-07-18","system_fingerprint":"fp_06737a9306",""#,
            $rest,
            "\n\n"
        )
    };
}

/// The first event of a stream: a role and no text.
pub(crate) const ROLE: &str = chunk!(
    r#"choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}]}"#
);
/// The event that ends the choice.
pub(crate) const FINISH: &str =
    chunk!(r#"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}"#);
/// The event sent only to who asked for usage.
pub(crate) const USAGE: &str = chunk!(
    r#"choices":[],"usage":{"prompt_tokens":214,"completion_tokens":1024,"total_tokens":1238}}"#
);
/// The sentinel.
pub(crate) const DONE: &str = "data: [DONE]\n\n";
/// One chunk of generated text, its instant not yet filled in.
pub(crate) const CHUNK: &str = chunk!(
    r#"choices":[{"index":0,"delta":{"content":" 000000000000000"},"logprobs":null,"finish_reason":null}]}"#
);

/// What all events before the text have in common with [`CHUNK`], by length: the digits start here.
pub(crate) const STAMP_AT: usize = CHUNK.len() - STAMP_DIGITS - STAMP_TAIL.len();
/// Digits of an instant: nanoseconds, enough for eleven days.
pub(crate) const STAMP_DIGITS: usize = 15;
const STAMP_TAIL: &str = "\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n";

/// Nanoseconds since the process's first call of this.
pub(crate) fn now_ns() -> u64 {
    static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(EPOCH.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Writes an instant over the digits of a chunk.
pub(crate) fn stamp(digits: &mut [u8], mut ns: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(ns % 10).unwrap_or(0);
        ns /= 10;
    }
}

/// Writes the present instant into a chunk in HTTP/1.1's framing.
pub(crate) fn stamp_framed(chunk: &mut [u8]) {
    let digits = chunk.len() - CHUNK.len() - 2 + STAMP_AT;
    stamp(&mut chunk[digits..digits + STAMP_DIGITS], now_ns());
}

/// The instant in a chunk's event; `None` where the event is no [`CHUNK`].
pub(crate) fn stamped(event: &[u8]) -> Option<u64> {
    let (head, rest) = event.split_at_checked(STAMP_AT)?;
    let (digits, tail) = rest.split_at_checked(STAMP_DIGITS)?;
    if tail != STAMP_TAIL.as_bytes() || head != &CHUNK.as_bytes()[..STAMP_AT] {
        return None;
    }
    digits.iter().try_fold(0u64, |ns, digit| {
        digit
            .is_ascii_digit()
            .then(|| ns * 10 + u64::from(digit - b'0'))
    })
}

/// The instant in a chunk that a proxy has put into its own words: the digits after its text's opening quote and space.
pub(crate) fn stamped_anywhere(event: &[u8]) -> Option<u64> {
    let text = memmem::find(event, br#""content":"#)? + br#""content":"#.len();
    let digits = event[text..]
        .iter()
        .skip_while(|byte| b"\" ".contains(byte))
        .take_while(|byte| byte.is_ascii_digit());
    let digits: Vec<u8> = digits.copied().collect();
    (digits.len() == STAMP_DIGITS).then(|| {
        digits
            .iter()
            .fold(0, |ns, digit| ns * 10 + u64::from(digit - b'0'))
    })
}

/// One event in an HTTP chunk of its own, as servers that write event by event send it.
pub(crate) fn http_chunk(event: &str) -> Vec<u8> {
    format!("{:x}\r\n{event}\r\n", event.len()).into_bytes()
}

/// The events that follow the last chunk of a stream.
pub(crate) fn end_events(usage: bool) -> Vec<&'static str> {
    if usage {
        vec![FINISH, USAGE, DONE]
    } else {
        vec![FINISH, DONE]
    }
}

/// The same, each in an HTTP chunk of its own, to the end of the message.
pub(crate) fn stream_end(usage: bool) -> Vec<u8> {
    let mut end = end_events(usage)
        .into_iter()
        .flat_map(http_chunk)
        .collect::<Vec<u8>>();
    end.extend(b"0\r\n\r\n");
    end
}
