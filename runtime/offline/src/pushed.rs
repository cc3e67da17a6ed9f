//! Rows that were pushed, as files of a view's offline history: `VIEW/vN/_pushed/PARTITION/push-EPOCH-FIRST-LAST.parquet`.
//!
//! They come from a log, in the order of their sequences; the epoch tells logs apart that gave the same ones, as that of a store that was lost and
//! the next one. A file's name says from which sequence to which the log was read for it: of the rows of its
//! partition that lie between them, it has every one. So whoever finds a file knows which rows of the log need no other, and a process that is killed
//! between writing files and cutting the log neither loses a row nor doubles one.
//!
//! The folder is hidden: batches, which replace partitions whole, do not see it. Whoever reads a view's history reads both.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{RecordBatch, UInt32Array};
use arrow_schema::{DataType as ArrowType, Field, Schema, SchemaRef};
use arrow_select::take::take_record_batch;
use datafusion::error::DataFusionError;
use tandem_core::hash::Digest;
use tandem_core::model::BoundView;
use tandem_core::time::{Day, DayRange, Timestamp, Zone};

use crate::batch::run_id;
use crate::columns::feature_schema;
use crate::error::OfflineError;
use crate::import::ImportedFile;
use crate::listing::{self, PartitionFiles, PartitionId};
use crate::options::BatchOptions;
use crate::publish::{OutputLock, metadata, pushed_metadata, view_folder};
use crate::source;
use crate::staged::{Staged, StagedWriter, Target, is_staged_push};

/// Folder of pushed rows below that of the view's version.
const PUSHED_FOLDER: &str = "_pushed";

/// The column of pushed rows behind those of [`feature_schema`]: their place in the log.
pub const PUSH_SEQUENCE: &str = "push_sequence";

const NAME_PREFIX: &str = "push-";
const NAME_END: &str = ".parquet";

/// The columns of files of pushed rows: those of [`feature_schema`], and [`PUSH_SEQUENCE`] (int64, never null).
pub fn pushed_schema(view: &BoundView) -> SchemaRef {
    let schema = feature_schema(view);
    let fields = schema.fields().iter().cloned();
    let sequence = Arc::new(Field::new(PUSH_SEQUENCE, ArrowType::Int64, false));
    Arc::new(Schema::new(fields.chain([sequence]).collect::<Vec<_>>()))
}

fn pushed_folder(offline_root: &Path, view: &BoundView) -> PathBuf {
    view_folder(offline_root, &view.view.name, view.view.version).join(PUSHED_FOLDER)
}

/// The right to write a view's files of pushed rows, until it is dropped or the process ends.
pub struct PushedFiles {
    view: Arc<BoundView>,
    offline_root: PathBuf,
    folder: PathBuf,
    /// The hive column of days and their zone; None: one folder for all.
    partition: Option<(String, Zone)>,
    /// Of each day the ranges of sequences that its files have.
    ranges: BTreeMap<Option<Day>, Vec<Sequences>>,
    lock: Arc<OutputLock>,
}

impl PushedFiles {
    /// Takes the lock of the folder, which is made, removes what killed processes left staged, and finds the files that are there. Blocking, without
    /// waiting for the lock.
    ///
    /// # Errors
    ///
    /// [`OfflineError::Locked`]; a view whose rows are not those of a source of files; the file system.
    pub fn open(view: Arc<BoundView>, offline_root: &Path) -> Result<Self, OfflineError> {
        let source = source::source_of(&view, offline_root)?;
        let folder = pushed_folder(offline_root, &view);
        let lock = Arc::new(OutputLock::take_for(&folder, is_staged_push)?);
        let external = |error| OfflineError::DataFusion(DataFusionError::External(Box::new(error)));
        let partition = match &source.partition {
            Some(column) => {
                let zone = source.timezone.as_deref().map_or_else(|| Ok(Zone::utc()), Zone::parse);
                Some((column.clone(), zone.map_err(external)?))
            }
            None => None,
        };
        let mut ranges: BTreeMap<Option<Day>, Vec<Sequences>> = BTreeMap::new();
        for partition in listing::list_folder(&folder, source.partition.as_deref(), None)?.partitions {
            let found = partition.files.iter().filter_map(|file| sequences(file.path.file_name()?.to_str()?));
            ranges.entry(partition.day).or_default().extend(found);
        }
        Ok(PushedFiles { view, offline_root: offline_root.to_owned(), folder, partition, ranges, lock })
    }

    /// Writes rows, with the columns of [`pushed_schema`] and by ascending sequence: one file for each day of their event times, on the clocks of the
    /// source's time zone. `epoch` is that of the log. They are all the rows that the log has, or ever had, between the first and the last. Rows that lie in a file already are left
    /// out. Each file appears whole or not at all, and none before all are written; once this returns, they are there after a power cut. Blocking.
    ///
    /// # Errors
    ///
    /// The file system. What was published stays, and is left out the next time.
    pub fn write(
        &mut self,
        rows: &RecordBatch,
        epoch: u64,
        contract: &str,
        runtime_fingerprint: &str,
    ) -> Result<Vec<ImportedFile>, OfflineError> {
        let schema = pushed_schema(&self.view);
        let times = rows.column(self.view.view.join_keys().count()).as_primitive::<TimestampMicrosecondType>();
        let sequences = rows.column(schema.fields().len() - 1).as_primitive::<Int64Type>();
        let (Some(first), Some(last)) = (sequences.values().first(), sequences.values().last()) else {
            return Ok(Vec::new());
        };
        let range = Sequences { epoch, first: *first as u64, last: *last as u64 };
        let mut days: BTreeMap<Option<Day>, Vec<u32>> = BTreeMap::new();
        for row in 0..rows.num_rows() {
            let day = match &self.partition {
                Some((_, zone)) => {
                    let day = Day::of_local(Timestamp(times.value(row)), zone);
                    Some(day.map_err(|error| OfflineError::NoDay { row, reason: error.to_string() })?)
                }
                None => None,
            };
            if !self.has(day, epoch, sequences.value(row) as u64) {
                days.entry(day).or_default().push(row as u32);
            }
        }
        let run_id = run_id();
        let name = range.file_name();
        let mut staged = Vec::new();
        for (day, indices) in days {
            let folder = match (&self.partition, day) {
                (Some((column, _)), Some(day)) => self.folder.join(format!("{column}={day}")),
                _ => self.folder.clone(),
            };
            let path = folder.join(&name);
            let lock = Some(Arc::clone(&self.lock));
            let target = Target { folder, file: &name, root: &self.offline_root, run_id: &run_id, lock };
            // No files of a source: these rows came by themselves.
            let mut pairs = metadata(&self.view, Digest::of(b""), contract, runtime_fingerprint);
            pairs.push(pushed_metadata(&range.to_string()));
            let mut writer =
                StagedWriter::create(target, Arc::clone(&schema), pairs, BatchOptions::default().row_group_rows)?;
            let count = indices.len() as u64;
            let rows = take_record_batch(rows, &UInt32Array::from(indices)).map_err(DataFusionError::from)?;
            writer.write(rows)?;
            staged.push((day, path, count, writer.finish()?));
        }
        let publish = |(day, path, rows, staged): (Option<Day>, _, _, Staged)| {
            let file = ImportedFile { path, rows, bytes: staged.publish()? };
            self.ranges.entry(day).or_default().push(range);
            Ok(file)
        };
        staged.into_iter().map(publish).collect()
    }

    fn has(&self, day: Option<Day>, epoch: u64, sequence: u64) -> bool {
        let ranges = self.ranges.get(&day).map_or(&[][..], Vec::as_slice);
        ranges.iter().any(|range| range.epoch == epoch && (range.first..=range.last).contains(&sequence))
    }
}

/// From which sequence to which a log was read for a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sequences {
    epoch: u64,
    first: u64,
    last: u64,
}

impl fmt::Display for Sequences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:020}-{:020}", self.epoch, self.first, self.last)
    }
}

impl Sequences {
    fn file_name(&self) -> String {
        format!("{NAME_PREFIX}{self}{NAME_END}")
    }
}

/// The sequences that a file's name says.
fn sequences(name: &str) -> Option<Sequences> {
    let mut parts = name.strip_prefix(NAME_PREFIX)?.strip_suffix(NAME_END)?.split('-');
    let epoch = u64::from_str_radix(parts.next()?, 16).ok()?;
    let (first, last) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    parts.next().is_none().then_some(Sequences { epoch, first, last })
}

/// The files of rows that were pushed into a view, cut to the days of `range`; none are there where none were. Blocking.
pub(crate) fn list_pushed(
    view: &BoundView,
    offline_root: &Path,
    range: Option<&DayRange>,
) -> Result<Vec<PartitionFiles>, OfflineError> {
    let folder = pushed_folder(offline_root, view);
    match fs::metadata(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(OfflineError::io("read", &folder)(error)),
        Ok(_) => {}
    }
    let mut partitions = listing::list_folder(&folder, view.view.source.partition(), range)?.partitions;
    for partition in &mut partitions {
        partition.id = PartitionId::below(PUSHED_FOLDER, &partition.id);
    }
    Ok(partitions)
}

/// Whether rows of this partition were pushed.
pub(crate) fn is_pushed(partition: &PartitionId) -> bool {
    partition.as_str().split('/').next() == Some(PUSHED_FOLDER)
}

#[cfg(test)]
mod tests;
