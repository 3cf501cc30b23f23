//! Connections that go out by a forward proxy: to upstreams and to receivers of telemetry, as the usual variables and the
//! configuration say.

use serde_json::Value;

use crate::support::client::get;
use crate::support::collector::Collector;
use crate::support::file::File;
use crate::support::forward_proxy::ForwardProxy;
use crate::support::gauge::{Gauge, chat, json};
use crate::support::http1::Message;
use crate::support::otlp::Received;
use crate::support::process::{Program, Server};
use crate::support::tls::{Certificate, NAME, Terminator};
use crate::support::upstream::Upstream;

/// What the proxy wants, and how a URL says it.
const AUTHORIZATION: &str = "Basic bWU6aHVzaCBodXNo";
const USER: &str = "me:hush%20hush";

fn by(proxy: &ForwardProxy) -> String {
    format!("http://{USER}@{}", proxy.address)
}

/// A call that the upstream answers.
async fn call(server: &Server, upstream: &Upstream) -> Message {
    let serve = async {
        let mut served = upstream.accept().await;
        let seen = served.read_request().await;
        served
            .write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
            .await;
        seen
    };
    let (seen, answer) = tokio::join!(serve, get(server.proxy, "/v1/models"));
    assert_eq!((answer.status(), answer.text()), (200, "ok"));
    seen
}

async fn upstreams_of(server: &Server) -> String {
    let line = server.process.message("listening").await;
    line["upstreams"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_upstream_is_reached_through_a_tunnel_of_the_proxy() {
    for scheme in ["http", "https"] {
        let upstream = Upstream::start().await;
        let certificate = Certificate::new();
        let tls = Terminator::start(&certificate, &["http/1.1"], upstream.address()).await;
        let (to, variable) = match scheme {
            "http" => (upstream.address(), "HTTP_PROXY"),
            _ => (tls.address, "https_proxy"),
        };
        let proxy = ForwardProxy::start(to, Some(AUTHORIZATION)).await;
        let pem = File::new("outbound.crt", &certificate.certificate_pem);
        let server = Program::serve(&format!("{scheme}://{NAME}/v1"))
            .env("SSL_CERT_FILE", pem.name())
            .env(variable, by(&proxy))
            .listen()
            .await;
        let seen = call(&server, &upstream).await;
        assert_eq!(seen.start_line(), "GET /v1/models HTTP/1.1");
        assert_eq!(seen.header("host"), Some(NAME));
        assert_eq!(seen.header("proxy-authorization"), None);
        let port = if scheme == "http" { 80 } else { 443 };
        let head = proxy.asked().await;
        assert!(
            head.starts_with(&format!("CONNECT {NAME}:{port} HTTP/1.1\r\n")),
            "{head}"
        );
        let told = format!("default={scheme}://{NAME}/v1 (by http://{})", proxy.address);
        assert_eq!(upstreams_of(&server).await, told);
        assert!(!server.process.stderr().text().contains("hush"));
    }
}

#[tokio::test]
async fn an_upstream_is_reached_by_a_socks_proxy() {
    // Who resolves the host is in the scheme.
    for (scheme, host, user, asked) in [
        ("socks5h", NAME, "", format!("{NAME}:80")),
        ("socks5h", NAME, USER, format!("me:hush hush {NAME}:80")),
        (
            "socks5",
            "127.0.0.1:8123",
            USER,
            "me:hush hush 127.0.0.1:8123".into(),
        ),
    ] {
        let upstream = Upstream::start().await;
        let authorization = (!user.is_empty()).then_some(AUTHORIZATION);
        let proxy = ForwardProxy::start(upstream.address(), authorization).await;
        let at = if user.is_empty() { "" } else { "@" };
        let way = format!("{scheme}://{user}{at}{}", proxy.address);
        let config =
            format!("[[upstream]]\nname = 'up'\nurl = 'http://{host}/v1'\nproxy = '{way}'\n");
        let file = File::new("socks.toml", config);
        let server = Program::configured(file.name()).listen().await;
        assert_eq!(call(&server, &upstream).await.header("host"), Some(host));
        assert_eq!(proxy.asked().await, asked);
        let told = format!("(by {scheme}://{})", proxy.address);
        assert!(upstreams_of(&server).await.ends_with(&told));
        assert!(!server.process.stderr().text().contains("hush"));
        let mut check = Program::new(["check", "-c", file.name()]).start();
        check.exit().await;
        assert!(!check.stdout().text().contains("hush"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn telemetry_goes_by_a_socks_proxy_over_either_protocol() {
    for protocol in ["grpc", "http/protobuf"] {
        let (upstream, collector) = (Upstream::start().await, Collector::start().await);
        let proxy = ForwardProxy::start(collector.address(), Some(AUTHORIZATION)).await;
        let server = Program::serve(&upstream.base_url())
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{NAME}:4318"))
            .env("OTEL_BSP_SCHEDULE_DELAY", "20")
            .env("ALL_PROXY", format!("socks5h://{USER}@{}", proxy.address))
            .listen()
            .await;
        call(&server, &upstream).await;
        let spans = |received: &Received| !received.spans.is_empty();
        collector
            .wait_for(&format!("spans by {protocol}"), spans)
            .await;
        assert_eq!(proxy.asked().await, format!("me:hush hush {NAME}:4318"));
    }
}

#[tokio::test]
async fn http_2_is_negotiated_through_a_tunnel_too() {
    let origin = crate::support::origin::Origin::start().await;
    let certificate = Certificate::new();
    let tls = Terminator::start(&certificate, &["h2", "http/1.1"], origin.address).await;
    let proxy = ForwardProxy::start(tls.address, None).await;
    let pem = File::new("outbound-h2.crt", &certificate.certificate_pem);
    let server = Program::serve(&format!("https://{NAME}/v1"))
        .env("SSL_CERT_FILE", pem.name())
        .env("ALL_PROXY", proxy.address.to_string())
        .listen()
        .await;
    let serve = async {
        let call = origin.call().await;
        let version = call.head.version;
        call.end("0");
        version
    };
    let (answer, version) = tokio::join!(get(server.proxy, "/v1/models"), serve);
    assert_eq!(answer.status(), 200);
    assert_eq!(version, http::Version::HTTP_2);
    assert_eq!(proxy.heads().len(), 1);
}

#[tokio::test]
async fn a_host_that_is_excepted_is_not_asked_of_the_proxy() {
    let upstream = Upstream::start().await;
    let proxy = ForwardProxy::start(upstream.address(), None).await;
    let server = Program::serve(&format!("http://{NAME}:{}/v1", upstream.address().port()))
        .env("HTTP_PROXY", by(&proxy))
        .env("NO_PROXY", "example, .test")
        .listen()
        .await;
    // Nobody else knows the name.
    let answer = get(server.proxy, "/v1/models").await;
    assert_eq!(
        answer.header("x-streamgauge-error"),
        Some("connection_failed")
    );
    assert!(upstreams_of(&server).await.ends_with("(direct)"));
    assert!(proxy.heads().is_empty());
}

#[tokio::test]
async fn each_upstream_can_have_a_way_of_its_own() {
    let upstream = Upstream::start().await;
    let proxy = ForwardProxy::start(upstream.address(), Some(AUTHORIZATION)).await;
    let config = |way: &str| {
        let url = upstream.base_url();
        format!("[[upstream]]\nname = \"a\"\nurl = \"{url}\"\n{way}\n")
    };
    let own = format!("proxy = \"{}\"", by(&proxy));
    // A proxy that is named for an upstream is used for this machine too.
    for (way, variable, asked) in [
        (own.as_str(), "", 1),
        ("proxy = \"direct\"", "http://127.0.0.1:9", 1),
        ("proxy = \"environment\"", "http://127.0.0.1:9", 1),
    ] {
        let file = File::new("way.toml", config(way));
        let server = Program::configured(file.name())
            .env("ALL_PROXY", variable)
            .listen()
            .await;
        call(&server, &upstream).await;
        assert_eq!(proxy.heads().len(), asked, "{way}");
    }
    let file = File::new("way.toml", config(&own));
    let mut check = Program::new(["check", "-c", file.name()]).start();
    assert_eq!(check.exit().await.code(), Some(0));
    let text = check.stdout().text();
    assert!(
        text.contains(&format!("proxy = \"http://***@{}\"", proxy.address)),
        "{text}"
    );
    assert!(!text.contains("hush"), "{text}");
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_in_the_answer() {
    let upstream = Upstream::start().await;
    let proxy = ForwardProxy::start(upstream.address(), Some(AUTHORIZATION)).await;
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = free.local_addr().unwrap();
    drop(free);
    for (address, cause) in [
        (proxy.address, "proxy authorization required"),
        (nobody, "Connection refused"),
    ] {
        let server = Program::serve(&format!("http://{NAME}/v1"))
            .env("HTTP_PROXY", format!("http://me:wrong@{address}"))
            .listen()
            .await;
        let answer = get(server.proxy, "/v1/models").await;
        assert_eq!(answer.status(), 502);
        assert_eq!(
            answer.header("x-streamgauge-error"),
            Some("connection_failed")
        );
        let body: Value = serde_json::from_str(answer.text()).unwrap();
        let message = body["error"]["message"].as_str().unwrap();
        for part in [&format!("by the proxy http://{address}: "), cause] {
            assert!(message.contains(part), "{part} in {message}");
        }
        assert!(!message.contains("wrong"), "{message}");
    }
}

#[tokio::test]
async fn a_variable_that_names_no_proxy_is_an_error_at_start() {
    for (endpoint, upstream) in [
        ("", "https://api.example/v1"),
        ("https://c.example", "http://127.0.0.1:9"),
    ] {
        let mut process = Program::serve(upstream)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            .env("HTTPS_PROXY", "socks4://me:hush@127.0.0.1:1080")
            .start();
        assert!(!process.exit().await.success());
        let log = process.stderr().text();
        assert!(
            log.contains("HTTPS_PROXY") && log.contains("the URL of an HTTP or SOCKS5 proxy"),
            "{log}"
        );
        assert!(!log.contains("hush"), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn telemetry_goes_by_the_proxy_over_either_protocol() {
    for (protocol, alpn) in [("grpc", "h2"), ("http/protobuf", "http/1.1")] {
        for scheme in ["http", "https"] {
            let (upstream, collector) = (Upstream::start().await, Collector::start().await);
            let certificate = Certificate::new();
            let tls = Terminator::start(&certificate, &[alpn], collector.address()).await;
            let to = if scheme == "http" {
                collector.address()
            } else {
                tls.address
            };
            let proxy = ForwardProxy::start(to, Some(AUTHORIZATION)).await;
            let authority = File::new("outbound-otlp.crt", &certificate.certificate_pem);
            let server = Program::serve(&upstream.base_url())
                .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
                .env(
                    "OTEL_EXPORTER_OTLP_ENDPOINT",
                    format!("{scheme}://{NAME}:4318"),
                )
                .env("OTEL_EXPORTER_OTLP_CERTIFICATE", authority.name())
                .env("OTEL_BSP_SCHEDULE_DELAY", "20")
                .env("OTEL_METRIC_EXPORT_INTERVAL", "50")
                .env("ALL_PROXY", by(&proxy))
                .listen()
                .await;
            call(&server, &upstream).await;
            let both =
                |received: &Received| !received.spans.is_empty() && !received.points.is_empty();
            let what = format!("spans and metrics by {protocol} and {scheme}");
            let received = collector.wait_for(&what, both).await;
            let told = received
                .requests
                .iter()
                .any(|request| request.header("proxy-authorization").is_some());
            // Without TLS reqwest asks the proxy to pass requests on, not for a tunnel, and this one passes on everything.
            assert!(!told || (protocol, scheme) == ("http/protobuf", "http"));
            let line = server.process.message("listening").await;
            let way = format!(" (by http://{})", proxy.address);
            for signal in ["traces", "metrics"] {
                assert!(line[signal].as_str().unwrap().ends_with(&way), "{line}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tls_nobody_need_be_trusted() {
    let none = |program: Program| {
        let program = program.env("SSL_CERT_FILE", "/dev/null");
        program.env("SSL_CERT_DIR", "/nowhere")
    };
    let gauge = Gauge::with(none).await;
    gauge.call(chat(), json(200, "{}")).await;
    gauge.spans().await;
    let admin = format!("http://{}", gauge.server.admin);
    let mut top = none(Program::new(["top", "--once", &admin])).start();
    assert!(top.exit().await.success(), "{}", top.stderr().text());
}
