//! A model server that costs next to nothing: it answers with prepared bytes, on a thread of its own, with or without TLS.

mod http2;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::Sender;

use bytes::Bytes;
use memchr::memmem;
use rustls::ServerConfig;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::chat::{self, Answer};
use super::link::{Link, UpstreamSide};
use super::paced::Wire;
use super::pacer::{self, Command};
use super::secure;
use super::timed::{self, Timed};
use super::wire::{self, bad};

/// Chunks in one write of an unpaced stream, each in an HTTP chunk of its own, where nothing else is asked for.
///
/// With two of them nginx spends what it does behind common model servers, which write event by event: fewer, and the
/// system calls are all there is to see; more, and nginx passes on whole buffers without a look at the events.
pub(crate) const CHUNKS_PER_WRITE: u64 = 2;

const JSON_HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_0123456789abcdef\r\n";
const STREAM_HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nx-request-id: req_0123456789abcdef\r\n";

/// A running upstream; it runs as long as the process.
#[derive(Clone)]
pub(crate) struct Upstream {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Where paced streams are told their pace and their end.
    pub(crate) pacer: Sender<Command>,
    /// What has come so far.
    pub(crate) counts: Arc<Counts>,
}

/// What has come to an upstream.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    connections: AtomicU64,
    http1: AtomicU64,
    http2: AtomicU64,
}

/// The same at one instant, or between two.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Came {
    /// Connections.
    pub(crate) connections: u64,
    /// Requests of HTTP/1.1.
    pub(crate) http1: u64,
    /// Requests of HTTP/2.
    pub(crate) http2: u64,
}

impl Counts {
    /// All until now.
    pub(crate) fn came(&self) -> Came {
        Came {
            connections: self.connections.load(Relaxed),
            http1: self.http1.load(Relaxed),
            http2: self.http2.load(Relaxed),
        }
    }
}

impl Came {
    /// What has come since an earlier instant.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            connections: self.connections - earlier.connections,
            http1: self.http1 - earlier.http1,
            http2: self.http2 - earlier.http2,
        }
    }

    /// A figure of HTTP/2 is of nothing else, nor is one of HTTP/1.1. Whether who asked speaks `http2` where an upstream does.
    ///
    /// # Errors
    ///
    /// It has come by the other.
    pub(crate) fn by(self, link: Link, http2: bool) -> io::Result<()> {
        let (wrong, version) = if http2 && link.upstream() == UpstreamSide::Http2 {
            (self.http1, "HTTP/1.1")
        } else {
            (self.http2, "HTTP/2")
        };
        if wrong == 0 {
            return Ok(());
        }
        Err(io::Error::other(format!(
            "the upstream was asked {wrong} times by {version}, which is not what {} is about",
            link.name()
        )))
    }
}

impl Upstream {
    /// Starts one that writes so many chunks of an unpaced stream at once.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from listening or from starting its threads.
    pub(crate) fn start(chunks_per_write: u64) -> io::Result<Self> {
        Self::serving(chunks_per_write, None)
    }

    /// Starts one that speaks by TLS, and HTTP/2 with who agrees to it.
    ///
    /// # Errors
    ///
    /// As of [`Upstream::start`].
    pub(crate) fn start_secure(chunks_per_write: u64, tls: ServerConfig) -> io::Result<Self> {
        Self::serving(chunks_per_write, Some(TlsAcceptor::from(Arc::new(tls))))
    }

    fn serving(chunks_per_write: u64, tls: Option<TlsAcceptor>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let pacer = pacer::start()?;
        let listener = runtime.block_on(async { listen() })?;
        let upstream = Self {
            address: listener.local_addr()?,
            pacer: pacer.clone(),
            counts: Arc::default(),
        };
        let server = Arc::new(Server {
            prepared: Prepared::new(chunks_per_write),
            pacer,
            timed: timed::start()?,
            counts: Arc::clone(&upstream.counts),
            tls,
        });
        std::thread::Builder::new()
            .name("upstream".to_owned())
            .spawn(move || runtime.block_on(server.accept(listener)))?;
        Ok(upstream)
    }
}

/// What all connections have in common.
struct Server {
    prepared: Prepared,
    pacer: Sender<Command>,
    timed: Sender<Timed>,
    counts: Arc<Counts>,
    tls: Option<TlsAcceptor>,
}

impl Server {
    /// Serves every connection, for ever.
    async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                continue;
            };
            let server = Arc::clone(&self);
            // A client that breaks its connection reports that itself.
            tokio::spawn(async { drop(server.connection(stream).await) });
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream) -> io::Result<()> {
        self.counts.connections.fetch_add(1, Relaxed);
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else {
            let server = self;
            return Connection { stream, server }.serve().await;
        };
        let stream = tls.accept(stream).await?;
        if stream.get_ref().1.alpn_protocol() == Some(secure::HTTP2) {
            return http2::serve(stream, self).await;
        }
        let server = self;
        Connection { stream, server }.serve().await
    }
}

/// A listener whose backlog holds thousands of clients that connect at once.
fn listen() -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    socket.listen(8192)
}

/// Bytes made once.
struct Prepared {
    unary: Vec<u8>,
    /// Head and first event, of a connection that stays.
    begin: Vec<u8>,
    /// What an unpaced stream writes at once.
    block: Vec<u8>,
    /// One chunk of it.
    chunk: Vec<u8>,
    /// The same without the framing of HTTP/1.1.
    events: Bytes,
}

impl Prepared {
    fn new(chunks_per_write: u64) -> Self {
        let unary = format!(
            "{JSON_HEAD}content-length: {}\r\n\r\n{}",
            chat::COMPLETION.len(),
            chat::COMPLETION
        );
        Self {
            unary: unary.into_bytes(),
            begin: stream_begin(""),
            block: (0..chunks_per_write.max(1))
                .flat_map(|_| chat::http_chunk(chat::CHUNK))
                .collect(),
            chunk: chat::http_chunk(chat::CHUNK),
            events: chat::CHUNK
                .repeat(usize::try_from(chunks_per_write).unwrap_or(1).max(1))
                .into(),
        }
    }
}

fn stream_begin(more_headers: &str) -> Vec<u8> {
    let mut begin =
        format!("{STREAM_HEAD}{more_headers}transfer-encoding: chunked\r\n\r\n").into_bytes();
    begin.extend(chat::http_chunk(chat::ROLE));
    begin
}

struct Connection<S> {
    stream: S,
    server: Arc<Server>,
}

impl<S: Wire> Connection<S> {
    async fn serve(mut self) -> io::Result<()> {
        let mut buffer = vec![0; 16 * 1024];
        let mut body = Vec::new();
        loop {
            let mut answer = None;
            body.clear();
            let head = |head: &[u8]| {
                answer = asked(head)?;
                Ok(())
            };
            let data = |data: &[u8]| {
                body.extend_from_slice(data);
                Ok(())
            };
            if !wire::read_message(&mut self.stream, &mut buffer, head, data).await? {
                return Ok(());
            }
            self.server.counts.http1.fetch_add(1, Relaxed);
            let usage = asks_usage(&body);
            match answer.map_or_else(|| work(in_body(&body)), Ok)? {
                Answer::Unary => self.stream.write_all(&self.server.prepared.unary).await?,
                Answer::Unpaced(chunks) => self.unpaced(chunks, usage).await?,
                Answer::Paced => return self.paced(usage).await,
                Answer::Timed(chunks) => self.timed(chunks, usage).await?,
            }
            self.stream.flush().await?;
        }
    }

    async fn unpaced(&mut self, chunks: u64, usage: bool) -> io::Result<()> {
        let Prepared {
            begin,
            chunk,
            block,
            ..
        } = &self.server.prepared;
        self.stream.write_all(begin).await?;
        let mut left = usize::try_from(chunks)
            .unwrap_or(usize::MAX)
            .saturating_mul(chunk.len());
        while left > 0 {
            let now = left.min(block.len());
            self.stream.write_all(&block[..now]).await?;
            left -= now;
        }
        self.stream.write_all(&chat::stream_end(usage)).await
    }

    /// Sends the first chunk, and leaves the rest to another thread until its end.
    async fn timed(&mut self, chunks: u64, usage: bool) -> io::Result<()> {
        let Prepared { begin, chunk, .. } = &self.server.prepared;
        let (mut begin, mut chunk) = (begin.clone(), chunk.clone());
        chat::stamp_framed(&mut chunk);
        begin.extend(chunk);
        self.stream.write_all(&begin).await?;
        let (done, ended) = oneshot::channel();
        let stream = Timed {
            stream: self.stream.share()?,
            chunks: chunks.saturating_sub(1),
            usage,
            done,
        };
        let handed_over = self.server.timed.send(stream);
        handed_over.map_err(|_| bad("the thread of timed streams has ended"))?;
        // It is dropped, not sent.
        drop(ended.await);
        Ok(())
    }

    /// Begins a stream and leaves the rest to the pacer, which closes the connection at the end.
    async fn paced(mut self, usage: bool) -> io::Result<()> {
        self.stream
            .write_all(&stream_begin("connection: close\r\n"))
            .await?;
        self.stream.flush().await?;
        let stream = self.stream.into_paced()?;
        self.server
            .pacer
            .send(Command::Add { stream, usage })
            .map_err(|_| bad("the pacer has ended"))
    }
}

/// The answer that a request asks for; `None` where its body must tell.
fn asked(head: &[u8]) -> io::Result<Option<Answer>> {
    // A router asks whether its upstream is well; any JSON will do.
    if head.starts_with(b"GET ") {
        return Ok(Some(Answer::Unary));
    }
    let asked = wire::header(head, chat::WORK_HEADER);
    asked.map(|asked| work(Some(asked))).transpose()
}

/// What a body says of the answer that is wanted.
fn in_body(body: &[u8]) -> Option<&str> {
    let begin = memmem::find(body, chat::WORK_IN_BODY.as_bytes())? + chat::WORK_IN_BODY.len();
    let value = body[begin..].split(|byte| *byte == b'"').next()?;
    std::str::from_utf8(value).ok()
}

/// The answer that the value of [`chat::WORK_HEADER`] asks for.
fn work(value: Option<&str>) -> io::Result<Answer> {
    match value {
        Some("unary") => Ok(Answer::Unary),
        Some("paced") => Ok(Answer::Paced),
        Some(chunks) => {
            let (chunks, answer): (_, fn(u64) -> Answer) = match chunks.strip_prefix(chat::TIMED) {
                Some(chunks) => (chunks, Answer::Timed),
                None => (chunks, Answer::Unpaced),
            };
            let chunks = chunks.parse().map(answer);
            chunks.map_err(|_| bad("an x-load header that is no work"))
        }
        None => Err(bad("a request that does not say which answer it wants")),
    }
}

/// Whether a body asks for usage.
fn asks_usage(body: &[u8]) -> bool {
    memmem::find(body, br#""include_usage""#).is_some()
}
