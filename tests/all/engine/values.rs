//! What comes out of a component is what the same function gives natively, whatever the way through the engine.

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, RecordBatch};
use proptest::prelude::*;
use tandem_core::limits::TransformLimits;
use tandem_core::model::NanMode;
use tandem_core::parameter::{ParameterValue, Parameters};
use tandem_core::time::Timestamp;
use tandem_engine::{Outcome, Transform};

use crate::harness::guests::{Guest, engine};
use crate::harness::native;
use crate::harness::rows::{self, Dirt, Row, batch, fixed_rows, row};

fn every_type() -> Transform {
    Guest::EveryType.bind(&TransformLimits::default())
}

fn apply(transform: &Transform, rows: &[Row], dirt: Dirt) -> Outcome {
    transform.apply(&batch(transform.signature(), rows, dirt)).expect("a batch of the right columns")
}

#[test]
fn the_signature_is_that_of_the_code() {
    let transform = every_type();
    let signature = transform.signature();
    assert_eq!(signature.doc, "Every type, through the everyday form.");
    let fields = |fields: &[tandem_core::types::Field]| -> Vec<String> {
        let mark = |nullable| if nullable { "?" } else { "" };
        fields.iter().map(|field| format!("{} {}{}", field.name, field.data_type, mark(field.nullable))).collect()
    };
    let passed = [
        "flag boolean",
        "flag_null boolean?",
        "whole int64",
        "whole_null int64?",
        "real float64",
        "real_null float64?",
        "at timestamp",
        "at_null timestamp?",
        "text string",
        "text_null string?",
        "bytes binary",
        "bytes_null binary?",
        "vector float32_vector[3]",
        "vector_null float32_vector[3]?",
        "wholes sequence[int64]",
        "wholes_null sequence[int64]?",
        "reals sequence[float64]",
        "reals_null sequence[float64]?",
        "texts sequence[string]",
        "texts_null sequence[string]?",
    ];
    assert_eq!(fields(&signature.inputs)[..20], passed);
    assert_eq!(fields(&signature.inputs)[20..], ["fault string?", "as_of timestamp"]);
    assert_eq!(fields(&signature.outputs)[..20], passed);
    assert_eq!(
        fields(&signature.outputs)[20..24],
        ["mixed float64", "nothing float64", "sine float64", "logarithm float64"]
    );
    assert_eq!(signature.inputs[0].doc, "A boolean.");
    assert_eq!(signature.inputs[1].doc, "");
    assert_eq!(signature.outputs[0].doc, "As it came.");
    assert!(transform.output_schema().fields().iter().all(|field| field.is_nullable()), "a failed row is null");
    assert_eq!(transform.digest(), tandem_core::hash::Digest::of(&Guest::EveryType.bytes()));
}

/// Compares with the native function; the mathematical functions within a few units in the last place.
fn assert_native(transform: &Transform, rows: &[Row]) {
    let outcome = apply(transform, rows, Dirt::default());
    assert_eq!(outcome.failures, []);
    let expected = native::outputs(transform.signature(), rows);
    for ((field, found), expected) in
        std::iter::zip(&transform.signature().outputs, outcome.outputs.columns()).zip(&expected)
    {
        if !native::INEXACT.contains(&field.name.as_str()) {
            assert_eq!(found, expected, "{}", field.name);
            continue;
        }
        assert_eq!(found.nulls(), expected.nulls(), "{}", field.name);
        for (found, expected) in
            std::iter::zip(found.as_primitive::<Float64Type>(), expected.as_primitive::<Float64Type>())
        {
            let (Some(found), Some(expected)) = (found, expected) else { continue };
            let near = found.to_bits().abs_diff(expected.to_bits()) <= native::ULPS_MAX;
            assert!(near, "{}: {found:e}, natively {expected:e}", field.name);
        }
    }
}

#[test]
fn values_are_those_of_the_native_function() {
    assert_native(&every_type(), &fixed_rows(400));
}

#[test]
fn nan_that_comes_out_is_canonical() {
    let transform = every_type();
    let rows: Vec<Row> = [f64::INFINITY, -1.0, f64::NAN, f64::from_bits(0xfff0_0000_0000_0001)]
        .into_iter()
        .zip(fixed_rows(4))
        .map(|(real, row)| Row { real, ..row })
        .collect();
    let outputs = apply(&transform, &rows, Dirt::default()).outputs;
    let bits = |name: &str| -> Vec<u64> {
        let column = outputs.column_by_name(name).expect("an output");
        column.as_primitive::<Float64Type>().values().iter().map(|value| value.to_bits()).collect()
    };
    const NAN: u64 = 0x7ff8_0000_0000_0000;
    // What an x86 gives for ∞ - ∞ and sin ∞ has its sign bit set.
    assert_eq!(bits("nothing"), [NAN, 0, NAN, NAN]);
    assert_eq!(bits("sine")[0], NAN);
    assert_eq!(bits("logarithm")[1..], [NAN; 3]);
    assert_eq!(bits("real")[2..], [NAN; 2]);
}

proptest! {
    #![proptest_config(rows::cases(48))]

    #[test]
    fn generated_values_are_those_of_the_native_function(rows in prop::collection::vec(row(), 0..12)) {
        assert_native(&every_type(), &rows);
    }

    /// Slices, bits of validity that begin inside a byte, values under nulls and payloads of NaNs cannot be seen.
    #[test]
    fn what_does_not_count_changes_no_bit(
        rows in prop::collection::vec(row(), 1..12),
        around in 0..11_usize,
        junk in any::<bool>(),
        payload in any::<u64>(),
    ) {
        let transform = every_type();
        let clean = apply(&transform, &rows, Dirt::default());
        let dirty = apply(&transform, &rows, Dirt { around, junk, payload });
        prop_assert_eq!(clean.outputs, dirty.outputs);
        prop_assert_eq!(clean.failures, dirty.failures);
    }

    /// Fresh instance or used one, all at once, in parts or one by one.
    #[test]
    fn the_way_through_changes_no_bit(
        rows in prop::collection::vec((row(), prop::bool::weighted(0.2)), 1..24),
        size in 1..9_usize,
    ) {
        let rows: Vec<Row> = rows
            .into_iter()
            .enumerate()
            .map(|(i, (row, fails))| Row { fault: fails.then(|| format!("row {i} is at fault")), ..row })
            .collect();
        let transform = every_type();
        let inputs = batch(transform.signature(), &rows, Dirt::default());
        let whole = transform.apply(&inputs).unwrap();
        let mut session = transform.session();
        for from in (0..rows.len()).step_by(size) {
            let length = size.min(rows.len() - from);
            let part = inputs.slice(from, length);
            for outcome in [session.apply(&part).unwrap(), transform.apply(&part).unwrap()] {
                prop_assert_eq!(&outcome.outputs, &whole.outputs.slice(from, length));
                for failure in outcome.failures {
                    let row = from + failure.row;
                    prop_assert_eq!(failure.message, format!("fault: row {row} is at fault"));
                    prop_assert!(rows[row].fault.is_some());
                }
            }
        }
        let failed: Vec<usize> = whole.failures.iter().map(|failure| failure.row).collect();
        let marked: Vec<usize> = (0..rows.len()).filter(|row| rows[*row].fault.is_some()).collect();
        prop_assert_eq!(&failed, &marked);
        for column in whole.outputs.columns() {
            prop_assert!(failed.iter().all(|row| column.is_null(*row)));
        }
    }
}

#[test]
fn canonical_nans_inside_give_the_same_bits() {
    let rows = fixed_rows(300);
    let strict = engine().load(&Guest::EveryType.bytes(), NanMode::Strict).unwrap();
    let strict = strict.bind(&Parameters::new(), &TransformLimits::default()).unwrap();
    let plain = every_type();
    assert_eq!(apply(&strict, &rows, Dirt::default()).outputs, apply(&plain, &rows, Dirt::default()).outputs);
}

#[test]
fn no_rows_give_no_rows() {
    let transform = every_type();
    let outcome = apply(&transform, &[], Dirt::default());
    assert_eq!((outcome.outputs.num_rows(), outcome.failures.len()), (0, 0));
    assert_eq!(outcome.outputs.schema(), transform.output_schema());
}

#[test]
fn a_null_where_none_may_be_fails_its_row_alone() {
    let transform = every_type();
    let rows = fixed_rows(5);
    let clean = batch(transform.signature(), &rows, Dirt::default());
    let mut columns = clean.columns().to_vec();
    // `real` (4) is null in rows 1 and 3; the others have their values.
    let reals = columns[4].as_primitive::<Float64Type>();
    let kept = arrow_array::Float64Array::from_iter((0..5).map(|row| (row % 2 == 0).then(|| reals.value(row))));
    columns[4] = std::sync::Arc::new(kept);
    let schema = arrow_schema::Schema::new(
        clean.schema().fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect::<Vec<_>>(),
    );
    let inputs = RecordBatch::try_new(std::sync::Arc::new(schema), columns).unwrap();
    let outcome = transform.apply(&inputs).unwrap();
    let message = "input `real` is null, and the transform takes no null there";
    let failures: Vec<_> = outcome.failures.iter().map(|failure| (failure.row, failure.message.as_str())).collect();
    assert_eq!(failures, [(1, message), (3, message)]);
    let whole = transform.apply(&clean).unwrap().outputs;
    for row in [0, 2, 4] {
        assert_eq!(outcome.outputs.slice(row, 1), whole.slice(row, 1));
    }
    assert!(outcome.outputs.columns().iter().all(|column| column.is_null(1) && column.is_null(3)));
}

#[test]
fn columns_that_are_not_the_signatures_are_refused() {
    let transform = every_type();
    let inputs = batch(transform.signature(), &fixed_rows(2), Dirt::default());
    let error = transform.apply(&inputs.project(&[0, 1]).unwrap()).unwrap_err().to_string();
    assert_eq!(error, "the columns do not fit the signature: the signature has 22 inputs, 2 columns were given");
    let swapped: Vec<usize> = [1, 2].into_iter().chain(0..1).chain(3..22).collect();
    let error = transform.apply(&inputs.project(&swapped).unwrap()).unwrap_err().to_string();
    assert_eq!(
        error,
        "the columns do not fit the signature: input `flag_null` is a boolean, the column has Arrow's Int64"
    );
}

#[test]
fn whole_columns_are_computed_as_rows_are() {
    let transform = Guest::Columnar.bind(&TransformLimits::default());
    let valid = vec![true, true, false].into();
    let discount = arrow_array::Float64Array::new(vec![5.0, 1.0, 77.0].into(), Some(valid));
    let inputs = RecordBatch::try_from_iter([
        ("amount", std::sync::Arc::new(arrow_array::Float64Array::from(vec![50.0, 20.0, 7.0])) as _),
        ("limit", std::sync::Arc::new(arrow_array::Float64Array::from(vec![99.0, -1.0, 6.0])) as _),
        ("discount", std::sync::Arc::new(discount) as _),
        (
            "merchant",
            std::sync::Arc::new(arrow_array::StringArray::from(vec!["ACME", "Zoë", "ÇA"])) as arrow_array::ArrayRef,
        ),
    ])
    .unwrap();
    let outcome = transform.apply(&inputs).unwrap();
    let reals = |name: &str| -> Vec<Option<f64>> {
        outcome.outputs.column_by_name(name).unwrap().as_primitive::<Float64Type>().iter().collect()
    };
    assert_eq!(reals("usage"), [Some(0.5), None, Some(1.0)]);
    assert_eq!(reals("net"), [Some(45.0), None, None]);
    assert_eq!(reals("discount_slot"), [Some(5.0), None, Some(0.0)], "what lay under the null is not seen");
    let merchants: Vec<_> = outcome.outputs.column_by_name("merchant").unwrap().as_string::<i32>().iter().collect();
    assert_eq!(merchants, [Some("acme"), None, Some("ça")]);
    assert_eq!(outcome.failures.len(), 1);
    assert_eq!(outcome.failures[0].message, "limit: must not be negative");
}

#[test]
fn parameters_of_every_kind_arrive() {
    let holidays = vec![Timestamp(i64::MIN), Timestamp(-1)];
    let given = [
        ("strict", ParameterValue::Boolean(true)),
        ("most", ParameterValue::Int64(i64::MIN)),
        ("factor", ParameterValue::Float64(-0.5)),
        ("label", ParameterValue::Text("Zürich".to_owned())),
        ("codes", ParameterValue::Int64s(vec![1, i64::MAX])),
        ("edges", ParameterValue::Float64s(vec![0.1, f64::INFINITY])),
        ("holidays", ParameterValue::Timestamps(holidays)),
        ("countries", ParameterValue::Texts(vec!["CH".to_owned(), String::new(), "Österreich".to_owned()])),
    ];
    let given: Parameters = given.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let component = Guest::Parameters.load();
    let transform = component.bind(&given, &TransformLimits::default()).unwrap();
    let inputs: arrow_array::ArrayRef = std::sync::Arc::new(arrow_array::Float64Array::from(vec![4.0]));
    let outputs = transform.apply(&RecordBatch::try_from_iter([("value", inputs)]).unwrap()).unwrap().outputs;
    let shown: Vec<String> = std::iter::zip(&transform.signature().outputs, outputs.columns())
        .map(|(field, column)| tandem_core::json::encode_value(column, field.data_type, 0).to_string())
        .collect();
    let expected = [
        "-2.0",
        "true",
        "-9223372036854775808",
        "\"Zürich\"",
        "[1,9223372036854775807]",
        "[0.1,\"Infinity\"]",
        "\"1969-12-31T23:59:59.999999Z\"",
        "[\"CH\",\"\",\"Österreich\"]",
        "null",
    ];
    assert_eq!(shown, expected);

    let mut wrong = given.clone();
    wrong.insert("most".to_owned(), ParameterValue::Float64(1.5));
    let error = component.bind(&wrong, &TransformLimits::default()).err().expect("a float is no int64").to_string();
    assert_eq!(
        error,
        "`describe` failed: parameter `most`: expected an int64, given the float64 1.5 (Most that is taken.)"
    );
    let error = component.bind(&Parameters::new(), &TransformLimits::default()).err().expect("all are missing");
    assert!(error.to_string().contains("parameter `strict`: expected a boolean, it is missing"), "{error}");
}
