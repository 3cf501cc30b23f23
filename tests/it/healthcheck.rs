//! `streamgauge healthcheck`, against an admin port, against what is none, and against nothing.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use crate::support::file::File;
use crate::support::listener::admin;
use crate::support::process::{Process, Program};
use crate::support::scene::Scene;
use crate::support::upstream::Upstream;

/// Asked at an address, as text in the log.
fn at(address: SocketAddr) -> Program {
    Program::new(["healthcheck"])
        .env("STREAMGAUGE_ADMIN", address.to_string())
        .env("STREAMGAUGE_LOG_FORMAT", "text")
}

/// How it ended.
async fn ended(program: Program) -> (Option<i32>, Process) {
    let mut process = program.start();
    let status = process.exit().await;
    (status.code(), process)
}

#[tokio::test]
async fn a_proxy_that_drains_is_alive_and_not_ready() {
    let admin = admin().await;
    let url = |path| format!("http://{}{path}", admin.address);
    for arguments in [&[][..], &["--ready"]] {
        let program = arguments
            .iter()
            .fold(at(admin.address), |program, flag| program.args([flag]));
        assert_eq!(ended(program).await.0, Some(0));
    }
    admin.ready.store(false, Ordering::SeqCst);
    let (status, alive) = ended(at(admin.address)).await;
    assert_eq!(
        (status, alive.stdout().text()),
        (Some(0), format!("{}: 200", url("/healthz")))
    );
    let (status, not_ready) = ended(at(admin.address).args(["--ready"])).await;
    assert_eq!(status, Some(1));
    let why = format!("{} was answered with status 503", url("/readyz"));
    let told = not_ready.stderr().text();
    assert!(told.contains(&why), "{told}");
}

#[tokio::test]
async fn a_proxy_that_listens_at_every_address_is_asked_at_this_machine() {
    let admin = admin().await;
    let everywhere = ([0, 0, 0, 0], admin.address.port()).into();
    let (status, process) = ended(at(everywhere)).await;
    assert_eq!(status, Some(0), "{}", process.stderr().text());
    assert!(process.stdout().text().contains("//127.0.0.1:"));
}

#[tokio::test]
async fn the_address_of_the_file_is_asked() {
    let admin = admin().await;
    let file = File::new("gauge.toml", format!("admin = \"{}\"", admin.address));
    let program = Program::new(["healthcheck", "-c", file.name()]);
    assert_eq!(ended(program).await.0, Some(0));
}

#[tokio::test]
async fn nothing_at_the_address_is_not_alive() {
    let upstream = Upstream::start().await;
    let address = upstream.address();
    drop(upstream);
    let (status, process) = ended(at(address)).await;
    assert_eq!(status, Some(1));
    let told = process.stderr().text();
    let expected = format!("http://{address}/healthz was not answered: Connection refused");
    assert!(told.contains(&expected), "{told}");
}

#[tokio::test]
async fn something_else_at_the_address_is_not_alive() {
    let upstream = Upstream::start().await;
    let answer = async {
        let mut served = upstream.accept().await;
        let request = served.read_request().await;
        served.write("220 mail.example ESMTP ready\r\n").await;
        request
    };
    let (request, (status, process)) = tokio::join!(answer, ended(at(upstream.address())));
    assert_eq!(request.start_line(), "GET /healthz HTTP/1.1");
    assert_eq!(status, Some(1));
    let told = process.stderr().text();
    assert!(told.contains("is not streamgauge"), "{told}");
}

#[tokio::test]
async fn an_upstream_that_has_the_same_path_is_not_taken_for_a_proxy_that_is_alive() {
    let scene = Scene::start().await;
    let proxy = scene.server.proxy;
    let answer = async {
        let mut served = scene.upstream.accept().await;
        served.read_request().await;
        let ok = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n";
        served.write(ok).await;
    };
    let ((), (status, process)) = tokio::join!(answer, ended(at(proxy)));
    assert_eq!(status, Some(1));
    let told = process.stderr().text();
    let expected = format!(
        "http://{proxy}/healthz is not at the admin port of a streamgauge (it answered 200)"
    );
    assert!(told.contains(&expected), "{told}");
    assert_eq!(process.stdout().text(), "");
    let admin = scene.server.admin;
    assert_eq!(ended(at(admin)).await.0, Some(0));
}
