//! Which rows of an output column have a value.

use crate::views::Validity;

/// Which rows of an output column have a value, and which are null: one bit a row.
///
/// ```
/// use tandem_sdk::{columns::Mask, views::Validity};
///
/// let mut mask: Mask = [true, false, true].into_iter().collect();
/// mask.set_null(2);
/// assert_eq!(mask.view().iter().collect::<Vec<_>>(), [true, false, false]);
/// mask.retain(Validity::all(3));
/// assert_eq!(mask.null_count(), 2);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mask {
    /// Least significant bit first, padding zero.
    bits: Vec<u8>,
    rows: usize,
}

impl Mask {
    /// Every row has a value.
    pub fn all_valid(rows: usize) -> Self {
        let mut bits = vec![0xff; rows.div_ceil(8)];
        clear_padding(&mut bits, rows);
        Self { bits, rows }
    }

    pub(super) fn with_capacity(rows: usize) -> Self {
        Self { bits: Vec::with_capacity(rows.div_ceil(8)), rows: 0 }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Adds a row.
    #[inline]
    pub fn push(&mut self, valid: bool) {
        let bit = self.rows % 8;
        if bit == 0 {
            self.bits.push(u8::from(valid));
        } else if let Some(last) = self.bits.last_mut() {
            *last |= u8::from(valid) << bit;
        }
        self.rows += 1;
    }

    /// Makes a row null. Panics beyond the last.
    #[inline]
    pub fn set_null(&mut self, row: usize) {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        self.bits[row / 8] &= !(1 << (row % 8));
    }

    /// Makes null what is null there: a result has a value where all it depends upon has one. Panics if the rows differ.
    pub fn retain(&mut self, other: Validity<'_>) {
        assert_eq!(self.rows, other.len(), "rows of the two masks");
        if let Some(bits) = other.bits() {
            for (byte, other) in self.bits.iter_mut().zip(bits) {
                *byte &= other;
            }
        }
    }

    /// How many rows are null.
    pub fn null_count(&self) -> usize {
        self.view().null_count()
    }

    /// The mask as that of an input column.
    pub fn view(&self) -> Validity<'_> {
        Validity::from_bits(&self.bits, self.rows)
    }

    /// In the contract's layout: nothing if there are no nulls.
    pub(super) fn into_validity(self) -> Option<Vec<u8>> {
        (self.null_count() > 0).then_some(self.bits)
    }

    /// Visits the rows that are null; bytes without one are passed over.
    pub(super) fn for_each_null(&self, mut visit: impl FnMut(usize)) {
        for (index, &byte) in self.bits.iter().enumerate() {
            let mut nulls = !byte;
            while nulls != 0 {
                let row = index * 8 + nulls.trailing_zeros() as usize;
                if row >= self.rows {
                    break;
                }
                visit(row);
                nulls &= nulls - 1;
            }
        }
    }
}

fn clear_padding(bits: &mut [u8], rows: usize) {
    if let (Some(last), used @ 1..) = (bits.last_mut(), rows % 8) {
        *last &= (1 << used) - 1;
    }
}

impl From<Validity<'_>> for Mask {
    fn from(validity: Validity<'_>) -> Self {
        let mut mask = Self::all_valid(validity.len());
        mask.retain(validity);
        mask
    }
}

impl FromIterator<bool> for Mask {
    fn from_iter<I: IntoIterator<Item = bool>>(valid: I) -> Self {
        let valid = valid.into_iter();
        let mut mask = Self::with_capacity(valid.size_hint().0);
        valid.for_each(|valid| mask.push(valid));
        mask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_those_of_the_contract() {
        for rows in 0..20 {
            let mask: Mask = (0..rows).map(|row| row % 3 != 0).collect();
            let mut nulls = Vec::new();
            mask.for_each_null(|row| nulls.push(row));
            assert_eq!(nulls, (0..rows).step_by(3).collect::<Vec<_>>());
            assert_eq!(mask.null_count(), nulls.len());
            assert_eq!(mask.bits.len(), rows.div_ceil(8));

            let mut other = Mask::all_valid(rows);
            nulls.iter().for_each(|&row| other.set_null(row));
            assert_eq!(other, mask);
            assert_eq!(Mask::from(mask.view()), mask);
            assert_eq!(Mask::all_valid(rows).into_validity(), None);
        }
        let mask: Mask = [true, false, true].into_iter().collect();
        assert_eq!(mask.into_validity(), Some(vec![0b101]));
    }

    #[test]
    fn padding_of_the_other_is_not_taken() {
        let mask = Mask::from(Validity::from_bits(&[0xff], 3));
        assert_eq!(mask.bits, [0b111]);
    }
}
