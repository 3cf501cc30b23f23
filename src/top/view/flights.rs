//! What is in flight: a bar for each, to one scale.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::flow::ranked;
use super::style::Palette;
use super::table::fit;
use crate::top::api::{Flight, FlightState, InFlight};
use crate::top::text::{count, duration};

/// The time that a bar of full length stands for is at least this, so that short calls have short bars.
const SCALE_MIN_MS: f64 = 1000.0;
/// Cells of the name, and of the figures behind the bar.
const NAME: usize = 20;
const FIGURES: usize = 30;
/// Least width of a bar.
const BAR_MIN: usize = 8;

/// What the cells of a bar stand for.
const LEGEND: [&str; 3] = ["░ until the first token", "█ generating", "▒ nothing came"];

/// How many lines it takes, its title included, if it has all.
pub(super) fn lines(in_flight: &InFlight) -> u16 {
    u16::try_from(in_flight.exchanges.len() + 1).unwrap_or(u16::MAX)
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, in_flight: &InFlight, palette: Palette) {
    let room = usize::from(area.height.saturating_sub(1));
    let shown = in_flight.exchanges.len().min(room);
    let hidden = in_flight.count.saturating_sub(shown as u64);
    let more = match hidden {
        0 => String::new(),
        _ => format!(", {} of them not shown", count(hidden)),
    };
    let title = format!("in flight: {}{more}", count(in_flight.count));
    let mut title = vec![(0, Span::styled(title, palette.title()))];
    title.extend(LEGEND.map(|text| (1, Span::styled(text, palette.quiet()))));
    let mut lines = vec![ranked(title, usize::from(area.width))];
    let ages = in_flight.exchanges.iter().map(|flight| flight.age_ms);
    let scale = ages.fold(SCALE_MIN_MS, f64::max);
    let width = usize::from(area.width);
    let flights = in_flight.exchanges[..shown].iter();
    lines.extend(flights.map(|flight| line(flight, scale, width, palette)));
    frame.render_widget(Paragraph::new(lines), area);
}

fn line(flight: &Flight, scale_ms: f64, width: usize, palette: Palette) -> Line<'static> {
    let style = palette.state(flight.state);
    let has_figures = width >= NAME + 1 + BAR_MIN + FIGURES;
    let figures = if has_figures { FIGURES } else { 12 };
    let bar_width = width.saturating_sub(NAME + 1 + figures);
    let mut spans = vec![
        Span::raw(fit(&flight.subject(), NAME, false)),
        Span::raw(" "),
        Span::styled(bar(flight, scale_ms, bar_width), style),
        Span::styled(format!(" {:<11}", flight.state.name()), style),
    ];
    if has_figures {
        let chunks = flight.chunks.unwrap_or_default();
        spans.push(Span::raw(format!("{:>9}", duration(flight.age_ms))));
        spans.push(Span::raw(format!(" {:>8}", format!("{}ch", count(chunks)))));
    }
    Line::from(spans)
}

/// The age as a bar of at most this many cells: until the first token, while generating, and since the last output where
/// that is too long.
fn bar(flight: &Flight, scale_ms: f64, width: usize) -> String {
    let cells = |ms: f64| (ms / scale_ms * width as f64).round() as usize;
    let all = cells(flight.age_ms).clamp(1, width.max(1)).min(width);
    let first = flight.time_to_first_token_ms;
    let waited = first.map_or(all, |ms| cells(ms).min(all));
    let stalled = match (flight.state, flight.since_last_output_ms) {
        (FlightState::Stalled, Some(ms)) => cells(ms).clamp(1, all.max(1)).min(all - waited),
        _ => 0,
    };
    let generated = all - waited - stalled;
    let parts = [
        ("░", waited),
        ("█", generated),
        ("▒", stalled),
        (" ", width - all),
    ];
    parts.map(|(cell, times)| cell.repeat(times)).concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flight(state: FlightState, age_ms: f64, first: Option<f64>, since: Option<f64>) -> Flight {
        Flight {
            state,
            age_ms,
            time_to_first_token_ms: first,
            since_last_output_ms: since,
            ..Flight::default()
        }
    }

    #[test]
    fn a_bar_shows_how_long_it_waited_generated_and_stalled() {
        let waiting = flight(FlightState::Waiting, 500.0, None, None);
        assert_eq!(bar(&waiting, 1000.0, 10), "░░░░░     ");
        let generating = flight(FlightState::Generating, 1000.0, Some(200.0), Some(10.0));
        assert_eq!(bar(&generating, 1000.0, 10), "░░████████");
        let stalled = flight(FlightState::Stalled, 1000.0, Some(200.0), Some(500.0));
        assert_eq!(bar(&stalled, 1000.0, 10), "░░███▒▒▒▒▒");
    }

    #[test]
    fn no_figures_make_it_wider_than_it_may_be() {
        let figures = [0.0, 0.1, 999.0, 1e9, f64::NAN, f64::INFINITY];
        for width in 0..12 {
            for age in figures {
                for other in figures {
                    let flight = flight(FlightState::Stalled, age, Some(other), Some(other));
                    assert_eq!(bar(&flight, 1000.0, width).chars().count(), width);
                }
            }
        }
    }
}
