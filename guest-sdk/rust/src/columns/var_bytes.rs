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
    data: String,
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
        self.data.push_str(value);
        self.offsets.push(offset(self.data.len()));
    }

    /// The rows so far.
    pub fn view(&self) -> Strings<'_> {
        Strings::from_checked(&self.offsets, &self.data)
    }

    pub(super) fn into_var_bytes(self) -> Result<VarBytes, CallError> {
        check_end(self.data.len(), "bytes")?;
        Ok(VarBytes { offsets: self.offsets, data: self.data.into_bytes() })
    }
}

impl BinaryColumn {
    /// Adds a row.
    #[inline]
    pub fn push(&mut self, value: &[u8]) {
        self.data.extend_from_slice(value);
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

macro_rules! var_bytes_column {
    ($name:ident, $item:ty, $data:ty, $data_type:ident, $values:ident) => {
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
                Self { offsets, data: <$data>::new() }
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

var_bytes_column!(StringColumn, str, String, String, Strings);
var_bytes_column!(BinaryColumn, [u8], Vec<u8>, Binary, Binaries);
