//! Of many exchanges at once. Each test moves hundreds of megabytes, so they are ignored: `scripts/test memory` runs them.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::{ANSWER, Body, MIB, stream};
use crate::support::client::post;
use crate::support::http1::Connection;
use crate::support::scene::{Scene, TOKEN, UNEDITED, chat};

/// `limits.memory`.
const HELD_MAX: usize = 32 * MIB;
/// What the process may have beside that: itself, its connections, and what a read of each has brought.
const BESIDE_MAX: usize = 96 * MIB;

/// How long observers may take for all of it.
const OBSERVED: Duration = Duration::from_secs(300);

async fn bounded() -> Scene {
    let memory = format!("[limits]\nmemory = '{}MiB'\n", HELD_MAX / MIB);
    Scene::configured(&memory).await
}

fn assert_bounded(scene: &Scene, what: &str) {
    let peak = scene.server.process.memory_peak();
    assert!(
        peak < HELD_MAX + BESIDE_MAX,
        "{what}: it held {} MiB",
        peak / MIB
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "moves hundreds of megabytes; see scripts/test memory"]
async fn of_sixty_long_streams_beside_four_that_are_slow_to_decode() {
    // A kilobyte each: of short ones a debug build takes a minute for a gigabyte.
    let event = TOKEN.replace("\"a\"", &format!("\"{}\"", "a".repeat(1000)));
    let events = event.repeat(64 * 1024 / event.len());
    let long = stream(TOKEN, events.as_bytes(), 5 * MIB / events.len());
    let slow = Body {
        first: Vec::new(),
        piece: super::gzip(TOKEN.repeat(8 * MIB / TOKEN.len()).as_bytes()),
        times: 1,
        last: Vec::new(),
    };
    let (long, slow) = (Arc::new(long), Arc::new(slow));
    let scene = bounded().await;
    // All begin before the first ends: a connection to the upstream that is at rest again would be taken for the next.
    let mut calls = Vec::new();
    for _ in 0..64 {
        calls.push(scene.call(&chat(UNEDITED)).await);
    }
    let mut passing = JoinSet::new();
    for (number, (mut client, mut served)) in calls.into_iter().enumerate() {
        let (fields, body) = match number {
            0..4 => ("content-encoding: gzip\r\n", Arc::clone(&slow)),
            _ => ("", Arc::clone(&long)),
        };
        let length = body.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{fields}content-length: {length}\r\n\r\n"
        );
        passing.spawn(async move {
            served.write(&head).await;
            client.read_head().await;
            tokio::join!(body.write(&mut served), body.assert_comes(&mut client));
        });
    }
    passing.join_all().await;
    assert_bounded(&scene, "60 streams, passed");
    let observed = async {
        // Each look costs the observers time, of which they need a minute in a debug build.
        let mut looks = tokio::time::interval(Duration::from_secs(1));
        while scene.server.exchanges().await["total"] != 64 {
            looks.tick().await;
        }
    };
    let observed = tokio::time::timeout(OBSERVED, observed).await;
    observed.expect("every exchange is observed to its end");
    assert_bounded(&scene, "60 streams");
}

/// Reads a request without keeping it, and answers it.
async fn swallow(mut served: Connection, length: usize) {
    served.read_head().await;
    let mut left = length;
    while left > 0 {
        left -= served.read_exact(left.min(64 << 10)).await.len();
    }
    served.write(ANSWER).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "moves hundreds of megabytes; see scripts/test memory"]
async fn of_a_hundred_clients_that_hold_back_the_end_of_eight_mebibytes() {
    const CLIENTS: usize = 100;
    let (before, after) = (
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"",
        "\"}]}",
    );
    let text = "x".repeat(8 * MIB - before.len() - after.len());
    let body = [before, &text, after].concat();
    let request = post("/v1/chat/completions", &body);
    let (begin, end) = request.split_at(request.len() - 2);
    let scene = bounded().await;
    let serve = async {
        let mut serving = JoinSet::new();
        for _ in 0..CLIENTS {
            serving.spawn(swallow(scene.upstream.accept().await, body.len()));
        }
        serving.join_all().await;
    };
    let ask = async {
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            let mut client = scene.client().await;
            client.write(begin).await;
            clients.push(client);
        }
        assert_bounded(&scene, "100 prompts, held back");
        for client in &mut clients {
            client.write(end).await;
            assert_eq!(client.read_response().await.text(), "{}");
        }
    };
    tokio::join!(serve, ask);
    scene.server.finished(CLIENTS as u64).await;
    assert_bounded(&scene, "100 prompts");
}
