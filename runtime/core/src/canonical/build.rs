//! Canonical arrays from single values.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, FixedSizeListArray, Float32Array, Float64Array, Int64Array, ListArray,
    StringArray, TimestampMicrosecondArray,
};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBuffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::FieldRef;

use super::{canonical_f32, canonical_f64};
use crate::types::{DataType, ItemType};

/// More bytes or items than 32-bit offsets can address.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OffsetOverflow;

/// Builds one array of a canonical type, value by value. Slots of nulls are zeroed, NaN is made canonical.
///
/// A value is appended by the method of its type; the caller goes by [`ColumnBuilder::data_type`], and a method of
/// another type panics.
pub(crate) struct ColumnBuilder {
    data_type: DataType,
    validity: NullBufferBuilder,
    values: Values,
}

enum Values {
    Boolean(BooleanBufferBuilder),
    /// Also timestamps.
    Int64(Vec<i64>),
    Float64(Vec<f64>),
    /// Also binaries.
    Bytes(VarBytes),
    Vector(Vec<f32>),
    Int64s(Vec<i32>, Vec<i64>),
    Float64s(Vec<i32>, Vec<f64>),
    Strings(Vec<i32>, VarBytes),
}

/// Bytes behind offsets.
struct VarBytes {
    offsets: Vec<i32>,
    data: Vec<u8>,
}

impl VarBytes {
    fn new() -> Self {
        VarBytes { offsets: vec![0], data: Vec::new() }
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), OffsetOverflow> {
        let end = offset(self.data.len() + bytes.len())?;
        self.data.extend_from_slice(bytes);
        self.offsets.push(end);
        Ok(())
    }

    fn into_strings(self, nulls: Option<NullBuffer>) -> StringArray {
        StringArray::new(offset_buffer(self.offsets), Buffer::from_vec(self.data), nulls)
    }
}

fn offset(length: usize) -> Result<i32, OffsetOverflow> {
    i32::try_from(length).map_err(|_| OffsetOverflow)
}

fn offset_buffer(offsets: Vec<i32>) -> OffsetBuffer<i32> {
    OffsetBuffer::new(ScalarBuffer::from(offsets))
}

impl ColumnBuilder {
    /// A builder with room for `rows` rows.
    pub(crate) fn new(data_type: DataType, rows: usize) -> Self {
        let values = match data_type {
            DataType::Boolean => Values::Boolean(BooleanBufferBuilder::new(rows)),
            DataType::Int64 | DataType::Timestamp => Values::Int64(Vec::with_capacity(rows)),
            DataType::Float64 => Values::Float64(Vec::with_capacity(rows)),
            DataType::String | DataType::Binary => Values::Bytes(VarBytes::new()),
            DataType::Float32Vector(_) => Values::Vector(Vec::new()),
            DataType::Sequence(ItemType::Int64) => Values::Int64s(vec![0], Vec::new()),
            DataType::Sequence(ItemType::Float64) => Values::Float64s(vec![0], Vec::new()),
            DataType::Sequence(ItemType::String) => Values::Strings(vec![0], VarBytes::new()),
        };
        ColumnBuilder { data_type, validity: NullBufferBuilder::new(rows), values }
    }

    pub(crate) fn data_type(&self) -> DataType {
        self.data_type
    }

    pub(crate) fn null(&mut self) {
        self.validity.append_null();
        match &mut self.values {
            Values::Boolean(values) => values.append(false),
            Values::Int64(values) => values.push(0),
            Values::Float64(values) => values.push(0.0),
            Values::Bytes(values) => repeat_last(&mut values.offsets),
            Values::Vector(values) => values.resize(values.len() + width(self.data_type), 0.0),
            Values::Int64s(offsets, _) | Values::Float64s(offsets, _) | Values::Strings(offsets, _) => {
                repeat_last(offsets);
            }
        }
    }

    pub(crate) fn boolean(&mut self, value: bool) {
        let Values::Boolean(values) = &mut self.values else { self.mismatch() };
        values.append(value);
        self.validity.append_non_null();
    }

    /// An int64 or a timestamp.
    pub(crate) fn int64(&mut self, value: i64) {
        let Values::Int64(values) = &mut self.values else { self.mismatch() };
        values.push(value);
        self.validity.append_non_null();
    }

    pub(crate) fn float64(&mut self, value: f64) {
        let Values::Float64(values) = &mut self.values else { self.mismatch() };
        values.push(canonical_f64(value));
        self.validity.append_non_null();
    }

    /// A string, as UTF-8 that was checked, or a binary.
    pub(crate) fn bytes(&mut self, value: &[u8]) -> Result<(), OffsetOverflow> {
        let Values::Bytes(values) = &mut self.values else { self.mismatch() };
        values.push(value)?;
        self.validity.append_non_null();
        Ok(())
    }

    /// A vector of the declared width.
    pub(crate) fn vector(&mut self, items: impl ExactSizeIterator<Item = f32>) {
        let Values::Vector(values) = &mut self.values else { self.mismatch() };
        assert_eq!(items.len(), width(self.data_type), "the caller checks the width");
        values.extend(items.map(canonical_f32));
        self.validity.append_non_null();
    }

    pub(crate) fn int64s(&mut self, items: impl Iterator<Item = i64>) -> Result<(), OffsetOverflow> {
        let Values::Int64s(offsets, values) = &mut self.values else { self.mismatch() };
        values.extend(items);
        offsets.push(offset(values.len())?);
        self.validity.append_non_null();
        Ok(())
    }

    pub(crate) fn float64s(&mut self, items: impl Iterator<Item = f64>) -> Result<(), OffsetOverflow> {
        let Values::Float64s(offsets, values) = &mut self.values else { self.mismatch() };
        values.extend(items.map(canonical_f64));
        offsets.push(offset(values.len())?);
        self.validity.append_non_null();
        Ok(())
    }

    pub(crate) fn strings<'a>(&mut self, mut items: impl Iterator<Item = &'a str>) -> Result<(), OffsetOverflow> {
        let Values::Strings(offsets, values) = &mut self.values else { self.mismatch() };
        items.try_for_each(|item| values.push(item.as_bytes()))?;
        offsets.push(offset(values.offsets.len() - 1)?);
        self.validity.append_non_null();
        Ok(())
    }

    /// The array, of the type `data_type().to_arrow()`.
    pub(crate) fn finish(mut self) -> ArrayRef {
        let nulls = self.validity.finish();
        match (self.values, self.data_type) {
            (Values::Boolean(mut values), _) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            (Values::Int64(values), DataType::Timestamp) => {
                Arc::new(TimestampMicrosecondArray::new(values.into(), nulls).with_timezone("UTC"))
            }
            (Values::Int64(values), _) => Arc::new(Int64Array::new(values.into(), nulls)),
            (Values::Float64(values), _) => Arc::new(Float64Array::new(values.into(), nulls)),
            (Values::Bytes(values), DataType::Binary) => {
                let data = Buffer::from_vec(values.data);
                Arc::new(BinaryArray::new(offset_buffer(values.offsets), data, nulls))
            }
            (Values::Bytes(values), _) => Arc::new(values.into_strings(nulls)),
            (Values::Vector(values), data_type) => {
                let width = width(data_type) as i32;
                let items = Arc::new(Float32Array::from(values));
                Arc::new(FixedSizeListArray::new(item_field(data_type), width, items, nulls))
            }
            (Values::Int64s(offsets, values), data_type) => {
                list(data_type, offsets, Arc::new(Int64Array::from(values)), nulls)
            }
            (Values::Float64s(offsets, values), data_type) => {
                list(data_type, offsets, Arc::new(Float64Array::from(values)), nulls)
            }
            (Values::Strings(offsets, values), data_type) => {
                list(data_type, offsets, Arc::new(values.into_strings(None)), nulls)
            }
        }
    }

    fn mismatch(&self) -> ! {
        panic!("a value of another type was appended to a column of {}", self.data_type)
    }
}

fn repeat_last(offsets: &mut Vec<i32>) {
    let last = offsets.last().copied().unwrap_or(0);
    offsets.push(last);
}

fn list(data_type: DataType, offsets: Vec<i32>, items: ArrayRef, nulls: Option<NullBuffer>) -> ArrayRef {
    Arc::new(ListArray::new(item_field(data_type), offset_buffer(offsets), items, nulls))
}

fn item_field(data_type: DataType) -> FieldRef {
    match data_type.to_arrow() {
        arrow_schema::DataType::List(item) | arrow_schema::DataType::FixedSizeList(item, _) => item,
        other => panic!("{other} has no items"),
    }
}

fn width(data_type: DataType) -> usize {
    match data_type {
        DataType::Float32Vector(width) => width as usize,
        other => panic!("{other} has no width"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_have_31_bits() {
        assert_eq!(offset(2_147_483_647), Ok(i32::MAX));
        assert_eq!(offset(2_147_483_648), Err(OffsetOverflow));
    }

    #[test]
    fn nan_is_canonical_and_nulls_are_zero() {
        let mut builder = ColumnBuilder::new(DataType::Float64, 2);
        builder.float64(f64::from_bits(0xfff8_0000_0000_0001));
        builder.null();
        let array = builder.finish();
        let data = arrow_array::Array::to_data(&array);
        let bits = data.buffer::<u64>(0).to_vec();
        assert_eq!(bits, [0x7ff8_0000_0000_0000, 0]);
    }

    #[test]
    #[should_panic(expected = "a value of another type was appended to a column of int64")]
    fn values_of_another_type_are_a_mistake_of_the_caller() {
        ColumnBuilder::new(DataType::Int64, 1).boolean(true);
    }
}
