//! (a − b) / (c + 1), over columns.

use std::iter::zip;

use tandem_sdk::prelude::*;

#[derive(Input)]
pub struct Row {
    pub a: f64,
    pub b: f64,
    pub c: f64,
}

#[derive(Output)]
pub struct Features {
    /// (a − b) / (c + 1).
    pub value: f64,
}

#[transform(columns)]
pub fn features(_rows: usize, input: RowColumns<'_>) -> FeaturesColumns {
    let value = zip(zip(input.a, input.b), input.c).map(|((a, b), c)| functions::arithmetic(*a, *b, *c));
    FeaturesColumns { value: value.collect() }
}
