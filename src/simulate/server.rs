//! The sockets of the simulated upstream: accepts connections, routes requests, answers them.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::body::{Playback, Script};
use super::chance::Chance;
use super::choices::{self, Shape};
use super::completion::{self, Completion};
use super::media::{Media, MediaBody, MediaRequest};
use super::model::{self, ModelFault};
use super::record::{SeenRequest, Watch};
use super::render::{self, StreamEvent};
use super::request::{self, ApiError, CompletionApi, CompletionRequest};
use super::script::{self, ErrorEvent, Pacing};
use super::{Simulator, SimulatorConfig, responses};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream; charset=utf-8");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const PROCESSING: HeaderName = HeaderName::from_static("openai-processing-ms");
const VERSION: (HeaderName, HeaderValue) = (
    HeaderName::from_static("openai-version"),
    HeaderValue::from_static("2020-10-01"),
);

/// How long the listener rests after an error such as "too many open files".
const AFTER_ERROR: Duration = Duration::from_millis(50);

pub(super) async fn serve(
    simulator: Simulator,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) {
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(simulator.clone(), stream));
                }
                Err(_) => tokio::time::sleep(AFTER_ERROR).await,
            },
            Some(_) = connections.join_next() => {}
            () = &mut shutdown => return,
        }
    }
}

async fn connection(simulator: Simulator, stream: TcpStream) {
    // Without it frames would wait for acknowledgements; a connection that is already broken fails below all the same.
    stream.set_nodelay(true).ok();
    let service = service_fn(move |request| respond(simulator.clone(), request));
    // A client that breaks off and an answer that is cut on purpose both end here; the record tells them apart.
    auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await
        .ok();
}

/// Answers one request; an error closes the connection without a response.
async fn respond(
    simulator: Simulator,
    request: Request<Incoming>,
) -> io::Result<Response<Playback>> {
    let mut watch = Watch::new(&simulator.record);
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    simulator.record.saw(SeenRequest {
        method: head.method.clone(),
        uri: head.uri.clone(),
        version: head.version,
        headers: head.headers.clone(),
        body: body.clone(),
    });
    let mut chance = Chance::new(seed(&simulator.config), head.uri.path());
    let reply = match reply(&simulator.config, &head, &body, &mut chance).await {
        Ok(Some(reply)) => reply,
        Ok(None) => {
            watch.answered();
            return Err(io::Error::other("hung up on purpose"));
        }
        Err(error) => Reply::error(&error),
    };
    Ok(reply.into_response(&mut chance, watch))
}

/// The seed of one answer: the configured one, or another for each.
fn seed(config: &SimulatorConfig) -> u64 {
    static ANSWERS: AtomicU64 = AtomicU64::new(0);
    config.seed.unwrap_or_else(|| {
        let started = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        (started.as_nanos() as u64) ^ ANSWERS.fetch_add(1, Ordering::Relaxed).rotate_left(32)
    })
}

/// A response before it has its common headers.
struct Reply {
    status: StatusCode,
    content_type: HeaderValue,
    retry_after: bool,
    thought: Duration,
    script: Script,
}

impl Reply {
    fn json(body: Bytes) -> Self {
        Self {
            status: StatusCode::OK,
            content_type: JSON,
            retry_after: false,
            thought: Duration::ZERO,
            script: script::at_once(body),
        }
    }

    fn error(error: &ApiError) -> Self {
        Self {
            status: StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            retry_after: error.status == 429,
            ..Self::json(render::error_body(error))
        }
    }

    fn into_response(self, chance: &mut Chance, watch: Watch) -> Response<Playback> {
        let mut response = Response::new(Playback::new(self.script, watch));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, self.content_type);
        let id = format!("req_{:016x}{:016x}", chance.next(), chance.next());
        headers.insert(
            REQUEST_ID,
            HeaderValue::try_from(id).expect("hexadecimal digits are a header value"),
        );
        headers.insert(PROCESSING, (self.thought.as_millis() as u64).into());
        headers.insert(VERSION.0, VERSION.1);
        if self.retry_after {
            headers.insert(http::header::RETRY_AFTER, 1.into());
        }
        response
    }
}

/// What comes after the base URL of the API, OpenAI's or one of Azure's two; empty for any other path.
fn tail(path: &str) -> &str {
    let of_deployment = || path.strip_prefix("/openai/deployments/")?.split_once('/');
    path.strip_prefix("/v1/")
        .or_else(|| path.strip_prefix("/openai/v1/"))
        .or_else(|| of_deployment().map(|(_, tail)| tail))
        .unwrap_or_default()
}

/// Routes a request. `Ok(None)` hangs up.
async fn reply(
    config: &SimulatorConfig,
    head: &Parts,
    body: &[u8],
    chance: &mut Chance,
) -> Result<Option<Reply>, ApiError> {
    let path = head.uri.path();
    let tail = tail(path);
    if let (&Method::POST, Some(about)) = (&head.method, Media::of(tail)) {
        return media_call(config, about, head, body, chance).await;
    }
    match (&head.method, tail) {
        (&Method::GET, "models") => Ok(Some(Reply::json(model_list(config)))),
        (&Method::POST, "chat/completions") => {
            completion(config, CompletionApi::Chat, head, body, chance).await
        }
        (&Method::POST, "completions") => {
            completion(config, CompletionApi::Text, head, body, chance).await
        }
        (&Method::POST, "responses") => {
            completion(config, CompletionApi::Responses, head, body, chance).await
        }
        (&Method::GET, path) if path.starts_with("responses/") => {
            let id = path.trim_start_matches("responses/");
            Ok(Some(fetch(config, head, id, chance)))
        }
        (&Method::POST, "embeddings") => embeddings(body, chance).map(Reply::json).map(Some),
        (method, _) => Err(ApiError {
            status: 404,
            ..ApiError::invalid(None, format!("Invalid URL ({method} {path})"))
        }),
    }
}

async fn completion(
    config: &SimulatorConfig,
    api: CompletionApi,
    head: &Parts,
    body: &[u8],
    chance: &mut Chance,
) -> Result<Option<Reply>, ApiError> {
    let ask = CompletionRequest::read(api, &head.headers, body)?;
    let model = model::find(&ask.model).ok_or_else(|| ApiError::unknown_model(&ask.model))?;
    *chance = Chance::new(ask.knobs.seed.unwrap_or_else(|| chance.next()), &ask.model);
    let pacing = Pacing::new(config, &model, &ask.knobs, chance);
    if model.fault == ModelFault::NoStreamOptions && ask.stream_options {
        let message = "Unrecognized request argument supplied: stream_options";
        return Err(ApiError::invalid(None, message));
    }
    if !begins(model.fault, ask.stream, &pacing).await? {
        return Ok(None);
    }
    let answer = completion::compose(&ask, &model, created(config), chance);
    let report_usage = model.fault != ModelFault::NoUsage;
    let (content_type, script) = if ask.stream {
        let due = ask.include_usage || api == CompletionApi::Responses;
        let (events, error) = streamed(api, &answer, due && report_usage);
        let script = script::stream(events, error, model.fault, &pacing, chance);
        (EVENT_STREAM, script)
    } else {
        let body = whole(api, &answer, report_usage);
        let tokens = answer.usage.output;
        (JSON, script::whole(body, tokens, model.fault, &pacing))
    };
    Ok(Some(Reply {
        content_type,
        script,
        thought: pacing.think / 2,
        ..Reply::json(Bytes::new())
    }))
}

/// Every event of a stream, and how an error among them is rendered.
fn streamed(
    api: CompletionApi,
    answer: &Completion,
    include_usage: bool,
) -> (Vec<StreamEvent>, ErrorEvent) {
    let choices = |shape| choices::events(shape, answer, include_usage);
    match api {
        CompletionApi::Chat => (choices(Shape::Chat), render::error_event),
        CompletionApi::Text => (choices(Shape::Text), render::error_event),
        CompletionApi::Responses => (
            responses::events(answer, include_usage),
            responses::error_event,
        ),
    }
}

/// A whole answer.
fn whole(api: CompletionApi, answer: &Completion, report_usage: bool) -> Bytes {
    match api {
        CompletionApi::Chat => choices::body(Shape::Chat, answer, report_usage),
        CompletionApi::Text => choices::body(Shape::Text, answer, report_usage),
        CompletionApi::Responses => responses::body(answer, report_usage),
    }
}

/// Thinks as long as it takes to the head of a response; `false` if none is to come. Else fails as the model does.
async fn begins(fault: ModelFault, stream: bool, pacing: &Pacing) -> Result<bool, ApiError> {
    match fault {
        ModelFault::Silent => std::future::pending().await,
        ModelFault::HangUp => return Ok(false),
        ModelFault::Status(status) => return Err(failure(status)),
        ModelFault::ErrorEvent if !stream => return Err(script::overloaded()),
        _ => tokio::time::sleep(pacing.think / 2).await,
    }
    Ok(true)
}

async fn media_call(
    config: &SimulatorConfig,
    about: Media,
    head: &Parts,
    body: &[u8],
    chance: &mut Chance,
) -> Result<Option<Reply>, ApiError> {
    let ask = MediaRequest::read(about, &head.headers, body)?;
    let model = model::find(&ask.model).ok_or_else(|| ApiError::unknown_model(&ask.model))?;
    *chance = Chance::new(ask.knobs.seed.unwrap_or_else(|| chance.next()), &ask.model);
    let pacing = Pacing::new(config, &model, &ask.knobs, chance);
    if !begins(model.fault, ask.stream, &pacing).await? {
        return Ok(None);
    }
    let (content_type, script) = match ask.answer(created(config), chance) {
        MediaBody::Whole(content_type, body, tokens) => (
            content_type,
            script::whole(body, tokens, model.fault, &pacing),
        ),
        MediaBody::Pieces(content_type, events) => (
            content_type,
            script::stream(events, render::error_event, model.fault, &pacing, chance),
        ),
    };
    Ok(Some(Reply {
        content_type: HeaderValue::from_static(content_type),
        script,
        thought: pacing.think / 2,
        ..Reply::json(Bytes::new())
    }))
}

/// A stored response: what `sim-chat` would have answered, as a function of the id alone. A stream goes on after the event
/// that `starting_after` names.
fn fetch(config: &SimulatorConfig, head: &Parts, id: &str, chance: &mut Chance) -> Reply {
    *chance = Chance::new(0, id);
    let model = model::CHAT;
    let ask = CompletionRequest::stored();
    let answer = Completion {
        id: id.to_owned(),
        ..completion::compose(&ask, &model, created(config), chance)
    };
    let asked = |name: &str| {
        let mut pairs = head.uri.query().unwrap_or_default().split('&');
        pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    };
    if asked("stream") != Some("true") {
        return Reply::json(responses::body(&answer, true));
    }
    let after = asked("starting_after").and_then(|number| number.parse::<usize>().ok());
    let mut events = responses::events(&answer, true);
    events.drain(
        ..after
            .map_or(0, |after| after.saturating_add(1))
            .min(events.len()),
    );
    let pacing = Pacing::new(config, &model, &ask.knobs, chance);
    Reply {
        content_type: EVENT_STREAM,
        script: script::stream(
            events,
            responses::error_event,
            ModelFault::None,
            &pacing,
            chance,
        ),
        ..Reply::json(Bytes::new())
    }
}

/// The error of `sim-error-<status>`.
fn failure(status: u16) -> ApiError {
    let (kind, code, message) = match status {
        401 => (
            "invalid_request_error",
            Some("invalid_api_key"),
            "Incorrect API key provided.",
        ),
        429 => (
            "requests",
            Some("rate_limit_exceeded"),
            "Rate limit reached. Please try again in 1s.",
        ),
        400..500 => (
            "invalid_request_error",
            None,
            "This request was asked to fail.",
        ),
        _ => (
            "server_error",
            None,
            "The server had an error while processing your request.",
        ),
    };
    ApiError {
        status,
        kind,
        code,
        param: None,
        message: message.to_owned(),
    }
}

fn created(config: &SimulatorConfig) -> u64 {
    config.created.unwrap_or_else(|| {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs()
    })
}

fn model_list(config: &SimulatorConfig) -> Bytes {
    let created = created(config);
    let models = model::models().map(|(name, does)| {
        json!({"id": name, "object": "model", "created": created, "owned_by": "streamgauge", "description": does})
    });
    render::pretty(&json!({"object": "list", "data": models.collect::<Vec<_>>()}))
}

/// Small vectors, one for each input, as floats or as base64 of little-endian `f32`, which the SDKs ask for.
fn embeddings(body: &[u8], chance: &mut Chance) -> Result<Bytes, ApiError> {
    let members = request::object(body)?;
    let name = request::model(&members)?;
    let input = members
        .get("input")
        .ok_or_else(|| ApiError::invalid(Some("input"), "Missing required parameter: 'input'."))?;
    let count = match input {
        Value::Array(items) if items.iter().all(|item| !item.is_number()) => items.len(),
        _ => 1,
    };
    let dimensions = members
        .get("dimensions")
        .and_then(Value::as_u64)
        .unwrap_or(8)
        .clamp(1, 4096);
    let coded = members
        .get("encoding_format")
        .is_some_and(|format| format == "base64");
    let vectors = (0..count).map(|index| {
        let vector = (0..dimensions).map(|_| chance.below(2001) as f32 / 1000.0 - 1.0);
        let embedding = if coded {
            BASE64_STANDARD
                .encode(vector.flat_map(f32::to_le_bytes).collect::<Vec<_>>())
                .into()
        } else {
            Value::from_iter(vector)
        };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    });
    let tokens = request::words(input);
    Ok(render::pretty(&json!({
        "object": "list",
        "data": vectors.collect::<Vec<_>>(),
        "model": name,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    })))
}
