//! Arrays of the canonical Arrow types, downcast once.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, BinaryArray, BooleanArray, FixedSizeListArray, Float32Array, Float64Array, Int64Array, ListArray,
    StringArray, TimestampMicrosecondArray,
};

use crate::types::{DataType, ItemType};

/// A column of one of the canonical types.
#[derive(Debug, Clone)]
pub(crate) enum Column {
    Boolean(BooleanArray),
    Int64(Int64Array),
    Float64(Float64Array),
    Timestamp(TimestampMicrosecondArray),
    String(StringArray),
    Binary(BinaryArray),
    /// The rows, and the values of all rows.
    Vector(FixedSizeListArray, Float32Array),
    /// The rows, and the items of all rows.
    Sequence(ListArray, Items),
}

/// The items of sequences.
#[derive(Debug, Clone)]
pub(crate) enum Items {
    Int64(Int64Array),
    Float64(Float64Array),
    String(StringArray),
}

/// Why an array is no canonical column.
#[derive(Debug)]
pub(crate) enum NotCanonical {
    Type,
    NullItem,
}

impl Column {
    /// Fails for other types, and where an item inside a row that has a value is null.
    pub(crate) fn new(array: &dyn Array) -> Result<Column, NotCanonical> {
        Ok(match DataType::from_arrow(array.data_type()).ok_or(NotCanonical::Type)? {
            DataType::Boolean => Column::Boolean(array.as_boolean().clone()),
            DataType::Int64 => Column::Int64(array.as_primitive::<Int64Type>().clone()),
            DataType::Float64 => Column::Float64(array.as_primitive::<Float64Type>().clone()),
            DataType::Timestamp => Column::Timestamp(array.as_primitive::<TimestampMicrosecondType>().clone()),
            DataType::String => Column::String(array.as_string::<i32>().clone()),
            DataType::Binary => Column::Binary(array.as_binary::<i32>().clone()),
            DataType::Float32Vector(width) => {
                let rows = array.as_fixed_size_list();
                let width = width as usize;
                check_items(rows, rows.values().as_ref(), |row| (row * width, (row + 1) * width))?;
                Column::Vector(rows.clone(), rows.values().as_primitive::<Float32Type>().clone())
            }
            DataType::Sequence(item) => {
                let rows = array.as_list::<i32>();
                let items = rows.values();
                let offsets = rows.value_offsets();
                check_items(rows, items.as_ref(), |row| (offsets[row] as usize, offsets[row + 1] as usize))?;
                let items = match item {
                    ItemType::Int64 => Items::Int64(items.as_primitive::<Int64Type>().clone()),
                    ItemType::Float64 => Items::Float64(items.as_primitive::<Float64Type>().clone()),
                    ItemType::String => Items::String(items.as_string::<i32>().clone()),
                };
                Column::Sequence(rows.clone(), items)
            }
        })
    }

    /// Whether a row is null.
    pub(crate) fn is_null(&self, row: usize) -> bool {
        match self {
            Column::Boolean(array) => array.is_null(row),
            Column::Int64(array) => array.is_null(row),
            Column::Float64(array) => array.is_null(row),
            Column::Timestamp(array) => array.is_null(row),
            Column::String(array) => array.is_null(row),
            Column::Binary(array) => array.is_null(row),
            Column::Vector(array, _) => array.is_null(row),
            Column::Sequence(array, _) => array.is_null(row),
        }
    }

    /// The type, which is always one of the canonical ones.
    pub(crate) fn data_type(&self) -> DataType {
        match self {
            Column::Boolean(_) => DataType::Boolean,
            Column::Int64(_) => DataType::Int64,
            Column::Float64(_) => DataType::Float64,
            Column::Timestamp(_) => DataType::Timestamp,
            Column::String(_) => DataType::String,
            Column::Binary(_) => DataType::Binary,
            Column::Vector(rows, _) => DataType::Float32Vector(rows.value_length() as u32),
            Column::Sequence(_, Items::Int64(_)) => DataType::Sequence(ItemType::Int64),
            Column::Sequence(_, Items::Float64(_)) => DataType::Sequence(ItemType::Float64),
            Column::Sequence(_, Items::String(_)) => DataType::Sequence(ItemType::String),
        }
    }
}

/// The items of one row of a [`Column::Vector`].
pub(crate) fn vector_items<'a>(rows: &FixedSizeListArray, values: &'a Float32Array, row: usize) -> &'a [f32] {
    let width = rows.value_length() as usize;
    &values.values()[row * width..(row + 1) * width]
}

/// Where the items of one row of a [`Column::Sequence`] lie.
pub(crate) fn item_range(rows: &ListArray, row: usize) -> std::ops::Range<usize> {
    let offsets = rows.value_offsets();
    offsets[row] as usize..offsets[row + 1] as usize
}

/// Under a null row, and outside a slice, items may be anything.
fn check_items(
    rows: &dyn Array,
    items: &dyn Array,
    range: impl Fn(usize) -> (usize, usize),
) -> Result<(), NotCanonical> {
    if items.null_count() == 0 {
        return Ok(());
    }
    let null_inside = (0..rows.len()).filter(|row| rows.is_valid(*row)).any(|row| {
        let (from, to) = range(row);
        (from..to).any(|item| items.is_null(item))
    });
    if null_inside { Err(NotCanonical::NullItem) } else { Ok(()) }
}
