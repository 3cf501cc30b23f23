//! The head: whom it is of, the rates, and the time to the first token of late.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Sparkline, SparklineBar};

use super::flow::{ranked, words};
use super::style::Palette;
use crate::top::api::{Quantiles, Step, Today};
use crate::top::model::{Link, Model};
use crate::top::text::{count, duration, estimated, number, rate, usd};

/// Steps that the rates are of, the one that is not over left out: ten seconds.
const STEPS: usize = 2;
/// Cells before a sparkline, and behind it.
const LABEL: u16 = 9;
const VALUE: u16 = 9;

/// What the sparklines are of, and what the figures behind them are of. A step is short: its figure may be of one call.
const LATENCY: &str = "time to first token, 5 minutes";
const LATENCY_SHORT: &str = "time to first token";
const LATEST: &str = "latest step";

/// How many lines the head takes.
pub(super) fn lines(with_sparklines: bool, height: u16) -> u16 {
    match (with_sparklines, height) {
        (true, _) => 5,
        (false, 0..4) => 1,
        (false, _) => 2,
    }
}

/// Requests, errors and output tokens a second, lately; `None` before a step is over.
pub(in crate::top) fn rates(steps: &[Step]) -> Option<[f64; 3]> {
    let over = &steps[..steps.len().checked_sub(1)?];
    let of = &over[over.len().checked_sub(STEPS)?..];
    let width = steps.last()?.at_ms.checked_sub(of[0].at_ms)?;
    if width == 0 {
        return None;
    }
    let sum = |of_step: fn(&Step) -> u64| {
        let sum: u64 = of.iter().map(of_step).sum();
        sum as f64 * 1000.0 / width as f64
    };
    Some([
        sum(|it| it.requests),
        sum(|it| it.errors),
        sum(|it| it.output_tokens),
    ])
}

/// The day so far: requests, errors, and what it cost.
pub(in crate::top) fn day(today: Option<&Today>) -> [String; 3] {
    match today {
        Some(today) => [
            format!("today: {}", number(today.requests, "request")),
            number(today.errors, "error"),
            format!("cost {}", spent(today)),
        ],
        None => ["today: - requests", "- errors", "cost -"].map(str::to_owned),
    }
}

/// What the day has cost so far, and how many calls are not in it.
fn spent(today: &Today) -> String {
    let cost = today.cost_usd.as_deref().map(usd);
    let cost = cost.map(|cost| estimated(cost, today.cost_estimated));
    let cost = cost.unwrap_or_else(|| "-".to_owned());
    match today.unpriced {
        0 => cost,
        unpriced => format!("{cost} ({} unpriced)", count(unpriced)),
    }
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, palette: Palette) {
    let [title, figures, rest] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(0),
    ])
    .areas(area);
    let width = usize::from(area.width);
    frame.render_widget(Paragraph::new(title_line(model, width, palette)), title);
    frame.render_widget(Paragraph::new(figure_line(model, width, palette)), figures);
    if rest.height >= 3 {
        let summary = model.summary.as_ref();
        let first = summary.map(|it| it.latency.time_to_first_token.clone());
        draw_latency(frame, rest, &first.unwrap_or_default(), palette);
    }
}

fn title_line(model: &Model, width: usize, palette: Palette) -> Line<'static> {
    let summary = model.summary.as_ref();
    let version = summary.and_then(|it| it.version.as_deref());
    let is_draining = summary.is_some_and(|it| !it.ready);
    let state = match &model.link {
        Link::New => Span::styled("connecting", palette.odd()),
        Link::Lost(problem) => {
            let text = words(&format!("trying again: {problem}"), width);
            Span::styled(text, palette.bad())
        }
        Link::Up if model.is_paused => Span::styled("paused (p goes on)", palette.odd()),
        Link::Up if is_draining => Span::styled("draining", palette.odd()),
        Link::Up => Span::styled("live", palette.good()),
    };
    let name = format!("streamgauge {}", version.unwrap_or_default());
    let name = Span::styled(name.trim_end().to_owned(), palette.title());
    let mut parts = vec![(1, name), (0, state)];
    if !matches!(model.link, Link::Lost(_)) {
        parts.push((2, Span::styled(model.at.clone(), palette.quiet())));
    }
    ranked(parts, width)
}

fn figure_line(model: &Model, width: usize, palette: Palette) -> Line<'static> {
    let summary = model.summary.as_ref();
    let of_late = summary.and_then(|it| rates(&it.steps));
    let shown = |at: usize| of_late.map_or_else(|| "-".to_owned(), |rates| rate(rates[at]));
    let in_flight = model.in_flight.as_ref().map(|it| count(it.count));
    let in_flight = in_flight.as_deref().unwrap_or("-");
    let today = summary.map(|it| &it.today);
    let [requests, errors, cost] = day(today);
    let fails = of_late.is_some_and(|rates| rates[1] > 0.0);
    let failed = today.is_some_and(|it| it.errors > 0);
    let figures = [
        (0, format!("{} req/s", shown(0)), false),
        (5, format!("{} tok/s", shown(2)), false),
        (1, format!("{} err/s", shown(1)), fails),
        (2, format!("{in_flight} in flight"), false),
        (3, requests, false),
        (4, errors, failed),
        (6, cost, false),
    ];
    let figures = figures.map(|(rank, text, is_bad)| {
        let style = if is_bad {
            palette.bad()
        } else {
            palette.figure()
        };
        (rank, Span::styled(text, style))
    });
    ranked(figures.to_vec(), width)
}

fn draw_latency(frame: &mut Frame<'_>, area: Rect, first: &Quantiles, palette: Palette) {
    let rows: [Rect; 3] = Layout::vertical([Constraint::Length(1); 3]).areas(area);
    let title = match usize::from(area.width) >= LATENCY.len() + 2 + LATEST.len() {
        true => LATENCY,
        false => LATENCY_SHORT,
    };
    let line = Paragraph::new(Line::styled(title, palette.title()));
    frame.render_widget(line, rows[0]);
    let latest = Line::styled(LATEST, palette.quiet()).right_aligned();
    frame.render_widget(Paragraph::new(latest), rows[0]);
    let all = first.p50_ms.iter().chain(&first.p95_ms).flatten();
    let most = all.copied().fold(0.0, f64::max);
    let quantiles = [("p50", &first.p50_ms), ("p95", &first.p95_ms)];
    for ((name, steps), area) in quantiles.into_iter().zip(&rows[1..]) {
        let [label, chart, value] = Layout::horizontal([
            Constraint::Length(LABEL),
            Constraint::Min(0),
            Constraint::Length(VALUE),
        ])
        .areas(*area);
        frame.render_widget(Paragraph::new(format!("  {name}")), label);
        draw_steps(frame, chart, steps, most, palette);
        let last = steps.iter().rev().flatten().next();
        let last = last.map_or_else(|| "-".to_owned(), |ms| duration(*ms));
        frame.render_widget(Paragraph::new(Line::raw(last).right_aligned()), value);
    }
}

/// The newest step at the right, each as wide as the others; empty where nothing is known.
fn draw_steps(
    frame: &mut Frame<'_>,
    area: Rect,
    steps: &[Option<f64>],
    most: f64,
    palette: Palette,
) {
    let width = usize::from(area.width);
    let shown = &steps[steps.len().saturating_sub(width)..];
    // In microseconds, since bars are whole numbers.
    let most = ((most * 1000.0) as u64).max(1);
    // What is there is never drawn as nothing: an eighth of a cell is the least that is seen.
    let least = most.div_ceil(8);
    let bar = |step: Option<f64>| step.map(|ms| ((ms * 1000.0) as u64).max(least));
    let cells = (0..width).filter_map(|cell| shown.get(cell * shown.len() / width));
    let bars = cells.map(|step| SparklineBar::from(bar(*step)));
    let sparkline = Sparkline::default()
        .data(bars.collect::<Vec<_>>())
        .max(most)
        .absent_value_symbol(" ")
        .style(palette.good());
    frame.render_widget(sparkline, area);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::text::Text;

    fn step(at_ms: u64, requests: u64) -> Step {
        Step {
            at_ms,
            requests,
            errors: 1,
            output_tokens: 10 * requests,
        }
    }

    #[test]
    fn rates_are_of_the_last_ten_seconds_that_are_over() {
        let steps = [
            step(0, 500),
            step(5000, 10),
            step(10_000, 30),
            step(15_000, 1),
        ];
        assert_eq!(rates(&steps), Some([4.0, 0.2, 40.0]));
    }

    #[test]
    fn calls_without_a_price_are_counted_also_where_no_call_has_one() {
        let spent_of = |cost: Option<&str>, unpriced| {
            spent(&Today {
                cost_usd: cost.map(Text::new),
                unpriced,
                ..Today::default()
            })
        };
        assert_eq!(spent_of(None, 0), "-");
        assert_eq!(spent_of(None, 4), "- (4 unpriced)");
        assert_eq!(spent_of(Some("0.5"), 0), "$0.5");
        assert_eq!(spent_of(Some("0.5"), 4), "$0.5 (4 unpriced)");
    }

    #[test]
    fn a_cost_of_which_some_is_estimated_is_marked_as_in_the_rows() {
        let today = Today {
            cost_usd: Some(Text::new("0.5")),
            cost_estimated: true,
            unpriced: 4,
            ..Today::default()
        };
        assert_eq!(spent(&today), "~$0.5 (4 unpriced)");
    }

    #[test]
    fn before_that_nothing_is_known() {
        assert_eq!(rates(&[]), None);
        assert_eq!(rates(&[step(0, 1), step(5000, 1)]), None);
        let still = [step(0, 1), step(0, 1), step(0, 1)];
        assert_eq!(rates(&still), None);
    }
}
