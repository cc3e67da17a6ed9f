//! Columns with nulls.

use super::{Mask, OutputColumn, Slot};
use crate::{
    contract::{Column, DataType, Values},
    error::CallError,
    output::OutputType,
};

/// A column whose rows may be null.
///
/// Collected from options, or made of values for all rows and a mask, which keeps the loop over the values free of
/// branches:
///
/// ```
/// use tandem_sdk::{columns::{Mask, NullableColumn}, views::Nullable};
///
/// fn halves(amount: Nullable<'_, &[f64]>) -> NullableColumn<Vec<f64>> {
///     let halves = amount.values.iter().map(|amount| amount / 2.0).collect();
///     NullableColumn::from_values(halves, Mask::from(amount.validity))
/// }
/// assert_eq!(halves(Nullable::all_valid(&[3.0][..])), [Some(1.5)].into_iter().collect());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NullableColumn<C> {
    values: C,
    mask: Mask,
}

impl<C: OutputColumn> NullableColumn<C> {
    /// Adds a row, null if none.
    #[inline]
    pub fn push<T: OutputType<Column = C>>(&mut self, value: Option<T>) {
        self.mask.push(value.is_some());
        match value {
            Some(value) => value.push(&mut self.values),
            None => self.values.push_empty(),
        }
    }

    /// The values of all rows, zero (or nothing) where null.
    pub fn values(&self) -> &C {
        &self.values
    }

    /// Which rows have a value.
    pub fn mask(&self) -> &Mask {
        &self.mask
    }
}

impl<T: Slot> NullableColumn<Vec<T>> {
    /// A column of these values where the mask says so, null elsewhere. The values under nulls are forgotten.
    ///
    /// If there are more or fewer values than rows in the mask, the call fails when the column crosses the boundary.
    pub fn from_values(mut values: Vec<T>, mask: Mask) -> Self {
        mask.for_each_null(|row| {
            if let Some(slot) = values.get_mut(row) {
                *slot = T::ZERO;
            }
        });
        Self { values, mask }
    }
}

impl<C: OutputColumn, T: OutputType<Column = C>> FromIterator<Option<T>> for NullableColumn<C> {
    fn from_iter<I: IntoIterator<Item = Option<T>>>(rows: I) -> Self {
        let rows = rows.into_iter();
        let mut column = Self::with_capacity(rows.size_hint().0);
        rows.for_each(|value| column.push(value));
        column
    }
}

impl<C: OutputColumn> OutputColumn for NullableColumn<C> {
    const NULLABLE: bool = true;

    fn data_type() -> DataType {
        C::data_type()
    }

    fn with_capacity(rows: usize) -> Self {
        Self { values: C::with_capacity(rows), mask: Mask::with_capacity(rows) }
    }

    fn rows(&self) -> usize {
        self.values.rows()
    }

    #[inline]
    fn push_empty(&mut self) {
        self.mask.push(false);
        self.values.push_empty();
    }

    fn into_values(self) -> Result<Values, CallError> {
        self.values.into_values()
    }

    fn into_column(self) -> Result<Column, CallError> {
        let (rows, masked) = (self.values.rows(), self.mask.len());
        if rows != masked {
            return Err(CallError::new(format!("{rows} rows of values, {masked} rows in the mask")));
        }
        Ok(Column { values: self.values.into_values()?, validity: self.mask.into_validity() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::VarBytes;

    #[test]
    fn nothing_lies_under_a_null() {
        let mask: Mask = [true, false].into_iter().collect();
        let column = NullableColumn::from_values(vec![1.0, f64::NAN], mask).into_column().unwrap();
        assert_eq!(column, Column { values: Values::Float64s(vec![1.0, 0.0]), validity: Some(vec![0b01]) });
        let column: NullableColumn<crate::columns::StringColumn> = [Some("é"), None, Some("")].into_iter().collect();
        assert_eq!(
            column.into_column().unwrap(),
            Column {
                values: Values::Strings(VarBytes { offsets: vec![0, 2, 2, 2], data: "é".into() }),
                validity: Some(vec![0b101]),
            }
        );
    }

    #[test]
    fn a_mask_of_another_length_is_refused() {
        let column = NullableColumn::from_values(vec![1, 2, 3], Mask::all_valid(2));
        assert_eq!(column.into_column().unwrap_err().to_string(), "3 rows of values, 2 rows in the mask");
    }
}
