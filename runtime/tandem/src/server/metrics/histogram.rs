//! A histogram of atomics: observing takes no lock, and a request's observations of one histogram are added at once.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// Upper bounds of durations of requests, look-ups and transforms, in seconds.
pub(super) const LATENCY_SECONDS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    10.0, 30.0,
];

const MINUTE: f64 = 60.0;
const HOUR: f64 = 60.0 * MINUTE;
const DAY: f64 = 24.0 * HOUR;

/// Upper bounds of ages of features, in seconds: a second to 90 days.
pub(super) const AGE_SECONDS: &[f64] = &[
    1.0,
    10.0,
    MINUTE,
    5.0 * MINUTE,
    15.0 * MINUTE,
    HOUR,
    3.0 * HOUR,
    6.0 * HOUR,
    12.0 * HOUR,
    DAY,
    2.0 * DAY,
    7.0 * DAY,
    30.0 * DAY,
    90.0 * DAY,
];

/// Sums are kept as whole numbers of these: additions of integers commute, and need no loop.
const SUM_UNITS_PER_ONE: f64 = 1e6;

/// Cheap to clone: all clones are the same.
#[derive(Clone)]
pub(super) struct Histogram {
    shared: Arc<Shared>,
}

struct Shared {
    bounds: &'static [f64],
    /// One more than there are bounds.
    counts: Vec<AtomicU64>,
    /// In millionths. It wraps after half a million years of seconds.
    sum: AtomicU64,
}

/// Observations that are not yet in their histogram.
pub(super) struct Tally {
    bounds: &'static [f64],
    counts: Vec<u64>,
    sum: u64,
}

impl Histogram {
    pub(super) fn new(bounds: &'static [f64]) -> Histogram {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Histogram { shared: Arc::new(Shared { bounds, counts, sum: AtomicU64::new(0) }) }
    }

    /// What is below zero counts as zero: clocks of others are ahead at times.
    pub(super) fn observe(&self, value: f64) {
        self.shared.counts[bucket(self.shared.bounds, value)].fetch_add(1, Ordering::Relaxed);
        self.shared.sum.fetch_add(units(value), Ordering::Relaxed);
    }

    pub(super) fn tally(&self) -> Tally {
        let bounds = self.shared.bounds;
        Tally { bounds, counts: vec![0; bounds.len() + 1], sum: 0 }
    }

    /// All observations of a tally of this histogram.
    pub(super) fn observe_all(&self, tally: &Tally) {
        for (count, added) in self.shared.counts.iter().zip(&tally.counts).filter(|(_, added)| **added > 0) {
            count.fetch_add(*added, Ordering::Relaxed);
        }
        self.shared.sum.fetch_add(tally.sum, Ordering::Relaxed);
    }
}

impl Tally {
    pub(super) fn add(&mut self, value: f64) {
        self.counts[bucket(self.bounds, value)] += 1;
        self.sum = self.sum.wrapping_add(units(value));
    }
}

fn bucket(bounds: &[f64], value: f64) -> usize {
    bounds.partition_point(|bound| *bound < value)
}

fn units(value: f64) -> u64 {
    (value * SUM_UNITS_PER_ONE) as u64 // saturates: 0 below zero and for NaN
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram").finish_non_exhaustive()
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let shared = &self.shared;
        let bounds = shared.bounds.iter().copied().chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> =
            bounds.zip(shared.counts.iter().map(|count| count.load(Ordering::Relaxed))).collect();
        // The count is that of these buckets: what is observed meanwhile is in the next answer.
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = shared.sum.load(Ordering::Relaxed) as f64 / SUM_UNITS_PER_ONE;
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(histogram: &Histogram) -> Vec<u64> {
        histogram.shared.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }

    #[test]
    fn bounds_increase() {
        for bounds in [LATENCY_SECONDS, AGE_SECONDS] {
            assert!(bounds.is_sorted_by(|a, b| a < b), "{bounds:?}");
        }
    }

    #[test]
    fn a_bound_is_in_its_bucket() {
        let histogram = Histogram::new(&[1.0, 2.0]);
        for value in [-5.0, 0.0, 1.0, 1.5, 2.0, 2.000_001, f64::INFINITY] {
            histogram.observe(value);
        }
        assert_eq!(counts(&histogram), [3, 2, 2]);
    }

    #[test]
    fn a_tally_is_what_its_observations_are() {
        let (one_by_one, at_once) = (Histogram::new(AGE_SECONDS), Histogram::new(AGE_SECONDS));
        let mut tally = at_once.tally();
        for value in [0.5, 61.0, 3600.0, 1e9, -1.0] {
            one_by_one.observe(value);
            tally.add(value);
        }
        at_once.observe_all(&tally);
        assert_eq!(counts(&one_by_one), counts(&at_once));
        let sum = |histogram: &Histogram| histogram.shared.sum.load(Ordering::Relaxed);
        assert_eq!((sum(&one_by_one), sum(&at_once)), (1_000_003_661_500_000, 1_000_003_661_500_000));
    }
}
