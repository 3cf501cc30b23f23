//! The facts of an exchange and the attributes that are exported for it, name and value.

use ratatui::text::{Line, Span};

use crate::top::api::{Attempt, Cost, One, Row, ToolCall};
use crate::top::column::Column;
use crate::top::text::{Text, clock, count, duration};
use crate::top::view::style::Palette;
use crate::top::view::table::fit;

/// Most cells of a name.
const NAME: usize = 44;

/// A name and what is known by it.
type Fact = (String, String);

pub(super) fn lines(one: &One, width: usize, palette: Palette) -> Vec<Line<'static>> {
    let mut lines = section("facts", &known(one), width, palette);
    if one.attempts.len() > 1 {
        let attempts = one
            .attempts
            .iter()
            .enumerate()
            .map(|(at, it)| attempt(at, it));
        lines.extend(section(
            "attempts",
            &attempts.collect::<Vec<_>>(),
            width,
            palette,
        ));
    }
    let calls: Vec<Fact> = one.tool_calls.iter().map(tool_call).collect();
    lines.extend(section("tool calls", &calls, width, palette));
    for span in &one.spans {
        let title = format!("span {} ({})", span.name, span.kind);
        let attributes = span.attributes.iter();
        let attributes = attributes.map(|it| (it.name.to_string(), it.value.to_string()));
        lines.extend(section(
            &title,
            &attributes.collect::<Vec<_>>(),
            width,
            palette,
        ));
    }
    lines
}

/// A title and facts below each other; nothing where there are none.
fn section(title: &str, facts: &[Fact], width: usize, palette: Palette) -> Vec<Line<'static>> {
    if facts.is_empty() {
        return Vec::new();
    }
    let widest = facts
        .iter()
        .map(|(name, _)| Span::raw(&**name).width())
        .max();
    let name_width = widest.unwrap_or(0).min(NAME).min(width / 2);
    let mut lines = vec![Line::styled(title.to_owned(), palette.title())];
    lines.extend(facts.iter().map(|(name, value)| {
        Line::from(vec![
            Span::styled(fit(name, name_width, false), palette.quiet()),
            Span::raw(format!(" {value}")),
        ])
    }));
    lines.push(Line::default());
    lines
}

/// What is known of it, and nothing of what is not.
fn known(one: &One) -> Vec<Fact> {
    let row = &one.exchange;
    let of_row = [
        Column::Upstream,
        Column::Status,
        Column::FirstToken,
        Column::Duration,
    ];
    let mut facts: Vec<(&str, Option<String>)> = vec![
        ("request", request(one)),
        ("began (UTC)", Some(clock(row.started_at_ms))),
    ];
    facts.extend(of_row.map(|column| (name(column), Some(column.text(row)))));
    facts.extend(of_model(row));
    facts.extend(of_cost(row, one.cost.as_ref()));
    facts.extend(of_wire(one));
    let facts = facts.into_iter();
    let facts = facts.filter_map(|(name, value)| Some((name, value.filter(|it| !it.is_empty())?)));
    facts
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// What a column is called where there is room.
fn name(column: Column) -> &'static str {
    match column {
        Column::Status => "status",
        Column::FirstToken => "time to first token",
        Column::Duration => "duration",
        other => other.title(),
    }
}

fn request(one: &One) -> Option<String> {
    let row = &one.exchange;
    let (method, path) = (row.method.as_deref()?, row.path.as_deref()?);
    let query = one.http.query.as_deref().map(|it| format!("?{it}"));
    Some(format!("{method} {path}{}", query.unwrap_or_default()))
}

fn text(text: Option<&Text>) -> Option<String> {
    text.map(|it| it.to_string())
}

fn of_model(row: &Row) -> Vec<(&'static str, Option<String>)> {
    let reasons = row.finish_reasons.iter().flatten().map(|it| &**it);
    let reasons = reasons.collect::<Vec<_>>().join(", ");
    vec![
        ("operation", text(row.operation.as_ref())),
        ("model", text(row.model.as_ref())),
        ("answered by", text(row.response_model.as_ref())),
        ("provider", text(row.provider.as_ref())),
        ("route", text(row.route.as_ref())),
        ("streamed", row.streamed.map(|it| it.to_string())),
        ("finish reasons", Some(reasons)),
        (
            "time per output token",
            row.time_per_output_token_ms.map(duration),
        ),
        ("chunks", row.chunks.map(count)),
        ("input tokens", Some(Column::Input.text(row))),
        ("output tokens", Some(Column::Output.text(row))),
        ("cached tokens", row.cached_tokens.map(count)),
        ("reasoning tokens", row.reasoning_tokens.map(count)),
        ("stalls", row.stalls.filter(|it| *it > 0).map(count)),
    ]
}

fn of_cost(row: &Row, cost: Option<&Cost>) -> Vec<(&'static str, Option<String>)> {
    let Some(cost) = cost else {
        return vec![("cost", row.cost_usd.as_deref().map(|usd| format!("${usd}")))];
    };
    let amount = |amount: Option<&Text>| amount.map(|usd| format!("${usd}"));
    let total = amount(cost.total_usd.as_ref());
    let mark = match (cost.estimated == Some(true), cost.partial == Some(true)) {
        (true, true) => " or more (estimated)",
        (true, false) => " (estimated)",
        (false, true) => " or more",
        (false, false) => "",
    };
    vec![
        ("cost", total.map(|total| total + mark)),
        ("cost of input", amount(cost.input_usd.as_ref())),
        ("cost of output", amount(cost.output_usd.as_ref())),
        ("price", text(cost.entry.as_ref())),
    ]
}

fn of_wire(one: &One) -> Vec<(&'static str, Option<String>)> {
    let (row, http) = (&one.exchange, &one.http);
    let place = one.conversation.as_ref();
    let linked = place.and_then(|it| text(it.linked_by.as_ref()));
    vec![
        ("conversation", text(row.conversation.as_ref())),
        ("turn", row.turn.map(count)),
        ("branch", place.and_then(|it| text(it.branch.as_ref()))),
        ("linked by", linked),
        (
            "trace",
            text(one.trace_url.as_ref().or(row.trace_id.as_ref())),
        ),
        ("key fingerprint", text(row.key_fingerprint.as_ref())),
        ("HTTP version", text(http.version.as_ref())),
        ("host", text(http.host.as_ref())),
        ("user agent", text(http.user_agent.as_ref())),
        ("request bytes", http.request_bytes.map(|it| it.to_string())),
        (
            "response bytes",
            http.response_bytes.map(|it| it.to_string()),
        ),
    ]
}

fn attempt(at: usize, attempt: &Attempt) -> Fact {
    let place = attempt.url.as_ref().or(attempt.upstream.as_ref());
    let status = attempt.status.map(|it| it.to_string());
    let parts = [
        text(place),
        text(attempt.why.as_ref()),
        text(attempt.error.as_ref()).or(status),
        attempt.end_ms.map(duration),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (format!("{}", at + 1), parts.join("  "))
}

fn tool_call(call: &ToolCall) -> Fact {
    let size = call.arguments_chars;
    let parts = [
        text(call.kind.as_ref()),
        size.map(|it| format!("{} characters", count(it))),
        call.at_ms.map(|ms| format!("at {}", duration(ms))),
        text(call.id.as_ref()),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let name = text(call.name.as_ref()).unwrap_or_default();
    (name, parts.join("  "))
}
