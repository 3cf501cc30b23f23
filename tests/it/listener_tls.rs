//! TLS towards clients: its certificate is read again on SIGHUP, without a call noticing.

use std::fs;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::file::File;
use crate::support::process::Program;
use crate::support::tls::Certificate;
use crate::support::upstream::Upstream;
use crate::support::within;

const RENEWED: &str = "the certificate for clients was read again; the rest of the configuration is read at start only";
const BROKEN: &str =
    "the certificate for clients cannot be read again; the one that was read before stays in use";

#[tokio::test]
async fn the_certificate_is_read_again_on_sighup_and_a_broken_one_changes_nothing() {
    let (before, after) = (Certificate::new(), Certificate::new());
    let upstream = Upstream::start().await;
    let pem = File::new("listener.crt", &before.certificate_pem);
    let key = File::new("listener.key", &before.key_pem);
    let config = format!(
        "[tls]\ncertificate = '{}'\nkey = '{}'\n",
        pem.name(),
        key.name()
    );
    let config = File::new("listener.toml", config);
    let server = Program::serve(&upstream.base_url())
        .args(["-c", config.name()])
        .listen()
        .await;
    let mut client = before.connect(server.proxy, &["http/1.1"]).await;
    let request = b"GET /v1/models HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    client.write_all(request).await.unwrap();
    let mut served = upstream.accept().await;
    served.read_request().await;

    fs::write(pem.path(), &after.certificate_pem).unwrap();
    server.process.signal("HUP").await;
    let line = server.process.message(BROKEN).await;
    let error = line["error"].as_str().unwrap();
    assert!(
        error.contains("the certificate does not match tls.key"),
        "{error}"
    );
    before.connect(server.proxy, &["http/1.1"]).await;

    fs::write(key.path(), &after.key_pem).unwrap();
    server.process.signal("HUP").await;
    server.process.message(RENEWED).await;
    after.connect(server.proxy, &["http/1.1"]).await;
    // The call that was in flight goes on.
    served.write("HTTP/1.1 204 No Content\r\n\r\n").await;
    let mut answer = String::new();
    let read = client.read_to_string(&mut answer);
    within("the answer", read).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
}
