//! The admin listener over a socket: health, metrics and the live page's facts.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use hyper::Request;
use serde_json::json;
use streamgauge::admin;
use streamgauge::exchange::{
    Call, End, Exchange, Failure, Flow, Http, Problems, Quirks, Response, Times, Unknowns,
    Upstream, Usage,
};
use streamgauge::sink::live::Live;
use streamgauge::sink::metrics::Scrape;
use streamgauge::sink::{ExchangeId, Sink as _, Started};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::client;

struct Admin {
    address: SocketAddr,
    live: Arc<Live>,
    ready: Arc<AtomicBool>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<std::io::Result<()>>,
}

async fn admin() -> Admin {
    admin_rendering(Arc::new(|accept| {
        let accept = accept.unwrap_or("nothing");
        Scrape {
            content_type: "text/plain; of=tests",
            pieces: vec![format!("# asked for {accept}\n")],
        }
    }))
    .await
}

async fn admin_rendering(metrics: Arc<admin::Metrics>) -> Admin {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let live = Arc::new(Live::default());
    let ready = Arc::new(AtomicBool::new(true));
    let state = admin::State {
        base_url: "http://127.0.0.1:8080/v1".into(),
        live: Arc::clone(&live),
        metrics,
        ready: Arc::clone(&ready),
    };
    let (stop, stopped) = oneshot::channel();
    let shutdown = async {
        stopped.await.ok();
    };
    let served = tokio::spawn(admin::serve(listener, state, shutdown));
    Admin {
        address,
        live,
        ready,
        stop,
        served,
    }
}

/// A stream that broke, of a model whose name is markup.
fn broken() -> Arc<Exchange> {
    let seconds = |s| Some(Duration::from_secs_f64(s));
    Arc::new(Exchange {
        started_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1000),
        call: Some(Call::ChatCompletions),
        of_session: false,
        http: Http {
            method: "POST".into(),
            path: "/v1/chat/completions".into(),
            query: Some("key=secret".into()),
            status: Some(200),
            ..Http::default()
        },
        trace: None,
        attempts: Vec::new(),
        upstream: Some(Upstream {
            name: "local".into(),
            provider: "openai".into(),
            address: "localhost".into(),
            port: 80,
        }),
        request: streamgauge::exchange::Request {
            model: Some("<b>m</b>".into()),
            ..Default::default()
        },
        response: Response {
            streamed: true,
            ..Response::default()
        },
        usage: Usage {
            input_tokens: Some(8),
            output_tokens: Some(5),
            ..Usage::default()
        },
        rate_limits: Vec::new(),
        times: Times {
            request_end: seconds(0.5),
            first_token: seconds(1.0),
            last_token: seconds(1.4),
            end: Duration::from_secs(2),
            ..Times::default()
        },
        flow: Flow {
            chunks: Some(5),
            ..Flow::default()
        },
        end: End::Cut,
        failure: Some(Failure {
            kind: "upstream_cut".into(),
            message: "secret".into(),
        }),
        integrity: None,
        problems: Problems::default(),
        quirks: Quirks::default(),
        unknown: Unknowns::default(),
    })
}

#[tokio::test]
async fn exchanges_are_shown_in_flight_and_when_they_have_ended() {
    let admin = admin().await;
    for id in [1, 2] {
        let path = "/v1/chat/completions";
        admin.live.started(&Started {
            id: ExchangeId(id),
            method: "POST",
            path,
        });
    }
    admin.live.finished(ExchangeId(1), &broken());
    let answer = client::get(admin.address, "/api/exchanges").await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert!(!answer.text().contains("secret"));
    let facts = answer.json();
    assert_eq!(facts["ready"], true);
    assert_eq!(facts["base_url"], "http://127.0.0.1:8080/v1");
    assert_eq!(facts["in_flight_count"], 1);
    assert_eq!(facts["in_flight"][0]["id"], 2);
    assert_eq!(facts["in_flight"][0]["path"], "/v1/chat/completions");
    assert!(facts["in_flight"][0]["age_ms"].is_number());
    assert_eq!(facts["finished_count"], 1);
    let expected = json!({
        "sequence": 1, "started_at_ms": 1_000_000, "method": "POST", "path": "/v1/chat/completions",
        "model": "<b>m</b>", "upstream": "local", "status": 200, "end": "cut", "error": "upstream_cut",
        "streamed": true, "time_to_first_token_ms": 500.0, "time_per_output_token_ms": 100.0,
        "duration_ms": 2000.0, "chunks": 5, "input_tokens": 8, "output_tokens": 5, "tool_calls": 0,
    });
    assert_eq!(facts["recent"], json!([expected]));
}

#[tokio::test]
async fn it_is_alive_but_not_ready_while_it_drains() {
    let admin = admin().await;
    assert_eq!(client::get(admin.address, "/readyz").await.status, 200);
    admin.ready.store(false, Ordering::Relaxed);
    assert_eq!(client::get(admin.address, "/readyz").await.status, 503);
    assert_eq!(client::get(admin.address, "/healthz").await.status, 200);
    assert_eq!(
        client::get(admin.address, "/api/exchanges").await.json()["ready"],
        false
    );
}

#[tokio::test]
async fn metrics_are_rendered_for_what_the_scraper_accepts() {
    let admin = admin().await;
    let request = Request::get(format!("http://{}/metrics", admin.address))
        .header("accept", "application/openmetrics-text; version=1.0.0");
    let answer = client::send(request.body(Default::default()).unwrap())
        .await
        .unwrap();
    assert_eq!(answer.header("content-type"), "text/plain; of=tests");
    assert_eq!(
        answer.text(),
        "# asked for application/openmetrics-text; version=1.0.0\n"
    );
    assert_eq!(
        client::get(admin.address, "/metrics").await.text(),
        "# asked for nothing\n"
    );
}

#[tokio::test]
async fn others_are_answered_while_a_scrape_is_rendered() {
    let (begun, mut rendering) = mpsc::unbounded_channel();
    let (go_on, wait) = std::sync::mpsc::channel();
    let wait = Mutex::new(wait);
    let admin = admin_rendering(Arc::new(move |_| {
        begun.send(()).unwrap();
        let told = wait.lock().unwrap().recv_timeout(Duration::from_secs(10));
        Scrape {
            content_type: "text/plain",
            pieces: vec![format!("# {told:?}\n")],
        }
    }))
    .await;
    let address = admin.address;
    let scrape = tokio::spawn(async move { client::get(address, "/metrics").await });
    rendering.recv().await.unwrap();
    assert_eq!(client::get(address, "/healthz").await.status, 200);
    go_on.send(()).unwrap();
    assert_eq!(scrape.await.unwrap().text(), "# Ok(())\n");
}

#[tokio::test]
async fn a_scrape_of_many_pieces_arrives_whole_and_tells_its_length() {
    let pieces: Vec<String> = ["a", "", "b", "c"]
        .map(|letter| letter.repeat(100_000))
        .into();
    let expected = pieces.concat();
    let admin = admin_rendering(Arc::new(move |_| Scrape {
        content_type: "text/plain",
        pieces: pieces.clone(),
    }))
    .await;
    let answer = client::get(admin.address, "/metrics").await;
    assert_eq!(answer.header("content-length"), "300000");
    assert_eq!(answer.text(), expected);
}

#[tokio::test]
async fn the_page_loads_its_own_files_only_and_makes_no_markup_of_data() {
    let admin = admin().await;
    let page = client::get(admin.address, "/").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(!page.text().contains("//"));
    for (file, kind) in [("page.css", "text/css"), ("page.js", "text/javascript")] {
        assert!(page.text().contains(&format!("\"{file}\"")));
        let answer = client::get(admin.address, &format!("/{file}")).await;
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.header("content-type"),
            format!("{kind}; charset=utf-8")
        );
        assert!(!answer.text().contains("innerHTML") && !answer.text().contains("insertAdjacent"));
    }
}

#[tokio::test]
async fn every_answer_forbids_sniffing_framing_and_foreign_content() {
    let admin = admin().await;
    for path in [
        "/",
        "/healthz",
        "/metrics",
        "/api/exchanges",
        "/page.js",
        "/nothing",
    ] {
        let answer = client::get(admin.address, path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
            "{path}"
        );
        assert!(policy.contains("frame-ancestors 'none'"), "{path}");
    }
    assert_eq!(client::get(admin.address, "/nothing").await.status, 404);
}

#[tokio::test]
async fn it_stops_when_told() {
    let admin = admin().await;
    client::get(admin.address, "/healthz").await;
    admin.stop.send(()).unwrap();
    admin.served.await.unwrap().unwrap();
}
