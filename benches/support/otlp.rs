//! A live OTLP/HTTP receiver that accepts everything, counts it and keeps nothing.
//!
//! Spans are counted by skimming the protobuf framing alone (`ExportTraceServiceRequest` 1 → `ResourceSpans` 2 →
//! `ScopeSpans` 2), which costs far less than decoding them would.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use super::wire;

const ACCEPTED: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";

/// A running receiver; it runs as long as the process.
pub(crate) struct Receiver {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    spans: AtomicU64,
    metric_exports: AtomicU64,
}

impl Receiver {
    /// Starts one on a thread of its own.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from listening or from starting its thread.
    pub(crate) fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0)))?;
        let receiver = Self {
            address: listener.local_addr()?,
            counts: Arc::default(),
        };
        let accepting = accept(listener, Arc::clone(&receiver.counts));
        std::thread::Builder::new()
            .name("otlp".to_owned())
            .spawn(move || runtime.block_on(accepting))?;
        Ok(receiver)
    }

    /// Spans, and exports of metrics, received so far.
    pub(crate) fn received(&self) -> (u64, u64) {
        (
            self.counts.spans.load(Relaxed),
            self.counts.metric_exports.load(Relaxed),
        )
    }
}

async fn accept(listener: TcpListener, counts: Arc<Counts>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let counts = Arc::clone(&counts);
        // An exporter that breaks its connection opens the next.
        tokio::spawn(async move { drop(serve(stream, &counts).await) });
    }
}

async fn serve(mut stream: TcpStream, counts: &Counts) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    let mut body = Vec::new();
    loop {
        let mut traces = false;
        body.clear();
        let head = |head: &[u8]| {
            traces = head.starts_with(b"POST /v1/traces ");
            Ok(())
        };
        let data = |data: &[u8]| {
            body.extend_from_slice(data);
            Ok(())
        };
        if !wire::read_message(&mut stream, &mut buffer, head, data).await? {
            return Ok(());
        }
        if traces {
            counts.spans.fetch_add(nested(&body, &[1, 2, 2]), Relaxed);
        } else {
            counts.metric_exports.fetch_add(1, Relaxed);
        }
        stream.write_all(ACCEPTED).await?;
    }
}

/// Messages at the end of a path of field numbers. What is not well-formed ends the count.
fn nested(mut message: &[u8], path: &[u64]) -> u64 {
    let Some((wanted, path)) = path.split_first() else {
        return 1;
    };
    let mut found = 0;
    while let Some((field, value)) = next_field(&mut message) {
        if field == *wanted {
            found += nested(value, path);
        }
    }
    found
}

/// Number and bytes of the next field; only length-delimited fields occur on the way to a span.
fn next_field<'a>(message: &mut &'a [u8]) -> Option<(u64, &'a [u8])> {
    const LENGTH_DELIMITED: u64 = 2;
    let key = varint(message)?;
    if key & 7 != LENGTH_DELIMITED {
        return None;
    }
    let length = usize::try_from(varint(message)?).ok()?;
    let (value, rest) = message.split_at_checked(length)?;
    *message = rest;
    Some((key >> 3, value))
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}
