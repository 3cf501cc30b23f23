//! A paced stream as the pacer has it: one call sends a chunk, whatever the connection speaks.

use std::io::{self, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;

use bytes::Bytes;
use rustls::ServerConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::{Sender, error::TrySendError};
use tokio_rustls::server::TlsStream;

use super::chat;
use super::wire::bad;

/// Where the chunks of one stream go; nothing of it waits.
pub(crate) enum Paced {
    /// To a socket, in HTTP/1.1's framing.
    Plain(TcpStream),
    /// The same by TLS, a record for each chunk.
    Tls(Box<ServerConnection>, TcpStream),
    /// To the body of a response of HTTP/2, which the connection's own thread sends.
    Http2(Sender<Bytes>),
}

impl Paced {
    /// Sends one event, given as a chunk of HTTP/1.1. A stream whose receiver is a whole buffer behind misses it, as it would
    /// miss its time anyway.
    ///
    /// # Errors
    ///
    /// The stream has ended.
    pub(crate) fn send(&mut self, framed: &[u8]) -> io::Result<()> {
        let sent = match self {
            Self::Plain(stream) => match stream.write(framed) {
                Ok(written) if written != framed.len() => Err(bad("half of a chunk was written")),
                written => written.map(drop),
            },
            Self::Tls(tls, stream) => records(tls, stream, framed),
            Self::Http2(body) => {
                let end = framed.len() - 2;
                let event = Bytes::copy_from_slice(&framed[end - chat::CHUNK.len()..end]);
                match body.try_send(event) {
                    Err(TrySendError::Closed(_)) => Err(bad("the stream was reset")),
                    Ok(()) | Err(TrySendError::Full(_)) => Ok(()),
                }
            }
        };
        match sent {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            sent => sent,
        }
    }

    /// Sends all that follows the last chunk. A client that has gone, or no longer reads, notices the missing end itself.
    pub(crate) fn end(self, usage: bool) {
        match self {
            Self::Plain(mut stream) => drop(stream.write_all(&chat::stream_end(usage))),
            Self::Tls(mut tls, mut stream) => {
                drop(records(&mut tls, &mut stream, &chat::stream_end(usage)));
                tls.send_close_notify();
                drop(flush(&mut tls, &mut stream));
            }
            Self::Http2(body) => {
                let events = chat::end_events(usage).concat();
                drop(body.try_send(events.into()));
            }
        }
    }
}

/// Writes these bytes, once none of the last ones are left.
fn records(tls: &mut ServerConnection, stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    flush(tls, stream)?;
    tls.writer().write_all(bytes)?;
    flush(tls, stream)
}

fn flush(tls: &mut ServerConnection, stream: &mut TcpStream) -> io::Result<()> {
    while tls.wants_write() {
        tls.write_tls(stream)?;
    }
    Ok(())
}

/// A connection of HTTP/1.1 whose stream can be left to the pacer.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin {
    /// What the pacer gets.
    ///
    /// # Errors
    ///
    /// The system does not give the socket up.
    fn into_paced(self) -> io::Result<Paced>;

    /// The same for a while, with the connection kept.
    ///
    /// # Errors
    ///
    /// The system gives no second handle, or the connection is one of TLS, whose state cannot be in two places.
    fn share(&self) -> io::Result<Paced>;
}

impl Wire for tokio::net::TcpStream {
    fn share(&self) -> io::Result<Paced> {
        let stream = self.as_fd().try_clone_to_owned()?;
        Ok(Paced::Plain(stream.into()))
    }

    fn into_paced(self) -> io::Result<Paced> {
        Ok(Paced::Plain(self.into_std()?))
    }
}

impl Wire for TlsStream<tokio::net::TcpStream> {
    fn share(&self) -> io::Result<Paced> {
        Err(bad("streams with a time of their own are not sent by TLS"))
    }

    fn into_paced(self) -> io::Result<Paced> {
        let (stream, tls) = self.into_inner();
        Ok(Paced::Tls(Box::new(tls), stream.into_std()?))
    }
}
