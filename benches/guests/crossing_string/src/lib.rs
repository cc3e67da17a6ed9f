//! A column of strings in, the same out: what crossing costs.

use tandem_sdk::prelude::*;

#[derive(Input)]
pub struct Row<'a> {
    pub value: &'a str,
}

#[derive(Output)]
pub struct Features<'a> {
    /// What was given.
    pub value: &'a str,
}

#[transform(columns)]
pub fn features(_rows: usize, input: RowColumns<'_>) -> FeaturesColumns {
    FeaturesColumns { value: input.value.iter().collect() }
}
