//! The real binary: started on free ports, watched by its log, stopped by signals.

use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use super::{DEADLINE, within};

/// A command line of the binary under test, not yet started. It inherits no `OTEL_*`, no `STREAMGAUGE_*` and no `*_PROXY`
/// variable.
#[derive(Debug)]
pub(crate) struct Program {
    command: Command,
    /// Standard error is read up to the line with this.
    read_up_to: Option<&'static str>,
}

/// A started binary; killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pid: u32,
    stderr: watch::Receiver<Log>,
    stdout: watch::Receiver<Log>,
}

/// `streamgauge serve`, listening.
#[derive(Debug)]
pub(crate) struct Server {
    /// The process itself.
    pub(crate) process: Process,
    /// Where clients connect.
    pub(crate) proxy: SocketAddr,
    /// Where `/metrics` and health are served.
    pub(crate) admin: SocketAddr,
}

/// The lines a process has written so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log {
    /// One entry a line, without line ends.
    pub(crate) lines: Vec<String>,
    /// Whether the process has closed it.
    pub(crate) is_over: bool,
}

impl Log {
    /// The lines that are a JSON object with this message.
    pub(crate) fn messages(&self, message: &str) -> impl Iterator<Item = Value> {
        let parsed = self
            .lines
            .iter()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        parsed.filter(move |line| line["message"] == message)
    }

    /// Everything, as one text.
    pub(crate) fn text(&self) -> String {
        self.lines.join("\n")
    }
}

impl Program {
    /// The binary with arguments.
    pub(crate) fn new<I, A>(arguments: I) -> Self
    where
        I: IntoIterator<Item = A>,
        A: AsRef<std::ffi::OsStr>,
    {
        let mut command = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            let is_proxy = name.to_ascii_uppercase().ends_with("_PROXY");
            if is_proxy || name.starts_with("OTEL_") || name.starts_with("STREAMGAUGE_") {
                command.env_remove(name);
            }
        }
        command
            .env("STREAMGAUGE_LOG_FORMAT", "json")
            .args(arguments);
        Self {
            command,
            read_up_to: None,
        }
    }

    /// `serve` on free ports in front of an upstream.
    pub(crate) fn serve(upstream: &str) -> Self {
        Self::new([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
            "--upstream",
            upstream,
        ])
    }

    /// `serve` on free ports with a configuration file, which has to name the upstreams.
    pub(crate) fn configured(file: &str) -> Self {
        Self::new([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
            "-c",
            file,
        ])
    }

    /// Adds arguments.
    pub(crate) fn args<const N: usize>(mut self, arguments: [&str; N]) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it under a limit of open files.
    pub(crate) fn open_files(self, limit: u32) -> Self {
        let inner = self.command.as_std();
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(format!("ulimit -n {limit} && exec \"$0\" \"$@\""))
            .arg(inner.get_program())
            .args(inner.get_args());
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        Self { command, ..self }
    }

    /// Has standard error read only until it says where it listens.
    pub(crate) fn unread(mut self) -> Self {
        self.read_up_to = Some("listening");
        self
    }

    /// Starts it.
    pub(crate) fn start(mut self) -> Process {
        let command = self
            .command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().unwrap();
        Process {
            pid: child.id().unwrap(),
            stdout: collect(child.stdout.take().unwrap(), None),
            stderr: collect(child.stderr.take().unwrap(), self.read_up_to),
            child,
        }
    }

    /// Starts a server and waits until it says where it listens.
    pub(crate) async fn listen(self) -> Server {
        let process = self.start();
        let line = process.message("listening").await;
        let address = |field: &str| -> SocketAddr {
            let value = line[field].as_str();
            value
                .and_then(|text| text.parse().ok())
                .unwrap_or_else(|| panic!("no address under {field:?} in {line}"))
        };
        let (proxy, admin) = (address("proxy"), address("admin"));
        Server {
            process,
            proxy,
            admin,
        }
    }
}

impl Process {
    /// Waits for a line of JSON on standard error with this message, and returns it.
    pub(crate) async fn message(&self, message: &str) -> Value {
        self.message_where(message, |_| true).await
    }

    /// The same of one that fulfils a condition.
    pub(crate) async fn message_where(
        &self,
        message: &str,
        condition: impl Fn(&Value) -> bool,
    ) -> Value {
        let what = format!("message {message:?}");
        let find = |log: &Log| log.messages(message).find(&condition);
        let log = self.wait_for(&what, |log| find(log).is_some()).await;
        find(&log).unwrap()
    }

    /// Waits until standard error fulfils a condition; `what` names it. Fails at once when the process ends before.
    pub(crate) async fn wait_for(&self, what: &str, condition: impl Fn(&Log) -> bool) -> Log {
        written(self.stderr.clone(), what, condition).await
    }

    /// The same of standard output.
    pub(crate) async fn wait_for_stdout(
        &self,
        what: &str,
        condition: impl Fn(&Log) -> bool,
    ) -> Log {
        written(self.stdout.clone(), what, condition).await
    }

    /// What it has written to standard error so far.
    pub(crate) fn stderr(&self) -> Log {
        self.stderr.borrow().clone()
    }

    /// What it has written to standard output so far.
    pub(crate) fn stdout(&self) -> Log {
        self.stdout.borrow().clone()
    }

    /// Most memory it has held so far besides the pages of its own file, in bytes. Linux counts only the sum of both; the pages
    /// of a debug build's file are a third of that, and stay.
    pub(crate) fn memory_peak(&self) -> usize {
        self.memory("VmHWM:") - self.memory("RssFile:")
    }

    /// Memory that it holds now besides the pages of its own file, in bytes.
    pub(crate) fn memory_own(&self) -> usize {
        self.memory("RssAnon:")
    }

    fn memory(&self, kind: &str) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(kind));
        let kib = line.unwrap().trim().trim_end_matches(" kB");
        kib.parse::<usize>().unwrap() << 10
    }

    /// Asks it to stop: SIGTERM.
    pub(crate) async fn terminate(&self) {
        self.signal("TERM").await;
    }

    /// Sends a signal by name. The shell has `kill` built in wherever there is a shell.
    pub(crate) async fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.pid);
        let status = Command::new("sh")
            .args(["-c", &kill])
            .status()
            .await
            .unwrap();
        assert!(status.success(), "{kill}: {status}");
    }

    /// Waits until it has ended.
    pub(crate) async fn wait(&mut self) -> ExitStatus {
        within("the process to end", self.child.wait())
            .await
            .unwrap()
    }

    /// Waits until it has ended and everything it wrote was read.
    pub(crate) async fn exit(&mut self) -> ExitStatus {
        let status = self.wait().await;
        for mut log in [self.stderr.clone(), self.stdout.clone()] {
            within("the end of the log", log.wait_for(|log| log.is_over))
                .await
                .unwrap();
        }
        status
    }
}

async fn written(
    mut log: watch::Receiver<Log>,
    what: &str,
    condition: impl Fn(&Log) -> bool,
) -> Log {
    let settled = log.wait_for(|log| log.is_over || condition(log));
    let settled = tokio::time::timeout(DEADLINE, settled).await;
    let settled = settled.map(|log| log.map(|log| log.clone()));
    match settled {
        Ok(Ok(log)) if condition(&log) => log,
        _ => panic!(
            "the process did not write {what}; it wrote\n{}",
            log.borrow().text()
        ),
    }
}

fn collect(
    stream: impl AsyncRead + Unpin + Send + 'static,
    up_to: Option<&'static str>,
) -> watch::Receiver<Log> {
    let (sender, receiver) = watch::channel(Log::default());
    tokio::spawn(async move {
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let last = up_to.is_some_and(|last| line.contains(last));
            sender.send_modify(|log| log.lines.push(line));
            if last {
                break;
            }
        }
        sender.send_modify(|log| log.is_over = true);
        // Kept open, so that a waiter reads "over" and not "closed".
        sender.closed().await;
    });
    receiver
}

#[tokio::test]
async fn a_server_says_where_it_listens_and_ends_when_asked() {
    let mut server = Program::serve("http://127.0.0.1:9/v1").listen().await;
    let health = super::client::get(server.admin, "/healthz").await;
    assert_eq!(health.status(), 200);
    server.process.terminate().await;
    assert_eq!(server.process.exit().await.code(), Some(0));
}

#[tokio::test]
async fn a_program_that_ends_is_waited_for() {
    let mut process = Program::new(["serve"])
        .args(["--no-such-flag"])
        .env("NO_COLOR", "1")
        .start();
    assert_eq!(process.exit().await.code(), Some(2));
    assert!(process.stderr().text().contains("--no-such-flag"));
    assert_eq!(process.stdout().text(), "");
}
