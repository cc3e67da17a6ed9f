//! A method is no transform.

use tandem_sdk::prelude::*;

#[derive(Input)]
struct Transaction {
    amount: f64,
}

#[derive(Output)]
struct Features {
    amount: f64,
}

struct Model {
    weight: f64,
}

impl Model {
    #[transform]
    fn features(&self, row: Transaction) -> Features {
        Features { amount: row.amount * self.weight }
    }
}

fn main() {}
