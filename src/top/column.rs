//! The columns of the table of exchanges: what each shows, and how it is ordered.

use std::cmp::Ordering;

use super::api::Row;
use super::text::{clock, count, duration, estimated, usd};

/// One column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Time,
    Model,
    Upstream,
    Status,
    FirstToken,
    Duration,
    Speed,
    Chunks,
    Input,
    Output,
    Cached,
    Cost,
    Turn,
    End,
}

/// All, from left to right.
pub(super) const COLUMNS: [Column; 14] = [
    Column::Time,
    Column::Model,
    Column::Upstream,
    Column::Status,
    Column::FirstToken,
    Column::Duration,
    Column::Speed,
    Column::Chunks,
    Column::Input,
    Column::Output,
    Column::Cached,
    Column::Cost,
    Column::Turn,
    Column::End,
];

/// All, those first that a narrow terminal shows.
const BY_WORTH: [Column; 14] = [
    Column::Model,
    Column::Status,
    Column::FirstToken,
    Column::Duration,
    Column::End,
    Column::Output,
    Column::Time,
    Column::Input,
    Column::Cost,
    Column::Speed,
    Column::Cached,
    Column::Chunks,
    Column::Turn,
    Column::Upstream,
];

/// So many of them are shown wherever there is room for their least width.
const ALWAYS: usize = 9;

/// The others leave so much to those that grow: the name of a model and an error say more than they do.
const LEFT_TO_GROW: u16 = 16;

/// A figure to order by, or a text.
#[derive(Debug, PartialEq, PartialOrd)]
enum Rank<'a> {
    Figure(f64),
    Text(&'a str),
}

impl Column {
    /// Its head.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Time => "end UTC",
            Self::Model => "model",
            Self::Upstream => "upstream",
            Self::Status => "code",
            Self::FirstToken => "TTFT",
            Self::Duration => "took",
            Self::Speed => "tok/s",
            Self::Chunks => "chunks",
            Self::Input => "in",
            Self::Output => "out",
            Self::Cached => "cached",
            Self::Cost => "cost",
            Self::Turn => "turn",
            Self::End => "end",
        }
    }

    /// Its width in cells; of those that take what is left, the least.
    pub(super) fn width(self) -> u16 {
        match self {
            Self::Status | Self::Turn => 5,
            Self::Chunks | Self::Input | Self::Output | Self::Cached | Self::Speed => 7,
            Self::Time | Self::FirstToken | Self::Duration => 9,
            Self::Upstream | Self::Cost => 10,
            Self::End => 8,
            Self::Model => 12,
        }
    }

    /// Whether it takes what is left of the width.
    pub(super) fn grows(self) -> bool {
        matches!(self, Self::Model | Self::End)
    }

    /// Whether it is set to the right.
    pub(super) fn is_number(self) -> bool {
        !matches!(self, Self::Time | Self::Model | Self::Upstream | Self::End)
    }

    /// What it shows; nothing where nothing is known.
    pub(super) fn text(self, row: &Row) -> String {
        let shown = |n: Option<u64>| n.map(count).unwrap_or_default();
        let marked = |text| estimated(text, row.tokens_estimated == Some(true));
        let tokens = |n: Option<u64>| n.map(|n| marked(count(n))).unwrap_or_default();
        match self {
            Self::Time => clock(row.ended_at_ms()),
            Self::Model => row.subject(),
            Self::Upstream => row.upstream.as_deref().unwrap_or_default().to_owned(),
            Self::Status => row.status.map(|it| it.to_string()).unwrap_or_default(),
            Self::FirstToken => row.time_to_first_token_ms.map(duration).unwrap_or_default(),
            Self::Duration => row.duration_ms.map(duration).unwrap_or_default(),
            Self::Speed => speed(row).map(|it| format!("{it:.1}")).unwrap_or_default(),
            Self::Chunks => shown(row.chunks),
            Self::Input => tokens(row.input_tokens),
            Self::Output => tokens(row.output_tokens),
            Self::Cached => shown(row.cached_tokens),
            Self::Cost => {
                let cost = row.cost_usd.as_deref().map(usd);
                cost.map(marked).unwrap_or_default()
            }
            Self::Turn => shown(row.turn),
            Self::End => row.story(),
        }
    }

    fn rank(self, row: &Row) -> Option<Rank<'_>> {
        let figure = |n: Option<u64>| n.map(|n| Rank::Figure(n as f64));
        match self {
            Self::Time => figure(Some(row.id)),
            Self::Model => row.model.as_deref().map(Rank::Text),
            Self::Upstream => row.upstream.as_deref().map(Rank::Text),
            Self::Status => row.status.map(|it| Rank::Figure(it.into())),
            Self::FirstToken => row.time_to_first_token_ms.map(Rank::Figure),
            Self::Duration => row.duration_ms.map(Rank::Figure),
            Self::Speed => speed(row).map(Rank::Figure),
            Self::Chunks => figure(row.chunks),
            Self::Input => figure(row.input_tokens),
            Self::Output => figure(row.output_tokens),
            Self::Cached => figure(row.cached_tokens),
            Self::Cost => row.cost_usd.as_deref()?.parse().ok().map(Rank::Figure),
            Self::Turn => figure(row.turn),
            Self::End => row.end.as_deref().map(Rank::Text),
        }
    }

    /// Which of two rows stands first, the highest first if `descending`. Rows of which it is not known stand last either
    /// way, and of equal ones the newer stands first.
    pub(super) fn order(self, descending: bool, a: &Row, b: &Row) -> Ordering {
        let ordered = match (self.rank(a), self.rank(b)) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(a), Some(b)) => {
                let ordered = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
                if descending {
                    ordered.reverse()
                } else {
                    ordered
                }
            }
        };
        ordered.then(b.id.cmp(&a.id))
    }
}

/// Tokens a second, once the first is there.
fn speed(row: &Row) -> Option<f64> {
    let each_ms = row.time_per_output_token_ms?;
    (each_ms > 0.0).then(|| 1000.0 / each_ms)
}

/// The columns that a width has room for, from left to right, with a blank between them. That by which rows are ordered goes
/// before others, since nobody would see by what, otherwise; that the newest stand first is plain without.
pub(super) fn fitting(width: u16, ordered_by: Column) -> Vec<Column> {
    let mut left = width.saturating_add(1);
    let mut chosen = Vec::new();
    let mut by_worth = BY_WORTH.to_vec();
    let at = by_worth.iter().position(|it| *it == ordered_by);
    // Behind the model, without which no row says anything.
    if let Some(at @ 1..) = at.filter(|_| ordered_by != Column::Time) {
        by_worth[1..=at].rotate_right(1);
    }
    for (at, column) in by_worth.into_iter().enumerate() {
        let least = if at < ALWAYS { 0 } else { LEFT_TO_GROW };
        match left.checked_sub(column.width() + 1) {
            Some(rest) if rest >= least => left = rest,
            _ => break,
        }
        chosen.push(column);
    }
    if chosen.is_empty() {
        chosen.push(Column::Model);
    }
    let mut columns = COLUMNS.to_vec();
    columns.retain(|column| chosen.contains(column));
    columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::text::Text;

    fn row(id: u64, duration_ms: Option<f64>) -> Row {
        Row {
            id,
            duration_ms,
            ..Row::default()
        }
    }

    #[test]
    fn what_is_not_known_stands_last_whichever_way_it_is_ordered() {
        let mut rows = [
            row(1, None),
            row(2, Some(5.0)),
            row(3, Some(50.0)),
            row(4, None),
        ];
        let mut ids = |descending| {
            rows.sort_by(|a, b| Column::Duration.order(descending, a, b));
            rows.clone().map(|row| row.id)
        };
        assert_eq!(ids(true), [3, 2, 4, 1]);
        assert_eq!(ids(false), [2, 3, 4, 1]);
    }

    #[test]
    fn amounts_are_ordered_as_numbers() {
        let cost = |id, usd| Row {
            id,
            cost_usd: Some(Text::new(usd)),
            ..Row::default()
        };
        let mut rows = [cost(1, "0.9"), cost(2, "10.1"), cost(3, "0.00001")];
        rows.sort_by(|a, b| Column::Cost.order(true, a, b));
        assert_eq!(rows.map(|row| row.id), [2, 1, 3]);
    }

    #[test]
    fn a_narrow_terminal_has_the_columns_that_matter_and_none_that_is_cut() {
        let by_model = |width| fitting(width, Column::Model);
        assert_eq!(by_model(0), [Column::Model]);
        let narrow = [Column::Model, Column::Status, Column::FirstToken];
        assert_eq!(by_model(30), narrow);
        assert_eq!(by_model(500), COLUMNS);
        // With room for all but the upstream, that is what is missing.
        let all_but_one = by_model(131);
        assert_eq!(all_but_one.len(), COLUMNS.len() - 1);
        assert!(!all_but_one.contains(&Column::Upstream));
        for ordered_by in COLUMNS {
            for width in 12..300 {
                let columns = fitting(width, ordered_by);
                let taken: u16 = columns.iter().map(|it| it.width() + 1).sum();
                assert!(taken - 1 <= width, "{width}");
            }
        }
    }

    #[test]
    fn the_column_by_which_rows_are_ordered_is_there() {
        for ordered_by in COLUMNS.into_iter().skip(1) {
            assert!(
                fitting(40, ordered_by).contains(&ordered_by),
                "{ordered_by:?}"
            );
        }
        assert_eq!(
            fitting(24, Column::Upstream),
            [Column::Model, Column::Upstream]
        );
    }

    #[test]
    fn the_time_is_that_of_the_end_by_which_rows_are_ordered() {
        let row = |started_at_ms, duration_ms| Row {
            started_at_ms,
            duration_ms,
            ..Row::default()
        };
        assert_eq!(Column::Time.text(&row(1000, Some(2500.0))), "00:00:03");
        assert_eq!(Column::Time.text(&row(1000, None)), "00:00:01");
    }

    #[test]
    fn an_estimate_has_a_mark() {
        let row = Row {
            output_tokens: Some(12),
            tokens_estimated: Some(true),
            cost_usd: Some(Text::new("0.25")),
            ..Row::default()
        };
        assert_eq!(Column::Output.text(&row), "~12");
        assert_eq!(Column::Cost.text(&row), "~$0.25");
        let unpriced = Row {
            cost_usd: None,
            ..row
        };
        assert_eq!(Column::Cost.text(&unpriced), "");
    }
}
