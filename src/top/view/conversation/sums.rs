//! A conversation in figures.

use ratatui::text::Span;

use crate::top::api::ConversationDetail;
use crate::top::text::{count, duration, number, percent};
use crate::top::view::style::Palette;

/// The sums, each a part: what is usual first, then what is odd. A figure that is not known is `-`.
pub(in crate::top) fn sums(whole: &ConversationDetail, palette: Palette) -> Vec<Span<'static>> {
    let totals = &whole.totals;
    let known = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), count);
    let cached = whole.cached_share().map(percent);
    let cost = totals.cost();
    let lasted = totals.lasted_ms.map(duration);
    let usual = [
        number(totals.turns, "turn"),
        format!("lasted {}", lasted.as_deref().unwrap_or("-")),
        format!("{} tokens in", known(totals.input_tokens)),
        format!("{} cached", cached.as_deref().unwrap_or("-")),
        format!("{} out", known(totals.output_tokens)),
        format!("cost {}", cost.as_deref().unwrap_or("-")),
        number(totals.tool_calls, "tool call"),
    ];
    let mut sums: Vec<Span<'static>> = usual.map(|it| Span::styled(it, palette.figure())).to_vec();
    let mut odd = |n: u64, text: String| {
        if n > 0 {
            sums.push(Span::styled(text, palette.odd()));
        }
    };
    let (breaks, lost) = (whole.cache_breaks(), whole.lost_tokens());
    odd(breaks, format!("cache broke {}×", count(breaks)));
    odd(lost, format!("{} tokens lost by it", count(lost)));
    odd(
        totals.repeated_calls,
        number(totals.repeated_calls, "repeated call"),
    );
    if totals.errors > 0 {
        let errors = number(totals.errors, "error");
        sums.push(Span::styled(errors, palette.bad()));
    }
    let mut quiet = |text: String| sums.push(Span::styled(text, palette.quiet()));
    let hidden = totals.turns.saturating_sub(whole.turns.len() as u64);
    if hidden > 0 {
        quiet(format!("the first {} not shown", count(hidden)));
    }
    if let Some(parent) = &whole.parent {
        quiet(format!("begun by a tool call of {parent}"));
    }
    if !whole.children.is_empty() {
        let began = number(whole.children.len() as u64, "other");
        quiet(format!("its tool calls began {began}"));
    }
    sums
}
