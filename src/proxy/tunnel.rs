//! Connections that change their protocol (WebSocket and any other): both sides joined, byte for byte.
//!
//! The request and the `101` that answers it pass as any other exchange; what follows them is no HTTP any more, and is passed
//! on and shown as it is. A side that reads slowly holds the other one: between the two there is a buffer of fixed size for
//! each direction. It knows no protocol by name. RFC 9110 §7.8.

use http::StatusCode;
use tokio::sync::watch;

use super::client::ClientUpgrade;
use super::request_body::Outgoing;
use crate::http1::Upgraded;
use crate::tap::{Close, Side, Tap};
use crate::tee::TunnelTee;
use crate::upstream::ResponseBody;

/// The tunnels that are open, to be waited for.
#[derive(Debug, Default)]
pub struct Tunnels(watch::Sender<()>);

impl Tunnels {
    /// Resolves when none is open.
    pub async fn closed(&self) {
        self.0.closed().await;
    }

    /// Joins both sides as soon as the `101` is out, and ends the exchange when either side has failed or both have
    /// finished. One side may finish and the other go on.
    pub(super) fn join(&self, Ends { client, upstream }: Ends, tap: Tap) {
        let open = self.0.subscribe();
        let mut ending = Ending {
            close: Close::Dropped,
            tap,
        };
        tokio::spawn(async move {
            if let Some(client) = client.connection().await {
                let tee = |io, side| TunnelTee::new(io, side, ending.tap.clone());
                let mut client = tee(client, Side::Client);
                let mut upstream = tee(upstream, Side::Upstream);
                // Where the end of a tunnel should be only its two ends know: a side that aborts has ended it too.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut upstream).await;
                ending.close = Close::Complete;
            }
            drop((ending, open));
        });
    }
}

/// Ends the exchange of a tunnel, also where its task is cut off.
struct Ending {
    close: Close,
    tap: Tap,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let switched = Some(StatusCode::SWITCHING_PROTOCOLS);
        self.tap.close(super::closing(self.close.clone(), switched));
    }
}

/// Both sides of a connection that changes its protocol.
#[derive(Debug)]
pub(super) struct Ends {
    /// Towards the client.
    client: ClientUpgrade,
    /// Towards the upstream.
    upstream: Upgraded,
}

impl Ends {
    /// The ends, where both are connections that can change.
    pub(super) fn of(
        client: Option<ClientUpgrade>,
        mut upstream: ResponseBody<Box<Outgoing>>,
    ) -> Option<Self> {
        client
            .zip(upstream.upgraded())
            .map(|(client, upstream)| Self { client, upstream })
    }
}
