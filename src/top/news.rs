//! What the watching thread brings, and what it is asked for.

use super::api::{ConversationDetail, Conversations, Exchanges, InFlight, One, Summary};
use super::client::Problem;

/// What came from the API.
#[derive(Debug)]
pub(super) enum News {
    /// What is in flight.
    InFlight(InFlight),
    /// The sums.
    Summary(Box<Summary>),
    /// What has ended and matches a filter.
    Exchanges(String, Exchanges),
    /// A filter has a mistake. The one before stays in use.
    Mistake(String, Mistake),
    /// One exchange, or why there is none.
    One(u64, Box<Result<One, Problem>>),
    /// One conversation, or why there is none.
    Conversation(String, Box<Result<ConversationDetail, Problem>>),
    /// Those that are kept.
    Conversations(Result<Conversations, Problem>),
    /// Nothing came.
    Lost(Problem),
}

/// What is wrong with a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    /// In words.
    pub(super) message: String,
    /// Before which character of the filter.
    pub(super) position: Option<usize>,
}

/// What the watching thread is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ask {
    /// Another filter from now on.
    Filter(String),
    /// One exchange, once.
    One(u64),
    /// Something else now, and again and again from now on.
    Watch(Option<Subject>),
}

/// What is asked for only while it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Subject {
    /// Those that are kept.
    Conversations,
    /// One by its id.
    Conversation(String),
}
