//! Scripted upstreams of HTTP/2 in the clear: one that keeps the protocol's rules, whose streams the test plays, and one
//! whose frames it writes and reads itself.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream, server};
use http::{Request, Response, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

use super::http1::Connection;
use super::upstream::Upstream;
use super::within;

/// A listener of HTTP/2.
#[derive(Debug)]
pub(crate) struct Multiplexed {
    address: SocketAddr,
    streams: Mutex<mpsc::UnboundedReceiver<Stream>>,
    task: JoinHandle<()>,
}

/// A request, and the stream to answer it by.
#[derive(Debug)]
pub(crate) struct Stream {
    /// Which connection it came by, from 0.
    pub(crate) connection: usize,
    pub(crate) request: Request<RecvStream>,
    pub(crate) respond: SendResponse<Bytes>,
}

impl Multiplexed {
    /// Listens with these settings on a free port of the loopback interface.
    pub(crate) async fn start(settings: server::Builder) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, streams) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let (settings, sender) = (settings.clone(), sender.clone());
                tokio::spawn(async move {
                    let mut served = settings.handshake::<_, Bytes>(stream).await.unwrap();
                    // A client that goes away is no failure.
                    while let Some(Ok((request, respond))) = served.accept().await {
                        let stream = Stream {
                            connection,
                            request,
                            respond,
                        };
                        // A test that is over takes none.
                        let _ = sender.send(stream);
                    }
                });
            }
        });
        Self {
            address,
            streams: Mutex::new(streams),
            task,
        }
    }

    /// What would stand in `OPENAI_BASE_URL`.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The next request.
    pub(crate) async fn stream(&self) -> Stream {
        let mut streams = self.streams.lock().await;
        within("a request", streams.recv()).await.unwrap()
    }
}

impl Drop for Multiplexed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Stream {
    /// Reads the request's body.
    pub(crate) async fn body(&mut self) -> Vec<u8> {
        let body = self.request.body_mut();
        let mut read = Vec::new();
        while let Some(data) = within("a body", body.data()).await {
            let data = data.unwrap();
            body.flow_control().release_capacity(data.len()).unwrap();
            read.extend_from_slice(&data);
        }
        read
    }

    /// Begins an answer.
    pub(crate) fn begin(&mut self) -> SendStream<Bytes> {
        let response = Response::builder().status(StatusCode::OK);
        self.respond
            .send_response(response.body(()).unwrap(), false)
            .unwrap()
    }

    /// Answers with a body.
    pub(crate) fn answer(&mut self, body: &'static str) {
        self.begin().send_data(body.into(), true).unwrap();
    }
}

/// A connection of HTTP/2 whose frames the test writes and reads.
#[derive(Debug)]
pub(crate) struct Frames(Connection);

/// A frame.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RESET: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GO_AWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

impl Frames {
    /// Waits for the next connection, and takes its preface.
    pub(crate) async fn accept(upstream: &Upstream) -> Self {
        let mut connection = upstream.accept().await;
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        assert_eq!(connection.read_exact(preface.len()).await, preface);
        let mut frames = Self(connection);
        frames.write(SETTINGS, 0, 0, b"").await;
        frames
    }

    pub(crate) async fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let stream = stream.to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream].concat();
        self.0.write([&head, payload].concat()).await;
    }

    /// The next frame that is neither a setting nor a window.
    pub(crate) async fn next(&mut self) -> Frame {
        loop {
            let head = self.0.read_exact(9).await;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let frame = Frame {
                kind: head[3],
                flags: head[4],
                stream: u32::from_be_bytes(head[5..].try_into().unwrap()),
                payload: self.0.read_exact(length).await,
            };
            match frame.kind {
                SETTINGS if frame.flags & ACK == 0 => self.write(SETTINGS, ACK, 0, b"").await,
                SETTINGS | 8 => {}
                _ => return frame,
            }
        }
    }

    /// How many bytes came with the frames that have been read.
    pub(crate) fn came_with(&self) -> usize {
        self.0.came_with()
    }

    /// Reads a request to its end; which stream it came by, and its body.
    pub(crate) async fn request(&mut self) -> (u32, Vec<u8>) {
        let mut body = Vec::new();
        loop {
            let frame = self.next().await;
            assert!(matches!(frame.kind, DATA | HEADERS), "{frame:?}");
            if frame.kind == DATA {
                body.extend_from_slice(&frame.payload);
            }
            if frame.flags & END_STREAM != 0 {
                return (frame.stream, body);
            }
        }
    }

    /// Answers a stream with status 200 and a body.
    pub(crate) async fn answer(&mut self, stream: u32, body: &str) {
        // `:status: 200` (RFC 7541 appendix A).
        self.write(HEADERS, END_HEADERS, stream, b"\x88").await;
        self.write(DATA, END_STREAM, stream, body.as_bytes()).await;
    }

    /// Says that no stream after this one was processed, without an error.
    pub(crate) async fn go_away(&mut self, last: u32) {
        let payload = [last.to_be_bytes(), [0; 4]].concat();
        self.write(GO_AWAY, 0, 0, &payload).await;
    }

    /// Waits for the end.
    pub(crate) async fn closed(mut self) {
        self.0.read_to_end().await;
    }

    /// Closes.
    pub(crate) async fn close(self) {
        self.0.close().await;
    }
}
