//! Columns of strings and of bytes.

use super::{OutputColumn, check_end, offset};
use crate::{
    contract::{DataType, Values, VarBytes},
    error::CallError,
    views::{Binaries, Strings},
};

/// A column of strings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StringColumn {
    offsets: Vec<u32>,
    /// Whole strings only, so it is UTF-8; bytes, so that it can grow by pieces of one size (see [`append`]).
    data: Vec<u8>,
}

/// A column of byte strings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BinaryColumn {
    offsets: Vec<u32>,
    data: Vec<u8>,
}

impl StringColumn {
    /// Adds a row.
    #[inline]
    pub fn push(&mut self, value: &str) {
        append(&mut self.data, value.as_bytes());
        self.offsets.push(offset(self.data.len()));
    }

    /// The rows so far. Reads all of them once, to see that they are UTF-8.
    pub fn view(&self) -> Strings<'_> {
        let data = std::str::from_utf8(&self.data).expect("whole strings were pushed");
        Strings::from_checked(&self.offsets, data)
    }

    pub(super) fn into_var_bytes(self) -> Result<VarBytes, CallError> {
        check_end(self.data.len(), "bytes")?;
        Ok(VarBytes { offsets: self.offsets, data: self.data })
    }
}

impl BinaryColumn {
    /// Adds a row.
    #[inline]
    pub fn push(&mut self, value: &[u8]) {
        append(&mut self.data, value);
        self.offsets.push(offset(self.data.len()));
    }

    /// The rows so far.
    pub fn view(&self) -> Binaries<'_> {
        Binaries::from_checked(&self.offsets, &self.data)
    }

    fn into_var_bytes(self) -> Result<VarBytes, CallError> {
        check_end(self.data.len(), "bytes")?;
        Ok(VarBytes { offsets: self.offsets, data: self.data })
    }
}

/// Strings up to this many bytes are copied by [`append`] in pieces.
const SHORT: usize = 64;

/// Appends bytes. A copy whose length is not known to the compiler is a call out of the component, which costs more than a short
/// string does; copies of 16, 8, 4 and 1 bytes are an instruction or two each.
#[inline]
fn append(data: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.len() > SHORT {
        return data.extend_from_slice(bytes);
    }
    data.reserve(bytes.len());
    let (pieces, rest) = bytes.as_chunks::<16>();
    pieces.iter().for_each(|piece| data.extend_from_slice(piece));
    let (pieces, rest) = rest.as_chunks::<8>();
    pieces.iter().for_each(|piece| data.extend_from_slice(piece));
    let (pieces, rest) = rest.as_chunks::<4>();
    pieces.iter().for_each(|piece| data.extend_from_slice(piece));
    rest.iter().for_each(|byte| data.push(*byte));
}

macro_rules! var_bytes_column {
    ($name:ident, $item:ty, $data_type:ident, $values:ident) => {
        impl Default for $name {
            fn default() -> Self {
                Self::with_capacity(0)
            }
        }

        impl<T: AsRef<$item>> FromIterator<T> for $name {
            fn from_iter<I: IntoIterator<Item = T>>(rows: I) -> Self {
                let rows = rows.into_iter();
                let mut column = Self::with_capacity(rows.size_hint().0);
                rows.for_each(|value| column.push(value.as_ref()));
                column
            }
        }

        impl OutputColumn for $name {
            fn data_type() -> DataType {
                DataType::$data_type
            }

            fn with_capacity(rows: usize) -> Self {
                let mut offsets = Vec::with_capacity(rows + 1);
                offsets.push(0);
                Self { offsets, data: Vec::new() }
            }

            fn rows(&self) -> usize {
                self.offsets.len() - 1
            }

            #[inline]
            fn push_empty(&mut self) {
                self.offsets.push(offset(self.data.len()));
            }

            fn into_values(self) -> Result<Values, CallError> {
                self.into_var_bytes().map(Values::$values)
            }
        }
    };
}

var_bytes_column!(StringColumn, str, String, Strings);
var_bytes_column!(BinaryColumn, [u8], Binary, Binaries);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_appended_whole() {
        let bytes: Vec<u8> = (0..=SHORT as u8 + 2).collect();
        for length in 0..bytes.len() {
            let mut data = vec![7];
            append(&mut data, &bytes[..length]);
            assert_eq!(data, [&[7], &bytes[..length]].concat());
        }
    }
}
