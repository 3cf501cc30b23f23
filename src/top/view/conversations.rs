//! The table of conversations.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::style::Palette;
use super::table::{HEAD, fit};
use crate::top::api::Totals;
use crate::top::model::Conversations;
use crate::top::text::{clock, count, duration};

/// Letters of an id that tell it from others.
const ID: usize = 12;
/// Least cells of the models, which take what is left.
const MODELS: usize = 16;

/// A column: its head, its width, and what it shows.
struct Column(&'static str, usize, fn(&Totals) -> String);

/// All but the models, from left to right; those before the models, and those behind.
const BEFORE: [Column; 2] = [
    Column("last UTC", 8, |one| clock(one.last_at_ms)),
    Column("conversation", ID, |one| one.id.chars().take(ID).collect()),
];
const BEHIND: [Column; 8] = [
    Column("turns", 5, |one| count(one.turns)),
    Column("cost", 10, |one| known(one.cost())),
    Column("in", 7, |one| known(one.input_tokens.map(count))),
    Column("out", 7, |one| known(one.output_tokens.map(count))),
    Column("lasted", 9, |one| known(one.lasted_ms.map(duration))),
    Column("tools", 5, |one| some(one.tool_calls)),
    Column("errors", 6, |one| some(one.errors)),
    Column("repeated", 8, |one| some(one.repeated_calls)),
];

fn known(text: Option<String>) -> String {
    text.unwrap_or_default()
}

/// A count that says something; nothing for none.
fn some(n: u64) -> String {
    known((n > 0).then(|| count(n)))
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, page: &mut Conversations, palette: Palette) {
    let selected = page.rows.at(&page.shown);
    page.rows.window.height = usize::from(area.height.saturating_sub(HEAD));
    match selected {
        Some(row) => page.rows.window.show(row),
        None => page.rows.window.first = 0,
    }
    let (behind, models) = fitting(usize::from(area.width));
    let heads = line(behind, models, "models", |column| column.0.to_owned());
    let mut lines = vec![title(page, palette), Line::styled(heads, palette.title())];
    let window = page.rows.window;
    let rows = page.shown.iter().enumerate();
    for (at, one) in rows.skip(window.first).take(window.height) {
        let style = match one {
            one if one.errors > 0 => palette.bad(),
            one if one.repeated_calls > 0 => palette.odd(),
            _ => Style::new(),
        };
        let style = match selected == Some(at) {
            true => style.patch(palette.selected()),
            false => style,
        };
        let begun = if one.parent.is_some() { "↳ " } else { "" };
        let named = format!("{begun}{}", one.models());
        let text = line(behind, models, &named, |column| (column.2)(one));
        lines.push(Line::styled(text, style));
    }
    if page.shown.is_empty() && page.problem.is_none() && window.height > 0 {
        lines.push(Line::styled(empty(page), palette.quiet()));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

fn title(page: &Conversations, palette: Palette) -> Line<'static> {
    let newest = if page.has_more { "newest " } else { "" };
    let shown = page.shown.len();
    // Of older ones, which did not come, nobody knows how many turns they have.
    let among = page.all.as_ref().filter(|_| page.is_of_several);
    let (title, among) = match among {
        Some(all) if page.has_more => (
            shown.to_string(),
            format!(" of more than one turn among the newest {}", all.len()),
        ),
        Some(_) => (shown.to_string(), " of more than one turn".to_owned()),
        None => (format!("{newest}{shown}"), String::new()),
    };
    let problem = page.problem.as_ref();
    let problem = problem.map_or_else(String::new, |problem| format!("  {problem}"));
    Line::from(vec![
        Span::styled(format!("conversations: {title}"), palette.title()),
        Span::styled(among, palette.odd()),
        Span::styled(problem, palette.bad()),
    ])
}

fn empty(page: &Conversations) -> &'static str {
    match (&page.all, page.is_of_several) {
        (None, _) => "asking …",
        (Some(all), true) if !all.is_empty() => "None has more than one turn (m shows all).",
        _ => "No conversation yet.",
    }
}

/// How many columns behind the models there is room for, and how many cells the models have.
fn fitting(width: usize) -> (&'static [Column], usize) {
    let taken: usize = BEFORE.iter().map(|column| column.1 + 1).sum();
    let mut models = width.saturating_sub(taken);
    let mut shown = 0;
    for column in &BEHIND {
        match models.checked_sub(column.1 + 1) {
            Some(rest) if rest >= MODELS => models = rest,
            _ => break,
        }
        shown += 1;
    }
    (&BEHIND[..shown], models)
}

fn line(
    behind: &[Column],
    models_width: usize,
    models: &str,
    text: impl Fn(&Column) -> String,
) -> String {
    let before = BEFORE
        .iter()
        .map(|column| fit(&text(column), column.1, false));
    let models = fit(models, models_width, false);
    let behind = behind
        .iter()
        .map(|column| fit(&text(column), column.1, true));
    let cells = before.chain(std::iter::once(models)).chain(behind);
    cells.collect::<Vec<_>>().join(" ")
}
