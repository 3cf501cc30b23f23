//! A server as a process of its own: started, waited for until it listens, ended when dropped.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::cpu;

/// Longest time until a server listens; LiteLLM takes half of it on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A started server; dropping it ends it and what it has started.
pub(crate) struct Process {
    /// From its start until it accepted a connection.
    pub(crate) start_up: Duration,
    /// When it was started.
    pub(crate) started: Instant,
    program: String,
    child: Child,
}

impl Process {
    /// Starts a server that logs to a file, and waits until it listens.
    ///
    /// # Errors
    ///
    /// It could not be started, ended at once, or does not listen in time.
    pub(crate) fn start(
        mut command: Command,
        address: SocketAddr,
        log_file: &Path,
    ) -> io::Result<Self> {
        let log = fs::File::create(log_file)?;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let program = command.get_program().to_string_lossy().into_owned();
        let started = Instant::now();
        let child = command
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("{program}: {error}")))?;
        let mut process = Self {
            start_up: Duration::ZERO,
            started,
            program,
            child,
        };
        process.wait_until_listening(address).map_err(|error| {
            let log = fs::read_to_string(log_file).unwrap_or_default();
            let last_line = log.lines().next_back().unwrap_or("its log is empty");
            io::Error::other(format!("{} {error}: {last_line}", process.program))
        })?;
        process.start_up = started.elapsed();
        Ok(process)
    }

    /// Itself and all that descend from it, as of now; the first is itself.
    pub(crate) fn family(&self) -> Vec<u32> {
        cpu::family(self.child.id())
    }

    /// Asks one process of the family to end by SIGTERM, and waits for all of them.
    ///
    /// # Errors
    ///
    /// It does not heed it within fifteen seconds; it is killed then.
    pub(crate) fn end(&mut self, asked: u32) -> io::Result<()> {
        // Where `kill` cannot be run, the wait below tells.
        drop(Command::new("kill").arg(asked.to_string()).status());
        for _ in 0..1500 {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        for process in self.family().iter().rev() {
            drop(
                Command::new("kill")
                    .args(["-KILL", &process.to_string()])
                    .status(),
            );
        }
        self.child.wait()?;
        Err(io::Error::other(format!(
            "{} did not end on SIGTERM within 15 s",
            self.program
        )))
    }

    fn wait_until_listening(&mut self, address: SocketAddr) -> io::Result<()> {
        while TcpStream::connect(address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!(
                    "ended before it listened ({status})"
                )));
            }
            if self.started.elapsed() > PATIENCE {
                return Err(io::Error::other(format!(
                    "does not listen after {} s",
                    PATIENCE.as_secs()
                )));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // It has been killed where it did not end by itself.
            drop(self.end(self.child.id()));
        }
    }
}

/// The command, kept to the first so many of the CPUs that this process may use.
///
/// A runtime that asks the system how much it may use, as tokio's does, starts that many threads; nginx does not ask.
pub(crate) fn on_cores(command: Command, cores: usize) -> Command {
    let cpus: Vec<String> = cpu::allowed()
        .iter()
        .take(cores)
        .map(ToString::to_string)
        .collect();
    prefixed("taskset", &["-c", &cpus.join(",")], &command)
}

/// A program and its arguments put before a command.
pub(crate) fn prefixed(program: &str, arguments: &[&str], command: &Command) -> Command {
    let mut prefixed = Command::new(program);
    prefixed.args(arguments).arg(command.get_program());
    told(prefixed, command)
}

/// Another program, told the same.
pub(crate) fn replaced(program: &OsStr, command: &Command) -> Command {
    told(Command::new(program), command)
}

/// A command with the arguments and the environment of another.
fn told(mut told: Command, command: &Command) -> Command {
    told.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => told.env(name, value),
            None => told.env_remove(name),
        };
    }
    told
}

/// An address on which nobody listens; nothing keeps it free, but the kernel hands out others first.
///
/// # Errors
///
/// No port is free.
pub(crate) fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}
