//! What outlives a restart: with `state.folder` the last day, and a warning where that cannot be.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use crate::support::gauge::{DONE, FINISH, Gauge, USAGE, chat, delta, stream};
use crate::support::process::{Program, Server};
use crate::support::upstream::Upstream;

/// A folder of its own, which goes with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!(
            "streamgauge-it-history-{name}-{}",
            std::process::id()
        ));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn with_folder(program: Program, folder: &Folder) -> Program {
    program.env("STREAMGAUGE_STATE_FOLDER", &folder.0)
}

async fn stop(mut server: Server) -> String {
    server.process.terminate().await;
    assert!(server.process.exit().await.success());
    server.process.stderr().text()
}

#[tokio::test]
async fn a_restart_keeps_lists_details_conversations_and_sums() {
    let folder = Folder::new("restart");
    let gauge = Gauge::with(|program| with_folder(program, &folder)).await;
    let answer = stream([&delta(r#"{"content":"Hello"}"#), FINISH, USAGE, DONE]);
    gauge.call(chat(), &answer).await;
    let before = gauge.server.finished(1).await.remove(0);
    let detail = gauge.server.api("exchanges/1").await;
    stop(gauge.server).await;

    let again = Gauge::with(|program| with_folder(program, &folder)).await;
    let list = again.server.exchanges().await;
    assert_eq!(
        (&list["total"], &list["exchanges"][0]),
        (&json!(1), &before)
    );
    let mut kept = again.server.api("exchanges/1").await;
    // The proxy listens elsewhere now; what was kept has the command of then.
    assert_eq!(kept["curl"], detail["curl"]);
    kept["curl"] = detail["curl"].clone();
    assert_eq!(kept, detail);
    let id = before["conversation"].as_str().unwrap();
    let one = again.server.api(&format!("conversations/{id}")).await;
    assert_eq!(one["turns"][0]["exchange"], before);
    let sums = again.server.api("summary?since=1h").await;
    let requests = sums["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["requests"].as_u64().unwrap());
    assert_eq!(
        (requests.sum::<u64>(), &sums["today"]["requests"]),
        (1, &json!(1))
    );
    again.call(chat(), &answer).await;
    let rows = again.server.finished(2).await;
    assert_eq!(rows[1]["id"], 2);
    stop(again.server).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_second_process_on_one_folder_says_so_and_keeps_nothing_there() {
    let folder = Folder::new("second");
    let answer = stream([&delta(r#"{"content":"Hello"}"#), FINISH, USAGE, DONE]);
    let first = Gauge::with(|program| with_folder(program, &folder)).await;
    let second = Gauge::with(|program| with_folder(program, &folder)).await;
    for _ in 0..2 {
        first.call(chat(), &answer).await;
    }
    second.call(chat(), &answer).await;
    first.server.finished(2).await;
    second.server.finished(1).await;
    let log = stop(first.server).await;
    assert!(!log.contains("history"), "{log}");
    // Now it would write over what the first one has kept.
    let log = stop(second.server).await;
    assert!(
        log.contains("another process uses state.folder")
            && log.contains(folder.0.to_str().unwrap()),
        "{log}"
    );
    let third = Gauge::with(|program| with_folder(program, &folder)).await;
    let costs = third.server.api("costs?by=model").await;
    assert_eq!(costs["total"]["calls"], 2);
    assert_eq!(third.server.exchanges().await["total"], 2);
    let log = stop(third.server).await;
    assert!(!log.contains("another process"), "{log}");
}

#[tokio::test]
async fn a_file_that_is_none_is_put_aside_with_a_warning() {
    let folder = Folder::new("foreign");
    fs::create_dir_all(&folder.0).unwrap();
    fs::write(folder.0.join("history.redb"), "no database").unwrap();
    let upstream = Upstream::start().await;
    let server = with_folder(Program::serve(&upstream.base_url()), &folder)
        .listen()
        .await;
    let log = stop(server).await;
    assert!(
        log.contains("the kept history cannot be read and was put aside; it begins anew"),
        "{log}"
    );
    let aside = fs::read_to_string(folder.0.join("history.unread")).unwrap();
    assert_eq!(aside, "no database");
}

#[tokio::test]
async fn nothing_is_written_where_that_is_off() {
    let folder = Folder::new("off");
    let gauge =
        Gauge::with(|program| with_folder(program, &folder).env("STREAMGAUGE_ADMIN_KEEP", "off"))
            .await;
    gauge
        .call(
            chat(),
            stream([&delta(r#"{"content":"Hello"}"#), FINISH, USAGE, DONE]),
        )
        .await;
    gauge.server.finished(1).await;
    stop(gauge.server).await;
    assert!(!folder.0.join("history.redb").exists());
}
