//! Which rows of a column have a value.

use crate::{contract::Column, error::CallError};

/// Which rows of an input column have a value, and which are null.
#[derive(Debug, Clone, Copy)]
pub struct Validity<'a> {
    /// One bit a row, least significant first, 1 = has a value; none: every row has one.
    bits: Option<&'a [u8]>,
    rows: usize,
}

impl<'a> Validity<'a> {
    /// Every row has a value.
    pub const fn all(rows: usize) -> Self {
        Self { bits: None, rows }
    }

    pub(crate) const fn from_bits(bits: &'a [u8], rows: usize) -> Self {
        Self { bits: Some(bits), rows }
    }

    pub(crate) fn from_column(column: &'a Column, rows: usize) -> Result<Self, CallError> {
        match &column.validity {
            None => Ok(Self::all(rows)),
            Some(bits) if bits.len() == rows.div_ceil(8) => Ok(Self::from_bits(bits, rows)),
            Some(bits) => Err(CallError::new(format!(
                "{} bytes of validity, {} expected for {rows} rows",
                bits.len(),
                rows.div_ceil(8)
            ))),
        }
    }

    /// The number of rows.
    pub const fn len(self) -> usize {
        self.rows
    }

    /// Whether there are no rows.
    pub const fn is_empty(self) -> bool {
        self.rows == 0
    }

    /// Whether this row has a value. Panics beyond the last.
    #[inline]
    pub fn is_valid(self, row: usize) -> bool {
        match self.bits {
            None => {
                assert!(row < self.rows, "row {row} of {}", self.rows);
                true
            }
            Some(bits) => bits[row / 8] >> (row % 8) & 1 == 1,
        }
    }

    /// How many rows are null.
    pub fn null_count(self) -> usize {
        let Some(bits) = self.bits else { return 0 };
        let valid: u32 = bits.iter().map(|byte| byte.count_ones()).sum();
        let padding = match (bits.last(), self.rows % 8) {
            (Some(last), used @ 1..) => (last >> used).count_ones(),
            _ => 0,
        };
        self.rows - (valid - padding) as usize
    }

    /// Whether each row has a value, in order.
    #[inline]
    pub fn iter(self) -> impl ExactSizeIterator<Item = bool> + Clone + 'a {
        (0..self.rows).map(move |row| self.is_valid(row))
    }

    pub(crate) fn bits(self) -> Option<&'a [u8]> {
        self.bits
    }
}

impl PartialEq for Validity<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Validity<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_counted_from_the_least() {
        let validity = Validity::from_bits(&[0b0000_0101, 0b0000_0010], 10);
        let valid: Vec<usize> = (0..10).filter(|&row| validity.is_valid(row)).collect();
        assert_eq!(valid, [0, 2, 9]);
        assert_eq!(validity.null_count(), 7);
        assert_eq!(Validity::all(3).null_count(), 0);
        assert_eq!(Validity::all(3), Validity::from_bits(&[0b111], 3));
        assert_ne!(Validity::all(3), Validity::from_bits(&[0b101], 3));
    }

    #[test]
    fn padding_does_not_count() {
        assert_eq!(Validity::from_bits(&[0xff], 3).null_count(), 0);
        assert_eq!(Validity::from_bits(&[0xf8], 3).null_count(), 3);
        assert_eq!(Validity::from_bits(&[], 0).null_count(), 0);
        assert_eq!(Validity::from_bits(&[0xff, 0x7f], 16).null_count(), 1);
    }
}
