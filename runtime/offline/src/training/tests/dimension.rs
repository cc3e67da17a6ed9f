//! Dimensions: rows that are valid until an instant of their own.

use arrow_array::ArrayRef;
use tandem_core::model::SourceKind;

use super::columns::{of_columns, source_rows, write_source};
use super::*;

/// A row and the end of its validity.
type Valid = (Row, Option<i64>);

/// A view of columns over a dimension.
fn dimension(source: &Path) -> BoundView {
    let mut view = of_columns(source);
    let mut files = testing::source(source);
    (files.partition, files.kind, files.valid_to) = (None, SourceKind::Dimension, Some("until".to_owned()));
    view.view.source = ViewSource::Files(Arc::new(files));
    view
}

fn write_dimension(path: &Path, rows: &[Valid]) {
    let plain = source_rows(&rows.iter().map(|(row, _)| (Some(row.event), row)).collect::<Vec<_>>());
    let ends: ArrayRef = Arc::new(rows.iter().map(|row| row.1).collect::<TimestampMicrosecondArray>());
    let schema = plain.schema();
    let columns = schema.fields().iter().map(|field| field.name().clone()).zip(plain.columns().to_vec());
    write_source(path, &RecordBatch::try_from_iter(columns.chain([("until".to_owned(), ends)])).unwrap());
}

/// Day and status of a label: of the rows that were there, and ever valid, the greatest, if it is still valid.
fn in_force(label: (Option<i64>, i64), rows: &[Valid], view: &BoundView) -> (Option<String>, &'static str) {
    let instant = Timestamp(label.1);
    let mut best: Option<(RowOrder<'static>, &Valid)> = None;
    for valid in rows {
        let (row, end) = valid;
        let key_matches = row.user.is_some() && row.user == label.0;
        let happened = match view.view.as_of {
            AsOf::AtOrBefore => row.event <= label.1,
            AsOf::Before => row.event < label.1,
        };
        let known = is_known(view.view.known_by, row.created.map(Timestamp), Timestamp(i64::MAX), instant);
        if !key_matches || !happened || !known || end.is_some_and(|end| end <= row.event) {
            continue;
        }
        let values: [ArrayRef; 3] = [
            Arc::new(Float64Array::from(vec![row.doubled])),
            Arc::new(StringArray::from(vec![row.day])),
            Arc::new(TimestampMicrosecondArray::from(vec![*end]).with_timezone("UTC")),
        ];
        let mut bytes = Vec::new();
        encode_row(&values, 0, &mut bytes);
        let order = RowOrder {
            event_time: Timestamp(row.event),
            created_time: row.created.map(Timestamp),
            sequence: row.sequence,
            row: Box::leak(bytes.into_boxed_slice()),
        };
        if best.as_ref().is_none_or(|(greatest, _)| order > *greatest) {
            best = Some((order, valid));
        }
    }
    let Some((_, (row, end))) = best else { return (None, "NOT_FOUND") };
    let before_end = match view.view.as_of {
        AsOf::AtOrBefore => end.is_none_or(|end| label.1 < end),
        AsOf::Before => end.is_none_or(|end| label.1 <= end),
    };
    let too_old = qualifies(Timestamp(row.event), instant, view.view.as_of, view.view.ttl) == Qualification::Expired;
    match (before_end && !too_old, &row.day, &row.doubled) {
        (false, ..) => (None, "OUTSIDE_MAX_AGE"),
        (true, None, None) => (None, "NULL_VALUE"),
        (true, day, _) => (day.map(str::to_owned), "PRESENT"),
    }
}

fn found(root: &Path, view: &BoundView, asked: &[(Option<i64>, i64)]) -> Vec<(Option<String>, String)> {
    let found = all(&TrainingSet::prepare(request(root, view, labels(asked))).unwrap());
    let (days, statuses) = (found.column(3).as_string::<i32>(), found.column(5).as_string::<i32>());
    let day = |row: usize| days.is_valid(row).then(|| days.value(row).to_owned());
    (0..found.num_rows()).map(|row| (day(row), statuses.value(row).to_owned())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_label_gets_the_row_that_is_valid(
        files in proptest::collection::vec(proptest::collection::vec((row(), proptest::option::of(-5..6_i64)), 0..9), 1..3),
        asked in proptest::collection::vec((proptest::option::of(0..4_i64), -6..7_i64), 0..12),
        before in any::<bool>(),
        created in any::<bool>(),
        ttl in proptest::option::of(0..5_u64),
    ) {
        let root = tempfile::tempdir().unwrap();
        let source = root.path().join("source");
        let mut view = dimension(&source);
        view.view.as_of = if before { AsOf::Before } else { AsOf::AtOrBefore };
        view.view.known_by = if created { KnownBy::Created } else { KnownBy::Event };
        view.view.ttl = ttl.map(Duration::from_micros);
        for (index, rows) in files.iter().enumerate() {
            write_dimension(&source.join(format!("{index}.parquet")), rows);
        }
        let rows: Vec<Valid> = files.concat();
        for (label, given) in asked.iter().zip(found(root.path(), &view, &asked)) {
            let (day, status) = in_force(*label, &rows, &view);
            prop_assert_eq!(given, (day, status.to_owned()), "{:?}", label);
        }
    }

    /// Where no two rows of an entity are valid at once, it is the join that everybody writes: `valid_from <= T and T < valid_to`.
    #[test]
    fn versions_one_after_another_are_joined_as_in_sql(
        mut starts in proptest::collection::btree_set(-10..10_i64, 0..6),
        gaps in proptest::collection::vec(any::<bool>(), 6),
        is_open in any::<bool>(),
        asked in proptest::collection::vec(-12..12_i64, 0..12),
    ) {
        let root = tempfile::tempdir().unwrap();
        let source = root.path().join("source");
        let mut view = dimension(&source);
        (view.view.as_of, view.view.known_by) = (AsOf::AtOrBefore, KnownBy::Event);
        let last = starts.pop_last();
        let ordered: Vec<i64> = starts.iter().copied().chain(last).collect();
        let rows: Vec<Valid> = ordered.iter().enumerate().map(|(index, start)| {
            let next = ordered.get(index + 1).copied();
            // Up to the next one, or with a gap before it; the last one open, or not.
            let end = match next {
                Some(next) => Some(if gaps[index] { start + 1 } else { next }),
                None if is_open => None,
                None => Some(start + 2),
            };
            let day = if index % 2 == 0 { "a" } else { "b" };
            let row = Row { user: Some(1), event: *start, created: None, published: None, sequence: None, history: [None; 4], doubled: None, day: Some(day) };
            (row, end)
        }).collect();
        write_dimension(&source.join("a.parquet"), &rows);
        let asked: Vec<_> = asked.into_iter().map(|instant| (Some(1), instant)).collect();
        for ((_, instant), (day, status)) in asked.iter().zip(found(root.path(), &view, &asked)) {
            let mut valid = rows.iter().filter(|(row, end)| row.event <= *instant && end.is_none_or(|end| *instant < end));
            let expected = valid.next().and_then(|(row, _)| row.day.map(str::to_owned));
            prop_assert!(valid.next().is_none());
            prop_assert_eq!(status == "PRESENT", expected.is_some());
            prop_assert_eq!(day, expected, "{}", instant);
        }
    }
}

/// Through batch too: what a transform computes of a dimension's rows keeps their ends.
#[test]
fn computed_rows_of_a_dimension_keep_their_ends() {
    let root = tempfile::tempdir().unwrap();
    let (source, output) = (root.path().join("source"), root.path().join("output"));
    let start = testing::NEW_YEAR;
    // The third fails, and is set aside.
    let given = testing::source_batch(&[
        (1, Some(start), Some(1.0)),
        (1, Some(start + 10), Some(2.0)),
        (1, Some(start + 11), Some(testing::UNLUCKY)),
    ]);
    let ends: ArrayRef =
        Arc::new(TimestampMillisecondArray::from(vec![Some(start + 10), Some(start + 20), Some(start + 30)]));
    let schema = given.schema();
    let columns = schema.fields().iter().map(|field| field.name().clone()).zip(given.columns().to_vec());
    let given = RecordBatch::try_from_iter(columns.chain([("until".to_owned(), ends)])).unwrap();
    testing::write(&source.join("date=2026-01-01/a.parquet"), &given);
    let mut view = testing::view(&source);
    let mut files = testing::source(&source);
    (files.kind, files.valid_to) = (SourceKind::Dimension, Some("until".to_owned()));
    view.view.source = ViewSource::Files(Arc::new(files));
    (view.view.as_of, view.view.known_by) = (AsOf::AtOrBefore, KnownBy::Event);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let report = runtime.block_on(testing::run(&view, &output, None)).unwrap();
    assert_eq!((report.rows().rows_out, report.rows().quarantined), (2, 1));

    let asked = [5, 10, 19, 20].map(|millis| (Some(1), (start + millis) * 1_000));
    let found = all(&TrainingSet::prepare(request(&output, &view, labels(&asked))).unwrap());
    let doubled: Vec<_> = found.column(4).as_primitive::<Float64Type>().iter().collect();
    assert_eq!(doubled, [Some(2.0), Some(4.0), Some(4.0), None]);
    assert_eq!(found.column(5).as_string::<i32>().value(3), "OUTSIDE_MAX_AGE");
}
