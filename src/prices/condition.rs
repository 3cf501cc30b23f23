//! When a price holds: from a day on, at an hour of the day, and for calls of a kind.

use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde::de::{Deserializer, Error};

/// What is known of a call that chooses among prices: names and values, such as `service_tier` and `flex`, as the response
/// gave them.
pub type Context<'a> = [(&'a str, &'a str)];

/// The time in which a price holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct When {
    /// From this day on, UTC.
    pub(super) from: Option<Day>,
    /// Between these seconds of each day, UTC; over midnight where the second is less.
    pub(super) between: Option<(u32, u32)>,
}

impl When {
    pub(super) fn holds(&self, at: SystemTime) -> bool {
        let since = at.duration_since(SystemTime::UNIX_EPOCH);
        let seconds = since.as_ref().map_or(0, Duration::as_secs);
        let (day, second) = (seconds / DAY, seconds % DAY);
        let begun = self.from.is_none_or(|from| from.since_epoch() <= day);
        begun
            && self.between.is_none_or(|(start, end)| {
                let (start, end) = (u64::from(start), u64::from(end));
                if end < start {
                    second >= start || second < end
                } else {
                    (start..end).contains(&second)
                }
            })
    }
}

/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;

/// A day of the calendar, from 1970 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day {
    year: u16,
    month: u8,
    day: u8,
}

impl Day {
    /// `None` where there is no such day, or it is before 1970.
    fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let there = year >= 1970 && (1..=12).contains(&month) && day >= 1;
        (there && day <= days_in(year, month)).then_some(Self { year, month, day })
    }

    /// As `2026-11-29`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '-');
        let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
        (text.len() == "2026-11-29".len()).then_some(())?;
        Self::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
    }

    /// Its first second.
    #[must_use]
    pub fn start(self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.since_epoch() * DAY)
    }

    /// Days since the first of January 1970.
    fn since_epoch(self) -> u64 {
        let years: u64 = (1970..self.year)
            .map(|year| 365 + u64::from(is_leap(year)))
            .sum();
        let months: u64 = (1..self.month)
            .map(|month| u64::from(days_in(self.year, month)))
            .sum();
        years + months + u64::from(self.day - 1)
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

const fn is_leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn days_in(year: u16, month: u8) -> u8 {
    match month {
        2 => 28 + is_leap(year) as u8,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| D::Error::custom(format!("{text} is no day such as 2026-11-29")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_price_holds_from_the_first_second_of_its_day() {
        let when = |day: &str| When {
            from: Day::parse(day),
            between: None,
        };
        // By `date -u -d 2024-03-01 +%s`.
        let day = 1_709_251_200;
        assert!(when("2024-03-01").holds(at(day)));
        assert!(!when("2024-03-01").holds(at(day - 1)));
        assert!(when("2024-02-29").holds(at(day - 1)));
        assert!(when("1970-01-01").holds(at(0)));
    }

    #[test]
    fn hours_of_the_day_may_reach_over_midnight() {
        let within = When {
            from: None,
            between: Some((3600, 7200)),
        };
        let over = When {
            from: None,
            between: Some((79_200, 3600)),
        };
        for (second, in_within, in_over) in [
            (0, false, true),
            (3599, false, true),
            (3600, true, false),
            (7199, true, false),
            (7200, false, false),
            (79_200, false, true),
        ] {
            assert_eq!(within.holds(at(10 * DAY + second)), in_within, "{second}");
            assert_eq!(over.holds(at(10 * DAY + second)), in_over, "{second}");
        }
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for text in [
            "2025-02-29",
            "2025-13-01",
            "2025-1-1",
            "1969-12-31",
            "2025-06-00",
            "today",
            "2025-06-011",
        ] {
            assert_eq!(Day::parse(text), None, "{text}");
        }
        assert_eq!(Day::parse("2024-02-29").unwrap().to_string(), "2024-02-29");
    }
}
