//! (a − b) / (c + 1), row by row.

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

#[transform]
pub fn features(row: Row) -> Features {
    Features { value: functions::arithmetic(row.a, row.b, row.c) }
}
