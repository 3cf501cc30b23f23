//! One conversation as plain text, or as the API has it.

use std::io::{self, Write};

use super::super::api::{ConversationDetail, Turn};
use super::super::client::{Client, Problem};
use super::super::column::Column;
use super::super::text::percent;
use super::super::view::{self, Palette};
use super::{write_table, write_value};

/// The columns of the table of turns, and whether each is set to the right.
const HEADS: [&str; 12] = [
    "turn", "exchange", "end UTC", "model", "tools", "TTFT", "took", "in", "cached", "out", "cost",
    "notes",
];
const TO_THE_RIGHT: [bool; 12] = [
    false, true, false, false, false, true, true, true, true, true, true, false,
];

/// Writes it as text: the sums, and its turns.
///
/// # Errors
/// When it cannot be written.
pub(in crate::top) fn write_conversation(
    whole: &ConversationDetail,
    out: &mut dyn Write,
) -> io::Result<()> {
    let sums = view::sums(whole, Palette { has_colors: false });
    let sums: Vec<&str> = sums.iter().map(|it| &*it.content).collect();
    writeln!(out, "conversation {}: {}", whole.id, whole.totals.models())?;
    writeln!(out, "{}\n", sums.join("  "))?;
    write_table(out, &HEADS, &TO_THE_RIGHT, whole.turns.iter().map(cells))
}

fn cells(turn: &Turn) -> Vec<String> {
    let row = &turn.exchange;
    vec![
        turn.label(),
        row.id.to_string(),
        Column::Time.text(row),
        row.subject(),
        turn.tools(),
        Column::FirstToken.text(row),
        Column::Duration.text(row),
        Column::Input.text(row),
        turn.cached_share().map(percent).unwrap_or_default(),
        Column::Output.text(row),
        Column::Cost.text(row),
        turn.oddities().join("; "),
    ]
}

/// Writes it as the API has it.
///
/// # Errors
/// When there is no answer, nothing of it is kept, or it cannot be written.
pub(in crate::top) fn write_conversation_json(
    client: &Client,
    id: &str,
    out: &mut dyn Write,
) -> Result<io::Result<()>, Problem> {
    Ok(write_value(&client.conversation(id)?, out))
}
