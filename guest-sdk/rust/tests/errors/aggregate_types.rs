use std::collections::HashMap;

use tandem_sdk::prelude::*;

#[derive(Input)]
struct Payment {
    cents: i64,
}

struct Cents {
    cents: i64,
}

#[derive(State)]
struct Kept {
    seen: HashMap<i64, i64>,
    share: f32,
}

#[derive(State)]
struct Sum {
    cents: i64,
}

#[aggregate]
impl Aggregate for Cents {
    type Event<'a> = Payment;
    type Value = i64;
    type Parameters = ();

    fn empty(_: &()) -> Self {
        Cents { cents: 0 }
    }

    fn add(&mut self, event: Payment, _: &()) {
        self.cents += event.cents;
    }

    fn merge(&mut self, other: Self, _: &()) {
        self.cents += other.cents;
    }

    fn finish(&self, _: Timestamp, _: &()) -> i64 {
        self.cents
    }
}

#[aggregate]
impl Aggregate for Sum {
    type Event<'a> = Sum;
    type Value = u32;
    type Parameters = ();

    fn empty(_: &()) -> Self {
        Sum { cents: 0 }
    }

    fn add(&mut self, _: Sum, _: &()) {}

    fn merge(&mut self, _: Self, _: &()) {}

    fn finish(&self, _: Timestamp, _: &()) -> u32 {
        0
    }
}

fn main() {}
