//! Who may see what the admin port shows: everybody on loopback, and from elsewhere who has the token, or nobody.

use std::net::SocketAddr;

use streamgauge::admin::{AdminConfig, Token};

use crate::support::client::send;
use crate::support::gauge::Gauge;
use crate::support::http1::Message;
use crate::support::listener::admin_with;

const TOKEN: &str = "a-token-that-nobody-guesses";
/// What has facts in it.
const FACTS: [&str; 8] = [
    "/api/exchanges",
    "/api/exchanges/1",
    "/api/conversations",
    "/api/summary",
    "/api/in-flight",
    "/api/gauge",
    "/api/costs",
    "/api/openapi.json",
];

async fn ask(address: SocketAddr, path: &str, token: Option<&str>) -> Message {
    let line = token.map_or_else(String::new, |token| {
        format!("authorization: Bearer {token}\r\n")
    });
    send(
        address,
        format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{line}\r\n"),
    )
    .await
}

fn elsewhere() -> Option<SocketAddr> {
    Some("0.0.0.0:9464".parse().unwrap())
}

#[tokio::test]
async fn elsewhere_nobody_sees_facts_until_somebody_says_who_may() {
    let admin = admin_with(AdminConfig::default(), elsewhere()).await;
    for path in FACTS.into_iter().chain(["/api/stream", "/api/nothing"]) {
        let answer = ask(admin.address, path, Some(TOKEN)).await;
        assert_eq!(answer.status(), 403, "{path}");
        let wrong: serde_json::Value = serde_json::from_str(answer.text()).unwrap();
        let says = wrong["error"]["message"].as_str().unwrap();
        assert!(
            says.contains("admin.token") && says.contains("admin.open"),
            "{says}"
        );
    }
    for path in ["/healthz", "/readyz", "/metrics", "/"] {
        assert_eq!(ask(admin.address, path, None).await.status(), 200, "{path}");
    }
    let open = AdminConfig {
        open: true,
        ..AdminConfig::default()
    };
    let admin = admin_with(open, elsewhere()).await;
    assert_eq!(
        ask(admin.address, "/api/exchanges", None).await.status(),
        200
    );
}

#[tokio::test]
async fn a_token_is_wanted_wherever_it_is_set_and_metrics_by_a_setting() {
    for open_metrics in [true, false] {
        let config = AdminConfig {
            token: Token::new(TOKEN),
            open_metrics,
            ..AdminConfig::default()
        };
        let admin = admin_with(config, None).await;
        for path in FACTS {
            for wrong in [None, Some("another-token-of-length")] {
                let answer = ask(admin.address, path, wrong).await;
                assert_eq!(answer.status(), 401, "{path}");
                assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
                assert!(!answer.text().contains(TOKEN));
            }
            let seen = ask(admin.address, path, Some(TOKEN)).await.status();
            assert_eq!(seen, if path.ends_with("/1") { 404 } else { 200 }, "{path}");
        }
        for path in ["/healthz", "/readyz", "/"] {
            assert_eq!(ask(admin.address, path, None).await.status(), 200, "{path}");
        }
        let scraped = ask(admin.address, "/metrics", None).await.status();
        assert_eq!(scraped, if open_metrics { 200 } else { 401 });
        let scraped = ask(admin.address, "/metrics", Some(TOKEN)).await.status();
        assert_eq!(scraped, 200);
    }
}

#[tokio::test]
async fn the_program_takes_its_token_from_the_environment_and_shows_it_nowhere() {
    let gauge = Gauge::with(|program| program.env("STREAMGAUGE_ADMIN_TOKEN", TOKEN)).await;
    let admin = gauge.server.admin;
    assert_eq!(ask(admin, "/api/gauge", None).await.status(), 401);
    let seen = ask(admin, "/api/gauge", Some(TOKEN)).await;
    assert_eq!(seen.status(), 200);
    assert!(!seen.text().contains(TOKEN));
    let facts: serde_json::Value = serde_json::from_str(seen.text()).unwrap();
    let entries = facts["config"].as_array().unwrap();
    let token = entries
        .iter()
        .find(|entry| entry["key"] == "admin.token")
        .unwrap();
    assert_eq!(
        (&token["value"], &token["source"]),
        (&"\"***\"".into(), &"environment".into())
    );
}
