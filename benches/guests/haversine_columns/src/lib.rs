//! Great-circle distance, over columns.

use functions::{Std, haversine_km};
use tandem_sdk::prelude::*;

#[derive(Input)]
pub struct Row {
    pub from_latitude: f64,
    pub from_longitude: f64,
    pub to_latitude: f64,
    pub to_longitude: f64,
}

#[derive(Output)]
pub struct Features {
    /// Distance, in kilometres.
    pub distance_km: f64,
}

#[transform(columns)]
pub fn features(_rows: usize, input: RowColumns<'_>) -> FeaturesColumns {
    let from = input.from_latitude.iter().copied().zip(input.from_longitude.iter().copied());
    let to = input.to_latitude.iter().copied().zip(input.to_longitude.iter().copied());
    FeaturesColumns { distance_km: from.zip(to).map(|(from, to)| haversine_km::<Std>(from, to)).collect() }
}
