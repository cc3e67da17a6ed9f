//! Which Arrow columns are taken over HTTP, and how large they may become once they are unpacked.
//!
//! Some encodings of Arrow say a lot in few bytes: dictionaries and views name one long value again and again, run-end
//! encoding and list views repeat whole runs. A body within its limit must not become gigabytes, so the first are
//! measured before they are unpacked, and the others are not taken.

use arrow_array::cast::AsArray;
use arrow_array::types::{BinaryViewType, ByteViewType, StringViewType};
use arrow_array::{Array, ArrayRef, GenericByteViewArray};
use arrow_schema::DataType;

/// Whether values of this type take at most a fixed number of bytes, or were counted by [`unpacked_bytes`].
pub(super) fn is_taken(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8View | DataType::BinaryView | DataType::Null => true,
        DataType::Dictionary(_, values) => is_plain(values),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            is_plain(item.data_type())
        }
        other => is_plain(other),
    }
}

/// Types whose arrays hold each value once.
fn is_plain(data_type: &DataType) -> bool {
    use DataType::{Binary, Boolean, FixedSizeBinary, LargeBinary, LargeUtf8, Utf8};
    data_type.is_numeric()
        || data_type.is_temporal()
        || matches!(data_type, Boolean | Utf8 | LargeUtf8 | Binary | LargeBinary | FixedSizeBinary(_))
}

/// Bytes of variable length that a column has once dictionaries and views are unpacked.
pub(super) fn unpacked_bytes(array: &ArrayRef) -> u64 {
    match array.data_type() {
        DataType::Utf8View => view_bytes(array.as_byte_view::<StringViewType>()),
        DataType::BinaryView => view_bytes(array.as_byte_view::<BinaryViewType>()),
        DataType::Dictionary(_, values) => {
            let dictionary = array.as_any_dictionary();
            if dictionary.values().is_empty() {
                return 0; // every row is null
            }
            // A null key may be any number.
            let keys = dictionary.normalized_keys();
            let valid = (0..array.len()).filter(|row| array.is_valid(*row)).map(|row| keys[row]);
            let values_of = dictionary.values();
            match &**values {
                DataType::Utf8 => lengths(valid, values_of.as_string::<i32>().value_offsets()),
                DataType::LargeUtf8 => lengths(valid, values_of.as_string::<i64>().value_offsets()),
                DataType::Binary => lengths(valid, values_of.as_binary::<i32>().value_offsets()),
                DataType::LargeBinary => lengths(valid, values_of.as_binary::<i64>().value_offsets()),
                DataType::FixedSizeBinary(width) => (*width as u64).saturating_mul(array.len() as u64),
                _ => 0,
            }
        }
        _ => 0,
    }
}

fn view_bytes<T: ByteViewType>(array: &GenericByteViewArray<T>) -> u64 {
    // What a null row holds is not unpacked.
    array.lengths().enumerate().filter(|(row, _)| array.is_valid(*row)).map(|(_, length)| u64::from(length)).sum()
}

fn lengths<O: Copy + Into<i64>>(keys: impl Iterator<Item = usize>, offsets: &[O]) -> u64 {
    keys.map(|key| (offsets[key + 1].into() - offsets[key].into()) as u64).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::types::Int8Type;
    use arrow_array::{DictionaryArray, Int8Array, StringArray, StringViewArray};
    use arrow_schema::Field;

    use super::*;

    #[test]
    fn what_repeats_itself_is_counted() {
        let text = "x".repeat(100);
        let views: ArrayRef = Arc::new(StringViewArray::from(vec![Some(text.as_str()), None, Some("ab")]));
        assert_eq!(unpacked_bytes(&views), 102);
        let keys = Int8Array::from(vec![Some(0), Some(0), None, Some(1)]);
        let values = Arc::new(StringArray::from(vec![text.as_str(), "ab"]));
        let dictionary: ArrayRef = Arc::new(DictionaryArray::<Int8Type>::new(keys, values));
        assert_eq!(unpacked_bytes(&dictionary), 202);
        let plain: ArrayRef = Arc::new(StringArray::from(vec![text.as_str()]));
        assert_eq!(unpacked_bytes(&plain), 0);
    }

    #[test]
    fn what_repeats_whole_runs_is_not_taken() {
        let item = |data_type| Arc::new(Field::new("item", data_type, true));
        for taken in [
            DataType::Float32,
            DataType::Date64,
            DataType::Utf8View,
            DataType::Null,
            DataType::List(item(DataType::Utf8)),
            DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8)),
        ] {
            assert!(is_taken(&taken), "{taken}");
        }
        for refused in [
            DataType::RunEndEncoded(item(DataType::Int32), item(DataType::Int64)),
            DataType::ListView(item(DataType::Int64)),
            DataType::List(item(DataType::Null)),
            DataType::List(item(DataType::Utf8View)),
            DataType::FixedSizeList(item(DataType::List(item(DataType::Int64))), 2),
            DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::List(item(DataType::Int64)))),
        ] {
            assert!(!is_taken(&refused), "{refused}");
        }
    }
}
