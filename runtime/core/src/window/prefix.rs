//! Counts and exact sums of any stretch of a queue of events, from those of its prefixes.
//!
//! A sum of float64 is an integer times a power of two (`exact`). Where the values of an entity are of magnitudes that lie near enough to each other, 128 bits hold
//! all of their sums as multiples of one power of two, and then the sum of a stretch is the difference of two integers: the same number, to the last bit, as the
//! one that adding up gives. Where they do not, or where a value is not finite, there are no prefixes, and states are merged.

use arrow_array::Array;

use super::exact::Exact;
use super::plan::{Events, Part};
use super::state::{Inner, Kind, State, Sum};
use crate::canonical::Column;

/// Bits of an integer that a sum may have.
const BITS_MAX: i64 = 126;

/// What is counted or added up of the first so many events of a queue.
pub(super) enum Prefix {
    /// Every event counts.
    Every,
    Count(Vec<u32>),
    /// Multiples of 2^exponent.
    Sum {
        exponent: i32,
        sums: Vec<i128>,
    },
}

/// An integer times a power of two.
type Scaled = (i128, i32);

impl Prefix {
    /// The prefixes of these events; None where states have to be merged.
    pub(super) fn of(part: &Part, events: &Events, rows: &[usize]) -> Option<Prefix> {
        let passes = events.passes[part.filter].as_deref();
        let passes = |row: usize| passes.is_none_or(|passes| passes[row]);
        match (part.kind, part.column.map(|column| &events.columns[column])) {
            (Kind::Count, None) if events.passes[part.filter].is_none() => Some(Prefix::Every),
            (Kind::Count, column) => {
                let counts = |row: usize| passes(row) && column.is_none_or(|column| !column.is_null(row));
                let mut counted = 0;
                let counted = rows.iter().map(|row| {
                    counted += u32::from(counts(*row));
                    counted
                });
                Some(Prefix::Count(std::iter::once(0).chain(counted).collect()))
            }
            (Kind::Sum | Kind::Squares, Some(column)) => {
                let squared = part.kind == Kind::Squares;
                match column {
                    Column::Float64(array) => added_up(rows, |row| match passes(row) && array.is_valid(row) {
                        true => float(array.value(row), squared),
                        false => Some((0, 0)),
                    }),
                    Column::Int64(array) => added_up(rows, |row| {
                        let value = i128::from(if passes(row) && array.is_valid(row) { array.value(row) } else { 0 });
                        Some((if squared { value * value } else { value }, 0))
                    }),
                    Column::Boolean(array) => added_up(rows, |row| {
                        Some((i128::from(passes(row) && array.is_valid(row) && array.value(row)), 0))
                    }),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The state of the events from `first` to before `end`.
    #[inline]
    pub(super) fn state(&self, first: usize, end: usize) -> State {
        State(match self {
            Prefix::Every => Inner::Count((end - first) as u64),
            Prefix::Count(counts) => Inner::Count(u64::from(counts[end] - counts[first])),
            Prefix::Sum { exponent, sums } => {
                Inner::Sum(Sum { finite: Exact::of(sums[end] - sums[first], *exponent), ..Sum::default() })
            }
        })
    }

    /// Adds what the events from `first` to before `end` make to a state.
    #[inline]
    pub(super) fn add_to(&self, state: &mut State, first: usize, end: usize) {
        match (self, &mut state.0) {
            (Prefix::Every, Inner::Count(count)) => *count += (end - first) as u64,
            (Prefix::Count(counts), Inner::Count(count)) => *count += u64::from(counts[end] - counts[first]),
            (Prefix::Sum { exponent, sums }, Inner::Sum(sum)) => {
                sum.finite.add_scaled(sums[end] - sums[first], *exponent)
            }
            // A prefix is of its part's kind.
            _ => {}
        }
    }
}

/// None where it is not finite.
fn float(value: f64, squared: bool) -> Option<Scaled> {
    if !value.is_finite() {
        return None;
    }
    let (mantissa, exponent) = super::exact::split(value);
    let mantissa = i128::from(mantissa);
    Some(if squared { (mantissa * mantissa, 2 * exponent) } else { (mantissa, exponent) })
}

/// The sums of all prefixes; None where 128 bits do not hold them as multiples of one power of two, or a value is none.
#[inline]
fn added_up(rows: &[usize], value: impl Fn(usize) -> Option<Scaled>) -> Option<Prefix> {
    let (mut least, mut top) = (i32::MAX, i64::MIN);
    for row in rows {
        let (mantissa, exponent) = value(*row)?;
        if mantissa != 0 {
            least = least.min(exponent + mantissa.trailing_zeros() as i32);
            top = top.max(i64::from(exponent) + 128 - i64::from(mantissa.unsigned_abs().leading_zeros()));
        }
    }
    if least == i32::MAX {
        return Some(Prefix::Sum { exponent: 0, sums: vec![0; rows.len() + 1] });
    }
    // So many numbers below 2^top.
    let carries = i64::from(usize::BITS - rows.len().leading_zeros());
    if top - i64::from(least) + carries > BITS_MAX {
        return None;
    }
    let mut sum = 0_i128;
    let mut sums = Vec::with_capacity(rows.len() + 1);
    sums.push(0);
    for row in rows {
        let (mantissa, exponent) = value(*row)?;
        if mantissa != 0 {
            // What is shifted out is zeros.
            sum += if exponent < least { mantissa >> (least - exponent) } else { mantissa << (exponent - least) };
        }
        sums.push(sum);
    }
    Some(Prefix::Sum { exponent: least, sums })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values() -> impl Strategy<Value = f64> {
        prop_oneof![
            6 => (-100_000..100_000_i64).prop_map(|cents| cents as f64 / 100.0),
            2 => (-1.0..1.0_f64, -20..20_i32).prop_map(|(mantissa, exponent)| mantissa * 2_f64.powi(exponent)),
            1 => any::<i64>().prop_map(|value| value as f64),
            1 => Just(-0.0),
        ]
    }

    /// The sum of a stretch as a state has it, where there are prefixes.
    fn stretch(values: &[f64], squared: bool, first: usize, end: usize) -> Option<State> {
        let rows: Vec<usize> = (0..values.len()).collect();
        let prefix = added_up(&rows, |row| float(values[row], squared))?;
        let mut state = Kind::Sum.empty();
        prefix.add_to(&mut state, first, end);
        Some(state)
    }

    #[test]
    fn what_integers_do_not_hold_has_no_prefixes() {
        let cents: Vec<f64> = (0..100_000).map(|cents| f64::from(cents) / 100.0).collect();
        assert!(stretch(&cents, false, 0, 1).is_some());
        assert!(stretch(&[0.25, 1.5, -3e5], true, 0, 1).is_some());
        assert!(stretch(&[f64::MAX, f64::MIN, 5e-324], false, 0, 3).is_none());
        for special in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(stretch(&[1.0, special], false, 0, 1).is_none());
        }
        // As many as may carry: 2^73 numbers of 53 bits would need 126.
        assert!(stretch(&[2_f64.powi(71), 1.0 + f64::EPSILON], false, 0, 2).is_some());
        assert!(stretch(&[2_f64.powi(72), 1.0 + f64::EPSILON], false, 0, 2).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn a_stretch_is_what_adding_up_gives(
            (values, first, end) in proptest::collection::vec(values(), 0..40).prop_flat_map(|values| {
                let length = values.len();
                (Just(values), 0..=length, 0..=length)
            }),
            squared: bool,
        ) {
            let (first, end) = (first.min(end), first.max(end));
            let mut exact = Exact::ZERO;
            for value in &values[first..end] {
                if squared { exact.add_float_square(*value) } else { exact.add_float(*value) }
            }
            if let Some(State(Inner::Sum(sum))) = stretch(&values, squared, first, end) {
                prop_assert_eq!(&sum.finite, &exact);
                prop_assert_eq!(sum.finite.to_f64().to_bits(), exact.to_f64().to_bits());
                prop_assert_eq!(sum.special(), None);
            } else {
                prop_assert!(squared || values.iter().any(|value| value.abs() > 1e6 || value.abs() < 1e-9));
            }
        }
    }
}
