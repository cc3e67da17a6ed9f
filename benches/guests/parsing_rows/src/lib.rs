//! Parts of an order line, row by row.

use tandem_sdk::prelude::*;

#[derive(Input)]
pub struct Row<'a> {
    /// `sku; quantity; price`.
    pub line: &'a str,
}

#[derive(Output)]
pub struct Features<'a> {
    /// What was ordered.
    pub sku: &'a str,
    /// How many.
    pub quantity: Option<i64>,
    /// Price of one.
    pub price: Option<f64>,
}

#[transform]
pub fn features(row: Row<'_>) -> Features<'_> {
    let functions::Line { sku, quantity, price } = functions::parse(row.line);
    Features { sku, quantity, price }
}
