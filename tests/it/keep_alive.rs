//! Comment lines for impatient clients: between events only, and the proof at run time holds.

use std::time::Duration;

use crate::support::admin::until;
use crate::support::http1::{Connection, chunk};
use crate::support::scene::{EDITED, END, STREAM, Scene, TOKEN, UNEDITED, USAGE, chat};

const KEEP_ALIVE: &str = "[[route]]\nupstream = 'default'\nkeep_alive = '20ms'\n";
const COMMENT: &str = ": keep-alive\n\n";

/// The data of the next chunk.
async fn next(client: &mut Connection) -> String {
    String::from_utf8(client.read_chunk().await.data).unwrap()
}

/// How many responses there were of each result that there was.
async fn results(scene: &Scene) -> Vec<(String, f64)> {
    until("the result", async || {
        let samples = scene.server.samples().await;
        let counted = samples
            .iter()
            .filter(|sample| sample.name == "streamgauge_integrity_total" && sample.value > 0.0);
        let results: Vec<_> = counted
            .filter_map(|sample| Some((sample.label("result")?.to_owned(), sample.value)))
            .collect();
        (!results.is_empty()).then_some(results)
    })
    .await
}

#[tokio::test]
async fn a_silent_stream_has_comments_between_its_events_and_none_within() {
    let scene = Scene::configured(KEEP_ALIVE).await;
    let (mut client, mut served) = scene.call(&chat(UNEDITED)).await;
    served.write(STREAM).await;
    client.read_head().await;
    assert_eq!(next(&mut client).await, COMMENT);
    assert_eq!(next(&mut client).await, COMMENT);
    let (half, rest) = TOKEN.split_at(TOKEN.len() / 2);
    served.write(chunk(half)).await;
    let mut seen = String::new();
    while !seen.ends_with(half) {
        seen += &next(&mut client).await;
    }
    // Silence within an event: nothing but its rest comes next, however long that takes.
    let more = tokio::time::timeout(Duration::from_millis(100), client.read_chunk());
    assert!(more.await.is_err(), "within an event");
    served.write(chunk(rest)).await;
    let after = client.read_through(COMMENT.as_bytes()).await;
    assert!(String::from_utf8(after).unwrap().contains(rest));
    served.write([chunk(END), chunk("")].concat()).await;
    client.read_through(b"\r\n0\r\n\r\n").await;
    assert_eq!(results(&scene).await, [("keep_alive".to_owned(), 1.0)]);
}

#[tokio::test]
async fn what_the_edit_takes_out_is_gone_from_a_stream_with_comments_too() {
    let scene = Scene::configured(KEEP_ALIVE).await;
    let (mut client, mut served) = scene.call(&chat(EDITED)).await;
    served
        .write([STREAM.as_bytes(), &chunk(TOKEN)].concat())
        .await;
    client.read_head().await;
    let mut seen = String::new();
    while !seen.ends_with(COMMENT) {
        seen += &next(&mut client).await;
    }
    served
        .write([chunk([USAGE, END].concat()), chunk("")].concat())
        .await;
    while !seen.contains("[DONE]") {
        seen += &next(&mut client).await;
    }
    assert_eq!(seen.replace(COMMENT, ""), [TOKEN, END].concat());
    assert_eq!(results(&scene).await, [("keep_alive".to_owned(), 1.0)]);
}

#[tokio::test]
async fn nothing_is_added_to_what_has_a_length_is_coded_or_is_no_stream_of_events() {
    let silent = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n");
    for fields in [
        "content-type: text/event-stream\r\ncontent-length: 100",
        "content-type: text/event-stream\r\ncontent-encoding: gzip\r\ntransfer-encoding: chunked",
        "content-type: application/json\r\ntransfer-encoding: chunked",
    ] {
        let scene = Scene::configured(KEEP_ALIVE).await;
        let (mut client, mut served) = scene.call(&chat(UNEDITED)).await;
        served.write(silent(fields)).await;
        client.read_head().await;
        let more = tokio::time::timeout(Duration::from_millis(100), client.read_exact(1));
        assert!(more.await.is_err(), "{fields}");
    }
}

#[tokio::test]
async fn before_the_head_nothing_comes() {
    let scene = Scene::configured(KEEP_ALIVE).await;
    let (mut client, _served) = scene.call(&chat(UNEDITED)).await;
    let early = tokio::time::timeout(Duration::from_millis(100), client.read_exact(1));
    assert!(early.await.is_err());
}

#[tokio::test]
async fn a_stream_that_keeps_coming_is_equal() {
    let scene = Scene::configured("[[route]]\nupstream = 'default'\nkeep_alive = '1h'\n").await;
    let (mut client, mut served) = scene.call(&chat(UNEDITED)).await;
    served.write(STREAM).await;
    for event in [TOKEN, END, ""] {
        served.write(chunk(event)).await;
    }
    assert_eq!(client.read_response().await.text(), [TOKEN, END].concat());
    assert_eq!(results(&scene).await, [("equal".to_owned(), 1.0)]);
}
