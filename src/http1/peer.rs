//! The peer of a connection, as far as the system knows of it.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{DuplexStream, Interest};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// A stream whose peer can be asked for without reading.
pub trait Peer {
    /// Whether the peer has finished sending or aborted the connection, however much is still to be read before that.
    fn has_finished(&self) -> bool;
}

impl Peer for TcpStream {
    /// What the system has reported already: nothing is asked of it.
    fn has_finished(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        match pin!(self.ready(Interest::READABLE)).poll(&mut cx) {
            Poll::Ready(Ok(ready)) => ready.is_read_closed(),
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        }
    }
}

impl Peer for TlsStream<TcpStream> {
    fn has_finished(&self) -> bool {
        self.get_ref().0.has_finished()
    }
}

/// A pipe does not say so.
impl Peer for DuplexStream {
    fn has_finished(&self) -> bool {
        false
    }
}
