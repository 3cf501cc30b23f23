//! What lies in front of the table of exchanges: one exchange, one conversation, the table of conversations.

use super::super::api::{self, ConversationDetail, One, Totals, Turn};
use super::super::client::Problem;
use super::super::news::Subject;
use super::super::text::Text;
use super::picked::{Picked, Window};

/// One that is opened over what was shown before.
#[derive(Debug)]
pub(in crate::top) enum Page {
    Exchange(Box<Opened>),
    Conversation(Box<Conversation>),
    Conversations(Conversations),
}

/// The exchange that is looked at.
#[derive(Debug)]
pub(in crate::top) struct Opened {
    pub(in crate::top) id: u64,
    /// `None` until it has come.
    pub(in crate::top) facts: Option<Result<One, Problem>>,
    pub(in crate::top) window: Window,
    /// How many lines there are to scroll in: the view says so.
    pub(in crate::top) lines: usize,
}

impl Opened {
    pub(super) fn new(id: u64) -> Self {
        Self {
            id,
            facts: None,
            window: Window::default(),
            lines: 0,
        }
    }

    /// The conversation that it is part of, once that is known.
    pub(super) fn conversation(&self) -> Option<&Text> {
        let facts = self.facts.as_ref()?.as_ref().ok()?;
        facts.exchange.conversation.as_ref()
    }
}

/// The conversation that is looked at. While no turn is selected, the newest are in sight.
#[derive(Debug)]
pub(in crate::top) struct Conversation {
    pub(in crate::top) id: Text,
    /// `None` until it has come.
    pub(in crate::top) facts: Option<Result<ConversationDetail, Problem>>,
    pub(in crate::top) turns: Picked<Turn>,
}

impl Conversation {
    /// One, with the turn of an exchange selected.
    pub(super) fn new(id: Text, exchange: Option<u64>) -> Self {
        Self {
            id,
            facts: None,
            turns: exchange.map_or_else(Picked::default, Picked::of),
        }
    }

    fn all(&self) -> &[Turn] {
        match &self.facts {
            Some(Ok(facts)) => &facts.turns,
            _ => &[],
        }
    }

    pub(super) fn hear(&mut self, facts: Result<ConversationDetail, Problem>) {
        self.facts = Some(facts);
        if let Some(Ok(facts)) = &self.facts {
            self.turns.see(&facts.turns);
        }
    }

    pub(super) fn go(&mut self, by: isize) {
        if let Some(Ok(facts)) = &self.facts {
            let last = facts.turns.len().saturating_sub(1);
            self.turns.step(by, last, &facts.turns);
        }
    }

    /// The exchange of the selected turn, or of the newest.
    pub(super) fn exchange(&self) -> Option<u64> {
        let turns = self.all();
        let at = self.turns.at(turns).or(turns.len().checked_sub(1))?;
        Some(turns.get(at)?.exchange.id)
    }
}

/// The table of conversations.
#[derive(Debug, Default)]
pub(in crate::top) struct Conversations {
    /// All that came; `None` before.
    pub(in crate::top) all: Option<Vec<Totals>>,
    /// Those of them that are shown.
    pub(in crate::top) shown: Vec<Totals>,
    /// Whether there are more, which did not come.
    pub(in crate::top) has_more: bool,
    /// Why they did not come, the last time.
    pub(in crate::top) problem: Option<Problem>,
    /// Whether those of one turn are left out.
    pub(in crate::top) is_of_several: bool,
    pub(in crate::top) rows: Picked<Totals>,
}

impl Conversations {
    pub(super) fn hear(&mut self, came: Result<api::Conversations, Problem>) {
        match came {
            Ok(came) => {
                self.has_more = came.next.is_some();
                self.all = Some(came.conversations);
                self.problem = None;
                self.choose();
            }
            Err(problem) => self.problem = Some(problem),
        }
    }

    /// Leaves out conversations of one turn, or shows them again.
    pub(super) fn toggle(&mut self) {
        self.is_of_several = !self.is_of_several;
        self.choose();
    }

    fn choose(&mut self) {
        let all = self.all.iter().flatten();
        let shown = all.filter(|one| one.turns > 1 || !self.is_of_several);
        self.shown = shown.cloned().collect();
        self.rows.see(&self.shown);
    }

    /// The one that is selected, or the first.
    pub(super) fn selected(&self) -> Option<&Totals> {
        self.shown.get(self.rows.at(&self.shown).unwrap_or(0))
    }
}

impl Page {
    /// What is asked for again and again while it is shown.
    pub(super) fn subject(&self) -> Option<Subject> {
        match self {
            Self::Exchange(_) => None,
            Self::Conversation(conversation) => {
                Some(Subject::Conversation(conversation.id.to_string()))
            }
            Self::Conversations(_) => Some(Subject::Conversations),
        }
    }

    /// Moves in it.
    pub(super) fn go(&mut self, by: isize) {
        match self {
            Self::Exchange(opened) => opened.window.scroll(by, opened.lines),
            Self::Conversation(conversation) => conversation.go(by),
            Self::Conversations(list) => list.rows.step(by, list.rows.window.first, &list.shown),
        }
    }

    /// How many rows of it are in sight.
    pub(super) fn height(&self) -> usize {
        let window = match self {
            Self::Exchange(opened) => opened.window,
            Self::Conversation(conversation) => conversation.turns.window,
            Self::Conversations(list) => list.rows.window,
        };
        window.height
    }
}
