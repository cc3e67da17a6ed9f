//! What is no struct with named fields.

use tandem_sdk::prelude::*;

#[derive(Input)]
struct Tuple(f64);

#[derive(Input)]
struct Unit;

#[derive(Output)]
enum Choice {
    One,
}

#[derive(Output)]
struct Empty {}

#[derive(Parameters)]
struct Settings(f64);

fn main() {}
