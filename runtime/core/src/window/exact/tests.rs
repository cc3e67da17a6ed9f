use std::cmp::Ordering;

use proptest::prelude::*;

use super::limbs::compare;
use super::*;

/// Any finite float64, near and far from others.
fn floats() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (-1_000_000_i64..1_000_000).prop_map(|cents| cents as f64 / 100.0),
        2 => any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |value| value.is_finite()),
        1 => prop_oneof![
            Just(f64::MAX), Just(f64::MIN), Just(f64::MIN_POSITIVE), Just(5e-324), Just(-5e-324), Just(0.0), Just(-0.0), Just(1e308),
            Just(1.0), Just(-1.0), Just(f64::EPSILON)
        ],
    ]
}

/// A sum in Python's way: an integer that has room for everything, in units of 2^-2148.
struct Naive(Vec<u64>, Vec<u64>);

impl Naive {
    fn add(&mut self, negative: bool, magnitude: u128, exponent: i32) {
        let mut limbs = vec![magnitude as u64, (magnitude >> 64) as u64];
        trim(&mut limbs);
        shift_left(&mut limbs, (exponent + 2_148) as usize);
        let side = if negative { &mut self.1 } else { &mut self.0 };
        side.resize(side.len().max(limbs.len()) + 1, 0);
        let mut carry = 0_u128;
        for (place, limb) in side.iter_mut().enumerate() {
            let sum = u128::from(*limb) + u128::from(limbs.get(place).copied().unwrap_or(0)) + carry;
            *limb = sum as u64;
            carry = sum >> 64;
        }
        trim(side);
    }

    /// Sign and magnitude in units of 2^-2148.
    fn total(&self) -> (bool, Vec<u64>) {
        let negative = compare(&self.0, &self.1) == Ordering::Less;
        let (mut more, less) = if negative { (self.1.clone(), &self.0) } else { (self.0.clone(), &self.1) };
        subtract(&mut more, less);
        (negative, more)
    }
}

fn naive(values: &[f64], squares: bool) -> Naive {
    let mut naive = Naive(Vec::new(), Vec::new());
    for value in values {
        let (mantissa, exponent) = split(*value);
        let magnitude = u128::from(mantissa.unsigned_abs());
        match squares {
            true => naive.add(false, magnitude * magnitude, 2 * exponent),
            false => naive.add(mantissa < 0, magnitude, exponent),
        }
    }
    naive
}

fn sum(values: &[f64]) -> Exact {
    let mut sum = Exact::ZERO;
    values.iter().for_each(|value| sum.add_float(*value));
    sum
}

fn encoded(exact: &Exact) -> Vec<u8> {
    let mut out = Vec::new();
    exact.encode(&mut out);
    out
}

#[test]
fn a_sum_is_rounded_once() {
    assert_eq!(sum(&[0.1; 10]).to_f64(), 1.0);
    assert_ne!([0.1; 10].iter().sum::<f64>(), 1.0);
    assert_eq!(sum(&[1e308, 1e308, -1e308, -1e308]).to_f64(), 0.0);
    assert_eq!(sum(&[1e100, 1.0, -1e100]).to_f64(), 1.0);
    assert_eq!(sum(&[f64::MAX, f64::MAX]).to_f64(), f64::INFINITY);
    assert_eq!(sum(&[-f64::MAX, -f64::MAX]).to_f64(), f64::NEG_INFINITY);
    assert_eq!(sum(&[5e-324, 5e-324]).to_f64(), 1e-323);
    assert!(sum(&[-0.0, -0.0]).to_f64().is_sign_positive());
    // Half of the last place, alone to even, with the least float64 up.
    assert_eq!(sum(&[1.0, f64::EPSILON / 2.0]).to_f64(), 1.0);
    assert_eq!(sum(&[1.0, f64::EPSILON / 2.0, 5e-324]).to_f64(), 1.0 + f64::EPSILON);
}

#[test]
fn a_mean_and_a_variance_are_rounded_once() {
    assert_eq!(sum(&[1.0, 2.0]).mean(2), 1.5);
    assert_eq!(sum(&[f64::MAX, f64::MAX]).mean(2), f64::MAX);
    assert_eq!(sum(&[1.0, 0.0, 0.0]).mean(3), 1.0 / 3.0);
    let squares = |values: &[f64]| {
        let mut squares = Exact::ZERO;
        values.iter().for_each(|value| squares.add_float_square(*value));
        squares
    };
    let sample = |values: &[f64]| {
        let count = values.len() as u64;
        Exact::variance(&sum(values), &squares(values), count, count - 1)
    };
    assert_eq!(sample(&[1.0, 2.0, 3.0, 4.0]), 5.0 / 3.0);
    // Where the textbook formula gives a negative number.
    assert_eq!(sample(&[1e9 + 4.0, 1e9 + 7.0, 1e9 + 13.0, 1e9 + 16.0]), 30.0);
    assert_eq!(sample(&[0.1; 7]), 0.0);
    assert_eq!(sample(&[f64::MAX, -f64::MAX]), f64::INFINITY);
    assert_eq!(sample(&[5e-324, -5e-324]), 0.0);
}

#[test]
fn integers_are_exact() {
    let mut exact = Exact::ZERO;
    for value in [i64::MAX, i64::MAX, i64::MIN, -5] {
        exact.add_integer(value);
    }
    assert_eq!(exact.to_i64(), Some(i64::MAX - 6));
    exact.add_integer(7);
    assert_eq!(exact.to_i64(), None);
    exact.add_float(0.5);
    assert_eq!(exact.to_i64(), None);
    assert_eq!(Exact::ZERO.to_i64(), Some(0));
    let mut least = Exact::ZERO;
    least.add_integer(i64::MIN);
    assert_eq!(least.to_i64(), Some(i64::MIN));
    least.add_integer(-1);
    assert_eq!(least.to_i64(), None);
}

#[test]
fn other_bytes_are_no_sum() {
    for bytes in [&[][..], &[0; 6], &[2, 0, 0, 0, 0, 0, 0], &[0, 0, 0, 0, 0, 1, 0], &[0, 0, 0, 0, 0, 1, 0, 2]] {
        assert!(Exact::decode(&mut &bytes[..]).is_none(), "{bytes:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn sums_are_the_naive_ones(values in proptest::collection::vec(floats(), 0..24)) {
        let exact = sum(&values);
        let (negative, total) = naive(&values, false).total();
        prop_assert_eq!(exact.to_f64().to_bits(), round_limbs(negative, &total, -2_148, false).to_bits());
        if !values.is_empty() {
            let count = values.len() as u64;
            prop_assert_eq!(exact.mean(count).to_bits(), divide(negative, total, -2_148, &[count]).to_bits());
        }
    }

    #[test]
    fn two_numbers_round_as_the_processor_does(a in floats(), b in floats()) {
        let zero = a + b == 0.0;
        prop_assert!(zero || sum(&[a, b]).to_f64().to_bits() == (a + b).to_bits());
        let quotient = sum(&[a]).mean(3);
        prop_assert!(a == 0.0 || quotient.to_bits() == (a / 3.0).to_bits());
        let mut square = Exact::ZERO;
        square.add_float_square(a);
        prop_assert_eq!(square.to_f64().to_bits(), (a * a).to_bits());
    }

    #[test]
    fn order_and_grouping_do_not_matter(
        (values, arrived) in proptest::collection::vec(floats(), 0..40).prop_flat_map(|values| (Just(values.clone()), Just(values).prop_shuffle())),
        split in any::<proptest::sample::Index>(),
    ) {
        let whole = encoded(&sum(&values));
        let at = split.index(arrived.len() + 1);
        let (left, right) = (sum(&arrived[..at]), sum(&arrived[at..]));
        for (mut one, other) in [(left.clone(), right.clone()), (right, left)] {
            one.merge(&other);
            prop_assert_eq!(&encoded(&one), &whole);
            prop_assert_eq!(one.to_f64().to_bits(), sum(&values).to_f64().to_bits());
        }
        let mut bytes = &whole[..];
        let read = Exact::decode(&mut bytes).unwrap();
        prop_assert!(bytes.is_empty());
        prop_assert_eq!(&read, &sum(&values));
    }

    #[test]
    fn squares_are_exact(values in proptest::collection::vec(floats(), 2..12)) {
        let mut squares = Exact::ZERO;
        values.iter().for_each(|value| squares.add_float_square(*value));
        let (_, total) = naive(&values, true).total();
        prop_assert_eq!(squares.to_f64().to_bits(), round_limbs(false, &total, -2_148, false).to_bits());
        let variance = Exact::variance(&sum(&values), &squares, values.len() as u64, values.len() as u64 - 1);
        prop_assert!(variance >= 0.0);
        let constant = values.iter().all(|value| *value == values[0]);
        prop_assert!(!constant || variance == 0.0);
    }
}
