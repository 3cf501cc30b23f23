//! What is on the screen, as plain facts, and how keys and news change it. Draws nothing, asks nothing and has no clock.

use super::api::{InFlight, One, Row, Summary};
use super::client::Problem;
use super::column::{COLUMNS, Column};
use super::keys::{Action, Edit};
use super::news::{Ask, Mistake, News};
use super::prompt::{Prompt, Written};

/// Everything that is shown.
#[derive(Debug)]
pub(super) struct Model {
    /// Whom it is of.
    pub(super) at: String,
    pub(super) link: Link,
    pub(super) summary: Summary,
    pub(super) in_flight: InFlight,
    /// What has ended, as it is ordered.
    pub(super) rows: Vec<Row>,
    /// How many have ended since the start of streamgauge.
    pub(super) total: u64,
    pub(super) sort: Sort,
    pub(super) filter: Filter,
    /// The row that is selected, and where it was when it was last seen.
    selected: Option<(u64, usize)>,
    /// The row at the top of the table, and how many there is room for: the view says so.
    pub(super) window: Window,
    pub(super) opened: Option<Opened>,
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

/// Which rows of something longer are visible.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) first: usize,
    pub(super) height: usize,
}

impl Window {
    /// Moves it as little as shows a row.
    pub(super) fn show(&mut self, row: usize) {
        let last_first = row.saturating_sub(self.height.saturating_sub(1));
        self.first = self.first.clamp(last_first, row.max(last_first));
    }

    /// Moves it by rows, within so many.
    fn scroll(&mut self, by: isize, rows: usize) {
        let most = rows.saturating_sub(self.height);
        self.first = self.first.saturating_add_signed(by).min(most);
    }
}

/// The exchange that is looked at.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) id: u64,
    /// `None` until it has come.
    pub(super) facts: Option<Result<One, Problem>>,
    pub(super) window: Window,
    /// How many lines there are to scroll in: the view says so.
    pub(super) lines: usize,
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
            summary: Summary::default(),
            in_flight: InFlight::default(),
            rows: Vec::new(),
            total: 0,
            sort: Sort {
                column: Column::Time,
                descending: true,
            },
            filter: Filter::default(),
            selected: None,
            window: Window::default(),
            opened: None,
            shows_help: false,
            is_paused: false,
        }
    }

    /// Whether a line is being written.
    pub(super) fn is_writing(&self) -> bool {
        self.filter.prompt.is_some()
    }

    /// Where the selected row is.
    pub(super) fn selected(&self) -> Option<usize> {
        let (id, seen_at) = self.selected?;
        let last = self.rows.len().checked_sub(1)?;
        let at = self.rows.iter().position(|row| row.id == id);
        Some(at.unwrap_or(seen_at).min(last))
    }

    fn select(&mut self, at: usize) {
        let at = at.min(self.rows.len().saturating_sub(1));
        self.selected = self.rows.get(at).map(|row| (row.id, at));
    }

    /// Takes what came. What comes while it stands still is not shown.
    pub(super) fn hear(&mut self, news: News) {
        match news {
            News::Lost(problem) => self.link = Link::Lost(problem),
            News::Mistake(filter, mistake) => {
                self.filter.mistake = Some((filter, mistake));
            }
            News::One(id, facts) => {
                if let Some(opened) = self.opened.as_mut().filter(|opened| opened.id == id) {
                    opened.facts = Some(*facts);
                }
            }
            _ if self.is_paused => self.link = Link::Up,
            News::InFlight(in_flight) => {
                self.link = Link::Up;
                self.in_flight = in_flight;
            }
            News::Summary(summary) => self.summary = *summary,
            News::Exchanges(filter, exchanges) => {
                if filter != self.filter.applied {
                    self.selected = None;
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
                self.total = exchanges.total;
                self.rows = exchanges.exchanges;
                self.put_in_order();
            }
        }
    }

    fn put_in_order(&mut self) {
        let Sort { column, descending } = self.sort;
        self.rows.sort_by(|a, b| column.order(descending, a, b));
        if let Some(at) = self.selected() {
            self.select(at);
        }
    }

    /// Does what a key asks for.
    pub(super) fn act(&mut self, action: Action) -> Then {
        match action {
            Action::Quit => return Then::Quit,
            Action::Edit(edit) => return self.write(edit),
            _ if self.shows_help => self.shows_help = false,
            Action::Help => self.shows_help = true,
            Action::Pause => self.is_paused = !self.is_paused,
            Action::Filter => self.begin_filter(),
            Action::Sort(by) => self.sort_by_next(by),
            Action::Reverse => {
                self.sort.descending = !self.sort.descending;
                self.put_in_order();
            }
            Action::Back => self.back(),
            Action::Open if self.opened.is_none() => {
                return self.open(self.selected().unwrap_or(0));
            }
            Action::Beside(by) if self.opened.is_some() => {
                let at = self.selected().unwrap_or(0);
                return self.open(at.saturating_add_signed(by));
            }
            Action::Open | Action::Beside(_) => {}
            Action::Move(by) => self.go(by),
            Action::Page(by) => {
                let height = self
                    .opened
                    .as_ref()
                    .map_or(self.window, |it| it.window)
                    .height;
                self.go(by.saturating_mul(height.max(1).cast_signed()));
            }
            Action::First => self.go(isize::MIN),
            Action::Last => self.go(isize::MAX),
        }
        Then::Nothing
    }

    /// Moves in what is shown.
    fn go(&mut self, by: isize) {
        if let Some(opened) = &mut self.opened {
            opened.window.scroll(by, opened.lines);
            return;
        }
        match self.selected() {
            Some(at) => self.select(at.saturating_add_signed(by)),
            // The first move selects what it can see.
            None if by == isize::MAX => self.select(usize::MAX),
            None => self.select(self.window.first),
        }
    }

    /// Leaves what is in front: what was wrong with a filter, the exchange that is looked at, the selection.
    fn back(&mut self) {
        if self.filter.mistake.take().is_some() {
            return;
        }
        if self.opened.take().is_some() {
            return;
        }
        self.selected = None;
        self.window.first = 0;
    }

    fn open(&mut self, at: usize) -> Then {
        self.select(at);
        let Some((id, _)) = self.selected else {
            return Then::Nothing;
        };
        if self.opened.as_ref().is_some_and(|opened| opened.id == id) {
            return Then::Nothing;
        }
        self.opened = Some(Opened {
            id,
            facts: None,
            window: Window::default(),
            lines: 0,
        });
        Then::Ask(Ask::One(id))
    }

    fn sort_by_next(&mut self, by: isize) {
        let at = COLUMNS.iter().position(|it| *it == self.sort.column);
        let count = COLUMNS.len().cast_signed();
        let at = (at.unwrap_or(0).cast_signed() + by).rem_euclid(count);
        self.sort.column = COLUMNS[at.cast_unsigned()];
        self.put_in_order();
    }

    fn begin_filter(&mut self) {
        self.opened = None;
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
