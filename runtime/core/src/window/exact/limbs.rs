//! Numbers in 64-bit limbs, the least first, and how they are rounded.

use std::cmp::Ordering;

/// Two's complement in 64-bit limbs, the least first. The last limb is all sign, so that one addition never overflows.
#[derive(Debug, Clone)]
pub(super) struct Large {
    /// The weight of the first limb is 2^(64 base).
    pub(super) base: i32,
    pub(super) limbs: Vec<u64>,
}

impl Large {
    pub(super) fn sign(&self) -> u64 {
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

    pub(super) fn add_scaled(&mut self, mantissa: i128, exponent: i32) {
        let (weight, bits) = (exponent.div_euclid(64), exponent.rem_euclid(64));
        let low = (mantissa as u128) << bits;
        let high = if bits == 0 { mantissa >> 127 } else { mantissa >> (128 - bits) };
        self.add_limbs(weight, &[low as u64, (low >> 64) as u64, high as u64], high < 0);
    }

    pub(super) fn merge(&mut self, other: &Large) {
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

    pub(super) fn magnitude(&self) -> (bool, Vec<u64>) {
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

/// `magnitude * 2^exponent`, and a little more where `sticky`, to the nearest float64, ties to even. Where `sticky`, the magnitude has 55 bits at least.
pub(super) fn round(negative: bool, magnitude: u128, exponent: i64, sticky: bool) -> f64 {
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
pub(super) fn round_limbs(negative: bool, limbs: &[u64], exponent: i64, sticky: bool) -> f64 {
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
pub(super) fn divide(negative: bool, mut magnitude: Vec<u64>, exponent: i64, divisors: &[u64]) -> f64 {
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

pub(super) fn trim(limbs: &mut Vec<u64>) {
    while limbs.last() == Some(&0) {
        limbs.pop();
    }
}

pub(super) fn multiply(left: &[u64], right: &[u64]) -> Vec<u64> {
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

pub(super) fn shift_left(limbs: &mut Vec<u64>, by: usize) {
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

pub(super) fn shift_right(limbs: &mut Vec<u64>, by: usize) {
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
pub(super) fn subtract(left: &mut Vec<u64>, right: &[u64]) {
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

pub(super) fn compare(left: &[u64], right: &[u64]) -> Ordering {
    left.len().cmp(&right.len()).then_with(|| left.iter().rev().cmp(right.iter().rev()))
}
