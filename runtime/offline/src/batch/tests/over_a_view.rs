//! A view over the rows that another view published.

use tandem_core::model::{BoundView, InputSource, PublishedRows, ViewVersion};

use super::*;

/// A view over the rows of `upstream`: `amount` is its `doubled`, `date` its `day`.
pub(super) fn over(upstream: &BoundView) -> BoundView {
    let mut over = view("unused");
    over.view.name = "over".to_owned();
    over.view.source = ViewSource::View(Arc::new(PublishedRows::of(&upstream.view).unwrap()));
    over.view.key_columns.clear();
    let inputs = [("amount", "doubled"), ("date", "day")];
    over.view.inputs = inputs.map(|(input, of)| (input.to_owned(), InputSource::Column(of.to_owned()))).into();
    over.definition_hash = Digest([3; 32]);
    over.upstream = vec![Arc::new(upstream.clone())];
    over
}

#[tokio::test]
async fn its_rows_are_those_that_the_other_published() {
    let (source, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    two_days(source.path());
    let upstream = view(source.path());
    run(&upstream, output.path(), None).await.unwrap();
    let over = over(&upstream);
    let report = run(&over, output.path(), Some(days("2026-01-02", "2026-01-03"))).await.unwrap();
    assert_eq!((report.partitions.len(), report.rows().rows_out), (1, 500));
    let report = run(&over, output.path(), None).await.unwrap();
    assert_eq!((report.partitions.len(), report.rows().rows_out), (2, 3_500));

    for day in ["date=2026-01-01", "date=2026-01-02"] {
        let of = |view: &str| read(&output.path().join(format!("{view}/v1/{day}/part-0.parquet")));
        let (first, second) = (of("spend"), of("over"));
        // Keys and times are the other's, sequence and created time too.
        assert_eq!(first.columns()[..5], second.columns()[..5]);
        assert!(second.column(4).as_primitive::<Int64Type>().null_count() == 0);
        let doubled = |batch: &RecordBatch| batch.column(9).as_primitive::<Float64Type>().values().to_vec();
        assert_eq!(doubled(&second), doubled(&first).iter().map(|amount| amount * 2.0).collect::<Vec<_>>());
        let days = (first.column(10).as_string::<i32>(), second.column(10).as_string::<i32>());
        assert!(std::iter::zip(days.0, days.1).all(|(first, second)| {
            let first = first.unwrap();
            // As of the row's event time, in the same hour.
            second == Some(&format!("{first}{}", &first[first.len() - 3..]))
        }));
    }
}

#[tokio::test]
async fn rows_that_are_not_there_or_of_another_definition_are_refused() {
    let (source, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    two_days(source.path());
    let mut upstream = view(source.path());
    let error = run(&over(&upstream), output.path(), None).await.unwrap_err();
    assert!(matches!(&error, OfflineError::NotPublished { view, version: 1, .. } if view == "spend"), "{error}");
    assert_eq!(names(output.path()), Vec::<String>::new());

    run(&upstream, output.path(), None).await.unwrap();
    upstream.definition_hash = Digest([9; 32]);
    let error = run(&over(&upstream), output.path(), None).await.unwrap_err();
    assert!(matches!(&error, OfflineError::DefinitionChanged { view, .. } if view == "spend"), "{error}");

    let mut alone = over(&upstream);
    alone.upstream.clear();
    let error = run(&alone, output.path(), None).await.unwrap_err();
    assert_eq!(error.to_string(), "feature view `over@1` reads the rows of `spend@1`, which was not given with it");
}

#[tokio::test]
async fn an_on_demand_view_has_no_batch() {
    let output = tempfile::tempdir().unwrap();
    let mut on_demand = view("unused");
    on_demand.view.source = ViewSource::Request;
    let error = run(&on_demand, output.path(), None).await.unwrap_err();
    assert!(matches!(&error, OfflineError::OnDemand { view } if *view == ViewVersion::new("spend", 1)), "{error}");
    assert!(error.hint().is_some());
}
