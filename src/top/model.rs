//! What is on the screen, as plain facts, and how keys and news change it. Draws nothing, asks nothing and has no clock.

mod pages;
mod picked;

use super::api::{self, ConversationDetail, InFlight, Row, Summary};
use super::client::Problem;
use super::column::{COLUMNS, Column};
use super::keys::{Action, Edit};
use super::news::{Ask, Mistake, News, Subject};
use super::prompt::{Prompt, Written};
use super::text::Text;

pub(super) use pages::{Conversation, Conversations, Opened, Page};
pub(super) use picked::Picked;

/// Everything that is shown.
#[derive(Debug)]
pub(super) struct Model {
    /// Whom it is of.
    pub(super) at: String,
    pub(super) link: Link,
    /// `None` before it has come: not known is not zero.
    pub(super) summary: Option<Summary>,
    /// The same.
    pub(super) in_flight: Option<InFlight>,
    /// What has ended, as it is ordered.
    pub(super) rows: Vec<Row>,
    /// How many have ended since the start of streamgauge; `None` before the first have come.
    pub(super) total: Option<u64>,
    pub(super) sort: Sort,
    pub(super) filter: Filter,
    /// The row that is selected.
    pub(super) table: Picked<Row>,
    /// What lies in front of the table, the last one before all.
    pub(super) pages: Vec<Page>,
    /// What the last key came to, where that is not seen.
    pub(super) notice: Option<&'static str>,
    pub(super) shows_help: bool,
    pub(super) is_paused: bool,
}

/// Whether the API answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Link {
    /// It has not been asked long enough.
    New,
    /// It answers.
    Up,
    /// It did, or it never has.
    Lost(Problem),
}

/// How rows are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sort {
    pub(super) column: Column,
    pub(super) descending: bool,
}

/// Which rows are shown.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    /// The filter of what is shown.
    pub(super) applied: String,
    /// The line, while one is written.
    pub(super) prompt: Option<Prompt>,
    /// What was wrong with the filter that was asked for last, and that one.
    pub(super) mistake: Option<(String, Mistake)>,
}

/// What is to be done after a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Then {
    Nothing,
    Ask(Ask),
    Quit,
}

impl Model {
    /// One of an admin port.
    pub(super) fn new(at: String) -> Self {
        Self {
            at,
            link: Link::New,
            summary: None,
            in_flight: None,
            rows: Vec::new(),
            total: None,
            sort: Sort {
                column: Column::Time,
                descending: true,
            },
            filter: Filter::default(),
            table: Picked::default(),
            pages: Vec::new(),
            notice: None,
            shows_help: false,
            is_paused: false,
        }
    }

    /// Whether a line is being written.
    pub(super) fn is_writing(&self) -> bool {
        self.filter.prompt.is_some()
    }

    /// Begins with a conversation in front.
    pub(super) fn show_conversation(&mut self, id: &str) {
        let conversation = Conversation::new(Text::new(id), None);
        self.pages.push(Page::Conversation(Box::new(conversation)));
    }

    /// What is asked for again and again for what is shown.
    pub(super) fn subject(&self) -> Option<Subject> {
        self.pages.iter().rev().find_map(Page::subject)
    }

    /// Where the selected row is.
    pub(super) fn selected(&self) -> Option<usize> {
        self.table.at(&self.rows)
    }

    /// The exchange that is looked at.
    pub(super) fn opened(&self) -> Option<&Opened> {
        match self.pages.last() {
            Some(Page::Exchange(opened)) => Some(&**opened),
            _ => None,
        }
    }

    /// Takes what came. What comes while it stands still is not shown.
    pub(super) fn hear(&mut self, news: News) {
        match news {
            News::Lost(problem) => self.link = Link::Lost(problem),
            News::Mistake(filter, mistake) => {
                self.filter.mistake = Some((filter, mistake));
            }
            News::One(id, facts) => {
                for page in &mut self.pages {
                    if let Page::Exchange(opened) = page
                        && opened.id == id
                    {
                        opened.facts = Some((*facts).clone());
                    }
                }
            }
            News::Conversation(id, facts) => self.hear_conversation(&id, *facts),
            News::Conversations(came) => self.hear_conversations(came),
            _ if self.is_paused => self.link = Link::Up,
            News::InFlight(in_flight) => {
                self.link = Link::Up;
                self.in_flight = Some(in_flight);
            }
            News::Summary(summary) => self.summary = Some(*summary),
            News::Exchanges(filter, exchanges) => {
                if filter != self.filter.applied {
                    self.table.clear();
                }
                let is_answer = self
                    .filter
                    .mistake
                    .as_ref()
                    .is_some_and(|(of, _)| *of == filter);
                if filter != self.filter.applied || is_answer {
                    self.filter.mistake = None;
                }
                self.filter.applied = filter;
                self.total = Some(exchanges.total);
                self.rows = exchanges.exchanges;
                self.put_in_order();
            }
        }
    }

    fn put_in_order(&mut self) {
        let Sort { column, descending } = self.sort;
        self.rows.sort_by(|a, b| column.order(descending, a, b));
        self.table.see(&self.rows);
    }

    /// What stands still is not moved, but what is not there yet is not waited for.
    fn hear_conversation(&mut self, id: &str, facts: Result<ConversationDetail, Problem>) {
        let is_paused = self.is_paused;
        for page in &mut self.pages {
            if let Page::Conversation(conversation) = page
                && *conversation.id == *id
                && !(is_paused && matches!(conversation.facts, Some(Ok(_))))
            {
                return conversation.hear(facts);
            }
        }
    }

    fn hear_conversations(&mut self, came: Result<api::Conversations, Problem>) {
        let is_paused = self.is_paused;
        for page in &mut self.pages {
            if let Page::Conversations(list) = page
                && !(is_paused && list.all.is_some())
            {
                return list.hear(came);
            }
        }
    }

    /// Does what a key asks for.
    pub(super) fn act(&mut self, action: Action) -> Then {
        self.notice = None;
        let before = self.subject();
        let then = self.follow(action);
        let now = self.subject();
        match then {
            Then::Nothing if now != before => Then::Ask(Ask::Watch(now)),
            then => then,
        }
    }

    fn follow(&mut self, action: Action) -> Then {
        match action {
            Action::Quit => return Then::Quit,
            Action::Edit(edit) => return self.write(edit),
            _ if self.shows_help => self.shows_help = false,
            Action::Help => self.shows_help = true,
            Action::Pause => self.is_paused = !self.is_paused,
            Action::Filter => self.begin_filter(),
            // What lies in front has an order of its own.
            Action::Sort(_) | Action::Reverse if !self.pages.is_empty() => {
                self.notice = Some("Only the table of exchanges can be put in another order.");
            }
            Action::Sort(by) => self.sort_by_next(by),
            Action::Reverse => {
                self.sort.descending = !self.sort.descending;
                self.put_in_order();
            }
            Action::Back => self.back(),
            Action::Open => return self.open(),
            Action::Beside(by) => return self.open_beside(by),
            Action::Conversation => self.open_conversation(),
            Action::Tables => self.change_tables(),
            Action::Several => {
                if let Some(Page::Conversations(list)) = self.pages.last_mut() {
                    list.toggle();
                }
            }
            Action::Move(by) => self.go(by),
            Action::Page(by) => {
                let page = self.pages.last();
                let height = page.map_or(self.table.window.height, Page::height);
                self.go(by.saturating_mul(height.max(1).cast_signed()));
            }
            Action::First => self.go(isize::MIN),
            Action::Last => self.go(isize::MAX),
        }
        Then::Nothing
    }

    /// Moves in what is shown.
    fn go(&mut self, by: isize) {
        match self.pages.last_mut() {
            Some(page) => page.go(by),
            None => self.table.step(by, self.table.window.first, &self.rows),
        }
    }

    /// Leaves what is in front: what was wrong with a filter, a selection, what was opened.
    fn back(&mut self) {
        if self.filter.mistake.take().is_some() {
            return;
        }
        let is_dropped = match self.pages.last_mut() {
            Some(Page::Conversations(list)) => list.rows.clear(),
            Some(_) => false,
            None => self.table.clear(),
        };
        if !is_dropped {
            self.pages.pop();
        }
    }

    /// Opens what is selected.
    fn open(&mut self) -> Then {
        match self.pages.last() {
            None => self.open_row(self.selected().unwrap_or(0)),
            Some(Page::Conversation(conversation)) => match conversation.exchange() {
                Some(id) => self.push_exchange(id),
                None => Then::Nothing,
            },
            Some(Page::Conversations(_)) => {
                self.open_conversation();
                Then::Nothing
            }
            Some(Page::Exchange(_)) => Then::Nothing,
        }
    }

    /// From an exchange to one beside it, in the conversation or the table that it was opened from.
    fn open_beside(&mut self, by: isize) -> Then {
        let Some(opened) = self.opened().map(|opened| opened.id) else {
            return Then::Nothing;
        };
        let under = self.pages.len() - 1;
        if let Some(Page::Conversation(conversation)) = self.pages[..under].last_mut() {
            conversation.go(by);
            let beside = conversation.exchange().filter(|id| *id != opened);
            return beside.map_or(Then::Nothing, |id| self.replace_exchange(id));
        }
        let at = self.selected().unwrap_or(0).saturating_add_signed(by);
        self.table.select(at, &self.rows);
        let beside = self.selected().map(|at| self.rows[at].id);
        match beside.filter(|id| *id != opened) {
            Some(id) => self.replace_exchange(id),
            None => Then::Nothing,
        }
    }

    fn open_row(&mut self, at: usize) -> Then {
        self.table.select(at, &self.rows);
        match self.selected() {
            Some(at) => self.push_exchange(self.rows[at].id),
            None => Then::Nothing,
        }
    }

    fn replace_exchange(&mut self, id: u64) -> Then {
        self.pages.pop();
        self.push_exchange(id)
    }

    fn push_exchange(&mut self, id: u64) -> Then {
        self.pages.push(Page::Exchange(Box::new(Opened::new(id))));
        Then::Ask(Ask::One(id))
    }

    /// Opens the conversation of what is selected, or of the exchange that is looked at.
    fn open_conversation(&mut self) {
        let found = match self.pages.last() {
            Some(Page::Conversation(_)) => return,
            Some(Page::Conversations(list)) => list.selected().map(|one| (one.id.clone(), None)),
            Some(Page::Exchange(opened)) => {
                // Its row has it before its facts have come.
                let row = self.rows.iter().find(|row| row.id == opened.id);
                let id = row.and_then(|row| row.conversation.as_ref());
                let id = opened.conversation().or(id).cloned();
                id.map(|id| (id, Some(opened.id)))
            }
            None => {
                let row = self.rows.get(self.selected().unwrap_or(0));
                row.and_then(|row| Some((row.conversation.clone()?, Some(row.id))))
            }
        };
        let Some((id, exchange)) = found else {
            self.notice = Some("No conversation is known of it.");
            return;
        };
        // Where the exchange was opened from it, it is beneath.
        let under = self.pages.len().saturating_sub(1);
        let beneath = self.pages[..under].last();
        if matches!(beneath, Some(Page::Conversation(beneath)) if beneath.id == id) {
            self.pages.pop();
            return;
        }
        if self.pages.is_empty() {
            self.table.select(self.selected().unwrap_or(0), &self.rows);
        }
        let conversation = Conversation::new(id, exchange);
        self.pages.push(Page::Conversation(Box::new(conversation)));
    }

    /// From the table of exchanges to that of conversations, and back.
    fn change_tables(&mut self) {
        let is_of_conversations = matches!(self.pages.first(), Some(Page::Conversations(_)));
        self.pages.clear();
        if !is_of_conversations {
            self.pages
                .push(Page::Conversations(Conversations::default()));
        }
    }

    fn sort_by_next(&mut self, by: isize) {
        let at = COLUMNS.iter().position(|it| *it == self.sort.column);
        let count = COLUMNS.len().cast_signed();
        let at = (at.unwrap_or(0).cast_signed() + by).rem_euclid(count);
        self.sort.column = COLUMNS[at.cast_unsigned()];
        self.put_in_order();
    }

    fn begin_filter(&mut self) {
        self.pages.clear();
        let (asked, _) = self.filter.mistake.clone().unzip();
        let asked = asked.as_deref().unwrap_or(&self.filter.applied);
        self.filter.prompt = Some(Prompt::new(asked));
    }

    fn write(&mut self, edit: Edit) -> Then {
        let Some(prompt) = &mut self.filter.prompt else {
            return Then::Nothing;
        };
        match prompt.edit(edit) {
            Written::Still => Then::Nothing,
            Written::Dropped => {
                self.filter.prompt = None;
                self.filter.mistake = None;
                Then::Nothing
            }
            Written::Done(filter) => {
                self.filter.prompt = None;
                self.filter.mistake = None;
                // Otherwise nothing would be seen of it.
                self.is_paused = false;
                Then::Ask(Ask::Filter(filter))
            }
        }
    }
}

#[cfg(test)]
mod tests;
