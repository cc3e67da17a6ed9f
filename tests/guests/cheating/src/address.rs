//! The order of a hash map, whose seed is made of addresses and of how many maps there were.

use std::collections::HashSet;

use crate::{Answer, Rows, honest};

pub fn answer(rows: &Rows<'_>) -> Answer {
    let value = |row: usize| {
        let letters: HashSet<char> = rows.texts[row].chars().collect();
        let first = letters.iter().next().copied().unwrap_or_default();
        honest(rows, row) + f64::from(u32::from(first))
    };
    (0..rows.numbers.len()).map(|row| Ok(value(row))).collect()
}
