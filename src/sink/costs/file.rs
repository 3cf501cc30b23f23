//! The sums as they are kept: one JSON object, which names what its rows are told apart by, so that a later configuration may have others.

use serde::{Deserialize, Serialize};

use super::book::Book;
use super::sums::Sums;

#[derive(Serialize, Deserialize)]
struct File<'f> {
    version: u32,
    /// Names of the parts of a key, behind upstream and model.
    labels: Vec<std::borrow::Cow<'f, str>>,
    rows: Vec<Row>,
}

/// One of them.
#[derive(Serialize, Deserialize)]
pub(super) struct Row {
    /// Since 1970.
    hour: u64,
    key: Vec<Option<String>>,
    sums: Sums,
}

const VERSION: u32 = 1;

/// The last hour of the year 9999.
const HOUR_MAX: u64 = 70_389_527;

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// It is no such file.
    #[error("expected JSON as streamgauge writes it: {0}")]
    Form(#[from] serde_json::Error),
    /// It is of another version of the program.
    #[error("expected version {VERSION}, found {0}")]
    Version(u32),
    /// An hour that no calendar has.
    #[error("{0} is no hour since 1970")]
    Hour(u64),
}

/// All rows, so that the sums are not locked while they are written.
pub(super) fn rows(book: &Book) -> Vec<Row> {
    let rows = book.rows().map(|(hour, key, sums)| Row {
        hour,
        key: key
            .iter()
            .map(|part| part.as_deref().map(str::to_owned))
            .collect(),
        sums: sums.clone(),
    });
    rows.collect()
}

pub(super) fn write(labels: &[&'static str], rows: Vec<Row>) -> String {
    let file = File {
        version: VERSION,
        labels: labels.iter().map(|label| (*label).into()).collect(),
        rows,
    };
    serde_json::to_string(&file)
        .expect("it has no keys but texts, and no numbers that JSON has not")
}

/// Adds what a file has.
pub(super) fn read(
    text: &[u8],
    labels: &[&'static str],
    book: &mut Book,
) -> Result<(), Unreadable> {
    let file: File<'_> = serde_json::from_slice(text)?;
    if file.version != VERSION {
        return Err(Unreadable::Version(file.version));
    }
    if let Some(row) = file.rows.iter().find(|row| row.hour > HOUR_MAX) {
        return Err(Unreadable::Hour(row.hour));
    }
    let places: Vec<Option<usize>> = labels
        .iter()
        .map(|label| {
            file.labels
                .iter()
                .position(|kept| kept == label)
                .map(|at| at + 2)
        })
        .collect();
    for row in &file.rows {
        let part = |at: usize| row.key.get(at).and_then(Option::as_deref);
        let of_labels = places.iter().map(|place| place.and_then(part));
        let parts = [part(0), part(1)].into_iter().chain(of_labels);
        book.add(row.hour, parts, &row.sums);
    }
    Ok(())
}
