//! A type that is no column, and that the macro cannot know by its name.

use tandem_sdk::prelude::*;

struct Score(f64);

#[derive(Output)]
struct Features {
    score: Score,
}

fn main() {}
