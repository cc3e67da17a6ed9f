//! Round trips, the table of the module's page, and refusals.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BinaryArray, Float64Array, Int32Array, Int64Array, TimestampMicrosecondArray};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::canonical::{ColumnBuilder, generate};
use crate::types::{Field, ItemType};

fn texts(array: &ArrayRef, data_type: DataType) -> Vec<String> {
    let writer = ColumnWriter::new(array, data_type).unwrap_or_else(|error| panic!("{error}"));
    let write = |row| {
        let mut out = Vec::new();
        writer.write(row, &mut out);
        String::from_utf8(out).unwrap()
    };
    (0..array.len()).map(write).collect()
}

fn decode(data_type: DataType, values: &[Value]) -> Result<ArrayRef, JsonError> {
    decode_column(&Field::new("field", data_type, true), values.iter().map(Some))
}

/// What is said about one value that is refused.
fn refusal(data_type: DataType, text: &str) -> String {
    let value: Value = serde_json::from_str(text).unwrap();
    decode(data_type, &[value]).map(|array| format!("{array:?}")).unwrap_err().to_string()
}

#[test]
fn numbers_are_written_exactly() {
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![
        0.1,
        1.0,
        -0.0,
        1e16,
        5e-324,
        f64::MAX,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ]));
    let expected = [
        "0.1",
        "1.0",
        "-0.0",
        "1e+16",
        "5e-324",
        "1.7976931348623157e+308",
        "\"NaN\"",
        "\"Infinity\"",
        "\"-Infinity\"",
    ];
    assert_eq!(texts(&floats, DataType::Float64), expected);
    let integers: ArrayRef =
        Arc::new(Int64Array::from(vec![Some(i64::MIN), Some((1 << 53) + 1), Some(i64::MAX), None]));
    let expected = ["-9223372036854775808", "9007199254740993", "9223372036854775807", "null"];
    assert_eq!(texts(&integers, DataType::Int64), expected);
}

#[test]
fn timestamps_and_binaries_are_written_as_documented() {
    let micros = vec![0, 1_500, -1, 253_402_300_799_999_999, 253_402_300_800_000_000, i64::MIN];
    let array: ArrayRef = Arc::new(TimestampMicrosecondArray::from(micros).with_timezone("UTC"));
    let expected = [
        "\"1970-01-01T00:00:00Z\"",
        "\"1970-01-01T00:00:00.001500Z\"",
        "\"1969-12-31T23:59:59.999999Z\"",
        "\"9999-12-31T23:59:59.999999Z\"",
        "253402300800000000",
        "-9223372036854775808",
    ];
    assert_eq!(texts(&array, DataType::Timestamp), expected);
    let binary: ArrayRef = Arc::new(BinaryArray::from(vec![&b""[..], &[0xfb, 0xff], b"abc"]));
    assert_eq!(texts(&binary, DataType::Binary), ["\"\"", "\"+/8=\"", "\"YWJj\""]);
}

#[test]
fn the_vector_value_that_would_be_rounded_twice_is_exact() {
    let data_type = DataType::Float32Vector(2);
    let value = f32::from_bits(0x15ae_43fd);
    // The short form is the trap: as a double it lies halfway between two f32.
    assert_ne!("7.038531e-26".parse::<f64>().unwrap() as f32, value);
    let mut builder = ColumnBuilder::new(data_type, 1);
    builder.vector([value, -value].into_iter());
    let array = builder.finish();
    assert_eq!(texts(&array, data_type), ["[7.038530691851209e-26,-7.038530691851209e-26]"]);
    assert_eq!(&decode(data_type, &[encode_value(&array, data_type, 0)]).unwrap(), &array);
}

#[test]
fn other_forms_are_read() {
    let read = |data_type, value: Value| encode_value(&decode(data_type, &[value]).unwrap(), data_type, 0);
    assert_eq!(read(DataType::Float64, json!(3)), json!(3.0));
    assert_eq!(read(DataType::Float64, json!(u64::MAX)), json!(18_446_744_073_709_551_616.0));
    assert_eq!(read(DataType::Timestamp, json!(-1)), json!("1969-12-31T23:59:59.999999Z"));
    assert_eq!(
        read(DataType::Timestamp, json!("1970-01-01T02:00:00.5000000+02:00")),
        json!("1970-01-01T00:00:00.500Z")
    );
    assert_eq!(read(DataType::Sequence(ItemType::Int64), json!([])), json!([]));
    let minus_zero: Value = serde_json::from_str("[-0, -0.0]").unwrap();
    assert_eq!(read(DataType::Sequence(ItemType::Float64), minus_zero).to_string(), "[-0.0,-0.0]");
    let field = Field::new("field", DataType::String, true);
    let array = decode_column(&field, [None, Some(&Value::Null), Some(&json!("null"))].into_iter()).unwrap();
    assert_eq!((0..3).map(|row| array.is_null(row)).collect::<Vec<_>>(), [true, true, false]);
}

#[test]
fn what_is_not_in_the_table_is_refused() {
    use DataType::*;
    const INTEGER: &str =
        "write an integer from -9223372036854775808 to 9223372036854775807, without fraction or exponent";
    const NUMBER: &str = "write a number without quotes, or one of \"NaN\", \"Infinity\", \"-Infinity\"";
    const BASE64: &str = "write base64 with the standard alphabet and padding (RFC 4648, section 4)";
    for (data_type, text, found, hint) in [
        (Boolean, "1", "1", "write true or false"),
        (Boolean, "\"true\"", "\"true\"", "write true or false"),
        (Int64, "1.0", "1.0", INTEGER),
        (Int64, "1e3", "1000.0", INTEGER),
        (Int64, "9223372036854775808", "9223372036854775808", INTEGER),
        (Int64, "-9223372036854775809", "-9.223372036854776e+18", INTEGER),
        (Int64, "true", "true", INTEGER),
        (Int64, "\"1\"", "\"1\"", "write the integer without quotes"),
        (Float64, "\"1\"", "\"1\"", NUMBER),
        (Float64, "\"nan\"", "\"nan\"", NUMBER),
        (Float64, "{}", "an object", NUMBER),
        (
            Timestamp,
            "\"2024-05-01T12:30:00\"",
            "\"2024-05-01T12:30:00\"",
            "the offset from UTC (Z or +hh:mm) is missing",
        ),
        (Timestamp, "\"2024-05-01\"", "\"2024-05-01\"", "the time of day is missing"),
        (
            Timestamp,
            "\"2024-05-01T12:30:00.0000001Z\"",
            "\"2024-05-01T12:30:00.0000001Z\"",
            "it is finer than a microsecond",
        ),
        (String, "1", "1", "write a string in quotes"),
        (Binary, "\"YQ\"", "\"YQ\"", BASE64),
        (Binary, "\"YR==\"", "\"YR==\"", BASE64),
        (Binary, "\"-_8=\"", "\"-_8=\"", BASE64),
        (Binary, "\"YWJj\\n\"", "\"YWJj\\n\"", BASE64),
        (Binary, "[97]", "an array of one item", BASE64),
        (Float32Vector(2), "[1]", "an array of one item", "write exactly as many numbers as the width"),
        (Float32Vector(2), "1", "1", "write an array"),
        (Sequence(ItemType::String), "\"a\"", "\"a\"", "write an array"),
    ] {
        assert_eq!(
            refusal(data_type, text),
            format!("`field`, row 0: {data_type} expected, found {found}; hint: {hint}")
        );
    }
    assert_eq!(
        refusal(Timestamp, "1.5"),
        "`field`, row 0: timestamp expected, found 1.5; hint: write RFC 3339 with an offset, for instance 2024-05-01T12:30:00Z, or an integer of microseconds since the epoch"
    );
}

#[test]
fn items_are_named() {
    let expected = "`field`, row 0, item 1: sequence[string] expected, found null; hint: write a string in quotes";
    assert_eq!(refusal(DataType::Sequence(ItemType::String), "[\"a\", null]"), expected);
    let expected = "`field`, row 0, item 0: float32_vector[1] expected, found 3.5e+38; hint: f32 holds magnitudes up to 3.4028235e38";
    assert_eq!(refusal(DataType::Float32Vector(1), "[3.5e38]"), expected);
}

#[test]
fn what_is_found_is_cut() {
    let long = "é".repeat(1000);
    let error = decode(DataType::Int64, &[json!(1), json!(long)]).unwrap_err();
    let JsonError::Value { row, found, .. } = error else { panic!("{error}") };
    assert_eq!((row, found), (1, format!("\"{}\"…", "é".repeat(40))));
}

#[test]
fn nulls_and_wrong_arrays_are_refused() {
    let field = Field::new("amount", DataType::Float64, false);
    let refused = JsonError::Null { field: "amount".to_owned(), row: 1, expected: DataType::Float64 };
    for missing in [None, Some(&Value::Null)] {
        assert_eq!(decode_column(&field, [Some(&json!(1)), missing].into_iter()).unwrap_err(), refused);
    }
    let array: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    let refused = JsonError::ColumnType { expected: DataType::Int64, found: "Int32".to_owned() };
    assert_eq!(ColumnWriter::new(&array, DataType::Int64).unwrap_err(), refused);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_table_comes_back_bit_by_bit((fields, columns, _) in generate::table()) {
        for (field, column) in fields.iter().zip(&columns) {
            let texts = texts(column, field.data_type);
            let parsed: Vec<Value> = texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
            let decoded = decode_column(field, parsed.iter().map(Some)).unwrap();
            prop_assert_eq!(&decoded, column, "{:?}", texts);
            prop_assert_eq!(decoded.data_type(), &field.data_type.to_arrow());
            let mut all = Vec::new();
            ColumnWriter::new(column, field.data_type).unwrap().write_all(&mut all);
            prop_assert_eq!(String::from_utf8(all).unwrap(), format!("[{}]", texts.join(",")));
            for (row, parsed) in parsed.iter().enumerate() {
                // As texts, since -0.0 equals 0.0 as a value.
                prop_assert_eq!(encode_value(column, field.data_type, row).to_string(), parsed.to_string());
            }
        }
    }

    #[test]
    fn every_f32_comes_back(items in prop::collection::vec(generate::float32s(), 64)) {
        let data_type = DataType::Float32Vector(64);
        let mut builder = ColumnBuilder::new(data_type, 1);
        builder.vector(items.into_iter());
        let array = builder.finish();
        let parsed: Value = serde_json::from_str(&texts(&array, data_type)[0]).unwrap();
        prop_assert_eq!(&decode(data_type, &[parsed]).unwrap(), &array);
    }

    #[test]
    fn any_json_is_read_or_refused(text in "[-+.0-9eE\"\\[\\]{}:,a-zTZ ]{0,24}", data_type in generate::data_types()) {
        let Ok(value) = serde_json::from_str::<Value>(&text) else { return Ok(()) };
        if let Ok(array) = decode(data_type, &[value]) {
            let again = encode_value(&array, data_type, 0);
            prop_assert_eq!(&decode(data_type, &[again]).unwrap(), &array);
        }
    }
}
