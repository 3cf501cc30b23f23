//! The keys, over everything else.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

use super::flow::words;
use super::style::Palette;
use super::table::fit;
use crate::top::keys::HELP;

/// Cells of a key's name.
const KEY: usize = 16;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, palette: Palette) {
    // Within the border.
    let room = usize::from(area.width).saturating_sub(2 + KEY);
    let lines: Vec<Line<'_>> = HELP
        .iter()
        .map(|(keys, what)| {
            Line::from(vec![
                Span::styled(fit(keys, KEY, false), palette.figure()),
                Span::raw(words(what, room)),
            ])
        })
        .collect();
    let widest = lines.iter().map(Line::width).max().unwrap_or(0) + 2;
    let width = u16::try_from(widest).unwrap_or(u16::MAX).min(area.width);
    let height = u16::try_from(lines.len() + 2)
        .unwrap_or(u16::MAX)
        .min(area.height);
    let inner = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    let block = Block::bordered()
        .title(" keys ")
        .title_style(palette.title());
    frame.render_widget(Clear, inner);
    frame.render_widget(Paragraph::new(lines).block(block), inner);
}
