//! A model server that costs next to nothing: it answers with prepared bytes, on a thread of its own.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use memchr::memmem;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::chat::{self, Answer};
use super::pacer::{self, Command};
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
}

impl Upstream {
    /// Starts one that writes so many chunks of an unpaced stream at once.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from listening or from starting its threads.
    pub(crate) fn start(chunks_per_write: u64) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let pacer = pacer::start()?;
        let listener = runtime.block_on(async { listen() })?;
        let upstream = Self {
            address: listener.local_addr()?,
            pacer: pacer.clone(),
        };
        let serving = accept(listener, pacer, chunks_per_write);
        std::thread::Builder::new()
            .name("upstream".to_owned())
            .spawn(move || runtime.block_on(serving))?;
        Ok(upstream)
    }
}

/// Serves every connection, for ever.
async fn accept(listener: TcpListener, pacer: Sender<Command>, chunks_per_write: u64) {
    let prepared = Arc::new(Prepared::new(chunks_per_write));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let connection = Connection {
            stream,
            prepared: Arc::clone(&prepared),
            pacer: pacer.clone(),
        };
        // A client that breaks its connection reports that itself.
        tokio::spawn(async { drop(connection.serve().await) });
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
    /// One chunk's part of it.
    chunk_bytes: usize,
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
            chunk_bytes: chat::http_chunk(chat::CHUNK).len(),
        }
    }
}

fn stream_begin(more_headers: &str) -> Vec<u8> {
    let mut begin =
        format!("{STREAM_HEAD}{more_headers}transfer-encoding: chunked\r\n\r\n").into_bytes();
    begin.extend(chat::http_chunk(chat::ROLE));
    begin
}

struct Connection {
    stream: TcpStream,
    prepared: Arc<Prepared>,
    pacer: Sender<Command>,
}

impl Connection {
    async fn serve(mut self) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        let mut buffer = vec![0; 16 * 1024];
        let mut body = Vec::new();
        loop {
            let mut answer = Answer::Unary;
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
            let usage = memmem::find(&body, br#""include_usage""#).is_some();
            match answer {
                Answer::Unary => self.stream.write_all(&self.prepared.unary).await?,
                Answer::Unpaced(chunks) => self.unpaced(chunks, usage).await?,
                Answer::Paced => return self.paced(usage).await,
            }
        }
    }

    async fn unpaced(&mut self, chunks: u64, usage: bool) -> io::Result<()> {
        self.stream.write_all(&self.prepared.begin).await?;
        let Prepared {
            chunk_bytes, block, ..
        } = &*self.prepared;
        let mut left = usize::try_from(chunks)
            .unwrap_or(usize::MAX)
            .saturating_mul(*chunk_bytes);
        while left > 0 {
            let now = left.min(block.len());
            self.stream.write_all(&block[..now]).await?;
            left -= now;
        }
        self.stream.write_all(&chat::stream_end(usage)).await
    }

    /// Begins a stream and leaves the rest to the pacer, which closes the connection at the end.
    async fn paced(mut self, usage: bool) -> io::Result<()> {
        self.stream
            .write_all(&stream_begin("connection: close\r\n"))
            .await?;
        let stream = self.stream.into_std()?;
        self.pacer
            .send(Command::Add { stream, usage })
            .map_err(|_| bad("the pacer has ended"))
    }
}

/// The answer that a request asks for.
fn asked(head: &[u8]) -> io::Result<Answer> {
    // A router asks whether its upstream is well; any JSON will do.
    if head.starts_with(b"GET ") {
        return Ok(Answer::Unary);
    }
    match wire::header(head, chat::WORK_HEADER) {
        Some("unary") => Ok(Answer::Unary),
        Some("paced") => Ok(Answer::Paced),
        Some(chunks) => chunks
            .parse()
            .map(Answer::Unpaced)
            .map_err(|_| bad("an x-load header that is no work")),
        None => Err(bad("a request without the x-load header")),
    }
}
