//! Columns whose rows all have one size.

use super::{View, wrong_type};
use crate::{
    Timestamp,
    contract::{DataType, Values},
    error::CallError,
};

/// Implements [`View`] for what is a slice in the contract already.
macro_rules! slice_view {
    ($item:ty, $values:ident, $data_type:ident) => {
        impl<'a> View<'a> for &'a [$item] {
            type Item = $item;

            fn data_type() -> DataType {
                DataType::$data_type
            }

            fn from_values(values: &'a Values) -> Result<Self, CallError> {
                match values {
                    Values::$values(values) => Ok(values),
                    other => Err(wrong_type(Self::data_type(), other)),
                }
            }

            #[inline]
            fn rows(self) -> usize {
                self.len()
            }

            #[inline]
            fn value(self, row: usize) -> $item {
                self[row]
            }
        }
    };
}

slice_view!(i64, Int64s, Int64);
slice_view!(f64, Float64s, Float64);

impl<'a, const N: usize> View<'a> for &'a [[f32; N]] {
    type Item = &'a [f32; N];

    fn data_type() -> DataType {
        const { assert!(N > 0, "a vector has at least one value: [f32; 1] or more") };
        DataType::Float32Vector(N as u32)
    }

    fn from_values(values: &'a Values) -> Result<Self, CallError> {
        match values {
            Values::Float32Vectors(vectors) if vectors.width as usize == N => {
                let (rows, rest) = vectors.data.as_chunks();
                if !rest.is_empty() {
                    return Err(CallError::new(format!(
                        "{} values do not divide into vectors of {N}",
                        vectors.data.len()
                    )));
                }
                Ok(rows)
            }
            other => Err(wrong_type(Self::data_type(), other)),
        }
    }

    #[inline]
    fn rows(self) -> usize {
        self.len()
    }

    #[inline]
    fn value(self, row: usize) -> &'a [f32; N] {
        &self[row]
    }
}

/// A view over primitive values that rows read as another type.
macro_rules! mapped_view {
    ($(#[$doc:meta])* $name:ident, $raw:ty => $item:ty, $read:path, $bytes:ident, $values:ident, $data_type:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name<'a>(&'a [$raw]);

        impl<'a> $name<'a> {
            /// Views these values.
            pub const fn new(values: &'a [$raw]) -> Self {
                Self(values)
            }

            /// The values as they crossed the boundary.
            #[inline]
            pub const fn $bytes(self) -> &'a [$raw] {
                self.0
            }

            /// The number of rows.
            #[inline]
            pub const fn len(self) -> usize {
                self.0.len()
            }

            /// Whether there are no rows.
            #[inline]
            pub const fn is_empty(self) -> bool {
                self.0.is_empty()
            }

            /// The value of a row. Panics beyond the last.
            #[inline]
            pub fn value(self, row: usize) -> $item {
                $read(self.0[row])
            }

            /// The values of all rows.
            #[inline]
            pub fn iter(self) -> impl DoubleEndedIterator<Item = $item> + ExactSizeIterator + Clone {
                self.0.iter().copied().map($read)
            }
        }

        impl<'a> View<'a> for $name<'a> {
            type Item = $item;

            fn data_type() -> DataType {
                DataType::$data_type
            }

            fn from_values(values: &'a Values) -> Result<Self, CallError> {
                match values {
                    Values::$values(values) => Ok(Self(values)),
                    other => Err(wrong_type(Self::data_type(), other)),
                }
            }

            #[inline]
            fn rows(self) -> usize {
                self.len()
            }

            #[inline]
            fn value(self, row: usize) -> $item {
                $name::value(self, row)
            }
        }
    };
}

mapped_view!(
    /// A column of `bool`, one byte a row.
    Booleans, u8 => bool, is_true, bytes, Booleans, Boolean
);
mapped_view!(
    /// A column of [`Timestamp`].
    Timestamps, i64 => Timestamp, Timestamp::from_micros, micros, Timestamps, Timestamp
);

#[inline]
fn is_true(byte: u8) -> bool {
    byte != 0
}
