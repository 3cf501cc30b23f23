//! The figures beside the bars of a conversation, and what of a line they take.

use super::turn::grown;
use crate::top::api::{ConversationDetail, Turn};
use crate::top::column::Column;
use crate::top::text::{percent, usd};
use crate::top::view::table::width as width_of;

/// Cells of the bar of a context.
pub(super) const CONTEXT: usize = 12;
/// Most cells of a turn's number.
const LABEL: usize = 12;

/// A figure beside the bars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Figure {
    Took,
    Context,
    Input,
    Grown,
    Cached,
    Output,
    Cost,
    Model,
}

/// All, from left to right.
const FIGURES: [Figure; 8] = [
    Figure::Took,
    Figure::Context,
    Figure::Input,
    Figure::Grown,
    Figure::Cached,
    Figure::Output,
    Figure::Cost,
    Figure::Model,
];

/// All, those first that a narrow terminal shows.
const BY_WORTH: [Figure; 8] = [
    Figure::Input,
    Figure::Cached,
    Figure::Cost,
    Figure::Took,
    Figure::Context,
    Figure::Grown,
    Figure::Output,
    Figure::Model,
];

impl Figure {
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Took => "took",
            Self::Context => "context",
            Self::Input => "in",
            Self::Grown => "grown",
            Self::Cached => "cached",
            Self::Output => "out",
            Self::Cost => "cost",
            Self::Model => "model",
        }
    }

    pub(super) fn width(self) -> usize {
        match self {
            Self::Cached => 6,
            Self::Input | Self::Grown | Self::Output => 7,
            Self::Took => 9,
            Self::Cost => 10,
            Self::Context => CONTEXT,
            Self::Model => 16,
        }
    }

    pub(super) fn is_number(self) -> bool {
        !matches!(self, Self::Context | Self::Model)
    }

    pub(super) fn text(self, whole: &ConversationDetail, turn: &Turn) -> String {
        let row = &turn.exchange;
        match self {
            Self::Took => Column::Duration.text(row),
            // It is drawn.
            Self::Context => String::new(),
            Self::Input => Column::Input.text(row),
            Self::Grown => whole.grown(turn).map(grown).unwrap_or_default(),
            Self::Cached => turn.cached_share().map(percent).unwrap_or_default(),
            Self::Output => Column::Output.text(row),
            Self::Cost => row.cost_usd.as_deref().map(usd).unwrap_or_default(),
            Self::Model => row.subject(),
        }
    }

    /// Whether it says anything of any turn that is not said already.
    fn is_known(self, whole: &ConversationDetail) -> bool {
        let mut turns = whole.turns.iter();
        match self {
            Self::Context => Self::Input.is_known(whole),
            Self::Model => whole.totals.models.len() > 1,
            Self::Grown => turns.any(|turn| whole.grown(turn).is_some()),
            _ => turns.any(|turn| !self.text(whole, turn).is_empty()),
        }
    }
}

/// What of a line goes where.
pub(super) struct Plan {
    pub(super) label: usize,
    pub(super) chart: usize,
    pub(super) figures: Vec<Figure>,
}

impl Plan {
    pub(super) fn new(whole: &ConversationDetail, width: usize) -> Self {
        let labels = whole.turns.iter().map(|turn| width_of(&turn.label()));
        let label = labels.max().unwrap_or(0).clamp(4, LABEL);
        let mut chart = width.saturating_sub(label + 1);
        let least = (width * 2 / 5).max(20);
        let mut chosen = Vec::new();
        for figure in BY_WORTH.into_iter().filter(|it| it.is_known(whole)) {
            match chart.checked_sub(figure.width() + 1) {
                Some(rest) if rest >= least => chart = rest,
                _ => break,
            }
            chosen.push(figure);
        }
        let figures = FIGURES.into_iter().filter(|it| chosen.contains(it));
        Self {
            label,
            chart,
            figures: figures.collect(),
        }
    }
}
