//! A scripted upstream: the test decides which bytes it sends, and when.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::http1::Connection;
use super::within;

/// A listener whose connections the test plays by hand.
#[derive(Debug)]
pub(crate) struct Upstream {
    listener: TcpListener,
    address: SocketAddr,
}

impl Upstream {
    /// Listens on a free port of the loopback interface.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { listener, address }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What would stand in `OPENAI_BASE_URL`.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Waits for the next connection.
    pub(crate) async fn accept(&self) -> Connection {
        let (stream, _) = within("a connection to the upstream", self.listener.accept())
            .await
            .unwrap();
        Connection::new(stream)
    }
}

#[tokio::test]
async fn both_ends_see_the_exact_bytes_of_the_other() {
    use super::http1::chunk;

    let upstream = Upstream::start().await;
    let mut client = super::client::connect(upstream.address()).await;
    let request = b"POST /v1/x HTTP/1.1\r\nhoSt: a\r\nContent-Length: 4\r\n\r\n{\"\"}";
    client.write(request).await;

    let mut served = upstream.accept().await;
    let seen = served.read_request().await;
    assert_eq!(
        [seen.head.as_slice(), seen.raw_body.as_slice()].concat(),
        request
    );
    assert_eq!(seen.start_line(), "POST /v1/x HTTP/1.1");
    assert_eq!(seen.header_lines(), ["hoSt: a", "Content-Length: 4"]);

    served
        .write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    let head = client.read_head().await;
    served.write(chunk("data: a\n\n")).await;
    let first = client.read_chunk().await;
    assert_eq!(
        first.data, b"data: a\n\n",
        "a chunk is read before the next one is sent"
    );
    served.write("2;x=y\r\nbc\r\n0\r\nx-t: 1\r\n\r\n").await;
    let rest = client.read_body(head, super::http1::Framing::Chunked).await;
    assert_eq!((rest.status(), rest.text()), (200, "bc"));
    assert_eq!(rest.raw_body, b"2;x=y\r\nbc\r\n0\r\nx-t: 1\r\n\r\n");
    assert_eq!(rest.trailers, b"x-t: 1\r\n");
}

#[tokio::test]
async fn an_orderly_end_and_an_abort_are_told_apart() {
    use super::http1::Closed;

    let upstream = Upstream::start().await;
    let mut client = super::client::connect(upstream.address()).await;
    upstream.accept().await.close().await;
    assert_eq!(client.closed().await, Closed::Eof);

    let mut client = super::client::connect(upstream.address()).await;
    upstream.accept().await.reset();
    assert_eq!(client.closed().await, Closed::Reset);
    assert!(client.try_write("x").await.is_err());
}

#[tokio::test]
async fn a_response_without_a_length_ends_with_the_connection() {
    let upstream = Upstream::start().await;
    let mut client = super::client::connect(upstream.address()).await;
    client.write("GET / HTTP/1.1\r\n\r\n").await;
    client.finish().await;

    let mut served = upstream.accept().await;
    assert_eq!(served.read_request().await.body, b"");
    assert_eq!(served.closed().await, super::http1::Closed::Eof);
    served.write("HTTP/1.1 200 OK\r\n\r\nall of it").await;
    served.close().await;
    assert_eq!(client.read_response().await.text(), "all of it");
}
