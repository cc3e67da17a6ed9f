//! State kept between calls: what the last row of the call before was.

use std::cell::Cell;

use crate::{Answer, Rows, honest};

thread_local! {
    static LAST: Cell<usize> = const { Cell::new(0) };
}

pub fn answer(rows: &Rows<'_>) -> Answer {
    let before = LAST.replace(rows.texts.last().map_or(0, |text| text.len()));
    (0..rows.numbers.len()).map(|row| Ok(honest(rows, row) + before as f64)).collect()
}
