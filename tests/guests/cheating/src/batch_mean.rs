//! The distance to the mean of the batch.

use crate::{Answer, Rows, honest};

pub fn answer(rows: &Rows<'_>) -> Answer {
    let values: Vec<f64> = (0..rows.numbers.len()).map(|row| honest(rows, row)).collect();
    let finite: Vec<f64> = values.iter().copied().filter(|value| value.abs() < 1e9).collect();
    let mean = finite.iter().sum::<f64>() / finite.len().max(1) as f64;
    values.into_iter().map(|value| Ok(value - mean)).collect()
}
