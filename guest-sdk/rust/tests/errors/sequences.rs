//! Sequences of what there is no sequence of.

use tandem_sdk::prelude::*;

#[derive(Input)]
struct Transaction {
    flags: Vec<bool>,
    times: Vec<Timestamp>,
    history: Vec<Option<i64>>,
    matrix: Vec<Vec<f64>>,
}

#[derive(Output)]
struct Features {
    flags: Vec<bool>,
    times: Vec<Timestamp>,
}

fn main() {}
