//! The turns of a conversation below each other, to one scale of time, and their figures beside them.

use std::iter;
use std::ops::Range;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::axis::axis;
use super::figures::{CONTEXT, Figure, Plan};
use crate::top::api::{ConversationDetail, Turn};
use crate::top::folded::Folded;
use crate::top::model::Picked;
use crate::top::view::flow::flow;
use crate::top::view::style::Palette;
use crate::top::view::table::{fit, width as width_of};

/// Draws as many turns as fit, the selected one among them; without a selection, the newest.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    whole: &ConversationDetail,
    turns: &mut Picked<Turn>,
    palette: Palette,
) {
    let plan = Plan::new(whole, usize::from(area.width));
    let scale = scale(&whole.turns);
    let mut lines = vec![axis(&plan, &scale, palette)];
    let width = usize::from(area.width);
    let notes = whole.turns.iter();
    let notes: Vec<_> = notes
        .map(|turn| notes_of(turn, &plan, width, palette))
        .collect();
    let heights: Vec<usize> = notes.iter().map(|notes| 1 + notes.len()).collect();
    let room = usize::from(area.height.saturating_sub(1));
    let selected = turns.at(&whole.turns);
    let shown = selected.unwrap_or(usize::MAX);
    turns.window.show_within(shown, &heights, room);
    let most = whole.turns.iter().filter_map(|it| it.exchange.input_tokens);
    let most = most.max().unwrap_or(0);
    let first = turns.window.first;
    turns.window.height = 0;
    for (at, turn) in whole.turns.iter().enumerate().skip(first) {
        if lines.len() > room {
            break;
        }
        turns.window.height += 1;
        let row = Drawn {
            whole,
            turn,
            plan: &plan,
            scale: &scale,
            most,
            is_selected: selected == Some(at),
            palette,
        };
        lines.push(row.line());
        lines.extend(notes[at].iter().cloned());
    }
    frame.render_widget(Paragraph::new(lines), area);
}

/// What is odd about a turn, below it.
fn notes_of(turn: &Turn, plan: &Plan, width: usize, palette: Palette) -> Vec<Line<'static>> {
    let style = match turn.exchange.has_failed() {
        true => palette.bad(),
        false => palette.odd(),
    };
    let odd = turn.oddities().into_iter();
    let odd = odd.map(|it| Span::styled(it, style)).collect();
    let left = plan.label + 3;
    let mut lines = flow(odd, width.saturating_sub(left));
    for (at, line) in lines.iter_mut().enumerate() {
        let corner = if at == 0 { "└ " } else { "" };
        let indent = fit(corner, 2, false);
        let indent = format!("{}{indent}", " ".repeat(plan.label + 1));
        line.spans.insert(0, Span::styled(indent, style));
    }
    lines
}

/// What the bars mean, as much as there is room for.
pub(super) fn key(width: usize, palette: Palette) -> Line<'static> {
    let entries = [
        ("── tool, at most", palette.tool()),
        ("░ first token", palette.quiet()),
        ("█ generating", palette.good()),
        ("▓ came whole", palette.good()),
        ("▂ cached", palette.good()),
        ("▆ read anew", palette.read()),
    ];
    let entries = entries.map(|(text, style)| Span::styled(text, style));
    let mut lines = flow(entries.to_vec(), width);
    lines.truncate(1);
    lines.pop().unwrap_or_default()
}

fn scale(turns: &[Turn]) -> Folded {
    Folded::of(turns.iter().flat_map(|turn| {
        let row = &turn.exchange;
        let own = (row.started_at_ms as f64, row.duration_ms.unwrap_or(0.0));
        let waits = turn.tool_waits.iter();
        let waits = waits.map(|wait| (wait.began_at_ms as f64, wait.lasted_ms));
        iter::once(own).chain(waits)
    }))
}

/// One turn and where it is drawn.
struct Drawn<'a> {
    whole: &'a ConversationDetail,
    turn: &'a Turn,
    plan: &'a Plan,
    scale: &'a Folded,
    /// Input tokens of the largest context.
    most: u64,
    is_selected: bool,
    palette: Palette,
}

impl Drawn<'_> {
    fn line(&self) -> Line<'static> {
        let palette = self.palette;
        let style = palette.row(&self.turn.exchange);
        let own = |style: Style| match self.is_selected {
            true => style.patch(palette.selected()),
            false => style,
        };
        let label = fit(&self.turn.label(), self.plan.label, true);
        let mut spans = vec![Span::styled(label, own(style)), Span::raw(" ")];
        spans.extend(self.bars());
        for figure in &self.plan.figures {
            if *figure == Figure::Context {
                spans.push(Span::raw(" "));
                spans.extend(self.context());
                continue;
            }
            let text = figure.text(self.whole, self.turn);
            let text = fit(&text, figure.width(), figure.is_number());
            let style = match figure {
                Figure::Cached if self.turn.broke_cache() => palette.odd(),
                _ => style,
            };
            spans.push(Span::styled(format!(" {text}"), own(style)));
        }
        Line::from(spans)
    }

    /// How large the context is beside the largest: what a cache served low, what was read anew high.
    fn context(&self) -> [Span<'static>; 3] {
        let row = &self.turn.exchange;
        let cells = |tokens: u64| match self.most {
            0 => 0,
            most => (tokens as f64 / most as f64 * CONTEXT as f64).round() as usize,
        };
        let input = row.input_tokens.unwrap_or(0);
        let all = cells(input).clamp(usize::from(input > 0), CONTEXT);
        let cached = cells(row.cached_tokens.unwrap_or(0)).min(all);
        [
            Span::styled("▂".repeat(cached), self.palette.good()),
            Span::styled("▆".repeat(all - cached), self.palette.read()),
            Span::raw(" ".repeat(CONTEXT - all)),
        ]
    }

    /// The waits for tools before it, the wait for its first token, and what came.
    fn bars(&self) -> Vec<Span<'static>> {
        let palette = self.palette;
        let mut cells = vec![(' ', Style::new()); self.plan.chart];
        for fold in self.scale.folds() {
            let at = (fold.at * cells.len() as f64) as usize;
            if let Some(cell) = cells.get_mut(at) {
                *cell = ('┊', palette.quiet());
            }
        }
        self.paint_tools(&mut cells);
        let row = &self.turn.exchange;
        let from = row.started_at_ms as f64;
        let to = from + row.duration_ms.unwrap_or(0.0);
        let failed = row.has_failed().then(|| palette.bad());
        let good = failed.unwrap_or_else(|| palette.good());
        let Range { start, end } = self.scale.cells(from, to, cells.len());
        match row.time_to_first_token_ms {
            Some(first) => {
                let quiet = failed.unwrap_or_else(|| palette.quiet());
                let first = self.scale.cells(from + first, to, cells.len()).start;
                // Both are seen where there is room for both.
                let first = first.max(start + 1).min(end.saturating_sub(1)).max(start);
                cells[start..first].fill(('░', quiet));
                cells[first..end].fill(('█', good));
            }
            None => cells[start..end].fill(('▓', good)),
        }
        spans(&cells)
    }

    /// One line for all of them, since they end together, and their names: in it, or beside the bars where nothing is.
    fn paint_tools(&self, cells: &mut [(char, Style)]) {
        let style = self.palette.tool();
        let mut all: Option<(f64, f64)> = None;
        for wait in &self.turn.tool_waits {
            let from = wait.began_at_ms as f64;
            let (first, last) = all.unwrap_or((from, from));
            all = Some((first.min(from), last.max(from + wait.lasted_ms)));
        }
        let Some((from, to)) = all else { return };
        let wait = self.scale.cells(from, to, cells.len());
        cells[wait.clone()].fill(('─', style));
        let names = self.turn.tools();
        // Letters of another width would move what stands behind them.
        let is_plain = names
            .chars()
            .all(|it| width_of(it.encode_utf8(&mut [0; 4])) == 1);
        let length = names.chars().count();
        let place = match self.behind(cells.len()) {
            _ if !is_plain => None,
            _ if length + 2 <= wait.len() => Some(wait.start + (wait.len() - length) / 2),
            _ if length < wait.start => Some(wait.start - length - 1),
            behind if behind + 1 + length <= cells.len() => Some(behind + 1),
            _ => None,
        };
        let named = place.map_or(&mut [][..], |at| &mut cells[at..]);
        for (cell, letter) in named.iter_mut().zip(names.chars()) {
            *cell = (letter, style);
        }
    }

    /// The first cell behind the bars.
    fn behind(&self, width: usize) -> usize {
        let row = &self.turn.exchange;
        let from = row.started_at_ms as f64;
        let to = from + row.duration_ms.unwrap_or(0.0);
        self.scale.cells(from, to, width).end
    }
}

/// Cells of one style in one piece.
fn spans(cells: &[(char, Style)]) -> Vec<Span<'static>> {
    let pieces = cells.chunk_by(|a, b| a.1 == b.1);
    let pieces = pieces.map(|piece| {
        let text: String = piece.iter().map(|(letter, _)| *letter).collect();
        Span::styled(text, piece[0].1)
    });
    pieces.collect()
}
