//! Draws a model. Knows no terminal: only cells of a size.

mod conversation;
mod conversations;
mod flights;
mod flow;
mod foot;
mod head;
mod help;
mod one;
mod style;
mod table;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};

use super::model::{Model, Page};

pub(super) use conversation::sums;
pub(super) use foot::mistake_lines;
pub(super) use head::{day, rates};
pub(super) use style::Palette;
pub(super) use table::{fit, width};

/// Rows of the table, its head included, that are left to it before what is in flight is shown.
const TABLE_MIN: u16 = 5;
/// Least height at which the latencies are drawn.
const WITH_SPARKLINES: u16 = 16;

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, model: &mut Model, palette: Palette) {
    let area = frame.area();
    // A conversation is not of late, and has a head of its own.
    let is_of_late = !matches!(model.pages.last(), Some(Page::Conversation(_)));
    let has_sparklines = is_of_late && area.height >= WITH_SPARKLINES;
    let lines = head::lines(has_sparklines, area.height);
    let [head, body, foot] = Layout::vertical([
        Constraint::Length(lines),
        Constraint::Min(0),
        Constraint::Length(foot::lines(model).min(area.height.saturating_sub(lines))),
    ])
    .areas(area);
    head::draw(frame, head, model, palette);
    draw_body(frame, body, model, palette);
    foot::draw(frame, foot, model, palette);
    if model.shows_help {
        help::draw(frame, area, palette);
    }
}

fn draw_body(frame: &mut Frame<'_>, area: Rect, model: &mut Model, palette: Palette) {
    match model.pages.last_mut() {
        Some(Page::Exchange(opened)) => one::draw(frame, area, opened, palette),
        Some(Page::Conversation(page)) => conversation::draw(frame, area, page, palette),
        Some(Page::Conversations(page)) => conversations::draw(frame, area, page, palette),
        None => draw_tables(frame, area, model, palette),
    }
}

fn draw_tables(frame: &mut Frame<'_>, area: Rect, model: &mut Model, palette: Palette) {
    let wanted = model.in_flight.as_ref().map_or(0, flights::lines);
    // A third of the room, or what the table has no rows for; and only what it can spare.
    let rows = u16::try_from(model.rows.len()).unwrap_or(u16::MAX);
    let unused = area.height.saturating_sub(rows.saturating_add(table::HEAD));
    let spare = area.height.saturating_sub(TABLE_MIN);
    let most = (area.height / 3).max(unused).min(spare);
    let given = if most < 2 { 0 } else { wanted.min(most) };
    let [flights, table] =
        Layout::vertical([Constraint::Length(given), Constraint::Min(0)]).areas(area);
    if let Some(in_flight) = &model.in_flight {
        flights::draw(frame, flights, in_flight, palette);
    }
    table::draw(frame, table, model, palette);
}

#[cfg(test)]
mod tests;
