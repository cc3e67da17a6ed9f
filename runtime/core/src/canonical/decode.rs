//! Canonical bytes to values.

use arrow_array::ArrayRef;

use super::encode::{NULL, VALUE};
use super::{CanonicalError, ColumnBuilder, OffsetOverflow, canonical_f32, canonical_f64};
use crate::types::{DataType, Field, ItemType};

/// Decodes rows of `fields`: one array of the canonical Arrow type for each field, with one slot for each row. A row that is
/// `None` is null in every field. Whether a field is nullable is not looked at.
///
/// Bytes that [`super::RowEncoder`] does not write (another tag, a NaN of another form, invalid UTF-8, too few or too many) are an error.
pub fn decode_rows<'a>(
    fields: &[Field],
    rows: impl ExactSizeIterator<Item = Option<&'a [u8]>>,
) -> Result<Vec<ArrayRef>, CanonicalError> {
    let mut builders: Vec<_> = fields.iter().map(|field| ColumnBuilder::new(field.data_type, rows.len())).collect();
    for (row, bytes) in rows.enumerate() {
        let Some(bytes) = bytes else {
            builders.iter_mut().for_each(ColumnBuilder::null);
            continue;
        };
        let mut reader = Reader { rest: bytes };
        for (field, builder) in fields.iter().zip(&mut builders) {
            decode_value(&mut reader, builder).map_err(|fault| match fault {
                Fault::Malformed(reason) => CanonicalError::Malformed {
                    row,
                    field: field.name.clone(),
                    offset: bytes.len() - reader.rest.len(),
                    reason,
                },
                Fault::TooLarge => CanonicalError::TooLarge { row, field: field.name.clone() },
            })?;
        }
        if !reader.rest.is_empty() {
            return Err(CanonicalError::TrailingBytes { row, extra: reader.rest.len() });
        }
    }
    Ok(builders.into_iter().map(ColumnBuilder::finish).collect())
}

/// Appends the one value that a row of one column has.
pub(crate) fn decode_value_into(bytes: &[u8], builder: &mut ColumnBuilder) -> Result<(), CanonicalError> {
    let mut reader = Reader { rest: bytes };
    decode_value(&mut reader, builder).map_err(|fault| match fault {
        Fault::Malformed(reason) => {
            CanonicalError::Malformed { row: 0, field: String::new(), offset: bytes.len() - reader.rest.len(), reason }
        }
        Fault::TooLarge => CanonicalError::TooLarge { row: 0, field: String::new() },
    })
}

enum Fault {
    Malformed(&'static str),
    TooLarge,
}

impl From<OffsetOverflow> for Fault {
    fn from(_: OffsetOverflow) -> Self {
        Fault::TooLarge
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let (bytes, rest) = self.rest.split_at_checked(count).ok_or(Fault::Malformed("the bytes end too early"))?;
        self.rest = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(Fault::Malformed("the bytes end too early"))?;
        self.rest = rest;
        Ok(*bytes)
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn int64(&mut self) -> Result<i64, Fault> {
        self.array().map(i64::from_le_bytes)
    }

    fn length(&mut self) -> Result<usize, Fault> {
        self.array().map(|bytes| u32::from_le_bytes(bytes) as usize)
    }

    /// Bytes behind their length.
    fn var_bytes(&mut self) -> Result<&'a [u8], Fault> {
        let length = self.length()?;
        self.bytes(length)
    }

    fn string(&mut self) -> Result<&'a str, Fault> {
        std::str::from_utf8(self.var_bytes()?).map_err(|_| Fault::Malformed("a string is not UTF-8"))
    }

    /// `count` numbers of N bytes. Nothing is reserved for a count that the bytes do not bear out.
    fn chunks<const N: usize>(&mut self, count: usize) -> Result<&'a [[u8; N]], Fault> {
        let length = count.checked_mul(N).ok_or(Fault::Malformed("the bytes end too early"))?;
        Ok(self.bytes(length)?.as_chunks().0)
    }
}

fn decode_value(reader: &mut Reader<'_>, builder: &mut ColumnBuilder) -> Result<(), Fault> {
    match reader.byte()? {
        NULL => {
            builder.null();
            return Ok(());
        }
        VALUE => {}
        _ => return Err(Fault::Malformed("the tag is neither null nor value")),
    }
    match builder.data_type() {
        DataType::Boolean => match reader.byte()? {
            0 => builder.boolean(false),
            1 => builder.boolean(true),
            _ => return Err(Fault::Malformed("a boolean is neither 0 nor 1")),
        },
        DataType::Int64 | DataType::Timestamp => builder.int64(reader.int64()?),
        DataType::Float64 => builder.float64(float64(reader.array()?)?),
        DataType::String => builder.bytes(reader.string()?.as_bytes())?,
        DataType::Binary => builder.bytes(reader.var_bytes()?)?,
        DataType::Float32Vector(width) => {
            let items = reader.chunks(width as usize)?;
            items.iter().try_for_each(|bytes| float32(*bytes))?;
            builder.vector(items.iter().map(|bytes| f32::from_le_bytes(*bytes)));
        }
        DataType::Sequence(ItemType::Int64) => {
            let count = reader.length()?;
            builder.int64s(reader.chunks(count)?.iter().map(|bytes| i64::from_le_bytes(*bytes)))?;
        }
        DataType::Sequence(ItemType::Float64) => {
            let count = reader.length()?;
            let items = reader.chunks(count)?;
            items.iter().try_for_each(|bytes| float64(*bytes).map(drop))?;
            builder.float64s(items.iter().map(|bytes| f64::from_le_bytes(*bytes)))?;
        }
        DataType::Sequence(ItemType::String) => {
            let count = reader.length()?;
            // Collecting results reserves nothing for a count that the bytes do not bear out.
            let items = (0..count).map(|_| reader.string()).collect::<Result<Vec<_>, _>>()?;
            builder.strings(items.into_iter())?;
        }
    }
    Ok(())
}

const OTHER_NAN: Fault = Fault::Malformed("a NaN is not the canonical one");

fn float64(bytes: [u8; 8]) -> Result<f64, Fault> {
    let value = f64::from_le_bytes(bytes);
    if canonical_f64(value).to_bits() == value.to_bits() { Ok(value) } else { Err(OTHER_NAN) }
}

fn float32(bytes: [u8; 4]) -> Result<(), Fault> {
    let value = f32::from_le_bytes(bytes);
    if canonical_f32(value).to_bits() == value.to_bits() { Ok(()) } else { Err(OTHER_NAN) }
}
