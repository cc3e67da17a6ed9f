//! Aggregates at the labels' times, against a loop over all events for each label.

use std::fs::File;
use std::path::Path;

use arrow_array::types::Float64Type;
use arrow_array::{BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;
use std::collections::BTreeMap;
use tandem_core::canonical::encode_row;
use tandem_core::definition::{File as Definition, Sources, bind, parse_project};
use tandem_core::feature_plan::FeaturePlan;
use tandem_core::key::KeyEncoder;
use tandem_core::model::{BoundView, JoinKey};
use tandem_core::time::{Day, DayRange};
use tandem_core::versions::content;
use tandem_core::window::Window;

use super::super::explain::Verdict;
use super::super::tests::all;
use super::super::{Labels, TrainingOptions, TrainingRequest, TrainingSet};
use super::*;
use crate::grid::{GridRequest, run_grid};

/// An event as its source has it. Times in hours, so that windows of hours end where events are.
#[derive(Debug, Clone)]
struct Row {
    card: Option<i64>,
    at: Option<i64>,
    known: Option<i64>,
    offset: i64,
    amount: Option<f64>,
    kind: Option<&'static str>,
    id: Option<i64>,
    gone: bool,
}

const HOUR: i64 = 3_600_000_000;

fn row() -> impl Strategy<Value = Row> {
    let card = prop_oneof![1 => Just(None), 9 => (0..3_i64).prop_map(Some)];
    let amount = proptest::option::weighted(0.9, (-20..20_i64).prop_map(|quarters| quarters as f64 / 4.0));
    let kind = proptest::option::weighted(0.9, prop_oneof![Just("a"), Just("b")]);
    let id = proptest::option::weighted(0.7, 0..8_i64);
    let at = proptest::option::weighted(0.95, 0..40_i64);
    let late = proptest::option::weighted(0.9, prop_oneof![3 => Just(0_i64), 1 => 0..30_i64]);
    (card, at, late, 0..3_i64, amount, kind, id, proptest::bool::weighted(0.15)).prop_map(
        |(card, at, late, offset, amount, kind, id, gone)| Row {
            card,
            at: at.map(|at| at * HOUR),
            known: late.map(|late| (at.unwrap_or(0) + late) * HOUR),
            offset,
            amount,
            kind,
            id,
            gone,
        },
    )
}

fn write(path: &Path, rows: &[Row]) {
    let times = |of: fn(&Row) -> Option<i64>| {
        let times: TimestampMicrosecondArray = rows.iter().map(of).collect();
        Arc::new(times.with_timezone("UTC")) as ArrayRef
    };
    let columns: [(&str, ArrayRef); 8] = [
        ("card", Arc::new(rows.iter().map(|row| row.card).collect::<Int64Array>())),
        ("at", times(|row| row.at)),
        ("known_at", times(|row| row.known)),
        ("offset", Arc::new(rows.iter().map(|row| Some(row.offset)).collect::<Int64Array>())),
        ("Amount", Arc::new(rows.iter().map(|row| row.amount).collect::<Float64Array>())),
        ("kind", Arc::new(rows.iter().map(|row| row.kind).collect::<StringArray>())),
        ("id", Arc::new(rows.iter().map(|row| row.id).collect::<Int64Array>())),
        ("gone", Arc::new(rows.iter().map(|row| Some(row.gone)).collect::<BooleanArray>())),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(3)).build();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn view(folder: &Path, ids: bool, more: &str) -> BoundView {
    let ids = if ids { "event_id = \"id\"\nretracted = \"gone\"" } else { "" };
    let text = format!(
        r#"
[[entity]]
name = "card"
join_keys = [{{ name = "card_id", type = "int64" }}]
[[source]]
name = "payments"
path = "{}"
kind = "events"
event_time = "at"
created_time = "known_at"
sequence = "offset"
{ids}
[[feature_view]]
name = "activity"
version = 1
source = "payments"
entities = ["card"]
key_columns = {{ card_id = "card" }}
columns = {{ amount = {{ column = "Amount", type = "float64" }}, kind = "string" }}
where = "amount > -4 or amount is null"
on_error = "quarantine"
aggregates = [
    {{ function = "count", windows = ["3h", "lifetime"] }},
    {{ function = "count", name = "of_a", where = "kind = 'a'", windows = ["12h"] }},
    {{ function = "mean", column = "amount", windows = ["3h", "12h"] }},
    {{ function = "last", column = "kind", windows = ["lifetime"] }},
]
{more}
"#,
        folder.display()
    );
    let settings = Definition { name: "tandem.toml".to_owned(), text: "[project]\nname = \"x\"".to_owned() };
    let features = vec![Definition { name: "f.toml".to_owned(), text }];
    let project =
        parse_project(&Sources { settings, features }, Path::new("")).unwrap_or_else(|error| panic!("{error}"));
    let view = project.views.into_iter().next().unwrap();
    let (signature, digest) = view.declared().unwrap();
    bind(view, signature, digest, &BTreeMap::new()).unwrap()
}

fn request(view: &BoundView, root: &Path, asked: &[(Option<i64>, i64)], memory: u64) -> TrainingRequest {
    let known = BTreeMap::from([(view.view.id(), Arc::new(view.clone()))]);
    // Not in their order, and not all.
    let names = ["activity_last", "count_3h", "of_a_12h", "amount_mean_12h", "amount_mean_3h", "count_lifetime"];
    let column = |name: &str| tandem_core::definition::ServiceColumn {
        name: name.to_owned(),
        view: view.view.id(),
        feature: name.replace("activity_last", "kind_last_lifetime"),
        data_type: match name {
            "activity_last" => DataType::String,
            name if name.contains("mean") => DataType::Float64,
            _ => DataType::Int64,
        },
    };
    let times = asked.iter().map(|label| Some(label.1)).collect::<TimestampMicrosecondArray>();
    let labels: [(&str, ArrayRef); 2] = [
        ("card_id", Arc::new(asked.iter().map(|label| label.0).collect::<Int64Array>())),
        ("event_time", Arc::new(times.with_timezone("UTC"))),
    ];
    let labels = RecordBatch::try_from_iter_with_nullable(labels.map(|(name, array)| (name, array, true))).unwrap();
    TrainingRequest {
        labels: Labels::rows(labels).unwrap(),
        event_time: "event_time".to_owned(),
        observed_time: None,
        timezone: None,
        plan: FeaturePlan::new(&names.map(column), &known).unwrap(),
        transforms: BTreeMap::new(),
        columns: BTreeMap::new(),
        ignore_created_time: false,
        offline_root: root.to_owned(),
        only_files: None,
        statuses: true,
        options: TrainingOptions { batch_rows: 3, threads: 2, memory_bytes_max: memory },
    }
}

/// What tells versions apart that tie.
fn contents(row: &Row) -> [u8; 16] {
    let columns: [ArrayRef; 4] = [
        Arc::new(Float64Array::from(vec![row.amount])),
        Arc::new(StringArray::from(vec![row.kind])),
        Arc::new(StringArray::from(vec![row.id.map(|id| id.to_string())])),
        Arc::new(BooleanArray::from(vec![row.gone])),
    ];
    let mut bytes = Vec::new();
    encode_row(&columns, 0, &mut bytes);
    let card: [ArrayRef; 1] = [Arc::new(Int64Array::from(vec![row.card]))];
    let join_keys = [JoinKey { name: "card_id".to_owned(), data_type: DataType::Int64 }];
    let mut key = Vec::new();
    let has_key = KeyEncoder::new(&join_keys, &card).unwrap().encode_into(0, &mut key);
    content(has_key.then_some(&key[..]), row.at.map(Timestamp), &bytes)
}

/// The events that count for a label: of its card, happened before it, known by then, not superseded and not taken back.
fn counting<'a>(rows: &'a [Row], ids: bool, label: (Option<i64>, i64)) -> Vec<&'a Row> {
    let known = |row: &Row| row.known.is_some_and(|known| known <= label.1);
    let counts = |(index, row): (usize, &'a Row)| {
        let (Some(at), true) = (row.at, row.card.is_some() && row.card == label.0) else { return None };
        // A label's own event, and what was not known, does not count. Files were written long after all labels.
        if at >= label.1 || !known(row) || row.amount.is_some_and(|amount| amount <= -4.0) {
            return None;
        }
        if !ids {
            return Some(row);
        }
        if row.gone {
            return None;
        }
        // Of the versions that are known the greatest; of those that are the same through and through the first.
        let versions =
            rows.iter().enumerate().filter(|(_, other)| row.id.is_some() && other.id == row.id && known(other));
        let greatest = versions.max_by_key(|(place, other)| {
            ((other.known, other.offset, other.gone, contents(other)), std::cmp::Reverse(*place))
        });
        greatest.is_none_or(|(greatest, _)| greatest == index).then_some(row)
    };
    rows.iter().enumerate().filter_map(counts).collect()
}

/// (last kind, count in 3 h, `a`s in 12 h, mean in 12 h, mean in 3 h, count of all), by loops.
type Expected = (Option<String>, i64, i64, Option<u64>, Option<u64>, i64);

fn oracle(rows: &[Row], ids: bool, label: (Option<i64>, i64)) -> Expected {
    let counting = counting(rows, ids, label);
    let within = |hours: i64| -> Vec<&Row> {
        counting.iter().copied().filter(|row| row.at.unwrap() >= label.1 - hours * HOUR).collect()
    };
    let mean = |rows: &[&Row]| {
        let amounts: Vec<f64> = rows.iter().filter_map(|row| row.amount).collect();
        let mean = amounts.iter().sum::<f64>() / amounts.len() as f64;
        (!amounts.is_empty()).then(|| if mean == 0.0 { 0.0_f64 } else { mean }.to_bits())
    };
    let mut ordered: Vec<&Row> = counting.iter().copied().filter(|row| row.kind.is_some()).collect();
    ordered.sort_by_key(|row| (row.at, row.known, row.offset, row.kind));
    let last = ordered.last().and_then(|row| row.kind).map(str::to_owned);
    let of_a = within(12).iter().filter(|row| row.kind == Some("a")).count() as i64;
    (last, within(3).len() as i64, of_a, mean(&within(12)), mean(&within(3)), counting.len() as i64)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn labels_get_the_aggregates_that_loops_give(
        files in proptest::collection::vec(proptest::collection::vec(row(), 0..16), 1..4),
        asked in proptest::collection::vec((proptest::option::of(0..4_i64), (0..45_i64).prop_map(|hours| hours * HOUR)), 0..14),
        ids: bool,
        spilled: bool,
    ) {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("payments");
        for (index, rows) in files.iter().enumerate() {
            write(&folder.join(format!("{index}.parquet")), rows);
        }
        let view = view(&folder, ids, "");
        let rows = files.concat();
        let memory = if spilled { 1 } else { 1 << 30 };
        let set = TrainingSet::prepare(request(&view, root.path(), &asked, memory)).unwrap();
        let found = all(&set);
        prop_assert_eq!(found.num_rows(), asked.len());
        for (row, label) in asked.iter().enumerate() {
            let text = |column: usize| {
                let array = found.column(column).as_string::<i32>();
                array.is_valid(row).then(|| array.value(row).to_owned())
            };
            let int = |column: usize| {
                let array = found.column(column).as_primitive::<Int64Type>();
                array.is_valid(row).then(|| array.value(row))
            };
            let float = |column: usize| {
                let array = found.column(column).as_primitive::<Float64Type>();
                array.is_valid(row).then(|| array.value(row).to_bits())
            };
            let status = text(8);
            if label.0.is_none() {
                prop_assert_eq!((text(2), int(3), int(7), status.as_deref()), (None, None, None, Some("NOT_FOUND")));
                continue;
            }
            let (last, in_3, of_a, mean_12, mean_3, all) = oracle(&rows, ids, *label);
            prop_assert_eq!(
                (text(2), int(3), int(4), float(5), float(6), int(7)),
                (last, Some(in_3), Some(of_a), mean_12, mean_3, Some(all)),
                "label {:?}", label
            );
            prop_assert_eq!(status.as_deref(), Some("PRESENT"));
        }
        // What is told of each event agrees with what was counted.
        if let Some(row) = asked.iter().position(|label| label.0.is_some()) {
            let told = set.explain(row).unwrap().remove(0);
            let counted = told.rows.iter().filter(|event| event.verdict == Verdict::Counted).count();
            prop_assert_eq!(counted, counting(&rows, ids, asked[row]).len());
        }
    }
}

/// A run over the days of 1970 from `days.0` to before `days.1`, at `now`.
fn grid_request(view: &BoundView, root: &Path, days: (i32, i32), now: i64, memory: u64) -> GridRequest {
    GridRequest {
        view: Arc::new(view.clone()),
        range: DayRange { from: Day(days.0), to: Day(days.1) },
        offline_root: root.join("offline"),
        now: Timestamp(now),
        contract: "test".to_owned(),
        runtime_fingerprint: "test".to_owned(),
        row_group_rows: 4,
        threads: 2,
        batch_rows: 3,
        memory_bytes_max: memory,
    }
}

/// Card, instant and values of published rows: count in 3 h, `a`s in 12 h, means in 3 h and 12 h, and where they are there count of all and last kind.
type GridRow = (i64, i64, i64, i64, Option<u64>, Option<u64>, Option<(i64, Option<String>)>);

fn grid_rows(root: &Path, partition: &str) -> Vec<GridRow> {
    let path = root.join("offline/activity/v1").join(partition).join("part-0.parquet");
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap();
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch.unwrap();
        let column = |name: &str| batch.column_by_name(name).cloned();
        let int = |name: &str, row: usize| column(name).unwrap().as_primitive::<Int64Type>().value(row);
        let float = |name: &str, row: usize| {
            let array = column(name).unwrap();
            let array = array.as_primitive::<Float64Type>();
            array.is_valid(row).then(|| array.value(row).to_bits())
        };
        for row in 0..batch.num_rows() {
            let last = |array: ArrayRef| {
                let array = array.as_string::<i32>();
                array.is_valid(row).then(|| array.value(row).to_owned())
            };
            let at = batch.column(1).as_primitive::<TimestampMicrosecondType>().value(row);
            let all = column("kind_last_lifetime").map(|kinds| (int("count_lifetime", row), last(kinds)));
            rows.push((
                int("card_id", row),
                at,
                int("count_3h", row),
                int("of_a_12h", row),
                float("amount_mean_3h", row),
                float("amount_mean_12h", row),
                all,
            ));
        }
    }
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_grid_has_the_rows_that_loops_give(
        files in proptest::collection::vec(proptest::collection::vec(row(), 0..16), 1..4),
        ids: bool,
        lifetime: bool,
        spilled: bool,
        now in (20..80_i64).prop_map(|hours| hours * HOUR),
    ) {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("payments");
        for (index, rows) in files.iter().enumerate() {
            write(&folder.join(format!("{index}.parquet")), rows);
        }
        let mut view = view(&folder, ids, "every = \"8h\"");
        if !lifetime {
            let mut aggregates = Aggregates::clone(view.view.aggregates.as_ref().unwrap());
            aggregates.features.retain(|feature| feature.window != Window::Lifetime);
            view.view.aggregates = Some(Arc::new(aggregates));
            (view.signature, view.digest) = view.view.declared().unwrap();
        }
        let rows = files.concat();
        let memory = if spilled { 1 } else { 1 << 30 };
        // The first day is left out: what happened on it is seen all the same.
        let request = grid_request(&view, root.path(), (1, 4), now.max(24 * HOUR), memory);
        let report = run_grid(&request, &()).unwrap();
        let present = |card: i64, at: i64| {
            let counting = counting(&rows, ids, (Some(card), at));
            counting.iter().any(|row| lifetime || row.at.unwrap() >= at - 12 * HOUR)
        };
        let mut days = 0;
        for day in 1..4_i64 {
            let instants: Vec<i64> = (0..3).map(|step| (day * 24 + step * 8) * HOUR).filter(|at| *at <= request.now.0).collect();
            let Some(first) = instants.first() else { continue };
            let mut expected: Vec<GridRow> = Vec::new();
            for card in 0..3 {
                for at in instants.iter().copied().filter(|at| present(card, *at) || present(card, at - 8 * HOUR)) {
                    let (last, in_3, of_a, mean_12, mean_3, all) = oracle(&rows, ids, (Some(card), at));
                    expected.push((card, at, in_3, of_a, mean_3, mean_12, lifetime.then_some((all, last))));
                }
            }
            let partition = format!("date={}", Day::of(Timestamp(*first)));
            prop_assert_eq!(grid_rows(root.path(), &partition), expected);
            days += 1;
        }
        prop_assert_eq!(report.partitions.len(), days);
        // Again it is what it is, whichever days are asked for.
        let again = run_grid(&grid_request(&view, root.path(), (1, 2), request.now.0, memory), &()).unwrap();
        let rows = again.rows();
        prop_assert_eq!((rows.added, rows.retracted), (0, 0));
    }
}

#[test]
fn a_grid_needs_instants_up_to_now_and_not_too_many() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("payments");
    write(&folder.join("a.parquet"), &[]);
    let run = |view: &BoundView, days, now| {
        run_grid(&grid_request(view, root.path(), days, now, 1 << 30), &()).unwrap_err().to_string()
    };
    let of_seconds = view(&folder, false, "every = \"1s\"");
    assert_eq!(
        run(&of_seconds, (0, 12), 100 * 24 * HOUR),
        "feature view `activity@1`: the range has 1036800 instants, one each 1s, and a run computes at most 1000000"
    );
    assert_eq!(
        run(&of_seconds, (3, 4), 24 * HOUR),
        "feature view `activity@1`: the range 1970-01-04..1970-01-05 has no instant of its grid up to now, 1970-01-02T00:00:00Z"
    );
    let without = view(&folder, false, "");
    assert!(run(&without, (0, 1), HOUR).contains("has no `every`"));
}

#[test]
fn one_pass_reads_what_labels_can_see() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("payments");
    let rows: Vec<Row> = (0..30)
        .map(|hour| Row {
            card: Some(hour % 2),
            at: Some(hour * HOUR),
            known: Some(hour * HOUR),
            offset: 0,
            amount: Some(1.0),
            kind: None,
            id: None,
            gone: false,
        })
        .collect();
    write(&folder.join("a.parquet"), &rows);
    let mut view = view(&folder, false, "");
    // Without the windows that have no end: three hours at most.
    let mut aggregates = Aggregates::clone(view.view.aggregates.as_ref().unwrap());
    aggregates.features.retain(|feature| feature.name.ends_with("_3h"));
    view.view.aggregates = Some(Arc::new(aggregates));
    (view.signature, view.digest) = view.view.declared().unwrap();
    let known = BTreeMap::from([(view.view.id(), Arc::new(view.clone()))]);
    let column = tandem_core::definition::ServiceColumn {
        name: "count_3h".to_owned(),
        view: view.view.id(),
        feature: "count_3h".to_owned(),
        data_type: DataType::Int64,
    };
    let mut asked = super::super::tests::request_of(
        root.path(),
        &crate::testing::view("unused"),
        Labels::rows(
            RecordBatch::try_from_iter([
                ("card_id", Arc::new(Int64Array::from(vec![0, 1, 0])) as ArrayRef),
                (
                    "event_time",
                    Arc::new(
                        TimestampMicrosecondArray::from(vec![20 * HOUR, 20 * HOUR, 22 * HOUR]).with_timezone("UTC"),
                    ),
                ),
            ])
            .unwrap(),
        )
        .unwrap(),
    );
    asked.plan = FeaturePlan::new(&[column], &known).unwrap();
    let set = TrainingSet::prepare(asked).unwrap();
    let found = all(&set);
    assert_eq!(found.column(2).as_primitive::<Int64Type>().values(), &[1, 2, 1]);
    let report = set.report().views.remove(0);
    // Of the even card 17 (no), 18 and 20; of the odd one 17 and 19: what is older or later is not kept.
    assert_eq!((report.rows_read, report.rows_fetched, report.labels.present), (30, 4, 3));
}
