//! Every fact of one exchange: one client request and its response, from the first byte in to the last byte out.
//!
//! Plain data with public fields. `None` means "not observed", `Some(0)` means "observed to be zero"; a gap is never
//! filled with a zero. Durations are measured on one monotonic clock from [`Exchange::started_at`]. Derived numbers are
//! methods, so that every sink agrees on them. This file knows nothing but `std`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// One request and its response.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Wall clock at the instant the request head was parsed; every [`Times`] entry counts from here.
    pub started_at: SystemTime,
    /// What kind of call this is; `None` for anything no dialect knows, which has HTTP facts only.
    pub call: Option<Call>,
    /// The HTTP side of the client's request.
    pub http: Http,
    /// The trace this exchange belongs to; `None` when traces are off.
    pub trace: Option<Trace>,
    /// Where the request went; `None` when no route took it.
    pub upstream: Option<Upstream>,
    /// Each time it was sent, in order; more than one only where the upstream refused the usage edit.
    pub attempts: Vec<Attempt>,
    /// What the request asked for; empty for a body that was not read or not understood.
    pub request: Request,
    /// What the response said.
    pub response: Response,
    /// Token counts, as reported.
    pub usage: Usage,
    /// When what happened.
    pub times: Times,
    /// What flowed: events, chunks, bytes, gaps.
    pub flow: Flow,
    /// How it ended.
    pub end: End,
    /// What went wrong; `None` on success and when the client left.
    pub failure: Option<Failure>,
    /// What the two body hashes say; `None` where no response body was passed on.
    pub integrity: Option<Integrity>,
    /// What the observer could not make sense of, or did not see.
    pub problems: Problems,
}

/// The inference call of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// `POST …/chat/completions`.
    ChatCompletions,
    /// `POST …/completions`, the legacy text completion.
    Completions,
}

/// The client's HTTP request and the answer's head.
#[derive(Debug, Clone, Default)]
pub struct Http {
    /// Request method as sent.
    pub method: String,
    /// `http` or `https`, as the client reached the listener.
    pub scheme: &'static str,
    /// Path as sent, without the query.
    pub path: String,
    /// Query as sent, with the values of key-like parameters replaced; `None` where there is none.
    pub query: Option<String>,
    /// Low-cardinality path template; `None` for paths no dialect knows.
    pub route: Option<&'static str>,
    /// `1.0`, `1.1` or `2`, of the client's connection.
    pub version: &'static str,
    /// The `Host` (or `:authority`) the client asked for.
    pub host: Option<String>,
    /// `User-Agent` of the client.
    pub user_agent: Option<String>,
    /// The client's end of its connection.
    pub peer: Option<SocketAddr>,
    /// Status sent to the client; `None` when it left before one was.
    pub status: Option<u16>,
    /// Bytes of the request body as the client sent it.
    pub request_bytes: u64,
    /// Bytes of the response body as read from the upstream, still coded.
    pub response_bytes: u64,
}

/// Identity of the two spans of an exchange (W3C Trace Context).
#[derive(Debug, Clone)]
pub struct Trace {
    /// Trace id, never zero.
    pub trace_id: u128,
    /// The client's span; `None` at the root of a trace.
    pub parent_span_id: Option<u64>,
    /// Our SERVER span.
    pub server_span_id: u64,
    /// Our CLIENT span, the one whose context went upstream for an inference call.
    pub client_span_id: u64,
    /// Whether the spans are exported.
    pub sampled: bool,
    /// `tracestate` as it came.
    pub tracestate: Option<String>,
}

impl Trace {
    /// The `traceparent` that makes one of our spans the parent (W3C Trace Context §3.2).
    #[must_use]
    pub fn traceparent(&self, span_id: u64) -> String {
        let flags = u8::from(self.sampled);
        format!("00-{:032x}-{span_id:016x}-{flags:02x}", self.trace_id)
    }
}

/// Where a request was sent.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Name in the configuration.
    pub name: Arc<str>,
    /// Value for `gen_ai.provider.name`.
    pub provider: Arc<str>,
    /// Host of its URL.
    pub address: Arc<str>,
    /// Port of its URL, explicit or by scheme.
    pub port: u16,
}

/// One time a request was sent to its upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Absolute URL, without user and password, the values of key-like parameters replaced.
    pub url: String,
    /// When it was ready to go, since the start of the exchange.
    pub started: Duration,
    /// When the response head came, or it was clear that none would; `None` where it was given up before.
    pub ended: Option<Duration>,
    /// Status of the response; `None` where none came.
    pub status: Option<u16>,
    /// What stood in the way of a response, as a low-cardinality word.
    pub error: Option<&'static str>,
}

/// What the request body asked for. Set by the dialect; every field `None` where the member is absent or of a wrong type.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Request {
    /// `model`, exact.
    pub model: Option<String>,
    /// `stream`; only a JSON boolean counts.
    pub stream: Option<bool>,
    /// `max_completion_tokens`, else `max_tokens`.
    pub max_tokens: Option<i64>,
    /// `n`.
    pub choice_count: Option<i64>,
    /// `temperature`.
    pub temperature: Option<f64>,
    /// `top_p`.
    pub top_p: Option<f64>,
    /// `top_k`, a vLLM extension.
    pub top_k: Option<i64>,
    /// `frequency_penalty`.
    pub frequency_penalty: Option<f64>,
    /// `presence_penalty`.
    pub presence_penalty: Option<f64>,
    /// `stop`, one string or several.
    pub stop_sequences: Option<Vec<String>>,
    /// `seed`.
    pub seed: Option<i64>,
    /// `reasoning_effort`, verbatim.
    pub reasoning_level: Option<String>,
    /// Requested output format, from `response_format.type` or `modalities`.
    pub output_type: Option<OutputType>,
    /// `service_tier`.
    pub service_tier: Option<String>,
    /// Unicode code points of the prompt's text, over all messages.
    pub prompt_chars: Option<u64>,
    /// Whether the proxy added `stream_options.include_usage`. Set by the observer.
    pub usage_injected: bool,
}

/// `gen_ai.output.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputType {
    /// Plain text.
    Text,
    /// A JSON object, with or without a schema.
    Json,
    /// Spoken audio.
    Speech,
}

/// What the response said. Set by the dialect as events or the body arrive.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Response {
    /// Whether the response was a stream of events, whatever the request asked.
    pub streamed: bool,
    /// First non-empty `id`.
    pub id: Option<String>,
    /// Last non-empty `model`.
    pub model: Option<String>,
    /// One entry per choice, in order of choice index; the entry is `None` until a reason came.
    pub choices: Vec<Choice>,
    /// `service_tier`.
    pub service_tier: Option<String>,
    /// `system_fingerprint`, the first non-empty.
    pub system_fingerprint: Option<String>,
    /// Tool calls in order of appearance.
    pub tool_calls: Vec<ToolCall>,
    /// Unicode code points of answer text, summed over choices.
    pub content_chars: Option<u64>,
    /// Unicode code points of reasoning text.
    pub reasoning_chars: Option<u64>,
    /// Unicode code points of refusal text.
    pub refusal_chars: Option<u64>,
    /// Whether log probabilities came.
    pub logprobs: bool,
    /// Whether the `[DONE]` sentinel came.
    pub done: bool,
    /// An error object, in an HTTP error's body or inside a stream.
    pub error: Option<ApiError>,
    /// More choices or tool calls came than are kept.
    pub truncated: bool,
}

/// One choice of a response.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Choice {
    /// `index` as sent.
    pub index: u64,
    /// Raw `finish_reason`; `None` until one came.
    pub finish_reason: Option<String>,
}

/// One tool call the model asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ToolCall {
    /// Index of the choice it belongs to.
    pub choice: u64,
    /// `index` within the choice, or the position where the wire has none.
    pub index: u64,
    /// `id`, if any came.
    pub id: Option<String>,
    /// `function.name`, put together from its fragments.
    pub name: String,
    /// Unicode code points of the arguments' JSON text.
    pub arguments_chars: u64,
}

/// An error object as an API sends it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ApiError {
    /// `code` where it is a string.
    pub code: Option<String>,
    /// `type`.
    pub kind: Option<String>,
    /// `message`; may quote the request, so it goes to spans only, never to metrics or logs.
    pub message: Option<String>,
    /// `code` where it is a number, as vLLM and OpenRouter send.
    pub status: Option<i64>,
}

/// Token counts as the wire reported them; sub-counts are subsets of the totals.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Usage {
    /// Input tokens, cached ones included.
    pub input_tokens: Option<u64>,
    /// Output tokens, reasoning included.
    pub output_tokens: Option<u64>,
    /// `total_tokens` as reported, never summed by us.
    pub total_tokens: Option<u64>,
    /// Input tokens read from a cache.
    pub cache_read_input_tokens: Option<u64>,
    /// Input tokens written to a cache.
    pub cache_write_input_tokens: Option<u64>,
    /// Output tokens spent on reasoning.
    pub reasoning_output_tokens: Option<u64>,
    /// Audio tokens in.
    pub audio_input_tokens: Option<u64>,
    /// Audio tokens out.
    pub audio_output_tokens: Option<u64>,
    /// Text tokens in, where broken out.
    pub text_input_tokens: Option<u64>,
    /// Text tokens out, where broken out.
    pub text_output_tokens: Option<u64>,
    /// Image tokens in, where broken out.
    pub image_input_tokens: Option<u64>,
    /// Image tokens out, where broken out.
    pub image_output_tokens: Option<u64>,
}

/// Where the token counts come from: `streamgauge.usage.source`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UsageSource {
    /// The upstream reported input and output tokens.
    Reported,
    /// The upstream reported one of them, or the stream broke after a running count.
    ReportedPartial,
    /// The upstream reported nothing.
    Missing,
}

/// Instants, as time since [`Exchange::started_at`]; `None` where the instant never came.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Times {
    /// Last byte of the request body read.
    pub request_end: Option<Duration>,
    /// The request was ready to go: routed and, where it is edited, edited.
    pub forwarded: Option<Duration>,
    /// The request was handed to an upstream connection.
    pub sent: Option<Duration>,
    /// The upstream's response head was parsed.
    pub response_head: Option<Duration>,
    /// First byte of the response body.
    pub first_byte: Option<Duration>,
    /// First SSE event that is not a comment, or the first byte of a body that is no stream.
    pub first_chunk: Option<Duration>,
    /// First event with generated output of any kind.
    pub first_token: Option<Duration>,
    /// First reasoning text.
    pub first_reasoning: Option<Duration>,
    /// First answer text.
    pub first_content: Option<Duration>,
    /// First fragment of a tool call.
    pub first_tool_call: Option<Duration>,
    /// Last event with generated output.
    pub last_token: Option<Duration>,
    /// Body ended, client left, or upstream failed.
    pub end: Duration,
    /// Time frames spent inside the proxy between read and hand-over to the client's connection, summed.
    pub held: Duration,
}

/// What flowed through a response.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Flow {
    /// SSE events with data, the sentinel included; `None` where the body was no stream.
    pub events: Option<u64>,
    /// SSE events with generated output; `None` where the body was no stream.
    pub chunks: Option<u64>,
    /// Longest time between two events with generated output.
    pub gap_max: Option<Duration>,
    /// 99th percentile of those times, from a log-linear sketch (within 4 %).
    pub gap_p99: Option<Duration>,
    /// Gaps between events with generated output, as time since start of the later one and the gap, each longer
    /// than the stall threshold; at most [`Flow::STALLS_KEPT`] are kept.
    pub stalls: Vec<Stall>,
    /// All gaps longer than the threshold, kept or not.
    pub stall_count: u64,
    /// Each gap between consecutive output events, coalesced by width, for histograms: (gap, how many).
    pub gaps: Vec<(Duration, u64)>,
}

impl Flow {
    /// How many stalls are kept one by one.
    pub const STALLS_KEPT: usize = 16;
}

/// A gap in a stream that is worth a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stall {
    /// When the stream went on, since the start of the exchange.
    pub at: Duration,
    /// How long it had stood still.
    pub gap: Duration,
}

/// How an exchange ended: `streamgauge.end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// A complete response: a whole body, or a stream that closed with its sentinel and a finish reason.
    Done,
    /// Every choice had finished, but no `[DONE]` came.
    FinishWithoutDone,
    /// `[DONE]` came without any finish reason.
    DoneWithoutFinish,
    /// An error object came inside a 200.
    ErrorEvent,
    /// The upstream broke off.
    Cut,
    /// The client went away before the end.
    ClientLeft,
    /// A time limit of ours ran out.
    Timeout,
    /// The upstream could not be reached.
    Refused,
    /// We turned the request away.
    Rejected,
}

impl End {
    /// The value of `streamgauge.end`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::FinishWithoutDone => "finish_without_done",
            Self::DoneWithoutFinish => "done_without_finish",
            Self::ErrorEvent => "error_event",
            Self::Cut => "cut",
            Self::ClientLeft => "client_left",
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::Rejected => "rejected",
        }
    }
}

/// What went wrong. Its `kind` is `error.type`, the same on spans and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Low-cardinality identifier: the API's code or type, an HTTP status, or one of our own words.
    pub kind: String,
    /// What the wire or the transport said, for the span's status description; may be empty.
    pub message: String,
}

/// What the hashes over both sides of a response body say: `streamgauge.integrity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Integrity {
    /// The client's connection took exactly the upstream's bytes.
    Equal,
    /// The client left early; it took a prefix of the upstream's bytes.
    Prefix,
    /// Equal but for the usage event that we had asked for.
    UsageRemoved,
    /// Equal, and the usage event that we had asked for could not be taken out.
    UsageLeft,
    /// Not equal: a fault of ours.
    Different,
}

impl Integrity {
    /// The value of the `result` attribute.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Prefix => "prefix",
            Self::UsageRemoved => "usage_removed",
            Self::UsageLeft => "usage_left",
            Self::Different => "different",
        }
    }
}

/// Counts of what the observer could not make sense of or did not see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    /// Events or bodies that were no JSON, or no object.
    pub malformed: u64,
    /// Members whose type was not the documented one, taken as absent.
    pub mistyped: u64,
    /// Events or bodies longer than the bound, passed on but not read.
    pub oversized: u64,
    /// Bodies whose content coding could not be undone.
    pub undecodable: u64,
    /// Frames not shown to the observer because its queue was full.
    pub missed_frames: u64,
}

impl Problems {
    /// Adds what another part of the exchange counted.
    pub const fn add(&mut self, other: &Self) {
        self.malformed += other.malformed;
        self.mistyped += other.mistyped;
        self.oversized += other.oversized;
        self.undecodable += other.undecodable;
        self.missed_frames += other.missed_frames;
    }

    /// Whether every fact stands on the whole of what was sent.
    #[must_use]
    pub const fn is_partial(&self) -> bool {
        self.oversized + self.undecodable + self.missed_frames > 0
    }
}

impl Exchange {
    /// An exchange of which nothing is known but when it began.
    #[must_use]
    pub fn begin(started_at: SystemTime) -> Self {
        Self {
            started_at,
            call: None,
            http: Http::default(),
            trace: None,
            upstream: None,
            attempts: Vec::new(),
            request: Request::default(),
            response: Response::default(),
            usage: Usage::default(),
            times: Times::default(),
            flow: Flow::default(),
            end: End::ClientLeft,
            failure: None,
            integrity: None,
            problems: Problems::default(),
        }
    }

    /// The inference call and where it went; `None` for what is no inference call, and where no upstream was chosen.
    #[must_use]
    pub fn inference(&self) -> Option<(Call, &Upstream)> {
        Some((self.call?, self.upstream.as_ref()?))
    }

    /// When the call to the upstream was issued: ready to go, connecting still ahead. Its span and durations count
    /// from here to [`Times::end`].
    #[must_use]
    pub fn issued(&self) -> Duration {
        let ready = self.times.forwarded.or(self.times.request_end);
        ready.unwrap_or_default().min(self.times.end)
    }

    /// Place of the attempt whose response the client got: the last that had one.
    #[must_use]
    pub fn answering_attempt(&self) -> Option<usize> {
        self.attempts
            .iter()
            .rposition(|attempt| attempt.status.is_some())
    }

    /// When an attempt was over: with the exchange where its response went to the client or nothing had come yet, else
    /// at its head, since the rest was let go.
    #[must_use]
    pub fn attempt_end(&self, at: usize) -> Duration {
        let ended = self.attempts.get(at).and_then(|attempt| attempt.ended);
        match ended {
            Some(ended) if self.answering_attempt() != Some(at) => ended,
            _ => self.times.end,
        }
    }

    /// From the last byte of the request to an instant of the response. `None` where the upstream answered before the
    /// request was over.
    #[must_use]
    pub fn since_request(&self, at: Duration) -> Option<Duration> {
        at.checked_sub(self.times.request_end?)
    }

    /// Time to first token: from the last byte of the request to the first event with generated output.
    /// `None` for a response that was no stream.
    #[must_use]
    pub fn time_to_first_token(&self) -> Option<Duration> {
        let first = self.times.first_token?;
        self.since_request(first).filter(|_| self.response.streamed)
    }

    /// Time to first chunk: from the hand-over to an upstream connection to the first SSE event.
    /// `None` for a response that was no stream.
    #[must_use]
    pub fn time_to_first_chunk(&self) -> Option<Duration> {
        let sent = self.times.sent?;
        self.response
            .streamed
            .then_some(self.times.first_chunk?)
            .map(|first| first.saturating_sub(sent))
    }

    /// Mean time per output token after the first: (last token - first token) / (output tokens - 1). Reasoning of which
    /// nothing was seen was over before the first token, so its tokens do not count.
    /// `None` for a response that was no stream, or with fewer than two tokens.
    #[must_use]
    pub fn time_per_output_token(&self) -> Option<Duration> {
        let spread = self
            .times
            .last_token?
            .checked_sub(self.times.first_token?)?;
        let seen_reasoning = self.times.first_reasoning.is_some();
        let reasoning = self.usage.reasoning_output_tokens;
        let hidden = reasoning.filter(|_| !seen_reasoning).unwrap_or_default();
        let steps = self
            .usage
            .output_tokens?
            .checked_sub(hidden + 1)
            .filter(|n| *n > 0)?;
        self.response.streamed.then(|| spread.div_f64(steps as f64))
    }

    /// What the proxy itself cost: from the last byte of the request until it went out for the last time, plus the time
    /// frames spent inside. An attempt that had to be repeated is our doing; setting up a connection to the upstream is
    /// the upstream's time.
    #[must_use]
    pub fn overhead(&self) -> Duration {
        let last = self.attempts.last().map(|attempt| attempt.started);
        let ready = match (self.times.request_end, last.or(self.times.forwarded)) {
            (Some(read), Some(ready)) => ready.saturating_sub(read),
            _ => Duration::ZERO,
        };
        ready + self.times.held
    }

    /// Where the token counts come from; `None` for what is no inference call.
    #[must_use]
    pub fn usage_source(&self) -> Option<UsageSource> {
        self.call?;
        // A count that came before the stream broke may have been a running one.
        let whole = matches!(
            self.end,
            End::Done | End::FinishWithoutDone | End::DoneWithoutFinish
        );
        Some(match (self.usage.input_tokens, self.usage.output_tokens) {
            (Some(_), Some(_)) if whole => UsageSource::Reported,
            (None, None) => UsageSource::Missing,
            _ => UsageSource::ReportedPartial,
        })
    }

    /// `finish_reasons`, one per choice in order of index: the raw word, or `error` where a choice had begun and none
    /// came. `None` where no choice began.
    #[must_use]
    pub fn finish_reasons(&self) -> Option<Vec<&str>> {
        let choices = &self.response.choices;
        (!choices.is_empty()).then(|| {
            choices
                .iter()
                .map(|choice| choice.finish_reason.as_deref().unwrap_or("error"))
                .collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn attempt(started: u64) -> Attempt {
        Attempt {
            url: String::new(),
            started: MS(started),
            ended: None,
            status: None,
            error: None,
        }
    }

    #[test]
    fn an_attempt_that_had_to_be_repeated_is_the_proxys_own_cost() {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        exchange.times.request_end = Some(MS(10));
        exchange.times.forwarded = Some(MS(11));
        exchange.times.held = MS(2);
        exchange.attempts = vec![attempt(11)];
        assert_eq!(exchange.overhead(), MS(3));
        exchange.attempts.push(attempt(40));
        assert_eq!(exchange.overhead(), MS(32));
    }

    #[test]
    fn counts_of_a_stream_that_did_not_end_well_are_partial() {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        assert_eq!(exchange.usage_source(), None);
        exchange.call = Some(Call::ChatCompletions);
        assert_eq!(exchange.usage_source(), Some(UsageSource::Missing));
        exchange.usage.input_tokens = Some(3);
        exchange.end = End::Done;
        assert_eq!(exchange.usage_source(), Some(UsageSource::ReportedPartial));
        exchange.usage.output_tokens = Some(4);
        for end in [End::Done, End::FinishWithoutDone, End::DoneWithoutFinish] {
            exchange.end = end;
            assert_eq!(exchange.usage_source(), Some(UsageSource::Reported));
        }
        for end in [End::Cut, End::ClientLeft, End::Timeout, End::ErrorEvent] {
            exchange.end = end;
            let source = exchange.usage_source();
            assert_eq!(source, Some(UsageSource::ReportedPartial), "{end:?}");
        }
    }

    #[test]
    fn an_answer_before_the_end_of_the_request_has_no_time_to_first_token() {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        exchange.response.streamed = true;
        exchange.times.first_token = Some(MS(30));
        assert_eq!(
            exchange.time_to_first_token(),
            None,
            "the request never ended"
        );
        exchange.times.request_end = Some(MS(31));
        assert_eq!(exchange.time_to_first_token(), None, "it ended later");
        exchange.times.request_end = Some(MS(10));
        assert_eq!(exchange.time_to_first_token(), Some(MS(20)));
    }

    #[test]
    fn tokens_of_hidden_reasoning_do_not_shorten_the_time_per_token() {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        exchange.response.streamed = true;
        exchange.times.first_token = Some(MS(1000));
        exchange.times.last_token = Some(MS(1400));
        exchange.usage.output_tokens = Some(501);
        assert_eq!(exchange.time_per_output_token(), Some(MS(400) / 500));
        exchange.usage.reasoning_output_tokens = Some(490);
        assert_eq!(exchange.time_per_output_token(), Some(MS(40)));
        exchange.times.first_reasoning = Some(MS(1000));
        assert_eq!(exchange.time_per_output_token(), Some(MS(400) / 500));
        exchange.times.first_reasoning = None;
        exchange.usage.reasoning_output_tokens = Some(501);
        assert_eq!(exchange.time_per_output_token(), None);
    }

    #[test]
    fn a_traceparent_names_the_span_and_says_whether_it_is_sampled() {
        let mut trace = Trace {
            trace_id: 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c,
            parent_span_id: None,
            server_span_id: 1,
            client_span_id: 0xb7ad,
            sampled: true,
            tracestate: None,
        };
        let expected = "00-0af7651916cd43dd8448eb211c80319c-000000000000b7ad-01";
        assert_eq!(trace.traceparent(trace.client_span_id), expected);
        trace.sampled = false;
        assert!(trace.traceparent(1).ends_with("-0000000000000001-00"));
    }
}
