use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch, TimestampNanosecondArray, UInt32Array};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tandem_core::hash::Digest;
use tandem_core::model::{OnError, ViewSource};

use super::*;
use crate::testing::{
    NEW_YEAR, Native, Row, UNLUCKY, days, rows, run, run_function, source_batch, two_days, view, write,
};

mod checks;
mod contract;
mod history;
mod interruption;
mod over_a_view;
mod versions;

const DAY_ONE: &str = "spend/v1/date=2026-01-01/part-0.parquet";
const DAY_TWO: &str = "spend/v1/date=2026-01-02/part-0.parquet";
const DAY_TWO_QUARANTINE: &str = "spend/v1/_quarantine/date=2026-01-02/part-0.parquet";
const DAY_ONE_QUARANTINE: &str = "spend/v1/_quarantine/date=2026-01-01/part-0.parquet";

/// All files below `root` by relative path.
fn tree(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let relative = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                files.insert(relative, fs::read(path).unwrap());
            }
        }
    }
    files.remove("spend/v1/.lock");
    files
}

fn names(root: &Path) -> Vec<String> {
    tree(root).into_keys().collect()
}

fn read(path: &Path) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(path).unwrap()).unwrap();
    let schema = Arc::clone(reader.schema());
    let batches: Vec<RecordBatch> = reader.build().unwrap().map(|batch| batch.unwrap()).collect();
    arrow_select::concat::concat_batches(&schema, &batches).unwrap()
}

/// `batch` with the column `name` called `to`, holding `array`.
fn with_column(batch: &RecordBatch, name: &str, to: &str, array: &ArrayRef) -> RecordBatch {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
        let hit = field.name() == name;
        (if hit { to } else { field.name() }, Arc::clone(if hit { array } else { column }), true)
    });
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn one_file(root: &Path, rows: &[Row]) {
    write(&root.join("date=2026-01-01/a.parquet"), &source_batch(rows));
}

#[tokio::test]
async fn rows_are_published_in_order_with_their_metadata() {
    let (source, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    two_days(source.path());
    let view = view(source.path());
    let report = run(&view, output.path(), None).await.unwrap();

    assert_eq!(names(output.path()), [DAY_ONE, DAY_TWO]);
    let expected = RowCounts { rows_in: 3_500, rows_out: 3_500, added: 3_500, ..RowCounts::default() };
    assert_eq!(report.rows(), expected);
    assert_eq!(report.partitions[0].rows.rows_out, 3_000);
    assert_eq!(report.partitions[0].bytes_out, fs::metadata(output.path().join(DAY_ONE)).unwrap().len());
    assert_eq!(report.orphaned, []);

    let day = read(&output.path().join(DAY_ONE));
    let columns: Vec<_> = day.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(
        columns,
        [
            "user_id",
            "event_time",
            "created_time",
            "published_time",
            "sequence",
            "corrected_time",
            "retracted_time",
            "superseded_time",
            "superseded_published_time",
            "doubled",
            "day"
        ]
    );
    assert_eq!(day.schema().fields(), crate::feature_schema(&view).fields());
    let source_rows = rows(NEW_YEAR, 2_000).into_iter().chain(rows(NEW_YEAR + 2_000_000, 1_000));
    for (row, (user, at, amount)) in source_rows.enumerate() {
        let micros = at.unwrap() * 1_000;
        assert_eq!(day.column(0).as_primitive::<Int64Type>().value(row), user);
        assert_eq!(day.column(1).as_primitive::<TimestampMicrosecondType>().value(row), micros);
        assert_eq!(day.column(2).as_primitive::<TimestampMicrosecondType>().value(row), micros);
        assert_eq!(day.column(9).as_primitive::<Float64Type>().value(row), amount.unwrap() * 2.0);
        assert_eq!(
            day.column(10).as_string::<i32>().value(row),
            format!("2026-01-01T{:02}", micros / 3_600_000_000 % 24)
        );
    }
    let now = (NEW_YEAR + 31 * 86_400_000) * 1_000;
    let published = day.column(3).as_primitive::<TimestampMicrosecondType>();
    assert!(published.iter().all(|time| time == Some(now)));
    assert!(day.columns()[5..9].iter().all(|column| column.null_count() == 3_000));
    assert_eq!(day.column(4).as_primitive::<Int64Type>().value(2_500), 500);

    let footer = crate::footers::read(&output.path().join(DAY_ONE)).unwrap();
    let pairs = footer.metadata().file_metadata().key_value_metadata().unwrap().iter();
    let found: BTreeMap<_, _> = pairs.map(|pair| (pair.key.as_str(), pair.value.as_deref().unwrap_or(""))).collect();
    assert_eq!(found["tandem.format_version"], "2");
    assert_eq!(found["tandem.view"], "spend");
    assert_eq!(found["tandem.view_version"], "1");
    assert_eq!(found["tandem.component_digest"], Digest([1; 32]).to_string());
    assert_eq!(found["tandem.definition_hash"], Digest([2; 32]).to_string());
    assert_eq!(found["tandem.source_snapshot"], report.partitions[0].snapshot.to_string());
    assert_eq!(found["tandem.contract"], "tandem:feature@0.1.0");
    assert_eq!(found["tandem.runtime_fingerprint"], "test");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn neither_threads_nor_sizes_change_a_byte() {
    let (source, outputs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut many = rows(NEW_YEAR, 20_000);
    many[77].2 = Some(UNLUCKY);
    many[9_000].2 = None;
    many[12_345].1 = None;
    one_file(source.path(), &many);
    write(&source.path().join("date=2026-01-01/b.parquet"), &source_batch(&rows(NEW_YEAR, 777)));
    write(&source.path().join("date=2026-01-02/a.parquet"), &source_batch(&rows(NEW_YEAR + 86_400_000, 500)));
    let view = view(source.path());
    let mut trees = Vec::new();
    for (threads, rows_per_call, partitions_in_flight, calls_in_flight) in
        [(1, 8_192, 1, 1), (3, 1, 2, 50), (2, 1_000, 0, 0), (4, 1_000_000, 5, 7)]
    {
        let output = outputs.path().join(format!("{threads}-{rows_per_call}"));
        let options = BatchOptions {
            rows_per_call,
            partitions_in_flight,
            calls_in_flight,
            row_group_rows: 5_000,
            ..BatchOptions::default()
        };
        let report = run_function(&view, &output, None, options, (Native, threads), &()).await.unwrap();
        assert_eq!(report.rows().quarantined, 2);
        trees.push(tree(&output));
    }
    assert_eq!(trees[0].keys().collect::<Vec<_>>(), [DAY_ONE_QUARANTINE, DAY_ONE, DAY_TWO]);
    assert!(trees.iter().all(|tree| *tree == trees[0]), "every run gives the same bytes");
    let output = outputs.path().join("1-8192").join(DAY_ONE);
    let groups = crate::footers::read(&output)
        .unwrap()
        .metadata()
        .row_groups()
        .iter()
        .map(|group| group.num_rows())
        .collect::<Vec<_>>();
    assert_eq!(groups, [5_000, 5_000, 5_000, 5_000, 775]);
}

#[tokio::test]
async fn a_range_replaces_its_days_only_and_reports_what_vanished() {
    let (source, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    two_days(source.path());
    let view = view(source.path());
    run(&view, output.path(), None).await.unwrap();
    let before = tree(output.path());

    write(&source.path().join("date=2026-01-02/a.parquet"), &source_batch(&rows(NEW_YEAR + 86_400_000, 10)));
    fs::remove_dir_all(source.path().join("date=2026-01-01")).unwrap();
    let report = run(&view, output.path(), Some(days("2026-01-02", "2026-01-03"))).await.unwrap();
    assert_eq!((report.partitions.len(), report.rows().rows_out), (1, 10));
    assert_eq!(report.orphaned, [], "the vanished day is outside the range");
    let after = tree(output.path());
    assert_eq!(after[DAY_ONE], before[DAY_ONE]);
    assert_ne!(after[DAY_TWO], before[DAY_TWO]);

    let report = run(&view, output.path(), None).await.unwrap();
    assert_eq!(report.orphaned.iter().map(|id| id.as_str()).collect::<Vec<_>>(), ["date=2026-01-01"]);
    assert_eq!(names(output.path()), [DAY_ONE, DAY_TWO]);

    let error = run(&view, output.path(), Some(days("2027-01-01", "2027-02-01"))).await.unwrap_err();
    assert!(
        matches!(&error, OfflineError::NoPartitions { range: Some(range), .. } if range == "in 2027-01-01..2027-02-01")
    );
}

#[tokio::test]
async fn a_failed_row_stops_the_run_and_names_itself() {
    let (source, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    two_days(source.path());
    let mut bad = rows(NEW_YEAR + 2_000_000, 1_000);
    bad[500].2 = Some(UNLUCKY);
    bad[501].2 = Some(UNLUCKY);
    write(&source.path().join("date=2026-01-01/b.parquet"), &source_batch(&bad));
    let mut view = view(source.path());
    view.view.on_error = OnError::Fail;
    let options = BatchOptions { rows_per_call: 100, partitions_in_flight: 1, ..BatchOptions::default() };
    let error = run_function(&view, output.path(), None, options.clone(), (Native, 2), &()).await.unwrap_err();
    let OfflineError::RowsFailed { partition, file, row, message, failed, rows: call } = &error else {
        panic!("{error}")
    };
    assert_eq!((partition.as_str(), *row, *failed, *call), ("date=2026-01-01", 500, 2, 100));
    assert!(file.ends_with("date=2026-01-01/b.parquet"));
    assert_eq!(message, "amount is unlucky");
    assert_eq!(names(output.path()), Vec::<String>::new(), "nothing is published and nothing stays staged");

    bad[500].2 = None;
    bad[501] = (1, None, None);
    write(&source.path().join("date=2026-01-01/b.parquet"), &source_batch(&bad));
    let error = run_function(&view, output.path(), None, options, (Native, 2), &()).await.unwrap_err();
    assert!(matches!(&error, OfflineError::NullEventTime { file, row: 501, column }
        if column == "at" && file.ends_with("date=2026-01-01/b.parquet")));
}

#[tokio::test]
async fn rows_at_fault_are_set_aside_and_counted() {
    let (source, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let future = NEW_YEAR + 31 * 86_400_000 + 300_001;
    one_file(
        source.path(),
        &[
            (1, Some(NEW_YEAR), Some(1.0)),
            (2, Some(NEW_YEAR), Some(UNLUCKY)),
            (3, None, Some(3.0)),
            (4, Some(future), Some(4.0)),
            (5, Some(future - 1), Some(5.0)),
            (6, Some(NEW_YEAR - 1), None),
        ],
    );
    let mut view = view(source.path());
    let report = run(&view, output.path(), None).await.unwrap();
    let expected = RowCounts {
        rows_in: 6,
        rows_out: 3,
        added: 3,
        quarantined: 3,
        quarantined_future: 1,
        misplaced: 2,
        ..RowCounts::default()
    };
    assert_eq!(report.rows(), expected);
    let users = |batch: &RecordBatch| batch.column(0).as_primitive::<Int64Type>().values().to_vec();
    assert_eq!(users(&read(&output.path().join(DAY_ONE))), [1, 5, 6]);
    let aside = read(&output.path().join(DAY_ONE_QUARANTINE));
    let columns: Vec<_> = aside.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(columns[..5], ["user_id", "event_time", "created_time", "published_time", "sequence"]);
    assert_eq!(columns[5..], ["input.amount", "input.date", "input.as_of", "source_file", "source_row", "error"]);
    assert_eq!(users(&aside), [2, 3, 4]);
    assert_eq!(aside.column(5).as_primitive::<Float64Type>().values(), &[UNLUCKY, 3.0, 4.0]);
    assert_eq!(aside.column(8).as_string::<i32>().value(0), "date=2026-01-01/a.parquet");
    assert_eq!(aside.column(9).as_primitive::<Int64Type>().values(), &[1, 2, 3]);
    let errors: Vec<_> = aside.column(10).as_string::<i32>().iter().map(Option::unwrap).collect();
    assert_eq!(errors[..2], ["amount is unlucky", "the event time is null"]);
    assert!(errors[2].contains("max_future"), "{}", errors[2]);

    // A clock ahead of its time is set aside even where failures stop the run, and a run without any removes the old quarantine.
    one_file(source.path(), &[(1, Some(NEW_YEAR), None), (4, Some(future), None)]);
    view.view.on_error = OnError::Fail;
    assert_eq!(run(&view, output.path(), None).await.unwrap().rows().quarantined_future, 1);
    one_file(source.path(), &[(1, Some(NEW_YEAR), None)]);
    assert_eq!(run(&view, output.path(), None).await.unwrap().rows().quarantined, 0);
    assert_eq!(names(output.path()), [DAY_ONE]);
}

#[tokio::test]
async fn null_keys_and_created_times_are_counted() {
    let (source, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut batch = source_batch(&rows(NEW_YEAR, 4));
    for (name, rows) in [("user", &[None, Some(1), Some(2), Some(3)]), ("known_at", &[Some(0), None, None, Some(3)])] {
        let rows = UInt32Array::from(rows.to_vec());
        let column = arrow_select::take::take(batch.column_by_name(name).unwrap(), &rows, None).unwrap();
        batch = with_column(&batch, name, name, &column);
    }
    write(&source.path().join("date=2026-01-01/a.parquet"), &batch);
    let report = run(&view(source.path()), output.path(), None).await.unwrap();
    let expected =
        RowCounts { rows_in: 4, rows_out: 4, added: 4, null_keys: 1, null_created_times: 2, ..RowCounts::default() };
    assert_eq!(report.rows(), expected);
}

#[tokio::test]
async fn a_published_version_keeps_its_meaning() {
    let (source, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    two_days(source.path());
    let mut changed = view(source.path());
    run(&changed, output.path(), Some(days("2026-01-01", "2026-01-02"))).await.unwrap();
    let before = tree(output.path());
    changed.definition_hash = Digest([3; 32]);
    // Also where the published day is not among those to compute: a version has one meaning for all its days.
    let error = run(&changed, output.path(), Some(days("2026-01-02", "2026-01-03"))).await.unwrap_err();
    assert!(
        matches!(&error, OfflineError::DefinitionChanged { version: 1, current, .. } if *current == Digest([3; 32]))
    );
    assert_eq!(error.hint(), Some("raise `version`: what a version means never changes"));
    assert_eq!(tree(output.path()), before);
    changed.view.version = 2;
    run(&changed, output.path(), None).await.unwrap();

    write(&output.path().join("spend/v1/date=2026-01-01/other.parquet"), &source_batch(&[]));
    let error = run(&view(source.path()), output.path(), None).await.unwrap_err();
    assert!(matches!(&error, OfflineError::NotOurs { path, .. } if path.ends_with("other.parquet")));
}

#[tokio::test]
async fn what_is_wrong_with_a_file_is_said_of_the_file() {
    let (source, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    two_days(source.path());
    let bad = source.path().join("date=2026-01-01/b.parquet");
    let batch = source_batch(&rows(NEW_YEAR, 5));
    let fails = async || run(&view(source.path()), output.path(), None).await.unwrap_err();
    let column = |name: &str| batch.column_by_name(name).unwrap();

    write(&bad, &with_column(&batch, "amount", "amuont", column("amount")));
    let error = fails().await;
    assert!(
        matches!(&error, OfflineError::MissingColumn { file, similar: Some(similar), .. } if *file == bad && similar == "amuont")
    );
    assert!(
        error.to_string().ends_with("has no column `amount`, which input `amount` needs; it has `amuont`"),
        "{error}"
    );

    write(&bad, &with_column(&batch, "user", "user", column("offset")));
    let error = fails().await;
    assert!(matches!(&error, OfflineError::ColumnType { other_file, .. } if **other_file == *bad));
    assert!(error.to_string().starts_with("column `user`, which join key `user_id` needs, is Int32 in "), "{error}");

    let whole = fs::read(source.path().join("date=2026-01-01/a.parquet")).unwrap();
    for length in [0, 3, whole.len() / 2, whole.len() - 1] {
        fs::write(&bad, &whole[..length]).unwrap();
        let error = fails().await;
        assert!(matches!(&error, OfflineError::Footer { file, .. } if *file == bad), "{error}");
    }

    let mut damaged = whole.clone();
    damaged[4..64].fill(0xFF); // the header of the first page; bits inside a page are not checked by Parquet
    fs::write(&bad, damaged).unwrap();
    let error = fails().await;
    assert!(matches!(&error, OfflineError::Read { file, row: 0, .. } if *file == bad), "{error}");

    fs::remove_file(&bad).unwrap();
    let nanos =
        TimestampNanosecondArray::from(vec![NEW_YEAR * 1_000_000, NEW_YEAR * 1_000_000 + 1]).with_timezone("UTC");
    let nanos: ArrayRef = Arc::new(nanos);
    let two = with_column(&source_batch(&rows(NEW_YEAR, 2)), "at", "at", &nanos);
    let day_two = source.path().join("date=2026-01-02/a.parquet");
    write(&day_two, &two);
    let options = BatchOptions { rows_per_call: 1, ..BatchOptions::default() };
    let only = Some(days("2026-01-02", "2026-01-03"));
    let mut view = view(source.path());
    view.view.on_error = OnError::Fail;
    let error = run_function(&view, output.path(), only, options, (Native, 1), &()).await.unwrap_err();
    assert!(matches!(&error, OfflineError::Convert { file, .. } if *file == day_two));
    assert!(error.to_string().contains("column `at`, row 1:"), "{error}");

    view.view.on_error = OnError::Quarantine;
    let report = run(&view, output.path(), only).await.unwrap();
    assert_eq!((report.rows().rows_out, report.rows().quarantined), (1, 1));
    let aside = read(&output.path().join(DAY_TWO_QUARANTINE));
    assert!(aside.column(1).is_null(0));
    assert!(aside.column(10).as_string::<i32>().value(0).starts_with("column `at`: 1767225600000000001 "));
}

#[tokio::test]
async fn days_without_rows_are_published_without_rows() {
    let (source, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    one_file(source.path(), &[]);
    write(&source.path().join("date=2026-01-02/a.parquet"), &source_batch(&[]));
    write(&source.path().join("date=2026-01-02/b.parquet"), &source_batch(&rows(NEW_YEAR + 86_400_000, 3)));
    let report = run(&view(source.path()), output.path(), None).await.unwrap();
    assert_eq!(report.rows().rows_out, 3);
    assert_eq!(names(output.path()), [DAY_ONE, DAY_TWO]);
    assert_eq!(read(&output.path().join(DAY_ONE)).num_rows(), 0);
}

#[tokio::test]
async fn folders_with_escapes_are_read_and_published_under_their_own_name() {
    let (source, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let folder = "region=é %2F?#/date=2026-01-01";
    // A column of the folder's name inside the file does not count.
    let batch = source_batch(&rows(NEW_YEAR, 3));
    let batch = with_column(&batch, "unused", "region", batch.column_by_name("unused").unwrap());
    write(&source.path().join(folder).join("a b%20c.parquet"), &batch);
    let mut view = view(source.path());
    view.view.inputs.insert("date".to_owned(), tandem_core::model::InputSource::Column("region".to_owned()));
    run(&view, output.path(), None).await.unwrap();
    assert_eq!(names(output.path()), [format!("spend/v1/{folder}/part-0.parquet")]);
    let rows = read(&output.path().join(format!("spend/v1/{folder}/part-0.parquet")));
    assert_eq!(rows.column(10).as_string::<i32>().value(0), "é /?#T00");
}

#[tokio::test]
async fn a_source_without_partitions_is_one_partition() {
    let (source, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = source.path().join("all.parquet");
    let batch = source_batch(&[(1, Some(NEW_YEAR), Some(UNLUCKY)), (2, Some(NEW_YEAR), None)]);
    write(&file, &with_column(&batch, "unused", "date", batch.column_by_name("unused").unwrap()));
    for path in [file, source.path().to_owned()] {
        let mut view = view("");
        let source = tandem_core::model::Source { partition: None, ..crate::testing::source(path) };
        view.view.source = ViewSource::Files(Arc::new(source));
        let report = run(&view, output.path(), None).await.unwrap();
        assert_eq!((report.rows().rows_out, report.rows().quarantined), (1, 1));
        assert_eq!(names(output.path()), ["spend/v1/_quarantine/part-0.parquet", "spend/v1/part-0.parquet"]);
        let rows = read(&output.path().join("spend/v1/part-0.parquet"));
        assert_eq!(rows.column(10).as_string::<i32>().value(0), "é2T00");
        let error = run(&view, output.path(), Some(days("2026-01-01", "2026-01-02"))).await.unwrap_err();
        assert!(matches!(error, OfflineError::RangeWithoutPartition { source_name } if source_name == "spendings"));
    }
}
