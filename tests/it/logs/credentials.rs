//! A credential, wherever it was sent, is told on nowhere: not even by an upstream that quotes it.

use super::{KEYED, sideways, talkative};
use crate::support::http1::{Connection, chunk};
use crate::support::process::Program;
use crate::support::scene::{STREAM, Scene};

/// Each in a place of its own; the last three are ours.
const SECRETS: [&str; 12] = [
    "in-authorization-1",
    "in-proxy-authorization-2",
    "in-api-key-3",
    "in-x-api-key-4",
    "in-x-goog-api-key-5",
    "in-a-cookie-6",
    "in-another-cookie-7",
    "in-the-query-8",
    "in-the-query-9",
    "our-key-10",
    "our-header-11",
    "sk-of-somebody-else-12",
];

fn request() -> String {
    let [
        authorization,
        proxy,
        api,
        x_api,
        goog,
        cookie,
        other,
        key,
        sig,
        ..,
    ] = SECRETS;
    let body = r#"{"model":"m","messages":[]}"#;
    format!(
        "POST /v1/chat/completions?key={key}&a=b&sig={sig} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {authorization}\r\n\
         proxy-authorization: Basic {proxy}\r\napi-key: {api}\r\nx-api-key: {x_api}\r\nx-goog-api-key: {goog}\r\n\
         cookie: session={cookie}; theme={other}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// An error that quotes every credential in each of its texts.
fn error() -> String {
    let quoted = SECRETS.join(" ");
    format!(
        r#"{{"error":{{"message":"wrong: {quoted}","type":"wrong {quoted}","code":"wrong_key {quoted}"}}}}"#
    )
}

/// The header fields of an answer that quotes them, in such as are kept and in such as are not.
fn fields() -> String {
    let quoted = SECRETS[..11].join(" ");
    let names = [
        "x-request-id",
        "openai-organization",
        "set-cookie",
        "x-api-key",
        "authorization",
    ];
    names.map(|name| format!("{name}: {quoted}\r\n")).concat()
}

fn assert_silent(what: &str, text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{what} tells {secret}: {text}");
    }
}

/// Sends the request and has the upstream answer so. The client gets the answer as it is.
async fn call(scene: &Scene, answer: &str) {
    let mut client: Connection = scene.client().await;
    client.write(request()).await;
    let mut served = scene.upstream.accept().await;
    served.read_request().await;
    served.write(answer).await;
    served.close().await;
    let got = client.read_response().await;
    assert!(got.text().contains(&error()), "{}", got.text());
    assert_eq!(got.header("x-request-id"), Some(&*SECRETS[..11].join(" ")));
}

#[tokio::test]
async fn a_credential_that_the_upstream_quotes_is_told_on_nowhere() {
    let config = format!(
        "{KEYED}key = {{ env = \"OUR_KEY\" }}\nheaders = {{ x-secret-token = \"{}\" }}\n",
        SECRETS[10]
    );
    let scene = Scene::with(&config, |program| {
        talkative(program).env("OUR_KEY", SECRETS[9])
    })
    .await;
    let (fields, error) = (fields(), error());
    let length = error.len();
    call(
        &scene,
        &format!(
            "HTTP/1.1 401 X\r\n{fields}connection: close\r\ncontent-length: {length}\r\n\r\n{error}"
        ),
    )
    .await;
    let head = STREAM.replace(
        "\r\n\r\n",
        &format!("\r\n{fields}connection: close\r\n\r\n"),
    );
    let event = chunk(format!("event: error\ndata: {error}\n\n"));
    let events = String::from_utf8([event, chunk("")].concat()).unwrap();
    call(&scene, &(head + &events)).await;

    // An answer of ours, to a request that reaches no upstream's answer.
    let (mut client, mut served) = scene.call(request().as_bytes()).await;
    served
        .write(format!("HTTP/1.1 {}\r\n\r\n", SECRETS.join(" ")))
        .await;
    served.close().await;
    let answer = client.read_response().await;
    assert!(answer.header("x-streamgauge-error").is_some());
    assert_silent("an answer of ours", answer.text());

    scene.server.finished(3).await;
    scene.collector.spans(6).await;
    scene
        .collector
        .point(
            "streamgauge.exchanges",
            &[("streamgauge.end", "error_event")],
        )
        .await;
    let text = sideways(&scene).await;
    assert_silent("an output", &text);
    for told in [
        "wrong_key REDACTED REDACTED",
        "wrong: REDACTED REDACTED",
        "http.response.header.x-request-id",
    ] {
        assert!(text.contains(told), "{told:?} is not in {text}");
    }
}

#[tokio::test]
async fn a_password_in_an_upstreams_url_is_refused_and_not_repeated() {
    let process = Program::serve("http://user:in-a-url-13@127.0.0.1:9/v1").start();
    let log = process
        .wait_for("a complaint", |log| !log.lines.is_empty())
        .await;
    assert!(!log.text().contains("in-a-url-13"), "{}", log.text());
}
