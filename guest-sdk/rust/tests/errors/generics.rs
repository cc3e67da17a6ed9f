//! Structs with other generics than one lifetime.

use tandem_sdk::prelude::*;

#[derive(Input)]
struct Pair<'a, 'b> {
    left: &'a str,
    right: &'b str,
}

#[derive(Output)]
struct Features<T> {
    value: T,
}

#[derive(Parameters)]
struct Settings<'a> {
    country: &'a str,
}

fn main() {}
