//! The buckets of numbers, and what is left of the numbers in them.

use proptest::prelude::*;

use super::*;

fn of(numbers: &[f64]) -> Exponential {
    let mut distribution = Exponential::EMPTY;
    numbers
        .iter()
        .for_each(|number| distribution.add(*number, 1));
    distribution
}

/// The bounds of a bucket.
fn bounds(scale: i32, index: i32) -> (f64, f64) {
    let bound = |index: i32| (f64::from(index) * 2_f64.powi(-scale)).exp2();
    (bound(index), bound(index + 1))
}

/// The middle of the bucket in which a quantile is.
fn quantile(distribution: &Exponential, quantile: f64) -> f64 {
    let counts = distribution.counts();
    let all = distribution.zeros() + counts.iter().sum::<u64>();
    let rank = ((quantile * all as f64).ceil() as u64).max(1);
    let mut below = distribution.zeros();
    if rank <= below {
        return 0.0;
    }
    for (index, count) in (distribution.first()..).zip(counts) {
        below += count;
        if rank <= below {
            let (low, high) = bounds(distribution.scale(), index);
            return (low * high).sqrt();
        }
    }
    f64::NAN
}

#[test]
fn powers_of_two_end_a_bucket() {
    for exponent in [-40, -1, 0, 1, 10, 40] {
        let power = 2_f64.powi(exponent);
        assert_eq!(finest_index(power), (exponent << FINEST) - 1);
        let above = f64::from_bits(power.to_bits() + 1);
        assert_eq!(finest_index(above), exponent << FINEST);
    }
}

#[test]
fn numbers_at_the_ends_of_the_range_have_a_bucket() {
    let ends = [f64::MAX, f64::MIN_POSITIVE, f64::from_bits(1), 0.0];
    let distribution = of(&ends);
    assert_eq!(distribution.zeros(), 1);
    assert_eq!(distribution.counts().iter().sum::<u64>(), 3);
    // What Prometheus takes.
    assert!(distribution.scale() >= -4, "{}", distribution.scale());
}

#[test]
fn a_distribution_of_one_number_has_one_bucket_at_the_finest_scale() {
    let distribution = of(&[0.25; 5]);
    assert_eq!(
        (distribution.scale(), distribution.counts()),
        (20, &[5][..])
    );
}

#[test]
fn without_numbers_a_scale_can_be_asked_for_too() {
    let coarse = Exponential::EMPTY.at_most(8);
    assert_eq!((coarse.scale(), coarse.counts()), (8, &[][..]));
}

fn times() -> impl Strategy<Value = Vec<f64>> {
    // From a microsecond to an hour, as evenly by their size.
    let time = (-6.0..3.6_f64).prop_map(|exponent| 10_f64.powf(exponent));
    prop::collection::vec(prop_oneof![9 => time, 1 => Just(0.0)], 1..300)
}

proptest! {
    #[test]
    fn each_number_is_in_the_bucket_whose_bounds_it_is_between(numbers in times()) {
        let distribution = of(&numbers);
        prop_assert!(distribution.counts().len() as i64 <= BUCKETS);
        let scale = distribution.scale();
        for number in numbers.iter().filter(|number| **number > 0.0) {
            let index = finest_index(*number) >> (FINEST - scale);
            let (low, high) = bounds(scale, index);
            // What they are reckoned from is not exact.
            prop_assert!(low < number * (1.0 + 1e-9) && *number <= high * (1.0 + 1e-9));
            prop_assert!(distribution.counts()[(index - distribution.first()) as usize] > 0);
        }
        let counted = distribution.zeros() + distribution.counts().iter().sum::<u64>();
        prop_assert_eq!(counted, numbers.len() as u64);
    }

    #[test]
    fn the_scale_is_the_finest_that_has_room(numbers in times()) {
        let distribution = of(&numbers);
        let indices: Vec<i64> = numbers.iter().filter(|number| **number > 0.0)
            .map(|number| finest_index(*number).into()).collect();
        let (Some(least), Some(most)) = (indices.iter().min(), indices.iter().max()) else {
            return Ok(());
        };
        let fits = |scale: i32| (most >> (FINEST - scale)) - (least >> (FINEST - scale)) < BUCKETS;
        let finest = (-10..=FINEST).rev().find(|scale| fits(*scale));
        prop_assert_eq!(Some(distribution.scale()), finest);
    }

    #[test]
    fn the_order_of_numbers_does_not_matter(numbers in times(), turn in 0_usize..300) {
        let mut turned = numbers.clone();
        turned.rotate_left(turn % numbers.len());
        turned.reverse();
        let [one, other] = [of(&numbers), of(&turned)];
        prop_assert_eq!(one, other);
    }

    #[test]
    fn quantiles_are_as_exact_as_the_buckets_are_narrow(numbers in times(), rank in 0.0..=1.0_f64) {
        let distribution = of(&numbers);
        let mut sorted = numbers.clone();
        sorted.sort_by(f64::total_cmp);
        let place = ((rank * sorted.len() as f64).ceil() as usize).max(1) - 1;
        let (exact, estimated) = (sorted[place], quantile(&distribution, rank));
        let width = 2_f64.powi(-distribution.scale()).exp2();
        // At most nine powers of ten in 160 buckets.
        prop_assert!(width < 1.2);
        let error = 1.0 + (width - 1.0) + 1e-9;
        prop_assert!(exact <= estimated * error && estimated <= exact * error);
    }

    #[test]
    fn at_a_coarser_scale_are_the_same_numbers(numbers in times(), scale in -4..=20_i32) {
        let fine = of(&numbers);
        let coarse = fine.at_most(scale);
        prop_assert_eq!(coarse.scale(), fine.scale().min(scale));
        prop_assert_eq!(coarse.zeros(), fine.zeros());
        for (index, count) in (coarse.first()..).zip(coarse.counts()) {
            let by = fine.scale() - coarse.scale();
            let inside = (fine.first()..).zip(fine.counts());
            let inside = inside.filter(|(of, _)| of >> by == index);
            prop_assert_eq!(*count, inside.map(|(_, count)| count).sum::<u64>());
        }
    }
}
