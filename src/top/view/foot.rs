//! The foot: the keys, the line that is written, or what is wrong with it.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::flow::{ranked, words};
use super::style::Palette;
use crate::top::model::{Model, Page};
use crate::top::news::Mistake;
use crate::top::prompt::Prompt;

/// How many lines the foot takes.
pub(super) fn lines(model: &Model) -> u16 {
    match (&model.filter.prompt, &model.filter.mistake) {
        (None, Some(_)) => 2,
        _ => 1,
    }
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, palette: Palette) {
    match (&model.filter.prompt, &model.filter.mistake) {
        (Some(prompt), _) => draw_prompt(frame, area, prompt, palette),
        (None, Some((filter, mistake))) => {
            let lines = mistake_lines(filter, mistake, usize::from(area.width));
            let [written, marked] = lines;
            let lines = vec![
                Line::styled(written, palette.odd()),
                Line::styled(marked, palette.bad()),
            ];
            frame.render_widget(Paragraph::new(lines), area);
        }
        (None, None) => {
            let width = usize::from(area.width);
            let line = match model.notice {
                Some(notice) => Line::styled(words(notice, width), palette.odd()),
                None => keys(model, width, palette),
            };
            frame.render_widget(Paragraph::new(line), area);
        }
    }
}

/// The keys that do something here, the most important where not all have room: those that lead to the others, and out.
fn keys(model: &Model, width: usize, palette: Palette) -> Line<'static> {
    let here: &[&str] = match model.pages.last() {
        Some(Page::Exchange(_)) => &["Esc back", "↑↓ scroll", "←→ the next", "c conversation"],
        Some(Page::Conversation(page)) if matches!(page.facts, Some(Ok(_))) => {
            &["Esc back", "↑↓ Enter look at a turn"]
        }
        // There is nothing in it to look at.
        Some(Page::Conversation(_)) => &["Esc back"],
        Some(Page::Conversations(page)) if page.is_of_several => {
            &["↑↓ Enter or c look", "m all", "Tab exchanges"]
        }
        Some(Page::Conversations(_)) => &[
            "↑↓ Enter or c look",
            "m more than one turn",
            "Tab exchanges",
        ],
        None => &[
            "↑↓ Enter look",
            "/ filter",
            "s order",
            "Tab conversations",
            "p pause",
        ],
    };
    let here = here.iter().zip(2..).map(|(key, rank)| (rank, *key));
    let keys = here.chain([(0, "? help"), (1, "q quit")]);
    let keys = keys.map(|(rank, key)| (rank, Span::styled(key, palette.quiet())));
    ranked(keys.collect(), width)
}

/// The line as far as it fits, with the cursor in sight.
fn draw_prompt(frame: &mut Frame<'_>, area: Rect, prompt: &Prompt, palette: Palette) {
    let text = format!("/{}", prompt.text());
    let before = Span::raw(format!("/{}", prompt.before())).width();
    let room = usize::from(area.width.saturating_sub(1));
    let hidden = before.saturating_sub(room);
    let offset = u16::try_from(hidden).unwrap_or(u16::MAX);
    let line = Paragraph::new(text)
        .style(palette.figure())
        .scroll((0, offset));
    frame.render_widget(line, area);
    if area.height > 0 {
        let x = u16::try_from(before - hidden).unwrap_or(0);
        frame.set_cursor_position(Position::new(area.x + x, area.y));
    }
}

/// A filter, and below it a mark under the place of its mistake with what is wrong. Of a filter that is too wide, as much
/// is shown as leads to the place.
pub(in crate::top) fn mistake_lines(filter: &str, mistake: &Mistake, width: usize) -> [String; 2] {
    let Some(position) = mistake.position else {
        return [format!("/{filter}"), mistake.message.clone()];
    };
    let before: String = filter.chars().take(position).collect();
    let at = 1 + Span::raw(&*before).width();
    // The mark, a blank and some words of the message fit behind it.
    let hidden = at.saturating_sub(width / 2);
    let cut = |text: String| match hidden {
        0 => text,
        _ => text.chars().skip(hidden).collect(),
    };
    let blanks = " ".repeat(at - hidden);
    [
        cut(format!("/{filter}")),
        format!("{blanks}^ {}", mistake.message),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(position: Option<usize>) -> Mistake {
        Mistake {
            message: "expected a duration".to_owned(),
            position,
        }
    }

    #[test]
    fn the_mark_stands_under_the_mistake() {
        let [filter, mark] = mistake_lines("model:通义 ttft>x", &mistake(Some(14)), 80);
        assert_eq!(filter, "/model:通义 ttft>x");
        assert_eq!(mark, "                 ^ expected a duration");
        let place = Span::raw(&mark[..mark.find('^').unwrap()]).width();
        let written = Span::raw(&filter[..filter.find('x').unwrap()]).width();
        assert_eq!(place, written);
    }

    #[test]
    fn without_a_place_the_message_stands_alone() {
        let lines = mistake_lines("a", &mistake(None), 80);
        assert_eq!(lines, ["/a".to_owned(), "expected a duration".to_owned()]);
    }

    #[test]
    fn a_place_behind_the_edge_is_moved_into_sight() {
        let filter = "x".repeat(100);
        let [shown, mark] = mistake_lines(&filter, &mistake(Some(99)), 40);
        assert_eq!(mark.find('^'), Some(20));
        assert_eq!(shown, "x".repeat(21));
    }
}
