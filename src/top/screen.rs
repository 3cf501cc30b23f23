//! The terminal: taken over, and given back however the program ends.

use std::io::{self, Stdout};
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::{Frame, Terminal};

/// Whether the terminal is ours at the moment.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal of the process, taken over until it is dropped.
pub(super) struct Screen(Terminal<CrosstermBackend<Stdout>>);

impl Screen {
    /// Takes it over. A panic on any thread gives it back before it is reported.
    ///
    /// # Errors
    /// When standard input and output are no terminal.
    pub(super) fn take() -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let report = panic::take_hook();
            panic::set_hook(Box::new(move |panic| {
                give_back();
                report(panic);
            }));
        });
        enable_raw_mode()?;
        IS_TAKEN.store(true, Ordering::SeqCst);
        let taken = execute!(io::stdout(), EnterAlternateScreen)
            .and_then(|()| Terminal::new(CrosstermBackend::new(io::stdout())));
        // Otherwise there is nobody whose end gives it back.
        taken.map(Self).inspect_err(|_| give_back())
    }

    /// Draws what has changed.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.0.draw(draw).map(|_| ())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back once. Each step is tried though one before has failed: there is nobody to report to.
fn give_back() {
    if IS_TAKEN.swap(false, Ordering::SeqCst) {
        let _ = disable_raw_mode();
        let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::Read as _;
    use std::process;

    use super::*;

    /// What the next test runs in a process of its own, at a terminal.
    const PANICS: &str = "top::screen::tests::a_panic_at_a_terminal";

    #[test]
    #[ignore = "panics; it is run by the test below"]
    fn a_panic_at_a_terminal() {
        let mut screen = Screen::take().unwrap();
        screen
            .draw(|frame| frame.render_widget("drawn", frame.area()))
            .unwrap();
        let gone = std::thread::spawn(|| panic!("of a thread"));
        assert!(gone.join().is_err());
    }

    #[test]
    fn a_panic_on_any_thread_gives_the_terminal_back_before_it_is_reported() {
        let (mut pty, terminal) = pty_process::blocking::open().unwrap();
        pty.resize(pty_process::Size::new(24, 80)).unwrap();
        let program = std::env::current_exe().unwrap();
        let command = pty_process::blocking::Command::new(program);
        let arguments = ["--ignored", "--exact", PANICS, "--nocapture"];
        let mut child = command.args(arguments).spawn(terminal).unwrap();
        let mut written = Vec::new();
        // It ends with an error once nobody has the other end.
        let _ = pty.read_to_end(&mut written);
        let status: process::ExitStatus = child.wait().unwrap();
        let written = String::from_utf8_lossy(&written).into_owned();
        assert!(status.success(), "{written}");
        let at = |text: &str| {
            written
                .find(text)
                .unwrap_or_else(|| panic!("no {text:?} in {written:?}"))
        };
        let order = [
            at("\x1b[?1049h"),
            at("drawn"),
            at("\x1b[?1049l"),
            at("\x1b[?25h"),
            at("of a thread"),
        ];
        assert!(order.is_sorted(), "{order:?} {written:?}");
    }
}
