//! Columns whose rows hold any number of items.

use super::{Strings, View, offsets, wrong_type};
use crate::{
    contract::{DataType, ItemType, Items, Values},
    error::CallError,
};

/// A column of sequences of `i64` or `f64`; a row is a slice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sequences<'a, T> {
    /// n + 1 offsets in order, each within `items`.
    offsets: &'a [u32],
    items: &'a [T],
}

/// A column of sequences of strings; a row is a [`Strings`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StringSequences<'a> {
    /// n + 1 offsets in order, each within `items`.
    offsets: &'a [u32],
    items: Strings<'a>,
}

macro_rules! sequences {
    ([$($generic:ident: Copy)?] $name:ty, $items:ty, $row:ty, |$view:ident, $range:ident| $slice:expr) => {
        impl<'a $(, $generic: Copy)?> $name {
            /// For offsets already known to be right.
            pub(crate) fn from_checked(offsets: &'a [u32], items: $items) -> Self {
                Self { offsets, items }
            }

            /// The number of rows.
            #[inline]
            pub fn len(self) -> usize {
                self.offsets.len() - 1
            }

            /// Whether there are no rows.
            #[inline]
            pub fn is_empty(self) -> bool {
                self.len() == 0
            }

            /// The items of all rows, one after another.
            #[inline]
            pub fn items(self) -> $items {
                self.items
            }

            /// The items of a row. Panics beyond the last.
            #[inline]
            pub fn value(self, row: usize) -> $row {
                let ($view, $range) = (self, offsets::range(self.offsets, row));
                $slice
            }

            /// The items of each row, in order.
            #[inline]
            pub fn iter(self) -> impl ExactSizeIterator<Item = $row> {
                (0..self.len()).map(move |row| self.value(row))
            }
        }
    };
}

sequences!([T: Copy] Sequences<'a, T>, &'a [T], &'a [T], |view, range| &view.items[range]);
sequences!([] StringSequences<'a>, Strings<'a>, Strings<'a>, |view, range| view.items.slice(range));

macro_rules! sequence_view {
    ($name:ty, $row:ty, $items:ident, $item_type:ident, |$given:ident| $convert:expr) => {
        impl<'a> View<'a> for $name {
            type Item = $row;

            fn data_type() -> DataType {
                DataType::Sequence(ItemType::$item_type)
            }

            fn from_values(values: &'a Values) -> Result<Self, CallError> {
                let Values::Sequences(sequences) = values else {
                    return Err(wrong_type(Self::data_type(), values));
                };
                let Items::$items($given) = &sequences.items else {
                    return Err(wrong_type(Self::data_type(), values));
                };
                let items = $convert;
                offsets::check(&sequences.offsets, items.len(), "items")?;
                Ok(Self { offsets: &sequences.offsets, items })
            }

            #[inline]
            fn rows(self) -> usize {
                self.len()
            }

            #[inline]
            fn value(self, row: usize) -> $row {
                <$name>::value(self, row)
            }
        }
    };
}

sequence_view!(Sequences<'a, i64>, &'a [i64], Int64s, Int64, |items| items.as_slice());
sequence_view!(Sequences<'a, f64>, &'a [f64], Float64s, Float64, |items| items.as_slice());
sequence_view!(StringSequences<'a>, Strings<'a>, Strings, String, |items| Strings::from_var_bytes(items)?);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Sequences as Column, VarBytes};

    #[test]
    fn rows_are_slices() {
        let values = Values::Sequences(Column { offsets: vec![0, 2, 2, 3], items: Items::Int64s(vec![1, 2, 3]) });
        let view = Sequences::<i64>::from_values(&values).unwrap();
        assert_eq!(view.iter().collect::<Vec<_>>(), [&[1, 2][..], &[], &[3]]);
        assert_eq!(
            Sequences::<f64>::from_values(&values).unwrap_err().to_string(),
            "expected sequence(float64), given sequence(int64)"
        );
    }

    #[test]
    fn rows_of_strings_are_strings() {
        let values = Values::Sequences(Column {
            offsets: vec![0, 0, 2, 3],
            items: Items::Strings(VarBytes { offsets: vec![0, 1, 3, 3], data: "aé".into() }),
        });
        let view = StringSequences::from_values(&values).unwrap();
        let rows: Vec<Vec<&str>> = view.iter().map(|row| row.iter().collect()).collect();
        assert_eq!(rows, [vec![], vec!["a", "é"], vec![""]]);
        let values = Values::Sequences(Column {
            offsets: vec![0, 4],
            items: Items::Strings(VarBytes { offsets: vec![0, 1, 3, 3], data: "aé".into() }),
        });
        assert_eq!(
            StringSequences::from_values(&values).unwrap_err().to_string(),
            "offsets from 0 to 4, expected from 0 to 3 (items)"
        );
    }
}
