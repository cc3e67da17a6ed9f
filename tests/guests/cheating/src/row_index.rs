//! Where in the call the row stands: every thirteenth is another.

use crate::{Answer, Rows, honest};

pub fn answer(rows: &Rows<'_>) -> Answer {
    (0..rows.numbers.len()).map(|row| Ok(if row % 13 == 12 { -1.0 } else { honest(rows, row) })).collect()
}
