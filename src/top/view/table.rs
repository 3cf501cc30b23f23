//! The table of what has ended.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use super::style::Palette;
use crate::top::api::Row;
use crate::top::column::{Column, fitting};
use crate::top::model::{Link, Model, Sort};
use crate::top::text::count;

/// Lines above the rows: the title, and the heads of the columns.
pub(super) const HEAD: u16 = 2;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &mut Model, palette: Palette) {
    let selected = model.selected();
    model.table.window.height = usize::from(area.height.saturating_sub(HEAD));
    match selected {
        Some(row) => model.table.window.show(row),
        None => model.table.window.first = 0,
    }
    let columns = widths(area.width, model.sort.column);
    let mut lines = vec![title(model, palette), head(&columns, model.sort, palette)];
    let window = model.table.window;
    let rows = model.rows.iter().enumerate();
    for (at, row) in rows.skip(window.first).take(window.height) {
        let style = match selected {
            Some(selected) if selected == at => palette.row(row).patch(palette.selected()),
            _ => palette.row(row),
        };
        lines.push(Line::styled(row_text(&columns, row), style));
    }
    frame.render_widget(Paragraph::new(lines), area);
    if model.rows.is_empty() && window.height > 0 {
        let (text, style) = empty(model, palette);
        let text = Paragraph::new(text).style(style).wrap(Wrap { trim: true });
        let below = Rect {
            y: area.y + HEAD,
            height: area.height - HEAD,
            ..area
        };
        frame.render_widget(text, below);
    }
}

fn title(model: &Model, palette: Palette) -> Line<'static> {
    let Some(total) = model.total else {
        return Line::styled("exchanges", palette.title());
    };
    let shown = model.rows.len();
    let mut spans = vec![Span::styled(
        format!("exchanges: newest {shown} of {}", count(total)),
        palette.title(),
    )];
    if !model.filter.applied.is_empty() {
        spans.push(Span::raw("  filter: "));
        spans.push(Span::styled(model.filter.applied.clone(), palette.odd()));
    }
    Line::from(spans)
}

/// What is said where there is no row. Of what has never come nobody knows whether there is any.
fn empty(model: &Model, palette: Palette) -> (String, Style) {
    let text = match (&model.link, model.total) {
        (Link::Lost(problem), None) => return (problem.to_string(), palette.bad()),
        (_, None) => "asking …".to_owned(),
        _ if !model.filter.applied.is_empty() => "Nothing matches the filter.".to_owned(),
        _ => {
            let summary = model.summary.as_ref();
            match summary.and_then(|it| it.base_url.as_deref()) {
                Some(url) => {
                    format!("No exchange yet. Point a client here: OPENAI_BASE_URL={url}")
                }
                None => "No exchange yet.".to_owned(),
            }
        }
    };
    (text, palette.quiet())
}

/// The columns for a width, and how wide each is. What is left goes to those that grow.
fn widths(width: u16, ordered_by: Column) -> Vec<(Column, usize)> {
    let columns = fitting(width, ordered_by);
    let taken: usize = columns.iter().map(|it| usize::from(it.width()) + 1).sum();
    let left = (usize::from(width) + 1).saturating_sub(taken);
    let growing = columns.iter().filter(|it| it.grows()).count().max(1);
    let mut columns: Vec<_> = columns
        .into_iter()
        .map(|it| {
            (
                it,
                usize::from(it.width()) + if it.grows() { left / growing } else { 0 },
            )
        })
        .collect();
    if let [(_, only)] = &mut columns[..] {
        *only = usize::from(width);
    }
    columns
}

fn head(columns: &[(Column, usize)], sort: Sort, palette: Palette) -> Line<'static> {
    let heads = columns.iter().map(|(column, width)| {
        let title = match (*column == sort.column, sort.descending) {
            (false, _) => column.title().to_owned(),
            (true, true) => format!("{}▼", column.title()),
            (true, false) => format!("{}▲", column.title()),
        };
        fit(&title, *width, column.is_number())
    });
    let heads: Vec<String> = heads.collect();
    Line::styled(heads.join(" "), palette.title())
}

fn row_text(columns: &[(Column, usize)], row: &Row) -> String {
    let cells = columns
        .iter()
        .map(|(column, width)| fit(&column.text(row), *width, column.is_number()));
    cells.collect::<Vec<_>>().join(" ")
}

/// A text in so many cells exactly, cut with a mark where it is longer.
pub(in crate::top) fn fit(text: &str, width: usize, to_the_right: bool) -> String {
    let cells = Span::raw(text).width();
    if cells <= width {
        let blanks = " ".repeat(width - cells);
        return match to_the_right {
            true => blanks + text,
            false => text.to_owned() + &blanks,
        };
    }
    let mut cut = String::new();
    let mut used = 0;
    for character in text.chars() {
        let cells = Span::raw(character.to_string()).width();
        if used + cells + 1 > width {
            break;
        }
        cut.push(character);
        used += cells;
    }
    if used < width {
        cut.push('…');
    }
    let blanks = width.saturating_sub(Span::raw(&*cut).width());
    cut + &" ".repeat(blanks)
}

/// How many cells a text takes.
pub(in crate::top) fn width(text: &str) -> usize {
    Span::raw(text).width()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_takes_the_cells_that_it_is_given() {
        assert_eq!(fit("abc", 5, false), "abc  ");
        assert_eq!(fit("abc", 5, true), "  abc");
        assert_eq!(fit("abcdef", 5, false), "abcd…");
        // A character of two cells is not cut in half.
        assert_eq!(fit("通义千问", 6, false), "通义… ");
        for width in 0..12 {
            for text in [
                "",
                "a",
                "通义千问",
                "e\u{301}e\u{301}e\u{301}",
                "👩‍👩‍👧 family",
                "longer than that",
            ] {
                assert_eq!(
                    Span::raw(fit(text, width, true)).width(),
                    width,
                    "{text} {width}"
                );
            }
        }
    }

    #[test]
    fn at_a_usual_width_models_and_ends_have_room() {
        let columns = widths(120, Column::Time);
        let width = |column| columns.iter().find(|(it, _)| *it == column).unwrap().1;
        assert!(width(Column::Model) >= 20, "{columns:?}");
        assert!(width(Column::End) >= 16, "{columns:?}");
        assert!(!columns.iter().any(|(it, _)| *it == Column::Upstream));
    }

    #[test]
    fn columns_take_the_whole_width_and_no_more() {
        for width in 13..300_u16 {
            let columns = widths(width, Column::Time);
            let taken: usize = columns.iter().map(|(_, width)| width + 1).sum();
            assert!(taken - 1 <= usize::from(width), "{width}: {columns:?}");
            assert!(taken + 2 > usize::from(width), "{width}: {columns:?}");
        }
    }
}
