//! An error that cannot become a `RowError`.

use tandem_sdk::prelude::*;

struct Wrong;

#[derive(Input)]
struct Transaction {
    amount: f64,
}

#[derive(Output)]
struct Features {
    amount: f64,
}

#[transform]
fn features(row: Transaction) -> Result<Features, Wrong> {
    if row.amount < 0.0 { Err(Wrong) } else { Ok(Features { amount: row.amount }) }
}

fn main() {}
