//! What was said, in the store of prompts: under the hashes that spans have, once, whole, and never in the way of a call.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tokio::net::TcpListener;

use super::{ASKED, CHAT, answer, events};
use crate::support::admin::until;
use crate::support::client;
use crate::support::gauge::json;
use crate::support::otlp::Attributes as _;
use crate::support::scene::Scene;
use crate::support::upstream::Upstream;

/// A folder of a test alone, gone at its end.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(name: &str) -> Self {
        let name = format!("streamgauge-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// A configuration that stores there.
    pub(super) fn config(&self, more: &str) -> String {
        format!(
            "content = 'store'\n[store]\nurl = '{}'\n{more}",
            self.0.display()
        )
    }

    /// The names and the bytes of all objects.
    pub(super) fn objects(&self) -> Vec<(String, Vec<u8>)> {
        let mut objects = Vec::new();
        for folder in std::fs::read_dir(&self.0).into_iter().flatten() {
            let folder = folder.unwrap().path();
            for file in std::fs::read_dir(folder).into_iter().flatten() {
                let path = file.unwrap().path();
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                // One that is being written may be gone; so may one that is deleted.
                if path.extension().is_some_and(|it| it == "json")
                    && let Ok(bytes) = std::fs::read(&path)
                {
                    objects.push((name, bytes));
                }
            }
        }
        objects
    }

    /// What `streamgauge prompt` prints.
    pub(super) fn prompt(&self, hash: &str, more: &[&str]) -> String {
        let output = prompt(&[&[hash, "--store", self.0.to_str().unwrap()], more].concat());
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn prompt(arguments: &[&str]) -> std::process::Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
    program.arg("prompt").args(arguments).output().unwrap()
}

/// Makes a call and gives it this answer.
async fn call(scene: &Scene, body: &str, answer: Vec<u8>) {
    let (mut client, mut served) = scene.call(&client::post(CHAT, body)).await;
    served.write(&answer).await;
    client.read_response().await;
}

/// Waits until so many objects are stored.
pub(super) async fn stored(scene: &Scene, count: f64) {
    let labels = [("result", "stored")];
    let name = "streamgauge_store_objects_total";
    until("objects to be stored", async || {
        let stored = scene.server.metric(name, &labels).await?;
        (stored >= count).then_some(())
    })
    .await;
}

/// SHA-256, in hexadecimal digits.
fn hash_of(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest
        .as_ref()
        .iter()
        .map(|it| format!("{it:02x}"))
        .collect()
}

/// Every object says what its name is of, and is there with all that it names.
fn assert_whole(objects: &[(String, Vec<u8>)]) {
    let names: std::collections::HashSet<&str> = objects.iter().map(|(name, _)| &**name).collect();
    for (name, bytes) in objects {
        assert_eq!(&hash_of(bytes), name);
        let text = std::str::from_utf8(bytes).unwrap();
        if !text.contains("\"kind\":") {
            continue;
        }
        for word in text.split('"').filter(|word| word.len() == 64) {
            assert!(names.contains(word), "{text} names {word}");
        }
    }
}

#[test]
fn what_is_printed_has_nothing_that_a_terminal_obeys() {
    let folder = Folder::new("store-wicked");
    let object = r#"{"role":"us\u001b[2Jer","parts":[{"type":"text","content":"a\tb\u001b]0;title\u0007\nc\u009b31m"}]}"#;
    let hash = hash_of(object.as_bytes());
    let below = folder.path().join(&hash[..2]);
    std::fs::create_dir_all(&below).unwrap();
    std::fs::write(below.join(format!("{hash}.json")), object).unwrap();
    let shown = folder.prompt(&hash, &[]);
    assert_eq!(
        shown,
        "us\u{fffd}[2Jer\n  a\tb\u{fffd}]0;title\u{fffd}\n  c\u{fffd}31m\n\n"
    );
    let json = folder.prompt(&hash, &["--json"]);
    assert!(!json.trim_end().contains(char::is_control), "{json:?}");
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["message"]["role"], "us\u{1b}[2Jer");
}

#[tokio::test]
async fn a_span_has_the_hashes_by_which_a_call_is_read_back() {
    let folder = Folder::new("store-span");
    let scene = Scene::configured(&folder.config("link = 'https://prompts.example/{hash}'")).await;
    call(&scene, ASKED, answer()).await;
    let (_, span) = scene.spans().await;
    // Four messages, the tools, the answer, and two lists.
    stored(&scene, 8.0).await;
    let [prompt, answer] = ["prompt", "answer"].map(|what| {
        let hash = span.text(&format!("streamgauge.{what}.hash")).unwrap();
        let url = span.text(&format!("streamgauge.{what}.url"));
        assert_eq!(url, Some(&*format!("https://prompts.example/{hash}")));
        hash.to_owned()
    });
    assert_eq!(span.text("gen_ai.input.messages"), None);
    let json: Value = serde_json::from_str(&folder.prompt(&answer, &["--json"])).unwrap();
    let said = &json["prompt"]["messages"];
    assert_eq!(said[1]["parts"][0]["content"], "write to [EMAIL]");
    assert_eq!(said[2]["parts"][0]["arguments"], r#"{"to":"[EMAIL]"}"#);
    assert_eq!(said[3]["parts"][0]["response"], "sent to [EMAIL]");
    assert_eq!(json["prompt"]["tools"][0]["name"], "mail");
    assert_eq!(json["messages"][0]["parts"][0]["content"], "[EMAIL] has it");
    assert_eq!(json["messages"][0]["finish_reason"], "stop");
    assert_eq!(json["prompt"]["hash"], prompt);
    let shown = folder.prompt(&prompt, &[]);
    assert!(shown.contains("user\n  write to [EMAIL]\n"), "{shown}");
    let objects = folder.objects();
    assert_eq!(objects.len(), 8);
    assert_whole(&objects);
    // A message alone has its hash, too.
    let (name, _) = objects
        .iter()
        .find(|(_, bytes)| bytes.ends_with(br#""be brief"}]}"#))
        .unwrap();
    assert_eq!(folder.prompt(name, &[]), "system\n  be brief\n\n");
}

#[tokio::test]
async fn a_history_is_stored_once_and_a_later_process_finds_it_there() {
    let folder = Folder::new("store-history");
    let mut messages = vec![r#"{"role":"system","content":"be brief"}"#.to_owned()];
    let mut bodies = Vec::new();
    for turn in 0..3 {
        messages.push(format!(r#"{{"role":"user","content":"question {turn}"}}"#));
        bodies.push((
            format!(r#"{{"model":"m","messages":[{}]}}"#, messages.join(",")),
            turn,
        ));
        messages.push(format!(
            r#"{{"role":"assistant","content":"answer {turn}"}}"#
        ));
    }
    let reply = |turn| {
        let choice = format!(
            r#"{{"index":0,"message":{{"role":"assistant","content":"answer {turn}"}},"finish_reason":"stop"}}"#
        );
        json(200, &format!(r#"{{"choices":[{choice}]}}"#))
    };
    let mut scene = Scene::configured(&folder.config("")).await;
    for (body, turn) in &bodies {
        call(&scene, body, reply(*turn)).await;
    }
    // Of each turn a question, an answer and two lists; the system prompt once.
    stored(&scene, 13.0).await;
    scene.server.finished(3).await;
    scene.server.process.terminate().await;
    assert!(scene.server.process.exit().await.success());
    assert_eq!(folder.objects().len(), 13);

    let mut scene = Scene::configured(&folder.config("keep = '720h'")).await;
    for (body, turn) in &bodies {
        call(&scene, body, reply(*turn)).await;
    }
    scene.server.finished(3).await;
    scene.server.process.terminate().await;
    assert!(scene.server.process.exit().await.success());
    let objects = folder.objects();
    assert_eq!(objects.len(), 13);
    assert_whole(&objects);
}

#[tokio::test]
async fn a_process_that_is_killed_leaves_no_torn_object_and_no_list_without_what_it_names() {
    let folder = Folder::new("store-killed");
    for round in 0..3 {
        let mut scene = Scene::configured(&folder.config("")).await;
        let before = folder.objects().len();
        for turn in 0.. {
            let long = "x".repeat(40_000);
            let body = format!(
                r#"{{"model":"m","messages":[{{"role":"user","content":"{round} {turn} {long}"}}]}}"#
            );
            call(&scene, &body, answer()).await;
            // It is at work by now.
            if folder.objects().len() > before {
                break;
            }
        }
        scene.server.process.signal("KILL").await;
        scene.server.process.wait().await;
        assert_whole(&folder.objects());
    }
    assert!(folder.objects().len() > 3);
}

#[tokio::test]
async fn what_was_not_said_for_long_is_deleted() {
    let folder = Folder::new("store-old");
    let scene = Scene::configured(&folder.config("keep = '100ms'")).await;
    call(&scene, ASKED, answer()).await;
    stored(&scene, 8.0).await;
    until("the objects to be deleted", async || {
        folder.objects().is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_store_that_hangs_changes_no_byte_and_holds_no_call_up() {
    // It takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let scene = before_bucket(&endpoint, "queue_bytes = '64KiB'").await;
    let lost = [("result", "dropped")];
    for turn in 0.. {
        let body = ASKED.replace("be brief", &format!("{turn} {}", "x".repeat(20_000)));
        let (mut client, mut served) = scene.call(&client::post(CHAT, &body)).await;
        served.write(answer()).await;
        let expected: Vec<String> = events().map(|it| format!("data: {it}\n\n")).into();
        assert_eq!(client.read_response().await.text(), expected.concat());
        let name = "streamgauge_store_objects_total";
        if scene.server.metric(name, &lost).await > Some(0.0) {
            break;
        }
    }
    // The store has been asked, and all this time it has said nothing.
    let (mut asked, _) = silent.accept().await.unwrap();
    let mut request = [0; 15];
    tokio::io::AsyncReadExt::read_exact(&mut asked, &mut request)
        .await
        .unwrap();
    assert_eq!(&request, b"PUT /bucket/pro");
    let dropped = [("kind", "object")];
    let name = "streamgauge_telemetry_dropped_total";
    assert!(scene.server.metric(name, &dropped).await > Some(0.0));
    let (_, span) = {
        let mut spans = scene.collector.spans(2).await;
        spans.sort_by_key(|span| span.proto.kind);
        (spans.remove(0), spans.pop().unwrap())
    };
    assert!(span.text("streamgauge.prompt.hash").is_some());
}

/// A server whose prompts go to an S3 of this address.
async fn before_bucket(endpoint: &str, more: &str) -> Scene {
    let config = format!("content = 'store'\n[store]\nurl = 's3://bucket/prompts'\n{more}");
    Scene::with(&config, |program| {
        program
            .env("AWS_ENDPOINT_URL", endpoint)
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", "id")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
    })
    .await
}

#[tokio::test]
async fn a_bucket_is_asked_by_the_proxy_that_the_environment_names() {
    let proxy = Upstream::start().await;
    let config = "content = 'store'\n[store]\nurl = 's3://bucket/prompts'\nendpoint = 'http://store.example:9000'\n\
                  options.access_key_id = 'id'";
    let scene = Scene::with(config, |program| {
        program
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("HTTP_PROXY", format!("http://{}", proxy.address()))
            .env("NO_PROXY", "127.0.0.1")
    })
    .await;
    call(&scene, ASKED, answer()).await;
    let request = proxy.accept().await.read_request().await;
    let expected = "PUT http://store.example:9000/bucket/prompts/";
    let line = request.start_line();
    assert!(line.starts_with(expected), "{line}");
}

#[tokio::test]
async fn a_server_of_objects_can_send_them_nowhere_else() {
    let other = Upstream::start().await;
    let bucket = Upstream::start().await;
    let scene = before_bucket(&format!("http://{}", bucket.address()), "").await;
    call(&scene, ASKED, answer()).await;
    let location = format!("http://{}/elsewhere", other.address());
    let answer = format!("HTTP/1.1 307 X\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
    // Four messages, the tools and the answer, all at the same time.
    for _ in 0..6 {
        let mut asked = bucket.accept().await;
        let request = asked.read_request().await;
        assert!(request.text().contains("\"type\""), "what was said is sent");
        asked.write(&answer).await;
    }
    let stderr = scene.server.process.message(WARNING).await;
    assert!(
        stderr["error"].as_str().unwrap().contains("307"),
        "{stderr}"
    );
    let accepted = tokio::time::timeout(std::time::Duration::ZERO, other.accept()).await;
    assert!(accepted.is_err(), "nobody comes there");
}

/// The names of objects, and how each cloud is asked to write one only if it is absent.
#[tokio::test]
async fn what_the_file_says_of_a_bucket_reaches_each_clouds_server() {
    let of_s3 =
        "url = 's3://bucket/prompts'\noptions = { region = 'eu-central-1', access_key_id = 'id' }";
    let of_google = "url = 'gs://bucket/prompts'\noptions = { skip_signature = true }";
    let of_azure = "url = 'az://bucket/prompts'\noptions = { account_name = 'me' }";
    for (options, path, begins, condition, signed) in [
        (
            of_s3,
            "",
            "PUT /bucket/prompts/",
            ("if-none-match", "*"),
            Some("Credential=id/"),
        ),
        (
            of_google,
            "",
            "PUT /bucket/prompts%2F",
            ("x-goog-if-generation-match", "0"),
            Some("Bearer"),
        ),
        (
            of_azure,
            "/me",
            "PUT /me/bucket/prompts/",
            ("if-none-match", "*"),
            Some("SharedKey me:"),
        ),
    ] {
        let bucket = Upstream::start().await;
        let address = bucket.address();
        let config =
            format!("content = 'store'\n[store]\nendpoint = 'http://{address}{path}'\n{options}\n");
        let scene = Scene::with(&config, |program| {
            program
                .env("AWS_SECRET_ACCESS_KEY", "secret")
                .env("AZURE_STORAGE_ACCOUNT_KEY", "c2VjcmV0")
        })
        .await;
        call(&scene, ASKED, answer()).await;
        let mut asked = bucket.accept().await;
        let request = asked.read_request().await;
        let line = request.start_line();
        assert!(line.starts_with(begins), "{line}");
        let (name, value) = condition;
        assert_eq!(request.header(name), Some(value), "{line}");
        let authorization = request.header("authorization");
        let is_signed = authorization.zip(signed).map(|(is, by)| is.contains(by));
        assert_eq!(is_signed, signed.map(|_| true), "{line}");
        assert_eq!(authorization.is_some(), signed.is_some(), "{line}");
    }
}

/// A server that quotes the request in its error, as some do, puts no credential of ours into the log.
#[tokio::test]
async fn what_a_bucket_quotes_of_a_request_is_logged_without_its_credentials() {
    let signature = "sv=2024-11-04&sig=a1B2%2Bc3D4%2Fe5F6g7H8%3D";
    for (url, options, variables, secrets) in [
        (
            "s3://bucket/prompts",
            "{ region = 'eu-central-1', access_key_id = 'AKIAIOSFODNN7EXAMPLE' }",
            [
                ("AWS_SECRET_ACCESS_KEY", "secret"),
                ("AWS_SESSION_TOKEN", "of-our-session"),
            ],
            ["of-our-session", "AKIAIOSFODNN7EXAMPLE"],
        ),
        (
            "az://bucket/prompts",
            "{ account_name = 'me' }",
            [("AZURE_STORAGE_SAS_TOKEN", signature), ("AZURE_NONE", "x")],
            ["c3D4", "g7H8"],
        ),
    ] {
        let bucket = Upstream::start().await;
        let address = bucket.address();
        let config = format!(
            "content = 'store'\n[store]\nurl = '{url}'\nendpoint = 'http://{address}'\noptions = {options}\n"
        );
        let [one, other] = variables;
        let scene = Scene::with(&config, |program| {
            program.env(one.0, one.1).env(other.0, other.1)
        })
        .await;
        call(&scene, ASKED, answer()).await;
        let mut asked = bucket.accept().await;
        let request = asked.read_request().await;
        let fields = ["x-amz-security-token", "authorization"];
        let fields = fields.map(|name| format!("{name}: {}", request.header(name).unwrap_or("")));
        let quoted = format!("got {} {}", request.start_line(), fields.join(", "));
        for secret in secrets {
            assert!(quoted.contains(secret), "{quoted}");
        }
        asked.write(json(403, &quoted)).await;
        let warning = scene.server.process.message(WARNING).await;
        let told = warning["error"].as_str().unwrap();
        assert!(told.contains("403 Forbidden: got PUT /"), "{told}");
        for secret in secrets {
            assert!(!told.contains(secret), "{told}");
        }
    }
}

const WARNING: &str = "prompts could not be stored; what waits is tried again for a minute";

#[test]
fn the_first_digits_of_a_hash_do_where_no_other_begins_with_them() {
    let folder = Folder::new("store-prefix");
    let put = |digits: &str| {
        let below = folder.path().join(&digits[..2]);
        std::fs::create_dir_all(&below).unwrap();
        let file = below.join(format!("{digits}.json"));
        std::fs::write(file, "{}").unwrap();
    };
    let object = r#"{"role":"user","parts":[{"type":"text","content":"hi"}]}"#;
    let hash = hash_of(object.as_bytes());
    put(&hash);
    std::fs::write(
        folder.path().join(&hash[..2]).join(format!("{hash}.json")),
        object,
    )
    .unwrap();
    assert_eq!(folder.prompt(&hash[..8], &[]), "user\n  hi\n\n");
    assert_eq!(
        folder.prompt(&hash[..12].to_uppercase(), &[]),
        "user\n  hi\n\n"
    );
    let fails = |digits: &str| {
        let output = prompt(&[digits, "--store", folder.path().to_str().unwrap()]);
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let one = format!("{}{}", &hash[..8], "0".repeat(56));
    put(&one);
    let said = fails(&hash[..8]);
    let expected = format!("2 hashes begin with {}, expected more digits", &hash[..8]);
    assert!(said.contains(&expected), "{said}");
    assert!(said.contains(&hash) && said.contains(&one), "{said}");
    let said = fails("ffffffff00");
    assert!(
        said.contains("no object whose hash begins with ffffffff00"),
        "{said}"
    );
    let said = fails(&hash[..7]);
    assert!(
        said.contains("expected 64 hexadecimal digits, or the first 8 or more"),
        "{said}"
    );
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let folder = Folder::new("store-none");
    let hash = "0".repeat(64);
    let says = || {
        let output = prompt(&[&hash, "--store", folder.path().to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let said = says();
    assert!(said.contains("there is no such folder"), "{said}");
    assert!(!folder.path().exists(), "reading makes no folder");
    std::fs::create_dir(folder.path()).unwrap();
    let said = says();
    assert!(said.contains(&format!("no object {hash}")), "{said}");
    let output = prompt(&["abc", "--store", "s3://bucket"]);
    assert_eq!(output.status.code(), Some(2));
}
