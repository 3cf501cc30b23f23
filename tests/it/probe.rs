//! `streamgauge check --probe`, through the real program: what answers is told, and what does not is an error.

use tokio::net::TcpSocket;

use crate::support::collector::{Collector, Mode};
use crate::support::file::File;
use crate::support::gauge::json;
use crate::support::http1::Message;
use crate::support::process::Program;
use crate::support::upstream::Upstream;

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Exit status and lines on standard error of a probe.
async fn probe(program: Program) -> (Option<i32>, Vec<String>) {
    let mut process = program.start();
    let status = process.exit().await;
    assert!(process.stdout().text().contains("[[upstream]]"));
    (status.code(), process.stderr().lines)
}

fn check(upstream: &str) -> Program {
    Program::new(["check", "--probe", "--upstream", upstream]).env("STREAMGAUGE_LOG_FORMAT", "text")
}

/// Has the only request to an upstream answered with this status.
async fn answer(upstream: &Upstream, status: u16) -> Message {
    let mut served = upstream.accept().await;
    let seen = served.read_request().await;
    served.write(json(status, "{}")).await;
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn what_answers_is_told() {
    for (protocol, path) in [("http/protobuf", true), ("grpc", false)] {
        let (upstream, collector) = (Upstream::start().await, Collector::start().await);
        let program = check(&upstream.base_url())
            .env(ENDPOINT, collector.endpoint())
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
        let (seen, (status, lines)) = tokio::join!(answer(&upstream, 200), probe(program));
        assert_eq!(seen.start_line(), "GET /v1/models HTTP/1.1");
        assert_eq!(seen.header("authorization"), None);
        let url = |signal| match path {
            true => format!("{}/v1/{signal}", collector.endpoint()),
            false => collector.endpoint(),
        };
        let models = format!("{}/models", upstream.base_url());
        let expected = [
            format!("upstream default: GET {models} was answered with status 200"),
            format!("traces: {} took an empty export", url("traces")),
            format!("metrics: {} took an empty export", url("metrics")),
            "ok".to_owned(),
        ];
        assert_eq!((status, &lines[2..]), (Some(0), &expected[..]));
        let received = collector.received();
        assert_eq!(received.requests.len(), 2);
        assert!(received.spans.is_empty() && received.points.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_answer_is_an_error_with_its_cause() {
    // Bound, and not listened at.
    let sockets = [TcpSocket::new_v4().unwrap(), TcpSocket::new_v4().unwrap()];
    let [upstream, receiver] = sockets.each_ref().map(|socket| {
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        format!("http://{}", socket.local_addr().unwrap())
    });
    let program = check(&upstream)
        .env(ENDPOINT, &receiver)
        .env("OTEL_METRICS_EXPORTER", "none");
    let (status, lines) = probe(program).await;
    assert_eq!(status, Some(1), "{lines:#?}");
    let [of_upstream, of_receiver, end] = &lines[2..] else {
        panic!("{lines:#?}");
    };
    let begin = "error: upstream default refused the connection to ";
    assert!(of_upstream.starts_with(begin), "{of_upstream}");
    let begin = format!("error: traces: the OTLP receiver at {receiver}/v1/traces gave no answer");
    assert!(of_receiver.starts_with(&begin), "{of_receiver}");
    assert!(
        end.ends_with("2 of 2 did not answer as they should"),
        "{end}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_gets_its_key_and_is_told_of_where_it_rejects_it() {
    for (status, code) in [(200, 0), (401, 1)] {
        let upstream = Upstream::start().await;
        let url = upstream.base_url();
        let file = File::new(
            &format!("probe-{status}.toml"),
            format!(
                "[[upstream]]\nname = \"a\"\nurl = \"{url}\"\nkey.env = \"KEY\"\nheaders.x-team = \"t\"\n"
            ),
        );
        let program = Program::new(["check", "--probe", "-c", file.name()]).env("KEY", "hush");
        let (seen, (exit, lines)) = tokio::join!(answer(&upstream, status), probe(program));
        assert_eq!(seen.header("authorization"), Some("Bearer hush"));
        assert_eq!(seen.header("x-team"), Some("t"));
        assert_eq!(exit, Some(code), "{lines:#?}");
        let told = format!("upstream a: GET {url}/models was answered with status {status}");
        assert!(lines[2].contains(&told), "{lines:#?}");
        assert!(!lines.concat().contains("hush"), "{lines:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_lacks_the_version_is_told_with_what_to_write() {
    for (second, is_told) in [(200, true), (401, true), (404, false)] {
        let upstream = Upstream::start().await;
        let base = upstream.base_url();
        let bare = base.strip_suffix("/v1").unwrap();
        let answered = async {
            let first = answer(&upstream, 404).await;
            (first, answer(&upstream, second).await)
        };
        let ((first, other), (exit, lines)) = tokio::join!(answered, probe(check(bare)));
        assert_eq!(first.start_line(), "GET /models HTTP/1.1");
        assert_eq!(other.start_line(), "GET /v1/models HTTP/1.1");
        assert_eq!(exit, Some(0), "{lines:#?}");
        let told = format!(
            "warning: upstream default: GET {bare}/models was answered with status 404, and GET {base}/models with status \
             {second}: this server has its API below /v1, so set upstream.url to {base}"
        );
        assert_eq!(lines.contains(&told), is_told, "{lines:#?}");
        let doubt = "status 404: check the path of its URL (upstream.url)";
        let is_doubted = lines.iter().any(|line| line.contains(doubt));
        assert_eq!(is_doubted, !is_told, "{lines:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_silent_is_given_up_after_the_limit_for_connecting() {
    let upstream = Upstream::start().await;
    let url = upstream.base_url();
    let file = File::new(
        "silent.toml",
        format!("[[upstream]]\nname = \"a\"\nurl = \"{url}\"\ntimeouts.connect = \"50ms\"\n"),
    );
    let program = Program::new(["check", "--probe", "-c", file.name()]);
    let silent = async {
        let mut served = upstream.accept().await;
        served.read_request().await;
        served.closed().await;
    };
    let ((), (exit, lines)) = tokio::join!(silent, probe(program));
    assert_eq!(exit, Some(1));
    let told = format!("error: upstream a: GET {url}/models was not answered within 50ms");
    assert!(lines[2].starts_with(&told), "{lines:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_refuses_is_asked_once_and_told_of_with_a_hint() {
    let (upstream, collector) = (Upstream::start().await, Collector::start().await);
    collector.set_mode(Mode::NoMetrics(404));
    let program = check(&upstream.base_url()).env(ENDPOINT, collector.endpoint());
    let (_, (status, lines)) = tokio::join!(answer(&upstream, 401), probe(program));
    assert_eq!(status, Some(1), "{lines:#?}");
    let told = "was answered with status 401: none of the proxy's own keys was sent";
    assert!(lines[2].contains(told), "{lines:#?}");
    assert!(lines[3].ends_with("took an empty export"), "{lines:#?}");
    let told = "answered with status 404; it takes no metrics there";
    assert!(lines[4].contains(told), "{lines:#?}");
    assert_eq!(collector.received().requests.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_no_list_of_models_is_a_warning_and_the_end_says_so() {
    for (status, advice) in [
        (404, ": check the path of its URL (upstream.url)"),
        (503, ": it is there, and fails"),
        (308, ", a redirect: streamgauge follows none"),
        (405, ", and not with its list of models"),
    ] {
        let upstream = Upstream::start().await;
        let program = check(&upstream.base_url());
        let (_, (exit, lines)) = tokio::join!(answer(&upstream, status), probe(program));
        assert_eq!(exit, Some(0), "{lines:#?}");
        let models = format!("{}/models", upstream.base_url());
        let told = format!(
            "warning: upstream default: GET {models} was answered with status {status}{advice}"
        );
        let [.., warning, end] = &lines[..] else {
            panic!("{lines:#?}");
        };
        assert!(warning.starts_with(&told), "{warning}");
        assert_eq!(end, "ok, but for the warning above");
    }
}
