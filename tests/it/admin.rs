//! What the admin listener does whatever is asked: security headers, compression, limits, and words for what is wrong.

use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use flate2::read::GzDecoder;
use streamgauge::sink::metrics::Scrape;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::client;
use crate::support::client::{connect, send};
use crate::support::gauge::Gauge;
use crate::support::http1::Message;
use crate::support::listener::{Admin, admin, admin_rendering};

/// The answer to a request with these header lines.
async fn ask(address: SocketAddr, request: &str, lines: &str) -> Message {
    send(
        address,
        format!("{request} HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n"),
    )
    .await
}

fn decoded(answer: &Message) -> String {
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    GzDecoder::new(&answer.body[..])
        .read_to_string(&mut text)
        .unwrap();
    text
}

/// One whose scrape is so large, and says what was accepted.
async fn large(bytes: usize) -> Admin {
    admin_rendering(Arc::new(move |accept| Scrape {
        content_type: "text/plain; of=tests",
        pieces: (0..bytes.div_ceil(64 << 10))
            .map(|n| format!("{n}{}{accept:?}\n", " series".repeat((64 << 10) / 7)).into())
            .collect(),
    }))
    .await
}

#[tokio::test]
async fn the_page_loads_its_own_files_only_and_makes_no_markup_of_data() {
    let admin = admin().await;
    let page = client::get(admin.address, "/").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    // But for the name of a namespace, which nobody loads.
    let elsewhere = page.text().replace("http://www.w3.org/2000/svg", "");
    assert!(!elsewhere.contains("//"));
    assert_eq!(inline(page.text()), Vec::<&str>::new());
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/admin/page")).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        if name == "index.html" {
            continue;
        }
        let answer = client::get(admin.address, &format!("/page/{name}")).await;
        assert_eq!(answer.status, 200, "{name}");
        let kind = match name.rsplit('.').next().unwrap() {
            "css" => "text/css",
            "js" => "text/javascript",
            _ => "text/plain",
        };
        let kind = format!("{kind}; charset=utf-8");
        assert_eq!(answer.header("content-type"), kind, "{name}");
        assert_eq!(answer.body, std::fs::read(file.path()).unwrap(), "{name}");
        let makes_markup = ["innerHTML", "outerHTML", "insertAdjacent", "document.write"];
        let makes_none = makes_markup
            .iter()
            .all(|word| !answer.text().contains(word));
        assert!(makes_none, "{name}");
    }
}

#[tokio::test]
async fn a_file_that_a_browser_has_is_not_sent_again() {
    let admin = admin().await;
    let first = ask(admin.address, "GET /page/app.js", "").await;
    let tag = first.header("etag").unwrap().to_owned();
    for known in [
        tag.clone(),
        format!("W/{tag}"),
        format!("\"x\", {tag}"),
        "*".into(),
    ] {
        let line = format!("if-none-match: {known}\r\n");
        let again = ask(admin.address, "GET /page/app.js", &line).await;
        assert_eq!((again.status(), again.body.len()), (304, 0), "{known}");
        assert_eq!(again.header("etag"), Some(&*tag));
    }
    let other = ask(
        admin.address,
        "GET /page/app.js",
        "if-none-match: \"x\"\r\n",
    )
    .await;
    assert_eq!((other.status(), &other.body), (200, &first.body));
}

/// Tags of a page that hold a style or a script of their own, which its policy forbids.
fn inline(page: &str) -> Vec<&str> {
    let tags = page.split('<').skip(1);
    let tags = tags.map(|tag| tag.split('>').next().unwrap());
    let is_inline = |tag: &&str| {
        let mut words = tag.split_whitespace();
        let name = words.next().unwrap_or_default();
        let attributes: Vec<&str> = words.collect();
        let names: Vec<&str> = attributes
            .iter()
            .filter_map(|word| Some(word.split_once('=')?.0))
            .collect();
        let is_run = |name: &&str| *name == "style" || name.starts_with("on");
        name == "style" || names.iter().any(is_run) || (name == "script" && !names.contains(&"src"))
    };
    tags.filter(is_inline).collect()
}

#[test]
fn what_is_inline_is_found() {
    let page = r#"<p id="on only"><b onclick="x()"><i style="a:b"><style>a{}</style><script>x()</script><script src="a" defer>"#;
    let expected = [r#"b onclick="x()""#, r#"i style="a:b""#, "style", "script"];
    assert_eq!(inline(page), expected);
}

#[tokio::test]
async fn every_answer_forbids_sniffing_framing_and_foreign_content() {
    let admin = admin_rendering(Arc::new(|_| panic!("no metrics"))).await;
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                  base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let expected = [
        ("content-security-policy", policy),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
    ];
    for (path, status) in [
        ("/", 200),
        ("/healthz", 200),
        ("/api/exchanges", 200),
        ("/api/exchanges/1", 404),
        ("/api/gauge", 200),
        ("/api/costs", 200),
        ("/api/costs?by=nobody", 400),
        ("/page/app.js", 200),
        ("/nothing", 404),
        ("/metrics", 500),
    ] {
        let answer = client::get(admin.address, path).await;
        assert_eq!(answer.status, status, "{path}");
        // What is in the program is asked for again; facts are not kept.
        let is_file = matches!(path, "/" | "/page/app.js");
        let kept = if is_file { "no-cache" } else { "no-store" };
        assert_eq!(answer.header("cache-control"), kept, "{path}");
        for (name, value) in expected {
            assert_eq!(answer.header(name), value, "{path} {name}");
        }
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_in_words() {
    let admin = admin().await;
    let answer = ask(admin.address, "GET /metric", "").await;
    assert_eq!(answer.status(), 404);
    let text = "not found: the admin port serves /, /metrics, /healthz, /readyz and /api\n";
    assert_eq!(answer.text(), text);
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    let answer = ask(admin.address, "POST /metrics", "content-length: 0\r\n").await;
    assert_eq!(answer.status(), 405);
    let text = "method not allowed: the admin port supports GET and HEAD only\n";
    assert_eq!(answer.text(), text);
    assert_eq!(answer.header("allow"), Some("GET,HEAD"));
    let answer = ask(admin.address, "POST /metrics", "content-length: 100000\r\n").await;
    assert_eq!(
        (answer.status(), answer.text()),
        (413, "length limit exceeded")
    );
    let many = format!("a: {}\r\n", "b".repeat(20_000));
    assert_eq!(ask(admin.address, "GET /", &many).await.status(), 431);
}

#[tokio::test]
async fn a_compressed_scrape_is_the_same_text() {
    let admin = large(500_000).await;
    let plain = ask(admin.address, "GET /metrics", "accept: x\r\n").await;
    assert_eq!(plain.header("content-encoding"), None);
    let length = plain.body.len();
    assert_eq!(plain.header("content-length"), Some(&*length.to_string()));
    let lines = "accept: x\r\naccept-encoding: br, gzip;q=0.5\r\n";
    let packed = ask(admin.address, "GET /metrics", lines).await;
    assert_eq!(decoded(&packed), plain.text());
    assert!(packed.body.len() < length / 20, "{}", packed.body.len());
    assert_eq!(packed.header("content-type"), Some("text/plain; of=tests"));
    assert_eq!(packed.header("vary"), Some("accept-encoding"));
}

#[tokio::test]
async fn only_who_accepts_gzip_gets_it_and_only_for_what_is_large() {
    let admin = large(100_000).await;
    for lines in [
        "",
        "accept-encoding: gzip;q=0\r\n",
        "accept-encoding: br\r\n",
    ] {
        let answer = ask(admin.address, "GET /metrics", lines).await;
        assert_eq!(answer.header("content-encoding"), None, "{lines}");
    }
    let lines = "accept-encoding: gzip\r\n";
    let small = ask(admin.address, "GET /healthz", lines).await;
    assert_eq!(small.header("content-encoding"), None);
    assert_eq!(small.text(), "ok\n");
    let script = ask(admin.address, "GET /page/app.js", lines).await;
    assert_eq!(
        decoded(&script),
        client::get(admin.address, "/page/app.js").await.text()
    );
}

#[tokio::test]
async fn a_head_request_gets_no_body_and_the_connection_goes_on() {
    let admin = large(100_000).await;
    let mut connection = connect(admin.address).await;
    for lines in ["", "accept-encoding: gzip\r\n"] {
        for path in ["/metrics", "/nothing"] {
            let request = format!("HEAD {path} HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n");
            connection.write(request).await;
            connection.read_head().await;
        }
    }
    connection
        .write("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await;
    assert_eq!(connection.read_response().await.text(), "ok\n");
}

#[tokio::test]
async fn the_program_compresses_either_format_of_its_metrics() {
    let gauge = Gauge::start().await;
    for (accept, format) in [
        ("text/plain", "text/plain; version=0.0.4; charset=utf-8"),
        (
            "application/openmetrics-text; version=1.0.0",
            "application/openmetrics-text",
        ),
    ] {
        let lines = format!("accept: {accept}\r\naccept-encoding: gzip\r\n");
        let packed = ask(gauge.server.admin, "GET /metrics", &lines).await;
        let kind = packed.header("content-type").unwrap();
        assert!(kind.starts_with(format), "{kind}");
        let plain = gauge.scrape(accept).await;
        let comments = |text: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| line.starts_with('#'));
            lines.map(str::to_owned).collect()
        };
        let text = decoded(&packed);
        assert!(text.contains("streamgauge_"));
        assert_eq!(comments(&text), comments(plain.text()));
    }
}

#[tokio::test]
async fn a_page_that_panics_is_answered_and_the_next_one_too() {
    let admin = admin_rendering(Arc::new(|_| panic!("no metrics"))).await;
    let mut connection = connect(admin.address).await;
    for _ in 0..2 {
        connection
            .write("GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .await;
        let answer = connection.read_response().await;
        assert_eq!(answer.status(), 500);
        let text = "internal error: the request failed; see the log for the reason\n";
        assert_eq!(answer.text(), text);
    }
    connection
        .write("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await;
    assert_eq!(connection.read_response().await.status(), 200);
}

/// A connection on which this is sent, and how long it took until it was closed. Time is the test's own: it goes on when
/// nobody has anything to do.
async fn closed_after(address: SocketAddr, sent: &str) -> (Duration, Vec<u8>) {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(sent.as_bytes()).await.unwrap();
    let mut received = Vec::new();
    let read = stream.read_to_end(&mut received);
    timeout(Duration::from_secs(100), read)
        .await
        .unwrap()
        .unwrap();
    (begun.elapsed(), received)
}

#[tokio::test(start_paused = true)]
async fn a_client_that_idles_or_sends_its_head_slowly_is_closed() {
    let admin = admin().await;
    let request = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for (sent, answered) in [("", false), (&request[..20], false), (request, true)] {
        let (after, received) = closed_after(admin.address, sent).await;
        assert_eq!(after.as_secs(), 75, "{sent:?}");
        assert_eq!(received.starts_with(b"HTTP/1.1 200 "), answered, "{sent:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_of_its_answer_is_closed() {
    let admin = large(64 << 20).await;
    let mut stream = TcpStream::connect(admin.address).await.unwrap();
    let request = "GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.readable().await.unwrap();
    let stopped = Instant::now();
    admin.stop.send(()).unwrap();
    let served = timeout(Duration::from_secs(100), admin.served).await;
    served.unwrap().unwrap();
    let after = stopped.elapsed().as_secs();
    assert!((30..40).contains(&after), "{after}");
}

#[tokio::test]
async fn a_probe_gets_through_however_many_connections_stay_open() {
    let admin = admin().await;
    let mut first = connect(admin.address).await;
    let mut kept = connect(admin.address).await;
    let mut others = Vec::new();
    for n in 0..300 {
        // One that is in use is not the stillest.
        kept.write("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .await;
        assert_eq!(kept.read_response().await.status(), 200, "{n}");
        others.push(connect(admin.address).await);
    }
    assert_eq!(client::get(admin.address, "/healthz").await.status, 200);
    first.closed().await;
    let newest = others.last_mut().unwrap();
    newest
        .write("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await;
    assert_eq!(newest.read_response().await.status(), 200);
}

#[tokio::test]
async fn a_page_of_another_site_reads_nothing_whatever_its_name_resolves_to() {
    let admin = admin().await;
    for (target, host, status) in [
        ("/metrics", "localhost:9464", 200),
        ("/metrics", "10.0.0.7:9464", 200),
        ("/metrics", "[::1]", 200),
        ("/metrics", "metrics.test:9464", 200),
        ("/metrics", "evil.test", 421),
        ("/api/exchanges", "evil.test:9464", 421),
        ("/", "localhost.evil.test", 421),
        ("/nothing", "", 421),
        ("http://evil.test/metrics", "localhost", 421),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nhost: {host}\r\n\r\n");
        let answer = send(admin.address, request).await;
        assert_eq!(answer.status(), status, "{target} {host}");
        let says = answer.text().contains("allow.admin_hosts");
        assert_eq!(says, status == 421, "{}", answer.text());
    }
    let without = send(admin.address, "GET /healthz HTTP/1.0\r\n\r\n").await;
    assert_eq!(without.status(), 200);
}

#[tokio::test]
async fn the_program_takes_names_for_its_admin_port() {
    let gauge =
        Gauge::with(|program| program.env("STREAMGAUGE_ALLOW_ADMIN_HOSTS", "metrics.*")).await;
    for (host, status) in [
        ("metrics.test", 200),
        ("127.0.0.1", 200),
        ("evil.test", 421),
    ] {
        let request = format!("GET /metrics HTTP/1.1\r\nhost: {host}\r\n\r\n");
        let answer = send(gauge.server.admin, request).await;
        assert_eq!(answer.status(), status, "{host}");
    }
}

#[tokio::test]
async fn answers_that_nobody_reads_give_way_to_others() {
    // More than a socket takes.
    const PIECE: usize = 1 << 20;
    const PIECES: usize = 12;
    let admin = admin_rendering(Arc::new(|_| Scrape {
        content_type: "text/plain",
        pieces: vec![vec![b'x'; PIECE]; PIECES],
    }))
    .await;
    let mut slow = Vec::new();
    for _ in 0..10 {
        let mut reader = connect(admin.address).await;
        reader
            .write("GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .await;
        reader.read_head().await;
        slow.push(reader);
    }
    let whole = ask(admin.address, "GET /metrics", "").await;
    assert_eq!(whole.body.len(), PIECE * PIECES);
    let mut came = Vec::new();
    for mut reader in slow {
        came.push(tokio::spawn(async move {
            let (body, _) = reader.read_to_end().await;
            body.len() == PIECE * PIECES
        }));
    }
    let mut wholes = Vec::new();
    for came in came {
        wholes.push(came.await.unwrap());
    }
    // Eight are on their way at most, the one that was read among them.
    let expected = [[false; 3].as_slice(), &[true; 7]].concat();
    assert_eq!(wholes, expected);
}
