//! Raw clients: they send exactly the given bytes, and keep exactly what came back.

use std::net::SocketAddr;

use super::http1::{Connection, Message};

/// Opens a connection to a listener.
pub(crate) async fn connect(address: SocketAddr) -> Connection {
    Connection::open(address).await
}

/// Sends one request on a connection of its own and reads the whole response.
pub(crate) async fn send(address: SocketAddr, request: impl AsRef<[u8]>) -> Message {
    let mut connection = connect(address).await;
    connection.write(request).await;
    connection.read_response().await
}

/// Fetches a path.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Message {
    send(
        address,
        format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n"),
    )
    .await
}

/// The bytes of a POST of JSON to a path.
pub(crate) fn post(path: &str, json: &str) -> Vec<u8> {
    let length = json.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: streamgauge.test\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{json}"
    )
    .into_bytes()
}

#[tokio::test]
async fn one_call_is_one_request_and_its_response() {
    let upstream = super::upstream::Upstream::start().await;
    let serve = async {
        let mut posted = upstream.accept().await;
        assert_eq!(posted.read_request().await.text(), "{}");
        posted
            .write("HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\nok")
            .await;
        let mut fetched = upstream.accept().await;
        assert_eq!(
            fetched.read_request().await.start_line(),
            "GET /healthz HTTP/1.1"
        );
        fetched.write("HTTP/1.1 204 No Content\r\n\r\n").await;
    };
    let call = async {
        let response = send(upstream.address(), post("/v1/x", "{}")).await;
        assert_eq!((response.status(), response.text()), (201, "ok"));
        assert_eq!(get(upstream.address(), "/healthz").await.status(), 204);
    };
    tokio::join!(serve, call);
}
