//! Exchanges put together over time.

use super::latency::Times;
use super::shown;
use super::words::Usd;
use super::{Entry, Latency, Row};

/// Most steps of a summary.
pub(super) const STEPS_MAX: u64 = 240;
/// Most names of each kind that are listed.
const NAMES_MAX: usize = 200;

shown! {
    /// What ended in one step.
    pub struct Step {
        /// When it begins, in ms since 1970.
        pub at_ms: u64,
        /// Exchanges.
        pub requests: u64,
        /// Those that failed.
        pub errors: u64,
        /// Input tokens.
        pub input_tokens: u64,
        /// Output tokens.
        pub output_tokens: u64,
        /// What they cost, as far as prices are known; null where none of them has a price.
        pub cost_usd: Option<Usd>,
    }
}

/// Which time a summary is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// When the first step begins, in ms since 1970: a multiple of a step.
    first_ms: u64,
    /// Length of a step.
    step_ms: u64,
    steps: u64,
}

impl Window {
    /// The last so many milliseconds up to `now_ms`, in steps; `None` where these are too many or none.
    #[must_use]
    pub const fn ending(now_ms: u64, since_ms: u64, step_ms: u64) -> Option<Self> {
        if step_ms == 0 || since_ms == 0 || since_ms.div_ceil(step_ms) > STEPS_MAX {
            return None;
        }
        let steps = since_ms.div_ceil(step_ms);
        // The last one has begun and is not over.
        let last_ms = now_ms - now_ms % step_ms;
        let first_ms = last_ms.saturating_sub((steps - 1) * step_ms);
        Some(Self {
            first_ms,
            step_ms,
            steps,
        })
    }

    /// When it begins, in ms since 1970.
    #[must_use]
    pub const fn first_ms(&self) -> u64 {
        self.first_ms
    }

    /// The shortest step for a time, in ms.
    #[must_use]
    pub const fn shortest_step(since_ms: u64) -> u64 {
        since_ms.div_ceil(STEPS_MAX)
    }

    fn step(&self, at_ms: u64) -> Option<usize> {
        let step = at_ms.checked_sub(self.first_ms)? / self.step_ms;
        usize::try_from(step).ok().filter(|_| step < self.steps)
    }
}

/// Sums over exchanges.
#[derive(Debug, Clone, PartialEq)]
pub struct Sums {
    /// Step by step.
    pub steps: Vec<Step>,
    /// Time to first token.
    pub time_to_first_token: Latency,
    /// Time per output token.
    pub time_per_output_token: Latency,
    /// Duration.
    pub duration: Latency,
    /// Models among all entries.
    pub models: Vec<String>,
    /// Upstreams among all entries.
    pub upstreams: Vec<String>,
    /// Routes among all entries.
    pub routes: Vec<String>,
}

impl Sums {
    /// Those of entries in a window that `is_asked_for` takes; the names are of all of them.
    #[must_use]
    pub fn over(
        entries: &[Entry],
        window: Window,
        is_asked_for: impl Fn(&Row<'_>) -> bool,
    ) -> Self {
        let count = window.steps as usize;
        let mut steps: Vec<Step> = (0..window.steps)
            .map(|at| Step {
                at_ms: window.first_ms + at * window.step_ms,
                requests: 0,
                errors: 0,
                input_tokens: 0,
                output_tokens: 0,
                cost_usd: None,
            })
            .collect();
        let [mut first, mut per_token, mut duration] = [0; 3].map(|_| Times::of_steps(count));
        let [mut models, mut upstreams, mut routes] = [0; 3].map(|_| Names::default());
        for entry in entries {
            let row = entry.row();
            models.add(row.model.as_deref());
            upstreams.add(row.upstream.as_deref());
            routes.add(row.route.as_deref());
            let Some(at) = window
                .step(entry.ended_at_ms())
                .filter(|_| is_asked_for(&row))
            else {
                continue;
            };
            let step = &mut steps[at];
            step.requests += 1;
            step.errors += u64::from(row.error.is_some());
            step.input_tokens += row.input_tokens.unwrap_or_default();
            step.output_tokens += row.output_tokens.unwrap_or_default();
            if let Some(Usd(cost)) = row.cost_usd {
                step.cost_usd.get_or_insert_default().0 += cost;
            }
            first.push(at, row.time_to_first_token_ms);
            per_token.push(at, row.time_per_output_token_ms);
            duration.push(at, Some(row.duration_ms));
        }
        Self {
            steps,
            time_to_first_token: first.into_latency(),
            time_per_output_token: per_token.into_latency(),
            duration: duration.into_latency(),
            models: models.0,
            upstreams: upstreams.0,
            routes: routes.0,
        }
    }
}

/// Names in order, each once.
#[derive(Debug, Default)]
struct Names(Vec<String>);

impl Names {
    fn add(&mut self, name: Option<&str>) {
        let Some(name) = name else { return };
        let found = self.0.binary_search_by(|known| (**known).cmp(name));
        if let (Err(at), true) = (found, self.0.len() < NAMES_MAX) {
            self.0.insert(at, name.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::exchange::{Cost, Exchange, Failure, Price};

    fn entry(id: u64, ended_ms: u64, model: &str) -> Entry {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        exchange.times.end = Duration::from_millis(ended_ms);
        exchange.request.model = Some(model.into());
        Entry::new(id, Arc::new(exchange))
    }

    #[test]
    fn the_cost_of_a_step_is_unknown_where_none_of_its_calls_has_a_price() {
        let window = Window::ending(20_500, 20_000, 10_000).unwrap();
        let mut priced = Exchange::begin(SystemTime::UNIX_EPOCH);
        priced.times.end = Duration::from_millis(20_001);
        priced.price = Some(Price::Known(Cost {
            input: 1.into(),
            output: 2.into(),
            total: 3.into(),
            entry: "x".into(),
            since: None,
            estimated: false,
            partial: false,
        }));
        let entries = [entry(1, 19_000, "a"), Entry::new(2, Arc::new(priced))];
        let sums = Sums::over(&entries, window, |_| true);
        let known: Vec<_> = sums
            .steps
            .iter()
            .map(|step| step.cost_usd.is_some())
            .collect();
        assert_eq!(known.last(), Some(&true));
        assert!(!known[known.len() - 2]);
    }

    #[test]
    fn an_exchange_counts_in_the_step_in_which_it_ended() {
        let window = Window::ending(100_500, 30_000, 10_000).unwrap();
        assert_eq!(window.first_ms(), 80_000);
        let mut failed = Exchange::begin(SystemTime::UNIX_EPOCH);
        failed.times.end = Duration::from_millis(100_001);
        failed.failure = Some(Failure {
            kind: "x".into(),
            message: String::new(),
        });
        let entries = [
            entry(1, 79_999, "old"),
            entry(2, 80_000, "b"),
            entry(3, 99_999, "a"),
            Entry::new(4, Arc::new(failed)),
        ];
        let sums = Sums::over(&entries, window, |_| true);
        let counts: Vec<_> = sums
            .steps
            .iter()
            .map(|step| (step.at_ms, step.requests, step.errors))
            .collect();
        assert_eq!(counts, [(80_000, 1, 0), (90_000, 1, 0), (100_000, 1, 1)]);
        assert_eq!(sums.models, ["a", "b", "old"]);
        assert_eq!(
            sums.duration.p50_ms,
            [Some(80_000.0), Some(99_999.0), Some(100_001.0)]
        );
    }

    #[test]
    fn only_what_is_asked_for_counts() {
        let window = Window::ending(10_000, 10_000, 10_000).unwrap();
        let entries = [entry(1, 10_000, "a"), entry(2, 10_001, "b")];
        let sums = Sums::over(&entries, window, |row| row.model.as_deref() == Some("b"));
        assert_eq!(sums.steps[0].requests, 1);
        assert_eq!(sums.models.len(), 2);
    }

    #[test]
    fn there_are_no_more_steps_than_the_bound() {
        assert_eq!(Window::ending(0, 3_600_000, 1_000), None);
        let step = Window::shortest_step(3_600_000);
        assert!(Window::ending(0, 3_600_000, step).is_some());
        assert_eq!(Window::ending(5, 0, 1), None);
        assert_eq!(Window::ending(5, 1, 0), None);
    }
}
