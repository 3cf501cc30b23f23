//! One end of an HTTP/1.1 connection as raw bytes: what was received is kept exactly, what is sent is exactly what the
//! test gives. It knows only as much of RFC 9112 as it takes to find where a message ends.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::within;

/// One message, as it was on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// Start line and header lines, with the blank line that ends them.
    pub(crate) head: Vec<u8>,
    /// The body's octets as they came: with chunk sizes and trailers where it was chunked.
    pub(crate) raw_body: Vec<u8>,
    /// The content: `raw_body` with the transfer coding undone.
    pub(crate) body: Vec<u8>,
    /// Trailer lines, without the blank line that ends them; empty where there were none.
    pub(crate) trailers: Vec<u8>,
}

impl Message {
    /// The request line or status line.
    pub(crate) fn start_line(&self) -> &str {
        text(&self.head).lines().next().unwrap()
    }

    /// The status of a response.
    pub(crate) fn status(&self) -> u16 {
        status(&self.head)
    }

    /// The first value of a header, its name in any case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    /// Every header line in the order and spelling of the wire.
    pub(crate) fn header_lines(&self) -> Vec<&str> {
        fields(&self.head)
            .lines()
            .take_while(|line| !line.is_empty())
            .collect()
    }

    /// The content as text.
    pub(crate) fn text(&self) -> &str {
        text(&self.body)
    }
}

/// How the peer ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closed {
    /// It finished its side in order.
    Eof,
    /// It aborted the connection.
    Reset,
}

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is none.
    Empty,
    /// After so many bytes.
    Length(usize),
    /// With the chunk of size zero.
    Chunked,
    /// With the connection.
    UntilClose,
}

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    /// Takes one end of a connection; small writes leave at once.
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            received: Vec::new(),
        }
    }

    /// Connects to a listener.
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self::new(
            within("a connection", TcpStream::connect(address))
                .await
                .unwrap(),
        )
    }

    /// Sends exactly these bytes.
    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        within(
            "the peer to take bytes",
            self.stream.write_all(bytes.as_ref()),
        )
        .await
        .unwrap();
    }

    /// Sends these bytes, or says that the peer is gone.
    pub(crate) async fn try_write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        within(
            "the peer to take bytes",
            self.stream.write_all(bytes.as_ref()),
        )
        .await
    }

    /// Waits until the peer has sent something or ended the connection, and says whether it has ended it.
    pub(crate) async fn is_over(&mut self) -> bool {
        self.received.is_empty()
            && !matches!(self.stream.read_buf(&mut self.received).await, Ok(1..))
    }

    /// Reads a request.
    pub(crate) async fn read_request(&mut self) -> Message {
        let head = self.read_head().await;
        let framing = framing(&head, Framing::Empty);
        self.read_body(head, framing).await
    }

    /// Reads the response to a request of any method but `HEAD`; interim responses are read like any other.
    pub(crate) async fn read_response(&mut self) -> Message {
        let head = self.read_head().await;
        let framing = match status(&head) {
            100..=199 | 204 | 304 => Framing::Empty,
            _ => framing(&head, Framing::UntilClose),
        };
        self.read_body(head, framing).await
    }

    /// Reads one head, with its blank line, and nothing after it.
    pub(crate) async fn read_head(&mut self) -> Vec<u8> {
        self.read_through(b"\r\n\r\n").await
    }

    /// Reads the body that follows `head`.
    pub(crate) async fn read_body(&mut self, head: Vec<u8>, framing: Framing) -> Message {
        let (mut raw_body, mut body, mut trailers) = (Vec::new(), Vec::new(), Vec::new());
        match framing {
            Framing::Empty => {}
            Framing::Length(length) => raw_body = self.read_exact(length).await,
            Framing::UntilClose => raw_body = self.read_to_end().await.0,
            Framing::Chunked => loop {
                let chunk = self.read_chunk().await;
                raw_body.extend_from_slice(&chunk.raw);
                if chunk.is_last {
                    trailers = chunk.data;
                    break;
                }
                body.extend_from_slice(&chunk.data);
            },
        }
        if framing != Framing::Chunked {
            body.clone_from(&raw_body);
        }
        Message {
            head,
            raw_body,
            body,
            trailers,
        }
    }

    /// Reads one chunk of a chunked body, as soon as it is complete.
    pub(crate) async fn read_chunk(&mut self) -> Chunk {
        let mut raw = self.read_through(b"\r\n").await;
        let line = text(&raw).trim_end();
        let digits = line.split(';').next().unwrap().trim();
        let size = usize::from_str_radix(digits, 16)
            .unwrap_or_else(|_| panic!("{line:?} is no chunk size"));
        if size > 0 {
            let rest = self.read_exact(size + 2).await;
            assert!(
                rest.ends_with(b"\r\n"),
                "a chunk of {size} bytes must end with CRLF"
            );
            raw.extend_from_slice(&rest);
            return Chunk {
                raw,
                data: rest[..size].to_vec(),
                is_last: false,
            };
        }
        let mut trailers = Vec::new();
        loop {
            let line = self.read_through(b"\r\n").await;
            raw.extend_from_slice(&line);
            if line == b"\r\n" {
                return Chunk {
                    raw,
                    data: trailers,
                    is_last: true,
                };
            }
            trailers.extend_from_slice(&line);
        }
    }

    /// How many bytes came with what has been read.
    pub(crate) fn came_with(&self) -> usize {
        self.received.len()
    }

    /// Reads exactly so many bytes.
    pub(crate) async fn read_exact(&mut self, length: usize) -> Vec<u8> {
        while self.received.len() < length {
            let got = self.received.len();
            self.fill(&format!("{length} bytes, {got} so far")).await;
        }
        self.take(length)
    }

    /// Reads up to and with the first `mark`.
    pub(crate) async fn read_through(&mut self, mark: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self
                .received
                .windows(mark.len())
                .position(|window| window == mark)
            {
                return self.take(at + mark.len());
            }
            self.fill(&format!("{:?}", text(mark))).await;
        }
    }

    /// Reads everything until the peer ends the connection, and says how it ended it.
    pub(crate) async fn read_to_end(&mut self) -> (Vec<u8>, Closed) {
        let closed = loop {
            match within(
                "the end of the connection",
                self.stream.read_buf(&mut self.received),
            )
            .await
            {
                Ok(0) => break Closed::Eof,
                Ok(_) => {}
                Err(_) => break Closed::Reset,
            }
        };
        (std::mem::take(&mut self.received), closed)
    }

    /// Resolves when the peer ends the connection, and says how. Fails where it sends anything before that.
    pub(crate) async fn closed(&mut self) -> Closed {
        let (rest, closed) = self.read_to_end().await;
        assert_eq!(
            text(&rest),
            "",
            "the peer was to end the connection and nothing more"
        );
        closed
    }

    /// Ends the sending side; the peer reads an end of file and can still answer.
    pub(crate) async fn finish(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// Ends the connection in order.
    pub(crate) async fn close(mut self) {
        // A peer that is already gone has ended it for us.
        let _ = self.stream.shutdown().await;
    }

    /// Aborts the connection with RST.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }

    /// This end's address.
    pub(crate) fn local(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    /// The other end's address.
    pub(crate) fn peer(&self) -> SocketAddr {
        self.stream.peer_addr().unwrap()
    }

    /// From now on, dropping it aborts the connection with RST.
    pub(crate) fn reset_when_dropped(&self) {
        self.stream.set_zero_linger().unwrap();
    }

    async fn fill(&mut self, awaited: &str) {
        self.received.reserve(4096);
        let count = within(awaited, self.stream.read_buf(&mut self.received)).await;
        match count {
            Ok(1..) => {}
            ended => panic!(
                "the connection ended ({ended:?}) before {awaited}; it had brought {} bytes: {:?}",
                self.received.len(),
                String::from_utf8_lossy(&self.received[..self.received.len().min(2000)])
            ),
        }
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let rest = self.received.split_off(length);
        std::mem::replace(&mut self.received, rest)
    }
}

/// One chunk of a chunked body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Size line, data and line ends as they came.
    pub(crate) raw: Vec<u8>,
    /// Its data; the trailer lines of the last chunk.
    pub(crate) data: Vec<u8>,
    /// Whether it is the one of size zero.
    pub(crate) is_last: bool,
}

/// The chunk that carries `data`; no data makes the last chunk.
pub(crate) fn chunk(data: impl AsRef<[u8]>) -> Vec<u8> {
    let data = data.as_ref();
    let mut raw = format!("{:x}\r\n", data.len()).into_bytes();
    raw.extend_from_slice(data);
    raw.extend_from_slice(b"\r\n");
    raw
}

/// How the body after `head` ends; `otherwise` where the head does not say.
pub(crate) fn framing(head: &[u8], otherwise: Framing) -> Framing {
    if header(head, "transfer-encoding")
        .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
    {
        return Framing::Chunked;
    }
    match header(head, "content-length") {
        Some(length) => Framing::Length(length.parse().unwrap()),
        None => otherwise,
    }
}

fn status(head: &[u8]) -> u16 {
    let line = text(head).lines().next().unwrap();
    line.split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap_or_else(|| panic!("{line:?} is no status line"))
}

fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    fields(head).lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// A head without its first line, in which anything may stand.
fn fields(head: &[u8]) -> &str {
    let line = head.iter().position(|byte| *byte == b'\n').unwrap();
    text(&head[line + 1..])
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_else(|_| panic!("{bytes:?} is no UTF-8"))
}
