//! The binary at a terminal: a pseudo-terminal with an emulator behind it, which says what would be seen.

use std::io::{Read as _, Write as _};
use std::num::NonZeroU16;
use std::process::ExitStatus;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use pty_process::Size;
use pty_process::blocking::{Command, Pts, Pty};

use super::DEADLINE;

/// What clears a screen.
const CLEAR: &[u8] = b"\x1b[2J";

/// What was written, and what it looks like.
struct Shown {
    emulator: vt100::Parser,
    written: Vec<u8>,
}

impl Shown {
    /// How often the screen was cleared.
    fn clears(&self) -> usize {
        let parts = self.written.windows(CLEAR.len());
        parts.filter(|part| *part == CLEAR).count()
    }
}

/// A program at a terminal; killed when dropped.
pub(crate) struct Terminal {
    pty: Arc<Pty>,
    line: Pts,
    pid: u32,
    ended: Receiver<ExitStatus>,
    shown: Arc<(Mutex<Shown>, Condvar)>,
}

fn size(lines: u16, columns: u16) -> (NonZeroU16, NonZeroU16) {
    (
        NonZeroU16::new(lines).unwrap(),
        NonZeroU16::new(columns).unwrap(),
    )
}

impl Terminal {
    /// Starts the binary at a terminal of 24 lines and 100 columns.
    pub(crate) fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let (pty, line) = pty_process::blocking::open().unwrap();
        pty.resize(Size::new(24, 100)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_streamgauge"))
            .args(arguments)
            .env_clear()
            .env("TERM", "xterm-256color")
            .envs(variables.iter().copied());
        let mut child = command.spawn_borrowed(&line).unwrap();
        let (pid, (ends, ended)) = (child.id(), channel());
        std::thread::spawn(move || ends.send(child.wait().unwrap()));
        let (lines, columns) = size(24, 100);
        let shown = Shown {
            emulator: vt100::Parser::new(lines, columns, 0),
            written: Vec::new(),
        };
        let terminal = Self {
            pty: Arc::new(pty),
            line,
            pid,
            ended,
            shown: Arc::new((Mutex::new(shown), Condvar::new())),
        };
        terminal.read();
        terminal
    }

    /// Reads on a thread what is written, until nobody can write any more.
    fn read(&self) {
        let (pty, shown) = (Arc::clone(&self.pty), Arc::clone(&self.shown));
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(length @ 1..) = (&*pty).read(&mut part) {
                let mut now = shown.0.lock().unwrap();
                now.emulator.process(&part[..length]);
                now.written.extend_from_slice(&part[..length]);
                shown.1.notify_all();
            }
        });
    }

    /// Presses keys.
    pub(crate) fn press(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
    }

    /// Gives the terminal another size, and waits until it is drawn anew, which begins with an empty screen.
    pub(crate) fn resize_and_wait(&self, lines: u16, columns: u16) {
        let (height, width) = size(lines, columns);
        let before = {
            let mut shown = self.shown.0.lock().unwrap();
            shown.emulator.screen_mut().set_size(height, width);
            shown.clears()
        };
        self.pty.resize(Size::new(lines, columns)).unwrap();
        self.wait_until("a drawing of another size", |shown| shown.clears() > before);
    }

    /// Waits until what is seen fulfils a condition; `what` names it.
    pub(crate) fn wait_for(
        &self,
        what: &str,
        condition: impl Fn(&vt100::Screen) -> bool,
    ) -> String {
        self.wait_until(what, |shown| condition(shown.emulator.screen()))
    }

    fn wait_until(&self, what: &str, condition: impl Fn(&Shown) -> bool) -> String {
        let began = Instant::now();
        let mut shown = self.shown.0.lock().unwrap();
        while !condition(&shown) {
            let left = DEADLINE.saturating_sub(began.elapsed());
            let seen = shown.emulator.screen().contents();
            assert!(
                left > Duration::ZERO,
                "waited in vain for {what}; seen is\n{seen}"
            );
            shown = self.shown.1.wait_timeout(shown, left).unwrap().0;
        }
        shown.emulator.screen().contents()
    }

    /// Waits until a text is seen.
    pub(crate) fn wait_for_text(&self, text: &str) -> String {
        self.wait_for(text, |screen| screen.contents().contains(text))
    }

    /// Whether a condition holds for what is seen now.
    pub(crate) fn shows(&self, condition: impl Fn(&vt100::Screen) -> bool) -> bool {
        condition(self.shown.0.lock().unwrap().emulator.screen())
    }

    /// All bytes that were written so far.
    pub(crate) fn written(&self) -> String {
        String::from_utf8_lossy(&self.shown.0.lock().unwrap().written).into_owned()
    }

    /// Sends it a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.pid);
        let status = std::process::Command::new("sh")
            .args(["-c", &kill])
            .status();
        assert!(status.unwrap().success(), "{kill}");
    }

    /// Waits until it has ended, and what it wrote is seen.
    pub(crate) fn wait(&self) -> ExitStatus {
        let status = self.ended.recv_timeout(DEADLINE).unwrap();
        // What a program after it writes comes behind all that it wrote.
        self.run("echo it is over");
        self.wait_for_text("it is over");
        status
    }

    /// Runs a command of the shell at the same terminal, once the program has ended.
    pub(crate) fn run(&self, command: &str) {
        let mut shell = Command::new("sh").args(["-c", command]);
        let status = shell.spawn_borrowed(&self.line).unwrap().wait().unwrap();
        assert!(status.success(), "{command}");
    }

    /// Whether the program that has ended left the terminal as it was: lines are edited and echoed by it, the cursor is
    /// seen, and so is what was there before.
    pub(crate) fn is_as_it_was(&self) -> bool {
        self.run(
            "stty -a | tr ' ;' '\\n\\n' | grep -x -e icanon -e echo -e isig | sort | tr '\\n' '+'",
        );
        let modes = |screen: &vt100::Screen| screen.contents().contains("echo+icanon+isig+");
        self.wait_for("the modes of the terminal", modes);
        self.shows(|screen| !screen.alternate_screen() && !screen.hide_cursor())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Err(TryRecvError::Empty) = self.ended.try_recv() {
            self.signal("KILL");
        }
    }
}
