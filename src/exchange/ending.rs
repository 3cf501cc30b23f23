//! How an exchange ended, what went wrong, and what could not be observed.

use std::time::Duration;

/// How an exchange ended: `streamgauge.end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// A complete response: a whole body, or a stream that closed with its sentinel and a finish reason.
    Done,
    /// A whole answer of status 400 and above.
    HttpError,
    /// Every choice had finished, but no `[DONE]` came.
    FinishWithoutDone,
    /// `[DONE]` came without any finish reason.
    DoneWithoutFinish,
    /// An error object came inside a 200.
    ErrorEvent,
    /// The upstream broke off.
    Cut,
    /// The body came to its end in good order, and the stream in it had not: neither finish reason nor last event. A cut to
    /// those who read the stream, and none to HTTP.
    Unfinished,
    /// The client went away before the end.
    ClientLeft,
    /// A time limit of ours ran out.
    Timeout,
    /// The upstream could not be reached.
    Refused,
    /// We turned the request away.
    Rejected,
}

impl End {
    /// All of them, in the order by which replicas number them.
    pub const ALL: [Self; 11] = [
        Self::Done,
        Self::HttpError,
        Self::FinishWithoutDone,
        Self::DoneWithoutFinish,
        Self::ErrorEvent,
        Self::Cut,
        Self::Unfinished,
        Self::ClientLeft,
        Self::Timeout,
        Self::Refused,
        Self::Rejected,
    ];

    /// The values of `streamgauge.end`, one for each of [`End::ALL`].
    pub const NAMES: [&str; Self::ALL.len()] = {
        let mut names = [""; Self::ALL.len()];
        let mut at = 0;
        while at < names.len() {
            names[at] = Self::ALL[at].as_str();
            at += 1;
        }
        names
    };

    /// The value of `streamgauge.end`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::HttpError => "http_error",
            Self::FinishWithoutDone => "finish_without_done",
            Self::DoneWithoutFinish => "done_without_finish",
            Self::ErrorEvent => "error_event",
            Self::Cut | Self::Unfinished => "cut",
            Self::ClientLeft => "client_left",
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::Rejected => "rejected",
        }
    }
}

/// What went wrong. Its `kind` is `error.type`, the same on spans and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Low-cardinality identifier: the API's code or type, an HTTP status, or one of our own words.
    pub kind: String,
    /// What the wire or the transport said, for the span's status description; may be empty.
    pub message: String,
}

/// How an upstream failed a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamFailure<'e> {
    /// It could not be reached, took too long, or broke off: [`Failure::kind`], in our own words.
    Transport(&'e str),
    /// It said so inside a 200.
    ErrorEvent,
    /// It answered with a status of 400 and above.
    Status(u16),
}

/// What comparing both sides of a response body says: `streamgauge.integrity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Integrity {
    /// The client's connection took exactly the upstream's bytes.
    Equal,
    /// The client left early; it took a prefix of the upstream's bytes.
    Prefix,
    /// Equal but for the usage event that we had asked for.
    UsageRemoved,
    /// Equal but for lines between events that keep a client waiting (`keep_alive` of a route). Such a usage event may have been
    /// taken out, too.
    KeepAlive,
    /// Equal, and the usage event that we had asked for could not be taken out.
    UsageLeft,
    /// Not equal: a fault of ours.
    Different,
}

impl Integrity {
    /// Every result.
    pub const ALL: [Self; 6] = [
        Self::Equal,
        Self::Prefix,
        Self::UsageRemoved,
        Self::KeepAlive,
        Self::UsageLeft,
        Self::Different,
    ];

    /// The value of the `result` attribute.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Prefix => "prefix",
            Self::UsageRemoved => "usage_removed",
            Self::KeepAlive => "keep_alive",
            Self::UsageLeft => "usage_left",
            Self::Different => "different",
        }
    }
}

/// What came of an upstream's answer behind the departure of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aftermath {
    /// From the departure, as soon as it was noticed, until the upstream was let go of: its connection closed, its stream reset,
    /// or its answer read to the end.
    pub lasted: Duration,
    /// Bytes of the answer that came and that nobody got: those that were read on; where the upstream was cancelled at once,
    /// those that waited in the connection to be read, as they stood there.
    pub bytes: u64,
    /// How the upstream was let go of.
    pub fate: Fate,
}

/// How an upstream was let go of whose client had left: `streamgauge.abandoned.upstream`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// At once, so that it stops.
    Cancelled,
    /// At once too, where its answer would have been read on, if not as many were already.
    NotDrained,
    /// Its answer was read to the end.
    Drained,
    /// Its answer was read up to a limit.
    LimitReached,
    /// Its answer, or the way to it, broke off while it was read.
    Broken,
    /// Reading stopped with the process.
    Stopped,
}

impl Fate {
    /// Whether nothing of an answer was read on.
    #[must_use]
    pub const fn is_at_once(self) -> bool {
        matches!(self, Self::Cancelled | Self::NotDrained)
    }

    /// Every one.
    pub const ALL: [Self; 6] = [
        Self::Cancelled,
        Self::NotDrained,
        Self::Drained,
        Self::LimitReached,
        Self::Broken,
        Self::Stopped,
    ];

    /// The value of `streamgauge.abandoned.upstream`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::NotDrained => "not_drained",
            Self::Drained => "drained",
            Self::LimitReached => "limit_reached",
            Self::Broken => "broken",
            Self::Stopped => "stopped",
        }
    }
}

/// Counts of what the observer could not make sense of or did not see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    /// Events or bodies that were no JSON, or no object.
    pub malformed: u64,
    /// Members whose type was not the documented one, taken as absent.
    pub mistyped: u64,
    /// Events or bodies longer than the bound, passed on but not read.
    pub oversized: u64,
    /// Bodies whose content coding could not be undone.
    pub undecodable: u64,
    /// Frames not shown to the observer because its queue was full.
    pub missed_frames: u64,
}

impl Problems {
    /// Adds what another part of the exchange counted.
    pub const fn add(&mut self, other: &Self) {
        self.malformed += other.malformed;
        self.mistyped += other.mistyped;
        self.oversized += other.oversized;
        self.undecodable += other.undecodable;
        self.missed_frames += other.missed_frames;
    }

    /// Whether every fact stands on the whole of what was sent.
    #[must_use]
    pub const fn is_partial(&self) -> bool {
        self.oversized + self.undecodable + self.missed_frames > 0
    }
}
