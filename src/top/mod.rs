//! `streamgauge top`: what an admin port shows, at a terminal. Knows the HTTP API and nothing else of streamgauge, so that it
//! shows one on another machine as well as one on this.
//!
//! ```text
//! keys ─▶ model ─▶ view ─▶ screen
//!          ▲  │ asks
//!       news │  ▼
//!         watch ─▶ client ─▶ /api/…
//! ```
//!
//! The model is plain facts and the view draws cells: both are tested without a terminal. All text of the API may have been
//! chosen by a client or an upstream; it becomes `text::Text` as it is read, which has nothing that a terminal obeys.

mod api;
mod client;
mod column;
mod folded;
mod follow;
mod keys;
mod live;
mod model;
mod news;
mod plain;
mod prompt;
mod screen;
mod text;
mod view;
mod watch;

use std::io::{self, IsTerminal as _, Write as _};

use client::Client;
pub use client::Problem;
use live::Live;
use news::Mistake;
use plain::Moment;
pub(crate) use text::{shown_json, shown_lines};
use view::Palette;

/// What is asked of it.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The URL of an admin port.
    pub url: String,
    /// What the admin port wants to know.
    pub token: Option<String>,
    /// Which exchanges are shown; empty for all.
    pub filter: String,
    /// Most exchanges that are shown, 1 to 1000.
    pub limit: usize,
    /// The id of a conversation that is shown instead of all there is, or its beginning.
    pub conversation: Option<String>,
    /// Print what is to be seen now, and end.
    pub once: bool,
    /// Print JSON.
    pub json: bool,
}

/// Returns when a signal asks for the end.
pub type Stopped = Box<dyn FnOnce() + Send>;

/// Why it ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The admin port did not give what was asked for.
    #[error(transparent)]
    Problem(#[from] Problem),
    /// The filter has a mistake; it is shown with the place.
    #[error("the filter has a mistake:\n{0}\n{1}")]
    Filter(String, String),
    /// There is no terminal, or nothing can be written.
    #[error("{0}; --once and --json need no terminal")]
    Terminal(io::Error),
    /// Nothing can be written.
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
}

/// Shows it until it is told to stop. Where standard output is no terminal it is shown once. `listen` is called before a
/// terminal is taken over, and only then. `lost` hears of an answer that does not come while lines are written.
///
/// # Errors
/// When there is no answer to begin with, or no terminal.
pub fn run(
    options: &Options,
    listen: impl FnOnce() -> io::Result<Stopped>,
    lost: impl FnMut(&Problem),
) -> Result<(), Error> {
    let Options { filter, limit, .. } = options;
    let client = Client::new(&options.url, options.token.as_deref())?;
    let mut out = io::stdout();
    let shown = |problem| of_filter(problem, filter);
    match (
        &options.conversation,
        options.json,
        options.once || !is_live(),
    ) {
        (Some(id), true, _) => {
            let client = client.once();
            let id = client.whole_id(id)?;
            written(plain::write_conversation_json(&client, &id, &mut out)?)
        }
        (Some(id), false, true) => {
            let client = client.once();
            let whole = client.conversation(&client.whole_id(id)?)?;
            written(plain::write_conversation(&whole, &mut out).and_then(|()| out.flush()))
        }
        (None, true, _) if options.once => {
            written(plain::write_json(&client.once(), *limit, filter, &mut out).map_err(shown)?)
        }
        (None, true, _) => follow::follow(&client, filter, &mut out, lost).map_err(shown),
        (None, false, true) => {
            let moment = Moment::now(&client.once(), *limit, filter).map_err(shown)?;
            written(moment.write(&mut out).and_then(|()| out.flush()))
        }
        (conversation, false, false) => {
            let id = conversation.as_deref().map(|id| client.whole_id(id));
            Live {
                conversation: id.transpose()?,
                client,
                limit: *limit,
                filter: filter.clone(),
                palette: Palette {
                    has_colors: has_colors(),
                },
            }
            .run(listen)
            .map_err(Error::Terminal)
        }
    }
}

/// Whether there is a terminal that can show a page.
fn is_live() -> bool {
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stdout().is_terminal() && !is_dumb
}

/// By <https://no-color.org>.
fn has_colors() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A reader that has seen enough is no fault.
fn written(outcome: io::Result<()>) -> Result<(), Error> {
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::Output(error)),
        _ => Ok(()),
    }
}

/// A mistake in the filter with its place below it.
fn of_filter(problem: Problem, filter: &str) -> Error {
    match problem {
        Problem::Query { message, position } if !filter.is_empty() => {
            let filter = text::Text::new(filter);
            let mistake = Mistake { message, position };
            let [filter, mark] = view::mistake_lines(&filter, &mistake, usize::MAX);
            Error::Filter(filter, mark)
        }
        problem => Error::Problem(problem),
    }
}

#[cfg(test)]
mod tests;
