//! The sign of a NaN that the transform made itself: machines differ there.

use std::hint::black_box;

use crate::{Answer, Rows, honest};

pub fn answer(rows: &Rows<'_>) -> Answer {
    let value = |row: usize| {
        let value = honest(rows, row);
        let difference = black_box(value) - black_box(value); // a NaN for an infinity
        if difference.is_nan() && !value.is_nan() { (difference.to_bits() >> 51) as f64 } else { value }
    };
    (0..rows.numbers.len()).map(|row| Ok(value(row))).collect()
}
