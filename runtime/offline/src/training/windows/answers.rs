//! The values of a view's features, put together of those of chunks, in any order of the chunks.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, TimestampMicrosecondArray, new_empty_array};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBuffer, ScalarBuffer};
use arrow_schema::ArrowError;
use arrow_select::concat::concat;
use tandem_core::types::{DataType, Field};

/// One column for each feature, one row for each slot.
pub(super) struct Answers {
    slots: usize,
    columns: Vec<Column>,
}

struct Column {
    data_type: DataType,
    /// Of values of eight bytes the bytes of all slots, so that they are held once.
    eight: Option<Vec<i64>>,
    /// Of chunks that have nulls which slots have values, by the first slot.
    valid: Vec<(usize, NullBuffer)>,
    /// Of other values those of each chunk, by the first slot.
    pieces: Vec<(usize, ArrayRef)>,
}

impl Answers {
    /// Room for the values of `slots` slots.
    pub(super) fn new(outputs: &[Field], slots: usize) -> Self {
        let column = |output: &Field| {
            let is_eight = matches!(output.data_type, DataType::Int64 | DataType::Float64 | DataType::Timestamp);
            // Zeroed, so that the system gives memory as it is written to.
            let eight = is_eight.then(|| vec![0; slots]);
            Column { data_type: output.data_type, eight, valid: Vec::new(), pieces: Vec::new() }
        };
        Answers { slots, columns: outputs.iter().map(column).collect() }
    }

    /// Takes the values of the slots from `first` on.
    pub(super) fn put(&mut self, first: usize, arrays: Vec<ArrayRef>) {
        for (column, array) in self.columns.iter_mut().zip(arrays) {
            let Some(all) = &mut column.eight else {
                column.pieces.push((first, array));
                continue;
            };
            let bytes = match column.data_type {
                DataType::Float64 => array.as_primitive::<Float64Type>().values().inner(),
                DataType::Timestamp => array.as_primitive::<TimestampMicrosecondType>().values().inner(),
                _ => array.as_primitive::<Int64Type>().values().inner(),
            };
            all[first..first + array.len()].copy_from_slice(bytes.typed_data::<i64>());
            if let Some(nulls) = array.nulls().filter(|nulls| nulls.null_count() > 0) {
                column.valid.push((first, nulls.clone()));
            }
        }
    }

    /// The columns.
    ///
    /// # Errors
    ///
    /// Texts that take more than an array of them can have.
    pub(super) fn finish(self) -> Result<Vec<ArrayRef>, ArrowError> {
        let slots = self.slots;
        self.columns.into_iter().map(|column| column.finish(slots)).collect()
    }
}

impl Column {
    fn finish(mut self, slots: usize) -> Result<ArrayRef, ArrowError> {
        let Some(all) = self.eight else {
            self.pieces.sort_unstable_by_key(|(first, _)| *first);
            let pieces: Vec<&dyn Array> = self.pieces.iter().map(|(_, array)| array.as_ref()).collect();
            return match &pieces[..] {
                [] => Ok(new_empty_array(&self.data_type.to_arrow())),
                [_] => Ok(self.pieces.remove(0).1),
                _ => concat(&pieces),
            };
        };
        let nulls = (!self.valid.is_empty()).then(|| {
            self.valid.sort_unstable_by_key(|(first, _)| *first);
            let mut valid = BooleanBufferBuilder::new(slots);
            for (first, nulls) in &self.valid {
                valid.append_n(first - valid.len(), true);
                valid.append_buffer(nulls.inner());
            }
            valid.append_n(slots - valid.len(), true);
            NullBuffer::new(valid.finish())
        });
        let bytes = Buffer::from_vec(all);
        Ok(match self.data_type {
            DataType::Float64 => Arc::new(Float64Array::new(ScalarBuffer::new(bytes, 0, slots), nulls)),
            DataType::Timestamp => {
                let times = TimestampMicrosecondArray::new(ScalarBuffer::new(bytes, 0, slots), nulls);
                Arc::new(times.with_timezone("UTC"))
            }
            _ => Arc::new(Int64Array::new(ScalarBuffer::new(bytes, 0, slots), nulls)),
        })
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::StringArray;

    use super::*;

    #[test]
    fn chunks_come_together_in_the_order_of_their_slots() {
        let field = |name: &str, data_type| Field::new(name, data_type, true);
        let fields = [
            field("sum", DataType::Float64),
            field("count", DataType::Int64),
            field("last", DataType::Timestamp),
            field("shop", DataType::String),
        ];
        let chunk = |sums: &[Option<f64>], counts: &[i64], shops: &[Option<&str>]| -> Vec<ArrayRef> {
            let times: TimestampMicrosecondArray = sums.iter().map(|sum| sum.map(|sum| sum as i64)).collect();
            vec![
                Arc::new(Float64Array::from(sums.to_vec())),
                Arc::new(Int64Array::from(counts.to_vec())),
                Arc::new(times.with_timezone("UTC")),
                Arc::new(StringArray::from(shops.to_vec())),
            ]
        };
        let chunks = [
            (0, chunk(&[Some(1.0), Some(2.0)], &[1, 2], &[Some("a"), None])),
            (2, chunk(&[None, Some(-0.0), None], &[3, 4, 5], &[None, Some("b"), Some("c")])),
            (5, chunk(&[Some(f64::NAN)], &[6], &[None])),
        ];
        let whole = chunk(
            &[Some(1.0), Some(2.0), None, Some(-0.0), None, Some(f64::NAN)],
            &[1, 2, 3, 4, 5, 6],
            &[Some("a"), None, None, Some("b"), Some("c"), None],
        );
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let mut answers = Answers::new(&fields, 6);
            for index in order {
                let (first, arrays) = &chunks[index];
                answers.put(*first, arrays.clone());
            }
            let found = answers.finish().unwrap();
            // As they are written, since NaN is like no other NaN.
            assert_eq!(format!("{found:?}"), format!("{whole:?}"));
        }
        let none = Answers::new(&fields, 0).finish().unwrap();
        assert!(none.iter().zip(&whole).all(|(none, whole)| none.is_empty() && none.data_type() == whole.data_type()));
    }
}
