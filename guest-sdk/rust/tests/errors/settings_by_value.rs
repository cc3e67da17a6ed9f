//! Parameters are borrowed.

use tandem_sdk::prelude::*;

#[derive(Input)]
struct Transaction {
    amount: f64,
}

#[derive(Output)]
struct Features {
    large: bool,
}

#[derive(Parameters)]
struct Settings {
    limit: f64,
}

#[transform]
fn features(row: Transaction, settings: Settings) -> Features {
    Features { large: row.amount > settings.limit }
}

fn main() {}
