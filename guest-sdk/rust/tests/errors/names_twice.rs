//! One name for two columns.

use tandem_sdk::prelude::*;

#[derive(Input)]
struct Transaction {
    amount: f64,
    #[tandem(name = "amount")]
    price: f64,
}

fn main() {}
