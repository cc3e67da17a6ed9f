//! The columnar form with the rows of the everyday form.

use tandem_sdk::prelude::*;

#[derive(Input)]
struct Transaction {
    amount: f64,
}

#[derive(Output)]
struct Features {
    amount: f64,
}

#[transform(columns)]
fn features(_: usize, row: Transaction) -> Features {
    Features { amount: row.amount }
}

fn main() {}
