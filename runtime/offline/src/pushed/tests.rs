use std::collections::BTreeSet;

use arrow_array::{ArrayRef, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray, new_null_array};
use futures::TryStreamExt;

use super::*;
use crate::published::PublishedRows;
use crate::testing::{self, NEW_YEAR, run, two_days};

const HOUR: i64 = 3_600_000_000;

/// Rows with these sequences, so many hours after the new year.
fn rows(view: &BoundView, rows: &[(i64, i64)]) -> RecordBatch {
    let count = rows.len();
    let time = |of: &dyn Fn(&(i64, i64)) -> Option<i64>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
    };
    let sequences =
        || -> ArrayRef { Arc::new(Int64Array::from_iter_values(rows.iter().map(|(sequence, _)| *sequence))) };
    let schema = pushed_schema(view);
    let none = || new_null_array(schema.field(2).data_type(), count);
    let event = |row: &(i64, i64)| Some(NEW_YEAR * 1000 + row.1 * HOUR);
    let columns: Vec<ArrayRef> = vec![
        sequences(),
        time(&event),
        time(&|_| None),
        time(&|row| Some(row.0)),
        Arc::new(Int64Array::from(vec![None; count])),
        none(),
        none(),
        none(),
        none(),
        Arc::new(Float64Array::from(vec![1.5; count])),
        Arc::new(StringArray::from(vec!["pushed"; count])),
        sequences(),
    ];
    RecordBatch::try_new(schema.clone(), columns).unwrap()
}

fn write(view: &BoundView, root: &Path, batch: &RecordBatch) -> Vec<(String, u64)> {
    let mut files = PushedFiles::open(Arc::new(view.clone()), root).unwrap();
    let written = files.write(batch, 7, "contract", "runtime").unwrap();
    let relative = |path: &Path| path.strip_prefix(files.folder.clone()).unwrap().display().to_string();
    written.iter().map(|file| (relative(&file.path), file.rows)).collect()
}

/// Users of the rows that were pushed, by what a reader of the view's history has.
async fn pushed(view: &BoundView, root: &Path, range: Option<DayRange>) -> Vec<i64> {
    let published = PublishedRows::open(Arc::new(view.clone()), root, range, 7).await.unwrap();
    let batches: Vec<_> = published.try_collect().await.unwrap();
    let pushed = batches.iter().filter(|batch| batch.partition.is_pushed());
    let users = pushed.flat_map(|batch| batch.rows.column(0).as_primitive::<Int64Type>().values().to_vec());
    let mut users: Vec<i64> = users.collect();
    users.sort_unstable();
    users
}

#[tokio::test]
async fn rows_lie_in_the_days_of_their_events_and_are_read_beside_what_is_published() {
    let (source, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    two_days(source.path());
    let view = testing::view(source.path());
    let written = write(&view, root.path(), &rows(&view, &[(1, 0), (2, 30), (3, 1)]));
    let name = "push-0000000000000007-00000000000000000001-00000000000000000003.parquet";
    assert_eq!(written, [(format!("date=2026-01-01/{name}"), 2), (format!("date=2026-01-02/{name}"), 1)]);
    // Before anything was published, too.
    assert_eq!(pushed(&view, root.path(), None).await, [1, 2, 3]);
    run(&view, root.path(), None).await.unwrap();
    assert_eq!(pushed(&view, root.path(), None).await, [1, 2, 3]);
    assert_eq!(pushed(&view, root.path(), Some(testing::days("2026-01-02", "2026-01-03"))).await, [2]);
    let published = PublishedRows::open(Arc::new(view.clone()), root.path(), None, 1000).await.unwrap();
    let rows: usize = published.try_fold(0, |sum, batch| async move { Ok(sum + batch.rows.num_rows()) }).await.unwrap();
    assert_eq!(rows, 3_503, "two days of the source, and three rows");
}

#[tokio::test]
async fn a_run_that_was_killed_between_two_files_is_finished_without_doubling_a_row() {
    let (source, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let view = testing::view(source.path());
    let batch = rows(&view, &[(5, 0), (6, 30), (7, 1), (8, 31)]);
    let written = write(&view, root.path(), &batch);
    let folder = pushed_folder(root.path(), &view);
    std::fs::remove_file(folder.join(&written[1].0)).unwrap();
    std::fs::write(folder.join("date=2026-01-01/.push-1-2.parquet.9-9.staged"), "half").unwrap();
    // The log still has all of them, and one more by now.
    let more = rows(&view, &[(5, 0), (6, 30), (7, 1), (8, 31), (9, 2)]);
    let again = write(&view, root.path(), &more);
    let name = "push-0000000000000007-00000000000000000005-00000000000000000009.parquet";
    assert_eq!(again, [(format!("date=2026-01-01/{name}"), 1), (format!("date=2026-01-02/{name}"), 2)]);
    assert_eq!(pushed(&view, root.path(), None).await, [5, 6, 7, 8, 9]);
    assert_eq!(write(&view, root.path(), &more), [], "they are all there");
    let left: BTreeSet<_> = listing::staged_files(&folder, is_staged_push).unwrap().into_iter().collect();
    assert_eq!(left, BTreeSet::new());
}

#[test]
fn one_process_at_a_time_writes() {
    let root = tempfile::tempdir().unwrap();
    let view = Arc::new(testing::view(root.path()));
    let first = PushedFiles::open(Arc::clone(&view), root.path()).unwrap();
    let second = PushedFiles::open(Arc::clone(&view), root.path());
    assert!(matches!(second.err().unwrap(), OfflineError::Locked { .. }));
    drop(first);
    assert!(PushedFiles::open(view, root.path()).is_ok());
}

#[tokio::test]
async fn a_log_that_began_anew_gives_the_same_sequences_to_other_rows() {
    let (source, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let view = testing::view(source.path());
    write(&view, root.path(), &rows(&view, &[(1, 0), (2, 1)]));
    let mut files = PushedFiles::open(Arc::new(view.clone()), root.path()).unwrap();
    let written = files.write(&rows(&view, &[(1, 2), (2, 3)]), 8, "contract", "runtime").unwrap();
    assert_eq!(written.iter().map(|file| file.rows).collect::<Vec<_>>(), [2]);
    assert_eq!(pushed(&view, root.path(), None).await, [1, 1, 2, 2], "none is taken for one that is there");
}

#[test]
fn names_say_sequences() {
    let range = Sequences { epoch: 0xab, first: 3, last: u64::MAX };
    assert_eq!(sequences(&range.file_name()), Some(range));
    for wrong in [
        "part-0.parquet",
        "push-1.parquet",
        "push-1-2.parquet",
        "push-1-2-x.parquet",
        "push-1-2-3",
        "push-1-2-3-4.parquet",
    ] {
        assert_eq!(sequences(wrong), None, "{wrong}");
    }
}
