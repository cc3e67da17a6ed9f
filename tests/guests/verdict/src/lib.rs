//! On demand, over a view that is on demand itself, and over a join key.

use tandem_sdk::prelude::*;

#[derive(Input)]
pub struct Doubt {
    pub ratio: Option<f64>,
    pub user_id: Option<i64>,
    pub country_seen: Option<bool>,
}

#[derive(Output)]
pub struct Features {
    pub verdict: Option<String>,
    pub doubt: Option<f64>,
}

/// What to do about a checkout.
#[transform]
pub fn verdict(row: Doubt) -> Features {
    let doubt = row.ratio.map(|ratio| ratio.sqrt() + row.user_id.unwrap_or(-1) as f64 / 7.0);
    let verdict = doubt.map(|doubt| {
        let word = if doubt.is_nan() {
            "unclear"
        } else if doubt > 3.0 {
            "stop"
        } else {
            "go"
        };
        format!("{word} {}", row.country_seen.map_or("somewhere", |seen| if seen { "at home" } else { "abroad" }))
    });
    Features { verdict, doubt }
}
