//! What is to be seen at one moment, as plain text or as one JSON document.

mod conversation;

use std::io::{self, Write};

use serde_json::{Value, json};

use super::api::{Exchanges, Flight, InFlight, Row, Summary};
use super::client::{Client, Problem, SUMMARY, query};
use super::column::COLUMNS;
use super::text::{count, duration, rate, shown_json};
use super::view::{self, fit};

pub(super) use conversation::{write_conversation, write_conversation_json};

/// Most cells of a column: an error message may be a whole page.
const WIDEST: usize = 60;

/// Everything at one moment.
pub(super) struct Moment {
    pub(super) summary: Summary,
    pub(super) in_flight: InFlight,
    pub(super) exchanges: Exchanges,
}

impl Moment {
    /// Asks for it.
    ///
    /// # Errors
    /// When there is no answer, or the filter has a mistake.
    pub(super) fn now(client: &Client, limit: usize, filter: &str) -> Result<Self, Problem> {
        let limit = limit.to_string();
        Ok(Self {
            exchanges: client.facts("exchanges", &query(&limit, filter))?,
            in_flight: client.facts("in-flight", &[])?,
            summary: client.facts("summary", &SUMMARY)?,
        })
    }

    /// Writes it as text: the sums, what is in flight, and what has ended.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        self.write_sums(out)?;
        if !self.in_flight.exchanges.is_empty() {
            let heads = ["model", "upstream", "state", "age", "TTFT", "chunks"];
            let flights = self.in_flight.exchanges.iter().map(flight);
            writeln!(out)?;
            write_table(
                out,
                &heads,
                &[false, false, false, true, true, true],
                flights,
            )?;
        }
        let heads = COLUMNS.map(super::column::Column::title);
        let to_the_right = COLUMNS.map(super::column::Column::is_number);
        let rows = self.exchanges.exchanges.iter();
        let rows = rows.map(|row: &Row| COLUMNS.map(|column| column.text(row)).to_vec());
        writeln!(out)?;
        write_table(out, &heads, &to_the_right, rows)
    }

    fn write_sums(&self, out: &mut dyn Write) -> io::Result<()> {
        let Summary { steps, today, .. } = &self.summary;
        let [requests, errors, tokens] = match view::rates(steps) {
            Some(rates) => rates.map(rate),
            None => ["-", "-", "-"].map(str::to_owned),
        };
        let version = self.summary.version.as_deref().unwrap_or_default();
        let state = if self.summary.ready {
            "ready"
        } else {
            "draining"
        };
        writeln!(out, "streamgauge {version} {state}")?;
        writeln!(
            out,
            "{requests} req/s  {tokens} tok/s  {errors} err/s  {} in flight  {}",
            count(self.in_flight.count),
            view::day(Some(today)).join("  ")
        )
    }
}

fn flight(flight: &Flight) -> Vec<String> {
    vec![
        flight.subject(),
        flight.upstream.as_deref().unwrap_or_default().to_owned(),
        flight.state.name().to_owned(),
        duration(flight.age_ms),
        flight
            .time_to_first_token_ms
            .map(duration)
            .unwrap_or_default(),
        flight.chunks.map(count).unwrap_or_default(),
    ]
}

/// Writes heads and rows below each other, each column as wide as its widest cell.
fn write_table(
    out: &mut dyn Write,
    heads: &[&str],
    to_the_right: &[bool],
    rows: impl Iterator<Item = Vec<String>>,
) -> io::Result<()> {
    let heads = heads.iter().map(|head| (*head).to_owned()).collect();
    let lines: Vec<Vec<String>> = std::iter::once(heads).chain(rows).collect();
    let width = |column: usize| {
        let cells = lines.iter().map(|line| view::width(&line[column]));
        cells.max().unwrap_or(0).min(WIDEST)
    };
    let widths: Vec<usize> = (0..to_the_right.len()).map(width).collect();
    for line in &lines {
        let cells = line.iter().zip(&widths).zip(to_the_right);
        let cells = cells.map(|((cell, width), right)| fit(cell, *width, *right));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// Writes one JSON document, with all members as the API has them.
///
/// # Errors
/// When there is no answer, the filter has a mistake, or it cannot be written.
pub(super) fn write_json(
    client: &Client,
    limit: usize,
    filter: &str,
    out: &mut dyn Write,
) -> Result<io::Result<()>, Problem> {
    let limit = limit.to_string();
    let exchanges = client.json("exchanges", &query(&limit, filter))?;
    let in_flight = client.json("in-flight", &[])?;
    let summary = client.json("summary", &SUMMARY)?;
    let document = json!({ "summary": summary, "in_flight": in_flight, "exchanges": exchanges });
    Ok(write_value(&document, out))
}

/// Writes a value in one line, which a terminal takes as text.
///
/// # Errors
/// When it cannot be written.
pub(super) fn write_value(value: &Value, out: &mut dyn Write) -> io::Result<()> {
    let line = shown_json(&value.to_string()) + "\n";
    out.write_all(line.as_bytes())?;
    out.flush()
}
