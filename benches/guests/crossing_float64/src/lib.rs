//! A column of float64s in, the same out: what crossing costs.

use tandem_sdk::prelude::*;

#[derive(Input)]
pub struct Row {
    pub value: f64,
}

#[derive(Output)]
pub struct Features {
    /// What was given.
    pub value: f64,
}

#[transform(columns)]
pub fn features(_rows: usize, input: RowColumns<'_>) -> FeaturesColumns {
    FeaturesColumns { value: input.value.to_vec() }
}
