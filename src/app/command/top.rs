//! `top`: the signals that end it, and where its options come from.

use std::io;

use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::TopArgs;
use crate::log;
use crate::top::{self, Options, Stopped};

/// Where the token comes from, if not from the command line: others can read that.
const TOKEN: &str = "STREAMGAUGE_ADMIN_TOKEN";

pub(super) fn top(args: &TopArgs) -> anyhow::Result<()> {
    let token = args.token.clone().or_else(|| std::env::var(TOKEN).ok());
    let options = Options {
        url: args.url.clone(),
        token: token.filter(|token| !token.is_empty()),
        filter: args.filter.clone().unwrap_or_default(),
        limit: args.limit.into(),
        conversation: args.conversation.clone(),
        once: args.once,
        json: args.json,
    };
    let lost = |problem: &top::Problem| log::failed(&format!("{problem}; trying again"));
    Ok(top::run(&options, listen, lost)?)
}

/// Takes over the signals that ask for the end, or say that the terminal is gone; what it gives returns at the first.
/// Only a page that has taken over a terminal wants it: without, they end the process.
fn listen() -> io::Result<Stopped> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let entered = runtime.enter();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    drop(entered);
    Ok(Box::new(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = hangup.recv() => {}
            }
        });
    }))
}
