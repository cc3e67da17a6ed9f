//! What a row borrows without saying so.

use tandem_sdk::prelude::*;

#[derive(Input)]
struct Transaction {
    merchant: &str,
}

fn main() {}
