use arrow_select::concat::concat_batches;
use tandem_core::hash::Digest;

use super::*;
use crate::testing::{NEW_YEAR, days, rows, run, source_batch, two_days, view, write};

async fn open(view: &BoundView, root: &Path, range: Option<DayRange>) -> Result<PublishedRows, OfflineError> {
    PublishedRows::open(Arc::new(view.clone()), root, range, 300).await
}

#[tokio::test]
async fn published_rows_come_back_partition_after_partition() {
    let (source, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    two_days(source.path());
    let view = view(source.path());
    run(&view, output.path(), None).await.unwrap();

    let published = open(&view, output.path(), None).await.unwrap();
    let ids: Vec<_> = published.partitions().iter().map(|id| id.as_str().to_owned()).collect();
    assert_eq!(ids, ["date=2026-01-01", "date=2026-01-02"]);
    let schema = Arc::clone(published.schema());
    let batches: Vec<PublishedBatch> = published.try_collect().await.unwrap();
    assert!(batches.iter().all(|batch| (1..=300).contains(&batch.rows.num_rows())));
    assert!(batches.is_sorted_by_key(|batch| &batch.partition));
    let rows = concat_batches(&schema, batches.iter().map(|batch| &batch.rows)).unwrap();
    assert_eq!(rows.num_rows(), 3_500);

    let published = open(&view, output.path(), Some(days("2026-01-02", "2026-01-03"))).await.unwrap();
    let day: Vec<PublishedBatch> = published.try_collect().await.unwrap();
    let day = concat_batches(&schema, day.iter().map(|batch| &batch.rows)).unwrap();
    assert_eq!(day, rows.slice(3_000, 500));
}

#[tokio::test]
async fn what_is_not_this_view_is_refused() {
    let (source, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    two_days(source.path());
    let mut other = view(source.path());
    let nothing = open(&other, output.path(), None).await.err().unwrap();
    assert!(matches!(nothing, OfflineError::NotPublished { version: 1, .. }), "{nothing}");
    run(&other, output.path(), None).await.unwrap();
    let nothing = open(&other, output.path(), Some(days("2027-01-01", "2027-01-02"))).await.err().unwrap();
    assert!(matches!(nothing, OfflineError::NotPublished { range: Some(_), .. }), "{nothing}");

    other.definition_hash = Digest([9; 32]);
    let read: Result<Vec<_>, _> = open(&other, output.path(), None).await.unwrap().try_collect().await;
    assert!(matches!(read.unwrap_err(), OfflineError::DefinitionChanged { .. }));
}

#[tokio::test]
async fn a_reader_sees_the_old_partition_or_the_new_one() {
    let (source, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    two_days(source.path());
    let view = view(source.path());
    run(&view, output.path(), None).await.unwrap();
    let mut published = open(&view, output.path(), None).await.unwrap();
    let first = published.next().await.unwrap().unwrap().rows.num_rows();
    for day in 0..2 {
        let file = format!("date=2026-01-0{}/a.parquet", day + 1);
        write(&source.path().join(file), &source_batch(&rows(NEW_YEAR + day * 86_400_000, 1)));
    }
    run(&view, output.path(), None).await.unwrap();
    let rest: Vec<PublishedBatch> = published.try_collect().await.unwrap();
    let rest: Vec<_> =
        rest.into_iter().map(|batch| (batch.partition.to_string(), batch.standing().true_count())).collect();
    let of = |day: &str| rest.iter().filter(|(id, _)| id == day).map(|(_, rows)| rows).sum::<usize>();
    assert_eq!(first + of("date=2026-01-01"), 3_000, "the file that was open is read to its end");
    assert_eq!(of("date=2026-01-02"), 1, "the next one is the new one");
}
