//! What a browser sends for a page that is not ours: it gets no key of ours, unless the configuration says that it may.

use crate::support::file::File;
use crate::support::http1::{Connection, Message};
use crate::support::scene::Scene;
use crate::support::upstream::Upstream;

/// A proxy in front of one upstream, with these lines in its table and before it.
async fn scene(before: &str, of_upstream: &str) -> Scene {
    let upstream = Upstream::start().await;
    let url = upstream.base_url();
    let config =
        format!("{before}\n[[upstream]]\nname = \"main\"\nurl = \"{url}\"\n{of_upstream}\n");
    Scene::before(upstream, &config, |program| {
        program.env("OWN_KEY", "sk-own-key-0123")
    })
    .await
}

const OWN_KEY: &str = "key = { env = \"OWN_KEY\" }";

async fn open(scene: &Scene, target: &str, lines: &str) -> Connection {
    let mut client = scene.client().await;
    client
        .write(format!("GET {target} HTTP/1.1\r\n{lines}\r\n"))
        .await;
    client
}

/// The answer to a request with these lines, which goes no further.
async fn refused(scene: &Scene, target: &str, lines: &str) -> Message {
    open(scene, target, lines).await.read_response().await
}

/// A request with these lines reaches the upstream, and the client has its answer.
async fn passes(scene: &Scene, lines: &str) {
    let mut client = open(scene, "/v1/models", lines).await;
    let mut served = scene.upstream.accept().await;
    served.read_request().await;
    served
        .write("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
        .await;
    assert_eq!(client.read_response().await.status(), 204, "{lines}");
}

const PAGES: [&str; 4] = [
    "host: localhost:8080\r\norigin: https://evil.example\r\nsec-fetch-site: cross-site\r\n",
    "host: localhost:8080\r\nSec-Fetch-Site: cross-site\r\n",
    "host: localhost:8080\r\nOrigin: http://localhost:3000\r\n",
    "host: localhost:8080\r\norigin: null\r\n",
];

#[tokio::test]
async fn a_page_of_another_site_gets_no_key_of_ours() {
    let header = "headers = { x-api-key = \"sk-own-key-0123\" }";
    for of_upstream in [OWN_KEY, header] {
        let scene = scene("", of_upstream).await;
        for lines in PAGES {
            let answer = refused(&scene, "/v1/models", lines).await;
            assert_eq!(answer.status(), 403, "{lines}");
            assert_eq!(answer.header("x-streamgauge-error"), Some("cross_site"));
            assert!(answer.text().contains("allow.origins"), "{}", answer.text());
        }
        for (at, row) in scene.server.finished(4).await.iter().enumerate() {
            let ended = (&row["end"], &row["error"]);
            assert_eq!(ended, (&"rejected".into(), &"cross_site".into()), "{at}");
        }
        for lines in [
            "host: localhost:8080\r\n",
            "host: localhost:8080\r\norigin: http://localhost:8080\r\nsec-fetch-site: same-origin\r\n",
            "host: localhost:8080\r\nsec-fetch-site: none\r\n",
        ] {
            passes(&scene, lines).await;
        }
    }
}

#[tokio::test]
async fn a_page_that_is_allowed_passes() {
    let allow = "[allow]\norigins = [\"https://*.example\"]";
    let scene = scene(allow, OWN_KEY).await;
    passes(&scene, PAGES[0]).await;
    assert_eq!(refused(&scene, "/v1/models", PAGES[1]).await.status(), 403);
    assert_eq!(refused(&scene, "/v1/models", PAGES[2]).await.status(), 403);
}

#[tokio::test]
async fn a_page_that_brings_its_own_key_passes_as_ever() {
    let scene = scene("", "headers = { x-team = \"search\" }").await;
    for lines in PAGES {
        passes(&scene, lines).await;
    }
}

#[tokio::test]
async fn a_host_that_is_not_allowed_is_refused() {
    let scene = scene("[allow]\nhosts = [\"gateway.test\", \"127.0.0.1\"]", "").await;
    for (target, lines) in [
        ("/v1/models", "host: evil.test\r\n"),
        ("/v1/models", "host: localhost:8080\r\n"),
        ("http://evil.test/v1/models", "host: gateway.test\r\n"),
    ] {
        let answer = refused(&scene, target, lines).await;
        assert_eq!(answer.status(), 421, "{target} {lines}");
        assert_eq!(
            answer.header("x-streamgauge-error"),
            Some("host_not_allowed")
        );
    }
    passes(&scene, "host: gateway.test:8080\r\n").await;
    passes(&scene, "Host: Gateway.Test\r\n").await;
}

#[tokio::test]
async fn what_is_allowed_is_checked_when_it_is_read() {
    let file = File::new(
        "allow.toml",
        "[allow]\norigins = [\"app.example\"]\nhosts = [\"gateway:80\"]\nadmin_hosts = [\"http://a\"]\n",
    );
    let mut check = crate::support::process::Program::new(["check", "-c", file.name()]).start();
    assert_eq!(check.exit().await.code(), Some(1));
    let text = [check.stdout().text(), check.stderr().text()].concat();
    for key in ["allow.origins", "allow.hosts", "allow.admin_hosts"] {
        assert!(text.contains(key), "{key} in {text}");
    }
}
