//! A socket to an upstream, plain or TLS.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// Most bytes that are looked for in a connection that is about to be closed.
const PEEKED_MAX: usize = 64 << 10;

type Plain = TokioIo<TcpStream>;
type Tls = TokioIo<TlsStream<TokioIo<Plain>>>;

/// A socket to an upstream. What TLS needs, 1.1 KiB, is set apart: a plain socket carries only what it needs.
#[derive(Debug)]
pub(super) enum Socket {
    /// TCP.
    Plain(TcpStream),
    /// TLS over TCP.
    Tls(Box<TlsStream<TokioIo<Plain>>>),
}

impl From<MaybeHttpsStream<Plain>> for Socket {
    fn from(stream: MaybeHttpsStream<Plain>) -> Self {
        match stream {
            MaybeHttpsStream::Http(plain) => Self::Plain(plain.into_inner()),
            MaybeHttpsStream::Https(tls) => Self::Tls(Box::new(Tls::into_inner(tls))),
        }
    }
}

impl Socket {
    /// Whether TLS has negotiated HTTP/2 (RFC 7301).
    pub(super) fn negotiated_http2(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.get_ref().1.alpn_protocol() == Some(b"h2".as_slice()),
        }
    }
}

impl Socket {
    /// How many bytes the system has taken in that nobody has read; of more than [`PEEKED_MAX`] only so many.
    pub(super) fn waiting(&self) -> usize {
        let stream = match self {
            Self::Plain(stream) => stream,
            Self::Tls(tls) => tls.get_ref().0.inner().inner(),
        };
        let mut seen = vec![MaybeUninit::uninit(); PEEKED_MAX];
        SockRef::from(stream).peek(&mut seen).unwrap_or_default()
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
