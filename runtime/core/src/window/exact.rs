//! Exact sums: numbers are added without rounding, and a result is rounded once, at the end.
//!
//! A sum is an integer times a power of two. That is Kulisch's long accumulator (Kulisch, *Computer Arithmetic and Validity*, 2013) with a window that
//! moves: as long as 128 bits hold the sum they do, which numbers of everyday magnitudes never leave; else it has as many 64-bit limbs as it needs, at
//! most some 70 for sums of squares of float64. The integer is exact, so the result depends neither on the order nor on the grouping of what was
//! added (Neal, *Fast exact summation using small and large superaccumulators*, 2015, has the argument and another layout).

use std::cmp::Ordering;

/// An exact sum of dyadic numbers.
#[derive(Debug, Clone)]
pub struct Exact(Repr);

#[derive(Debug, Clone)]
enum Repr {
    Small { mantissa: i128, exponent: i32 },
    Large(Box<Large>),
}

/// Two's complement in 64-bit limbs, the least first. The last limb is all sign, so that one addition never overflows.
#[derive(Debug, Clone)]
struct Large {
    /// The weight of the first limb is 2^(64 base).
    base: i32,
    limbs: Vec<u64>,
}

impl Default for Exact {
    fn default() -> Self {
        Exact::ZERO
    }
}

/// Equal numbers are equal, however they came about.
impl PartialEq for Exact {
    fn eq(&self, other: &Self) -> bool {
        self.normal() == other.normal()
    }
}

impl Eq for Exact {}

impl Exact {
    /// Nothing was added.
    pub const ZERO: Exact = Exact(Repr::Small { mantissa: 0, exponent: 0 });

    /// `mantissa * 2^exponent`.
    pub(super) fn of(mantissa: i128, exponent: i32) -> Exact {
        Exact(Repr::Small { mantissa, exponent })
    }

    /// Adds `mantissa * 2^exponent`.
    pub fn add_scaled(&mut self, mantissa: i128, exponent: i32) {
        if mantissa == 0 {
            return;
        }
        if let Repr::Small { mantissa: mine, exponent: at } = &mut self.0 {
            if *mine == 0 {
                (*mine, *at) = (mantissa, exponent);
                return;
            }
            // The finer of the two exponents holds both.
            let aligned = if *at <= exponent {
                shifted(mantissa, exponent - *at).and_then(|theirs| mine.checked_add(theirs)).map(|sum| (sum, *at))
            } else {
                shifted(*mine, *at - exponent).and_then(|mine| mine.checked_add(mantissa)).map(|sum| (sum, exponent))
            };
            if let Some(sum) = aligned {
                (*mine, *at) = sum;
                return;
            }
            let mut large = Large { base: at.div_euclid(64), limbs: vec![0] };
            large.add_scaled(*mine, *at);
            self.0 = Repr::Large(Box::new(large));
        }
        if let Repr::Large(large) = &mut self.0 {
            large.add_scaled(mantissa, exponent);
        }
    }

    /// Adds an integer.
    pub fn add_integer(&mut self, value: i64) {
        self.add_scaled(i128::from(value), 0);
    }

    /// Adds a finite float64.
    pub fn add_float(&mut self, value: f64) {
        let (mantissa, exponent) = split(value);
        self.add_scaled(i128::from(mantissa), exponent);
    }

    /// Adds the square of an integer.
    pub fn add_integer_square(&mut self, value: i64) {
        self.add_scaled(i128::from(value) * i128::from(value), 0);
    }

    /// Adds the square of a finite float64.
    pub fn add_float_square(&mut self, value: f64) {
        let (mantissa, exponent) = split(value);
        self.add_scaled(i128::from(mantissa) * i128::from(mantissa), 2 * exponent);
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &Exact) {
        match &other.0 {
            Repr::Small { mantissa, exponent } => self.add_scaled(*mantissa, *exponent),
            Repr::Large(theirs) => {
                if let Repr::Small { mantissa, exponent } = self.0 {
                    let mut sum = theirs.clone();
                    sum.add_scaled(mantissa, exponent);
                    self.0 = Repr::Large(sum);
                } else if let Repr::Large(mine) = &mut self.0 {
                    mine.merge(theirs);
                }
            }
        }
    }

    /// The sum, rounded to the nearest float64, ties to even. Zero is +0.0; what lies beyond the greatest float64 by half of its last place or more is
    /// infinite.
    pub fn to_f64(&self) -> f64 {
        match &self.0 {
            // The conversion rounds to the nearest, ties to even, and a power of two then changes the exponent alone: nothing is near the ends of float64.
            Repr::Small { mantissa, exponent } if (-900..=800).contains(exponent) => {
                *mantissa as f64 * f64::from_bits(((1_023 + exponent) as u64) << 52)
            }
            Repr::Small { mantissa, exponent } => {
                round(*mantissa < 0, mantissa.unsigned_abs(), i64::from(*exponent), false)
            }
            Repr::Large(large) => {
                let (negative, limbs) = large.magnitude();
                round_limbs(negative, &limbs, 64 * i64::from(large.base), false)
            }
        }
    }

    /// The sum as an integer; None if it is none, or does not fit.
    pub fn to_i64(&self) -> Option<i64> {
        let Normal { negative, magnitude, exponent } = self.normal();
        let [low] = magnitude[..] else { return magnitude.is_empty().then_some(0) };
        if !(0..64).contains(&exponent) || low.leading_zeros() < exponent as u32 {
            return None;
        }
        let value = i128::from(low << exponent);
        i64::try_from(if negative { -value } else { value }).ok()
    }

    /// The sum divided by `count`, rounded once. `count` is not 0.
    pub fn mean(&self, count: u64) -> f64 {
        match &self.0 {
            Repr::Small { mantissa, exponent } => {
                let magnitude = mantissa.unsigned_abs();
                if magnitude == 0 {
                    return 0.0;
                }
                let shift = magnitude.leading_zeros();
                let (scaled, count) = (magnitude << shift, u128::from(count));
                // At least 64 bits of quotient: more than what is rounded to.
                let exponent = i64::from(*exponent) - i64::from(shift);
                round(*mantissa < 0, scaled / count, exponent, !scaled.is_multiple_of(count))
            }
            Repr::Large(large) => {
                let (negative, limbs) = large.magnitude();
                divide(negative, limbs, 64 * i64::from(large.base), &[count])
            }
        }
    }

    /// `(count * squares - sum^2) / (count * divisor)`, rounded once: the variance of `count` numbers from the exact sums of them and of their squares,
    /// with `divisor` one less than `count` for that of a sample, or `count` for that of a population. Neither is 0.
    pub fn variance(sum: &Exact, squares: &Exact, count: u64, divisor: u64) -> f64 {
        let (sum, squares) = (sum.normal(), squares.normal());
        let mut left = multiply(&squares.magnitude, &[count]);
        let mut right = multiply(&sum.magnitude, &sum.magnitude);
        let (left_at, right_at) = (i64::from(squares.exponent), 2 * i64::from(sum.exponent));
        let at = if left.is_empty() {
            right_at
        } else if right.is_empty() {
            left_at
        } else {
            left_at.min(right_at)
        };
        shift_left(&mut left, (left_at - at).max(0) as usize);
        shift_left(&mut right, (right_at - at).max(0) as usize);
        subtract(&mut left, &right);
        divide(false, left, at, &[count, divisor])
    }

    /// Appends the canonical encoding: one byte with the sign (0 or 1); the exponent, 4 bytes little-endian; the number of bytes of the magnitude, 2 bytes;
    /// and these, the least first. The magnitude is odd and its last byte is not 0; of zero all is 0.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let Normal { negative, magnitude, exponent } = self.normal();
        let mut bytes: Vec<u8> = magnitude.iter().flat_map(|limb| limb.to_le_bytes()).collect();
        while bytes.last() == Some(&0) {
            bytes.pop();
        }
        out.push(u8::from(negative));
        out.extend(exponent.to_le_bytes());
        out.extend((bytes.len() as u16).to_le_bytes());
        out.extend(bytes);
    }

    /// What [`Exact::encode`] wrote at the start of `bytes`, which lose it; None for other bytes.
    pub fn decode(bytes: &mut &[u8]) -> Option<Exact> {
        let (head, rest) = bytes.split_at_checked(7)?;
        let exponent = i32::from_le_bytes(head[1..5].try_into().ok()?);
        let length = usize::from(u16::from_le_bytes(head[5..7].try_into().ok()?));
        let (digits, rest) = rest.split_at_checked(length)?;
        // Squares of the least and the greatest float64, and room for a sum of 2^64 of them.
        if head[0] > 1 || length > EXACT_BYTES_MAX || !(-2 * 1_074..=2 * 1_024 + 64).contains(&exponent) {
            return None;
        }
        let mut exact = Exact::ZERO;
        for (place, limb) in digits.chunks(8).enumerate() {
            let mut padded = [0; 8];
            padded[..limb.len()].copy_from_slice(limb);
            let value = i128::from(u64::from_le_bytes(padded));
            exact.add_scaled(if head[0] == 1 { -value } else { value }, exponent + 64 * place as i32);
        }
        let mut again = Vec::new();
        exact.encode(&mut again);
        if again[..] != bytes[..7 + length] {
            return None;
        }
        *bytes = rest;
        Some(exact)
    }

    fn normal(&self) -> Normal {
        let (negative, mut magnitude, mut exponent) = match &self.0 {
            Repr::Small { mantissa, exponent } => {
                let magnitude = mantissa.unsigned_abs();
                (*mantissa < 0, vec![magnitude as u64, (magnitude >> 64) as u64], *exponent)
            }
            Repr::Large(large) => {
                let (negative, limbs) = large.magnitude();
                (negative, limbs, 64 * large.base)
            }
        };
        trim(&mut magnitude);
        let Some(first) = magnitude.iter().position(|limb| *limb != 0) else {
            return Normal { negative: false, magnitude: Vec::new(), exponent: 0 };
        };
        let zeros = 64 * first + magnitude[first].trailing_zeros() as usize;
        shift_right(&mut magnitude, zeros);
        exponent += zeros as i32;
        Normal { negative, magnitude, exponent }
    }
}

/// Bytes of the longest magnitude.
const EXACT_BYTES_MAX: usize = 560;

/// The one form of a number: an odd magnitude without leading zeros; of zero an empty one.
#[derive(Debug, PartialEq, Eq)]
struct Normal {
    negative: bool,
    magnitude: Vec<u64>,
    exponent: i32,
}

impl Large {
    fn sign(&self) -> u64 {
        if self.limbs.last().is_some_and(|last| *last >> 63 == 1) { u64::MAX } else { 0 }
    }

    /// Makes room for limbs of the weights from `from` to before `to`, and one more for the sign.
    fn reach(&mut self, from: i32, to: i32) {
        if from < self.base {
            let zeros = (self.base - from) as usize;
            self.limbs.splice(0..0, std::iter::repeat_n(0, zeros));
            self.base = from;
        }
        let length = (to - self.base) as usize + 1;
        if self.limbs.len() < length {
            let sign = self.sign();
            self.limbs.resize(length, sign);
        }
    }

    fn add_scaled(&mut self, mantissa: i128, exponent: i32) {
        let (weight, bits) = (exponent.div_euclid(64), exponent.rem_euclid(64));
        let low = (mantissa as u128) << bits;
        let high = if bits == 0 { mantissa >> 127 } else { mantissa >> (128 - bits) };
        self.add_limbs(weight, &[low as u64, (low >> 64) as u64, high as u64], high < 0);
    }

    fn merge(&mut self, other: &Large) {
        self.add_limbs(other.base, &other.limbs, other.sign() != 0);
    }

    fn add_limbs(&mut self, weight: i32, limbs: &[u64], negative: bool) {
        self.reach(weight, weight + limbs.len() as i32);
        let at = (weight - self.base) as usize;
        let fill = if negative { u64::MAX } else { 0 };
        let mut carry = false;
        for (place, limb) in self.limbs.iter_mut().enumerate().skip(at) {
            let theirs = limbs.get(place - at).copied().unwrap_or(fill);
            let (sum, first) = limb.overflowing_add(theirs);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            (*limb, carry) = (sum, first || second);
        }
        let sign = self.sign();
        if self.limbs.last() != Some(&sign) {
            self.limbs.push(sign);
        }
    }

    fn magnitude(&self) -> (bool, Vec<u64>) {
        let negative = self.sign() != 0;
        let mut limbs = self.limbs.clone();
        if negative {
            let mut carry = true;
            for limb in &mut limbs {
                (*limb, carry) = (!*limb).overflowing_add(u64::from(carry));
            }
        }
        (negative, limbs)
    }
}

/// A finite float64 as an integer times a power of two.
pub(super) fn split(value: f64) -> (i64, i32) {
    let bits = value.to_bits();
    let (field, fraction) = ((bits >> 52 & 0x7ff) as i32, (bits & ((1 << 52) - 1)) as i64);
    debug_assert!(field != 0x7ff, "{value} is not finite");
    let (magnitude, exponent) = if field == 0 { (fraction, -1_074) } else { (fraction | 1 << 52, field - 1_075) };
    (if bits >> 63 == 1 { -magnitude } else { magnitude }, exponent)
}

/// `value * 2^by`, if it fits. `by` is not negative.
fn shifted(value: i128, by: i32) -> Option<i128> {
    if by >= 127 {
        return None;
    }
    let shifted = value << by;
    (shifted >> by == value).then_some(shifted)
}

/// `magnitude * 2^exponent`, and a little more where `sticky`, to the nearest float64, ties to even. Where `sticky`, the magnitude has 55 bits at least.
fn round(negative: bool, magnitude: u128, exponent: i64, sticky: bool) -> f64 {
    let sign = u64::from(negative) << 63;
    if magnitude == 0 {
        return 0.0;
    }
    let top = 127 - i64::from(magnitude.leading_zeros()) + exponent;
    if top > 1_023 {
        return f64::from_bits(sign | 0x7ff << 52);
    }
    let mut last = (top - 52).max(-1_074);
    let shift = last - exponent;
    let mut mantissa = if shift <= 0 {
        (magnitude << -shift) as u64
    } else if shift > 128 {
        0
    } else {
        let kept = if shift == 128 { 0 } else { (magnitude >> shift) as u64 };
        let half = 1_u128 << (shift - 1);
        let below = magnitude & (half - 1);
        let up = magnitude & half != 0 && (below != 0 || sticky || kept & 1 == 1);
        kept + u64::from(up)
    };
    if mantissa == 1 << 53 {
        (mantissa, last) = (1 << 52, last + 1);
    }
    if mantissa >> 52 == 0 {
        // Less than the least normal number: its bits are the mantissa.
        return f64::from_bits(sign | mantissa);
    }
    let field = (last + 1_075) as u64;
    if field >= 0x7ff {
        return f64::from_bits(sign | 0x7ff << 52);
    }
    f64::from_bits(sign | field << 52 | (mantissa & ((1 << 52) - 1)))
}

/// [`round`] for any number of limbs.
fn round_limbs(negative: bool, limbs: &[u64], exponent: i64, sticky: bool) -> f64 {
    let length = limbs.iter().rposition(|limb| *limb != 0).map_or(0, |last| last + 1);
    let limbs = &limbs[..length];
    if length <= 2 {
        let limb = |place: usize| u128::from(limbs.get(place).copied().unwrap_or(0));
        return round(negative, limb(1) << 64 | limb(0), exponent, sticky);
    }
    let zeros = limbs[length - 1].leading_zeros();
    let [third, second, first] = [limbs[length - 3], limbs[length - 2], limbs[length - 1]].map(u128::from);
    let mut top = first << 64 | second;
    let mut below = third;
    if zeros > 0 {
        top = top << zeros | third >> (64 - zeros);
        below = third & ((1 << (64 - zeros)) - 1);
    }
    let sticky = sticky || below != 0 || limbs[..length - 3].iter().any(|limb| *limb != 0);
    round(negative, top, exponent + 64 * (length as i64 - 2) - i64::from(zeros), sticky)
}

/// `magnitude * 2^exponent` over the product of `divisors`, two at most and none 0, rounded once.
fn divide(negative: bool, mut magnitude: Vec<u64>, exponent: i64, divisors: &[u64]) -> f64 {
    // The quotient keeps more than 64 bits: three limbs more than two divisors can take away.
    const LIMBS: usize = 4;
    trim(&mut magnitude);
    if magnitude.is_empty() {
        return 0.0;
    }
    magnitude.splice(0..0, [0; LIMBS]);
    let mut sticky = false;
    for divisor in divisors {
        let mut rest = 0_u128;
        for limb in magnitude.iter_mut().rev() {
            let value = rest << 64 | u128::from(*limb);
            *limb = (value / u128::from(*divisor)) as u64;
            rest = value % u128::from(*divisor);
        }
        sticky |= rest != 0;
    }
    round_limbs(negative, &magnitude, exponent - 64 * LIMBS as i64, sticky)
}

fn trim(limbs: &mut Vec<u64>) {
    while limbs.last() == Some(&0) {
        limbs.pop();
    }
}

fn multiply(left: &[u64], right: &[u64]) -> Vec<u64> {
    let mut product = vec![0_u64; left.len() + right.len()];
    for (place, a) in left.iter().enumerate() {
        let mut carry = 0_u128;
        for (offset, b) in right.iter().enumerate() {
            let sum = u128::from(*a) * u128::from(*b) + u128::from(product[place + offset]) + carry;
            product[place + offset] = sum as u64;
            carry = sum >> 64;
        }
        product[place + right.len()] = carry as u64;
    }
    trim(&mut product);
    product
}

fn shift_left(limbs: &mut Vec<u64>, by: usize) {
    if limbs.is_empty() || by == 0 {
        return;
    }
    let bits = by % 64;
    if bits > 0 {
        let mut carry = 0;
        for limb in limbs.iter_mut() {
            let shifted = *limb << bits | carry;
            carry = *limb >> (64 - bits);
            *limb = shifted;
        }
        limbs.push(carry);
    }
    limbs.splice(0..0, std::iter::repeat_n(0, by / 64));
    trim(limbs);
}

fn shift_right(limbs: &mut Vec<u64>, by: usize) {
    limbs.drain(..by / 64);
    let bits = by % 64;
    if bits > 0 {
        let mut carry = 0;
        for limb in limbs.iter_mut().rev() {
            let shifted = *limb >> bits | carry;
            carry = *limb << (64 - bits);
            *limb = shifted;
        }
    }
    trim(limbs);
}

/// Takes `right` from `left`, which is not less: what is left of a sum of squares is not negative.
fn subtract(left: &mut Vec<u64>, right: &[u64]) {
    debug_assert!(compare(left, right) != Ordering::Less, "a variance is not negative");
    let mut borrow = false;
    for (place, limb) in left.iter_mut().enumerate() {
        let theirs = right.get(place).copied().unwrap_or(0);
        let (difference, first) = limb.overflowing_sub(theirs);
        let (difference, second) = difference.overflowing_sub(u64::from(borrow));
        (*limb, borrow) = (difference, first || second);
    }
    trim(left);
}

fn compare(left: &[u64], right: &[u64]) -> Ordering {
    left.len().cmp(&right.len()).then_with(|| left.iter().rev().cmp(right.iter().rev()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
}
