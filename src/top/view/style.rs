//! Colours, or what stands for them where none are wanted.

use ratatui::style::{Color, Modifier, Style};

use crate::top::api::{FlightState, Row};

/// How things look. Colours are the sixteen of the terminal, so that they go with its theme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::top) struct Palette {
    /// Whether there are any; `NO_COLOR` is not set.
    pub(in crate::top) has_colors: bool,
}

impl Palette {
    fn with(self, color: Color) -> Style {
        match self.has_colors {
            true => Style::new().fg(color),
            false => Style::new(),
        }
    }

    /// What is good.
    pub(super) fn good(self) -> Style {
        self.with(Color::Green)
    }

    /// What failed.
    pub(super) fn bad(self) -> Style {
        self.with(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// What is odd, and no failure.
    pub(super) fn odd(self) -> Style {
        self.with(Color::Yellow)
    }

    /// What is only said for completeness.
    pub(super) fn quiet(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// The wait for a tool.
    pub(super) fn tool(self) -> Style {
        self.with(Color::Magenta)
    }

    /// What was read anew.
    pub(super) fn read(self) -> Style {
        self.with(Color::Blue)
    }

    /// Heads.
    pub(super) fn title(self) -> Style {
        self.with(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    /// Figures that matter.
    pub(super) fn figure(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// The row that is selected.
    pub(super) fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// A state of what is in flight.
    pub(super) fn state(self, state: FlightState) -> Style {
        match state {
            FlightState::Waiting | FlightState::Other => self.quiet(),
            FlightState::Answered => self.with(Color::Blue),
            FlightState::Generating => self.good(),
            FlightState::Stalled => self.bad(),
        }
    }

    /// A row of what has ended.
    pub(super) fn row(self, row: &Row) -> Style {
        if row.has_failed() {
            self.bad()
        } else if row.end.as_deref().is_some_and(|end| end != "done") {
            self.odd()
        } else {
            Style::new()
        }
    }
}
