//! Vectors and sequences.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use arrow_array::{Array, ArrayRef, FixedSizeListArray, Float32Array, ListArray, UInt32Array};
use arrow_buffer::OffsetBuffer;
use arrow_cast::cast;
use arrow_schema::DataType as ArrowType;
use tandem_core::types::{DataType, ItemType};

use super::{ConvertError, Target, valid_rows};

pub(super) fn to_vector(target: Target<'_>, array: &ArrayRef, width: u32) -> Result<ArrayRef, ConvertError> {
    let ArrowType::FixedSizeList(item, arrow_width) = target.declared.to_arrow() else {
        unreachable!("a vector is a fixed-size list")
    };
    let width = width as usize;
    let found_item = match array.data_type() {
        ArrowType::FixedSizeList(item, _)
        | ArrowType::List(item)
        | ArrowType::LargeList(item)
        | ArrowType::ListView(item)
        | ArrowType::LargeListView(item) => item.data_type(),
        _ => return Err(target.refuse(array, None)),
    };
    if !matches!(found_item, ArrowType::Float16 | ArrowType::Float32) {
        let hint = matches!(found_item, ArrowType::Float64)
            .then_some("float64 does not fit a float32 without loss; cast the column where it is written, or declare a sequence of float64");
        return Err(target.refuse(array, hint));
    }
    // Row by row through the list that every list type casts to, since rows of a list may have any length.
    let lists = as_lists(target, array, &ArrowType::Float32)?;
    let items = lists.values().as_primitive::<Float32Type>();
    let mut data = vec![0.0_f32; lists.len() * width];
    for row in valid_rows(&lists) {
        let (from, to) = range(&lists, row);
        if to - from != width {
            return Err(target.value(
                row,
                format!("a vector of {} values", to - from),
                format!("is not of width {width}"),
            ));
        }
        if (from..to).any(|i| items.is_null(i)) {
            return Err(target.value(row, "a null item", "is not taken in a vector"));
        }
        data[row * width..(row + 1) * width].copy_from_slice(&items.values()[from..to]);
    }
    let data = Arc::new(Float32Array::new(data.into(), None));
    Ok(Arc::new(FixedSizeListArray::new(item, arrow_width, data, lists.nulls().cloned())))
}

pub(super) fn to_sequence(target: Target<'_>, array: &ArrayRef, item: ItemType) -> Result<ArrayRef, ConvertError> {
    let found_item = match array.data_type() {
        ArrowType::List(item)
        | ArrowType::LargeList(item)
        | ArrowType::FixedSizeList(item, _)
        | ArrowType::ListView(item)
        | ArrowType::LargeListView(item) => item.data_type().clone(),
        _ => return Err(target.refuse(array, None)),
    };
    let lists = as_lists(target, array, &found_item)?;
    // Only what rows with a value point to is converted and checked: nothing under a null can be seen.
    let mut offsets = Vec::with_capacity(lists.len() + 1);
    let mut kept = Vec::new();
    offsets.push(0_i32);
    for row in 0..lists.len() {
        if lists.is_valid(row) {
            let (from, to) = range(&lists, row);
            if let Some(nulls) = lists.values().nulls()
                && (from..to).any(|i| nulls.is_null(i))
            {
                return Err(target.value(row, "a null item", "is not taken in a sequence"));
            }
            kept.extend(from as u32..to as u32);
        }
        offsets.push(kept.len() as i32); // a list array has at most i32::MAX items
    }
    let items = arrow_select::take::take(lists.values(), &UInt32Array::from(kept), None)
        .map_err(|error| ConvertError::Arrow { column: target.column.to_owned(), reason: error.to_string() })?;
    let declared = match item {
        ItemType::Int64 => DataType::Int64,
        ItemType::Float64 => DataType::Float64,
        ItemType::String => DataType::String,
    };
    let items = Target { declared, ..target }.convert(&items).map_err(|error| match error {
        // The item's index becomes its row.
        ConvertError::Value { column, row: index, value, reason } => {
            let row = offsets.partition_point(|offset| *offset as usize <= index) - 1;
            ConvertError::Value { column, row, value: format!("the item {value}"), reason }
        }
        ConvertError::Type { column, hint, .. } => {
            ConvertError::Type { column, found: array.data_type().to_string(), declared: target.declared, hint }
        }
        other => other,
    })?;
    let ArrowType::List(field) = target.declared.to_arrow() else { unreachable!("a sequence is a list") };
    Ok(Arc::new(ListArray::new(field, OffsetBuffer::new(offsets.into()), items, lists.nulls().cloned())))
}

/// Any list type as List of `item`.
fn as_lists(target: Target<'_>, array: &ArrayRef, item: &ArrowType) -> Result<ListArray, ConvertError> {
    let list = ArrowType::List(Arc::new(arrow_schema::Field::new("item", item.clone(), true)));
    let cast = cast(array, &list)
        .map_err(|error| ConvertError::Arrow { column: target.column.to_owned(), reason: error.to_string() })?;
    Ok(cast.as_list::<i32>().clone())
}

fn range(lists: &ListArray, row: usize) -> (usize, usize) {
    let offsets = lists.value_offsets();
    (offsets[row] as usize, offsets[row + 1] as usize)
}
