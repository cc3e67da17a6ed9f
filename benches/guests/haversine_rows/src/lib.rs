//! Great-circle distance, row by row.

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

#[transform]
pub fn features(row: Row) -> Features {
    let (from, to) = ((row.from_latitude, row.from_longitude), (row.to_latitude, row.to_longitude));
    Features { distance_km: haversine_km::<Std>(from, to) }
}
