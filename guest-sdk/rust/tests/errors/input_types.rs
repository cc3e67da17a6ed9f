//! Types that an input cannot have.

use std::collections::HashMap;

use tandem_sdk::prelude::*;

#[derive(Input)]
struct Transaction<'a> {
    clicks: u32,
    score: f32,
    discount: Option<Option<f64>>,
    initial: char,
    counts: HashMap<String, i64>,
    history: Vec<Option<i64>>,
    matrix: Vec<Vec<f64>>,
    embedding: &'a [f32],
    weights: [f64; 8],
}

fn main() {}
