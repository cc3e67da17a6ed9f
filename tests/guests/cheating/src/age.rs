//! The fifth call of an instance, and each after it, gives something else.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Answer, Rows, honest};

static CALLS: AtomicU64 = AtomicU64::new(0);

pub fn answer(rows: &Rows<'_>) -> Answer {
    let old = CALLS.fetch_add(1, Ordering::Relaxed) >= 4;
    (0..rows.numbers.len()).map(|row| Ok(if old { 5.0 } else { honest(rows, row) })).collect()
}
