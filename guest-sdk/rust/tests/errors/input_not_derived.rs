//! A row without `#[derive(Input)]`.

use tandem_sdk::prelude::*;

struct Transaction {
    amount: f64,
}

#[derive(Output)]
struct Features {
    amount: f64,
}

#[transform]
fn features(row: Transaction) -> Features {
    Features { amount: row.amount }
}

fn main() {}
