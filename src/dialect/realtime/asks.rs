//! Which response answers which request.
//!
//! The API names no request in a response, so they are put together in their order: what the client asks for is begun in the
//! order of asking, before anything that the server begins of its own accord.

use std::collections::VecDeque;
use std::time::Duration;

use super::content::AskedPrompt;
use crate::exchange::Request;

/// Most requests that wait for their response; the oldest is let go.
const ASKS_MAX: usize = 16;

/// The code of the error by which a second response is refused while one is in progress.
const ALREADY_ACTIVE: &str = "conversation_already_has_active_response";

/// What waits for its response.
#[derive(Debug, Default)]
pub(super) struct Asks {
    explicit: VecDeque<Ask>,
    /// When the server last said that there was something to answer.
    answerable: Option<Duration>,
}

/// A response that was asked for.
#[derive(Debug)]
pub(super) struct Ask {
    /// When.
    pub(super) at: Duration,
    /// What the client calls the event, which an error then names.
    pub(super) event_id: Option<String>,
    /// What was asked.
    pub(super) request: Request,
    /// What it says of its prompt, where that is to be shown.
    pub(super) prompt: Option<Box<AskedPrompt>>,
}

impl Asks {
    /// The client asks for a response.
    pub(super) fn push(&mut self, ask: Ask) {
        if self.explicit.len() == ASKS_MAX {
            self.explicit.pop_front();
        }
        self.explicit.push_back(ask);
    }

    /// The server has something that it may answer.
    pub(super) fn note_answerable(&mut self, at: Duration) {
        self.answerable = Some(at);
    }

    /// A response begins: what it answers, or else when it was asked for.
    pub(super) fn answered(&mut self, at: Duration) -> Result<Ask, Duration> {
        let answerable = self.answerable.take();
        self.explicit.pop_front().ok_or(answerable.unwrap_or(at))
    }

    /// The oldest request.
    pub(super) fn pop(&mut self) -> Option<Ask> {
        self.explicit.pop_front()
    }

    /// The prompts of all that waits.
    pub(super) fn prompts(&self) -> impl Iterator<Item = &AskedPrompt> {
        self.explicit.iter().filter_map(|ask| ask.prompt.as_deref())
    }

    /// The same, to be let go.
    pub(super) fn prompts_mut(&mut self) -> impl Iterator<Item = &mut AskedPrompt> {
        let asks = self.explicit.iter_mut();
        asks.filter_map(|ask| ask.prompt.as_deref_mut())
    }

    /// An error names the event that caused it, or its code does; gives the request that it refuses. One that says
    /// neither may refuse any of them, so none can be told to wait still: better a response that seems to have been asked
    /// for when it began than one that seems to have been asked for with another.
    pub(super) fn refused(&mut self, cause: Option<&str>, code: Option<&str>) -> Option<Ask> {
        let by_id = |ask: &Ask| ask.event_id.is_some() && ask.event_id.as_deref() == cause;
        if let Some(at) = self.explicit.iter().position(by_id) {
            return self.explicit.remove(at);
        }
        if code == Some(ALREADY_ACTIVE) {
            return self.explicit.pop_front();
        }
        if cause.is_none() {
            self.explicit.clear();
        }
        None
    }
}
