//! Functions that are no transform.

use tandem_sdk::prelude::*;

#[derive(Input)]
struct Transaction {
    amount: f64,
}

#[derive(Output)]
struct Features {
    amount: f64,
}

#[transform]
fn nothing() -> Features {
    Features { amount: 0.0 }
}

#[transform]
fn too_much(row: Transaction, _: &(), _: f64) -> Features {
    Features { amount: row.amount }
}

#[transform]
fn gives_nothing(_: Transaction) {}

#[transform]
async fn waits(row: Transaction) -> Features {
    Features { amount: row.amount }
}

#[transform]
fn generic<T: Into<f64>>(_: T) -> Features {
    Features { amount: 0.0 }
}

#[transform(rows)]
fn form(row: Transaction) -> Features {
    Features { amount: row.amount }
}

#[transform(columns)]
fn row(row: Transaction) -> Features {
    Features { amount: row.amount }
}

#[transform]
fn by_reference(row: &Transaction) -> Features {
    Features { amount: row.amount }
}

#[transform]
struct Row;

fn main() {}
