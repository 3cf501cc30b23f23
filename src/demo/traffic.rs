//! Sample traffic: a handful of clients, each going round its own list of calls.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// One kind of call.
#[derive(Debug, Clone, Copy)]
enum SampleCall {
    /// A streamed chat.
    Stream(&'static str),
    /// A streamed chat that is abandoned after so many frames.
    Abandon(&'static str, usize),
    /// A chat answered whole.
    Whole(&'static str),
    /// Two choices at once, streamed.
    Choices(&'static str),
    /// A chat with tools; then the same with their results.
    Tools(&'static str),
    /// A legacy text completion, streamed.
    Text(&'static str),
    /// Embeddings, whole.
    Embed(&'static str),
}

use SampleCall::{Abandon, Choices, Embed, Stream, Text, Tools, Whole};

/// Each client: its name, its pause between calls, its round.
const CLIENTS: &[(&str, Duration, &[SampleCall])] = &[
    (
        "chat/1.0",
        Duration::from_millis(700),
        &[
            Stream("sim-chat"),
            Stream("sim-chat"),
            Abandon("sim-chat", 20),
        ],
    ),
    (
        "agent/1.0",
        Duration::from_millis(900),
        &[Tools("sim-tools")],
    ),
    (
        "research/1.0",
        Duration::from_millis(500),
        &[Stream("sim-reasoning"), Whole("sim-reasoning")],
    ),
    (
        "batch/1.0",
        Duration::from_millis(250),
        &[
            Whole("sim-fast"),
            Text("sim-fast"),
            Choices("sim-fast"),
            Embed("sim-embed"),
        ],
    ),
    (
        "patient/1.0",
        Duration::from_millis(100),
        &[Stream("sim-slow")],
    ),
    (
        "unlucky/1.0",
        Duration::from_millis(400),
        &[
            Stream("sim-error-429"),
            Stream("sim-error-midstream"),
            Stream("sim-cut"),
            Whole("sim-error-500"),
            Stream("sim-refuse"),
            Abandon("sim-silent", 0),
            Stream("sim-no-usage"),
            Stream("sim-stall"),
            Stream("sim-hangup"),
        ],
    ),
];

const CHAT: &str = "/v1/chat/completions";

/// How long a tool works.
const TOOL_TIME: Duration = Duration::from_millis(300);

/// How long a client waits for a head before it abandons a call on purpose.
const PATIENCE: Duration = Duration::from_millis(1500);

const QUESTIONS: &[&str] = &[
    "How high is the river at Grenoble today?",
    "Explain in one paragraph why the snow line matters for the flood warning.",
    "Summarise the last three readings of the gauge and say which way they go.",
];

/// Starts the clients; they go on until the set is dropped.
pub(super) fn start(proxy: SocketAddr) -> JoinSet<()> {
    CLIENTS
        .iter()
        .map(|&(name, pause, round)| async move {
            let client = Caller::new(proxy, name);
            for turn in 0.. {
                client.call(round[turn % round.len()], turn).await;
                tokio::time::sleep(pause).await;
            }
        })
        .collect()
}

/// One simulated client and its connections.
struct Caller {
    http: Client<HttpConnector, Full<Bytes>>,
    authority: String,
    name: HeaderValue,
}

impl Caller {
    fn new(proxy: SocketAddr, name: &'static str) -> Self {
        Self {
            http: Client::builder(TokioExecutor::new()).build_http(),
            authority: proxy.to_string(),
            name: HeaderValue::from_static(name),
        }
    }

    /// Makes one call. What goes wrong is part of the show, and told by the proxy's numbers.
    async fn call(&self, call: SampleCall, turn: usize) {
        let question = QUESTIONS[turn % QUESTIONS.len()];
        let messages = json!([{"role": "user", "content": question}]);
        let (path, body) = match call {
            Stream(model) | Abandon(model, _) => (
                CHAT,
                json!({"model": model, "messages": messages, "stream": true}),
            ),
            Whole(model) => (CHAT, json!({"model": model, "messages": messages})),
            Choices(model) => (
                CHAT,
                json!({"model": model, "messages": messages, "stream": true, "n": 2}),
            ),
            Text(model) => (
                "/v1/completions",
                json!({"model": model, "prompt": question, "stream": true}),
            ),
            Embed(model) => ("/v1/embeddings", json!({"model": model, "input": question})),
            Tools(model) => return self.use_tools(model, messages).await,
        };
        match call {
            Abandon(_, frames) => self.abandon(path, &body, frames).await,
            _ => drop(self.send(path, &body).await),
        }
    }

    /// Asks with tools, works for a moment, and comes back with results.
    async fn use_tools(&self, model: &str, messages: Value) {
        let tool = |name| {
            json!({"type": "function", "function": {"name": name, "parameters": {"type": "object",
                "properties": {"station": {"type": "string"}, "days": {"type": "integer"}}}}})
        };
        let mut body = json!({"model": model, "messages": messages,
            "tools": [tool("get_water_level"), tool("get_forecast")]});
        let Some(answer) = self.send(CHAT, &body).await else {
            return;
        };
        tokio::time::sleep(TOOL_TIME).await;
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        let message = answer["choices"][0]["message"].clone();
        let calls = message["tool_calls"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let results = calls.iter().map(|call| {
            json!({"role": "tool", "tool_call_id": call["id"], "content": "2.4 m and rising"})
        });
        let Value::Array(mut history) = messages else {
            return;
        };
        history.extend(std::iter::once(message).chain(results));
        body["messages"] = history.into();
        body["stream"] = true.into();
        self.send(CHAT, &body).await;
    }

    /// Sends a request and reads the answer whole; `None` where it breaks.
    async fn send(&self, path: &str, body: &Value) -> Option<Bytes> {
        let response = self.http.request(self.request(path, body)).await.ok()?;
        Some(response.into_body().collect().await.ok()?.to_bytes())
    }

    /// Sends a request and leaves after so many frames of the answer, or where there are none to wait for, at the end
    /// of its patience with the head.
    async fn abandon(&self, path: &str, body: &Value, frames: usize) {
        let head = self.http.request(self.request(path, body));
        let response = if frames == 0 {
            tokio::time::timeout(PATIENCE, head).await.ok()
        } else {
            Some(head.await)
        };
        let Some(Ok(mut response)) = response else {
            return;
        };
        for _ in 0..frames {
            if !matches!(response.body_mut().frame().await, Some(Ok(_))) {
                return;
            }
        }
    }

    fn request(&self, path: &str, body: &Value) -> Request<Full<Bytes>> {
        let mut request = Request::new(Bytes::from(body.to_string()).into());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::builder()
            .scheme("http")
            .authority(self.authority.clone())
            .path_and_query(path)
            .build()
            .expect("a scheme, a socket address and a path of ours make a URI");
        request.headers_mut().insert(USER_AGENT, self.name.clone());
        request
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request
    }
}
