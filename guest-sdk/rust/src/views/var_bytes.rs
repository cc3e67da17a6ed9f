//! Columns of strings and of bytes.

use std::fmt;

use super::{View, offsets, wrong_type};
use crate::{
    contract::{DataType, Values, VarBytes},
    error::CallError,
};

/// Strings one after another: a column of strings, or the strings of one row of a
/// [`StringSequences`](super::StringSequences).
///
/// ```
/// use tandem_sdk::{columns::StringColumn, views::Strings};
///
/// fn longest(words: Strings<'_>) -> usize {
///     words.iter().map(str::len).max().unwrap_or(0)
/// }
/// let column: StringColumn = ["tea", "coffee"].into_iter().collect();
/// assert_eq!(longest(column.view()), 6);
/// ```
#[derive(Clone, Copy)]
pub struct Strings<'a> {
    /// n + 1 offsets in order, each at a character boundary of `data`.
    offsets: &'a [u32],
    data: &'a str,
}

/// Byte strings one after another.
#[derive(Clone, Copy)]
pub struct Binaries<'a> {
    /// n + 1 offsets in order, each within `data`.
    offsets: &'a [u32],
    data: &'a [u8],
}

impl<'a> Strings<'a> {
    /// For offsets already known to be right.
    pub(crate) fn from_checked(offsets: &'a [u32], data: &'a str) -> Self {
        Self { offsets, data }
    }

    pub(crate) fn from_var_bytes(strings: &'a VarBytes) -> Result<Self, CallError> {
        let VarBytes { offsets, data } = strings;
        offsets::check(offsets, data.len(), "bytes")?;
        let data = std::str::from_utf8(data).map_err(|error| CallError::new(error).on("not UTF-8"))?;
        if !offsets.iter().all(|&offset| data.is_char_boundary(offset as usize)) {
            return Err(CallError::new("an offset lies within a character"));
        }
        Ok(Self { offsets, data })
    }

    /// Strings `start` to `end`, without copying.
    pub(super) fn slice(self, range: std::ops::Range<usize>) -> Self {
        Self { offsets: &self.offsets[range.start..=range.end], data: self.data }
    }
}

impl<'a> Binaries<'a> {
    /// For offsets already known to be right.
    pub(crate) fn from_checked(offsets: &'a [u32], data: &'a [u8]) -> Self {
        Self { offsets, data }
    }

    fn from_var_bytes(binaries: &'a VarBytes) -> Result<Self, CallError> {
        let VarBytes { offsets, data } = binaries;
        offsets::check(offsets, data.len(), "bytes")?;
        Ok(Self { offsets, data })
    }
}

macro_rules! var_bytes {
    ($name:ident, $item:ty, $values:ident, $data_type:ident) => {
        impl<'a> $name<'a> {
            /// How many there are.
            #[inline]
            pub const fn len(self) -> usize {
                self.offsets.len() - 1
            }

            /// Whether there are none.
            #[inline]
            pub const fn is_empty(self) -> bool {
                self.len() == 0
            }

            /// The value at an index. Panics beyond the last.
            #[inline]
            pub fn value(self, index: usize) -> &'a $item {
                &self.data[offsets::range(self.offsets, index)]
            }

            /// The value at an index, if there is one.
            #[inline]
            pub fn get(self, index: usize) -> Option<&'a $item> {
                (index < self.len()).then(|| self.value(index))
            }

            /// All values in order.
            #[inline]
            pub fn iter(self) -> impl DoubleEndedIterator<Item = &'a $item> + ExactSizeIterator + Clone {
                (0..self.len()).map(move |index| self.value(index))
            }
        }

        impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_list().entries(self.iter()).finish()
            }
        }

        impl PartialEq for $name<'_> {
            fn eq(&self, other: &Self) -> bool {
                self.iter().eq(other.iter())
            }
        }

        impl Eq for $name<'_> {}

        impl<'a> View<'a> for $name<'a> {
            type Item = &'a $item;

            fn data_type() -> DataType {
                DataType::$data_type
            }

            fn from_values(values: &'a Values) -> Result<Self, CallError> {
                match values {
                    Values::$values(values) => Self::from_var_bytes(values),
                    other => Err(wrong_type(Self::data_type(), other)),
                }
            }

            #[inline]
            fn rows(self) -> usize {
                self.len()
            }

            #[inline]
            fn value(self, row: usize) -> &'a $item {
                $name::value(self, row)
            }
        }
    };
}

var_bytes!(Strings, str, Strings, String);
var_bytes!(Binaries, [u8], Binaries, Binary);

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(offsets: &[u32], data: &[u8]) -> Values {
        Values::Strings(VarBytes { offsets: offsets.to_vec(), data: data.to_vec() })
    }

    #[test]
    fn strings_are_read_and_checked() {
        let values = strings(&[0, 0, 5, 8], "Zürié€".as_bytes());
        assert!(Strings::from_values(&values).is_err());
        let values = strings(&[0, 0, 5, 10], "Züri€é".as_bytes());
        let view = Strings::from_values(&values).unwrap();
        assert_eq!(view.iter().collect::<Vec<_>>(), ["", "Züri", "€é"]);
        assert_eq!(view.iter().next_back(), Some("€é"));
        assert_eq!(view.get(3), None);
        assert_eq!(format!("{view:?}"), r#"["", "Züri", "€é"]"#);

        let message = |values: &Values| Strings::from_values(values).unwrap_err().to_string();
        assert_eq!(message(&strings(&[0, 2, 3], "aü".as_bytes())), "an offset lies within a character");
        assert_eq!(message(&strings(&[0, 1], b"\xff")), "not UTF-8: invalid utf-8 sequence of 1 bytes from index 0");
        assert_eq!(message(&Values::Float64s(vec![])), "expected string, given float64");
    }
}
