//! One exchange: its timeline to scale, its facts, its attributes.

mod facts;
mod timeline;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::style::Palette;
use crate::top::api::One;
use crate::top::model::Opened;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, opened: &mut Opened, palette: Palette) {
    let lines = lines(opened, usize::from(area.width), palette);
    opened.lines = lines.len();
    opened.window.height = usize::from(area.height);
    let most = lines.len().saturating_sub(opened.window.height);
    opened.window.first = opened.window.first.min(most);
    let shown = lines
        .into_iter()
        .skip(opened.window.first)
        .take(opened.window.height);
    frame.render_widget(Paragraph::new(shown.collect::<Vec<_>>()), area);
}

fn lines(opened: &Opened, width: usize, palette: Palette) -> Vec<Line<'static>> {
    match &opened.facts {
        None => vec![Line::styled(
            format!("exchange {}: asking …", opened.id),
            palette.quiet(),
        )],
        Some(Err(problem)) => {
            vec![Line::styled(
                format!("exchange {}: {problem}", opened.id),
                palette.bad(),
            )]
        }
        Some(Ok(one)) => of(one, width, palette),
    }
}

fn of(one: &One, width: usize, palette: Palette) -> Vec<Line<'static>> {
    let row = &one.exchange;
    let title = format!("exchange {}: {}", row.id, row.subject());
    let mut lines = vec![Line::styled(title, palette.title())];
    let story = row.story();
    if !story.is_empty() {
        lines.push(Line::styled(story, palette.row(row)));
    }
    lines.push(Line::default());
    lines.extend(timeline::lines(&one.timeline, width, palette));
    lines.extend(facts::lines(one, width, palette));
    lines
}
