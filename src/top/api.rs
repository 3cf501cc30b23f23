//! What the admin API answers, as far as it is shown here. Members that are missing are not known; others are ignored, so
//! that a newer streamgauge can be looked at.

mod conversation;

use serde::Deserialize;

pub(super) use conversation::{ConversationDetail, Conversations, Totals, Turn};

use super::text::Text;

/// The version of the API that this was written for, and the header that names it.
pub(super) const VERSION: (&str, &str) = ("streamgauge-api-version", "1");

/// `/api/exchanges`: exchanges that have ended, the newest first.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Exchanges {
    /// How many have ended since the start.
    pub(super) total: u64,
    /// Some of them.
    pub(super) exchanges: Vec<Row>,
    /// What to ask for the next page with; `None` at the end.
    pub(super) next: Option<u64>,
}

/// One exchange that has ended. Durations are in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Row {
    pub(super) id: u64,
    pub(super) started_at_ms: u64,
    pub(super) method: Option<Text>,
    pub(super) path: Option<Text>,
    pub(super) route: Option<Text>,
    pub(super) operation: Option<Text>,
    pub(super) model: Option<Text>,
    pub(super) response_model: Option<Text>,
    pub(super) upstream: Option<Text>,
    pub(super) provider: Option<Text>,
    pub(super) status: Option<u16>,
    pub(super) end: Option<Text>,
    pub(super) error: Option<Text>,
    pub(super) streamed: Option<bool>,
    pub(super) time_to_first_token_ms: Option<f64>,
    pub(super) time_per_output_token_ms: Option<f64>,
    pub(super) duration_ms: Option<f64>,
    pub(super) chunks: Option<u64>,
    pub(super) input_tokens: Option<u64>,
    pub(super) output_tokens: Option<u64>,
    pub(super) cached_tokens: Option<u64>,
    pub(super) reasoning_tokens: Option<u64>,
    pub(super) tokens_estimated: Option<bool>,
    pub(super) cost_usd: Option<Text>,
    pub(super) tool_calls: Option<u64>,
    pub(super) stalls: Option<u64>,
    pub(super) finish_reasons: Option<Vec<Text>>,
    pub(super) conversation: Option<Text>,
    pub(super) turn: Option<u64>,
    pub(super) trace_id: Option<Text>,
    pub(super) key_fingerprint: Option<Text>,
}

impl Row {
    /// The model, or the request where none is known.
    pub(super) fn subject(&self) -> String {
        subject(&self.model, &self.method, &self.path)
    }

    /// When it ended; when it began where its duration is not known.
    pub(super) fn ended_at_ms(&self) -> u64 {
        let lasted = self.duration_ms.unwrap_or(0.0);
        self.started_at_ms.saturating_add(lasted as u64)
    }

    /// Whether it failed, by whosever fault. A client that has left is no failure.
    pub(super) fn has_failed(&self) -> bool {
        self.error.is_some() || self.status.is_some_and(|status| status >= 400)
    }

    /// How it ended, and the error where there was one.
    pub(super) fn story(&self) -> String {
        let end = self.end.as_deref().unwrap_or_default();
        match &self.error {
            Some(error) if end == "http_error" || end.is_empty() => error.to_string(),
            Some(error) => format!("{end}: {error}"),
            None => end.to_owned(),
        }
    }
}

/// What a request is for: the model, or its method and path. What came in place of a request has neither.
fn subject(model: &Option<Text>, method: &Option<Text>, path: &Option<Text>) -> String {
    let known = |text: &Option<Text>| text.clone().filter(|text| !text.is_empty());
    match (known(model), known(method), known(path)) {
        (Some(model), _, _) => model.to_string(),
        (None, Some(method), Some(path)) => format!("{method} {path}"),
        _ => "(no request)".to_owned(),
    }
}

/// `/api/exchanges/ID`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct One {
    pub(super) exchange: Row,
    pub(super) timeline: Timeline,
    pub(super) attempts: Vec<Attempt>,
    pub(super) spans: Vec<Span>,
    pub(super) tool_calls: Vec<ToolCall>,
    pub(super) cost: Option<Cost>,
    pub(super) http: Http,
    pub(super) conversation: Option<Conversation>,
    pub(super) trace_url: Option<Text>,
}

/// When what was seen of an exchange; milliseconds since it began.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Timeline {
    pub(super) marks: Vec<Mark>,
    pub(super) stalls: Vec<Stall>,
    pub(super) largest_gap_ms: Option<f64>,
    pub(super) overhead_ms: Option<f64>,
    pub(super) held_ms: Option<f64>,
}

/// An instant by its name.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Mark {
    pub(super) name: Text,
    pub(super) at_ms: f64,
}

/// A gap in what was generated.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Stall {
    pub(super) at_ms: f64,
    pub(super) gap_ms: f64,
}

/// One try at an upstream.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Attempt {
    pub(super) upstream: Option<Text>,
    pub(super) url: Option<Text>,
    pub(super) why: Option<Text>,
    pub(super) end_ms: Option<f64>,
    pub(super) status: Option<u16>,
    pub(super) error: Option<Text>,
}

/// A span as it is exported.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Span {
    pub(super) name: Text,
    pub(super) kind: Text,
    pub(super) attributes: Vec<Attribute>,
}

/// An attribute of a span.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Attribute {
    pub(super) name: Text,
    pub(super) value: Text,
}

/// A call of a tool that the model asked for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct ToolCall {
    pub(super) name: Option<Text>,
    pub(super) id: Option<Text>,
    pub(super) kind: Option<Text>,
    pub(super) arguments_chars: Option<u64>,
    pub(super) at_ms: Option<f64>,
}

/// What it cost, and by which price.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Cost {
    pub(super) input_usd: Option<Text>,
    pub(super) output_usd: Option<Text>,
    pub(super) total_usd: Option<Text>,
    pub(super) entry: Option<Text>,
    pub(super) estimated: Option<bool>,
    pub(super) partial: Option<bool>,
}

/// The exchange as HTTP.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Http {
    pub(super) version: Option<Text>,
    pub(super) host: Option<Text>,
    pub(super) query: Option<Text>,
    pub(super) user_agent: Option<Text>,
    pub(super) request_bytes: Option<u64>,
    pub(super) response_bytes: Option<u64>,
}

/// Where it stands in a conversation.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Conversation {
    pub(super) id: Option<Text>,
    pub(super) turn: Option<u64>,
    pub(super) branch: Option<Text>,
    pub(super) depth: Option<u64>,
    pub(super) linked_by: Option<Text>,
}

/// `/api/summary`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Summary {
    pub(super) now_ms: u64,
    pub(super) ready: bool,
    pub(super) version: Option<Text>,
    pub(super) base_url: Option<Text>,
    pub(super) in_flight_count: u64,
    pub(super) today: Today,
    pub(super) steps: Vec<Step>,
    pub(super) latency: Latency,
}

/// Sums since midnight UTC.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Today {
    pub(super) requests: u64,
    pub(super) errors: u64,
    pub(super) cost_usd: Option<Text>,
    pub(super) cost_estimated: bool,
    pub(super) unpriced: u64,
}

/// What ended within a step of time, the last one not over yet.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Step {
    pub(super) at_ms: u64,
    pub(super) requests: u64,
    pub(super) errors: u64,
    pub(super) output_tokens: u64,
}

/// Latencies by step.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Latency {
    pub(super) time_to_first_token: Quantiles,
}

/// Quantiles of each step; `None` where nothing ended.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Quantiles {
    pub(super) p50_ms: Vec<Option<f64>>,
    pub(super) p95_ms: Vec<Option<f64>>,
}

/// `/api/in-flight`: the oldest first.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct InFlight {
    pub(super) count: u64,
    pub(super) exchanges: Vec<Flight>,
}

/// One exchange in flight.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Flight {
    pub(super) id: u64,
    pub(super) method: Option<Text>,
    pub(super) path: Option<Text>,
    pub(super) model: Option<Text>,
    pub(super) upstream: Option<Text>,
    pub(super) age_ms: f64,
    pub(super) state: FlightState,
    pub(super) chunks: Option<u64>,
    pub(super) time_to_first_token_ms: Option<f64>,
    pub(super) since_last_output_ms: Option<f64>,
}

impl Flight {
    /// The model, or the request where none is known.
    pub(super) fn subject(&self) -> String {
        subject(&self.model, &self.method, &self.path)
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum FlightState {
    /// The upstream has not answered.
    #[default]
    Waiting,
    /// It has, and nothing is generated yet.
    Answered,
    /// Output comes.
    Generating,
    /// Output came, and has paused for longer than it should.
    Stalled,
    /// One that a newer streamgauge has.
    #[serde(other)]
    Other,
}

impl FlightState {
    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Answered => "answered",
            Self::Generating => "generating",
            Self::Stalled => "stalled",
            Self::Other => "other",
        }
    }
}

/// What is wrong with a request.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Refusal {
    pub(super) error: RefusalError,
}

/// Its parts.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct RefusalError {
    pub(super) message: Text,
    pub(super) position: Option<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_without_a_model_is_named_by_its_path_and_none_at_all_by_words() {
        let row: Row = serde_json::from_str(r#"{"method":"GET","path":"/v1/models"}"#).unwrap();
        assert_eq!(row.subject(), "GET /v1/models");
        let row: Row = serde_json::from_str(r#"{"method":"","path":"","model":null}"#).unwrap();
        assert_eq!(row.subject(), "(no request)");
    }

    #[test]
    fn a_client_that_left_has_not_failed() {
        let row: Row = serde_json::from_str(r#"{"status":200,"end":"client_left"}"#).unwrap();
        assert!(!row.has_failed());
        let row: Row = serde_json::from_str(r#"{"status":200,"end":"cut","error":"x"}"#).unwrap();
        assert!(row.has_failed());
        assert_eq!(row.story(), "cut: x");
    }
}
