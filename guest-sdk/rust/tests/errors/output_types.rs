//! Types that an output cannot have.

use std::collections::HashMap;

use tandem_sdk::prelude::*;

#[derive(Output)]
struct Features {
    clicks: u32,
    score: f32,
    discount: Option<Option<f64>>,
    counts: HashMap<String, i64>,
    history: Vec<Option<i64>>,
}

fn main() {}
