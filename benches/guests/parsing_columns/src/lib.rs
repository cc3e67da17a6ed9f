//! Parts of an order line, over columns.

use tandem_sdk::{columns::OutputColumn, prelude::*};

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

#[transform(columns)]
pub fn features(rows: usize, input: RowColumns<'_>) -> FeaturesColumns {
    let mut columns = FeaturesColumns {
        sku: StringColumn::with_capacity(rows),
        quantity: NullableColumn::with_capacity(rows),
        price: NullableColumn::with_capacity(rows),
    };
    for line in input.line.iter() {
        let line = functions::parse(line);
        columns.sku.push(line.sku);
        columns.quantity.push(line.quantity);
        columns.price.push(line.price);
    }
    columns
}
