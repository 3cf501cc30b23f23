//! The line above the bars of a conversation.

use std::iter;

use ratatui::text::Line;

use super::figures::Plan;
use crate::top::folded::Folded;
use crate::top::text::duration;
use crate::top::view::style::Palette;
use crate::top::view::table::{fit, width as width_of};

/// Least cells from one mark of the axis to the next.
const MARK: usize = 10;

/// The heads of the columns; over the bars times since the beginning, or how long what is folded was.
pub(super) fn axis(plan: &Plan, scale: &Folded, palette: Palette) -> Line<'static> {
    let mut marks = String::from("0");
    let mut mark = |at: usize, text: String| {
        let taken = width_of(&marks);
        if at > taken && at + width_of(&text) <= plan.chart {
            marks += &(" ".repeat(at - taken) + &text);
        }
    };
    let place = |share: f64| (share * plan.chart as f64) as usize;
    let folds: Vec<_> = scale.folds().collect();
    for fold in &folds {
        let (at, lasted) = (place(fold.at), duration(fold.lasted_ms));
        let length = width_of(&lasted);
        match at + 1 + length <= plan.chart {
            true => mark(at, format!("┊{lasted}")),
            false => mark(at.saturating_sub(length), format!("{lasted}┊")),
        }
    }
    if folds.is_empty() && scale.size_ms() > 0.0 {
        let step = step(scale.size_ms() * MARK as f64 / plan.chart.max(1) as f64);
        let times = iter::successors(Some(step), |at| Some(at + step));
        for at_ms in times.take_while(|at| *at < scale.size_ms()) {
            mark(place(at_ms / scale.size_ms()), format!("╷{}", short(at_ms)));
        }
    }
    let figures = plan.figures.iter();
    let figures = figures.map(|it| format!(" {}", fit(it.title(), it.width(), it.is_number())));
    Line::styled(
        format!(
            "{} {}{}",
            fit("turn", plan.label, true),
            fit(&marks, plan.chart, false),
            figures.collect::<String>()
        ),
        palette.title(),
    )
}

/// The least round time that is not below another.
fn step(least_ms: f64) -> f64 {
    const ROUND: [f64; 12] = [
        1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0,
    ];
    let seconds = least_ms / 1000.0;
    if seconds <= 1.0 {
        let power = 10_f64.powf(least_ms.max(0.001).log10().floor());
        let digits = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power);
        let found = digits.into_iter().find(|it| *it >= least_ms);
        return found.unwrap_or(1000.0);
    }
    let found = ROUND.into_iter().find(|it| *it >= seconds);
    1000.0 * found.unwrap_or_else(|| (seconds / 3600.0).ceil() * 3600.0)
}

/// A round time, short.
fn short(ms: f64) -> String {
    match ms {
        ms if ms < 1000.0 => format!("{ms} ms"),
        ms if ms < 60_000.0 => format!("{} s", ms / 1000.0),
        ms => duration(ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_at_round_times() {
        let steps = [
            0.3, 1.0, 7.0, 130.0, 999.0, 1001.0, 12_000.0, 100_000.0, 9e6,
        ]
        .map(step);
        let expected = [
            0.5,
            1.0,
            10.0,
            200.0,
            1000.0,
            2000.0,
            15_000.0,
            120_000.0,
            10_800_000.0,
        ];
        assert_eq!(steps, expected);
        let named = [0.5, 200.0, 2000.0, 120_000.0].map(short);
        assert_eq!(named, ["0.5 ms", "200 ms", "2 s", "2 m 0 s"]);
    }
}
