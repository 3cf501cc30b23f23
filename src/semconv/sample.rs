//! Hand-made exchanges for tests of this folder and of the sinks.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{
    Attribute, Attributes, Facets, Label, Labels, Number, Record, Sample, Value, Vocabulary,
};
use crate::exchange::{
    ApiError, Attempt, Choice, End, Endpoint, Exchange, Failure, Flow, Http, Integrity, Operation,
    Problems, Quirks, Request, Response, Stall, Times, ToolCall, Trace, Unknowns, Upstream, Usage,
    Why,
};

const MS: fn(u64) -> Duration = Duration::from_millis;

/// A call that no dialect knows: HTTP facts only.
pub(crate) fn plain() -> Exchange {
    let upstream = Upstream {
        name: Arc::from("main"),
        provider: Some(Arc::from("openai")),
    };
    let endpoint = Endpoint {
        address: Arc::from("api.openai.com"),
        port: 443,
    };
    Exchange {
        started_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        operation: None,
        of_session: false,
        mistaken: false,
        http: Http {
            method: "GET".into(),
            scheme: "http",
            path: "/v1/models".into(),
            version: "1.1",
            host: Some("gauge:8080".into()),
            status: Some(200),
            request_bytes: Some(0),
            ..Http::default()
        },
        annotations: Vec::new(),
        key_fingerprint: None,
        named_conversation: None,
        template: None,
        prompt_fingerprint: None,
        trace: Some(Trace {
            trace_id: 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c,
            parent_span_id: Some(0xb7ad_6b71_6920_3331),
            parent_is_ours: false,
            server_span_id: 1,
            client_span_id: 2,
            sampled: true,
            parent_sampled: Some(true),
            random: true,
            tracestate: Some("vendor=1".into()),
            told_upstream: None,
        }),
        sampling: None,
        attempts: vec![Attempt {
            upstream: upstream.clone(),
            endpoint: endpoint.clone(),
            url: "https://api.openai.com/v1/models".into(),
            why: Why::First,
            usage_asked: false,
            issued: MS(11),
            waited: None,
            sent: Some(MS(12)),
            head: Some(MS(40)),
            status: Some(200),
            error: None,
            end: None,
        }],
        upstream: Some(upstream),
        endpoint: Some(endpoint),
        request: Request::default(),
        response: Response::default(),
        usage: Usage::default(),
        rate_limits: Vec::new(),
        times: Times {
            request_end: Some(MS(10)),
            forwarded: Some(MS(11)),
            sent: Some(MS(12)),
            response_head: Some(MS(40)),
            first_byte: Some(MS(50)),
            end: MS(100),
            held: MS(1),
            ..Times::default()
        },
        flow: Flow::default(),
        end: End::Done,
        failure: None,
        aftermath: None,
        is_identical: false,
        integrity: Some(Integrity::Equal),
        history: None,
        conversation: None,
        content: None,
        price: None,
        drift: None,
        moved: Vec::new(),
        problems: Problems::default(),
        quirks: Quirks::default(),
        unknown: Unknowns::default(),
    }
}

/// A chat completion that was no stream.
pub(crate) fn unary() -> Exchange {
    let mut exchange = plain();
    exchange.operation = Some(Operation::ChatCompletions);
    exchange.http.method = "POST".into();
    exchange.http.path = "/v1/chat/completions".into();
    exchange.attempts[0].url = "https://api.openai.com/v1/chat/completions".into();
    exchange.http.route = Some("/v1/chat/completions");
    exchange.request = Request {
        model: Some("gpt-4o".into()),
        temperature: Some(0.0),
        prompt_chars: Some(42),
        ..Request::default()
    };
    exchange.response = Response {
        id: Some("chatcmpl-1".into()),
        model: Some("gpt-4o-2024-08-06".into()),
        choices: vec![Choice {
            index: 0,
            finish_reason: Some("stop".into()),
        }],
        content_chars: Some(11),
        ..Response::default()
    };
    exchange.usage = Usage {
        input_tokens: Some(12),
        output_tokens: Some(3),
        total_tokens: Some(15),
        ..Usage::default()
    };
    exchange
}

/// A streamed chat completion with everything that the wire can carry.
pub(crate) fn streamed() -> Exchange {
    let mut exchange = unary();
    exchange.request = Request {
        model: Some("gpt-4o".into()),
        stream: Some(true),
        max_tokens: Some(256),
        choice_count: Some(2),
        temperature: Some(0.5),
        top_p: Some(0.9),
        top_k: Some(40),
        frequency_penalty: Some(0.1),
        presence_penalty: Some(0.2),
        stop_sequences: Some(vec!["END".into()]),
        seed: Some(7),
        reasoning_level: Some("low".into()),
        output_type: Some(crate::exchange::OutputType::Json),
        service_tier: Some("flex".into()),
        prompt_chars: Some(42),
        usage_injected: true,
        ..Request::default()
    };
    exchange.response = Response {
        streamed: true,
        choices: vec![
            Choice {
                index: 0,
                finish_reason: Some("tool_calls".into()),
            },
            Choice {
                index: 1,
                finish_reason: None,
            },
        ],
        service_tier: Some("default".into()),
        system_fingerprint: Some("fp_1".into()),
        tool_calls: vec![ToolCall {
            name: "get_weather".into(),
            ..ToolCall::default()
        }],
        reasoning_chars: Some(5),
        done: true,
        ..exchange.response
    };
    exchange.usage = Usage {
        input_tokens: Some(12),
        output_tokens: Some(5),
        total_tokens: Some(17),
        cache_read_input_tokens: Some(8),
        cache_write_input_tokens: Some(4),
        reasoning_output_tokens: Some(0),
        audio_input_tokens: Some(2),
        ..Usage::default()
    };
    exchange.times = Times {
        first_chunk: Some(MS(50)),
        first_token: Some(MS(60)),
        first_reasoning: Some(MS(60)),
        first_content: Some(MS(70)),
        first_tool_call: Some(MS(80)),
        last_token: Some(MS(2100)),
        end: MS(2110),
        ..exchange.times
    };
    exchange.flow = Flow {
        events: Some(8),
        chunks: Some(5),
        gap_max: Some(MS(2000)),
        gap_p99: Some(MS(2000)),
        stalls: vec![Stall {
            at: MS(2100),
            gap: MS(2000),
        }],
        stall_count: 1,
        gaps: vec![(MS(15), 3), (MS(2000), 1)],
    };
    exchange
}

/// A call for embeddings, in which nothing is generated.
pub(crate) fn embeddings() -> Exchange {
    let mut exchange = plain();
    exchange.operation = Some(Operation::Embeddings);
    exchange.http.method = "POST".into();
    exchange.http.path = "/v1/embeddings".into();
    exchange.http.route = Some("/v1/embeddings");
    exchange.request = Request {
        model: Some("embed".into()),
        encoding_format: Some("base64".into()),
        dimensions: Some(256),
        prompt_chars: Some(42),
        ..Request::default()
    };
    exchange.response.model = Some("embed-1".into());
    exchange.usage = Usage {
        input_tokens: Some(8),
        total_tokens: Some(8),
        ..Usage::default()
    };
    exchange
}

/// A stream that the client left before any usage came.
pub(crate) fn client_left() -> Exchange {
    let mut exchange = streamed();
    exchange.end = End::ClientLeft;
    exchange.usage = Usage::default();
    exchange.integrity = Some(Integrity::Prefix);
    exchange.response.choices[0].finish_reason = None;
    exchange
}

/// A call that the upstream turned away.
pub(crate) fn rate_limited() -> Exchange {
    let mut exchange = unary();
    exchange.end = End::HttpError;
    exchange.http.status = Some(429);
    exchange.attempts[0].status = Some(429);
    exchange.response = Response {
        error: Some(Box::new(ApiError {
            code: Some("rate_limit_exceeded".into()),
            ..ApiError::default()
        })),
        ..Response::default()
    };
    exchange.usage = Usage::default();
    exchange.failure = Some(Failure {
        kind: "rate_limit_exceeded".into(),
        message: "slow down".into(),
    });
    exchange
}

/// A stream whose upstream refused the usage edit, and took the request without it.
pub(crate) fn repeated() -> Exchange {
    let mut exchange = streamed();
    let again = Attempt {
        why: Why::UsageRefused,
        issued: MS(25),
        sent: Some(MS(26)),
        ..exchange.attempts[0].clone()
    };
    exchange.attempts[0].usage_asked = true;
    exchange.attempts[0].head = Some(MS(24));
    exchange.attempts[0].status = Some(400);
    exchange.attempts.push(again);
    exchange.follow_attempt();
    exchange.end_attempts();
    exchange
}

/// A [`Record`] that keeps samples: metric, attributes as `key=value`, value and times. The second are the names of the
/// vocabularies that record, the third is what the labels are made of.
#[derive(Debug)]
pub(crate) struct Recorded<'e>(
    pub(crate) Vec<(&'static str, String, (Number, u64))>,
    Vec<&'static str>,
    Facets<'e>,
);

impl Record for Recorded<'_> {
    fn record(&mut self, labels: &'static Labels, by: Option<Label>, samples: &[Option<Sample>]) {
        let facets = self.2.clone();
        self.record_under(&labels.of(&facets, by), samples);
    }

    fn record_under(&mut self, attributes: &[Attribute<'_>], samples: &[Option<Sample>]) {
        let attributes: Vec<_> = attributes
            .iter()
            .map(|(key, value)| line(key, value))
            .collect();
        for sample in samples.iter().flatten() {
            self.0.push((
                sample.metric.name,
                attributes.join(" "),
                (sample.value, sample.times),
            ));
        }
    }

    fn includes(&self, vocabulary: &str) -> bool {
        self.1.contains(&vocabulary)
    }
}

impl<'e> Recorded<'e> {
    /// One that several vocabularies record into.
    pub(crate) fn among(exchange: &'e Exchange, vocabularies: &[&'static str]) -> Self {
        Self(Vec::new(), vocabularies.to_vec(), Facets::of(exchange))
    }

    /// Everything a vocabulary says of an exchange, a line a sample.
    pub(crate) fn lines(vocabulary: &dyn Vocabulary, exchange: &'e Exchange) -> Vec<String> {
        let mut recorded = Recorded::among(exchange, &[]);
        vocabulary.samples(exchange, &mut recorded);
        let samples = recorded.0.into_iter();
        samples
            .map(|(metric, attributes, (value, times))| {
                let value = match value {
                    Number::Int(number) => number.to_string(),
                    Number::Float(number) => format!("{number:?}"),
                };
                let times = if times == 1 {
                    String::new()
                } else {
                    format!(" x{times}")
                };
                format!("{metric} {{{attributes}}} {value}{times}")
            })
            .collect()
    }
}

/// The attributes that are put on a span, a line each.
pub(crate) fn attribute_lines(put: impl FnOnce(&mut Attributes<'_>)) -> Vec<String> {
    let mut lines = Vec::new();
    let mut write = |key: &str, value: &Value<'_>| lines.push(line(key, value));
    put(&mut Attributes::new(&mut Vec::new(), &mut write));
    lines
}

/// The inference span's attributes in one vocabulary, a line each.
pub(crate) fn inference_lines(vocabulary: &dyn Vocabulary, exchange: &Exchange) -> Vec<String> {
    attribute_lines(|span| vocabulary.inference(exchange, span))
}

/// The SERVER span's attributes in one vocabulary, a line each.
pub(crate) fn server_lines(vocabulary: &dyn Vocabulary, exchange: &Exchange) -> Vec<String> {
    attribute_lines(|span| vocabulary.server(exchange, span))
}

pub(crate) fn line(key: &str, value: &Value<'_>) -> String {
    match value {
        Value::Str(text) => format!("{key}={text}"),
        Value::Int(number) => format!("{key}={number}"),
        Value::Float(number) => format!("{key}={number:?}"),
        Value::Bool(flag) => format!("{key}={flag}"),
        Value::StrList(texts) => format!("{key}={texts:?}"),
    }
}
