//! A static cache whose key forgets half of what the value depends on.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::{Answer, Rows, honest};

thread_local! {
    static CACHE: RefCell<BTreeMap<usize, f64>> = const { RefCell::new(BTreeMap::new()) };
}

pub fn answer(rows: &Rows<'_>) -> Answer {
    CACHE.with_borrow_mut(|cache| {
        let cached = |row: usize| *cache.entry(rows.texts[row].len()).or_insert_with(|| honest(rows, row));
        (0..rows.numbers.len()).map(cached).map(Ok).collect()
    })
}
