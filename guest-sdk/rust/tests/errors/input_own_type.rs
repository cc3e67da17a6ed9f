//! A type that is no column, and that the macro cannot know by its name.

use tandem_sdk::prelude::*;

struct Amount(f64);

#[derive(Input)]
struct Transaction {
    amount: Amount,
}

fn main() {}
