//! Exchanges as they end, a line of JSON for each.

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::client::{Client, Problem, query};
use super::plain::write_value;

/// From one question to the next.
const PERIOD: Duration = Duration::from_secs(1);
/// Most of one page, which is the most that the API gives.
const PAGE: &str = "1000";
/// Most pages that are caught up with at once: more than is kept by default.
const PAGES: usize = 20;

/// What was written already.
#[derive(Debug, Default)]
struct Seen {
    /// The newest of it; `None` before the first answer.
    last: Option<u64>,
}

impl Seen {
    /// Behind which exchange there is something new, if there is, by what ended last. One that is lower than before is of a
    /// streamgauge that began to count again.
    fn behind(&mut self, newest: u64) -> Option<u64> {
        match self.last {
            Some(last) if newest > last => Some(last),
            Some(last) if newest < last => {
                self.last = Some(0);
                self.last
            }
            Some(_) => None,
            None => {
                self.last = Some(newest);
                None
            }
        }
    }
}

fn id(row: &Value) -> u64 {
    row["id"].as_u64().unwrap_or_default()
}

/// Writes each exchange that ends from now on and matches a filter, until nobody reads any more. While there is no
/// answer it asks on; `lost` hears of that once.
///
/// # Errors
/// When the filter has a mistake, the token is wrong, or the first answer does not come.
pub(super) fn follow(
    client: &Client,
    filter: &str,
    out: &mut dyn Write,
    mut lost: impl FnMut(&Problem),
) -> Result<(), Problem> {
    // What is wrong with a filter is reported before anything has ended.
    client.json("exchanges", &query("1", filter))?;
    let mut seen = Seen::default();
    let mut is_lost = false;
    loop {
        match ended(client, filter, &mut seen) {
            Ok(rows) => {
                is_lost = false;
                if write(&rows, out).is_err() {
                    return Ok(());
                }
            }
            Err(problem) if seen.last.is_none() || !may_pass(&problem) => return Err(problem),
            Err(problem) => {
                if !is_lost {
                    lost(&problem);
                }
                is_lost = true;
            }
        }
        thread::sleep(PERIOD);
    }
}

/// Whether asking again may help.
fn may_pass(problem: &Problem) -> bool {
    matches!(
        problem,
        Problem::Unreachable { .. }
            | Problem::Refused { .. }
            | Problem::NotAdmin { .. }
            | Problem::Foreign { .. }
    )
}

/// What has ended since it was asked last, the oldest first.
fn ended(client: &Client, filter: &str, seen: &mut Seen) -> Result<Vec<Value>, Problem> {
    let newest = newest(client)?;
    let Some(last) = seen.behind(newest) else {
        return Ok(Vec::new());
    };
    let mut rows = Vec::new();
    let mut before: Option<String> = None;
    for _ in 0..PAGES {
        let mut query = query(PAGE, filter);
        query.extend(before.as_deref().map(|before| ("before", before)));
        let mut page = client.json("exchanges", &query)?;
        let next = page["next"].as_u64();
        let Value::Array(page) = page["exchanges"].take() else {
            break;
        };
        let is_all_new = page.last().is_some_and(|oldest| id(oldest) > last);
        rows.extend(page.into_iter().take_while(|row| id(row) > last));
        before = next.filter(|_| is_all_new).map(|next| next.to_string());
        if before.is_none() {
            break;
        }
    }
    // More may have ended between the two questions.
    seen.last = Some(rows.first().map_or(newest, |row| id(row).max(newest)));
    rows.reverse();
    Ok(rows)
}

/// What ended last, whether it matches or not.
fn newest(client: &Client) -> Result<u64, Problem> {
    let page = client.json("exchanges", &[("limit", "1")])?;
    Ok(id(&page["exchanges"][0]))
}

fn write(rows: &[Value], out: &mut dyn Write) -> io::Result<()> {
    rows.iter().try_for_each(|row| write_value(row, out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_with_what_ends_after_the_first_answer() {
        let mut seen = Seen::default();
        assert_eq!(seen.behind(7), None);
        assert_eq!(seen.behind(7), None);
        assert_eq!(seen.behind(9), Some(7));
    }

    #[test]
    fn a_streamgauge_that_counts_again_is_followed_from_its_first() {
        let mut seen = Seen { last: Some(1000) };
        assert_eq!(seen.behind(3), Some(0));
    }
}
