//! Generated fields and columns for property tests: every type with nulls, NaN, infinities, -0.0, extremes, empty and
//! non-ASCII strings, also as slices of longer arrays.

use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, FixedSizeListBuilder, Float32Builder, Float64Builder, Int64Builder, ListBuilder,
    StringBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema as arrow;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::{canonical_f32, canonical_f64};
use crate::types::{DataType, Field, ItemType};

pub(crate) fn data_types() -> impl Strategy<Value = DataType> {
    prop_oneof![
        Just(DataType::Boolean),
        Just(DataType::Int64),
        Just(DataType::Float64),
        Just(DataType::Timestamp),
        Just(DataType::String),
        Just(DataType::Binary),
        (1..5_u32).prop_map(DataType::Float32Vector),
        Just(DataType::Sequence(ItemType::Int64)),
        Just(DataType::Sequence(ItemType::Float64)),
        Just(DataType::Sequence(ItemType::String)),
    ]
}

fn int64s() -> impl Strategy<Value = i64> {
    prop_oneof![
        any::<i64>(),
        prop::sample::select(vec![i64::MIN, i64::MIN + 1, -1, 0, 1, (1 << 53) + 1, i64::MAX - 1, i64::MAX]),
        -62_167_219_200_000_000..=253_402_300_799_999_999_i64,
    ]
}

/// Any bits at all, and the values at which readers stumble. NaN is canonical.
pub(crate) fn float64s() -> impl Strategy<Value = f64> {
    let special = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        -0.0,
        0.0,
        f64::MIN,
        f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
        2.225_073_858_507_201e-308,
        0.1,
        1e23,
        9_007_199_254_740_993.0,
        1e16,
        123_456_789.0,
    ];
    prop_oneof![any::<u64>().prop_map(f64::from_bits), prop::sample::select(special.to_vec()), -1e6..1e6]
        .prop_map(canonical_f64)
}

pub(crate) fn float32s() -> impl Strategy<Value = f32> {
    let special =
        [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 0.0, f32::MIN, f32::MAX, 1e-45, 7.038_531e-26, 16_777_216.0];
    prop_oneof![any::<u32>().prop_map(f32::from_bits), prop::sample::select(special.to_vec())].prop_map(canonical_f32)
}

pub(crate) fn strings() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[a-c\0]{0,3}",
        "\\PC{0,12}",
        Just("Zoë 東京 🦀 \" \\ \u{7f}\u{2028}\n\0".to_owned())
    ]
}

fn binaries() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 0..12), vec(prop::sample::select(vec![0_u8, 1, 255]), 0..4)]
}

/// A column of `rows` rows; half of the time with nulls.
pub(crate) fn column(data_type: DataType, rows: usize, nullable: bool) -> BoxedStrategy<ArrayRef> {
    // Rows before and after, of which the column is a slice.
    let padded = (0..4_usize, 0..3_usize).prop_flat_map(move |(before, after)| {
        let total = before + rows + after;
        whole(data_type, total, nullable).prop_map(move |array| array.slice(before, rows))
    });
    prop_oneof![whole(data_type, rows, nullable), padded].boxed()
}

fn rows_of<T: std::fmt::Debug + Clone + 'static>(
    values: impl Strategy<Value = T> + Clone + 'static,
    rows: usize,
    nullable: bool,
) -> BoxedStrategy<Vec<Option<T>>> {
    if nullable { vec(option::weighted(0.7, values), rows).boxed() } else { vec(values.prop_map(Some), rows).boxed() }
}

fn whole(data_type: DataType, rows: usize, nullable: bool) -> BoxedStrategy<ArrayRef> {
    macro_rules! build {
        ($values:expr, $builder:expr, $append:expr) => {
            rows_of($values.boxed(), rows, nullable)
                .prop_map(|values| {
                    let mut builder = $builder;
                    values.into_iter().for_each(|value| $append(&mut builder, value));
                    Arc::new(builder.finish()) as ArrayRef
                })
                .boxed()
        };
    }
    macro_rules! build_list {
        ($items:expr, $builder:expr) => {
            rows_of(vec($items, 0..5).boxed(), rows, nullable)
                .prop_map(move |values| {
                    let field = arrow::Field::new("item", item_arrow(data_type), false);
                    let mut builder = ListBuilder::new($builder).with_field(field);
                    for value in values {
                        match value {
                            Some(items) => {
                                items.into_iter().for_each(|item| builder.values().append_value(item));
                                builder.append(true);
                            }
                            None => builder.append(false),
                        }
                    }
                    Arc::new(builder.finish()) as ArrayRef
                })
                .boxed()
        };
    }
    match data_type {
        DataType::Boolean => build!(any::<bool>(), BooleanBuilder::new(), BooleanBuilder::append_option),
        DataType::Int64 => build!(int64s(), Int64Builder::new(), Int64Builder::append_option),
        DataType::Float64 => build!(float64s(), Float64Builder::new(), Float64Builder::append_option),
        DataType::Timestamp => build!(
            int64s(),
            TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            TimestampMicrosecondBuilder::append_option
        ),
        DataType::String => build!(strings(), StringBuilder::new(), StringBuilder::append_option),
        DataType::Binary => build!(binaries(), BinaryBuilder::new(), BinaryBuilder::append_option),
        DataType::Float32Vector(width) => rows_of(vec(float32s(), width as usize).boxed(), rows, nullable)
            .prop_map(move |values| {
                let field = arrow::Field::new("item", arrow::DataType::Float32, false);
                let mut builder = FixedSizeListBuilder::new(Float32Builder::new(), width as i32).with_field(field);
                for value in values {
                    builder.values().append_slice(&value.clone().unwrap_or_else(|| vec![0.0; width as usize]));
                    builder.append(value.is_some());
                }
                Arc::new(builder.finish()) as ArrayRef
            })
            .boxed(),
        DataType::Sequence(ItemType::Int64) => build_list!(int64s(), Int64Builder::new()),
        DataType::Sequence(ItemType::Float64) => build_list!(float64s(), Float64Builder::new()),
        DataType::Sequence(ItemType::String) => build_list!(strings(), StringBuilder::new()),
    }
}

fn item_arrow(data_type: DataType) -> arrow::DataType {
    match data_type {
        DataType::Sequence(item) => item.to_arrow(),
        other => panic!("{other} is no sequence"),
    }
}

/// Fields of any types, and a column of `rows` rows for each.
pub(crate) fn table() -> impl Strategy<Value = (Vec<Field>, Vec<ArrayRef>, usize)> {
    (vec((data_types(), any::<bool>()), 1..6), 0..8_usize).prop_flat_map(|(types, rows)| {
        let fields: Vec<Field> = types
            .iter()
            .enumerate()
            .map(|(index, (data_type, nullable))| Field::new(format!("field_{index}"), *data_type, *nullable))
            .collect();
        let columns: Vec<_> = types.iter().map(|(data_type, nullable)| column(*data_type, rows, *nullable)).collect();
        (Just(fields), columns, Just(rows))
    })
}
