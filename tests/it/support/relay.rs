//! The real binary between two raw ends: the bytes that one end sends, and the bytes that the other one gets.

use super::client;
use super::http1::{Connection, Message};
use super::process::{Program, Server};
use super::upstream::Upstream;
use super::within;

/// A running proxy in front of a scripted upstream.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) server: Server,
    pub(crate) upstream: Upstream,
}

/// One client's connection, and the upstream's connection that serves it, once there is one.
#[derive(Debug)]
pub(crate) struct Pair<'a> {
    pub(crate) client: Connection,
    pub(crate) served: Option<Connection>,
    /// How many connections the upstream has been sent requests of this pair by.
    pub(crate) connections: usize,
    upstream: &'a Upstream,
}

impl Relay {
    /// Starts both with every setting at its default.
    pub(crate) async fn start() -> Self {
        Self::with(|program| program).await
    }

    /// Starts both, the proxy as `change` makes it.
    pub(crate) async fn with(change: impl FnOnce(Program) -> Program) -> Self {
        let upstream = Upstream::start().await;
        let server = change(Program::serve(&upstream.base_url())).listen().await;
        Self { server, upstream }
    }

    /// Opens a client's connection.
    pub(crate) async fn pair(&self) -> Pair<'_> {
        Pair {
            client: client::connect(self.server.proxy).await,
            served: None,
            connections: 0,
            upstream: &self.upstream,
        }
    }

    /// Waits until a line of `/metrics` with this name and label has this value.
    pub(crate) async fn metric(&self, name: &str, label: &str, value: &str) {
        let value = format!(" {value}");
        let there = async {
            loop {
                let page = client::get(self.server.admin, "/metrics").await;
                let is_it = |line: &str| {
                    line.starts_with(name) && line.contains(label) && line.ends_with(&value)
                };
                if page.text().lines().any(is_it) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        within(&format!("{name} {label}{value}"), there).await;
    }

    /// One exchange on connections of its own: what the upstream and what the client get.
    pub(crate) async fn exchange(
        &self,
        request: impl AsRef<[u8]>,
        response: impl AsRef<[u8]>,
    ) -> (Message, Message) {
        let mut pair = self.pair().await;
        let seen = pair.exchange(request, response).await;
        if let Some(served) = pair.served {
            served.close().await;
        }
        seen
    }
}

impl Pair<'_> {
    /// The upstream's end; waits for it to be connected.
    pub(crate) async fn served(&mut self) -> &mut Connection {
        if self.served.is_none() {
            self.served = Some(self.upstream.accept().await);
            self.connections += 1;
        }
        self.served.as_mut().unwrap()
    }

    /// Sends a request and gives what the upstream gets of it.
    pub(crate) async fn ask(&mut self, request: impl AsRef<[u8]>) -> Message {
        self.client.write(request).await;
        self.request().await
    }

    /// The next request that the upstream gets, by the connection that there is or by a new one: a client that is quick
    /// asks again before the last connection is back in the pool, and after an error answer it may be closed.
    pub(crate) async fn request(&mut self) -> Message {
        if let Some(served) = &mut self.served {
            tokio::select! {
                biased;
                over = served.is_over() => if over {
                    self.served = None;
                },
                connection = self.upstream.accept() => {
                    self.served = Some(connection);
                    self.connections += 1;
                }
            }
        }
        self.served().await.read_request().await
    }

    /// Sends a response and gives what the client gets of it.
    pub(crate) async fn answer(&mut self, response: impl AsRef<[u8]>) -> Message {
        self.served().await.write(response).await;
        self.client.read_response().await
    }

    /// One request and its response: what the upstream and what the client get.
    pub(crate) async fn exchange(
        &mut self,
        request: impl AsRef<[u8]>,
        response: impl AsRef<[u8]>,
    ) -> (Message, Message) {
        (self.ask(request).await, self.answer(response).await)
    }
}
