//! The same load by HTTP/2, as a mesh sends it: few connections, which all clients share.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderValue, Request as Head, StatusCode};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::{Clients, Counts, Reading};
use crate::support::chat::{Answer, Request};
use crate::support::wire::bad;

/// Connections at least: one for each core of a small machine.
const CONNECTIONS: usize = 2;
/// Streams of a connection at most; what proxies allow is 128 and more.
const STREAMS: usize = 100;
/// Windows of a stream and of a connection, as hyper's client opens them.
const WINDOWS: (u32, u32) = (2 << 20, 5 << 20);

impl Clients {
    /// As [`Clients::start`], but by HTTP/2: by TLS where it is given how, else by prior knowledge.
    ///
    /// # Errors
    ///
    /// The proxy takes no connection, or does not speak HTTP/2.
    pub(crate) async fn start_http2(
        address: SocketAddr,
        tls: Option<&Arc<ClientConfig>>,
        request: Request,
        clients: usize,
    ) -> io::Result<Self> {
        let mut connections = Vec::new();
        for _ in 0..clients.div_ceil(STREAMS).max(CONNECTIONS) {
            connections.push(connect(address, tls).await?);
        }
        let counts = Arc::new(Counts::default());
        let body = Bytes::from(request.body());
        let mut running = JoinSet::new();
        for (sender, _) in connections.iter().cycle().zip(0..clients) {
            let call = Call {
                sender: sender.clone(),
                authority: address,
                request,
                body: body.clone(),
                counts: Arc::clone(&counts),
            };
            running.spawn(call.repeat());
        }
        Ok(Self { counts, running })
    }
}

/// What requests are sent by.
pub(super) type Sender = SendRequest<Bytes>;

pub(super) async fn connect(
    address: SocketAddr,
    tls: Option<&Arc<ClientConfig>>,
) -> io::Result<Sender> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let Some(tls) = tls else {
        return agree(stream).await;
    };
    let name = ServerName::IpAddress(address.ip().into());
    agree(
        TlsConnector::from(Arc::clone(tls))
            .connect(name, stream)
            .await?,
    )
    .await
}

async fn agree(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> io::Result<Sender> {
    let (sender, connection) = h2::client::Builder::new()
        .initial_window_size(WINDOWS.0)
        .initial_connection_window_size(WINDOWS.1)
        .handshake(stream)
        .await
        .map_err(io::Error::other)?;
    // What breaks the connection, its streams report.
    tokio::spawn(async { drop(connection.await) });
    Ok(sender)
}

/// One client.
pub(super) struct Call {
    pub(super) sender: Sender,
    pub(super) authority: SocketAddr,
    pub(super) request: Request,
    pub(super) body: Bytes,
    pub(super) counts: Arc<Counts>,
}

impl Call {
    async fn repeat(self) -> io::Result<()> {
        let mut opened = false;
        while !self.counts.stop.load(Relaxed) {
            self.once(&mut opened).await?;
            if self.request.answer == Answer::Paced {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Sends the request and reads the answer to its end; `opened` when a chunk has come.
    pub(super) async fn once(&self, opened: &mut bool) -> io::Result<()> {
        let mut sender = self.sender.clone().ready().await.map_err(broken)?;
        let (response, mut sending) = sender.send_request(self.head()?, false).map_err(broken)?;
        sending.send_data(self.body.clone(), true).map_err(broken)?;
        let response = response.await.map_err(broken)?;
        if response.status() != StatusCode::OK {
            return Err(io::Error::other(format!(
                "answered with {}",
                response.status()
            )));
        }
        let mut body = response.into_body();
        let mut reading = Reading::new(self.request);
        while let Some(data) = body.data().await {
            let data = data.map_err(broken)?;
            reading.data(&data, &self.counts, |_| {
                if !std::mem::replace(opened, true) {
                    self.counts.open.fetch_add(1, Relaxed);
                }
            });
            body.flow_control()
                .release_capacity(data.len())
                .map_err(broken)?;
        }
        reading.end(&self.counts)
    }

    fn head(&self) -> io::Result<Head<()>> {
        let mut head = Head::post(format!("http://{}/v1/chat/completions", self.authority))
            .header("content-length", HeaderValue::from(self.body.len()));
        for (name, value) in self.request.headers() {
            head = head.header(name, value);
        }
        head.body(()).map_err(|_| bad("a head that is none"))
    }
}

fn broken(error: h2::Error) -> io::Error {
    io::Error::other(error)
}
