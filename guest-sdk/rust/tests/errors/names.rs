//! Names that columns cannot have.

use tandem_sdk::prelude::*;

#[derive(Input)]
#[allow(non_snake_case)]
struct Transaction {
    merchantName: f64,
    größe: f64,
    #[tandem(name = "2nd")]
    second: f64,
    #[tandem(name = "")]
    none: f64,
}

fn main() {}
