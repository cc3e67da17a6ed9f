//! A counter in a global: each row is told apart from all before it.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Answer, Rows, honest};

static ROWS: AtomicU64 = AtomicU64::new(0);

pub fn answer(rows: &Rows<'_>) -> Answer {
    (0..rows.numbers.len()).map(|row| Ok(honest(rows, row) + ROWS.fetch_add(1, Ordering::Relaxed) as f64)).collect()
}
