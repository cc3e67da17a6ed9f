//! Equality, order, round trips and damage.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BinaryArray, Float64Array, Int64Array, StringArray};
use proptest::prelude::*;

use super::*;
use crate::canonical::generate;

fn join_keys(types: &[DataType]) -> Vec<JoinKey> {
    let key = |(index, data_type): (usize, &DataType)| JoinKey { name: format!("key_{index}"), data_type: *data_type };
    types.iter().enumerate().map(key).collect()
}

fn encoder(types: &[DataType], columns: &[ArrayRef]) -> KeyEncoder {
    KeyEncoder::new(&join_keys(types), columns).unwrap_or_else(|error| panic!("{error}"))
}

fn text(values: Vec<&str>) -> ArrayRef {
    Arc::new(StringArray::from(values))
}

#[test]
fn the_layout_is_the_documented_one() {
    let columns: [ArrayRef; 3] = [
        Arc::new(Int64Array::from(vec![-1])),
        Arc::new(BinaryArray::from(vec![&[7, 0, 8][..]])),
        Arc::new(Float64Array::from(vec![-1.0])),
    ];
    let types = [DataType::Int64, DataType::Binary, DataType::Float64];
    let expected: &[&[u8]] = &[
        &[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[7, 0, 0xff, 8, 0, 1],
        &[0x40, 0x0f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ];
    assert_eq!(encoder(&types, &columns).encode(0), Some(EntityKey(expected.concat())));
}

#[test]
fn composite_keys_are_unambiguous() {
    let types = [DataType::String, DataType::String];
    let keys = encoder(&types, &[text(vec!["ab", "a", "", "a\0"]), text(vec!["c", "bc", "abc", "bc"])]);
    let all: std::collections::HashSet<_> = (0..keys.rows()).map(|row| keys.encode(row).unwrap()).collect();
    assert_eq!(all.len(), 4);
}

#[test]
fn nulls_and_nan_have_no_key_and_zeros_are_equal() {
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![Some(0.0), Some(-0.0), Some(f64::NAN), None]));
    let keys = encoder(&[DataType::String, DataType::Float64], &[text(vec!["a"; 4]), floats]);
    assert_eq!(keys.encode(0), keys.encode(1));
    assert!(keys.encode(0).is_some());
    assert_eq!(keys.encode(2), None);
    assert_eq!(keys.encode(3), None);
    let mut out = vec![9];
    assert!(!keys.encode_into(2, &mut out));
    assert_eq!(out, [9]);
    assert!(keys.encode_into(0, &mut out));
    assert_eq!(out[1..], keys.encode(0).unwrap().0);
}

#[test]
fn wrong_columns_are_refused() {
    let key = join_keys(&[DataType::Int64]);
    assert_eq!(
        KeyEncoder::new(&key, &[text(vec!["a"])]).unwrap_err(),
        KeyError::ColumnType { name: "key_0".to_owned(), expected: DataType::Int64, found: "Utf8".to_owned() }
    );
    assert_eq!(KeyEncoder::new(&key, &[]).unwrap_err(), KeyError::ColumnCount { expected: 1, found: 0 });
    let vector = join_keys(&[DataType::Float32Vector(2)]);
    let refused = KeyError::KeyType { name: "key_0".to_owned(), data_type: DataType::Float32Vector(2) };
    assert_eq!(KeyEncoder::new(&vector, &[text(vec!["a"])]).unwrap_err(), refused);
    assert_eq!(decode(&vector, &[]).unwrap_err(), refused);
    let two = join_keys(&[DataType::String, DataType::String]);
    assert_eq!(
        KeyEncoder::new(&two, &[text(vec!["a"]), text(vec!["a", "b"])]).unwrap_err(),
        KeyError::RowCount { name: "key_1".to_owned(), expected: 1, found: 2 }
    );
}

#[test]
fn bytes_that_are_no_key_are_refused() {
    let refuse = |data_type, bytes: &[u8]| decode(&join_keys(&[data_type]), bytes).unwrap_err().to_string();
    let nan = (f64::NAN.to_bits() ^ SIGN).to_be_bytes();
    let negative_zero = (!(-0.0_f64).to_bits()).to_be_bytes();
    for (data_type, bytes, reason) in [
        (DataType::Boolean, &[2][..], "a boolean is neither 0 nor 1"),
        (DataType::Int64, &[0; 7], "the bytes end too early"),
        (DataType::Float64, &nan, "a key is never NaN"),
        (DataType::Float64, &negative_zero, "a key is never -0.0"),
        (DataType::String, b"a", "the bytes end too early"),
        (DataType::String, b"a\0", "the bytes end too early"),
        (DataType::String, b"a\0\x02", "a zero byte is neither escaped nor the end"),
        (DataType::String, b"\xff\0\x01", "a string is not UTF-8"),
    ] {
        assert_eq!(refuse(data_type, bytes), format!("the bytes are no key: `key_0`: {reason}"));
    }
    let trailing = KeyError::TrailingBytes { extra: 1 };
    assert_eq!(decode(&join_keys(&[DataType::Boolean]), &[1, 1]).unwrap_err(), trailing);
}

/// Columns of key types with rows.
fn keyed() -> impl Strategy<Value = (Vec<DataType>, Vec<ArrayRef>)> {
    let types = generate::data_types().prop_filter("key types", |data_type| is_key_type(*data_type));
    (prop::collection::vec(types, 1..4), 1..8_usize).prop_flat_map(|(types, rows)| {
        let columns: Vec<_> = types.iter().map(|data_type| generate::column(*data_type, rows, true)).collect();
        (Just(types), columns)
    })
}

/// Compares two rows of a column by its values, as a reader would; None if one never matches.
fn compare(column: &ArrayRef, a: usize, b: usize) -> Option<Ordering> {
    if column.is_null(a) || column.is_null(b) {
        return None;
    }
    match Column::new(column).unwrap() {
        Column::Boolean(array) => Some(array.value(a).cmp(&array.value(b))),
        Column::Int64(array) => Some(array.value(a).cmp(&array.value(b))),
        Column::Timestamp(array) => Some(array.value(a).cmp(&array.value(b))),
        Column::Float64(array) => array.value(a).partial_cmp(&array.value(b)),
        Column::String(array) => Some(array.value(a).as_bytes().cmp(array.value(b).as_bytes())),
        Column::Binary(array) => Some(array.value(a).cmp(array.value(b))),
        Column::Vector(..) | Column::Sequence(..) => panic!("not a key type"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn bytes_compare_as_values_do((types, columns) in keyed()) {
        let keys = encoder(&types, &columns);
        for a in 0..keys.rows() {
            for b in 0..keys.rows() {
                let comparisons: Option<Vec<_>> = columns.iter().map(|column| compare(column, a, b)).collect();
                let expected = comparisons.map(|all| all.into_iter().fold(Ordering::Equal, Ordering::then));
                let actual = keys.encode(a).zip(keys.encode(b)).map(|(a, b)| a.cmp(&b));
                prop_assert_eq!(actual, expected);
            }
        }
    }

    #[test]
    fn keys_come_back((types, columns) in keyed()) {
        let keys = encoder(&types, &columns);
        for row in 0..keys.rows() {
            let Some(key) = keys.encode(row) else { continue };
            let decoded = decode(&join_keys(&types), key.as_ref()).unwrap();
            prop_assert_eq!(encoder(&types, &decoded).encode(0), Some(key));
            for (decoded, column) in decoded.iter().zip(&columns) {
                let zero = Column::new(column).is_ok_and(|column| matches!(column, Column::Float64(array) if array.value(row) == 0.0));
                prop_assert!(zero || decoded == &column.slice(row, 1));
            }
        }
    }

    #[test]
    fn random_bytes_are_refused_or_a_key(
        (types, _) in keyed(), bytes in prop::collection::vec(prop_oneof![0..2_u8, Just(255), any::<u8>()], 0..24),
    ) {
        if let Ok(decoded) = decode(&join_keys(&types), &bytes) {
            prop_assert_eq!(encoder(&types, &decoded).encode(0), Some(EntityKey(bytes)));
        }
    }
}

#[test]
fn a_key_of_eight_bytes_is_their_number() {
    use arrow_array::TimestampMicrosecondArray;
    let numbers = [i64::MIN, -1, 0, 7, i64::MAX];
    let floats = [f64::NEG_INFINITY, -0.0, 0.0, 1.5, f64::NAN];
    let columns: [(DataType, ArrayRef); 3] = [
        (DataType::Int64, Arc::new(numbers.map(Some).into_iter().chain([None]).collect::<Int64Array>())),
        (DataType::Float64, Arc::new(floats.map(Some).into_iter().chain([None]).collect::<Float64Array>())),
        (
            DataType::Timestamp,
            Arc::new(
                numbers.map(Some).into_iter().chain([None]).collect::<TimestampMicrosecondArray>().with_timezone("UTC"),
            ),
        ),
    ];
    for (data_type, array) in columns {
        let encoder = KeyEncoder::new(&[JoinKey { name: "k".to_owned(), data_type }], &[array]).unwrap();
        for row in 0..encoder.rows() {
            let bytes = encoder.encode(row).map(|key| u64::from_be_bytes(key.0.try_into().unwrap()));
            assert_eq!(encoder.eight(row), bytes, "{data_type}, row {row}");
        }
    }
}
