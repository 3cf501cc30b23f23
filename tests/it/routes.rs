//! One proxy in front of several upstreams, through the real program: who gets which request, with whose key, and that
//! a key shows nowhere else.

use serde_json::Value;
use streamgauge::simulate::{RunningSimulator, SeenRequest, Simulator, SimulatorConfig};

use crate::support::client::{get, send};
use crate::support::collector::Collector;
use crate::support::file::File;
use crate::support::http1::Message;
use crate::support::process::{Program, Server};

/// Keys of ours, and what clients bring.
const ENV_KEY: &str = "sk-from-the-environment";
const FILE_KEY: &str = "sk-from-a-file";
const HEADER_KEY: &str = "hush-in-a-header";
const CLIENT_KEY: &str = "sk-of-the-client";
const SECRETS: [&str; 4] = [ENV_KEY, FILE_KEY, HEADER_KEY, CLIENT_KEY];

/// A proxy with upstreams of three kinds, and one that is not there.
struct Site {
    server: Server,
    azure: RunningSimulator,
    vllm: RunningSimulator,
    openai: RunningSimulator,
    collector: Collector,
    _files: [File; 2],
}

async fn upstream() -> RunningSimulator {
    Simulator::new(SimulatorConfig::instant())
        .start()
        .await
        .unwrap()
}

impl Site {
    /// `name` tells the files of one test from those of another.
    async fn start(name: &str) -> Self {
        let (azure, vllm, openai) = (upstream().await, upstream().await, upstream().await);
        let collector = Collector::start().await;
        let key = File::new(&format!("{name}.key"), format!("  {FILE_KEY}\n"));
        let config = format!(
            r#"
            [[upstream]]
            name = "azure"
            url = "http://{}/v1"
            key = {{ env = "AZURE_KEY", header = "api-key" }}
            headers = {{ x-team = "search", x-api-token = "{HEADER_KEY}" }}

            [[upstream]]
            name = "vllm"
            url = "http://{}/v1"
            key = {{ file = "{}" }}
            usage.inject = false

            [[upstream]]
            name = "openai"
            url = "http://{}/v1"

            [[upstream]]
            name = "gone"
            url = "http://127.0.0.1:9/v1"
            key = {{ env = "AZURE_KEY" }}

            [[route]]
            path = "/v1/files"
            upstream = "azure"

            [[route]]
            model = "llama-*"
            upstream = "vllm"

            [[route]]
            path = "/v1/chat/"
            header = {{ name = "x-team", value = "search-?" }}
            upstream = "azure"

            [[route]]
            path = "/gone"
            upstream = "gone"

            [[route]]
            path = "/v1/"
            upstream = "openai"
            "#,
            azure.address(),
            vllm.address(),
            key.path().display(),
            openai.address(),
        );
        let file = File::new(&format!("{name}.toml"), config);
        let server = Program::configured(file.name())
            .env("AZURE_KEY", ENV_KEY)
            .env("STREAMGAUGE_LOG_LEVEL", "trace")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
            .env("OTEL_BSP_SCHEDULE_DELAY", "10")
            .env("OTEL_METRIC_EXPORT_INTERVAL", "50")
            .listen()
            .await;
        Self {
            server,
            azure,
            vllm,
            openai,
            collector,
            _files: [key, file],
        }
    }

    /// Sends a request, marked as this call, with these further header lines.
    async fn call(
        &self,
        mark: &str,
        method: &str,
        target: &str,
        lines: &str,
        body: &str,
    ) -> Message {
        let length = body.len();
        let request = format!(
            "{method} {target} HTTP/1.1\r\nhost: me\r\nx-call: {mark}\r\n{lines}content-length: {length}\r\n\r\n{body}"
        );
        send(self.server.proxy, request).await
    }

    /// The one upstream that got a call, and the call as it got it; `None` where none did.
    fn got(&self, mark: &str) -> Option<(&'static str, SeenRequest)> {
        let upstreams = [
            ("azure", &self.azure),
            ("vllm", &self.vllm),
            ("openai", &self.openai),
        ];
        let mut got = upstreams.into_iter().flat_map(|(name, upstream)| {
            let requests = upstream.record().requests().into_iter();
            requests
                .filter(|request| request.headers["x-call"] == mark)
                .map(move |request| (name, request))
        });
        let first = got.next();
        assert!(got.next().is_none(), "call {mark} arrived twice");
        first
    }
}

const CHAT: &str = "/v1/chat/completions";
const AUTHORIZATION: &str =
    "authorization: Bearer sk-of-the-client\r\napi-key: sk-of-the-client\r\n";

#[tokio::test]
async fn the_first_route_that_matches_decides() {
    let site = Site::start("first").await;
    let team = "x-team: search-1\r\n";
    let llama = r#"{"model":"llama-3.1-8b"}"#;
    let other = r#"{"model":"gpt-4o"}"#;
    for (n, (method, target, lines, body, expected)) in [
        ("POST", CHAT, "", llama, Some("vllm")),
        (
            "POST",
            CHAT,
            "",
            r#"{"x":[1],"model":"llama-"}"#,
            Some("vllm"),
        ),
        ("POST", CHAT, "", r#"{"model":"a-llama-3"}"#, Some("openai")),
        ("POST", CHAT, "", r#"{"model":"LLAMA-3"}"#, Some("openai")),
        ("POST", CHAT, "", other, Some("openai")),
        ("POST", CHAT, "", "no json", Some("openai")),
        ("POST", CHAT, "", "", Some("openai")),
        ("POST", "/v1/embeddings", "", llama, Some("vllm")),
        ("POST", "/elsewhere", "", llama, Some("vllm")),
        ("POST", "/v1/files/1", "", llama, Some("azure")),
        ("GET", "/v1/files/1", "", "", Some("azure")),
        ("DELETE", "/v1/filesystem", "", "", Some("azure")),
        ("POST", CHAT, team, other, Some("azure")),
        ("POST", CHAT, team, llama, Some("vllm")),
        ("POST", CHAT, "x-team: search-12\r\n", other, Some("openai")),
        (
            "POST",
            CHAT,
            "x-team: a\r\nX-Team: search-2\r\n",
            other,
            Some("azure"),
        ),
        ("POST", "/v1/embeddings", team, other, Some("openai")),
        ("GET", "/v1/models", "", "", Some("openai")),
        ("GET", "/v1", "", "", None),
        ("POST", "/elsewhere", "", other, None),
        // What routes do not see; docs/routes.md tells of it.
        ("GET", "/v1//files/1", "", "", Some("openai")),
        ("GET", "/v1/./files/1", "", "", Some("openai")),
        ("GET", "/v1/fil%65s/1", "", "", Some("openai")),
        ("GET", "/V1/files/1", "", "", None),
        (
            "POST",
            CHAT,
            "",
            r#"{"model":"gpt-4o","model":"llama-3"}"#,
            Some("vllm"),
        ),
        (
            "POST",
            CHAT,
            "",
            r#"{"model":"llama-3","model":"gpt-4o"}"#,
            Some("openai"),
        ),
        (
            "POST",
            CHAT,
            "content-encoding: gzip\r\n",
            llama,
            Some("openai"),
        ),
        (
            "POST",
            CHAT,
            "content-encoding: identity\r\n",
            llama,
            Some("vllm"),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let mark = n.to_string();
        site.call(&mark, method, target, lines, body).await;
        let got = site.got(&mark).map(|(name, _)| name);
        assert_eq!(got, expected, "{method} {target} {lines} {body}");
    }
}

#[tokio::test]
async fn a_request_that_no_route_takes_is_a_404_of_ours() {
    let site = Site::start("none").await;
    let answer = site.call("1", "GET", "/elsewhere", "", "").await;
    assert_eq!(answer.status(), 404);
    assert_eq!(answer.header("x-streamgauge-error"), Some("no_route"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    let error = &body["error"];
    assert_eq!(
        (&error["type"], &error["param"], &error["code"]),
        (
            &"invalid_request_error".into(),
            &Value::Null,
            &"no_route".into()
        )
    );
    assert!(error["message"].as_str().unwrap().contains("no route"));
}

#[tokio::test]
async fn a_key_of_ours_takes_the_place_of_the_clients() {
    let site = Site::start("keys").await;
    let values = |seen: &SeenRequest, name: &str| -> Vec<String> {
        let values = seen.headers.get_all(name).iter();
        values
            .map(|value| value.to_str().unwrap().to_owned())
            .collect()
    };

    site.call("1", "GET", "/v1/files", AUTHORIZATION, "").await;
    let (name, seen) = site.got("1").unwrap();
    assert_eq!(name, "azure");
    assert_eq!(values(&seen, "api-key"), [ENV_KEY]);
    assert_eq!(values(&seen, "authorization"), [""; 0]);

    site.call("2", "POST", CHAT, AUTHORIZATION, r#"{"model":"llama-3"}"#)
        .await;
    let (name, seen) = site.got("2").unwrap();
    assert_eq!(name, "vllm");
    assert_eq!(
        values(&seen, "authorization"),
        [format!("Bearer {FILE_KEY}")]
    );
    assert_eq!(values(&seen, "api-key"), [""; 0]);

    site.call("3", "GET", "/v1/models", AUTHORIZATION, "").await;
    let (name, seen) = site.got("3").unwrap();
    assert_eq!(name, "openai");
    assert_eq!(
        values(&seen, "authorization"),
        [format!("Bearer {CLIENT_KEY}")]
    );
    assert_eq!(values(&seen, "api-key"), [CLIENT_KEY]);
}

#[tokio::test]
async fn headers_of_ours_go_over_the_clients() {
    let site = Site::start("headers").await;
    let lines = "x-team: of-the-client\r\nx-team: again\r\n";
    site.call("1", "GET", "/v1/files", lines, "").await;
    let (_, seen) = site.got("1").unwrap();
    let teams: Vec<_> = seen.headers.get_all("x-team").iter().collect();
    assert_eq!(teams, ["search"]);
    assert_eq!(seen.headers["x-api-token"], HEADER_KEY);
}

#[tokio::test]
async fn usage_is_not_asked_for_where_the_upstream_says_so() {
    let site = Site::start("usage").await;
    for (mark, model, asked) in [("1", "llama-3", false), ("2", "gpt-4o", true)] {
        let body = format!(r#"{{"model":"{model}","stream":true,"messages":[]}}"#);
        site.call(mark, "POST", CHAT, "", &body).await;
        let (_, seen) = site.got(mark).unwrap();
        let text = String::from_utf8(seen.body.to_vec()).unwrap();
        assert_eq!(text.contains("include_usage"), asked, "{text}");
        assert_eq!(text == body, !asked);
    }
}

#[tokio::test]
async fn a_secret_shows_nowhere_but_upstream() {
    let mut site = Site::start("secrets").await;
    let query = "key=sk-of-the-client&api-key=sk-of-the-client&x=1";
    let body = r#"{"model":"llama-3","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    let mut shown = String::new();
    for (mark, method, target) in [
        ("1", "POST", format!("{CHAT}?{query}")),
        ("2", "GET", format!("/v1/files?{query}")),
        ("3", "GET", format!("/gone?{query}")),
        ("4", "GET", format!("/elsewhere?{query}")),
        ("5", "GET", format!("/v1/models?{query}")),
    ] {
        let answer = site
            .call(
                mark,
                method,
                &target,
                AUTHORIZATION,
                if mark == "1" { body } else { "" },
            )
            .await;
        shown += &String::from_utf8([answer.head, answer.body].concat()).unwrap();
    }
    for path in [
        "/metrics",
        "/api/exchanges",
        "/api/exchanges/1",
        "/api/gauge",
        "/",
        "/readyz",
    ] {
        let answer = get(site.server.admin, path).await;
        shown += answer.text();
    }
    site.server.process.terminate().await;
    assert!(site.server.process.exit().await.success());
    shown += &site.server.process.stderr().text();
    shown += &site.server.process.stdout().text();
    let received = site.collector.spans(5).await;
    shown += &format!("{received:?} {:?}", site.collector.received());
    for telling in [
        "no_route",
        "connection_refused",
        "shutting down",
        "url.query",
    ] {
        assert!(shown.contains(telling), "{telling} is there to be seen");
    }
    for secret in SECRETS {
        if let Some(at) = shown.find(secret) {
            let before: String = shown[..at].chars().rev().take(200).collect();
            let before: String = before.chars().rev().collect();
            panic!("{secret} shows after …{before}");
        }
    }
}
