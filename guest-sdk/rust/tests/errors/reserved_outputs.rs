//! Names of the columns that stand beside the features.

use tandem_sdk::prelude::*;

#[derive(Output)]
struct Features {
    as_of: Timestamp,
    event_time: Timestamp,
    created_time: Timestamp,
    published_time: Timestamp,
    sequence: i64,
    #[tandem(name = "sequence")]
    position: i64,
}

fn main() {}
