//! A result without `#[derive(Output)]`.

use tandem_sdk::prelude::*;

#[derive(Input)]
struct Transaction {
    amount: f64,
}

struct Features {
    amount: f64,
}

#[transform]
fn features(row: Transaction) -> Features {
    Features { amount: row.amount }
}

fn main() {}
