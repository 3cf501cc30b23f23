//! A client that sends its request when it is told to, and not before.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::http2::{self, Call};
use super::{Counts, answer};
use crate::support::chat::Request;
use crate::support::wire::bad;

/// One client on one connection that stays.
pub(crate) struct Single {
    request: Request,
    counts: Arc<Counts>,
    speaks: Speaks,
}

enum Speaks {
    Http1 {
        stream: TcpStream,
        bytes: Vec<u8>,
        buffer: Vec<u8>,
    },
    Http2(Call),
}

impl Single {
    /// One that speaks HTTP/1.1.
    ///
    /// # Errors
    ///
    /// The proxy takes no connection.
    pub(crate) async fn http1(address: SocketAddr, request: Request) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let speaks = Speaks::Http1 {
            stream,
            bytes: request.bytes(&address.to_string()),
            buffer: vec![0; 16 * 1024],
        };
        Ok(Self {
            request,
            counts: Arc::default(),
            speaks,
        })
    }

    /// One that speaks HTTP/2 by prior knowledge.
    ///
    /// # Errors
    ///
    /// As of [`Single::http1`], or the proxy does not speak it.
    pub(crate) async fn http2(address: SocketAddr, request: Request) -> io::Result<Self> {
        let counts = Arc::<Counts>::default();
        let speaks = Speaks::Http2(Call {
            sender: http2::connect(address, None).await?,
            authority: address,
            request,
            body: request.body().into(),
            counts: Arc::clone(&counts),
        });
        Ok(Self {
            request,
            counts,
            speaks,
        })
    }

    /// Sends the request and reads the answer to its end.
    ///
    /// # Errors
    ///
    /// The connection's, or the answer is not what the upstream sent.
    pub(crate) async fn call(&mut self) -> io::Result<()> {
        match &mut self.speaks {
            Speaks::Http1 {
                stream,
                bytes,
                buffer,
            } => {
                stream.write_all(bytes).await?;
                match answer(stream, buffer, self.request, &self.counts, |_| {}).await? {
                    true => Ok(()),
                    false => Err(bad("the connection closed before the answer")),
                }
            }
            Speaks::Http2(call) => call.once(&mut false).await,
        }
    }
}
