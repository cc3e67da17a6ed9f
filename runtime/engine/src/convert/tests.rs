//! Which Arrow types are taken for which declared ones, with which values; and every refusal.

use std::sync::Arc;

use arrow_array::builder::{Int64Builder, ListBuilder, StringRunBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::*;
use arrow_buffer::i256;
use arrow_schema::Field;
use proptest::prelude::*;

use super::*;
use tandem_core::types::ItemType;

type F16 = <Float16Type as ArrowPrimitiveType>::Native;

fn convert(array: impl Array + 'static, to: DataType) -> Result<ArrayRef, ConvertError> {
    convert_in(array, to, None)
}

fn convert_in(array: impl Array + 'static, to: DataType, timezone: Option<&str>) -> Result<ArrayRef, ConvertError> {
    let array: ArrayRef = Arc::new(array);
    let converted = to_declared(&array, "c", to, timezone)?;
    assert_eq!(DataType::from_arrow(converted.data_type()), Some(to), "the canonical type");
    assert_eq!(converted.len(), array.len());
    Ok(converted)
}

fn refusal(array: impl Array + 'static, to: DataType) -> String {
    convert(array, to).expect_err("it loses something").to_string()
}

fn ints(array: impl Array + 'static) -> Vec<Option<i64>> {
    convert(array, DataType::Int64).unwrap().as_primitive::<Int64Type>().iter().collect()
}

fn floats(array: impl Array + 'static) -> Vec<Option<f64>> {
    convert(array, DataType::Float64).unwrap().as_primitive::<Float64Type>().iter().collect()
}

fn times(array: impl Array + 'static, timezone: Option<&str>) -> Vec<Option<i64>> {
    let array = convert_in(array, DataType::Timestamp, timezone).unwrap();
    array.as_primitive::<TimestampMicrosecondType>().iter().collect()
}

#[test]
fn integers_are_taken_whole() {
    assert_eq!(ints(Int8Array::from(vec![Some(i8::MIN), None])), [Some(-128), None]);
    assert_eq!(ints(Int16Array::from(vec![i16::MAX])), [Some(32_767)]);
    assert_eq!(ints(Int32Array::from(vec![i32::MIN])), [Some(i64::from(i32::MIN))]);
    assert_eq!(ints(Int64Array::from(vec![i64::MIN, i64::MAX])), [Some(i64::MIN), Some(i64::MAX)]);
    assert_eq!(ints(UInt8Array::from(vec![u8::MAX])), [Some(255)]);
    assert_eq!(ints(UInt16Array::from(vec![u16::MAX])), [Some(65_535)]);
    assert_eq!(ints(UInt32Array::from(vec![u32::MAX])), [Some(i64::from(u32::MAX))]);
    assert_eq!(ints(UInt64Array::from(vec![Some(i64::MAX as u64), None])), [Some(i64::MAX), None]);
    assert_eq!(
        refusal(UInt64Array::from(vec![0, 1 << 63]), DataType::Int64),
        "column `c`, row 1: 9223372036854775808 is larger than an int64 can be"
    );
}

#[test]
fn decimals_are_integers_where_they_are_whole() {
    let decimal = |values: Vec<Option<i128>>, precision, scale| {
        Decimal128Array::from(values).with_precision_and_scale(precision, scale).unwrap()
    };
    assert_eq!(ints(decimal(vec![Some(-1200), None, Some(0)], 10, 2)), [Some(-12), None, Some(0)]);
    assert_eq!(ints(decimal(vec![Some(12)], 10, -3)), [Some(12_000)]);
    assert_eq!(ints(decimal(vec![Some(0)], 38, 38)), [Some(0)]);
    assert_eq!(ints(Decimal32Array::from(vec![70]).with_precision_and_scale(5, 1).unwrap()), [Some(7)]);
    assert_eq!(ints(Decimal64Array::from(vec![70]).with_precision_and_scale(15, 1).unwrap()), [Some(7)]);
    let wide = Decimal256Array::from(vec![i256::from_i128(-70)]);
    assert_eq!(ints(wide.with_precision_and_scale(38, 1).unwrap()), [Some(-7)]);
    assert_eq!(
        refusal(decimal(vec![Some(100), Some(125)], 10, 2), DataType::Int64),
        "column `c`, row 1: 1.25 is not a whole number that an int64 can be"
    );
    assert_eq!(
        refusal(decimal(vec![Some(1 << 63)], 38, 0), DataType::Int64),
        "column `c`, row 0: 9223372036854775808 is not a whole number that an int64 can be"
    );
    let wide = Decimal256Array::from(vec![i256::ONE]).with_precision_and_scale(76, 0).unwrap();
    assert_eq!(
        refusal(wide, DataType::Int64),
        "column `c` has Arrow's Decimal256(76, 0), which is not taken for a int64; hint: decimals of more than 38 digits are not taken"
    );
}

#[test]
fn floats_are_exact_or_refused() {
    assert_eq!(floats(Float16Array::from(vec![F16::from_f32(-0.5)])), [Some(-0.5)]);
    assert_eq!(floats(Float32Array::from(vec![Some(0.1_f32), None])), [Some(f64::from(0.1_f32)), None]);
    assert_eq!(floats(Int8Array::from(vec![-1])), [Some(-1.0)]);
    assert_eq!(floats(UInt32Array::from(vec![u32::MAX])), [Some(4_294_967_295.0)]);
    assert_eq!(
        floats(Int64Array::from(vec![1 << 53, i64::MIN])),
        [Some(9_007_199_254_740_992.0), Some(-(2_f64.powi(63)))]
    );
    assert_eq!(floats(UInt64Array::from(vec![1_u64 << 63])), [Some(2_f64.powi(63))]);
    let cannot = "cannot be a float64 without loss";
    for (row, value) in [(0, (1_i64 << 53) + 1), (1, i64::MAX)] {
        let mut values = vec![0; 2];
        values[row] = value;
        assert_eq!(
            refusal(Int64Array::from(values), DataType::Float64),
            format!("column `c`, row {row}: {value} {cannot}")
        );
    }
    assert_eq!(
        refusal(UInt64Array::from(vec![u64::MAX]), DataType::Float64),
        format!("column `c`, row 0: {} {cannot}", u64::MAX)
    );
    let decimal = |value, precision| Decimal128Array::from(vec![value]).with_precision_and_scale(precision, 2).unwrap();
    assert_eq!(floats(decimal(-1999, 15)), [Some(-19.99)]);
    assert_eq!(
        refusal(decimal(1, 16), DataType::Float64),
        "column `c` has Arrow's Decimal128(16, 2), which is not taken for a float64; hint: decimals of more than 15 digits do not fit a float64; cast the column where it is written"
    );
}

proptest! {
    /// The nearest float of a decimal of 15 digits reads back as the same decimal.
    #[test]
    fn decimals_of_fifteen_digits_survive(value in -999_999_999_999_999_i64..=999_999_999_999_999, scale in 0..15_i8) {
        let array = Decimal128Array::from(vec![i128::from(value)]).with_precision_and_scale(15, scale).unwrap();
        let text = array.value_as_string(0);
        let float = floats(array)[0].unwrap();
        prop_assert_eq!(float, text.parse::<f64>().unwrap());
        let places = scale as usize;
        let back = format!("{float:.places$}").replace(['.', '-'], "");
        prop_assert_eq!(back.parse::<i64>().unwrap(), value.abs());
    }

    #[test]
    fn an_integer_is_a_float_or_is_refused(value in any::<i64>(), shift in 0..63_u32) {
        let value = value >> shift;
        match convert(Int64Array::from(vec![value]), DataType::Float64) {
            Ok(array) => prop_assert_eq!(array.as_primitive::<Float64Type>().value(0) as i128, i128::from(value)),
            Err(_) => prop_assert!(value.unsigned_abs() > 1 << 53),
        }
    }
}

#[test]
fn timestamps_come_in_every_unit_and_zone() {
    let seconds = || TimestampSecondArray::from(vec![Some(-1), None]);
    assert_eq!(times(seconds().with_timezone("UTC"), None), [Some(-1_000_000), None]);
    assert_eq!(
        times(seconds().with_timezone("+02:00"), None),
        [Some(-1_000_000), None],
        "an instant whatever the zone"
    );
    assert_eq!(times(TimestampMillisecondArray::from(vec![7]).with_timezone("UTC"), None), [Some(7_000)]);
    assert_eq!(times(TimestampMicrosecondArray::from(vec![7]).with_timezone("UTC"), None), [Some(7)]);
    assert_eq!(times(TimestampMicrosecondArray::from(vec![7]).with_timezone("Z"), None), [Some(7)]);
    assert_eq!(times(TimestampNanosecondArray::from(vec![-7_000]).with_timezone("UTC"), None), [Some(-7)]);
    assert_eq!(times(seconds(), Some("UTC")), [Some(-1_000_000), None]);
    // 2024-07-01T12:00 in Zurich is 10:00 UTC, 2024-01-01T12:00 is 11:00 UTC.
    let noons = TimestampSecondArray::from(vec![1_719_835_200, 1_704_110_400]);
    let hour = 3_600_000_000_i64;
    assert_eq!(
        times(noons, Some("Europe/Zurich")),
        [Some(1_719_835_200_000_000 - 2 * hour), Some(1_704_110_400_000_000 - hour)]
    );
    assert_eq!(times(Date32Array::from(vec![Some(-1), None]), None), [Some(-24 * hour), None]);
    assert_eq!(times(Date64Array::from(vec![86_400_000]), None), [Some(24 * hour)]);
}

#[test]
fn timestamps_that_lose_something_are_refused() {
    let to = DataType::Timestamp;
    assert_eq!(
        refusal(TimestampNanosecondArray::from(vec![1_000, 1]).with_timezone("UTC"), to),
        "column `c`, row 1: 1 ns is not a whole number of microseconds"
    );
    assert_eq!(
        refusal(TimestampSecondArray::from(vec![i64::MAX]).with_timezone("UTC"), to),
        format!("column `c`, row 0: {} Seconds are out of range in microseconds", i64::MAX)
    );
    assert_eq!(
        refusal(TimestampMillisecondArray::from(vec![i64::MIN]).with_timezone("UTC"), to),
        format!("column `c`, row 0: {} Milliseconds are out of range in microseconds", i64::MIN)
    );
    assert_eq!(
        refusal(Date64Array::from(vec![i64::MAX]), to),
        format!("column `c`, row 0: {} ms is out of range in microseconds", i64::MAX)
    );
    let none = TimestampMicrosecondArray::from(vec![1]);
    assert!(
        refusal(none.clone(), to).starts_with("column `c` holds timestamps without a time zone; hint: set `timezone")
    );
    assert_eq!(
        convert_in(none, to, Some("Mars/Olympus")).unwrap_err(),
        ConvertError::UnknownZone { column: "c".to_owned(), timezone: "Mars/Olympus".to_owned() }
    );
    for array in [Arc::new(Int64Array::from(vec![1])) as ArrayRef, Arc::new(StringArray::from(vec!["2024-01-01"]))] {
        let error = to_declared(&array, "c", to, None).unwrap_err().to_string();
        assert!(error.ends_with("hint: write the column as a timestamp with a time zone"), "{error}");
    }
}

#[test]
fn strings_and_bytes_come_in_every_layout() {
    let texts = |array: ArrayRef| -> Vec<Option<String>> {
        let array = to_declared(&array, "c", DataType::String, None).unwrap();
        array.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect()
    };
    let values = [Some("é"), None, Some("longer than twelve bytes")];
    let expected = values.map(|value| value.map(str::to_owned));
    assert_eq!(texts(Arc::new(StringArray::from(values.to_vec()))), expected);
    assert_eq!(texts(Arc::new(LargeStringArray::from(values.to_vec()))), expected);
    assert_eq!(texts(Arc::new(StringViewArray::from(values.to_vec()))), expected);
    assert_eq!(texts(Arc::new(values.into_iter().collect::<DictionaryArray<Int8Type>>())), expected);
    let mut runs = StringRunBuilder::<Int32Type>::new();
    values.iter().for_each(|value| runs.append_option(*value));
    assert_eq!(texts(Arc::new(runs.finish())), expected);

    let blobs = |array: ArrayRef| -> Vec<Option<Vec<u8>>> {
        let array = to_declared(&array, "c", DataType::Binary, None).unwrap();
        array.as_binary::<i32>().iter().map(|bytes| bytes.map(<[u8]>::to_vec)).collect()
    };
    let values: Vec<Option<&[u8]>> = vec![Some(&[0, 255]), None];
    let expected = [Some(vec![0, 255]), None];
    assert_eq!(blobs(Arc::new(BinaryArray::from(values.clone()))), expected);
    assert_eq!(blobs(Arc::new(LargeBinaryArray::from(values.clone()))), expected);
    assert_eq!(blobs(Arc::new(BinaryViewArray::from(values.clone()))), expected);
    let fixed = FixedSizeBinaryArray::try_from_sparse_iter_with_size(values.into_iter(), 2).unwrap();
    assert_eq!(blobs(Arc::new(fixed)), expected);

    let hint = "hint: write the column as UTF-8 strings (Parquet's logical type STRING), or declare a binary";
    assert!(refusal(BinaryArray::from(vec![&b"a"[..]]), DataType::String).ends_with(hint));
    assert_eq!(
        refusal(StringArray::from(vec!["a"]), DataType::Binary),
        "column `c` has Arrow's Utf8, which is not taken for a binary"
    );
}

#[test]
fn vectors_have_exactly_their_width() {
    let to = DataType::Float32Vector(2);
    let rows = [Some(vec![Some(0.5_f32), Some(-0.0)]), None];
    let expected = {
        let list = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(rows.clone(), 2);
        convert(list, to).unwrap()
    };
    assert_eq!(
        expected.as_fixed_size_list().values().as_primitive::<Float32Type>().value(1).to_bits(),
        (-0.0_f32).to_bits()
    );
    assert!(expected.is_null(1));
    assert_eq!(&convert(ListArray::from_iter_primitive::<Float32Type, _, _>(rows.clone()), to).unwrap(), &expected);
    assert_eq!(&convert(LargeListArray::from_iter_primitive::<Float32Type, _, _>(rows), to).unwrap(), &expected);
    let halves = [Some(vec![Some(F16::from_f32(0.5)), Some(F16::from_f32(-0.0))]), None];
    assert_eq!(&convert(ListArray::from_iter_primitive::<Float16Type, _, _>(halves), to).unwrap(), &expected);

    let list =
        |rows: Vec<Vec<Option<f32>>>| ListArray::from_iter_primitive::<Float32Type, _, _>(rows.into_iter().map(Some));
    assert_eq!(
        refusal(list(vec![vec![Some(1.0); 2], vec![Some(1.0)]]), to),
        "column `c`, row 1: a vector of 1 values is not of width 2"
    );
    assert_eq!(
        refusal(list(vec![vec![Some(1.0), None]]), to),
        "column `c`, row 0: a null item is not taken in a vector"
    );
    let doubles = ListArray::from_iter_primitive::<Float64Type, _, _>([Some(vec![Some(1.0); 2])]);
    assert!(refusal(doubles, to).contains("hint: float64 does not fit a float32 without loss"));
    assert!(refusal(Float32Array::from(vec![1.0]), to).ends_with("which is not taken for a float32_vector[2]"));
}

#[test]
fn sequences_come_from_every_list() {
    let to = DataType::Sequence(ItemType::Int64);
    let rows = || [Some(vec![Some(1), Some(2)]), None, Some(vec![Some(3), Some(4)])];
    let expected = convert(ListArray::from_iter_primitive::<Int64Type, _, _>(rows()), to).unwrap();
    let small =
        rows().map(|row| row.map(|row| row.into_iter().map(|item| item.map(|item| item as i16)).collect::<Vec<_>>()));
    assert_eq!(&convert(ListArray::from_iter_primitive::<Int16Type, _, _>(small), to).unwrap(), &expected);
    assert_eq!(&convert(LargeListArray::from_iter_primitive::<Int64Type, _, _>(rows()), to).unwrap(), &expected);
    assert_eq!(&convert(FixedSizeListArray::from_iter_primitive::<Int64Type, _, _>(rows(), 2), to).unwrap(), &expected);
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>(rows());
    assert_eq!(&convert(ListViewArray::from(list.clone()), to).unwrap(), &expected);
    let sliced = convert(list.slice(1, 2), to).unwrap();
    assert_eq!(&sliced, &expected.slice(1, 2));

    assert_eq!(
        refusal(ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1)]), Some(vec![None])]), to),
        "column `c`, row 1: a null item is not taken in a sequence"
    );
    let large =
        ListArray::from_iter_primitive::<UInt64Type, _, _>([None, Some(vec![]), Some(vec![Some(1), Some(u64::MAX)])]);
    assert_eq!(refusal(large, to), "column `c`, row 2: the item 18446744073709551615 is larger than an int64 can be");
    let floats = ListArray::from_iter_primitive::<Float64Type, _, _>([Some(vec![Some(1.0)])]);
    let error = refusal(floats, to);
    assert!(error.contains("List(") && error.contains("which is not taken for a sequence[int64]"), "{error}");
    assert!(refusal(Int64Array::from(vec![1]), to).ends_with("which is not taken for a sequence[int64]"));
}

/// A null row of a list may span items, null ones too; none of them counts.
#[test]
fn items_under_a_null_row_do_not_count() {
    let mut builder = ListBuilder::new(Int64Builder::new());
    builder.values().append_value(1);
    builder.append(true);
    builder.values().append_null();
    builder.append(false);
    builder.values().append_value(2);
    builder.append(true);
    let converted = convert(builder.finish(), DataType::Sequence(ItemType::Int64)).unwrap();
    let list = converted.as_list::<i32>();
    assert_eq!(list.value_offsets(), [0, 1, 1, 2]);
    assert_eq!(list.values().as_primitive::<Int64Type>().values()[..], [1, 2]);
}

#[test]
fn a_column_of_nothing_is_of_every_type() {
    for to in [
        DataType::Boolean,
        DataType::Int64,
        DataType::Timestamp,
        DataType::String,
        DataType::Float32Vector(3),
        DataType::Sequence(ItemType::String),
    ] {
        assert_eq!(convert(NullArray::new(2), to).unwrap().null_count(), 2, "{to}");
    }
}

#[test]
fn everything_else_is_refused_by_name() {
    use tandem_core::types::DataType::*;
    let one: Vec<(ArrayRef, &str)> = vec![
        (Arc::new(BooleanArray::from(vec![true])), "Boolean"),
        (Arc::new(Int64Array::from(vec![1])), "Int64"),
        (Arc::new(Float64Array::from(vec![1.0])), "Float64"),
        (Arc::new(StringArray::from(vec!["1"])), "Utf8"),
        (Arc::new(BinaryArray::from(vec![&b"1"[..]])), "Binary"),
        (Arc::new(Time64MicrosecondArray::from(vec![1])), "Time64"),
        (Arc::new(DurationSecondArray::from(vec![1])), "Duration"),
        (Arc::new(IntervalDayTimeArray::from(vec![IntervalDayTimeType::make_value(1, 1)])), "Interval"),
        (
            Arc::new(StructArray::from(vec![(
                Arc::new(Field::new("a", ArrowType::Int64, true)),
                Arc::new(Int64Array::from(vec![1])) as ArrayRef,
            )])),
            "Struct",
        ),
    ];
    let taken = |to: DataType, from: &str| match to {
        Boolean => from == "Boolean",
        Int64 => from == "Int64",
        Float64 => ["Int64", "Float64"].contains(&from),
        String => from == "Utf8",
        Binary => from == "Binary",
        _ => false,
    };
    for to in [Boolean, Int64, Float64, Timestamp, String, Binary, Float32Vector(1), Sequence(ItemType::Float64)] {
        for (array, name) in &one {
            let result = to_declared(array, "c", to, Some("UTC"));
            assert_eq!(result.is_ok(), taken(to, name), "{name} for {to}");
            if let Err(error) = result {
                let text = error.to_string();
                assert!(text.contains(&format!("has Arrow's {name}")) && text.contains(&to.to_string()), "{text}");
            }
        }
    }
    let timestamp = TimestampMicrosecondArray::from(vec![1]).with_timezone("UTC");
    assert!(refusal(timestamp, Int64).ends_with("hint: declare a timestamp"));
    assert!(
        refusal(Float64Array::from(vec![1.0]), Int64)
            .ends_with("hint: declare a float64, or write the column as integers")
    );
}
