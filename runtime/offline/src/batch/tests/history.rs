//! Partitions that are computed again, and what labels see of them.

use std::fs::File;

use arrow_array::{Array, Int64Array, TimestampMicrosecondArray, TimestampMillisecondArray};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;
use tandem_core::model::{AsOf, BoundView, History, KnownBy};
use tandem_core::types::HISTORY_COLUMNS;

use super::*;
use crate::columns::{RowColumns, feature_schema};
use crate::publish::metadata;
use crate::testing::run_at;
use crate::training::{Labels, TrainingSet};

/// A row of the source: user, event time and created time in milliseconds after [`NEW_YEAR`], amount.
type Fact = (i64, i64, Option<i64>, i64);

/// A run: its instant in milliseconds after [`NEW_YEAR`], and the rows of the source.
type Run = (i64, Vec<Fact>);

fn facts_batch(facts: &[Fact]) -> RecordBatch {
    let rows: Vec<Row> = facts.iter().map(|row| (row.0, Some(NEW_YEAR + row.1), Some(row.3 as f64))).collect();
    let created: TimestampMillisecondArray = facts.iter().map(|row| row.2.map(|time| NEW_YEAR + time)).collect();
    let created: ArrayRef = Arc::new(created);
    with_column(&source_batch(&rows), "known_at", "known_at", &created)
}

/// Without a sequence: ties are decided by the other values.
fn view_of(source: &Path, created: bool, known_by: KnownBy) -> BoundView {
    let mut view = view(source);
    let mut files = crate::testing::source(source);
    files.sequence = None;
    files.created_time = files.created_time.filter(|_| created);
    view.view.source = ViewSource::Files(Arc::new(files));
    view.view.as_of = AsOf::AtOrBefore;
    view.view.known_by = known_by;
    view
}

/// Runs the view half a millisecond after each run's instant.
fn run_all(view: &BoundView, source: &Path, output: &Path, runs: &[Run]) -> Vec<RowCounts> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let one = |(at, facts): &Run| {
        write(&source.join("date=2026-01-01/a.parquet"), &facts_batch(facts));
        let report = runtime.block_on(run_at(view, output, micros(*at) + 500));
        report.unwrap().rows()
    };
    runs.iter().map(one).collect()
}

pub(super) fn micros(millis: i64) -> i64 {
    (NEW_YEAR + millis) * 1_000
}

/// What is suspicious about a training set with one label.
fn findings(view: &BoundView, output: &Path) -> Vec<&'static str> {
    let times = TimestampMicrosecondArray::from(vec![micros(30)]).with_timezone("UTC");
    let columns: [(&str, ArrayRef); 2] =
        [("user_id", Arc::new(Int64Array::from(vec![2]))), ("event_time", Arc::new(times))];
    let labels = Labels::rows(RecordBatch::try_from_iter(columns).unwrap()).unwrap();
    let set = TrainingSet::prepare(crate::training::tests::request_of(output, view, labels)).unwrap();
    crate::training::tests::all(&set);
    crate::training::leakage::findings(&set.report()).iter().map(|finding| finding.kind.as_str()).collect()
}

/// What labels (user, milliseconds) get: the amount.
pub(super) fn joined(view: &BoundView, output: &Path, labels: &[(i64, i64)]) -> Vec<Option<i64>> {
    let times = labels.iter().map(|label| Some(micros(label.1))).collect::<arrow_array::TimestampMicrosecondArray>();
    let columns: [(&str, ArrayRef); 2] = [
        ("user_id", Arc::new(Int64Array::from_iter_values(labels.iter().map(|label| label.0)))),
        ("event_time", Arc::new(times.with_timezone("UTC"))),
    ];
    let labels = RecordBatch::try_from_iter(columns).unwrap();
    let set =
        TrainingSet::prepare(crate::training::tests::request_of(output, view, Labels::rows(labels).unwrap())).unwrap();
    let found = crate::training::tests::all(&set);
    let doubled = found.column_by_name("doubled").unwrap().as_primitive::<Float64Type>();
    doubled.iter().map(|value| value.map(|value| value as i64 / 2)).collect()
}

/// The rows that count at an instant: a row counts from when it is known until the first run without it.
fn known_at(runs: &[Run], instant: i64, known_by: KnownBy) -> Vec<Fact> {
    // (row, from, until), in run instants that lie half a millisecond after their number.
    let mut rows: Vec<(Fact, i64, i64)> = Vec::new();
    for (now, facts) in runs {
        let now = *now + 1;
        let mut rest = facts.clone();
        for (fact, _, until) in rows.iter_mut().filter(|row| row.2 == i64::MAX) {
            match rest.iter().position(|other| other == fact) {
                Some(index) => drop(rest.swap_remove(index)),
                None => *until = now,
            }
        }
        let before = rows.clone();
        for fact in rest {
            let same_event: Vec<_> = before.iter().filter(|row| (row.0.0, row.0.1) == (fact.0, fact.1)).collect();
            let replaced: Vec<_> = same_event.iter().filter(|row| row.2 != i64::MAX).collect();
            let correction = match fact.2 {
                None if same_event.is_empty() => i64::MIN,
                None => now,
                Some(created) if replaced.iter().any(|row| row.0.2 >= Some(created)) => now,
                Some(created) if !replaced.is_empty() => created.min(now),
                Some(_) => i64::MIN,
            };
            let from = match known_by {
                KnownBy::Created => fact.2.unwrap_or(now),
                KnownBy::Published => now,
                KnownBy::Event => i64::MIN,
            };
            rows.push((fact, from.max(correction), i64::MAX));
        }
    }
    rows.into_iter().filter(|row| (row.1..row.2).contains(&instant)).map(|row| row.0).collect()
}

fn oracle(runs: &[Run], (user, instant): (i64, i64), known_by: KnownBy) -> Option<i64> {
    let known = known_at(runs, instant, known_by).into_iter().filter(|row| row.0 == user && row.1 <= instant);
    known.max_by_key(|row| (row.1, row.2, row.3)).map(|row| row.3)
}

fn runs() -> impl Strategy<Value = (bool, Vec<Run>)> {
    any::<bool>().prop_flat_map(|created| {
        let time = proptest::option::of(0..6_i64).prop_map(move |time| time.filter(|_| created));
        let fact = (0..2_i64, 0..3_i64, time, 1..4_i64);
        let runs = proptest::collection::vec((1..3_i64, proptest::collection::vec(fact, 0..5)), 1..5);
        let runs = runs.prop_map(|steps| {
            let mut now = 0;
            let run = |(step, facts)| {
                now += step;
                (now, facts)
            };
            steps.into_iter().map(run).collect()
        });
        (Just(created), runs)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_label_sees_what_was_known_at_its_time(
        (created, runs) in runs(),
        known_by in prop::sample::select(KnownBy::ALL.to_vec()),
    ) {
        let known_by = if created { known_by } else { [KnownBy::Published, KnownBy::Event][known_by as usize % 2] };
        let (source, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let view = view_of(source.path(), created, known_by);
        run_all(&view, source.path(), output.path(), &runs);
        let labels: Vec<(i64, i64)> = (0..2).flat_map(|user| (-1..12).map(move |instant| (user, instant))).collect();
        let expected: Vec<_> = labels.iter().map(|label| oracle(&runs, *label, known_by)).collect();
        prop_assert_eq!(joined(&view, output.path(), &labels), expected);

        // The same rows again change nothing, whatever the clock says.
        let before = read(&output.path().join(DAY_ONE));
        let (_, facts) = runs.last().unwrap().clone();
        let counts = run_all(&view, source.path(), output.path(), &[(100, facts.clone()), (1, facts)]);
        prop_assert!(counts.iter().all(|counts| (counts.added, counts.retracted) == (0, 0)));
        // The metadata has the list of the source's files with their times.
        let after = read(&output.path().join(DAY_ONE));
        prop_assert_eq!(before.columns(), after.columns());
    }
}

fn history_of(rows: &RecordBatch) -> Vec<[Option<i64>; 5]> {
    let names = ["published_time"].into_iter().chain(HISTORY_COLUMNS);
    let columns: Vec<_> = names.map(|name| rows.column_by_name(name).unwrap()).collect();
    let at = |column: usize, row: usize| {
        let times = columns[column].as_primitive::<TimestampMicrosecondType>();
        times.is_valid(row).then(|| (times.value(row) - micros(0)) / 1_000)
    };
    (0..rows.num_rows()).map(|row| std::array::from_fn(|column| at(column, row))).collect()
}

#[test]
fn a_file_has_the_rows_of_its_source_and_behind_them_those_that_are_gone() {
    let (source, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let view = view_of(source.path(), false, KnownBy::Event);
    let runs = [(10, vec![(1, 1, None, 7), (2, 2, None, 8)]), (20, vec![(2, 2, None, 9), (3, 3, None, 5)])];
    let counts = run_all(&view, source.path(), output.path(), &runs);
    let changes: Vec<_> = counts.iter().map(|counts| (counts.rows_out, counts.added, counts.retracted)).collect();
    assert_eq!(changes, [(2, 2, 0), (2, 2, 2)]);
    let rows = read(&output.path().join(DAY_ONE));
    assert_eq!(rows.column(0).as_primitive::<Int64Type>().values(), &[2, 3, 1, 2]);
    let expected = [
        [Some(20), Some(20), None, None, None],
        [Some(20), None, None, None, None],
        [Some(10), None, Some(20), None, None],
        [Some(10), None, Some(20), None, None],
    ];
    assert_eq!(history_of(&rows), expected);
}

#[test]
fn a_run_that_finds_nothing_new_leaves_the_file() {
    let (source, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let view = view_of(source.path(), false, KnownBy::Event);
    run_all(&view, source.path(), output.path(), &[(10, vec![(1, 1, None, 7), (2, 2, None, 8)])]);
    let file = output.path().join(DAY_ONE);
    File::options().append(true).open(&file).unwrap().set_modified(UNIX_EPOCH).unwrap();
    let before = tree(output.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let report = runtime.block_on(run_at(&view, output.path(), micros(20))).unwrap();
    assert_eq!(report.bytes_out(), before[DAY_ONE].len() as u64);
    assert_eq!(tree(output.path()), before);
    assert_eq!(file.metadata().unwrap().modified().unwrap(), UNIX_EPOCH);
    // Other row groups are another file, with the same rows.
    let options = BatchOptions { row_group_rows: 1, ..BatchOptions::default() };
    runtime.block_on(run_function(&view, output.path(), None, options, (Native, 1), &())).unwrap();
    assert_ne!(tree(output.path()), before);
    assert_eq!(history_of(&read(&file)), [[Some(10), None, None, None, None]; 2]);
}

#[test]
fn a_view_may_say_that_rows_are_replaced() {
    let (source, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut view = view_of(source.path(), false, KnownBy::Event);
    view.view.history = History::Replace;
    let runs = [(10, vec![(1, 1, None, 7), (2, 2, None, 8)]), (20, vec![(1, 1, None, 7), (2, 2, None, 9)])];
    let counts = run_all(&view, source.path(), output.path(), &runs);
    assert_eq!((counts[1].added, counts[1].retracted), (1, 1));
    let rows = read(&output.path().join(DAY_ONE));
    assert_eq!(history_of(&rows), [[Some(10), None, None, None, None], [Some(20), None, None, None, None]]);
    assert_eq!(joined(&view, output.path(), &[(2, 5)]), [Some(9)], "an old label sees the new value");
    assert!(findings(&view, output.path()).contains(&"replaced"));
    view.view.history = History::Append;
    assert!(!findings(&view, output.path()).contains(&"replaced"));
}

/// Writes the rows of a current file as a program of format version 1 did.
fn as_first_format(view: &BoundView, file: &Path) {
    let rows = read(file);
    let RowColumns { times, history, features, .. } = RowColumns::of(view);
    let kept: Vec<usize> = (0..history).chain(features..rows.num_columns()).collect();
    let mut columns = rows.project(&kept).unwrap().columns().to_vec();
    let schema = Arc::new(feature_schema(view).project(&kept).unwrap());
    columns[times + 2] = arrow_array::new_null_array(columns[times + 2].data_type(), rows.num_rows());
    let mut pairs = metadata(view, Digest([7; 32]), "tandem:feature@0.1.0", "test");
    let version = pairs.iter_mut().find(|pair| pair.key == "tandem.format_version").unwrap();
    version.value = Some("1".to_owned());
    let properties = WriterProperties::builder().set_key_value_metadata(Some(pairs)).build();
    let mut writer = ArrowWriter::try_new(File::create(file).unwrap(), Arc::clone(&schema), Some(properties)).unwrap();
    writer.write(&RecordBatch::try_new(schema, columns).unwrap()).unwrap();
    writer.close().unwrap();
}

#[test]
fn files_of_the_first_format_are_read_and_keep_their_rows() {
    let (source, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let view = view_of(source.path(), false, KnownBy::Event);
    let first = (10, vec![(1, 1, None, 7), (2, 2, None, 8)]);
    run_all(&view, source.path(), output.path(), std::slice::from_ref(&first));
    let file = output.path().join(DAY_ONE);
    as_first_format(&view, &file);
    let written = UNIX_EPOCH + std::time::Duration::from_micros(micros(15) as u64);
    File::options().append(true).open(&file).unwrap().set_modified(written).unwrap();
    assert_eq!(joined(&view, output.path(), &[(1, 12), (2, 12)]), [Some(7), Some(8)]);

    run_all(&view, source.path(), output.path(), &[(20, vec![(1, 1, None, 7), (2, 2, None, 9)])]);
    let rows = read(&file);
    let expected = [
        [Some(15), None, None, None, None],
        [Some(20), Some(20), None, None, None],
        [Some(15), None, Some(20), None, None],
    ];
    assert_eq!(history_of(&rows), expected);
    assert_eq!(joined(&view, output.path(), &[(2, 12), (2, 21)]), [Some(8), Some(9)]);
}

#[test]
fn a_view_over_another_has_its_history() {
    let source = tempfile::tempdir().unwrap();
    let upstream = view_of(source.path(), false, KnownBy::Event);
    let mut over = super::over_a_view::over(&upstream);
    (over.view.as_of, over.view.known_by) = (AsOf::AtOrBefore, KnownBy::Event);
    let labels = [(1, 12), (1, 21), (1, 31), (2, 12), (2, 21), (2, 31)];
    let later = |first: bool| {
        let root = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let run_over = |at: i64| runtime.block_on(run_at(&over, root.path(), micros(at))).unwrap().rows();
        let facts = [(10, vec![(1, 1, None, 7), (2, 2, None, 8)]), (20, vec![(1, 1, None, 9)])];
        run_all(&upstream, source.path(), root.path(), &facts[..1]);
        if first {
            run_over(11);
        }
        run_all(&upstream, source.path(), root.path(), &facts[1..]);
        run_over(30);
        // Once more, with nothing new to see.
        let again = run_over(31);
        assert_eq!((again.added, again.retracted), (0, 0));
        (joined(&upstream, root.path(), &labels), joined(&over, root.path(), &labels))
    };
    for first in [false, true] {
        let (upstream, over) = later(first);
        assert_eq!(upstream, [Some(7), Some(9), Some(9), Some(8), None, None]);
        let doubled: Vec<_> = upstream.iter().map(|amount| amount.map(|amount| amount * 2)).collect();
        // What it gives at an instant is computed from what was known then, whenever it was computed.
        assert_eq!(over, doubled);
    }
}
