//! Times of calls over time: how many were how long, and their quantiles.

use super::shown;

/// The shortest time that has a cell of its own, in ms; shorter ones are in the first cell.
const FIRST_MS: f64 = 0.1;
/// How much longer each bound is than the one before: four cells for a factor of ten.
const FACTOR: f64 = 1.778_279_410_038_922_8;
/// Bounds: from 0.1 ms to a little under 20 minutes, and what is longer.
const BOUNDS: usize = 30;

shown! {
    /// How long something took, step by step.
    pub struct Latency {
        /// The upper bound of each cell, four for a factor of ten; the last is `null`, for what is longer.
        pub bounds_ms: Vec<Option<f64>>,
        /// For each step how many times fell into each cell.
        pub cells: Vec<Vec<u64>>,
        /// For each step the median; `null` without any.
        pub p50_ms: Vec<Option<f64>>,
        /// For each step the 95th percentile.
        pub p95_ms: Vec<Option<f64>>,
        /// For each step the 99th percentile.
        pub p99_ms: Vec<Option<f64>>,
    }
}

/// Times, by the step that they fell into.
#[derive(Debug)]
pub(super) struct Times(Vec<Vec<f64>>);

impl Times {
    pub(super) fn of_steps(steps: usize) -> Self {
        Self(vec![Vec::new(); steps])
    }

    /// Adds one, where there is one.
    pub(super) fn push(&mut self, step: usize, time: Option<f64>) {
        if let (Some(times), Some(time)) = (self.0.get_mut(step), time) {
            times.push(time);
        }
    }

    pub(super) fn into_latency(mut self) -> Latency {
        let bounds: Vec<f64> = (0..BOUNDS)
            .map(|at| rounded(FIRST_MS * FACTOR.powi(at as i32)))
            .collect();
        self.0
            .iter_mut()
            .for_each(|times| times.sort_by(f64::total_cmp));
        let cells = |times: &Vec<f64>| {
            let mut cells = vec![0; BOUNDS + 1];
            for time in times {
                cells[bounds.partition_point(|bound| bound < time)] += 1;
            }
            cells
        };
        let quantiles = |percent| {
            self.0
                .iter()
                .map(|times| quantile(times, percent))
                .collect()
        };
        Latency {
            cells: self.0.iter().map(cells).collect(),
            p50_ms: quantiles(50),
            p95_ms: quantiles(95),
            p99_ms: quantiles(99),
            bounds_ms: bounds.iter().copied().map(Some).chain([None]).collect(),
        }
    }
}

/// To three digits that count.
fn rounded(bound: f64) -> f64 {
    let scale = 10_f64.powf(2.0 - bound.log10().floor());
    (bound * scale).round() / scale
}

/// The smallest of sorted times that so many percent of them do not exceed.
pub(super) fn quantile(sorted: &[f64], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_in_the_cell_of_its_bound() {
        let mut times = Times::of_steps(2);
        for time in [0.0, 0.1, 0.1001, 1.0, 1e9] {
            times.push(1, Some(time));
        }
        times.push(1, None);
        let latency = times.into_latency();
        assert_eq!(
            latency.bounds_ms[..5],
            [0.1, 0.178, 0.316, 0.562, 1.0].map(Some)
        );
        assert_eq!(latency.bounds_ms.last(), Some(&None));
        assert_eq!(latency.cells[0].iter().sum::<u64>(), 0);
        let cells = &latency.cells[1];
        assert_eq!((cells[0], cells[1], cells[4], cells[BOUNDS]), (2, 1, 1, 1));
        assert_eq!(latency.p50_ms, [None, Some(0.1001)]);
        assert_eq!(latency.p99_ms, [None, Some(1e9)]);
    }
}
