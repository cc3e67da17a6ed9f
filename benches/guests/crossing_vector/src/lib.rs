//! A column of vectors of 16 f32 in, the same out: what crossing costs.

use tandem_sdk::prelude::*;

#[derive(Input)]
pub struct Row {
    pub value: [f32; 16],
}

#[derive(Output)]
pub struct Features {
    /// What was given.
    pub value: [f32; 16],
}

#[transform(columns)]
pub fn features(_rows: usize, input: RowColumns<'_>) -> FeaturesColumns {
    FeaturesColumns { value: input.value.to_vec() }
}
