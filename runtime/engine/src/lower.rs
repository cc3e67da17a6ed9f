//! Arrow columns in the contract's layout, borrowed where they already are in it.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, GenericByteArray, types::ByteArrayType};
use arrow_buffer::{Buffer, NullBuffer, ScalarBuffer};
use tandem_core::types::{DataType, Field, ItemType};

use crate::bindings::tandem::feature::columns as wit;
use crate::bits::unpack;
use crate::clean::{canonical_nans, compact, unsigned, zeroed};
use crate::error::EngineError;

/// A column as a call takes it. Holds on to Arrow's buffers instead of copying them, but for booleans (bits become bytes)
/// and for what has to be cleaned.
pub(crate) struct LoweredColumn {
    values: Values,
    validity: Option<Vec<u8>>,
}

enum Values {
    Booleans(Vec<u8>),
    Int64s(ScalarBuffer<i64>),
    Float64s(ScalarBuffer<f64>),
    Timestamps(ScalarBuffer<i64>),
    Strings(Bytes),
    Binaries(Bytes),
    Vectors { width: u32, data: ScalarBuffer<f32> },
    Sequences { offsets: ScalarBuffer<u32>, items: Items },
}

enum Items {
    Int64s(ScalarBuffer<i64>),
    Float64s(ScalarBuffer<f64>),
    Strings(Bytes),
}

struct Bytes {
    offsets: ScalarBuffer<u32>,
    data: Buffer,
}

/// Lowers a column of the canonical Arrow type of `field`, as the session has checked it to be.
///
/// # Errors
///
/// Null items in a vector or sequence.
pub(crate) fn lower(field: &Field, array: &ArrayRef) -> Result<LoweredColumn, EngineError> {
    let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
    let values = match field.data_type {
        DataType::Boolean => {
            let array = array.as_boolean();
            let bits = array.values();
            Values::Booleans(nulls.map_or_else(|| unpack(bits), |nulls| unpack(&(bits & nulls.inner()))))
        }
        DataType::Int64 => Values::Int64s(zeroed(array.as_primitive::<Int64Type>().values().clone(), 1, nulls)),
        DataType::Timestamp => {
            Values::Timestamps(zeroed(array.as_primitive::<TimestampMicrosecondType>().values().clone(), 1, nulls))
        }
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>().values().clone();
            Values::Float64s(canonical_nans(zeroed(values, 1, nulls)))
        }
        DataType::String => Values::Strings(lower_bytes(array.as_string::<i32>(), nulls)),
        DataType::Binary => Values::Binaries(lower_bytes(array.as_binary::<i32>(), nulls)),
        DataType::Float32Vector(width) => {
            let list = array.as_fixed_size_list();
            let values = list.values().as_primitive::<Float32Type>();
            let null_item = |row: usize| (0..width as usize).any(|i| values.is_null(row * width as usize + i));
            if values.null_count() > 0
                && let Some(row) = (0..list.len()).find(|row| list.is_valid(*row) && null_item(*row))
            {
                return Err(null_items(field, row));
            }
            let data = canonical_nans(zeroed(values.values().clone(), width as usize, nulls));
            Values::Vectors { width, data }
        }
        DataType::Sequence(item) => {
            let list = array.as_list::<i32>();
            let compacted = compact(unsigned(list.offsets().inner()), nulls);
            let items = compacted.kept.items(list.values());
            if let Some(nulls) = items.nulls().filter(|nulls| nulls.null_count() > 0) {
                let item = (0..nulls.len()).find(|i| nulls.is_null(*i)).unwrap_or_default();
                let row = compacted.offsets.partition_point(|offset| *offset as usize <= item) - 1;
                return Err(null_items(field, row));
            }
            let items = match item {
                ItemType::Int64 => Items::Int64s(items.as_primitive::<Int64Type>().values().clone()),
                ItemType::Float64 => {
                    Items::Float64s(canonical_nans(items.as_primitive::<Float64Type>().values().clone()))
                }
                ItemType::String => Items::Strings(lower_bytes(items.as_string::<i32>(), None)),
            };
            Values::Sequences { offsets: compacted.offsets, items }
        }
    };
    Ok(LoweredColumn { values, validity: nulls.map(validity) })
}

fn null_items(field: &Field, row: usize) -> EngineError {
    EngineError::Inputs(format!(
        "input `{}` has a null item in row {row}; items of a {} are never null",
        field.name, field.data_type
    ))
}

fn lower_bytes<T: ByteArrayType<Offset = i32>>(array: &GenericByteArray<T>, nulls: Option<&NullBuffer>) -> Bytes {
    let compacted = compact(unsigned(array.offsets().inner()), nulls);
    Bytes { data: compacted.kept.bytes(array.values()), offsets: compacted.offsets }
}

/// One bit a row, least significant first, from bit 0 on, padded with zeros.
fn validity(nulls: &NullBuffer) -> Vec<u8> {
    let mut bytes = nulls.inner().sliced().as_slice()[..nulls.len().div_ceil(8)].to_vec();
    if let (Some(last), used @ 1..) = (bytes.last_mut(), nulls.len() % 8) {
        *last &= (1 << used) - 1;
    }
    bytes
}

impl LoweredColumn {
    /// The column as a call takes it.
    pub(crate) fn borrow(&self) -> wit::ColumnParam<'_> {
        use wit::ValuesParam as To;
        let values = match &self.values {
            Values::Booleans(bytes) => To::Booleans(bytes),
            Values::Int64s(values) => To::Int64s(values),
            Values::Float64s(values) => To::Float64s(values),
            Values::Timestamps(values) => To::Timestamps(values),
            Values::Strings(bytes) => To::Strings(bytes.borrow()),
            Values::Binaries(bytes) => To::Binaries(bytes.borrow()),
            Values::Vectors { width, data } => To::Float32Vectors(wit::VectorsParam { width: *width, data }),
            Values::Sequences { offsets, items } => To::Sequences(wit::SequencesParam {
                offsets,
                items: match items {
                    Items::Int64s(values) => wit::ItemsParam::Int64s(values),
                    Items::Float64s(values) => wit::ItemsParam::Float64s(values),
                    Items::Strings(bytes) => wit::ItemsParam::Strings(bytes.borrow()),
                },
            }),
        };
        wit::ColumnParam { values, validity: self.validity.as_deref() }
    }
}

impl Bytes {
    fn borrow(&self) -> wit::VarBytesParam<'_> {
        wit::VarBytesParam { offsets: &self.offsets, data: &self.data }
    }
}

/// Strings behind offsets.
///
/// # Panics
///
/// Over 4 GiB of text; definition files are smaller.
pub(crate) fn offsets_and_bytes(texts: &[String]) -> (Vec<u32>, Vec<u8>) {
    let data = texts.concat().into_bytes();
    let mut end = 0;
    let ends = texts.iter().map(|text| {
        end += text.len();
        u32::try_from(end).expect("parameters are smaller than 4 GiB")
    });
    (std::iter::once(0).chain(ends).collect(), data)
}
