//! Columns whose rows hold any number of items.

use super::{OutputColumn, StringColumn, check_end, offset};
use crate::{
    contract::{DataType, ItemType, Items, Sequences as SequenceValues, Values},
    error::CallError,
    views::{Sequences, StringSequences},
};

/// A column of sequences of `i64` or `f64`.
#[derive(Debug, Clone, PartialEq)]
pub struct SequenceColumn<T> {
    offsets: Vec<u32>,
    items: Vec<T>,
}

/// A column of sequences of strings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StringSequenceColumn {
    offsets: Vec<u32>,
    items: StringColumn,
}

impl<T: Copy> SequenceColumn<T> {
    /// Adds a row of these items.
    #[inline]
    pub fn push(&mut self, items: impl IntoIterator<Item = T>) {
        self.items.extend(items);
        self.offsets.push(offset(self.items.len()));
    }

    /// The rows so far.
    pub fn view(&self) -> Sequences<'_, T> {
        Sequences::from_checked(&self.offsets, &self.items)
    }
}

impl StringSequenceColumn {
    /// Adds a row of these strings.
    #[inline]
    pub fn push<T: AsRef<str>>(&mut self, items: impl IntoIterator<Item = T>) {
        for item in items {
            self.items.push(item.as_ref());
        }
        self.offsets.push(offset(self.items.rows()));
    }

    /// The rows so far.
    pub fn view(&self) -> StringSequences<'_> {
        StringSequences::from_checked(&self.offsets, self.items.view())
    }
}

impl<T: Copy, R: IntoIterator<Item = T>> FromIterator<R> for SequenceColumn<T>
where
    Self: OutputColumn,
{
    fn from_iter<I: IntoIterator<Item = R>>(rows: I) -> Self {
        let rows = rows.into_iter();
        let mut column = Self::with_capacity(rows.size_hint().0);
        rows.for_each(|row| column.push(row));
        column
    }
}

impl<T: AsRef<str>, R: IntoIterator<Item = T>> FromIterator<R> for StringSequenceColumn {
    fn from_iter<I: IntoIterator<Item = R>>(rows: I) -> Self {
        let rows = rows.into_iter();
        let mut column = Self::with_capacity(rows.size_hint().0);
        rows.for_each(|row| column.push(row));
        column
    }
}

macro_rules! sequence_column {
    ($name:ty, $item_type:ident, $values:ident, $empty:expr, |$items:ident| $length:expr, $lower:expr) => {
        impl Default for $name {
            fn default() -> Self {
                Self::with_capacity(0)
            }
        }

        impl OutputColumn for $name {
            fn data_type() -> DataType {
                DataType::Sequence(ItemType::$item_type)
            }

            fn with_capacity(rows: usize) -> Self {
                let mut offsets = Vec::with_capacity(rows + 1);
                offsets.push(0);
                Self { offsets, items: $empty }
            }

            fn rows(&self) -> usize {
                self.offsets.len() - 1
            }

            #[inline]
            fn push_empty(&mut self) {
                let $items = &self.items;
                let end = $length;
                self.offsets.push(offset(end));
            }

            fn into_values(self) -> Result<Values, CallError> {
                let $items = &self.items;
                check_end($length, "items")?;
                let $items = self.items;
                Ok(Values::Sequences(SequenceValues { offsets: self.offsets, items: Items::$values($lower) }))
            }
        }
    };
}

sequence_column!(SequenceColumn<i64>, Int64, Int64s, Vec::new(), |items| items.len(), items);
sequence_column!(SequenceColumn<f64>, Float64, Float64s, Vec::new(), |items| items.len(), items);
sequence_column!(
    StringSequenceColumn,
    String,
    Strings,
    StringColumn::default(),
    |items| items.rows(),
    items.into_var_bytes()?
);
