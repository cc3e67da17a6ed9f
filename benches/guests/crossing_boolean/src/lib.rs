//! A column of booleans in, the same out: what crossing costs.

use tandem_sdk::prelude::*;

#[derive(Input)]
pub struct Row {
    pub value: bool,
}

#[derive(Output)]
pub struct Features {
    /// What was given.
    pub value: bool,
}

#[transform(columns)]
pub fn features(_rows: usize, input: RowColumns<'_>) -> FeaturesColumns {
    FeaturesColumns { value: input.value.iter().collect() }
}
