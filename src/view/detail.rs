//! Everything that is shown of one exchange.

use std::borrow::Cow;
use std::sync::OnceLock;

use super::row::cut;
use super::shown;
use super::words::{Id, Usd, ms};
use super::{Row, Span, SpanChoice, Timeline, curl, turn};
use crate::exchange::{self, Exchange, Price};

/// Most calls of tools that are shown.
const CALLS_MAX: usize = 64;
/// Where clients find a proxy to which nobody has said otherwise.
const DEFAULT_BASE_URL: &str = "http://127.0.0.1:8080/v1";

shown! {
    /// One time that the request was sent.
    pub struct Attempt<'e> {
        /// Name of the upstream.
        pub upstream: Cow<'e, str>,
        /// Host of its URL.
        pub address: Cow<'e, str>,
        /// Port of its URL.
        pub port: u16,
        /// The URL, without credentials; `null` where nobody has to know it: the only attempt, which did not fail.
        pub url: Option<Cow<'e, str>>,
        /// Why it was made: `first`, `usage_refused`, `unprocessed` or `connection_closed`.
        pub why: Cow<'e, str>,
        /// When it was ready to go, since the request's head had come.
        pub issued_ms: f64,
        /// For how long it waited for a connection that others had.
        pub waited_ms: Option<f64>,
        /// When a connection took it.
        pub sent_ms: Option<f64>,
        /// When the head of its response came.
        pub head_ms: Option<f64>,
        /// When it was over.
        pub end_ms: Option<f64>,
        /// Status of the response.
        pub status: Option<u16>,
        /// What stood in the way of a response.
        pub error: Option<Cow<'e, str>>,
    }
}

shown! {
    /// A call of a tool that the model asked for.
    pub struct ToolCall<'e> {
        /// The tool's name.
        pub name: Cow<'e, str>,
        /// The call's id.
        pub id: Option<Cow<'e, str>>,
        /// What kind of tool: `function`, `custom`, `extension` or `datastore`.
        pub kind: Cow<'e, str>,
        /// Characters of its arguments.
        pub arguments_chars: u64,
        /// When the last of its arguments came, since the request's head had come.
        pub at_ms: Option<f64>,
    }
}

shown! {
    /// What an exchange cost.
    pub struct Cost<'e> {
        /// Of what went in.
        pub input_usd: Usd,
        /// Of what came out.
        pub output_usd: Usd,
        /// Of all of it, searches and the like included.
        pub total_usd: Usd,
        /// Whose price it is, and for which model: `openai/gpt-4o`.
        pub entry: Cow<'e, str>,
        /// The day from which on that price holds.
        pub since: Option<Cow<'e, str>>,
        /// Whether the tokens were counted here.
        pub estimated: bool,
        /// Whether not all that was used is known, so that it cost this or more.
        pub partial: bool,
    }
}

shown! {
    /// The HTTP side of the client's request.
    pub struct HttpFacts<'e> {
        /// `1.0`, `1.1` or `2`.
        pub version: Cow<'e, str>,
        /// The host that the client asked for.
        pub host: Option<Cow<'e, str>>,
        /// The client's `User-Agent`.
        pub user_agent: Option<Cow<'e, str>>,
        /// The query, the values of key-like parameters replaced.
        pub query: Option<Cow<'e, str>>,
        /// Bytes of the request's body; `null` where not all of it was seen.
        pub request_bytes: Option<u64>,
        /// Bytes of the response's body as read from the upstream.
        pub response_bytes: u64,
    }
}

shown! {
    /// The place of an exchange in its conversation.
    pub struct Place<'e> {
        /// Which conversation.
        pub id: Id,
        /// Which of the model's turns the answer is.
        pub turn: u32,
        /// Which of several ways the conversation went, 0 for the first.
        pub branch: u32,
        /// How many agents called one another to get here.
        pub depth: u32,
        /// How it was found out what it follows.
        pub linked_by: Option<Cow<'e, str>>,
        /// The conversation whose tool call began this one.
        pub parent: Option<Id>,
    }
}

shown! {
    /// Everything about one exchange. Content is there only where the content policy puts it into spans.
    pub struct Detail<'e> {
        /// It in brief.
        pub exchange: Row<'e>,
        /// When what happened.
        pub timeline: Timeline<'e>,
        /// Each time it was sent.
        pub attempts: Vec<Attempt<'e>>,
        /// Its spans, as `telemetry.vocabulary` has them exported.
        pub spans: Vec<Span>,
        /// Whether these are exported; `null` where traces are off.
        pub sampled: Option<bool>,
        /// Calls of tools that the model asked for, at most 64.
        pub tool_calls: Vec<ToolCall<'e>>,
        /// What it cost; `null` where no price is known.
        pub cost: Option<Cost<'e>>,
        /// The HTTP side of it.
        pub http: HttpFacts<'e>,
        /// Its place in its conversation.
        pub conversation: Option<Place<'e>>,
        /// Whether the client's bytes are those of the upstream: `equal`, `prefix`, `usage_removed`, `keep_alive`, `usage_left` or `different`.
        pub integrity: Option<Cow<'e, str>>,
        /// Where its trace is shown, by `admin.trace_url`.
        pub trace_url: Option<String>,
        /// The request as a command.
        pub curl: String,
    }
}

/// What of a detail is not the exchange's.
#[derive(Debug)]
pub struct Choices {
    /// Which spans there are.
    pub spans: SpanChoice,
    /// A URL with `{trace_id}` and `{span_id}` in it.
    pub trace_url: Option<String>,
    /// What a client would set as `OPENAI_BASE_URL`, once there is a listener.
    pub base_url: OnceLock<String>,
}

impl Choices {
    /// What a client would set as `OPENAI_BASE_URL`; of a proxy without a listener of its own that of the default one.
    #[must_use]
    pub fn base_url(&self) -> &str {
        self.base_url.get().map_or(DEFAULT_BASE_URL, String::as_str)
    }
}

impl<'e> Detail<'e> {
    /// That of an exchange.
    #[must_use]
    pub fn of(id: u64, exchange: &'e Exchange, choices: &Choices) -> Self {
        let place = exchange.conversation.as_deref();
        let calls = exchange.response.tool_calls.iter().take(CALLS_MAX);
        let cost = exchange.price.as_ref().and_then(Price::known);
        Self {
            exchange: Row::of(id, exchange),
            timeline: Timeline::of(exchange),
            attempts: exchange.attempts.iter().map(attempt).collect(),
            spans: Span::of(exchange, &choices.spans),
            sampled: exchange.trace.as_ref().map(|trace| trace.sampled),
            tool_calls: calls.map(call).collect(),
            cost: cost.map(amounts),
            http: http(&exchange.http),
            conversation: place.map(|place| Place {
                id: Id(place.id),
                turn: place.turn,
                branch: place.branch,
                depth: place.depth,
                linked_by: place.linked_by.map(|rule| rule.as_str().into()),
                parent: place.parent.map(|parent| Id(parent.id)),
            }),
            integrity: exchange.integrity.map(|it| it.as_str().into()),
            trace_url: trace_url(exchange, choices),
            curl: curl::curl(exchange, choices.base_url()),
        }
    }
}

fn attempt(attempt: &exchange::Attempt) -> Attempt<'_> {
    Attempt {
        upstream: (&*attempt.upstream.name).into(),
        address: (&*attempt.endpoint.address).into(),
        port: attempt.endpoint.port,
        url: (!attempt.url.is_empty()).then(|| cut(&attempt.url)),
        why: attempt.why.as_str().into(),
        issued_ms: ms(attempt.issued),
        waited_ms: attempt.waited.map(ms),
        sent_ms: attempt.sent.map(ms),
        head_ms: attempt.head.map(ms),
        end_ms: attempt.end.map(ms),
        status: attempt.status,
        error: attempt.error.map(Into::into),
    }
}

fn call(call: &exchange::ToolCall) -> ToolCall<'_> {
    ToolCall {
        name: cut(&call.name),
        id: call.id.as_deref().map(cut),
        kind: turn::kind(call.kind).into(),
        arguments_chars: call.arguments_chars,
        at_ms: call.arguments_end.map(ms),
    }
}

fn amounts(cost: &exchange::Cost) -> Cost<'_> {
    Cost {
        input_usd: Usd(cost.input),
        output_usd: Usd(cost.output),
        total_usd: Usd(cost.total),
        entry: (&*cost.entry).into(),
        since: cost.since.as_deref().map(Into::into),
        estimated: cost.estimated,
        partial: cost.partial,
    }
}

fn http(http: &exchange::Http) -> HttpFacts<'_> {
    HttpFacts {
        version: http.version.into(),
        host: http.host.as_deref().map(cut),
        user_agent: http.user_agent.as_deref().map(cut),
        query: http.query.as_deref().map(cut),
        request_bytes: http.request_bytes,
        response_bytes: http.response_bytes,
    }
}

fn trace_url(exchange: &Exchange, choices: &Choices) -> Option<String> {
    let (trace, template) = (exchange.trace.as_ref()?, choices.trace_url.as_ref()?);
    let span = match exchange.model_call() {
        Some(_) => trace.client_span_id,
        None => trace.server_span_id,
    };
    let url = template.replace("{trace_id}", &format!("{:032x}", trace.trace_id));
    Some(url.replace("{span_id}", &format!("{span:016x}")))
}
