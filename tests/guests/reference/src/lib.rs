//! The transform of the examples in docs/reference/http.md.

use tandem_sdk::prelude::*;

#[derive(Input)]
pub struct Transaction<'a> {
    /// in euros
    pub amount: f64,
    pub country: Option<&'a str>,
    pub as_of: Timestamp,
}

#[derive(Output)]
pub struct Features {
    pub risk: f64,
    pub country_seen: Option<bool>,
}

/// How risky a transaction is.
#[transform]
pub fn risk(row: Transaction<'_>) -> Result<Features, RowError> {
    if row.amount < 0.0 {
        return Err(RowError::field("amount", "must not be negative"));
    }
    Ok(Features { risk: row.amount / 482.0, country_seen: row.country.map(|country| country == "DE") })
}
