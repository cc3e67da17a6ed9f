use tandem_sdk::prelude::*;

#[aggregate]
fn sum() {}

#[aggregate(columns)]
impl Sum {}

#[derive(State)]
struct Sum(i64);

#[derive(State)]
enum Kind {
    Some,
}

#[derive(State)]
struct Borrowed<'a> {
    text: &'a str,
}

fn main() {}
