//! Rows into a source's folder, as Parquet in its hive partitions: for whoever has rows and no tool that writes Parquet.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, RecordBatch, UInt32Array};
use arrow_select::take::take_record_batch;
use datafusion::error::DataFusionError;
use tandem_core::model::Source;
use tandem_core::time::{Day, Timestamp, Zone};

use crate::batch::run_id;
use crate::error::OfflineError;
use crate::listing;
use crate::options::BatchOptions;
use crate::staged::{StagedWriter, Target, sync_folders};

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

/// Writes `rows` as files of the name `file` into the source's folder: one in the partition of each day of the event time, on the clocks of the
/// source's time zone; or one in the folder itself, where the source has no partition column. The event time is `timestamp[us, UTC]`. Blocking.
///
/// Every file appears whole or not at all, and none before all are written. With `replace`, files of that name that lie anywhere in the source
/// are replaced or removed: the source then has these rows in the place of those.
///
/// # Errors
///
/// A file of that name in the source, without `replace`; a row without an event time; the file system.
pub fn import_rows(
    source: &Source,
    file: &str,
    rows: &RecordBatch,
    replace: bool,
) -> Result<Vec<ImportedFile>, OfflineError> {
    if source.query.is_some() {
        return Err(OfflineError::QueryTakesNoRows { source_name: source.name.clone() });
    }
    let mut earlier = earlier(source, file)?;
    if let Some(path) = earlier.first().filter(|_| !replace) {
        return Err(OfflineError::ImportedBefore { path: path.clone() });
    }
    let run_id = run_id();
    let mut staged = Vec::new();
    for (folder, rows) in partitions(source, rows)? {
        let path = folder.join(file);
        let target = Target { folder, file, root: &source.path, run_id: &run_id, lock: None };
        let mut writer =
            StagedWriter::create(target, rows.schema(), Vec::new(), BatchOptions::default().row_group_rows)?;
        let count = rows.num_rows() as u64;
        writer.write(rows)?;
        staged.push((path, count, writer.finish()?));
    }
    let publish =
        |(path, rows, staged): (_, _, crate::staged::Staged)| Ok(ImportedFile { path, rows, bytes: staged.publish()? });
    let files = staged.into_iter().map(publish).collect::<Result<Vec<_>, OfflineError>>()?;
    let written: Vec<PathBuf> = files.iter().map(|file| absolute(&file.path)).collect::<Result<_, _>>()?;
    earlier.retain(|path| !written.contains(path));
    for path in earlier {
        fs::remove_file(&path).map_err(OfflineError::io("remove", &path))?;
        sync_folders(&path, &absolute(&source.path)?)?;
    }
    Ok(files)
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
        let files = import_rows(&berlin, "a.parquet", &batch, false).unwrap();
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
}
