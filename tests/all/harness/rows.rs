//! Generated rows of the guest `every_type`: nulls, NaNs of several payloads, infinities, -0.0, subnormals, extremes, empty, long and
//! non-ASCII strings; and Arrow columns that hold them, cleanly or with dirt where nobody may look.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, FixedSizeListArray, Float32Array, Float64Array, Int64Array, ListArray,
    RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow_buffer::{BooleanBuffer, NullBuffer, OffsetBuffer};
use arrow_schema::DataType as ArrowType;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use tandem_core::types::{DataType, ItemType, Signature};

/// The inputs of one row, but for `as_of`.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) flag: bool,
    pub(crate) flag_null: Option<bool>,
    pub(crate) whole: i64,
    pub(crate) whole_null: Option<i64>,
    pub(crate) real: f64,
    pub(crate) real_null: Option<f64>,
    pub(crate) at: i64,
    pub(crate) at_null: Option<i64>,
    pub(crate) text: String,
    pub(crate) text_null: Option<String>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) bytes_null: Option<Vec<u8>>,
    pub(crate) vector: [f32; 3],
    pub(crate) vector_null: Option<[f32; 3]>,
    pub(crate) wholes: Vec<i64>,
    pub(crate) wholes_null: Option<Vec<i64>>,
    pub(crate) reals: Vec<f64>,
    pub(crate) reals_null: Option<Vec<f64>>,
    pub(crate) texts: Vec<String>,
    pub(crate) texts_null: Option<Vec<String>>,
    pub(crate) fault: Option<String>,
    pub(crate) as_of: i64,
}

fn int64s() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), select(vec![i64::MIN, -1, 0, 1, (1 << 53) + 1, i64::MAX]), -1000..1000_i64]
}

pub(crate) fn float64s() -> impl Strategy<Value = f64> {
    let special =
        [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::MIN, f64::MAX, f64::MIN_POSITIVE, 5e-324, 0.1, 1e23];
    let nans = [0x7ff8_0000_0000_0000, 0xfff8_0000_0000_0000, 0x7ff0_0000_0000_0001, 0xffff_ffff_ffff_ffff_u64];
    prop_oneof![
        2 => any::<u64>().prop_map(f64::from_bits),
        2 => select(special.to_vec()),
        1 => select(nans.to_vec()).prop_map(f64::from_bits),
        3 => -100.0..100.0_f64,
    ]
}

fn float32s() -> impl Strategy<Value = f32> {
    let special = [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::MIN, f32::MAX, f32::MIN_POSITIVE, 1e-45];
    let nans = [0x7fc0_0000, 0xffc0_0000, 0x7f80_0001, 0xffff_ffff_u32];
    prop_oneof![
        2 => any::<u32>().prop_map(f32::from_bits),
        2 => select(special.to_vec()),
        1 => select(nans.to_vec()).prop_map(f32::from_bits),
        3 => -100.0..100.0_f32,
    ]
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just(String::new()),
        3 => "[a-zß-ÿ€😀 \"\\\\\n\u{0}]{0,12}",
        1 => select(vec!["straße".to_owned(), "\u{feff}".to_owned(), "İŉ".repeat(200), "e\u{301}".to_owned()]),
    ]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..9)
}

pub(crate) fn row() -> impl Strategy<Value = Row> {
    let numbers =
        (any::<bool>(), option::of(any::<bool>()), int64s(), option::of(int64s()), float64s(), option::of(float64s()));
    let times = (int64s(), option::of(int64s()), -62_167_219_200_000_000..=253_402_300_799_999_999_i64);
    let strings = (texts(), option::of(texts()), bytes(), option::of(bytes()));
    let vectors = ([float32s(), float32s(), float32s()], option::of([float32s(), float32s(), float32s()]));
    let lists = (
        vec(int64s(), 0..4),
        option::of(vec(int64s(), 0..4)),
        vec(float64s(), 0..4),
        option::of(vec(float64s(), 0..4)),
        vec(texts(), 0..4),
        option::of(vec(texts(), 0..4)),
    );
    (numbers, times, strings, vectors, lists).prop_map(|(numbers, times, strings, vectors, lists)| Row {
        flag: numbers.0,
        flag_null: numbers.1,
        whole: numbers.2,
        whole_null: numbers.3,
        real: numbers.4,
        real_null: numbers.5,
        at: times.0,
        at_null: times.1,
        text: strings.0,
        text_null: strings.1,
        bytes: strings.2,
        bytes_null: strings.3,
        vector: vectors.0,
        vector_null: vectors.1,
        wholes: lists.0,
        wholes_null: lists.1,
        reals: lists.2,
        reals_null: lists.3,
        texts: lists.4,
        texts_null: lists.5,
        fault: None,
        as_of: times.2,
    })
}

/// So many generated cases. A failing one is shrunk a little: each step calls the engine.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() }
}

/// So many rows, the same in every run.
pub(crate) fn fixed_rows(count: usize) -> Vec<Row> {
    let mut runner = TestRunner::deterministic();
    let row = row();
    (0..count).map(|_| row.new_tree(&mut runner).expect("a row").current()).collect()
}

/// What surrounds the rows in their columns without being part of them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Dirt {
    /// Rows before and behind, cut off by slicing: offsets do not begin at 0, nor do bits of validity at a byte.
    pub(crate) around: usize,
    /// Values under nulls, and validity where nothing is null.
    pub(crate) junk: bool,
    /// XORed into the payload of each NaN.
    pub(crate) payload: u64,
}

/// The columns of `signature`'s inputs, in its order.
pub(crate) fn batch(signature: &Signature, rows: &[Row], dirt: Dirt) -> RecordBatch {
    let columns =
        signature.inputs.iter().map(|field| (field.name.clone(), column(&field.name, field.data_type, rows, dirt)));
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

/// A column by the name of its input.
pub(crate) fn column(name: &str, data_type: DataType, rows: &[Row], dirt: Dirt) -> ArrayRef {
    let some = |value: &dyn Fn(&Row) -> Cell| rows.iter().map(value).collect::<Vec<_>>();
    let cells = match name {
        "flag" => some(&|row| Cell::Boolean(Some(row.flag))),
        "flag_null" => some(&|row| Cell::Boolean(row.flag_null)),
        "whole" => some(&|row| Cell::Int64(Some(row.whole))),
        "whole_null" => some(&|row| Cell::Int64(row.whole_null)),
        "real" => some(&|row| Cell::Float64(Some(row.real))),
        "real_null" => some(&|row| Cell::Float64(row.real_null)),
        "at" => some(&|row| Cell::Int64(Some(row.at))),
        "at_null" => some(&|row| Cell::Int64(row.at_null)),
        "as_of" => some(&|row| Cell::Int64(Some(row.as_of))),
        "text" => some(&|row| Cell::Text(Some(row.text.clone()))),
        "text_null" => some(&|row| Cell::Text(row.text_null.clone())),
        "fault" => some(&|row| Cell::Text(row.fault.clone())),
        "bytes" => some(&|row| Cell::Bytes(Some(row.bytes.clone()))),
        "bytes_null" => some(&|row| Cell::Bytes(row.bytes_null.clone())),
        "vector" => some(&|row| Cell::Vector(Some(row.vector))),
        "vector_null" => some(&|row| Cell::Vector(row.vector_null)),
        "wholes" => some(&|row| Cell::Int64s(Some(row.wholes.clone()))),
        "wholes_null" => some(&|row| Cell::Int64s(row.wholes_null.clone())),
        "reals" => some(&|row| Cell::Float64s(Some(row.reals.clone()))),
        "reals_null" => some(&|row| Cell::Float64s(row.reals_null.clone())),
        "texts" => some(&|row| Cell::Texts(Some(row.texts.clone()))),
        "texts_null" => some(&|row| Cell::Texts(row.texts_null.clone())),
        _ => panic!("the guest has an input `{name}` that rows do not"),
    };
    array(cells, data_type, dirt)
}

/// A value of one row, or null.
pub(crate) enum Cell {
    Boolean(Option<bool>),
    Int64(Option<i64>),
    Float64(Option<f64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
    Vector(Option<[f32; 3]>),
    Int64s(Option<Vec<i64>>),
    Float64s(Option<Vec<f64>>),
    Texts(Option<Vec<String>>),
}

/// Values of cells of one variant, what is null replaced by `junk`; and which are not null.
macro_rules! take {
    ($cells:expr, $variant:ident, $dirt:expr, $junk:expr) => {{
        let around = std::iter::repeat_with(|| Some($junk)).take($dirt.around);
        let cells = $cells.into_iter().map(|cell| match cell {
            Cell::$variant(value) => value,
            _ => unreachable!("one variant in a column"),
        });
        let values: Vec<_> = around.clone().chain(cells).chain(around).collect();
        let valid = NullBuffer::new(BooleanBuffer::from_iter(values.iter().map(Option::is_some)));
        let nulls = Some(valid).filter(|valid| $dirt.junk || valid.null_count() > 0);
        let values: Vec<_> = if $dirt.junk {
            values.into_iter().map(|value| value.unwrap_or_else(|| $junk)).collect()
        } else {
            values.into_iter().map(Option::unwrap_or_default).collect()
        };
        (values, nulls)
    }};
}

/// A column of cells of one variant.
pub(crate) fn array(cells: Vec<Cell>, data_type: DataType, dirt: Dirt) -> ArrayRef {
    let rows = cells.len();
    let dirty64 = |value: f64| if value.is_nan() { stray64(value, dirt.payload) } else { value };
    let dirty32 = |value: f32| if value.is_nan() { stray32(value, dirt.payload) } else { value };
    let array: ArrayRef = match data_type {
        DataType::Boolean => {
            let (values, nulls) = take!(cells, Boolean, dirt, true);
            Arc::new(BooleanArray::new(BooleanBuffer::from(values), nulls))
        }
        DataType::Int64 => {
            let (values, nulls) = take!(cells, Int64, dirt, -7);
            Arc::new(Int64Array::new(values.into(), nulls))
        }
        DataType::Timestamp => {
            let (values, nulls) = take!(cells, Int64, dirt, -7);
            Arc::new(TimestampMicrosecondArray::new(values.into(), nulls).with_timezone("UTC"))
        }
        DataType::Float64 => {
            let (values, nulls) = take!(cells, Float64, dirt, f64::from_bits(0xfff4_dead_beef_0001));
            let values: Vec<f64> = values.into_iter().map(dirty64).collect();
            Arc::new(Float64Array::new(values.into(), nulls))
        }
        DataType::String => {
            let (values, nulls) = take!(cells, Text, dirt, "jünk".to_owned());
            let (offsets, data, _) = StringArray::from_iter_values(&values).into_parts();
            Arc::new(StringArray::new(offsets, data, nulls))
        }
        DataType::Binary => {
            let (values, nulls) = take!(cells, Bytes, dirt, vec![0xff, 0]);
            let (offsets, data, _) = BinaryArray::from_iter_values(&values).into_parts();
            Arc::new(BinaryArray::new(offsets, data, nulls))
        }
        DataType::Float32Vector(width) => {
            let (values, nulls) = take!(cells, Vector, dirt, [f32::from_bits(0xffa0_0001), -1.0, 2.0]);
            let items: Vec<f32> = values.into_iter().flatten().map(dirty32).collect();
            let ArrowType::FixedSizeList(item, _) = data_type.to_arrow() else { unreachable!("a vector's type") };
            Arc::new(FixedSizeListArray::new(item, width as i32, Arc::new(Float32Array::from(items)), nulls))
        }
        DataType::Sequence(item_type) => {
            let (lengths, items, nulls): (Vec<usize>, ArrayRef, _) = match item_type {
                ItemType::Int64 => {
                    let (values, nulls) = take!(cells, Int64s, dirt, vec![-7, 7]);
                    let lengths = values.iter().map(Vec::len).collect();
                    (lengths, Arc::new(Int64Array::from(values.concat())), nulls)
                }
                ItemType::Float64 => {
                    let (values, nulls) = take!(cells, Float64s, dirt, vec![f64::from_bits(0xfff4_0000_0000_0001)]);
                    let lengths = values.iter().map(Vec::len).collect();
                    let items: Vec<f64> = values.into_iter().flatten().map(dirty64).collect();
                    (lengths, Arc::new(Float64Array::from(items)), nulls)
                }
                ItemType::String => {
                    let (values, nulls) = take!(cells, Texts, dirt, vec!["jünk".to_owned(), String::new()]);
                    let lengths = values.iter().map(Vec::len).collect();
                    (lengths, Arc::new(StringArray::from_iter_values(values.concat())), nulls)
                }
            };
            let ArrowType::List(item) = data_type.to_arrow() else { unreachable!("a sequence's type") };
            Arc::new(ListArray::new(item, OffsetBuffer::from_lengths(lengths), items, nulls))
        }
    };
    array.slice(dirt.around, rows)
}

/// A NaN with another payload that still is one.
fn stray64(nan: f64, payload: u64) -> f64 {
    f64::from_bits(nan.to_bits() ^ (payload & 0x8007_ffff_ffff_fffe))
}

fn stray32(nan: f32, payload: u64) -> f32 {
    f32::from_bits(nan.to_bits() ^ (payload as u32 & 0x803f_fffe))
}

#[test]
fn arrays_are_compared_by_their_bits() {
    let reals = |value: f64| -> ArrayRef { Arc::new(Float64Array::from(vec![Some(value), None])) };
    assert_eq!(&reals(f64::NAN), &reals(f64::NAN));
    assert_ne!(&reals(f64::NAN), &reals(f64::from_bits(0xfff8_0000_0000_0000)));
    assert_ne!(&reals(0.0), &reals(-0.0));
}

#[test]
fn dirt_changes_no_value_but_nans() {
    let rows: Vec<Row> = fixed_rows(50).into_iter().map(|row| Row { real: 1.0, ..row }).collect();
    let dirt = Dirt { around: 3, junk: true, payload: 6 };
    for (name, data_type) in
        [("real", DataType::Float64), ("text_null", DataType::String), ("at_null", DataType::Timestamp)]
    {
        let (clean, dirty) = (column(name, data_type, &rows, Dirt::default()), column(name, data_type, &rows, dirt));
        assert_eq!(&clean, &dirty, "{name}");
        assert!(dirty.nulls().is_some(), "{name}");
    }
}
