//! The rows of a columnar call that have no value.

use crate::{
    contract::RowFailure,
    error::{CallError, RowError},
};

/// The rows that failed in a columnar transform, and why.
///
/// Return it beside the columns: `Ok((columns, failed_rows))`. What the columns hold in these rows does not count, so a
/// loop may compute all rows first and look for the wrong ones afterwards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailedRows {
    rows: Vec<(usize, RowError)>,
}

impl FailedRows {
    /// No row has failed.
    pub fn new() -> Self {
        Self::default()
    }

    /// This row has failed. Of several errors of one row the first counts; any order of rows will do.
    pub fn push(&mut self, row: usize, error: impl Into<RowError>) {
        self.rows.push((row, error.into()));
    }

    /// Whether no row has failed.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many errors were given.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// In the contract's form: in increasing order, each row once.
    pub(crate) fn into_failures(mut self, rows: usize) -> Result<Vec<RowFailure>, CallError> {
        self.rows.sort_by_key(|&(row, _)| row);
        self.rows.dedup_by_key(|&mut (row, _)| row);
        if let Some(&(row, _)) = self.rows.last()
            && row >= rows
        {
            return Err(CallError::new(format!(
                "the transform reports row {row} as failed, but the call has {rows} rows"
            )));
        }
        Ok(self
            .rows
            .into_iter()
            .map(|(row, error)| RowFailure { row: row as u32, message: error.into_message() })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_in_order_and_once() {
        let mut failed = FailedRows::new();
        failed.push(4, "four");
        failed.push(1, RowError::field("amount", "first"));
        failed.push(1, "second");
        assert_eq!(failed.len(), 3);
        let failures = failed.clone().into_failures(5).unwrap();
        let listed: Vec<_> = failures.iter().map(|f| (f.row, f.message.as_str())).collect();
        assert_eq!(listed, [(1, "amount: first"), (4, "four")]);
        assert_eq!(
            failed.into_failures(4).unwrap_err().to_string(),
            "the transform reports row 4 as failed, but the call has 4 rows"
        );
    }
}
