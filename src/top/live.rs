//! The live page: keys, news and signals, one after another, each followed by a drawing.

use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::{io, thread};

use ratatui::crossterm::event::{self, Event, KeyEvent};

use super::Stopped;
use super::client::Client;
use super::keys;
use super::model::{Model, Then};
use super::news::News;
use super::screen::Screen;
use super::view::{self, Palette};
use super::watch::Watch;

/// What waits at most to be shown. A thread that has more waits itself.
const WAITING: usize = 16;

/// What something happened to.
enum Input {
    Key(KeyEvent),
    News(News),
    /// The terminal has another size.
    Resized,
    /// A signal asks for the end.
    Stop,
    /// One of the threads is gone.
    Gone,
}

/// What is shown, and how.
pub(super) struct Live {
    pub(super) client: Client,
    pub(super) limit: usize,
    pub(super) filter: String,
    /// The conversation that it begins with.
    pub(super) conversation: Option<String>,
    pub(super) palette: Palette,
}

impl Live {
    /// Shows it until a key or a signal ends it.
    ///
    /// # Errors
    /// When there is no terminal, or it is gone.
    pub(super) fn run(self, listen: impl FnOnce() -> io::Result<Stopped>) -> io::Result<()> {
        let mut model = Model::new(self.client.shown());
        if let Some(id) = &self.conversation {
            model.show_conversation(id);
        }
        // Before: a signal would leave the terminal as it is.
        let stopped = listen()?;
        let mut screen = Screen::take()?;
        let (inputs, happened) = sync_channel(WAITING);
        let (asks, asked) = channel();
        spawn(&inputs, "signals", move |inputs| {
            stopped();
            // Nobody hears it where the end has come already.
            let _ = inputs.send(Input::Stop);
        })?;
        spawn(&inputs, "keys", read_keys)?;
        let (client, limit, filter) = (self.client, self.limit, self.filter);
        let subject = model.subject();
        spawn(&inputs, "watch", move |inputs| {
            Watch::new(&client, limit, filter)
                .beside(subject)
                .run(&asked, |news| inputs.send(Input::News(news)).is_ok());
        })?;
        loop {
            screen.draw(|frame| view::draw(frame, &mut model, self.palette))?;
            for input in next(&happened) {
                match input {
                    Input::Key(key) => {
                        let action = keys::action(key, model.is_writing());
                        match action.map_or(Then::Nothing, |action| model.act(action)) {
                            Then::Quit => return Ok(()),
                            // The thread that is asked is gone only when the end has been said.
                            Then::Ask(ask) => drop(asks.send(ask)),
                            Then::Nothing => {}
                        }
                    }
                    Input::News(news) => model.hear(news),
                    Input::Resized => {}
                    Input::Stop => return Ok(()),
                    Input::Gone => return Err(io::Error::other("the terminal is gone")),
                }
            }
        }
    }
}

/// Waits for what happens, and gives all that has by then: a burst is drawn once.
fn next(happened: &Receiver<Input>) -> Vec<Input> {
    let first = happened.recv().unwrap_or(Input::Gone);
    std::iter::once(first)
        .chain(happened.try_iter().take(WAITING))
        .collect()
}

/// Runs a part on a thread of its own. Its end is the end of all, by a panic too: nothing would be shown any more.
fn spawn(
    inputs: &SyncSender<Input>,
    name: &str,
    part: impl FnOnce(&SyncSender<Input>) + Send + 'static,
) -> io::Result<()> {
    let guard = Ends(inputs.clone());
    thread::Builder::new()
        .name(format!("top-{name}"))
        .spawn(move || part(&guard.0))?;
    Ok(())
}

/// Says the end when it is dropped.
struct Ends(SyncSender<Input>);

impl Drop for Ends {
    fn drop(&mut self) {
        // Nobody hears it where the end has come already.
        let _ = self.0.send(Input::Gone);
    }
}

/// Reads keys until the terminal is gone.
fn read_keys(inputs: &SyncSender<Input>) {
    while let Ok(event) = event::read() {
        let input = match event {
            Event::Key(key) => Input::Key(key),
            Event::Resize(..) => Input::Resized,
            _ => continue,
        };
        if inputs.send(input).is_err() {
            return;
        }
    }
}
