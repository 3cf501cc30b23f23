//! The signals that the process takes.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::pipeline::PriceConfig;
use crate::proxy::Proxy;
use crate::serve::{Certificate, TlsError};

/// SIGTERM and SIGINT, one after another. SIGHUP has certificates and the user's own prices read again. Where there are none, it is ignored with a line in
/// the log, as is SIGUSR1; either would end the process otherwise.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    user: Signal,
    renewing: Option<Renewing>,
}

/// What is read again.
#[derive(Clone)]
struct Renewing {
    /// The certificates of its upstreams.
    proxy: Arc<Proxy>,
    /// The certificate that clients are shown.
    listener: Option<Arc<Certificate>>,
    /// The user's own prices.
    prices: PriceConfig,
}

impl Signals {
    /// Takes the signals over from now on.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            user: signal(SignalKind::user_defined1())?,
            renewing: None,
        })
    }

    /// Has SIGHUP renew the certificates of a proxy and of its listener, and prices.
    pub(super) fn renew(
        &mut self,
        proxy: Arc<Proxy>,
        listener: Option<Arc<Certificate>>,
        prices: PriceConfig,
    ) {
        self.renewing = Some(Renewing {
            proxy,
            listener,
            prices,
        });
    }

    /// Waits for the next that asks the process to stop.
    pub(super) async fn next(&mut self) {
        loop {
            let ignored = tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => {
                    if self.renewed() {
                        continue;
                    }
                    "SIGHUP"
                }
                _ = self.user.recv() => "SIGUSR1",
            };
            tracing::warn!(
                signal = ignored,
                "ignored a signal: the configuration is read at start only; restart streamgauge to apply changes"
            );
        }
    }

    /// Has files read again, where there are any; says whether. A file may take its time, or never come.
    fn renewed(&self) -> bool {
        let has_files = |it: &Renewing| {
            it.listener.is_some() || it.proxy.has_certificates() || it.prices.file.is_some()
        };
        let Some(renewing) = self.renewing.clone().filter(has_files) else {
            return false;
        };
        let Renewing {
            proxy,
            listener,
            prices,
        } = renewing;
        if let Some(listener) = listener {
            tokio::task::spawn_blocking(move || report_listener(listener.renew()));
        }
        tokio::task::spawn_blocking(move || {
            proxy.renew_certificates().iter().for_each(report);
            renew_prices(&prices);
        });
        true
    }
}

/// Logs what became of the certificate that clients are shown.
fn report_listener(outcome: Result<(), TlsError>) {
    match outcome {
        Ok(()) => tracing::info!(
            "the certificate for clients was read again; the rest of the configuration is read at start only"
        ),
        Err(error) => tracing::warn!(
            %error,
            "the certificate for clients cannot be read again; the one that was read before stays in use"
        ),
    }
}

/// Reads the user's own prices again, where they are in a file, and logs what became of that.
fn renew_prices(prices: &PriceConfig) {
    let Some(file) = &prices.file else { return };
    let file = file.display();
    match prices.renew() {
        Ok(()) => {
            tracing::info!(
                %file,
                "the prices were read again; calls that end from now on have them; the rest of the configuration is read at start only"
            );
            for oddity in prices.oddities() {
                let warning = format!("prices = {file}: {oddity}");
                tracing::warn!("{warning}");
            }
        }
        Err(error) => tracing::warn!(
            %file,
            %error,
            "the prices cannot be read again; those that were read before stay in use"
        ),
    }
}

/// Logs what became of the certificates of an upstream.
fn report((upstream, outcome): &(Arc<str>, io::Result<()>)) {
    match outcome {
        Ok(()) => tracing::info!(
            %upstream,
            "the certificates of the upstream were read again; the rest of the configuration is read at start only"
        ),
        Err(error) => tracing::warn!(
            %upstream,
            %error,
            "the certificates of the upstream cannot be read again; those that were read before stay in use"
        ),
    }
}
