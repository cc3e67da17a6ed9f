//! The everyday form and the columnar form of one transform, and what both refuse.

use tandem_sdk::{
    Transform,
    contract::{Column, DataType, Field, Values, VarBytes},
    prelude::*,
    testing::Call,
};

/// A purchase
/// of one customer.
#[derive(Input)]
struct Purchase<'a> {
    /// Amount in the
    ///   account's currency.
    ///
    /// Never negative.
    amount: f64,
    #[tandem(name = "merchant_name")]
    merchant: Option<&'a str>,
    r#type: i64,
    as_of: Timestamp,
}

#[derive(Output)]
struct Features {
    /// Twice the amount.
    double: f64,
    length: Option<i64>,
    next_type: i64,
    day: i64,
}

/// Features of a purchase,
/// for a test.
#[transform]
fn features(row: Purchase<'_>) -> Result<Features, RowError> {
    if row.amount < 0.0 {
        return Err(RowError::field("amount", "must not be negative"));
    }
    Ok(Features {
        double: row.amount * 2.0,
        length: row.merchant.map(|merchant| merchant.len() as i64),
        next_type: row.r#type + 1,
        day: row.as_of.days(),
    })
}

/// Features of a purchase,
/// for a test.
#[transform(columns)]
fn columnar(rows: usize, purchases: PurchaseColumns<'_>) -> Result<(FeaturesColumns, FailedRows), CallError> {
    let mut failed = FailedRows::new();
    for row in (0..rows).filter(|&row| purchases.amount[row] < 0.0) {
        failed.push(row, RowError::field("amount", "must not be negative"));
    }
    let columns = FeaturesColumns {
        double: purchases.amount.iter().map(|amount| amount * 2.0).collect(),
        length: purchases.merchant.iter().map(|merchant| merchant.map(|merchant| merchant.len() as i64)).collect(),
        next_type: purchases.r#type.iter().map(|kind| kind + 1).collect(),
        day: purchases.as_of.iter().map(Timestamp::days).collect(),
    };
    Ok((columns, failed))
}

fn purchases<T: Transform>() -> Call<T> {
    Call::new()
        .input("amount", [1.5, -1.0, 0.0])
        .input("merchant_name", [Some("Café"), Some("x"), None])
        .input("type", [1, 2, 3])
        .input("as_of", [Timestamp::from_seconds(86_400); 3])
}

#[test]
fn both_forms_meet_the_same_contract() {
    let rows = purchases::<features>();
    let columns = purchases::<columnar>();
    assert_eq!(rows.signature(), columns.signature());
    let (rows, columns) = (rows.apply().unwrap(), columns.apply().unwrap());
    assert_eq!(rows.failures(), [(1, "amount: must not be negative")]);
    assert_eq!(rows.failures(), columns.failures());
    for name in ["length", "next_type", "day"] {
        assert_eq!(rows.output::<i64>(name), columns.output::<i64>(name));
    }
    assert_eq!(rows.output::<f64>("double"), [Some(3.0), None, Some(0.0)]);
    assert_eq!(columns.output::<f64>("double"), [Some(3.0), None, Some(0.0)]);
    assert_eq!(rows.output::<i64>("length"), [Some(5), None, None]);
}

#[test]
fn names_and_docs_come_from_the_structs() {
    let signature = purchases::<features>().signature().unwrap();
    assert_eq!(signature.doc, "Features of a purchase, for a test.");
    let field =
        |name: &str, data_type, nullable, doc: &str| Field { name: name.into(), data_type, nullable, doc: doc.into() };
    assert_eq!(
        signature.inputs,
        [
            field("amount", DataType::Float64, false, "Amount in the account's currency.\n\nNever negative."),
            field("merchant_name", DataType::String, true, ""),
            field("type", DataType::Int64, false, ""),
            field("as_of", DataType::Timestamp, false, ""),
        ]
    );
    assert_eq!(signature.outputs[0], field("double", DataType::Float64, false, "Twice the amount."));
}

#[test]
fn no_rows_are_rows_too() {
    let call = Call::<features>::new()
        .input("amount", Vec::<f64>::new())
        .input("merchant_name", Vec::<Option<&str>>::new())
        .input("type", Vec::<i64>::new())
        .input("as_of", Vec::<Timestamp>::new());
    assert_eq!(call.apply().unwrap().output::<f64>("double"), []);
}

#[test]
fn wrong_columns_are_named() {
    let column = |values, validity| Column { values, validity };
    let apply = |rows, inputs: &[Column]| features::apply(&[], rows, inputs).unwrap_err().to_string();
    let text = |offsets: Vec<u32>, data: &[u8]| Values::Strings(VarBytes { offsets, data: data.into() });
    let good = || {
        vec![
            column(Values::Float64s(vec![1.0, 2.0]), None),
            column(text(vec![0, 1, 1], b"a"), Some(vec![0b01])),
            column(Values::Int64s(vec![1, 2]), Some(vec![0b11])),
            column(Values::Timestamps(vec![0, 0]), None),
        ]
    };
    assert!(features::apply(&[], 2, &good()).is_ok());
    assert_eq!(apply(2, &good()[..3]), "3 input columns given, 4 expected: amount, merchant_name, type, as_of");
    assert_eq!(apply(3, &good()), "input `amount`: 2 rows in the column, 3 in the call");
    for (index, wrong, message) in [
        (0, column(Values::Int64s(vec![1, 2]), None), "input `amount`: expected float64, given int64"),
        (1, column(text(vec![0, 2, 1], b"a"), None), "input `merchant_name`: an offset is smaller than the one before"),
        (1, column(text(vec![0, 1, 1], b"\xff"), None), "input `merchant_name`: not UTF-8: invalid utf-8 sequence"),
        (1, column(text(vec![0, 1, 1], b"a"), Some(vec![])), "input `merchant_name`: 0 bytes of validity, 1 expected"),
        (
            2,
            column(Values::Int64s(vec![1, 0]), Some(vec![0b01])),
            "input `type`: null in 1 of 2 rows, but it is not nullable",
        ),
        (3, column(Values::Int64s(vec![0, 0]), None), "input `as_of`: expected timestamp, given int64"),
    ] {
        let mut columns = good();
        columns[index] = wrong;
        let given = apply(2, &columns);
        assert!(given.starts_with(message), "{given}");
    }
}

#[derive(Output)]
struct Short {
    value: f64,
    other: Option<i64>,
}

/// Gives fewer rows than it was given.
#[transform(columns)]
fn short(_: usize, _: PurchaseColumns<'_>) -> ShortColumns {
    ShortColumns { value: vec![1.0], other: NullableColumn::from_values(vec![1, 2, 3], Mask::all_valid(2)) }
}

#[test]
fn columns_of_another_length_fail_the_call() {
    assert_eq!(
        purchases::<short>().apply().unwrap_err().to_string(),
        "output `value`: 1 rows in the column, 3 in the call"
    );
}
