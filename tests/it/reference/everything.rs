//! Exchanges of which everything is known.

use std::time::{Duration, SystemTime};

use rust_decimal::Decimal;
use streamgauge::dialect::headers;
use streamgauge::exchange::{
    Aftermath, Again, Attempt, CacheVerdict, Changed, Choice, Content, ContentHash, ContentMessage,
    ContentPart, ContentPolicy, ContentTool, Conversation, Cost, Digest, Drift, End, Endpoint,
    Estimate, Exchange, Failure, Fate, Flow, Headers, Hex, Http, Integrity, Limited, Missing,
    Novelty, Operation, OutputType, Parent, Price, Problems, Quirk, RateLimit, RepeatedCall,
    Request, Response, Reuse, Rule, Sampling, Served, ServerTimes, Speaker, Stall, Stored,
    StoredLinks, Template, Times, ToolCall, ToolKind, ToolWait, Trace, Unknowns, Unpriced,
    Upstream, Usage, Why,
};

/// A streamed call of which everything is known. No field is left to a default, so that a new fact must be added here.
pub(super) fn everything() -> Exchange {
    let ms = Duration::from_millis;
    Exchange {
        started_at: SystemTime::UNIX_EPOCH,
        operation: Some(Operation::ChatCompletions),
        of_session: false,
        mistaken: false,
        http: http(),
        annotations: Vec::new(),
        key_fingerprint: Some(Hex::of(1)),
        named_conversation: None,
        template: Some(Box::new(Template {
            name: Some("greet".into()),
            version: Some("2".into()),
            variables: vec![("city".into(), "Rome".into())],
        })),
        prompt_fingerprint: Some(Digest(1)),
        trace: Some(Trace {
            trace_id: 1,
            parent_span_id: Some(2),
            parent_is_ours: false,
            server_span_id: 3,
            client_span_id: 4,
            sampled: true,
            parent_sampled: Some(true),
            random: true,
            tracestate: None,
            told_upstream: None,
        }),
        sampling: Some(Sampling::Parent),
        upstream: Some(Upstream {
            name: "main".into(),
            provider: Some("openai".into()),
        }),
        endpoint: Some(Endpoint {
            address: "api.openai.com".into(),
            port: 443,
        }),
        attempts: vec![attempt(Why::First, 400), attempt(Why::UsageRefused, 200)],
        request: request(),
        response: response(),
        usage: usage(),
        rate_limits: [
            Limited::Requests,
            Limited::Tokens,
            Limited::InputTokens,
            Limited::OutputTokens,
        ]
        .map(|limited| RateLimit {
            limited,
            remaining: 0,
        })
        .into(),
        times: Times {
            request_end: Some(ms(1)),
            forwarded: Some(ms(2)),
            sent: Some(ms(3)),
            response_head: Some(ms(4)),
            first_byte: Some(ms(5)),
            first_chunk: Some(ms(6)),
            first_token: Some(ms(7)),
            first_reasoning: Some(ms(7)),
            first_content: Some(ms(8)),
            first_audio: Some(ms(9)),
            first_tool_call: Some(ms(9)),
            last_token: Some(ms(2000)),
            end: ms(2001),
            held: ms(0),
        },
        flow: Flow {
            events: Some(9),
            chunks: Some(8),
            gap_max: Some(ms(1500)),
            gap_p99: Some(ms(1500)),
            stalls: vec![Stall {
                at: ms(1900),
                gap: ms(1500),
            }],
            stall_count: 1,
            gaps: vec![(ms(70), 6), (ms(1500), 1)],
        },
        end: End::Done,
        failure: None,
        aftermath: None,
        is_identical: false,
        integrity: Some(Integrity::Equal),
        history: None,
        conversation: Some(Box::new(conversation())),
        content: Some(Box::new(content())),
        price: Some(price(false)),
        drift: Some(Box::new(drift(Novelty::Model))),
        moved: vec!["system_fingerprint"],
        problems: Problems {
            malformed: 1,
            mistyped: 1,
            oversized: 1,
            undecodable: 1,
            missed_frames: 1,
        },
        quirks: Quirk::ALL.into_iter().collect(),
        unknown: Unknowns::default(),
    }
}

fn conversation() -> Conversation {
    let end = End::HttpError;
    Conversation {
        id: 5,
        turn: 2,
        branch: 1,
        depth: 1,
        linked_by: Some(Rule::Calls),
        previous: None,
        parent: Some(Parent {
            id: 6,
            exchange: None,
        }),
        again: Some(Again::Retry {
            end,
            status: Some(429),
            tries: 1,
        }),
        waits: vec![ToolWait {
            name: "get_weather".into(),
            call_id: Some("call_1".into()),
            kind: ToolKind::Function,
            began: SystemTime::UNIX_EPOCH,
            lasted: Duration::from_millis(10),
            called_by: None,
            brought_by: None,
        }],
        repeated_calls: vec![RepeatedCall {
            number: 0,
            times: 3,
        }],
        without_progress: Some(3),
        grown_bytes: Some(300_000),
        tokens: Some(5000),
        reuse: Some(Reuse {
            prompt_bytes: 100,
            earlier_bytes: 80,
            matched_bytes: 20,
            changed: Some(Changed::Message(1)),
            possible_tokens: Some(20),
            lost_tokens: Some(60),
            verdict: Some(CacheVerdict::PrefixChanged),
        }),
    }
}

/// Something else answers than before.
pub(super) fn drift(new: Novelty) -> Drift {
    let served = |name: &str| Served {
        model: format!("m-{name}"),
        fingerprint: Some(format!("fp_{name}")),
    };
    Drift {
        now: served("1"),
        before: Some(served("0")),
        new: Some(new),
    }
}

fn attempt(why: Why, status: u16) -> Attempt {
    let ms = Duration::from_millis;
    Attempt {
        upstream: Upstream {
            name: "main".into(),
            provider: Some("openai".into()),
        },
        endpoint: Endpoint {
            address: "api.openai.com".into(),
            port: 443,
        },
        url: "https://api.openai.com/v1/chat/completions".into(),
        why,
        usage_asked: why == Why::First,
        issued: ms(2),
        waited: Some(ms(1)),
        sent: Some(ms(3)),
        head: Some(ms(4)),
        status: Some(status),
        error: None,
        end: Some(ms(4)),
    }
}

fn http() -> Http {
    Http {
        method: "BREW".into(),
        scheme: "http",
        path: "/v1/chat/completions".into(),
        query: Some("a=b".into()),
        route: Some("/v1/chat/completions"),
        version: "1.1",
        host: Some("gauge:8080".into()),
        user_agent: Some("test".into()),
        trace_id: Some(1),
        retry_count: Some(1),
        peer: Some(([127, 0, 0, 1], 1).into()),
        status: Some(200),
        response_headers: every_header(),
        request_bytes: Some(1),
        response_bytes: 1,
        tunnel: None,
    }
}

fn every_header() -> Headers {
    let lines = headers::KEPT.map(|name| format!("{name}: a\n"));
    Headers::from_lines(lines.concat())
}

fn request() -> Request {
    Request {
        model: Some("m".into()),
        stream: Some(true),
        max_tokens: Some(1),
        choice_count: Some(2),
        temperature: Some(0.0),
        top_p: Some(1.0),
        top_k: Some(1),
        frequency_penalty: Some(0.0),
        presence_penalty: Some(0.0),
        stop_sequences: Some(vec!["x".into()]),
        seed: Some(1),
        reasoning_level: Some("low".into()),
        output_type: Some(OutputType::Json),
        service_tier: Some("flex".into()),
        encoding_format: Some("float".into()),
        dimensions: Some(1),
        data_source: Some("vs_1".into()),
        result_limit: Some(1),
        conversation_id: Some("conv".into()),
        previous_response_id: Some("resp".into()),
        compacted: true,
        prompt_name: Some("greeting".into()),
        prompt_version: Some("2".into()),
        stream_cursor: Some("42".into()),
        forced_tool: None,
        prompt_chars: Some(1),
        body: None,
        usage_injected: true,
    }
}

fn response() -> Response {
    Response {
        streamed: true,
        raw: false,
        id: Some("id".into()),
        model: Some("m-1".into()),
        choices: vec![Choice {
            index: 0,
            finish_reason: Some("stop".into()),
        }],
        service_tier: Some("default".into()),
        system_fingerprint: Some("fp".into()),
        tool_calls: vec![ToolCall {
            choice: 0,
            index: 0,
            id: None,
            name: "gauge".into(),
            kind: ToolKind::Function,
            forced: false,
            arguments_chars: 2,
            arguments_bytes: 2,
            arguments: None,
            arguments_end: None,
        }],
        content_chars: Some(1),
        reasoning_chars: Some(1),
        refusal_chars: Some(1),
        logprobs: true,
        done: true,
        status: Some("completed".into()),
        conversation_id: Some("conv".into()),
        compacted: true,
        error: None,
        truncated: true,
        provider: Some("openai"),
        server_times: ServerTimes {
            load: Some(Duration::ZERO),
            queue: Some(Duration::ZERO),
            prefill: Some(Duration::from_millis(2)),
            decode: Some(Duration::from_millis(1900)),
        },
    }
}

fn usage() -> Usage {
    Usage {
        input_tokens: Some(100),
        output_tokens: Some(100),
        total_tokens: Some(200),
        cache_read_input_tokens: Some(1),
        cache_write_input_tokens: Some(1),
        cache_write_5m_input_tokens: Some(1),
        cache_write_1h_input_tokens: Some(0),
        web_searches: Some(1),
        reasoning_output_tokens: Some(1),
        audio_input_tokens: Some(1),
        audio_output_tokens: Some(1),
        text_input_tokens: Some(1),
        text_output_tokens: Some(1),
        image_input_tokens: Some(1),
        image_output_tokens: Some(1),
        text_cache_read_input_tokens: Some(1),
        image_cache_read_input_tokens: Some(1),
        audio_cache_read_input_tokens: Some(1),
        audio_input_duration: Some(Duration::from_millis(1500)),
        message_input_tokens: Some(90),
        message_output_tokens: Some(90),
        partial: false,
        estimate: Estimate {
            input_tokens: None,
            output_tokens: None,
        },
        checked: Estimate::default(),
    }
}

/// The same call, failed.
pub(super) fn failed() -> Exchange {
    Exchange {
        end: End::Cut,
        failure: Some(Failure {
            kind: "stream_truncated".into(),
            message: String::new(),
        }),
        ..everything()
    }
}

/// The same call, with usage that nobody reported.
pub(super) fn estimated() -> Exchange {
    let counted = Some(100);
    Exchange {
        usage: Usage {
            estimate: Estimate {
                input_tokens: counted,
                output_tokens: counted,
            },
            ..Usage::default()
        },
        price: Some(price(true)),
        ..everything()
    }
}

/// The same call, whose client left; its answer was read on to its end, at the limit of its length, and counted as a check.
pub(super) fn abandoned() -> Exchange {
    let mut exchange = Exchange {
        end: End::ClientLeft,
        aftermath: Some(Aftermath {
            lasted: Duration::from_millis(10),
            bytes: 100,
            fate: Fate::Drained,
        }),
        is_identical: true,
        ..everything()
    };
    exchange.response.choices[0].finish_reason = Some("length".into());
    exchange.usage.checked = Estimate {
        input_tokens: Some(99),
        output_tokens: Some(101),
    };
    exchange
}

/// The same call, without a price.
pub(super) fn unpriced() -> Exchange {
    Exchange {
        price: Some(Price::Unknown(Unpriced::Model)),
        ..everything()
    }
}

/// The same facts of another kind of call.
pub(super) fn called(operation: Operation) -> Exchange {
    Exchange {
        operation: Some(operation),
        ..everything()
    }
}

/// A price of reported tokens, or of such as were counted.
fn price(estimated: bool) -> Price {
    Price::Known(Cost {
        input: Decimal::new(1, 2),
        output: Decimal::new(2, 2),
        total: Decimal::new(4, 2),
        entry: "openai/gpt-4o".into(),
        since: Some("2024-10-01".into()),
        estimated,
        partial: estimated,
    })
}

/// Where the store of prompts has it.
fn stored() -> Stored {
    let hash = ContentHash([7; 32]);
    Stored {
        prompt: hash,
        answer: Some(hash),
        links: Some(StoredLinks {
            prompt: "https://prompts.example/7".to_owned(),
            answer: Some("https://prompts.example/7".to_owned()),
        }),
        objects: Vec::new(),
    }
}

/// Messages with each kind of part.
fn content() -> Content {
    let text = || "text".to_owned();
    let message = |speaker, parts| ContentMessage {
        speaker,
        name: Some(text()),
        parts,
        finish_reason: Some(text()),
    };
    let call = ContentPart::ToolCall {
        id: Some("call_1".to_owned()),
        name: text(),
        arguments: text(),
    };
    let result = ContentPart::ToolCallResponse {
        id: Some("call_1".to_owned()),
        response: text(),
    };
    let uri = ContentPart::Uri {
        modality: "image",
        mime_type: None,
        uri: text(),
    };
    let several = vec![ContentPart::Text(text()), uri, call];
    Content {
        policy: ContentPolicy {
            attributes: true,
            events: true,
            store: true,
        },
        shown_bytes: 1 << 10,
        system: vec![ContentPart::Text(text())],
        input: vec![
            message(Speaker::User, vec![ContentPart::Text(text())]),
            message(Speaker::Assistant, several.clone()),
            message(Speaker::Tool, vec![result]),
        ],
        output: vec![
            message(Speaker::Assistant, vec![ContentPart::Text(text())]),
            message(Speaker::Assistant, several),
        ],
        tools: vec![ContentTool {
            kind: text(),
            name: text(),
            description: Some(text()),
            parameters: None,
        }],
        missing: vec![Missing::Memory],
        stored: Some(Box::new(stored())),
    }
}
