//! The database: rows by id, their details by id, compressed, and how much there is of it.
//!
//! Of redb: a copy-on-write B-tree in one file, in pure Rust, whose commits are there whole or not at all.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use redb::{Builder, Database, ReadableTable as _, TableDefinition};

use crate::view::{Detail, Stored};

/// When each ended, in ms since 1970, and the JSON of a [`Stored`].
const ROWS: TableDefinition<'_, u64, (u64, &[u8])> = TableDefinition::new("rows");
/// The JSON of a [`Detail`], as zstd.
const DETAILS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("details");
/// Numbers by name.
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");

const VERSION: &str = "version";
/// Bytes of all rows and details.
const BYTES: &str = "bytes";
const LAST_ID: &str = "last_id";
/// The version of what stands in the tables.
const THIS_VERSION: u64 = 1;

/// Memory for pages; nothing is read often.
const CACHE_BYTES: usize = 2 << 20;
/// Quick: it is done while exchanges come.
const ZSTD_LEVEL: i32 = 1;

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// Another process has it.
    #[error("another process uses it")]
    InUse,
    /// It cannot be opened, read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is no database of this program, or broken.
    #[error("{0}")]
    Unreadable(String),
}

impl Fault {
    /// Whether the file itself is not what it should be.
    pub(super) const fn is_of_content(&self) -> bool {
        matches!(self, Self::Unreadable(_))
    }
}

impl From<redb::Error> for Fault {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::DatabaseAlreadyOpen => Self::InUse,
            redb::Error::Io(error) if is_of_system(&error) => Self::Io(error),
            redb::Error::Io(error) => Self::Unreadable(format!("it is no redb database: {error}")),
            error => Self::Unreadable(error.to_string()),
        }
    }
}

/// Whether the system has failed, not what stands in the file: that leads beyond the file's end, or to places that no file has.
fn is_of_system(error: &io::Error) -> bool {
    let content = [
        io::ErrorKind::InvalidData,
        io::ErrorKind::InvalidInput,
        io::ErrorKind::UnexpectedEof,
    ];
    error.raw_os_error().is_some() && !content.contains(&error.kind())
}

/// What redb returns is one of several errors; all of them are this one.
fn fault(error: impl Into<redb::Error>) -> Fault {
    error.into().into()
}

/// That an exchange ended, and no more of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sink::live) struct Ended {
    /// When, in ms since 1970.
    pub(in crate::sink::live) at_ms: u64,
    pub(in crate::sink::live) failed: bool,
}

/// What of a [`Stored`] says whether it failed.
#[derive(serde::Deserialize)]
struct Brief {
    row: BriefRow,
}

#[derive(serde::Deserialize)]
struct BriefRow {
    error: Option<serde::de::IgnoredAny>,
}

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// What ended before is let go, in ms since 1970.
    pub(super) since_ms: u64,
    /// Most bytes.
    pub(super) bytes: u64,
}

/// An exchange as it is written.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) id: u64,
    pub(super) ended_at_ms: u64,
    row: Vec<u8>,
    detail: Vec<u8>,
}

impl Written {
    pub(super) fn of(stored: &Stored<'_>, detail: &Detail<'_>) -> io::Result<Self> {
        let detail = serde_json::to_vec(detail)?;
        Ok(Self {
            id: stored.row.id,
            ended_at_ms: stored.row.ended_at_ms(),
            row: serde_json::to_vec(stored)?,
            detail: zstd::bulk::compress(&detail, ZSTD_LEVEL)?,
        })
    }

    fn bytes(&self) -> u64 {
        (self.row.len() + self.detail.len()) as u64
    }
}

/// The file.
pub(super) struct Kept(Database);

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Kept").finish_non_exhaustive()
    }
}

impl Kept {
    /// Opens it, or makes a new one that only its owner may read.
    pub(super) fn open(path: &Path) -> Result<Self, Fault> {
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES);
        let kept = Self(builder.create_file(private(path)?).map_err(fault)?);
        match kept.number(VERSION)? {
            Some(THIS_VERSION) => {}
            None => kept.begin()?,
            Some(other) => {
                let expected = format!("expected version {THIS_VERSION}, found {other}");
                return Err(Fault::Unreadable(expected));
            }
        }
        Ok(kept)
    }

    /// Has every other writer wait, as a disk does that is slow.
    #[cfg(test)]
    pub(super) fn busy(&self) -> redb::WriteTransaction {
        self.0.begin_write().unwrap()
    }

    fn begin(&self) -> Result<(), Fault> {
        let transaction = self.0.begin_write().map_err(fault)?;
        {
            transaction.open_table(ROWS).map_err(fault)?;
            transaction.open_table(DETAILS).map_err(fault)?;
            let mut numbers = transaction.open_table(NUMBERS).map_err(fault)?;
            numbers.insert(VERSION, THIS_VERSION).map_err(fault)?;
        }
        transaction.commit().map_err(fault)
    }

    fn number(&self, name: &str) -> Result<Option<u64>, Fault> {
        let transaction = self.0.begin_read().map_err(fault)?;
        let numbers = match transaction.open_table(NUMBERS) {
            Ok(numbers) => numbers,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(fault(error)),
        };
        let number = numbers.get(name).map_err(fault)?;
        Ok(number.map(|number| number.value()))
    }

    /// The last id that was given to an exchange; 0 where none was.
    pub(super) fn last_id(&self) -> Result<u64, Fault> {
        Ok(self.number(LAST_ID)?.unwrap_or_default())
    }

    /// The newest, at most so many that ended since an instant, oldest first; and how many of them could not be read.
    pub(super) fn newest(
        &self,
        most: usize,
        since_ms: u64,
    ) -> Result<(Vec<Stored<'static>>, usize), Fault> {
        let transaction = self.0.begin_read().map_err(fault)?;
        let rows = transaction.open_table(ROWS).map_err(fault)?;
        let (mut stored, mut unread) = (Vec::new(), 0);
        for row in rows.iter().map_err(fault)?.rev().take(most) {
            let (_, row) = row.map_err(fault)?;
            let (ended_at_ms, json) = row.value();
            if ended_at_ms < since_ms {
                break;
            }
            match serde_json::from_slice(json) {
                Ok(row) => stored.push(row),
                Err(_) => unread += 1,
            }
        }
        stored.reverse();
        Ok((stored, unread))
    }

    /// Those older than the newest so many that ended since an instant, oldest first.
    pub(super) fn ended_before_newest(
        &self,
        newest: usize,
        since_ms: u64,
    ) -> Result<Vec<Ended>, Fault> {
        let transaction = self.0.begin_read().map_err(fault)?;
        let rows = transaction.open_table(ROWS).map_err(fault)?;
        let mut ended = Vec::new();
        for row in rows.iter().map_err(fault)?.rev().skip(newest) {
            let (_, row) = row.map_err(fault)?;
            let (at_ms, json) = row.value();
            if at_ms < since_ms {
                break;
            }
            // What is of another version counts as little as among the newest.
            if let Ok(Brief { row }) = serde_json::from_slice(json) {
                ended.push(Ended {
                    at_ms,
                    failed: row.error.is_some(),
                });
            }
        }
        ended.reverse();
        Ok(ended)
    }

    /// The details of an exchange; `None` where they are not kept.
    pub(super) fn detail(&self, id: u64) -> Result<Option<Detail<'static>>, Fault> {
        let transaction = self.0.begin_read().map_err(fault)?;
        let details = transaction.open_table(DETAILS).map_err(fault)?;
        let Some(detail) = details.get(id).map_err(fault)? else {
            return Ok(None);
        };
        let json = zstd::stream::decode_all(detail.value())?;
        let detail = serde_json::from_slice(&json);
        detail
            .map(Some)
            .map_err(|error| Fault::Unreadable(error.to_string()))
    }

    /// Writes these and lets go what is beyond the bounds; all of it or nothing. Blocks until the disk has it.
    pub(super) fn write(&self, batch: &[Written], bounds: Bounds) -> Result<(), Fault> {
        let mut transaction = self.0.begin_write().map_err(fault)?;
        // Or else a start after a crash reads the whole file.
        transaction.set_quick_repair(true);
        {
            let mut rows = transaction.open_table(ROWS).map_err(fault)?;
            let mut details = transaction.open_table(DETAILS).map_err(fault)?;
            let mut numbers = transaction.open_table(NUMBERS).map_err(fault)?;
            let known = numbers.get(BYTES).map_err(fault)?;
            let mut bytes = known.map_or(0, |bytes| bytes.value());
            for written in batch {
                let row = (written.ended_at_ms, &*written.row);
                rows.insert(written.id, row).map_err(fault)?;
                details
                    .insert(written.id, &*written.detail)
                    .map_err(fault)?;
                bytes += written.bytes();
            }
            while let Some((id, ended_at_ms, row_bytes)) = oldest(&rows)? {
                if ended_at_ms >= bounds.since_ms && bytes <= bounds.bytes {
                    break;
                }
                rows.remove(id).map_err(fault)?;
                let detail = details.remove(id).map_err(fault)?;
                let detail_bytes = detail.map_or(0, |detail| detail.value().len());
                bytes = bytes.saturating_sub((row_bytes + detail_bytes) as u64);
            }
            numbers.insert(BYTES, bytes).map_err(fault)?;
            if let Some(last) = batch.last() {
                numbers.insert(LAST_ID, last.id).map_err(fault)?;
            }
        }
        transaction.commit().map_err(fault)
    }
}

/// The oldest row: its id, when it ended, and its bytes.
fn oldest(rows: &redb::Table<'_, u64, (u64, &[u8])>) -> Result<Option<(u64, u64, usize)>, Fault> {
    let first = rows.first().map_err(fault)?;
    Ok(first.map(|(id, row)| {
        let (ended_at_ms, json) = row.value();
        (id.value(), ended_at_ms, json.len())
    }))
}

/// A file that only its owner may read.
fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
