//! What request and response said in the terms of their API, and the tokens they counted. Set by the dialect.

use std::time::Duration;

use super::{Digest, ServerTimes};

/// What the request body asked for. Set by the dialect; every field `None` where the member is absent or of a wrong type.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Request {
    /// `model`, exact.
    pub model: Option<String>,
    /// `stream`; only a JSON boolean counts.
    pub stream: Option<bool>,
    /// `max_completion_tokens`, else `max_tokens`; `max_output_tokens` of the Responses API.
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
    /// `stop`, one string or several; `stop_sequences` of messages.
    pub stop_sequences: Option<Vec<String>>,
    /// `seed`.
    pub seed: Option<i64>,
    /// `reasoning_effort`, verbatim; `reasoning.effort` of the Responses API, `output_config.effort` of messages.
    pub reasoning_level: Option<String>,
    /// Requested output format, from `response_format.type` or `modalities`; `text.format.type` of the Responses API,
    /// `output_config.format.type` of messages.
    pub output_type: Option<OutputType>,
    /// `service_tier`.
    pub service_tier: Option<String>,
    /// `encoding_format` of embeddings.
    pub encoding_format: Option<String>,
    /// `dimensions` of embeddings.
    pub dimensions: Option<i64>,
    /// What is searched: the vector store in the path. Set by the observer.
    pub data_source: Option<String>,
    /// Most results that a search may bring: `max_num_results`.
    pub result_limit: Option<i64>,
    /// `conversation` of the Responses API; of completions what gateways know one by, `session_id` or `litellm_session_id`.
    pub conversation_id: Option<String>,
    /// `previous_response_id`, the response this one goes on from.
    pub previous_response_id: Option<String>,
    /// Whether the input brings a history that was compacted.
    pub compacted: bool,
    /// `prompt.id`, a template kept at the provider.
    pub prompt_name: Option<String>,
    /// `prompt.version`.
    pub prompt_version: Option<String>,
    /// After which event a fetched stream is to begin: `starting_after` of the query.
    pub stream_cursor: Option<String>,
    /// The one function that there is, where the model must call it: a way to ask for output of a structure, and no tool.
    pub forced_tool: Option<String>,
    /// Unicode code points of the prompt's text, over all messages; of the input, where it is no prompt.
    pub prompt_chars: Option<u64>,
    /// The hash of the body as it was sent; `None` where it was not read whole. Set by the observer.
    pub body: Option<Digest>,
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
    /// Images.
    Image,
}

/// What the response said. Set by the dialect as events or the body arrive.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Response {
    /// Whether the response was a stream of events, whatever the request asked.
    pub streamed: bool,
    /// Whether it was what a model generated in bytes that are no events, such as sound, whatever the request asked. Set by
    /// the observer.
    pub raw: bool,
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
    /// Tool calls in order of appearance, those that the provider carries out among them.
    pub tool_calls: Vec<ToolCall>,
    /// Unicode code points of answer text, summed over choices.
    pub content_chars: Option<u64>,
    /// Unicode code points of reasoning text.
    pub reasoning_chars: Option<u64>,
    /// Unicode code points of refusal text.
    pub refusal_chars: Option<u64>,
    /// Whether log probabilities came.
    pub logprobs: bool,
    /// Whether the event came that ends a stream of this API: the `[DONE]` sentinel, or a terminal event.
    pub done: bool,
    /// Last non-empty `status` of the Responses API; `queued` and `in_progress` for what goes on in the background.
    pub status: Option<String>,
    /// `conversation` of the Responses API.
    pub conversation_id: Option<String>,
    /// Whether the history was compacted on the way.
    pub compacted: bool,
    /// An error object, in an HTTP error's body or inside a stream. Boxed: few answers have one, and all have room for it.
    pub error: Option<Box<ApiError>>,
    /// More choices or tool calls came than are kept.
    pub truncated: bool,
    /// What the server says of its own time.
    pub server_times: ServerTimes,
    /// Whose server it says that it is, as a value for `gen_ai.provider.name`; `None` where it says nothing, or what others
    /// say too. Set by the reader of a whole answer, and by the observer.
    pub provider: Option<&'static str>,
}

impl Response {
    /// Whether it has said all that it has to say, as a stream. A client that closes after the last event has not left early:
    /// clients do so once they have read the end.
    #[must_use]
    pub fn said_all(&self) -> bool {
        self.streamed && (self.done || self.all_finished())
    }

    /// Whether every choice has a reason to end.
    #[must_use]
    pub fn all_finished(&self) -> bool {
        let mut choices = self.choices.iter();
        !self.choices.is_empty() && choices.all(|choice| choice.finish_reason.is_some())
    }

    /// The calls that the client is to carry out.
    pub fn client_calls(&self) -> impl Iterator<Item = &ToolCall> {
        let calls = self.tool_calls.iter();
        calls.filter(|call| call.kind.is_client_run())
    }
}

/// One choice of a response.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Choice {
    /// `index` as sent.
    pub index: u64,
    /// Raw `finish_reason`, `stop_reason` of messages; by the `status` in the Responses API. `None` until one came.
    pub finish_reason: Option<String>,
}

/// What kind of tool is called, and so who carries the call out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ToolKind {
    /// A function, or a tool of the provider's design: the client.
    #[default]
    Function,
    /// One whose input is free text: the client.
    Custom,
    /// One that acts: the provider, before the response is over.
    Extension,
    /// One that looks something up in the client's data: the provider, likewise.
    Datastore,
}

impl ToolKind {
    /// Whether the client carries the call out.
    #[must_use]
    pub const fn is_client_run(self) -> bool {
        matches!(self, Self::Function | Self::Custom)
    }
}

/// One tool call the model asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ToolCall {
    /// Index of the choice it belongs to.
    pub choice: u64,
    /// `index` within the choice, or the position where the wire has none.
    pub index: u64,
    /// `id`, if any came; `call_id` in the Responses API.
    pub id: Option<String>,
    /// `function.name`, put together from its fragments; the kind of tool where the provider defined it.
    pub name: String,
    /// What kind of tool it is.
    pub kind: ToolKind,
    /// Whether the model had to make it, and could make no other: its arguments are output of a structure. Set when request
    /// and response are known.
    pub forced: bool,
    /// Unicode code points of the arguments' JSON text.
    pub arguments_chars: u64,
    /// The same in bytes of UTF-8.
    pub arguments_bytes: u64,
    /// What they say, however they are written: parsed JSON with sorted keys, nothing as `{}`; trimmed where they are no JSON.
    /// `None` where they were not gathered, or not whole. Set when the response is over.
    pub arguments: Option<Digest>,
    /// When the last of its arguments came, since the start of the exchange; `None` where none did.
    pub arguments_end: Option<Duration>,
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
    /// Those of them that are to be kept for five minutes, where broken out.
    pub cache_write_5m_input_tokens: Option<u64>,
    /// Those that are to be kept for an hour.
    pub cache_write_1h_input_tokens: Option<u64>,
    /// Searches of the web that the provider made for the call, and charges for; `None` where it does not say.
    pub web_searches: Option<u64>,
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
    /// Text tokens read from a cache, where broken out.
    pub text_cache_read_input_tokens: Option<u64>,
    /// Image tokens read from a cache, where broken out.
    pub image_cache_read_input_tokens: Option<u64>,
    /// Audio tokens read from a cache, where broken out.
    pub audio_cache_read_input_tokens: Option<u64>,
    /// Length of the audio that came in, where usage is counted in that.
    pub audio_input_duration: Option<Duration>,
    /// Input tokens of the message itself, where other steps of the call, such as a compaction, took tokens of their own and
    /// are in the input tokens. As reported, with what the cache served.
    pub message_input_tokens: Option<u64>,
    /// Output tokens in the same way.
    pub message_output_tokens: Option<u64>,
    /// Whether not all that was asked for is in the counts, such as one of several choices. Set by the dialect, as the whole of
    /// the response tells.
    pub partial: bool,
    /// What was counted by us, for want of a report. Set by the pipeline, which also puts it in the place of the two main
    /// counts where it is told to.
    pub estimate: Estimate,
    /// What was counted by us beside a report, of some calls, so that it shows how far the counting is off. Set by the pipeline.
    pub checked: Estimate,
}

/// Tokens that were counted in the text that passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Tokens of the prompt; `None` where not all of it can be counted.
    pub input_tokens: Option<u64>,
    /// Tokens of the answer; `None` likewise.
    pub output_tokens: Option<u64>,
}

impl Estimate {
    /// Whether anything was counted.
    #[must_use]
    pub const fn is_there(&self) -> bool {
        self.input_tokens.is_some() || self.output_tokens.is_some()
    }
}

/// Where the token counts come from: `streamgauge.usage.source`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UsageSource {
    /// The upstream reported input and output tokens.
    Reported,
    /// The upstream reported one of them, or the stream broke after a running count.
    ReportedPartial,
    /// The upstream reported nothing, and they were counted in the text that passed.
    Estimated,
    /// The upstream reported nothing.
    Missing,
}

impl UsageSource {
    /// Every source.
    pub const ALL: [Self; 4] = [
        Self::Reported,
        Self::ReportedPartial,
        Self::Estimated,
        Self::Missing,
    ];
}
