//! Attributes that do not exist, or are misspelt.

use tandem_sdk::prelude::*;

#[derive(Input)]
struct Transaction {
    #[tandem(rename = "price")]
    amount: f64,
    #[tandem(name)]
    limit: f64,
    #[tandem(name = 1)]
    first: f64,
    #[tandem(name = "a", name = "b")]
    twice: f64,
    #[tandem]
    bare: f64,
}

#[derive(Output)]
#[tandem(name = "outputs")]
struct Features {
    amount: f64,
}

fn main() {}
