//! When what was seen of an exchange, to scale: a ruler, the instants below each other, and a bar of whose time it was.

use ratatui::text::{Line, Span};

use crate::top::api::Timeline;
use crate::top::text::duration;
use crate::top::view::style::Palette;
use crate::top::view::table::fit;

/// Cells of an instant's name, and of its time.
const NAME: usize = 16;
const TIME: usize = 10;
/// Least width of a bar that says something.
const BAR_MIN: usize = 10;

pub(super) fn lines(timeline: &Timeline, width: usize, palette: Palette) -> Vec<Line<'static>> {
    let end = timeline
        .marks
        .iter()
        .map(|mark| mark.at_ms)
        .fold(0.0, f64::max);
    let bar = width.saturating_sub(NAME + TIME + 1);
    let scale = Scale { end, cells: bar };
    let title = Line::styled(
        format!("timeline, {} to scale", duration(end)),
        palette.title(),
    );
    let mut lines = vec![title];
    let mut before = 0.0;
    for mark in &timeline.marks {
        let drawn = if bar < BAR_MIN {
            String::new()
        } else {
            scale.span(before, mark.at_ms)
        };
        lines.push(Line::from(vec![
            Span::raw(fit(&mark.name, NAME, false)),
            Span::raw(format!("{:>TIME$} ", duration(mark.at_ms))),
            Span::styled(drawn, palette.good()),
        ]));
        before = mark.at_ms;
    }
    for stall in &timeline.stalls {
        let began = stall.at_ms - stall.gap_ms;
        let drawn = if bar < BAR_MIN {
            String::new()
        } else {
            scale.stall(began, stall.at_ms)
        };
        let name = format!("stall {}", duration(stall.gap_ms));
        lines.push(Line::from(vec![
            Span::styled(fit(&name, NAME, false), palette.bad()),
            Span::raw(format!("{:>TIME$} ", duration(stall.at_ms))),
            Span::styled(drawn, palette.bad()),
        ]));
    }
    lines.push(Line::raw(shares(timeline)));
    lines.push(Line::default());
    lines
}

/// What of it was ours, and what the client's.
fn shares(timeline: &Timeline) -> String {
    let known = |ms: Option<f64>| ms.map_or_else(|| "not known".to_owned(), duration);
    format!(
        "streamgauge itself {}, waited for the client {}, largest gap {}",
        known(timeline.overhead_ms),
        known(timeline.held_ms),
        known(timeline.largest_gap_ms)
    )
}

/// A time in so many cells.
struct Scale {
    end: f64,
    cells: usize,
}

impl Scale {
    fn cell(&self, at_ms: f64) -> usize {
        let last = self.cells.saturating_sub(1);
        match self.end > 0.0 {
            true => ((at_ms / self.end * last as f64).round() as usize).min(last),
            false => 0,
        }
    }

    /// From the instant before to this one, which has the mark.
    fn span(&self, from_ms: f64, to_ms: f64) -> String {
        let (from, to) = (self.cell(from_ms), self.cell(to_ms));
        let line = "─".repeat(to.saturating_sub(from));
        format!("{}{line}●", " ".repeat(from.min(to)))
    }

    fn stall(&self, from_ms: f64, to_ms: f64) -> String {
        let (from, to) = (self.cell(from_ms), self.cell(to_ms));
        " ".repeat(from.min(to)) + &"▒".repeat(to.saturating_sub(from) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_stand_where_their_time_is() {
        let scale = Scale {
            end: 100.0,
            cells: 11,
        };
        assert_eq!(scale.span(0.0, 0.0), "●");
        assert_eq!(scale.span(0.0, 50.0), "─────●");
        assert_eq!(scale.span(50.0, 100.0), "     ─────●");
        assert_eq!(scale.stall(20.0, 50.0), "  ▒▒▒▒");
    }

    #[test]
    fn no_times_lead_out_of_the_line() {
        for cells in [0, 1, 10] {
            for end in [0.0, 1.0, 1e12] {
                let scale = Scale { end, cells };
                for (from, to) in [(0.0, 1e15), (-5.0, -1.0), (5.0, 1.0)] {
                    assert!(scale.span(from, to).chars().count() <= cells.max(1));
                    assert!(scale.stall(from, to).chars().count() <= cells.max(1));
                }
            }
        }
    }
}
