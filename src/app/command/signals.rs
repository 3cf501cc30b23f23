//! The signals that the process takes.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::proxy::Proxy;
use crate::serve::{Certificate, TlsError};

/// SIGTERM and SIGINT, one after another. SIGHUP has certificates read again. Where there are none, it is ignored with a line in
/// the log, as is SIGUSR1; either would end the process otherwise.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    user: Signal,
    renewing: Option<Renewing>,
}

/// Whose certificates are read again.
#[derive(Clone)]
struct Renewing {
    /// Those of upstreams.
    proxy: Arc<Proxy>,
    /// The one that clients are shown.
    listener: Option<Arc<Certificate>>,
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

    /// Has SIGHUP renew the certificates of a proxy and of its listener.
    pub(super) fn renew(&mut self, proxy: Arc<Proxy>, listener: Option<Arc<Certificate>>) {
        self.renewing = Some(Renewing { proxy, listener });
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

    /// Has certificates read again, where there are any; says whether. A file may take its time, or never come.
    fn renewed(&self) -> bool {
        let has_any = |it: &Renewing| it.listener.is_some() || it.proxy.has_certificates();
        let Some(renewing) = self.renewing.clone().filter(has_any) else {
            return false;
        };
        let Renewing { proxy, listener } = renewing;
        if let Some(listener) = listener {
            tokio::task::spawn_blocking(move || report_listener(listener.renew()));
        }
        tokio::task::spawn_blocking(move || {
            proxy.renew_certificates().iter().for_each(report);
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
