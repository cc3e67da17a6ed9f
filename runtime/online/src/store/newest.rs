//! Writing the newest rows of many entities, in the order of their keys.

use super::push::Mode;
use super::{PutReport, PutRow, Store, read};
use crate::environment::{Fault, Table, WriteTransaction};
use crate::error::OnlineError;
use crate::generation::Target;
use crate::key::RecordKey;
use crate::record::Stored;
use crate::view::ViewId;

/// Rows that one transaction puts among those that are there: in the worst case each of them changes a page of its own. What is behind the last key fills its pages, and
/// `batch_rows_max` alone bounds it.
const AMONG_ROWS_MAX: usize = 16_384;

impl Store {
    /// Writes, in one transaction, the first of these rows, as [`Store::put_if_newer`] does: as many as one transaction takes, one at least. Gives how many that were, and
    /// what became of them. When it returns, they are on disk.
    ///
    /// Made for many rows in the order of their entity keys, one of each: then those that are to be looked up, and the pages that are written, lie behind each other. Others are
    /// written too, in more time.
    ///
    /// # Errors
    /// Nothing is written.
    pub fn put_newest(
        &self,
        target: impl Into<Target>,
        rows: &[PutRow<'_>],
    ) -> Result<(usize, PutReport), OnlineError> {
        let target = target.into();
        let rows = &rows[..self.fits(rows)];
        self.check_batch(rows)?;
        self.environment().write(|txn| {
            let numbers = self.numbers_in(txn, target)?;
            let (done, report) = self.put_newest_in(txn, numbers.first, rows, AMONG_ROWS_MAX)?;
            if let Some(second) = numbers.second {
                self.put_newest_in(txn, second, &rows[..done], usize::MAX)?;
            }
            Ok((done, report))
        })
    }

    /// So many of these rows as one batch has, one at least where there is one.
    fn fits(&self, rows: &[PutRow<'_>]) -> usize {
        let mut bytes = 0;
        let fits = rows.iter().take(self.options().batch_rows_max).take_while(|row| {
            bytes += row.key.len() + row.record.row.len();
            bytes <= self.options().batch_bytes_max
        });
        fits.count().max(1).min(rows.len())
    }

    fn put_newest_in(
        &self,
        txn: &mut WriteTransaction<'_, '_>,
        view: ViewId,
        rows: &[PutRow<'_>],
        among_max: usize,
    ) -> Result<(usize, PutReport), Fault> {
        let keys: Vec<RecordKey> = rows.iter().map(|row| RecordKey::new(view, row.key, self.hash())).collect();
        // Keys that are hashed lie elsewhere.
        if !keys.is_sorted_by(|a, b| a < b) {
            let rows = &rows[..rows.len().min(among_max)];
            return Ok((rows.len(), self.put_in(txn, view, rows, Mode::HISTORY)?.0));
        }
        let mut report = PutReport::default();
        let done = txn.merge(Table::Records, &keys, among_max, |index, found, bytes| {
            let (PutRow { key, record }, record_key) = (rows[index], &keys[index]);
            match found.map(|found| read(record_key, found)) {
                Some(Ok(stored)) if stored.full_key.is_some_and(|stored| stored != key) => {
                    return Err(Fault::Error(OnlineError::KeyCollision { row: index }));
                }
                Some(Ok(stored)) => {
                    let order = stored.compare(&record.order(), false);
                    // It was pushed to be served alone, and now the history has it too.
                    if order.is_eq() && !stored.in_history {
                        Stored { in_history: true, ..stored }.encode(bytes);
                        return Ok(true);
                    }
                    if order.is_ge() {
                        return Ok(false);
                    }
                }
                Some(Err(_)) => report.repaired += 1,
                None => {}
            }
            let full_key = record_key.is_hashed().then_some(key);
            Stored { record, full_key, in_history: true, removed: false, until: None }.encode(bytes);
            report.written += 1;
            Ok(true)
        })?;
        report.kept = done - report.written;
        Ok((done, report))
    }
}
