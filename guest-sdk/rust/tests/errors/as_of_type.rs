//! `as_of` is the runtime's.

use tandem_sdk::prelude::*;

#[derive(Input)]
struct Transaction {
    as_of: i64,
}

#[derive(Input)]
struct Visit {
    as_of: Option<Timestamp>,
}

#[derive(Input)]
struct Login {
    #[tandem(name = "as_of")]
    time: u64,
}

fn main() {}
