//! The signals that the process takes.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::proxy::Proxy;

/// SIGTERM and SIGINT, one after another. SIGHUP has certificates read again. Where there are none, it is ignored with a line in
/// the log, as is SIGUSR1; either would end the process otherwise.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    user: Signal,
    /// Whose certificates.
    renewing: Option<Arc<Proxy>>,
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

    /// Has SIGHUP renew the certificates of a proxy.
    pub(super) fn renew(&mut self, proxy: Arc<Proxy>) {
        self.renewing = Some(proxy);
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
        let renewing = self.renewing.clone();
        let Some(proxy) = renewing.filter(|proxy| proxy.has_certificates()) else {
            return false;
        };
        tokio::task::spawn_blocking(move || {
            proxy.renew_certificates().iter().for_each(report);
        });
        true
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
