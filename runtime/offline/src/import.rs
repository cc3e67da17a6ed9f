//! Rows into a source's folder, as Parquet in its hive partitions: for whoever has rows and no tool that writes Parquet.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray, UInt32Array};
use arrow_schema::{Field, Schema};
use arrow_select::take::take_record_batch;
use datafusion::error::DataFusionError;
use tandem_core::contract::violations;
use tandem_core::model::{OnError, Source};
use tandem_core::time::{Day, Timestamp, Zone};

use crate::batch::run_id;
use crate::error::OfflineError;
use crate::listing;
use crate::options::BatchOptions;
use crate::staged::{StagedWriter, Target, sync_folders};

/// Folder below a source for rows that were not taken into it.
const QUARANTINE: &str = "_quarantine";

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its rows.
    pub rows: u64,
    /// Its size in bytes.
    pub bytes: u64,
}

/// What came of rows that were imported.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Imported {
    /// The files that were written, in the order of their partitions.
    pub files: Vec<ImportedFile>,
    /// Rows that break the source's contract, set aside beside the source's rows.
    pub quarantine: Option<ImportedFile>,
}

/// Writes `rows` as files of the name `file` into the source's folder: one in the partition of each day of the event time, on the clocks of the
/// source's time zone; or one in the folder itself, where the source has no partition column. The event time is `timestamp[us, UTC]`. Blocking.
///
/// Every file appears whole or not at all, and none before all are written. With `replace`, files of that name that lie anywhere in the source
/// are replaced or removed: the source then has these rows in the place of those.
///
/// Rows that break the source's contract stop the import, or go into a file of that name in the source's folder `_quarantine`, which nobody reads as a
/// source's, with what is wrong in the column `error`. The columns of the contract have its types.
///
/// # Errors
///
/// A file of that name in the source, without `replace`; a row without an event time, or breaking the contract; the file system.
pub fn import_rows(source: &Source, file: &str, rows: &RecordBatch, replace: bool) -> Result<Imported, OfflineError> {
    if source.query.is_some() {
        return Err(OfflineError::QueryTakesNoRows { source_name: source.name.clone() });
    }
    let mut earlier = earlier(source, file)?;
    if let Some(path) = earlier.first().filter(|_| !replace) {
        return Err(OfflineError::ImportedBefore { path: path.clone() });
    }
    let run_id = run_id();
    let stage = |folder: PathBuf, rows: RecordBatch| {
        let path = folder.join(file);
        let target = Target { folder, file, root: &source.path, run_id: &run_id, lock: None };
        let mut writer =
            StagedWriter::create(target, rows.schema(), Vec::new(), BatchOptions::default().row_group_rows)?;
        let count = rows.num_rows() as u64;
        writer.write(rows)?;
        Ok::<_, OfflineError>((path, count, writer.finish()?))
    };
    let (kept, broken) = keeping_the_contract(source, file, rows)?;
    let aside = source.path.join(QUARANTINE);
    let quarantine = broken.map(|rows| stage(aside.clone(), rows)).transpose()?;
    let partitions = partitions(source, &kept)?.into_iter();
    let staged = partitions.map(|(folder, rows)| stage(folder, rows)).collect::<Result<Vec<_>, _>>()?;
    let publish =
        |(path, rows, staged): (_, _, crate::staged::Staged)| Ok(ImportedFile { path, rows, bytes: staged.publish()? });
    let quarantine = match quarantine {
        Some(staged) => Some(publish(staged)?),
        None => {
            remove_if_there(&aside.join(file))?;
            None
        }
    };
    let files = staged.into_iter().map(publish).collect::<Result<Vec<_>, OfflineError>>()?;
    let written: Vec<PathBuf> = files.iter().map(|file| absolute(&file.path)).collect::<Result<_, _>>()?;
    earlier.retain(|path| !written.contains(path));
    for path in earlier {
        fs::remove_file(&path).map_err(OfflineError::io("remove", &path))?;
        sync_folders(&path, &absolute(&source.path)?)?;
    }
    Ok(Imported { files, quarantine })
}

/// The rows that keep the source's contract, and those that break it, with what is wrong with them.
fn keeping_the_contract(
    source: &Source,
    file: &str,
    rows: &RecordBatch,
) -> Result<(RecordBatch, Option<RecordBatch>), OfflineError> {
    let mut broken: BTreeMap<usize, String> = BTreeMap::new();
    for column in &source.contract.columns {
        // The partition column lies in the names of folders.
        let Some(values) = rows.column_by_name(&column.name) else { continue };
        for (row, why) in violations(column, values) {
            broken.entry(row).or_insert(why);
        }
    }
    let Some((row, message)) = broken.first_key_value() else { return Ok((rows.clone(), None)) };
    if source.contract.on_violation == OnError::Fail {
        return Err(OfflineError::ContractBroken {
            source_name: source.name.clone(),
            file: file.into(),
            row: *row as u64,
            message: message.clone(),
            broken: broken.len(),
            rows: rows.num_rows(),
        });
    }
    let picked = |wanted: &dyn Fn(&usize) -> bool| {
        let indices: UInt32Array = (0..rows.num_rows()).filter(wanted).map(|row| row as u32).collect();
        take_record_batch(rows, &indices).map_err(DataFusionError::from)
    };
    let kept = picked(&|row| !broken.contains_key(row))?;
    let aside = picked(&|row| broken.contains_key(row))?;
    let errors: ArrayRef = Arc::new(StringArray::from_iter_values(broken.values()));
    let mut fields = aside.schema().fields().to_vec();
    let name = if aside.column_by_name("error").is_some() { "contract.error" } else { "error" };
    fields.push(Arc::new(Field::new(name, errors.data_type().clone(), false)));
    let columns = aside.columns().iter().cloned().chain([errors]).collect();
    let aside = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(DataFusionError::from)?;
    Ok((kept, Some(aside)))
}

fn remove_if_there(path: &Path) -> Result<(), OfflineError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(OfflineError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Files of this name in the source, absolute.
fn earlier(source: &Source, file: &str) -> Result<Vec<PathBuf>, OfflineError> {
    if !source.path.exists() {
        return Ok(Vec::new());
    }
    let listing = listing::list(source, None)?;
    let files = listing.partitions.into_iter().flat_map(|partition| partition.files);
    Ok(files.map(|entry| entry.path).filter(|path| path.file_name().is_some_and(|name| name == file)).collect())
}

fn absolute(path: &Path) -> Result<PathBuf, OfflineError> {
    std::path::absolute(path).map_err(OfflineError::io("resolve", path))
}

/// The rows of each partition's folder, in the order of days.
fn partitions(source: &Source, rows: &RecordBatch) -> Result<Vec<(PathBuf, RecordBatch)>, OfflineError> {
    let Some(column) = &source.partition else { return Ok(vec![(source.path.clone(), rows.clone())]) };
    let no_day = |row, reason: String| OfflineError::NoDay { row, reason };
    let zone = source.timezone.as_deref().map_or_else(|| Ok(Zone::utc()), Zone::parse);
    let zone = zone.map_err(|error| no_day(0, error.to_string()))?;
    let times = rows.column_by_name(&source.event_time).and_then(|times| times.as_primitive_opt());
    let times: &arrow_array::PrimitiveArray<TimestampMicrosecondType> =
        times.ok_or_else(|| no_day(0, format!("no event time (column `{}`)", source.event_time)))?;
    let mut days: BTreeMap<Day, Vec<u32>> = BTreeMap::new();
    for row in 0..times.len() {
        if times.is_null(row) {
            return Err(no_day(row, format!("the event time (column `{}`) is null", source.event_time)));
        }
        let day = Day::of_local(Timestamp(times.value(row)), &zone).map_err(|error| no_day(row, error.to_string()))?;
        days.entry(day).or_default().push(row as u32);
    }
    let partition = |(day, indices): (Day, Vec<u32>)| {
        let rows = take_record_batch(rows, &UInt32Array::from(indices)).map_err(DataFusionError::from)?;
        Ok((source.path.join(format!("{column}={day}")), rows))
    };
    days.into_iter().map(partition).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, TimestampMicrosecondArray};

    use tandem_core::model::{ColumnContract, SourceContract};
    use tandem_core::types::DataType;

    use super::*;
    use crate::rows::read_rows;
    use crate::testing;

    fn source(root: &Path, timezone: Option<&str>) -> Source {
        Source { timezone: timezone.map(str::to_owned), ..testing::source(root.join("data")) }
    }

    fn rows(times: &[(&str, i64)]) -> RecordBatch {
        let micros = times.iter().map(|(time, _)| Timestamp::parse(time).unwrap().0);
        RecordBatch::try_from_iter([
            ("at", Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC")) as ArrayRef),
            ("n", Arc::new(Int64Array::from_iter_values(times.iter().map(|(_, n)| *n)))),
        ])
        .unwrap()
    }

    /// Folders and the column `n` of what lies in the source.
    fn found(source: &Source) -> Vec<(String, Vec<i64>)> {
        let listing = listing::list(source, None).unwrap();
        let files =
            listing.partitions.iter().flat_map(|partition| partition.files.iter().map(move |file| (partition, file)));
        let n = |path: &Path| {
            let rows = read_rows(path, usize::MAX, |name| name == "n").unwrap().rows;
            rows.column(0).as_primitive::<arrow_array::types::Int64Type>().values().to_vec()
        };
        files.map(|(partition, file)| (partition.id.to_string(), n(&file.path))).collect()
    }

    #[test]
    fn rows_go_into_the_days_of_the_zone() {
        let root = tempfile::tempdir().unwrap();
        let batch = rows(&[("2026-03-02T22:59:59Z", 1), ("2026-03-01T10:00:00Z", 2), ("2026-03-02T23:00:00Z", 3)]);
        let berlin = source(root.path(), Some("Europe/Berlin"));
        let files = import_rows(&berlin, "a.parquet", &batch, false).unwrap().files;
        assert_eq!(files.iter().map(|file| file.rows).collect::<Vec<_>>(), [1, 1, 1]);
        let expected = [("date=2026-03-01", vec![2]), ("date=2026-03-02", vec![1]), ("date=2026-03-03", vec![3])];
        assert_eq!(found(&berlin), expected.map(|(folder, n)| (folder.to_owned(), n)));
        let left: Vec<_> = listing::staged_files(root.path(), |name| name.ends_with(".staged")).unwrap();
        assert_eq!(left, Vec::<PathBuf>::new());
    }

    #[test]
    fn a_file_is_replaced_in_all_days_or_not_touched() {
        let root = tempfile::tempdir().unwrap();
        let source = source(root.path(), None);
        let (first, second) = (rows(&[("2026-03-01", 1), ("2026-03-02", 2)]), rows(&[("2026-03-02", 3)]));
        import_rows(&source, "a.parquet", &first, false).unwrap();
        let error = import_rows(&source, "a.parquet", &second, false).unwrap_err();
        assert!(error.to_string().ends_with("date=2026-03-01/a.parquet is there already"), "{error}");
        import_rows(&source, "b.parquet", &second, false).unwrap();
        assert_eq!(found(&source).len(), 3);
        import_rows(&source, "a.parquet", &second, true).unwrap();
        let day = || "date=2026-03-02".to_owned();
        assert_eq!(found(&source), [(day(), vec![3]), (day(), vec![3])]);
    }

    #[test]
    fn a_source_without_partitions_gets_one_file() {
        let root = tempfile::tempdir().unwrap();
        let source = Source { partition: None, ..source(root.path(), None) };
        import_rows(&source, "a.parquet", &rows(&[("2026-03-01", 1), ("2026-03-02", 2)]), false).unwrap();
        assert_eq!(found(&source), [(".".to_owned(), vec![1, 2])]);
    }

    #[test]
    fn a_row_without_an_event_time_has_no_day() {
        let root = tempfile::tempdir().unwrap();
        let times: TimestampMicrosecondArray = [Some(0), None].into_iter().collect();
        let batch = RecordBatch::try_from_iter([("at", Arc::new(times.with_timezone("UTC")) as ArrayRef)]).unwrap();
        let error = import_rows(&source(root.path(), None), "a.parquet", &batch, false).unwrap_err();
        assert_eq!(error.to_string(), "row 1: the event time (column `at`) is null");
        assert!(!root.path().join("data").exists());
    }

    #[test]
    fn rows_that_break_the_contract_are_refused_or_set_aside() {
        let root = tempfile::tempdir().unwrap();
        let small = ColumnContract {
            name: "n".to_owned(),
            data_type: DataType::Int64,
            nullable: false,
            allowed: None,
            min: None,
            max: Some(2.0),
        };
        let mut source = source(root.path(), None);
        source.contract = SourceContract { columns: vec![small], on_violation: OnError::Fail };
        let batch = rows(&[("2026-03-01T00:00:00Z", 1), ("2026-03-01T00:00:00Z", 3), ("2026-03-02T00:00:00Z", 2)]);
        let error = import_rows(&source, "a.parquet", &batch, false).unwrap_err();
        assert!(matches!(&error, OfflineError::ContractBroken { row: 1, broken: 1, rows: 3, .. }), "{error}");
        assert!(!source.path.exists() || found(&source).is_empty());

        source.contract.on_violation = OnError::Quarantine;
        let imported = import_rows(&source, "a.parquet", &batch, false).unwrap();
        let aside = imported.quarantine.unwrap();
        assert_eq!((imported.files.len(), aside.rows), (2, 1));
        assert_eq!(aside.path, source.path.join("_quarantine/a.parquet"));
        let expected = [("date=2026-03-01".to_owned(), vec![1]), ("date=2026-03-02".to_owned(), vec![2])];
        assert_eq!(found(&source), expected);
        let told = read_rows(&aside.path, 9, |_| true).unwrap().rows;
        assert_eq!(
            told.column_by_name("error").unwrap().as_string::<i32>().value(0),
            "column `n`: 3 lies outside ..=2"
        );
        // Rows that keep it take the place of those, and of what was set aside.
        let imported = import_rows(&source, "a.parquet", &batch.slice(0, 1), true).unwrap();
        assert_eq!((imported.quarantine, found(&source)), (None, expected[..1].to_vec()));
        assert!(!aside.path.exists());
    }
}
