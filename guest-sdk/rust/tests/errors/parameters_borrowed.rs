//! Parameters own their values.

use tandem_sdk::prelude::*;

#[derive(Parameters)]
struct Settings {
    country: &'static str,
}

fn main() {}
