//! A type that is no parameter, and that the macro cannot know by its name.

use tandem_sdk::prelude::*;

struct Limit(f64);

#[derive(Parameters)]
struct Settings {
    limit: Limit,
}

fn main() {}
