//! One turn in words.

use ratatui::text::{Line, Span};

use crate::top::api::{ConversationDetail, Turn};
use crate::top::column::Column;
use crate::top::text::{clock, count, duration, estimated, percent, usd};
use crate::top::view::flow::flow;
use crate::top::view::style::Palette;
use crate::top::view::table::fit;

pub(super) fn lines(
    whole: &ConversationDetail,
    at: usize,
    width: usize,
    palette: Palette,
) -> Vec<Line<'static>> {
    let turn = &whole.turns[at];
    let mut lines = vec![rule(turn, width, palette)];
    let odd = turn.oddities().into_iter();
    let mut odd: Vec<Span<'_>> = odd.map(|it| Span::styled(it, palette.odd())).collect();
    if let Some(prompt) = turn.prompt.as_ref().filter(|_| turn.broke_cache()) {
        odd.extend(prompt.matched().map(Span::raw));
    }
    lines.extend(flow(odd, width));
    let raw = |parts: Vec<String>| flow(parts.into_iter().map(Span::raw).collect(), width);
    lines.extend(raw(times(turn)));
    lines.extend(raw(tokens(whole, at)));
    let waits = turn.tool_waits.iter();
    let waits =
        waits.map(|it| format!("waited at most {} for {}", duration(it.lasted_ms), it.name));
    let waits = waits.map(|it| Span::styled(it, palette.tool())).collect();
    lines.extend(flow(waits, width));
    lines
}

/// Its name in a line that parts it from what is above.
fn rule(turn: &Turn, width: usize, palette: Palette) -> Line<'static> {
    let row = &turn.exchange;
    let number = row.turn.map_or_else(|| "-".to_owned(), count);
    let mut name = format!("── turn {number} ");
    if turn.branch > 0 {
        name += &format!("of branch {} ", turn.branch);
    }
    if turn.depth > 0 {
        name += &format!("at depth {} ", turn.depth);
    }
    let began = clock(row.started_at_ms);
    name += &format!(
        "── exchange {} ── {began} UTC ── {} ",
        row.id,
        row.subject()
    );
    let line = "─".repeat(width.saturating_sub(Span::raw(&*name).width()));
    Line::styled(fit(&(name + &line), width, false), palette.title())
}

fn times(turn: &Turn) -> Vec<String> {
    let row = &turn.exchange;
    let parts = [
        row.duration_ms.map(|ms| format!("took {}", duration(ms))),
        row.time_to_first_token_ms
            .map(|ms| format!("first token after {}", duration(ms))),
        (!row.has_failed()).then(|| row.story()),
        row.tool_calls
            .filter(|calls| *calls > 0)
            .map(|calls| format!("asked for tools {}×", count(calls))),
    ];
    let parts = parts.into_iter().flatten();
    parts.filter(|it| !it.is_empty()).collect()
}

fn tokens(whole: &ConversationDetail, at: usize) -> Vec<String> {
    let turn = &whole.turns[at];
    let row = &turn.exchange;
    let known = |tokens: String, what: &str| (!tokens.is_empty()).then(|| tokens + what);
    let parts = [
        known(Column::Input.text(row), " tokens in"),
        whole.grown(turn).map(|by| format!("{} since", grown(by))),
        turn.cached_share()
            .map(|share| format!("{} cached", percent(share))),
        known(Column::Output.text(row), " out"),
        known(Column::Cost.text(row), "").map(|cost| format!("cost {cost}")),
        whole.cost_until(at).map(|cost| {
            let cost = usd(&format!("{cost:.9}"));
            format!("{} so far", estimated(cost, whole.is_estimated_until(at)))
        }),
    ];
    parts.into_iter().flatten().collect()
}

/// A change with its sign.
pub(super) fn grown(by: i64) -> String {
    let sign = if by < 0 { '-' } else { '+' };
    format!("{sign}{}", count(by.unsigned_abs()))
}
