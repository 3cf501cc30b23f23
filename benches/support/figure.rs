//! Measured values over several rounds: median, range, and how a table shows them.

/// The values of one figure, one for each round.
#[derive(Debug, Clone, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    /// Adds a round's value.
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// The values in the order of the rounds.
    pub(crate) fn values(&self) -> &[f64] {
        &self.0
    }

    /// The middle value, or the mean of the two; `None` without a round.
    pub(crate) fn median(&self) -> Option<f64> {
        let sorted = self.sorted();
        let middle = sorted.len() / 2;
        let upper = *sorted.get(middle)?;
        Some(if sorted.len() % 2 == 1 {
            upper
        } else {
            f64::midpoint(sorted[middle - 1], upper)
        })
    }

    /// Round by round, this over another; ends with the shorter, and leaves out rounds in which the other is nothing, as
    /// an added delay can be on a busy machine.
    pub(crate) fn over(&self, other: &Self) -> Self {
        let pairs = self.0.iter().zip(&other.0);
        Self(
            pairs
                .filter(|(_, other)| **other > 0.0)
                .map(|(value, other)| value / other)
                .collect(),
        )
    }

    /// Round by round, the less of this and another, or the one that there is.
    pub(crate) fn or_less(&self, other: &Self) -> Self {
        let rounds = self.0.len().max(other.0.len());
        let less = |round: usize| match (self.0.get(round), other.0.get(round)) {
            (Some(value), Some(other)) => Some(value.min(*other)),
            (value, other) => value.or(other).copied(),
        };
        Self((0..rounds).filter_map(less).collect())
    }

    /// Round by round, this less another; ends with the shorter.
    pub(crate) fn less(&self, other: &Self) -> Self {
        Self(
            self.0
                .iter()
                .zip(&other.0)
                .map(|(value, other)| value - other)
                .collect(),
        )
    }

    /// `median (least–greatest)`, or a dash without a round.
    pub(crate) fn cell(&self) -> String {
        let sorted = self.sorted();
        match (self.median(), sorted.first(), sorted.last()) {
            (Some(median), Some(least), Some(greatest)) if sorted.len() > 1 => {
                format!("{} ({}–{})", short(median), short(*least), short(*greatest))
            }
            (Some(median), ..) => short(median),
            _ => "–".to_owned(),
        }
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

/// Three digits that matter.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// The value below which so many per mille of the sorted values lie; 0 without values.
pub(crate) fn per_mille(sorted: &[u64], per_mille: usize) -> u64 {
    let at = (sorted.len() * per_mille / 1000).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or(0)
}

/// One row of a Markdown table.
pub(crate) fn row(cells: &[String]) -> String {
    format!("| {} |", cells.join(" | "))
}

/// A Markdown table's head: names, and the line under them; all but the first column to the right.
pub(crate) fn head(names: &[String]) -> String {
    let rule: String = (0..names.len())
        .map(|column| if column == 0 { "---|" } else { "---:|" })
        .collect();
    format!("{}\n|{rule}", row(names))
}
