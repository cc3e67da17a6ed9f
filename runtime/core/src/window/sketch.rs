//! Quantiles by a sketch of counts in buckets of equal relative width.
//!
//! It is DDSketch (Masson, Rim, Lee: *DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees*, 2019) with its linearly
//! interpolated mapping: a bucket is an exponent and the first [`BITS`] bits of the mantissa, read from the bits of the number, so that no logarithm is
//! taken and every machine has the same buckets. None is ever collapsed into another. Counts are integers and buckets do not depend on what else was
//! added, so neither order nor grouping matters.

use std::collections::BTreeMap;

/// Bits of the mantissa in a bucket's number: 64 buckets for each power of two.
const BITS: u32 = 6;

/// The values of a column, but for their last bits. A quantile of it differs from the exact one by 1 / 128 of its magnitude at most (0.8 %).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Sketch {
    /// Values by bucket, in ascending order of the values. None of NaN.
    counts: BTreeMap<i32, u64>,
    /// NaNs.
    nans: u64,
}

/// The bucket of a number: 0 of both zeros, positive of positive numbers.
fn bucket(value: f64) -> i32 {
    let magnitude = value.abs().to_bits();
    if magnitude == 0 {
        return 0;
    }
    let number = (magnitude >> (52 - BITS)) as i32 + 1;
    if value < 0.0 { -number } else { number }
}

/// The middle of a bucket; of that of infinity, infinity.
fn middle(bucket: i32) -> f64 {
    if bucket == 0 {
        return 0.0;
    }
    let low = u64::from(bucket.unsigned_abs() - 1) << (52 - BITS);
    let magnitude = if low >= 0x7ff << 52 { f64::INFINITY } else { f64::from_bits(low | 1 << (51 - BITS)) };
    if bucket < 0 { -magnitude } else { magnitude }
}

impl Sketch {
    pub(super) fn add(&mut self, value: f64) {
        if value.is_nan() {
            self.nans += 1;
        } else {
            *self.counts.entry(bucket(value)).or_default() += 1;
        }
    }

    pub(super) fn merge(&mut self, other: &Sketch) {
        self.nans += other.nans;
        for (bucket, count) in &other.counts {
            *self.counts.entry(*bucket).or_default() += count;
        }
    }

    /// The value at rank `floor(q * (n - 1))` of the n values in ascending order, ranks from 0, or rather the middle of its bucket. None without values,
    /// NaN where one is.
    pub(super) fn quantile(&self, q: f64) -> Option<f64> {
        let count: u64 = self.counts.values().sum();
        if self.nans > 0 {
            return Some(f64::NAN);
        }
        let rank = (q * count.checked_sub(1)? as f64) as u64;
        let mut before = 0;
        for (bucket, count) in &self.counts {
            before += count;
            if before > rank {
                return Some(middle(*bucket));
            }
        }
        None
    }

    /// NaNs (8 bytes), the number of buckets (4), and of each its number (4) and its count (8), ascending; all little-endian.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.nans.to_le_bytes());
        out.extend((self.counts.len() as u32).to_le_bytes());
        for (bucket, count) in &self.counts {
            out.extend(bucket.to_le_bytes());
            out.extend(count.to_le_bytes());
        }
    }

    pub(super) fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let mut sketch = Sketch { nans: u64::from_le_bytes(super::bytes::eight(bytes)?), counts: BTreeMap::new() };
        for _ in 0..super::bytes::length(bytes)? {
            let bucket = i32::from_le_bytes(super::bytes::take(bytes)?);
            let count = u64::from_le_bytes(super::bytes::eight(bytes)?);
            let ascends = sketch.counts.last_key_value().is_none_or(|(last, _)| *last < bucket);
            if !ascends || count == 0 || bucket.unsigned_abs() > (0x7ff << BITS) + 1 {
                return None;
            }
            sketch.counts.insert(bucket, count);
        }
        Some(sketch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn a_quantile_is_near_the_exact_one(
            mut values in proptest::collection::vec(
                prop_oneof![-1e6..1e6, Just(0.0), Just(f64::INFINITY), Just(-1e-300), 1e-9..1e-3], 1..200),
            q in 0.0..=1.0,
        ) {
            let mut sketch = Sketch::default();
            values.iter().for_each(|value| sketch.add(*value));
            values.sort_by(f64::total_cmp);
            let exact = values[(q * (values.len() - 1) as f64) as usize];
            let found = sketch.quantile(q).unwrap();
            let near = found == exact || (found - exact).abs() <= exact.abs() / 128.0;
            prop_assert!(near, "{} for {}", found, exact);
        }
    }

    #[test]
    fn the_ends_are_what_they_are() {
        let mut sketch = Sketch::default();
        assert_eq!(sketch.quantile(0.5), None);
        for value in [f64::NEG_INFINITY, -f64::MAX, -0.0, 5e-324, f64::MAX, f64::INFINITY] {
            sketch.add(value);
        }
        assert_eq!(sketch.quantile(0.0), Some(f64::NEG_INFINITY));
        assert_eq!(sketch.quantile(1.0), Some(f64::INFINITY));
        assert_eq!(sketch.quantile(0.4), Some(0.0));
        sketch.add(f64::NAN);
        assert!(sketch.quantile(0.5).unwrap().is_nan());
    }
}
