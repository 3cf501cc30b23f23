//! The books of an exchange are closed here, of one by itself and of a response of a session alike: facts that were read go
//! in, and what its ending means is settled; after that nobody changes a fact that was observed.

use super::clock::OutputClock;
use super::content::{ContentReading, Prompt};
use super::conversation;
use super::quirks;
use super::secrets::Secrets;
use crate::dialect::{AnswerContent, Facts, Texts};
use crate::exchange::{ApiError, Digest, End, Exchange, Failure, Integrity, Operation};
use crate::memory::Share;
use crate::tap::{Close, Fault, FaultClass, Verdict};

/// What goes into the books at the end.
pub(super) struct Entries<'a> {
    /// What the dialect read. What its folds came to has been taken out.
    pub(super) facts: Facts,
    /// When output came.
    pub(super) clock: OutputClock,
    /// What must not be told.
    pub(super) secrets: &'a Secrets,
    /// How it closed.
    pub(super) close: &'a Close,
    /// What comparing the bytes of the response says; `None` where none were passed on.
    pub(super) verdict: Option<Verdict>,
    /// A usage event of ours could not be taken out.
    pub(super) usage_left: bool,
    /// Whether the client had got less than the whole answer when it left, and that was read on; `None` where it was not.
    pub(super) left_early: Option<bool>,
    /// What the model generated, where it was gathered.
    pub(super) texts: Option<&'a Texts>,
    /// The hash of the client's credentials, where its conversations are told apart.
    pub(super) credential: Option<Digest>,
    /// What is to be shown of what was said.
    pub(super) content: Option<Shown<'a>>,
}

/// What puts the content of an exchange together, where its prompt is, and what was gathered of its answer.
pub(super) type Shown<'a> = (&'a ContentReading, Prompt, Option<Box<AnswerContent>>);

/// Closes the books of an exchange whose times, sizes and status are in. Gives what holds the memory for its content.
pub(super) fn close_books(exchange: &mut Exchange, mut entries: Entries<'_>) -> Option<Share> {
    let facts = &mut entries.facts;
    facts.settle(&exchange.request);
    let mut response = std::mem::take(&mut facts.response);
    if let Some(error) = &mut response.error {
        entries.secrets.hide_in_error(error);
    }
    entries.clock.settle(&mut exchange.flow);
    exchange.end_attempts();
    exchange.response = response;
    exchange.usage = std::mem::take(&mut facts.usage);
    exchange.problems.add(&facts.problems);
    exchange.quirks |= facts.quirks;
    exchange.unknown = std::mem::take(&mut facts.unknown);
    let ending = Ending {
        close: entries.close,
        verdict: entries.verdict,
        usage_left: entries.usage_left,
        left_early: entries.left_early,
    };
    settle(exchange, &ending);
    // Of a client that went with the last event there is nothing to say.
    let left = exchange.end == End::ClientLeft;
    exchange.aftermath = exchange.aftermath.filter(|_| left);
    let item_ids = &entries.facts.folds.item_ids;
    conversation::close(exchange, entries.texts, item_ids, entries.credential);
    exchange.quirks |= quirks::of_whole(exchange);
    let held = entries
        .content
        .and_then(|(content, prompt, answer)| content.finish(exchange, prompt, answer));
    entries.secrets.hide_in(exchange);
    held
}

/// How an exchange ended on the byte path. Its members are those of [`Entries`].
pub(super) struct Ending<'a> {
    pub(super) close: &'a Close,
    pub(super) verdict: Option<Verdict>,
    pub(super) usage_left: bool,
    pub(super) left_early: Option<bool>,
}

/// Sets `end`, `failure` and `integrity`.
pub(super) fn settle(exchange: &mut Exchange, ending: &Ending<'_>) {
    let &Ending {
        close,
        verdict,
        usage_left,
        left_early,
    } = ending;
    let status = exchange.http.status.unwrap_or_default();
    let error = exchange.response.error.as_deref();
    (exchange.end, exchange.failure) = match close {
        // What the answer came to after that is not how the exchange ended.
        Close::Dropped if left_early == Some(true) => (End::ClientLeft, None),
        _ if error.is_some() && status < 400 => {
            (End::ErrorEvent, error.map(|error| api_failure(error, None)))
        }
        Close::Failed(fault) => (end_of(fault.class), Some(transport_failure(fault))),
        Close::Dropped if left_early.is_none() && !exchange.response.said_all() => {
            (End::ClientLeft, None)
        }
        Close::Dropped | Close::Complete if status >= 400 => {
            let nothing = ApiError::default();
            (
                End::HttpError,
                Some(api_failure(error.unwrap_or(&nothing), Some(status))),
            )
        }
        Close::Dropped | Close::Complete => complete(exchange),
    };
    exchange.integrity = verdict.map(|verdict| match verdict {
        Verdict::Different => Integrity::Different,
        _ if exchange.end == End::ClientLeft => Integrity::Prefix,
        Verdict::Prefix => Integrity::Prefix,
        Verdict::Removed => Integrity::UsageRemoved,
        Verdict::Added => Integrity::KeepAlive,
        Verdict::Left => Integrity::UsageLeft,
        Verdict::Equal if usage_left => Integrity::UsageLeft,
        Verdict::Equal => Integrity::Equal,
    });
}

/// A response that was handed over to its last byte.
fn complete(exchange: &Exchange) -> (End, Option<Failure>) {
    let response = &exchange.response;
    // Only text has a reason to end.
    let finished = !exchange.operation.is_some_and(Operation::generates_text)
        || response
            .choices
            .iter()
            .any(|choice| choice.finish_reason.is_some());
    if !response.streamed || (response.done && finished) {
        (End::Done, None)
    } else if response.done {
        (End::DoneWithoutFinish, None)
    } else if response.all_finished() {
        (End::FinishWithoutDone, None)
    } else if exchange.problems.is_partial() {
        // The end may have been in what was not seen.
        (End::Done, None)
    } else {
        // The transport closed in good order, but the stream had not come to an end.
        let message = "the stream ended without a finish reason and without its last event";
        (
            End::Unfinished,
            Some(Failure {
                kind: "stream_truncated".into(),
                message: message.into(),
            }),
        )
    }
}

const fn end_of(class: FaultClass) -> End {
    match class {
        FaultClass::Refused => End::Refused,
        FaultClass::Cut => End::Cut,
        FaultClass::Timeout => End::Timeout,
        FaultClass::Rejected => End::Rejected,
    }
}

fn transport_failure(fault: &Fault) -> Failure {
    Failure {
        kind: fault.kind.to_owned(),
        message: fault.message.clone(),
    }
}

/// `error.type`: the API's code where it is a word, else its type, else the HTTP status, else a number for a code.
fn api_failure(error: &ApiError, status: Option<u16>) -> Failure {
    let word = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let kind = word(&error.code)
        .or_else(|| word(&error.kind))
        .or_else(|| status.map(|status| status.to_string()))
        .or_else(|| error.status.map(|status| status.to_string()))
        .unwrap_or_else(|| "_OTHER".to_owned());
    Failure {
        kind,
        message: error.message.clone().unwrap_or_default(),
    }
}
