//! Exact sums: numbers are added without rounding, and a result is rounded once, at the end.
//!
//! A sum is an integer times a power of two. That is Kulisch's long accumulator (Kulisch, *Computer Arithmetic and Validity*, 2013) with a window that
//! moves: as long as 128 bits hold the sum they do, which numbers of everyday magnitudes never leave; else it has as many 64-bit limbs as it needs, at
//! most some 70 for sums of squares of float64. The integer is exact, so the result depends neither on the order nor on the grouping of what was
//! added (Neal, *Fast exact summation using small and large superaccumulators*, 2015, has the argument and another layout).

mod limbs;
#[cfg(test)]
mod tests;

use limbs::{Large, divide, multiply, round, round_limbs, shift_left, shift_right, subtract, trim};

/// An exact sum of dyadic numbers.
#[derive(Debug, Clone)]
pub struct Exact(Repr);

#[derive(Debug, Clone)]
enum Repr {
    Small { mantissa: i128, exponent: i32 },
    Large(Box<Large>),
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
