//! Sums by hour and by what they are told apart by, within bounds.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher as _, Hasher as _};

use foldhash::fast::RandomState;

use super::sums::Sums;

/// Most hours that are kept: a month.
const HOURS_MAX: usize = 31 * 24;

/// Most rows of an hour, and most of all. Beyond, an hour's calls are those of others, and the oldest hours go.
const ROWS_OF_HOUR: usize = 1_000;
const ROWS_MAX: usize = 20_000;

/// What stands for every value beyond the bound, as in metrics.
const OTHER: &str = "_other";

/// What a table has a column for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dimension {
    /// The hour.
    Hour,
    /// A part of the key, by its place: the upstream, the model, then what else they are told apart by.
    Part(usize),
}

/// Sums by some dimensions.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Those that cost most first.
    pub rows: Vec<(Vec<Option<String>>, Sums)>,
    /// All rows together.
    pub total: Sums,
}

/// What a row is of.
type Key = Box<[Option<Box<str>>]>;

/// All sums.
#[derive(Debug)]
pub(super) struct Book {
    hours: BTreeMap<u64, Hour>,
    rows: usize,
    /// Values of each dimension in an hour.
    values_max: usize,
    /// How many parts a key has.
    parts: usize,
    hashing: RandomState,
}

#[derive(Debug)]
struct Hour {
    rows: Vec<(Key, Sums)>,
    /// Places in `rows` by the hash of the key. Of two keys with one hash the second has the next number that is free.
    places: HashMap<u64, usize, RandomState>,
    /// The values of each part.
    values: Vec<HashSet<Box<str>, RandomState>>,
}

impl Book {
    pub(super) fn new(values_max: usize, parts: usize) -> Self {
        Self {
            hours: BTreeMap::new(),
            rows: 0,
            values_max,
            parts,
            hashing: RandomState::default(),
        }
    }

    /// Adds to the row of these parts, of which there are as many as were told.
    pub(super) fn add<'p>(
        &mut self,
        hour: u64,
        parts: impl Iterator<Item = Option<&'p str>> + Clone,
        sums: &Sums,
    ) {
        let count = self.parts;
        let entry = self.hours.entry(hour).or_insert_with(|| Hour {
            rows: Vec::new(),
            places: HashMap::default(),
            values: vec![HashSet::default(); count],
        });
        let before = entry.rows.len();
        entry.row(&self.hashing, parts, self.values_max).add(sums);
        self.rows += entry.rows.len() - before;
        while self.hours.len() > HOURS_MAX || (self.rows > ROWS_MAX && self.hours.len() > 1) {
            let oldest = self.hours.pop_first();
            self.rows -= oldest.map_or(0, |(_, hour)| hour.rows.len());
        }
    }

    pub(super) fn table(&self, by: &[Dimension], since: u64) -> Table {
        let mut rows: HashMap<Vec<Option<String>>, Sums> = HashMap::new();
        let mut total = Sums::default();
        for (hour, key, sums) in self.rows().filter(|(hour, ..)| *hour >= since) {
            let column = |dimension: &Dimension| match dimension {
                Dimension::Hour => Some(format_hour(hour)),
                Dimension::Part(at) => key.get(*at)?.as_deref().map(str::to_owned),
            };
            rows.entry(by.iter().map(column).collect())
                .or_default()
                .add(sums);
            total.add(sums);
        }
        let mut rows: Vec<_> = rows.into_iter().collect();
        rows.sort_by(|(one, sums), (other, more)| {
            let cost = |sums: &Sums| sums.usd.saturating_add(sums.estimated_usd);
            cost(more).cmp(&cost(sums)).then_with(|| one.cmp(other))
        });
        Table { rows, total }
    }

    /// All rows, the oldest first.
    pub(super) fn rows(&self) -> impl Iterator<Item = (u64, &[Option<Box<str>>], &Sums)> {
        self.hours.iter().flat_map(|(hour, of_hour)| {
            let rows = of_hour.rows.iter();
            rows.map(|(key, sums)| (*hour, &**key, sums))
        })
    }
}

impl Hour {
    fn row<'p>(
        &mut self,
        hashing: &RandomState,
        parts: impl Iterator<Item = Option<&'p str>> + Clone,
        values_max: usize,
    ) -> &mut Sums {
        let place = match self.find(hashing, parts.clone()) {
            Ok(place) => place,
            Err(_) => {
                let folded = self.folded(parts, values_max);
                let folded = folded.iter().map(Option::as_deref);
                match self.find(hashing, folded.clone()) {
                    Ok(place) => place,
                    Err(free) => self.begin(free, folded),
                }
            }
        };
        &mut self.rows[place].1
    }

    /// The place of a row, or the number under which it would be found.
    fn find<'p>(
        &self,
        hashing: &RandomState,
        parts: impl Iterator<Item = Option<&'p str>> + Clone,
    ) -> Result<usize, u64> {
        let mut hasher = hashing.build_hasher();
        for part in parts.clone() {
            hasher.write(part.unwrap_or_default().as_bytes());
            hasher.write_u8(u8::from(part.is_some()));
        }
        let mut hash = hasher.finish();
        while let Some(place) = self.places.get(&hash) {
            let (key, _) = &self.rows[*place];
            let mut pairs = key.iter().zip(parts.clone());
            if pairs.all(|(known, part)| known.as_deref() == part) {
                return Ok(*place);
            }
            hash = hash.wrapping_add(1);
        }
        Err(hash)
    }

    /// The parts with `_other` for those that the bounds have no room for.
    fn folded<'p>(
        &self,
        parts: impl Iterator<Item = Option<&'p str>>,
        values_max: usize,
    ) -> Vec<Option<Box<str>>> {
        let is_full = self.rows.len() >= ROWS_OF_HOUR;
        let folded = parts.zip(&self.values).map(|(part, values)| {
            let part = part?;
            let is_there = values.contains(part) || values.len() < values_max;
            Some(if is_full || !is_there { OTHER } else { part }.into())
        });
        folded.collect()
    }

    fn begin<'p>(&mut self, free: u64, parts: impl Iterator<Item = Option<&'p str>>) -> usize {
        let key: Key = parts.map(|part| part.map(Into::into)).collect();
        for (part, values) in key.iter().zip(&mut self.values) {
            let part = part.as_deref().filter(|part| *part != OTHER);
            values.extend(part.map(Into::into));
        }
        self.places.insert(free, self.rows.len());
        self.rows.push((key, Sums::default()));
        self.rows.len() - 1
    }
}

/// An hour as it is written: its first second, by ISO 8601.
fn format_hour(hour: u64) -> String {
    let at = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(hour * 3_600);
    // `Sun, 06 Nov 1994 08:00:00 GMT` has the calendar's arithmetic in it.
    let date = httpdate::fmt_http_date(at);
    let part = |range: std::ops::Range<usize>| date.get(range).unwrap_or_default();
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let month = MONTHS.find(part(8..11)).unwrap_or_default() / 3 + 1;
    format!(
        "{}-{month:02}-{}T{}:00:00Z",
        part(12..16),
        part(5..7),
        part(17..19)
    )
}
