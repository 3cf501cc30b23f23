//! A response body that plays a script: each step's bytes as one frame when their time has come.
//!
//! Times add up from the first, as a model generates whether or not anybody reads: after a slow reader the steps that
//! are due follow at once.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::record::Watch;

/// How long a broken connection stays up after its last bytes, so that they are on the wire before it breaks.
const BEFORE_CUT: Duration = Duration::from_millis(10);

/// Bytes and how long after the previous step they come.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) after: Duration,
    pub(super) bytes: Bytes,
}

/// What comes after the last step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScriptEnd {
    /// A proper end.
    Clean,
    /// A broken connection.
    Cut,
    /// Nothing, for as long as the client waits.
    Hang,
}

/// A body's frames and its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Script {
    pub(super) steps: Vec<Step>,
    pub(super) close: ScriptEnd,
    /// Length to declare; `None` for a stream.
    pub(super) length: Option<u64>,
}

/// A script being played.
#[derive(Debug)]
pub(super) struct Playback {
    steps: std::vec::IntoIter<Step>,
    close: ScriptEnd,
    length: Option<u64>,
    /// The step whose time has not come.
    waiting: Option<Bytes>,
    /// When the latest step was due.
    due: Instant,
    timer: Pin<Box<Sleep>>,
    cutting: bool,
    watch: Watch,
}

impl Playback {
    pub(super) fn new(script: Script, mut watch: Watch) -> Self {
        if script.steps.is_empty() && script.close == ScriptEnd::Clean {
            watch.answered();
        }
        let now = Instant::now();
        Self {
            steps: script.steps.into_iter(),
            close: script.close,
            length: script.length,
            waiting: None,
            due: now,
            timer: Box::pin(sleep_until(now)),
            cutting: false,
            watch,
        }
    }

    /// Sets the timer for a step; false where it is due with the one before.
    fn wait(&mut self, after: Duration) -> bool {
        if after.is_zero() {
            return false;
        }
        self.due += after;
        self.timer.as_mut().reset(self.due);
        true
    }

    fn poll_close(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.close {
            ScriptEnd::Clean => Poll::Ready(None),
            // The connection's task is woken by the socket alone.
            ScriptEnd::Hang => Poll::Pending,
            ScriptEnd::Cut => {
                if !self.cutting {
                    self.cutting = true;
                    self.timer.as_mut().reset(Instant::now() + BEFORE_CUT);
                }
                ready!(self.timer.as_mut().poll(cx));
                self.watch.answered();
                Poll::Ready(Some(Err(io::Error::other("the answer is cut here"))))
            }
        }
    }
}

impl Body for Playback {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.waiting.is_none() {
            let Some(step) = self.steps.next() else {
                return self.poll_close(cx);
            };
            if self.wait(step.after) {
                self.waiting = Some(step.bytes);
            } else {
                return Poll::Ready(Some(Ok(self.frame(step.bytes))));
            }
        }
        ready!(self.timer.as_mut().poll(cx));
        let bytes = self.waiting.take().unwrap_or_default();
        Poll::Ready(Some(Ok(self.frame(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.close == ScriptEnd::Clean && self.waiting.is_none() && self.steps.len() == 0
    }

    fn size_hint(&self) -> SizeHint {
        self.length
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Playback {
    /// The caller may not poll again after the last frame, so this is where an answer is complete.
    fn frame(&mut self, bytes: Bytes) -> Frame<Bytes> {
        if self.is_end_stream() {
            self.watch.answered();
        }
        Frame::data(bytes)
    }
}
