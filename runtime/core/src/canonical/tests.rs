//! Layout, round trips and damage.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, FixedSizeListArray, Float32Array, Float64Array, Int32Array, Int64Array,
    LargeStringArray, ListArray, StringArray,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema as arrow;
use proptest::prelude::*;

use super::*;
use crate::types::{DataType, Field, ItemType};

fn encoded(columns: &[ArrayRef], rows: usize) -> Vec<Vec<u8>> {
    let encoder = RowEncoder::new(columns).unwrap();
    let encode = |row| {
        let mut out = Vec::new();
        encoder.encode(row, &mut out);
        out
    };
    (0..rows).map(encode).collect()
}

fn decode(fields: &[Field], row: &[u8]) -> Result<Vec<ArrayRef>, CanonicalError> {
    decode_rows(fields, [Some(row)].into_iter())
}

#[test]
fn the_layout_is_the_documented_one() {
    let columns: [ArrayRef; 4] = [
        Arc::new(BooleanArray::from(vec![Some(true), None])),
        Arc::new(StringArray::from(vec!["ab", ""])),
        Arc::new(Int64Array::from(vec![-2, 1])),
        Arc::new(Float64Array::from(vec![-0.0, f64::from_bits(0xfff8_0000_0000_beef)])),
    ];
    let rows = encoded(&columns, 2);
    let first: &[&[u8]] = &[
        &[1, 1],
        &[1, 2, 0, 0, 0, b'a', b'b'],
        &[1, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[1, 0, 0, 0, 0, 0, 0, 0, 0x80],
    ];
    assert_eq!(rows[0], first.concat());
    let second: &[&[u8]] = &[&[0], &[1, 0, 0, 0, 0], &[1, 1, 0, 0, 0, 0, 0, 0, 0], &[1, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f]];
    assert_eq!(rows[1], second.concat());
}

#[test]
fn composite_types_have_the_documented_layout() {
    let mut vector = ColumnBuilder::new(DataType::Float32Vector(2), 1);
    vector.vector([1.0, f32::from_bits(0xffff_ffff)].into_iter());
    let mut numbers = ColumnBuilder::new(DataType::Sequence(ItemType::Int64), 1);
    numbers.int64s([7].into_iter()).unwrap();
    let mut texts = ColumnBuilder::new(DataType::Sequence(ItemType::String), 1);
    texts.strings(["", "é"].into_iter()).unwrap();
    let columns = [vector.finish(), numbers.finish(), texts.finish()];
    let expected: &[&[u8]] = &[
        &[1, 0, 0, 0x80, 0x3f, 0, 0, 0xc0, 0x7f],
        &[1, 1, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0],
        &[1, 2, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0xc3, 0xa9],
    ];
    assert_eq!(encoded(&columns, 1)[0], expected.concat());
}

#[test]
fn items_have_one_nan() {
    let item = |data_type| Arc::new(arrow::Field::new("item", data_type, false));
    let floats = Arc::new(Float32Array::from(vec![f32::from_bits(0xffff_ffff), f32::from_bits(0x7f80_0001)]));
    let vector: ArrayRef = Arc::new(FixedSizeListArray::new(item(arrow::DataType::Float32), 2, floats, None));
    assert_eq!(encoded(&[vector], 1)[0], [1, 0, 0, 0xc0, 0x7f, 0, 0, 0xc0, 0x7f]);
    let doubles = Arc::new(Float64Array::from(vec![f64::from_bits(u64::MAX)]));
    let offsets = OffsetBuffer::from_lengths([1]);
    let sequence: ArrayRef = Arc::new(ListArray::new(item(arrow::DataType::Float64), offsets, doubles, None));
    assert_eq!(encoded(&[sequence], 1)[0], [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f]);
}

#[test]
fn other_types_and_null_items_are_refused() {
    let other: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    let large: ArrayRef = Arc::new(LargeStringArray::from(vec!["a"]));
    for array in [other, large] {
        let found = array.data_type().to_string();
        assert_eq!(RowEncoder::new(&[array]).unwrap_err(), CanonicalError::ColumnType { column: 0, found });
    }
    let list = |offsets: Vec<usize>, nulls| -> ArrayRef {
        let items = Arc::new(Int64Array::from(vec![Some(1), None, Some(2)]));
        let field = Arc::new(arrow::Field::new("item", arrow::DataType::Int64, true));
        Arc::new(ListArray::new(field, OffsetBuffer::from_lengths(offsets), items, nulls))
    };
    assert_eq!(RowEncoder::new(&[list(vec![2, 1], None)]).unwrap_err(), CanonicalError::NullItem { column: 0 });
    // A null item under a null row is not observable.
    let hidden = list(vec![1, 1, 1], Some(vec![true, false, true].into()));
    assert_eq!(encoded(&[hidden], 3)[1], [0]);
}

#[test]
#[should_panic(expected = "column 0 has the Arrow type Int32")]
fn the_short_form_panics_where_the_long_one_fails() {
    encode_row(&[Arc::new(Int32Array::from(vec![1]))], 0, &mut Vec::new());
}

#[test]
fn malformed_bytes_are_named() {
    let field = |data_type| [Field::new("amount", data_type, true)];
    let text = |row: &[u8], data_type| decode(&field(data_type), row).unwrap_err().to_string();
    let nan = f64::from_bits(0xfff8_0000_0000_0000).to_le_bytes();
    let other_nan = [&[1_u8][..], &nan].concat();
    for (row, data_type, message) in [
        (&[][..], DataType::Int64, "row 0 is malformed at byte 0, in `amount`: the bytes end too early"),
        (&[2], DataType::Int64, "row 0 is malformed at byte 1, in `amount`: the tag is neither null nor value"),
        (&[1, 2], DataType::Boolean, "row 0 is malformed at byte 2, in `amount`: a boolean is neither 0 nor 1"),
        (&other_nan, DataType::Float64, "row 0 is malformed at byte 9, in `amount`: a NaN is not the canonical one"),
        (&[1, 1, 0, 0, 0, 0xff], DataType::String, "row 0 is malformed at byte 6, in `amount`: a string is not UTF-8"),
        (
            &[1, 0xff, 0xff, 0xff, 0xff],
            DataType::Sequence(ItemType::Int64),
            "row 0 is malformed at byte 5, in `amount`: the bytes end too early",
        ),
        (
            &[1, 0xff, 0xff, 0xff, 0xff],
            DataType::Sequence(ItemType::String),
            "row 0 is malformed at byte 5, in `amount`: the bytes end too early",
        ),
        (&[0, 0], DataType::Int64, "row 0 has 1 bytes after its last field; hint: were other fields stored?"),
    ] {
        assert_eq!(text(row, data_type), message);
    }
}

#[test]
fn a_fingerprint_is_fixed_and_sees_names_types_and_order() {
    let (a, b) = (Field::new("a", DataType::Int64, true), Field::new("b", DataType::Float32Vector(8), false));
    let base = schema_fingerprint(&[a.clone(), b.clone()]);
    let digest = Digest::of(b"tandem row 1\na: int64\nb: float32_vector[8]\n");
    assert_eq!(base.to_be_bytes(), digest.0[..8]);
    assert_eq!(schema_fingerprint(&[Field::new("a", DataType::Int64, false), b.clone()]), base);
    for other in [
        vec![b.clone(), a.clone()],
        vec![a.clone()],
        vec![Field::new("a", DataType::Timestamp, true), b.clone()],
        vec![Field::new("c", DataType::Int64, true), b],
        vec![a, Field::new("b", DataType::Float32Vector(9), false)],
    ] {
        assert_ne!(schema_fingerprint(&other), base);
    }
}

#[test]
fn equality_of_arrays_is_equality_of_bits() {
    // The round trips below compare with ==; for floats that must mean bits.
    let float = |value: f64| Arc::new(Float64Array::from(vec![value])) as ArrayRef;
    assert_eq!(&float(f64::NAN), &float(f64::NAN));
    assert_ne!(&float(-0.0), &float(0.0));
    assert_ne!(&float(f64::NAN), &float(f64::from_bits(0x7ff8_0000_0000_0001)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_table_comes_back_bit_by_bit((fields, columns, rows) in generate::table()) {
        let bytes = encoded(&columns, rows);
        let decoded = decode_rows(&fields, bytes.iter().map(|row| Some(row.as_slice()))).unwrap();
        prop_assert_eq!(&decoded, &columns);
        for (field, column) in fields.iter().zip(&decoded) {
            prop_assert_eq!(column.data_type(), &field.data_type.to_arrow());
        }
        // Encoding what was decoded gives the same bytes: one value has one form.
        prop_assert_eq!(encoded(&decoded, rows), bytes.clone());
        for (row, expected) in bytes.iter().enumerate() {
            let mut out = vec![7];
            encode_row(&columns, row, &mut out);
            prop_assert_eq!(&out[1..], expected.as_slice());
        }
    }

    #[test]
    fn absent_rows_are_null_in_every_field((fields, columns, rows) in generate::table(), keep in any::<u8>()) {
        let bytes = encoded(&columns, rows);
        let kept = |row: usize| keep >> (row % 8) & 1 == 1;
        let some = bytes.iter().enumerate().map(|(row, bytes)| kept(row).then_some(bytes.as_slice()));
        let decoded = decode_rows(&fields, some).unwrap();
        for (column, original) in decoded.iter().zip(&columns) {
            for row in 0..rows {
                if kept(row) {
                    prop_assert_eq!(&column.slice(row, 1), &original.slice(row, 1));
                } else {
                    prop_assert!(column.is_null(row));
                }
            }
        }
    }

    #[test]
    fn damaged_rows_are_errors_or_other_rows(
        (fields, columns, rows) in generate::table(),
        at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        for row in encoded(&columns, rows) {
            let mut damaged = row.clone();
            let at = at.index(row.len());
            if cut { damaged.truncate(at) } else { damaged[at] = byte }
            // What still decodes must be canonical: it encodes to the same bytes.
            if let Ok(decoded) = decode(&fields, &damaged) {
                prop_assert!(!cut, "a row that was cut cannot decode");
                prop_assert_eq!(&encoded(&decoded, 1)[0], &damaged);
            }
        }
    }

    #[test]
    fn random_bytes_never_panic(
        types in prop::collection::vec(generate::data_types(), 0..4),
        bytes in prop::collection::vec(prop_oneof![0..3_u8, any::<u8>()], 0..64),
    ) {
        let fields: Vec<_> = types.iter().map(|data_type| Field::new("f", *data_type, true)).collect();
        if let Ok(decoded) = decode(&fields, &bytes) {
            prop_assert_eq!(&encoded(&decoded, 1)[0], &bytes);
        }
    }
}
