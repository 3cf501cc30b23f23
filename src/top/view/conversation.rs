//! One conversation: its sums, its turns to scale, and the selected turn in words.

mod axis;
mod figures;
mod sums;
mod turn;
mod waterfall;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Wrap};

use super::style::Palette;
use super::table::fit;
use crate::top::api::{ConversationDetail, Turn};
use crate::top::model::{Conversation, Picked};

pub(in crate::top) use sums::sums;

/// Lines of the turn in words, its rule included.
const TURN: u16 = 6;
/// Least height at which there are the turn in words, and the key to the bars.
const WITH_TURN: u16 = 15;
const WITH_KEY: u16 = 12;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, page: &mut Conversation, palette: Palette) {
    match &page.facts {
        None => {
            let asking = Paragraph::new(format!("conversation {}: asking …", page.id));
            frame.render_widget(asking.style(palette.quiet()), area);
        }
        Some(Err(problem)) => {
            let problem = Paragraph::new(problem.to_string()).wrap(Wrap { trim: true });
            frame.render_widget(problem.style(palette.bad()), area);
        }
        Some(Ok(whole)) => draw_whole(frame, area, whole, &mut page.turns, palette),
    }
}

fn draw_whole(
    frame: &mut Frame<'_>,
    area: Rect,
    whole: &ConversationDetail,
    turns: &mut Picked<Turn>,
    palette: Palette,
) {
    let width = usize::from(area.width);
    let mut head = vec![Line::styled(
        fit(
            &format!("conversation {}: {}", whole.id, whole.totals.models()),
            width,
            false,
        ),
        palette.title(),
    )];
    head.extend(super::flow::flow(sums(whole, palette), width));
    let lines = |wanted: u16, from: u16| if area.height >= from { wanted } else { 0 };
    let [above, middle, key, below] = Layout::vertical([
        Constraint::Length(u16::try_from(head.len()).unwrap_or(u16::MAX)),
        Constraint::Min(0),
        Constraint::Length(lines(1, WITH_KEY)),
        Constraint::Length(lines(TURN, WITH_TURN)),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(head), above);
    waterfall::draw(frame, middle, whole, turns, palette);
    frame.render_widget(Paragraph::new(waterfall::key(width, palette)), key);
    let at = turns.at(&whole.turns);
    let at = at.or(whole.turns.len().checked_sub(1));
    if let Some(at) = at.filter(|_| below.height > 0) {
        let lines = turn::lines(whole, at, width, palette);
        frame.render_widget(Paragraph::new(lines), below);
    }
}
