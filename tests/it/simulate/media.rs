//! What the simulated upstream sends where images and sound are asked for.

use serde_json::{Value, json};

use super::upstream;
use crate::client::{self, Answer};

/// A request for an image or for speech, with two chunks to answer.
async fn media(path: &str, members: Value) -> Answer {
    let upstream = upstream().await;
    let mut body = json!({"model": "m", "metadata": {"x-sim-chunks": "2"}});
    body.as_object_mut()
        .unwrap()
        .extend(members.as_object().unwrap().clone());
    let post = client::post(upstream.address(), path, &body.to_string());
    client::send(post).await.unwrap()
}

/// The types of a stream's events, and the data of the last.
fn typed(answer: &Answer) -> (Vec<&str>, Value) {
    let events = answer.text().split_terminator("\n\n");
    let events: Vec<_> = events
        .map(|event| event.strip_prefix("event: ").unwrap())
        .map(|event| event.split_once("\ndata: ").unwrap())
        .collect();
    let last = serde_json::from_str(events.last().unwrap().1).unwrap();
    (events.iter().map(|(kind, _)| *kind).collect(), last)
}

#[tokio::test]
async fn images_come_in_a_list_or_one_after_the_other() {
    let path = "/v1/images/generations";
    let answer = media(path, json!({"prompt": "a river", "n": 2})).await;
    let body = answer.json();
    assert_eq!(body["data"].as_array().map(Vec::len), Some(2));
    assert_eq!(body["usage"]["input_tokens"], 2);

    let answer = media(path, json!({"prompt": "a river", "stream": true})).await;
    let (kinds, last) = typed(&answer);
    let partial = "image_generation.partial_image";
    assert_eq!(kinds, [partial, partial, "image_generation.completed"]);
    assert!(last["usage"]["output_tokens"].as_u64() > Some(0));
}

#[tokio::test]
async fn speech_comes_as_sound_or_by_events() {
    let path = "/v1/audio/speech";
    let answer = media(path, json!({"input": "a river"})).await;
    assert!(answer.body.starts_with(b"\xff\xfb"));

    let answer = media(path, json!({"input": "a river", "stream_format": "sse"})).await;
    let (kinds, last) = typed(&answer);
    let delta = "speech.audio.delta";
    assert_eq!(kinds, [delta, delta, "speech.audio.done"]);
    assert_eq!(last["usage"]["output_tokens"], 2);
}

#[tokio::test]
async fn an_upload_is_transcribed() {
    let upstream = upstream().await;
    let field = |name: &str, value: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    for (extra, expected) in [
        (field("stream", "true"), "transcript.text.done"),
        (field("response_format", "json"), "\"audio_tokens\""),
        (field("model", "sim-error-429"), "rate_limit_exceeded"),
    ] {
        let file =
            "--b\r\nContent-Disposition: form-data; name=\"model\"; filename=\"a\"\r\n\r\n--b\r\n";
        let form = [&field("model", "m"), file, &extra, "--b--\r\n"].concat();
        let mut post = client::post(upstream.address(), "/v1/audio/transcriptions", &form);
        let kind = "multipart/form-data; boundary=b".parse().unwrap();
        post.headers_mut().insert("content-type", kind);
        let answer = client::send(post).await.unwrap();
        assert!(answer.text().contains(expected), "{}", answer.text());
    }
}
