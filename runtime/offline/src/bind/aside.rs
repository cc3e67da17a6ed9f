//! Rows that are set aside: which, and what becomes of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use tandem_core::model::OnError;
use tandem_core::time::Timestamp;

use super::Binding;
use super::rows::{keep, record_batch};
use crate::columns::QUARANTINE_COLUMNS;
use crate::error::OfflineError;

#[derive(Debug, Clone)]
pub(super) enum Reject {
    NullEventTime,
    Future(String),
    Failed(String),
    /// Breaks what is promised of the source's rows.
    Contract(String),
}

/// Of the rows of a batch those that are set aside for a reason that is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SetAside {
    /// They break the source's contract.
    pub(crate) broken: u64,
    /// The component that makes the events fails on them.
    pub(crate) failed: u64,
}

impl std::ops::AddAssign for SetAside {
    fn add_assign(&mut self, other: Self) {
        self.broken += other.broken;
        self.failed += other.failed;
    }
}

/// Rows of a batch that are set aside.
pub(super) type Rejects = BTreeMap<usize, Reject>;

impl Binding {
    /// Rows that must not reach the transform. Nulls in inputs that take none are the engine's to refuse, on every path alike.
    pub(super) fn reject(&self, bound: &RecordBatch, rejects: &mut Rejects) {
        let event_times = bound.column(self.keys).as_primitive::<TimestampMicrosecondType>();
        for (row, time) in event_times.iter().enumerate() {
            match time {
                None => {
                    rejects.entry(row).or_insert(Reject::NullEventTime);
                }
                Some(time) if time > self.event_time_max => {
                    let (time, max) = (Timestamp(time), Timestamp(self.event_time_max));
                    let text = format!("the event time {time} lies in the future: max_future allows {max}");
                    // Whether a broken contract stops the run is not for the clock to say.
                    if !matches!(rejects.get(&row), Some(Reject::Contract(_))) {
                        rejects.insert(row, Reject::Future(text));
                    }
                }
                Some(_) => {}
            }
        }
    }

    /// The error of the first row at fault, if the view, or for a broken contract the source, says that one stops the run. Rows of the future never do.
    pub(super) fn refuse(&self, rejects: &Rejects, rows: usize, first_row: u64) -> Result<(), OfflineError> {
        let place = |row: usize| {
            let (file, row) = self.checked.locate(first_row + row as u64);
            (file.path.clone(), row)
        };
        if self.source.contract.on_violation == OnError::Fail {
            let mut broken = rejects.iter().filter(|(_, reject)| matches!(reject, Reject::Contract(_)));
            if let Some((row, Reject::Contract(message))) = broken.next() {
                let (file, row) = place(*row);
                return Err(OfflineError::ContractBroken {
                    source_name: self.source.name.clone(),
                    file,
                    row,
                    message: message.clone(),
                    broken: 1 + broken.count(),
                    rows,
                });
            }
        }
        if self.view.view.on_error == OnError::Quarantine {
            return Ok(());
        }
        let stops = |reject: &Reject| matches!(reject, Reject::Failed(_) | Reject::NullEventTime);
        let mut at_fault = rejects.iter().filter(|(_, reject)| stops(reject));
        let Some((row, reject)) = at_fault.next() else { return Ok(()) };
        let (file, row) = place(*row);
        Err(match reject {
            Reject::Failed(message) => OfflineError::RowsFailed {
                partition: self.checked.partition.id.clone(),
                file,
                row,
                message: message.clone(),
                failed: 1 + at_fault.count(),
                rows,
            },
            _ => OfflineError::NullEventTime { file, row, column: self.source.event_time.clone() },
        })
    }

    pub(super) fn quarantine(
        &self,
        bound: &RecordBatch,
        rejects: &Rejects,
        first_row: u64,
    ) -> Result<Option<RecordBatch>, OfflineError> {
        if rejects.is_empty() {
            return Ok(None);
        }
        let mut columns = keep(bound, |row| rejects.contains_key(&row), false)?.columns().to_vec();
        columns.truncate(self.quarantine_schema.fields().len() - QUARANTINE_COLUMNS.len());
        let places: Vec<_> = rejects.keys().map(|row| self.checked.locate(first_row + *row as u64)).collect();
        let errors = rejects.values().map(|reject| match reject {
            Reject::NullEventTime => "the event time is null".to_owned(),
            Reject::Future(text) | Reject::Failed(text) => text.clone(),
            Reject::Contract(text) => format!("the contract of source `{}`: {text}", self.source.name),
        });
        // In the order of QUARANTINE_COLUMNS.
        let appended: [ArrayRef; QUARANTINE_COLUMNS.len()] = [
            Arc::new(StringArray::from_iter_values(places.iter().map(|(file, _)| &file.relative))),
            Arc::new(Int64Array::from_iter_values(places.iter().map(|(_, row)| *row as i64))),
            Arc::new(StringArray::from_iter_values(errors)),
        ];
        columns.extend(appended);
        record_batch(&self.quarantine_schema, columns, rejects.len()).map(Some)
    }
}

/// Rows that take their event back: they have no values, so nothing that is wrong with those matters.
pub(super) fn take_back(retracted: &ArrayRef, rejects: &mut Rejects) -> BTreeSet<usize> {
    let retracted = retracted.as_boolean();
    let rows: BTreeSet<usize> =
        (0..retracted.len()).filter(|row| retracted.is_valid(*row) && retracted.value(*row)).collect();
    rejects.retain(|row, _| !rows.contains(row));
    rows
}
