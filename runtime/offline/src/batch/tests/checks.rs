//! Checks of a view, over the rows of a run.

use tandem_core::model::{Allowed, Check, CheckAction, Expected};

use super::*;

const REJECTED: &str = "spend/v1/_rejected/date=2026-01-02/part-0.parquet";

fn check(expected: Expected, action: CheckAction) -> Check {
    Check { expected, action }
}

fn told(report: &BatchReport) -> Vec<(&str, Vec<Option<&str>>, bool)> {
    let parts = report.partitions.iter();
    parts
        .map(|part| {
            let broken = part.checks.iter().map(|check| check.broken.as_deref()).collect();
            (part.partition.as_str(), broken, part.rejected.is_some())
        })
        .collect()
}

#[tokio::test]
async fn a_partition_that_breaks_a_check_is_kept_aside() {
    let (source, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    two_days(source.path());
    let mut view = view(source.path());
    let doubled = |max| Expected::Range { feature: "doubled".to_owned(), min: None, max: Some(max) };
    let day = Allowed::Texts(vec!["2026-01-01T00".to_owned(), "2026-01-02T00".to_owned()]);
    view.view.checks = vec![
        check(doubled(700.0), CheckAction::Fail),
        check(Expected::Values { feature: "day".to_owned(), allowed: day }, CheckAction::Warn),
    ];
    // Amounts of the first file of the first day go up to 350, those of the second day to 162.
    let report = run(&view, output.path(), None).await.unwrap();
    assert_eq!(told(&report)[0].1, [None, None]);
    assert_eq!(names(output.path()), [DAY_ONE, DAY_TWO]);
    let before = tree(output.path());

    // One value of the second day, out of bounds and an hour late.
    let mut rows = rows(NEW_YEAR + 86_400_000, 10);
    rows[3] = (1, Some(NEW_YEAR + 86_400_000 + 3_600_000), Some(1e6));
    write(&source.path().join("date=2026-01-02/a.parquet"), &source_batch(&rows));
    let report = run(&view, output.path(), None).await.unwrap();
    let broken = [
        Some("1 of 10 values lie outside ..=700, for instance 2000000"),
        Some("1 of 10 values are none of the allowed ones, for instance \"2026-01-02T01\""),
    ];
    assert_eq!(told(&report)[1], ("date=2026-01-02", broken.to_vec(), true));
    assert_eq!(report.partitions[1].rejected.as_deref(), Some(output.path().join(REJECTED).as_path()));
    let mut after = tree(output.path());
    assert!(after.remove(REJECTED).is_some());
    assert_eq!(after, before, "what is published stays");
    assert_eq!(read(&output.path().join(REJECTED)).num_rows(), 10);

    // A warning publishes, and what was kept aside goes.
    view.view.checks[0].action = CheckAction::Warn;
    let report = run(&view, output.path(), None).await.unwrap();
    assert_eq!(told(&report)[1], ("date=2026-01-02", broken.to_vec(), false));
    assert_eq!(report.partitions[1].rows.retracted, 491);
    assert_eq!(names(output.path()), [DAY_ONE, DAY_TWO]);
}

#[tokio::test]
async fn row_counts_are_compared_with_the_days_before() {
    let (source, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut view = view(source.path());
    let expected = Expected::RowCount { min: Some(0.5), max: Some(2.0), partitions: 2 };
    view.view.checks = vec![check(expected, CheckAction::Fail)];
    let day = |day: i64, count: i64| {
        let file = source.path().join(format!("date=2026-01-0{day}/a.parquet"));
        write(&file, &source_batch(&rows(NEW_YEAR + (day - 1) * 86_400_000, count)));
    };
    (1..4).for_each(|of| day(of, 100 * of));
    let report = run(&view, output.path(), None).await.unwrap();
    assert!(told(&report).iter().all(|part| part.1 == [None]), "nothing was published before");
    day(4, 600);
    let fourth = Some(days("2026-01-04", "2026-01-05"));
    let report = run(&view, output.path(), fourth).await.unwrap();
    let broken = "600 rows; the 2 partitions before have 250.0 in the mean, so 125.0..=500.0 are expected";
    assert_eq!(told(&report), [("date=2026-01-04", vec![Some(broken)], true)]);
    day(4, 125);
    assert_eq!(told(&run(&view, output.path(), fourth).await.unwrap()), [("date=2026-01-04", vec![None], false)]);
}
