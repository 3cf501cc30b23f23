//! Which of several is selected, and which of them are in sight.

use super::super::api::{Row, Totals, Turn};
use super::super::text::Text;

/// What can be selected: it has a name that stays, while its place may change.
pub(in crate::top) trait Named {
    /// The name.
    type Name: PartialEq;

    /// It of this one.
    fn name(&self) -> Self::Name;
}

impl Named for Row {
    type Name = u64;

    fn name(&self) -> u64 {
        self.id
    }
}

impl Named for Turn {
    type Name = u64;

    fn name(&self) -> u64 {
        self.exchange.id
    }
}

impl Named for Totals {
    type Name = Text;

    fn name(&self) -> Text {
        self.id.clone()
    }
}

/// The one that is selected, by its name: it stays so while others come and go.
#[derive(Debug)]
pub(in crate::top) struct Picked<T: Named> {
    /// The name, and where it was when it was last seen.
    one: Option<(T::Name, usize)>,
    /// The view says how many there is room for.
    pub(in crate::top) window: Window,
}

impl<T: Named> Default for Picked<T> {
    fn default() -> Self {
        Self {
            one: None,
            window: Window::default(),
        }
    }
}

impl<T: Named> Picked<T> {
    /// With one selected that may come later.
    pub(super) fn of(name: T::Name) -> Self {
        Self {
            one: Some((name, usize::MAX)),
            window: Window::default(),
        }
    }

    /// Where it is among all. One that is gone leaves the selection in its place.
    pub(in crate::top) fn at(&self, all: &[T]) -> Option<usize> {
        let (name, seen_at) = self.one.as_ref()?;
        let last = all.len().checked_sub(1)?;
        let at = all.iter().position(|one| one.name() == *name);
        Some(at.unwrap_or(*seen_at).min(last))
    }

    /// Selects the one at a place, or the last.
    pub(super) fn select(&mut self, at: usize, all: &[T]) {
        let at = at.min(all.len().saturating_sub(1));
        self.one = all.get(at).map(|one| (one.name(), at));
    }

    /// Remembers where it is now.
    pub(super) fn see(&mut self, all: &[T]) {
        if let Some(at) = self.at(all) {
            self.select(at, all);
        }
    }

    /// Moves the selection. The first move selects one that is in sight: that at `first`.
    pub(super) fn step(&mut self, by: isize, first: usize, all: &[T]) {
        let to = match (self.at(all), by) {
            (Some(at), by) => at.saturating_add_signed(by),
            (None, isize::MAX) => usize::MAX,
            (None, isize::MIN) => 0,
            (None, _) => first,
        };
        self.select(to, all);
    }

    /// Selects nothing. Whether there was a selection.
    pub(super) fn clear(&mut self) -> bool {
        self.window.first = 0;
        self.one.take().is_some()
    }
}

/// Which rows of something longer are visible.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::top) struct Window {
    pub(in crate::top) first: usize,
    pub(in crate::top) height: usize,
}

impl Window {
    /// Moves it as little as shows a row.
    pub(in crate::top) fn show(&mut self, row: usize) {
        let last_first = row.saturating_sub(self.height.saturating_sub(1));
        self.first = self.first.clamp(last_first, row.max(last_first));
    }

    /// The same where a row may have more than one line, and there is room for so many lines. No line is left empty that a row
    /// before could have.
    pub(in crate::top) fn show_within(&mut self, row: usize, lines: &[usize], room: usize) {
        let taken = |first: usize, last: usize| lines[first..=last].iter().sum::<usize>();
        let Some(end) = lines.len().checked_sub(1) else {
            self.first = 0;
            return;
        };
        let row = row.min(end);
        self.first = self.first.min(row);
        while self.first < row && taken(self.first, row) > room {
            self.first += 1;
        }
        while self.first > 0 && taken(self.first - 1, end) <= room {
            self.first -= 1;
        }
    }

    /// Moves it by rows, within so many.
    pub(super) fn scroll(&mut self, by: isize, rows: usize) {
        let most = rows.saturating_sub(self.height);
        self.first = self.first.saturating_add_signed(by).min(most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_moves_as_little_as_shows_the_selection() {
        let mut window = Window {
            first: 4,
            height: 3,
        };
        let mut first_showing = |row| {
            window.show(row);
            window.first
        };
        assert_eq!(
            [5, 6, 7, 20, 19, 18, 17, 0].map(&mut first_showing),
            [4, 4, 5, 18, 18, 18, 17, 0]
        );
        let mut none = Window::default();
        none.show(3);
        assert_eq!(none.first, 3);
    }

    #[test]
    fn rows_of_several_lines_are_shown_whole_and_no_line_is_wasted() {
        let lines = [1, 2, 1, 3, 1];
        let mut window = Window::default();
        let mut first_showing = |row, room| {
            window.show_within(row, &lines, room);
            window.first
        };
        assert_eq!(first_showing(3, 4), 2);
        assert_eq!(first_showing(4, 4), 3);
        assert_eq!(first_showing(0, 4), 0);
        // Where there is more room at the end, rows before come into sight.
        assert_eq!(first_showing(4, 1), 4);
        assert_eq!(first_showing(4, 7), 1);
        assert_eq!(first_showing(9, 0), 4);
        window.show_within(3, &[], 4);
        assert_eq!(window.first, 0);
    }
}
