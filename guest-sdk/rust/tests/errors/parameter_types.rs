//! Types that a parameter cannot have.

use std::collections::HashMap;

use tandem_sdk::prelude::*;

#[derive(Parameters)]
struct Settings {
    limit: u32,
    rate: f32,
    weights: HashMap<String, f64>,
    most: Option<Option<i64>>,
}

fn main() {}
