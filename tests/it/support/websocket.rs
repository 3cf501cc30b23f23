//! Both ends of a WebSocket with the proxy between them: every frame that one end sends is read at the other and must be the
//! same, byte for byte. It knows as much of RFC 6455 as it takes to write a frame.

use std::net::SocketAddr;

use flate2::{Compress, Compression, FlushCompress};

use super::client;
use super::gauge::Gauge;
use super::http1::{Connection, Message};
use super::upstream::Upstream;

#[path = "../../fixtures/frame.rs"]
mod frames;

/// The extension that compresses messages (RFC 7692).
pub(crate) const DEFLATE: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

const TEXT: u8 = 1;
const CLOSE: u8 = 8;

/// An end of the connection.
#[derive(Debug)]
struct End {
    connection: Connection,
    /// What a client puts over its payloads.
    mask: Option<[u8; 4]>,
    /// Keeps its window from message to message.
    deflate: Option<Compress>,
}

/// A connection that has changed to WebSocket.
#[derive(Debug)]
pub(crate) struct Session {
    client: End,
    server: End,
    /// The request as it reached the upstream.
    pub(crate) asked: Message,
}

impl Session {
    /// Opens one on this target; `more` are header lines of both the request and the answer.
    pub(crate) async fn open(gauge: &Gauge, target: &str, more: &str) -> Self {
        Self::between(gauge.server.proxy, &gauge.upstream, target, more).await
    }

    /// The same, by this proxy to its upstream.
    pub(crate) async fn between(
        proxy: SocketAddr,
        upstream: &Upstream,
        target: &str,
        more: &str,
    ) -> Self {
        let mut caller = client::connect(proxy).await;
        caller
            .write(format!(
                "GET {target} HTTP/1.1\r\nHost: me\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{more}\
                 Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            ))
            .await;
        let mut served = upstream.accept().await;
        let asked = served.read_request().await;
        let switch = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{more}\
             Sec-WebSocket-Accept: HSmrc0sMlYUkAGmm5OPpG2HaGWk=\r\n\r\n"
        );
        served.write(&switch).await;
        assert_eq!(caller.read_head().await, switch.as_bytes());
        let deflate = || (more == DEFLATE).then(|| Compress::new(Compression::fast(), false));
        Self {
            client: End {
                connection: caller,
                mask: Some([0x37, 0xfa, 0x21, 0x3d]),
                deflate: deflate(),
            },
            server: End {
                connection: served,
                mask: None,
                deflate: deflate(),
            },
            asked,
        }
    }

    /// The client sends an event.
    pub(crate) async fn client(&mut self, event: &str) {
        pass(&mut self.client, &mut self.server, TEXT, event.as_bytes()).await;
    }

    /// The server sends an event.
    pub(crate) async fn server(&mut self, event: &str) {
        pass(&mut self.server, &mut self.client, TEXT, event.as_bytes()).await;
    }

    /// The client says its last word; the server answers with its own and closes.
    pub(crate) async fn client_closes(mut self, code: u16) {
        let code = code.to_be_bytes();
        pass(&mut self.client, &mut self.server, CLOSE, &code).await;
        pass(&mut self.server, &mut self.client, CLOSE, &code).await;
        self.server.connection.close().await;
        self.client.connection.closed().await;
    }

    /// The server says its last word and closes.
    pub(crate) async fn server_closes(mut self, code: u16) {
        let code = code.to_be_bytes();
        pass(&mut self.server, &mut self.client, CLOSE, &code).await;
        self.server.connection.close().await;
        self.client.connection.closed().await;
    }

    /// The client goes away without a word.
    pub(crate) async fn client_aborts(mut self) {
        self.client.connection.reset();
        self.server.connection.closed().await;
    }

    /// Both ends as they are, the client's and the upstream's.
    pub(crate) fn into_ends(self) -> (Connection, Connection) {
        (self.client.connection, self.server.connection)
    }
}

/// Sends a frame and checks that it arrives as it is.
async fn pass(from: &mut End, to: &mut End, opcode: u8, payload: &[u8]) {
    let sent = match from.deflate.as_mut().filter(|_| opcode == TEXT) {
        Some(deflate) => frame(0x40 | opcode, &compressed(deflate, payload), from.mask),
        None => frame(opcode, payload, from.mask),
    };
    from.connection.write(&sent).await;
    assert!(
        to.connection.read_exact(sent.len()).await == sent,
        "a frame arrives as it was sent"
    );
}

/// The bytes of a frame that is a whole message.
pub(crate) fn frame(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    frames::frame(0x80 | first, payload, mask)
}

fn compressed(deflate: &mut Compress, text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 100);
    deflate
        .compress_vec(text, &mut out, FlushCompress::Sync)
        .unwrap();
    assert!(out.ends_with(&[0, 0, 0xff, 0xff]), "it was flushed whole");
    out.truncate(out.len() - 4);
    out
}
