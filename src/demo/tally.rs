//! Adds up finished exchanges by model, for the summary line and the table at the end.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::time::Duration;

use crate::exchange::End;
use crate::sink::live::Live;
use crate::view::Row;

/// Models told apart; a visitor may bring any number of names.
const MODELS: usize = 50;
/// What the rest is called.
const OTHERS: &str = "(others)";
/// Newest times that a quantile is taken from.
const TIMES: usize = 1000;

/// What has ended so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// The last row read.
    sequence: u64,
    total: Sum,
    models: BTreeMap<String, Sum>,
}

/// Sums over exchanges.
#[derive(Debug, Default)]
struct Sum {
    calls: u64,
    errors: u64,
    /// `None` until a call reported some.
    output_tokens: Option<u64>,
    first_token: NewestTimes,
    per_token: NewestTimes,
    ends: BTreeMap<String, u64>,
}

/// The newest of some times.
#[derive(Debug, Default)]
struct NewestTimes(VecDeque<Duration>);

impl NewestTimes {
    fn push(&mut self, time: Option<Duration>) {
        let Some(time) = time else { return };
        if self.0.len() == TIMES {
            self.0.pop_front();
        }
        self.0.push_back(time);
    }

    /// The smallest time that a share of them, in percent, does not exceed; `None` without any.
    fn quantile(&self, percent: usize) -> Option<Duration> {
        let mut sorted: Vec<_> = self.0.iter().copied().collect();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied()
    }

    fn text(&self, percent: usize) -> String {
        self.quantile(percent).map_or_else(|| "–".to_owned(), human)
    }
}

impl Sum {
    fn add(&mut self, row: &Row<'_>) {
        self.calls += 1;
        self.errors += u64::from(row.error.is_some());
        let reported = row.output_tokens.filter(|_| !row.tokens_estimated);
        if let Some(tokens) = reported {
            *self.output_tokens.get_or_insert(0) += tokens;
        }
        let time = |ms: f64| Duration::from_secs_f64(ms / 1e3);
        self.first_token.push(row.time_to_first_token_ms.map(time));
        self.per_token.push(row.time_per_output_token_ms.map(time));
        *self.ends.entry(row.end.to_string()).or_default() += 1;
    }

    /// Output tokens per second of a usual stream.
    fn rate(&self) -> String {
        match self.per_token.quantile(50) {
            Some(time) if !time.is_zero() => format!("{:.0}", 1.0 / time.as_secs_f64()),
            _ => "–".to_owned(),
        }
    }

    fn output_tokens(&self) -> String {
        self.output_tokens
            .map_or_else(|| "–".to_owned(), |tokens| tokens.to_string())
    }

    fn ends(&self) -> String {
        let mut ends: Vec<_> = self.ends.iter().collect();
        ends.sort_by_key(|(end, count)| (*end != End::Done.as_str(), std::cmp::Reverse(**count)));
        let ends = ends.iter().map(|(end, count)| format!("{end} {count}"));
        ends.collect::<Vec<_>>().join(", ")
    }
}

impl Tally {
    /// Adds what has ended since the last time.
    pub(super) fn read(&mut self, live: &Live) {
        loop {
            let entries = live.after(self.sequence, usize::MAX);
            let Some(newest) = entries.last() else {
                return;
            };
            self.sequence = newest.id;
            entries.iter().for_each(|entry| self.add(&entry.row()));
        }
    }

    fn add(&mut self, row: &Row<'_>) {
        self.total.add(row);
        let name = row.model.as_deref().unwrap_or(&row.path);
        let name = match self.models.contains_key(name) || self.models.len() < MODELS {
            true => name,
            false => OTHERS,
        };
        self.models.entry(name.to_owned()).or_default().add(row);
    }

    /// One line on everything so far.
    pub(super) fn line(&self, elapsed: Duration, in_flight: u64) -> String {
        let Sum {
            calls,
            errors,
            first_token,
            ..
        } = &self.total;
        let output_tokens = self.total.output_tokens();
        format!(
            "{:>5} s  {calls:>6} calls  {in_flight:>4} in flight  {output_tokens:>8} tokens out  \
             TTFT p50 {:>7}  p99 {:>7}  {errors:>5} errors",
            elapsed.as_secs(),
            first_token.text(50),
            first_token.text(99),
        )
    }

    /// The table of models, and of all together.
    pub(super) fn table(&self) -> String {
        let names = self.models.keys().map(|name| name.chars().count());
        let width = names.max().unwrap_or(0).max("model".len());
        let mut table = format!(
            "{:<width$}  {:>6}  {:>6}  {:>8}  {:>8}  {:>10}  {:>8}  ended\n",
            "model", "calls", "errors", "TTFT p50", "TTFT p99", "tokens out", "tokens/s"
        );
        let models = self.models.iter().map(|(name, sum)| (name.as_str(), sum));
        for (name, sum) in models.chain([("all", &self.total)]) {
            let line = format!(
                "{name:<width$}  {:>6}  {:>6}  {:>8}  {:>8}  {:>10}  {:>8}  {}",
                sum.calls,
                sum.errors,
                sum.first_token.text(50),
                sum.first_token.text(99),
                sum.output_tokens(),
                sum.rate(),
                sum.ends(),
            );
            writeln!(table, "{}", line.trim_end()).expect("a string takes any text");
        }
        table
    }
}

/// A duration in three digits or so.
pub(super) fn human(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds >= 60.0 {
        format!(
            "{} min {} s",
            duration.as_secs() / 60,
            duration.as_secs() % 60
        )
    } else if seconds >= 10.0 {
        format!("{seconds:.0} s")
    } else if seconds >= 1.0 {
        format!("{seconds:.2} s")
    } else if seconds >= 0.01 {
        format!("{:.0} ms", seconds * 1e3)
    } else {
        format!("{:.1} ms", seconds * 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Exchange;
    use std::time::SystemTime;

    fn row(model: Option<&'static str>, end: End) -> Row<'static> {
        let nothing = Exchange::begin(SystemTime::UNIX_EPOCH);
        let text = serde_json::to_string(&Row::of(0, &nothing)).unwrap();
        Row {
            path: "/v1/embeddings".into(),
            model: model.map(Into::into),
            end: end.as_str().into(),
            error: (end != End::Done).then(|| "broken".into()),
            time_to_first_token_ms: Some(120.0),
            time_per_output_token_ms: Some(20.0),
            output_tokens: Some(10),
            ..serde_json::from_str(&text).unwrap()
        }
    }

    #[test]
    fn quantiles_are_times_that_were_seen() {
        let mut times = NewestTimes::default();
        assert_eq!(times.quantile(50), None);
        (1..=100).for_each(|ms| times.push(Some(Duration::from_millis(ms))));
        times.push(None);
        assert_eq!(times.quantile(50), Some(Duration::from_millis(50)));
        assert_eq!(times.quantile(99), Some(Duration::from_millis(99)));
        assert_eq!(times.quantile(100), Some(Duration::from_millis(100)));
    }

    #[test]
    fn the_table_has_a_line_for_each_model_and_one_for_all() {
        let mut tally = Tally::default();
        tally.add(&row(Some("sim-cut"), End::Cut));
        tally.add(&row(Some("sim-cut"), End::Cut));
        tally.add(&row(Some("sim-cut"), End::Done));
        tally.add(&row(None, End::Done));
        let table = tally.table();
        let lines: Vec<Vec<_>> = table
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(
            lines[1],
            [
                "/v1/embeddings",
                "1",
                "0",
                "120",
                "ms",
                "120",
                "ms",
                "10",
                "50",
                "done",
                "1"
            ]
        );
        let cut = [
            "sim-cut", "3", "2", "120", "ms", "120", "ms", "30", "50", "done", "1,", "cut", "2",
        ];
        assert_eq!(lines[2], cut);
        assert_eq!(lines[3][..3], ["all", "4", "2"]);
    }

    #[test]
    fn tokens_that_nobody_reported_are_not_zero() {
        let mut tally = Tally::default();
        let silent = Row {
            output_tokens: None,
            ..row(Some("a"), End::Cut)
        };
        tally.add(&silent);
        tally.add(&Row {
            output_tokens: Some(0),
            ..row(Some("b"), End::Done)
        });
        let table = tally.table();
        let tokens: Vec<_> = table
            .lines()
            .filter_map(|line| line.split_whitespace().nth(7))
            .collect();
        assert_eq!(tokens[1..], ["–", "0", "0"]);
    }

    #[test]
    fn names_beyond_the_bound_share_a_line() {
        let mut tally = Tally::default();
        for number in 0..MODELS + 3 {
            tally.add(&Row {
                model: Some(format!("m{number}").into()),
                ..row(None, End::Done)
            });
        }
        assert_eq!(tally.models.len(), MODELS + 1);
        assert_eq!(tally.models[OTHERS].calls, 3);
    }

    #[test]
    fn durations_keep_three_digits_or_so() {
        let texts =
            [0.0012, 0.0123, 0.999, 1.234, 12.3, 125.0].map(|s| human(Duration::from_secs_f64(s)));
        assert_eq!(
            texts,
            ["1.2 ms", "12 ms", "999 ms", "1.23 s", "12 s", "2 min 5 s"]
        );
    }
}
