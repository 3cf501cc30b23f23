//! When what happened, and what flowed.

use std::time::Duration;

/// Instants, as time since [`Exchange::started_at`](super::Exchange::started_at); `None` where the instant never came.
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
    /// First event with generated output of any kind, or the first of raw bytes.
    pub first_token: Option<Duration>,
    /// First reasoning text.
    pub first_reasoning: Option<Duration>,
    /// First answer text.
    pub first_content: Option<Duration>,
    /// First sound.
    pub first_audio: Option<Duration>,
    /// First fragment of a tool call.
    pub first_tool_call: Option<Duration>,
    /// Last event with generated output, or the last of raw bytes.
    pub last_token: Option<Duration>,
    /// Body ended, client left, or upstream failed.
    pub end: Duration,
    /// Time frames spent inside the proxy between read and hand-over to the client's connection, summed.
    pub held: Duration,
}

/// How long the upstream itself says that its parts of the work took; each `None` where the wire does not say.
///
/// Its clock, not ours: what is left of a time measured at the proxy is the network's and the server's front end's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerTimes {
    /// Loading the model, before anything else could begin.
    pub load: Option<Duration>,
    /// Waiting to be scheduled.
    pub queue: Option<Duration>,
    /// Reading the prompt: from being scheduled to the first token.
    pub prefill: Option<Duration>,
    /// Generating: from the first token, or the end of the prompt, to the last token.
    pub decode: Option<Duration>,
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
