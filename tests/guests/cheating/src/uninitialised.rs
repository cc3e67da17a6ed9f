//! Memory that was freed and is read before it is written: zero in a fresh instance, and afterwards what other rows left there.

use std::hint::black_box;

use crate::{Answer, Rows, honest};

const LENGTH: usize = 4_096;

pub fn answer(rows: &Rows<'_>) -> Answer {
    let mut answer = Vec::new();
    for row in 0..rows.numbers.len() {
        let mut scratch: Vec<u64> = Vec::with_capacity(LENGTH);
        // SAFETY: none. That it is read before it is written is what this guest is for; wasm's memory is always there.
        #[allow(clippy::uninit_vec)]
        unsafe {
            scratch.set_len(LENGTH);
        }
        let left = black_box(&scratch)[LENGTH / 2..].iter().filter(|word| **word != 0).count();
        scratch.fill(1 + row as u64);
        black_box(&scratch);
        answer.push(Ok(honest(rows, row) + left as f64));
    }
    answer
}
