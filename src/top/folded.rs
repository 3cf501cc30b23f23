//! A scale of time for what comes in bursts: long pauses in which nothing happens are folded. The live page has the same.

use std::ops::Range;

/// A fold is this share of the busy time.
const FOLD: f64 = 0.05;
/// A pause is folded from this share of the busy time on, and never below so many milliseconds.
const LONGEST: (f64, f64) = (0.25, 2000.0);
/// Most milliseconds that anything lasts: figures of the wire may be any.
const MOST: f64 = 1e12;

/// The scale. Times are in milliseconds since any beginning.
#[derive(Debug, Default)]
pub(super) struct Folded {
    /// One after another, without gaps.
    pieces: Vec<Piece>,
    size: f64,
}

/// A time, and where it is on the scale.
#[derive(Debug)]
struct Piece {
    from: f64,
    to: f64,
    at: f64,
    size: f64,
    is_folded: bool,
}

/// A pause that is folded: where it is, and how long it was.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Fold {
    /// Its middle, as a share of the whole.
    pub(super) at: f64,
    pub(super) lasted_ms: f64,
}

impl Folded {
    /// That for what lasted from an instant for so long.
    pub(super) fn of(spans: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let spans = spans.into_iter();
        let mut spans: Vec<(f64, f64)> = spans
            .map(|(from, lasted)| (from, from + lasted.clamp(0.0, MOST)))
            .collect();
        spans.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut busy: Vec<(f64, f64)> = Vec::new();
        for (from, to) in spans {
            match busy.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => busy.push((from, to)),
            }
        }
        let total = busy
            .iter()
            .map(|(from, to)| to - from)
            .sum::<f64>()
            .max(1.0);
        let mut scale = Self::default();
        let mut before = None;
        for (from, to) in busy {
            if let Some(end) = before {
                let is_folded = from - end > (total * LONGEST.0).max(LONGEST.1);
                let size = if is_folded { total * FOLD } else { from - end };
                scale.push(end, from, size, is_folded);
            }
            scale.push(from, to, to - from, false);
            before = Some(to);
        }
        scale
    }

    fn push(&mut self, from: f64, to: f64, size: f64, is_folded: bool) {
        self.pieces.push(Piece {
            from,
            to,
            at: self.size,
            size,
            is_folded,
        });
        self.size += size;
    }

    /// Where an instant is, from 0 to 1.
    fn share(&self, at_ms: f64) -> f64 {
        let behind = self.pieces.partition_point(|piece| piece.to < at_ms);
        let Some(piece) = self.pieces.get(behind).or(self.pieces.last()) else {
            return 0.0;
        };
        let within = if piece.to > piece.from {
            ((at_ms - piece.from) / (piece.to - piece.from)).clamp(0.0, 1.0)
        } else {
            0.0
        };
        (piece.at + within * piece.size) / self.size.max(1.0)
    }

    /// The cells of a time, of so many in all: at least one, and none beyond the last.
    pub(super) fn cells(&self, from_ms: f64, to_ms: f64, width: usize) -> Range<usize> {
        let cell = |at_ms: f64| (self.share(at_ms) * width as f64).round() as usize;
        let from = cell(from_ms).min(width.saturating_sub(1));
        let to = cell(to_ms).max(from + 1).min(width);
        from..to
    }

    /// What is folded, in order.
    pub(super) fn folds(&self) -> impl Iterator<Item = Fold> {
        let folded = self.pieces.iter().filter(|piece| piece.is_folded);
        folded.map(|piece| Fold {
            at: (piece.at + piece.size / 2.0) / self.size.max(1.0),
            lasted_ms: piece.to - piece.from,
        })
    }

    /// How long it is, the folds at their size on the scale.
    pub(super) fn size_ms(&self) -> f64 {
        self.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_to_scale_and_a_short_pause_stays_as_long_as_it_is() {
        let scale = Folded::of([(1000.0, 400.0), (1600.0, 400.0)]);
        assert_eq!(scale.cells(1000.0, 1400.0, 10), 0..4);
        assert_eq!(scale.cells(1600.0, 2000.0, 10), 6..10);
        assert_eq!(scale.folds().count(), 0);
        assert_eq!(scale.size_ms(), 1000.0);
    }

    #[test]
    fn a_long_pause_is_folded_to_a_small_share() {
        let scale = Folded::of([(0.0, 5000.0), (605_000.0, 5000.0)]);
        let folds: Vec<Fold> = scale.folds().collect();
        let [fold] = folds[..] else {
            panic!("{folds:?}")
        };
        assert_eq!(fold.lasted_ms, 600_000.0);
        assert!((fold.at - 0.5).abs() < 0.01, "{fold:?}");
        assert_eq!(scale.cells(0.0, 5000.0, 21), 0..10);
        assert_eq!(scale.cells(605_000.0, 610_000.0, 21), 11..21);
    }

    #[test]
    fn no_times_lead_out_of_the_cells_and_each_has_one() {
        let wild = [0.0, 1e300, -5.0, f64::MAX, f64::INFINITY, f64::MIN_POSITIVE];
        for a in wild {
            for b in wild {
                let scale = Folded::of([(1.8e12, a), (1.8e12 + 1.0, b)]);
                for width in 0..4 {
                    let cells = scale.cells(a, b, width);
                    assert!(cells.end <= width, "{a} {b} {width}");
                    assert_eq!(cells.is_empty(), width == 0, "{a} {b} {width}");
                }
            }
        }
        assert_eq!(Folded::of([]).cells(0.0, 1.0, 5), 0..1);
    }
}
