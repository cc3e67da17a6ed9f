//! Training sets over published files, against a loop over all rows for each label.

mod columns;
mod dimension;
mod memory;

use std::fs::File;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{
    Array, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, TimestampMillisecondArray,
};
use arrow_select::concat::concat_batches;
use futures::TryStreamExt;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;
use tandem_core::canonical::encode_row;
use tandem_core::defaults::Defaults;
use tandem_core::definition::ServiceColumn;
use tandem_core::model::{AsOf, BoundView, InputSource, KnownBy, ViewSource};
use tandem_core::order::RowOrder;
use tandem_core::status::{Qualification, is_known, qualifies};
use tandem_core::time::{Duration, Timestamp};
use tandem_core::types::{DataType, Field, Signature};
use tandem_engine::{EngineError, Fault, Outcome, RowFailure};

use super::*;
use crate::bind::RowSession;
use crate::columns::feature_schema;
use crate::publish::{metadata, view_folder};
use crate::testing;

/// A published row of the view of [`testing::view`].
#[derive(Debug, Clone)]
struct Row {
    user: Option<i64>,
    event: i64,
    created: Option<i64>,
    published: Option<i64>,
    sequence: Option<i64>,
    /// Corrected, retracted, superseded, superseded published.
    history: [Option<i64>; 4],
    doubled: Option<f64>,
    day: Option<&'static str>,
}

fn published(rows: &[Row], view: &BoundView) -> RecordBatch {
    let times = |of: fn(&Row) -> Option<i64>| {
        Arc::new(rows.iter().map(of).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
    };
    RecordBatch::try_new(
        feature_schema(view),
        vec![
            Arc::new(rows.iter().map(|row| row.user).collect::<Int64Array>()),
            times(|row| Some(row.event)),
            times(|row| row.created),
            times(|row| row.published),
            Arc::new(rows.iter().map(|row| row.sequence).collect::<Int64Array>()),
            times(|row| row.history[0]),
            times(|row| row.history[1]),
            times(|row| row.history[2]),
            times(|row| row.history[3]),
            Arc::new(rows.iter().map(|row| row.doubled).collect::<Float64Array>()),
            Arc::new(rows.iter().map(|row| row.day).collect::<StringArray>()),
        ],
    )
    .unwrap()
}

/// Publishes rows as one file of the view, in row groups of two.
fn publish(root: &Path, view: &BoundView, folder: &str, rows: &[Row]) {
    let path = view_folder(root, &view.view.name, view.view.version).join(folder).join("part-0.parquet");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(2))
        .set_key_value_metadata(Some(metadata(view, view.digest, "tandem:feature@0.1.0", "test")))
        .build();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), feature_schema(view), Some(properties)).unwrap();
    writer.write(&published(rows, view)).unwrap();
    writer.close().unwrap();
}

fn labels(rows: &[(Option<i64>, i64)]) -> RecordBatch {
    let times = rows.iter().map(|row| Some(row.1)).collect::<TimestampMicrosecondArray>();
    let columns: [(&str, arrow_array::ArrayRef); 3] = [
        ("customer", Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>())),
        ("event_time", Arc::new(times.with_timezone("UTC"))),
        ("label", Arc::new(Int64Array::from_iter_values(0..rows.len() as i64))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
}

/// The features of a view that are asked for, under their own names.
fn plan(views: &[(&BoundView, &[&str])]) -> FeaturePlan {
    let known = views.iter().map(|(view, _)| (view.view.id(), Arc::new((*view).clone()))).collect();
    let column = |view: &BoundView, feature: &str| ServiceColumn {
        name: feature.to_owned(),
        view: view.view.id(),
        feature: feature.to_owned(),
        data_type: view.signature.outputs.iter().find(|output| output.name == feature).unwrap().data_type,
    };
    let columns = views.iter().flat_map(|(view, features)| features.iter().map(|feature| column(view, feature)));
    FeaturePlan::new(&columns.collect::<Vec<_>>(), &known).unwrap()
}

/// Features of one view for labels whose key has the name of its join key.
pub(crate) fn request_of(root: &Path, view: &BoundView, labels: Labels) -> TrainingRequest {
    TrainingRequest { labels, columns: BTreeMap::new(), ..request(root, view, self::labels(&[])) }
}

fn request(root: &Path, view: &BoundView, labels: RecordBatch) -> TrainingRequest {
    TrainingRequest {
        labels: Labels::rows(labels).unwrap(),
        event_time: "event_time".to_owned(),
        observed_time: None,
        timezone: None,
        plan: plan(&[(view, &["day", "doubled"])]),
        transforms: BTreeMap::new(),
        columns: BTreeMap::from([("user_id".to_owned(), "customer".to_owned())]),
        ignore_created_time: false,
        offline_root: root.to_owned(),
        only_files: None,
        statuses: true,
        options: TrainingOptions { batch_rows: 3, threads: 2, ..TrainingOptions::default() },
    }
}

fn read(set: &TrainingSet) -> Result<RecordBatch, TrainingError> {
    let workers = Workers::start(2);
    let done = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let count = Arc::clone(&done);
    let progress = move |rows| {
        count.fetch_add(rows, std::sync::atomic::Ordering::Relaxed);
    };
    let batches: Vec<_> = futures::executor::block_on(set.stream(&workers, progress).try_collect())?;
    assert_eq!(done.load(std::sync::atomic::Ordering::Relaxed), set.rows());
    Ok(concat_batches(set.schema(), &batches).unwrap())
}

pub(crate) fn all(set: &TrainingSet) -> RecordBatch {
    read(set).unwrap()
}

/// Features and status of a label, by a loop over all rows.
fn oracle(label: (Option<i64>, i64), rows: &[Row], view: &BoundView) -> (Option<String>, Option<u64>, &'static str) {
    let instant = Timestamp(label.1);
    let mut best: Option<(RowOrder<'static>, &Row)> = None;
    for row in rows {
        let key_matches = row.user.is_some() && row.user == label.0;
        let happened = qualifies(Timestamp(row.event), instant, view.view.as_of, None) != Qualification::Future;
        // Files are written long after every instant of these tests, so what is known from then on is not known.
        let published = Timestamp(row.published.unwrap_or(i64::MAX));
        let delay = view.view.publish_delay.filter(|_| view.view.known_by == KnownBy::Published);
        let known = match delay {
            Some(delay) => row.event + delay.as_micros() as i64 <= instant.0,
            None => is_known(view.view.known_by, row.created.map(Timestamp), published, instant),
        };
        let [corrected, retracted, superseded, superseded_published] = row.history;
        let by_us = view.view.known_by == KnownBy::Published && delay.is_none();
        let superseded = if by_us { superseded_published } else { superseded };
        let ended = [retracted, superseded].iter().flatten().any(|until| *until <= label.1);
        let begun = corrected.is_none_or(|corrected| corrected <= label.1);
        if !(key_matches && happened && known && begun) || ended {
            continue;
        }
        let values: [arrow_array::ArrayRef; 2] =
            [Arc::new(Float64Array::from(vec![row.doubled])), Arc::new(StringArray::from(vec![row.day]))];
        let mut bytes = Vec::new();
        encode_row(&values, 0, &mut bytes);
        let order = RowOrder {
            event_time: Timestamp(row.event),
            created_time: row.created.map(Timestamp),
            sequence: row.sequence,
            row: Box::leak(bytes.into_boxed_slice()),
        };
        if best.as_ref().is_none_or(|(greatest, _)| order > *greatest) {
            best = Some((order, row));
        }
    }
    let Some((_, row)) = best else { return (None, None, "NOT_FOUND") };
    if qualifies(Timestamp(row.event), instant, view.view.as_of, view.view.ttl) == Qualification::Expired {
        return (None, None, "OUTSIDE_MAX_AGE");
    }
    let status = if row.doubled.is_none() && row.day.is_none() { "NULL_VALUE" } else { "PRESENT" };
    (row.day.map(str::to_owned), row.doubled.map(f64::to_bits), status)
}

/// What the oracle gives where `doubled` has a default: features, status, and the reason of the default.
fn with_default(
    (day, doubled, status): (Option<String>, Option<u64>, &'static str),
    default: Option<f64>,
) -> (Option<String>, Option<u64>, &'static str, Option<&'static str>) {
    match (doubled, default) {
        (None, Some(default)) => {
            let reason = if ["PRESENT", "NULL_VALUE"].contains(&status) { "NULL_VALUE" } else { status };
            (day, Some(default.to_bits()), "DEFAULTED", Some(reason))
        }
        _ => (day, doubled, status, None),
    }
}

fn row() -> impl Strategy<Value = Row> {
    let key = prop_oneof![1 => Just(None), 8 => (0..3_i64).prop_map(Some)];
    let some = || proptest::option::of(-4..5_i64);
    let doubled = proptest::option::of(prop_oneof![Just(0.0), Just(-0.0), Just(1.5)]);
    let day = proptest::option::of(prop_oneof![Just("a"), Just("b")]);
    // Most rows stand, and whole row groups of them.
    let history = prop_oneof![2 => Just([None; 4]), 1 => [some(), some(), some(), some()]];
    (key, -4..5_i64, some(), some(), proptest::option::of(0..2_i64), history, doubled, day).prop_map(
        |(user, event, created, published, sequence, history, doubled, day)| Row {
            user,
            event,
            created,
            published,
            sequence,
            history,
            doubled,
            day,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn each_label_gets_what_a_loop_gives(
        days in proptest::collection::vec(proptest::collection::vec(row(), 0..9), 1..4),
        asked in proptest::collection::vec((proptest::option::of(0..4_i64), -6..7_i64), 0..12),
        before in any::<bool>(),
        known_by in prop_oneof![Just(KnownBy::Created), Just(KnownBy::Published), Just(KnownBy::Event)],
        ttl in proptest::option::of(0..5_u64),
        delay in proptest::option::of(0..5_u64),
        default in proptest::option::of(prop_oneof![Just(7.5), Just(-0.0)]),
        part in 1..13_usize,
    ) {
        let root = tempfile::tempdir().unwrap();
        let mut view = testing::view("unused");
        view.view.as_of = if before { AsOf::Before } else { AsOf::AtOrBefore };
        view.view.known_by = known_by;
        view.view.ttl = ttl.map(Duration::from_micros);
        view.view.publish_delay = delay.map(Duration::from_micros);
        view.view.defaults = default.map(|default| ("doubled".to_owned(), default.into())).into_iter().collect();
        view.defaults = Defaults::of(&view.view, &view.signature).0;
        for (day, rows) in days.iter().enumerate() {
            publish(root.path(), &view, &format!("date=2026-01-0{}", day + 1), rows);
        }
        let rows: Vec<Row> = days.concat();
        let mut set = TrainingSet::prepare(request(root.path(), &view, labels(&asked))).unwrap();
        let parts = (0..asked.len()).step_by(part).map(|start| start..asked.len().min(start + part));
        Arc::get_mut(&mut set.shared).unwrap().parts = parts.collect();
        let found = all(&set);
        let given = labels(&asked);
        prop_assert_eq!(&found.columns()[..3], given.columns(), "labels pass through");
        let (features, doubled) = (found.column(3).as_string::<i32>(), found.column(4).as_primitive::<Float64Type>());
        let statuses = found.column(5).as_string::<i32>();
        let (mut counts, mut defaulted) = (std::collections::HashMap::new(), 0);
        for (index, label) in asked.iter().enumerate() {
            let day = features.is_valid(index).then(|| features.value(index).to_owned());
            let doubled = doubled.is_valid(index).then(|| doubled.value(index).to_bits());
            let expected = oracle(*label, &rows, &view);
            let reason = found.column_by_name("spend__default_reason").map(|reasons| reasons.as_string::<i32>());
            prop_assert_eq!(reason.is_some(), default.is_some());
            let reason = reason.filter(|reasons| reasons.is_valid(index)).map(|reasons| reasons.value(index));
            let found = (day, doubled, statuses.value(index), reason);
            defaulted += u64::from(reason.is_some());
            prop_assert_eq!(found, with_default(expected.clone(), default), "label {}", index);
            *counts.entry((expected.2, label.0.is_none())).or_insert(0) += 1;
        }
        let whole = set.report();
        let report = &whole.views[0];
        let count = |status| counts.get(&(status, false)).copied().unwrap_or(0);
        prop_assert_eq!(report.labels.present, count("PRESENT"));
        prop_assert_eq!(report.labels.null_value, count("NULL_VALUE"));
        prop_assert_eq!(report.labels.outside_max_age, count("OUTSIDE_MAX_AGE"));
        prop_assert_eq!(report.labels.not_found, count("NOT_FOUND"));
        prop_assert_eq!(report.labels.labels_without_key, counts.get(&("NOT_FOUND", true)).copied().unwrap_or(0));
        prop_assert_eq!(whole.labels, asked.len() as u64);
        prop_assert_eq!(whole.features.iter().map(|feature| feature.defaulted).collect::<Vec<_>>(), [0, defaulted]);
        prop_assert_eq!(whole.features.iter().map(|feature| feature.nulls).collect::<Vec<_>>(), [
            found.column(3).null_count() as u64,
            found.column(4).null_count() as u64,
        ]);
    }
}

/// A view with rows of one user, one at each of these times.
fn one_user(root: &Path, events: &[i64]) -> BoundView {
    let mut view = testing::view("unused");
    view.view.known_by = KnownBy::Event;
    let row = |event: &i64| Row {
        user: Some(1),
        event: *event,
        created: None,
        published: None,
        sequence: None,
        history: [None; 4],
        doubled: Some(*event as f64),
        day: None,
    };
    publish(root, &view, "date=2026-01-01", &events.iter().map(row).collect::<Vec<_>>());
    view
}

#[test]
fn labels_in_a_file_keep_their_columns_order_and_number() {
    let root = tempfile::tempdir().unwrap();
    let view = one_user(root.path(), &[10, 20]);
    let asked = [(Some(1), 21), (Some(1), 11), (None, 11), (Some(1), 21), (Some(2), 21), (Some(1), 10)];
    let file = root.path().join("labels.parquet");
    testing::write(&file, &labels(&asked));
    let request =
        TrainingRequest { labels: Labels::parquet(&file).unwrap(), ..request(root.path(), &view, labels(&[])) };
    let set = TrainingSet::prepare(request).unwrap();
    let names: Vec<_> = set.schema().fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["customer", "event_time", "label", "day", "doubled", "spend__status"]);
    let found = all(&set);
    assert_eq!(found.column(2).as_primitive::<Int64Type>().values(), &[0, 1, 2, 3, 4, 5]);
    let doubled: Vec<_> = found.column(4).as_primitive::<Float64Type>().iter().collect();
    assert_eq!(doubled, [Some(20.0), Some(10.0), None, Some(20.0), None, None]);
    let report = &set.report().views[0].clone();
    assert_eq!(
        (report.rows_read, report.labels.present, report.labels.not_found, report.labels.labels_without_key),
        (2, 3, 2, 1)
    );

    // The same file name with other rows: not the labels that were joined.
    testing::write(&file, &labels(&asked[..2]));
    let error = read(&set).unwrap_err();
    assert!(error.to_string().ends_with("changed while it was read: it had 6 rows and has 2"), "{error}");
}

#[test]
fn row_groups_after_the_last_label_are_not_read() {
    let root = tempfile::tempdir().unwrap();
    let view = one_user(root.path(), &[1, 2, 3, 4, 50, 60, 5, 6]);
    let set = TrainingSet::prepare(request(root.path(), &view, labels(&[(Some(1), 49)]))).unwrap();
    assert_eq!(all(&set).column(4).as_primitive::<Float64Type>().value(0), 6.0);
    let report = &set.report().views[0];
    assert_eq!((report.rows_read, report.row_groups, report.row_groups_read, report.rows_fetched), (6, 4, 3, 1));
}

#[test]
fn colliding_names_get_the_views() {
    let root = tempfile::tempdir().unwrap();
    let view = one_user(root.path(), &[1]);
    let asked = labels(&[(Some(1), 2)]);
    let given = asked.schema();
    let renamed = given.fields().iter().map(|field| match field.name().as_str() {
        "label" => field.as_ref().clone().with_name("doubled"),
        _ => field.as_ref().clone(),
    });
    let schema = Arc::new(arrow_schema::Schema::new(renamed.collect::<Vec<_>>()));
    let asked = RecordBatch::try_new(schema, asked.columns().to_vec()).unwrap();
    let set = TrainingSet::prepare(request(root.path(), &view, asked)).unwrap();
    let names: Vec<_> = set.schema().fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["customer", "event_time", "doubled", "day", "spend__doubled", "spend__status"]);
}

#[test]
fn times_are_read_without_loss_or_refused() {
    let root = tempfile::tempdir().unwrap();
    let view = one_user(root.path(), &[1_000]);
    let joined = |times: arrow_array::ArrayRef, timezone: Option<&str>| {
        let users: arrow_array::ArrayRef = Arc::new(Int64Array::from(vec![1; times.len()]));
        let batch = RecordBatch::try_from_iter_with_nullable([("customer", users, true), ("event_time", times, true)]);
        let mut request = request(root.path(), &view, batch.unwrap());
        request.timezone = timezone.map(str::to_owned);
        TrainingSet::prepare(request).and_then(|set| read(&set)).map(|found| {
            found.column(3).as_primitive::<Float64Type>().iter().map(|value| value.is_some()).collect::<Vec<_>>()
        })
    };
    let told = |times, timezone| joined(times, timezone).map_err(|error| error.to_string());
    let texts: arrow_array::ArrayRef =
        Arc::new(StringArray::from(vec!["1970-01-01T00:00:00.001Z", "1970-01-01T02:00:00.002+02:00"]));
    // Features are at columns 2 and 3 here: `day`, then `doubled`.
    assert_eq!(told(texts, None), Ok(vec![false, true]));
    let local: arrow_array::ArrayRef =
        Arc::new(StringArray::from(vec!["1970-01-01T00:00:00.001Z", "1970-01-01 00:00:00"]));
    let refused = told(Arc::clone(&local), None).unwrap_err();
    // A text with an offset says where it is, whatever the zone; one without is local there: 1969-12-31T23:00Z, before the row.
    assert_eq!(told(local, Some("Europe/Berlin")), Ok(vec![false, false]));
    assert!(refused.starts_with("labels row 1: column `event_time`: "), "{refused}");
    let naive = || -> arrow_array::ArrayRef { Arc::new(TimestampMillisecondArray::from(vec![2])) };
    assert!(told(naive(), None).unwrap_err().contains("zone"), "{:?}", told(naive(), None));
    assert_eq!(told(naive(), Some("UTC")), Ok(vec![true]));
    let null: arrow_array::ArrayRef =
        Arc::new(TimestampMicrosecondArray::from(vec![Some(1), None]).with_timezone("UTC"));
    assert_eq!(told(null, None).unwrap_err(), "labels row 1: the time (column `event_time`) is null");
}

#[test]
fn what_is_not_there_is_told_with_what_is_near() {
    let root = tempfile::tempdir().unwrap();
    let view = one_user(root.path(), &[1]);
    let mut wrong = request(root.path(), &view, labels(&[(Some(1), 2)]));
    wrong.columns = BTreeMap::from([("user_id".to_owned(), "custmer".to_owned())]);
    let error = TrainingSet::prepare(wrong).unwrap_err();
    let message =
        "the labels have no column `custmer`, which join key `user_id` of `spend@1` needs; they have `customer`";
    assert_eq!(error.to_string(), message);

    let mut wrong = request(root.path(), &view, labels(&[(Some(1), 2)]));
    wrong.columns.insert("usr_id".to_owned(), "customer".to_owned());
    let error = TrainingSet::prepare(wrong).unwrap_err();
    assert_eq!(error.to_string(), "no feature that is asked for takes `usr_id`; they take user_id");

    let nothing = tempfile::tempdir().unwrap();
    let error = TrainingSet::prepare(request(nothing.path(), &view, labels(&[(Some(1), 2)]))).unwrap_err();
    assert!(error.to_string().starts_with("version 1 of view `spend` has no published rows"), "{error}");
}

/// An on-demand view `ratio` = `amount` / `doubled`, of the request and of a stored view; it fails where `amount` is 13.
fn ratio(stored: &BoundView) -> BoundView {
    let mut view = stored.clone();
    view.view.name = "ratio".to_owned();
    view.view.source = ViewSource::Request;
    view.view.key_columns = BTreeMap::new();
    let from = InputSource::Feature { view: stored.view.id(), feature: "doubled".to_owned() };
    view.view.inputs = BTreeMap::from([("doubled".to_owned(), from)]);
    view.signature = Signature {
        inputs: vec![
            Field::new("amount", DataType::Float64, false),
            Field::new("doubled", DataType::Float64, true),
            Field::new("as_of", DataType::Timestamp, false),
        ],
        outputs: vec![Field::new("ratio", DataType::Float64, true), Field::new("asked_at", DataType::Timestamp, true)],
        doc: String::new(),
    };
    view.upstream = vec![Arc::new(stored.clone())];
    view
}

struct Ratio(arrow_schema::SchemaRef);

impl RowFunction for Ratio {
    fn session(&self) -> Box<dyn RowSession> {
        Box::new(Ratio(Arc::clone(&self.0)))
    }
}

impl RowSession for Ratio {
    fn apply(&mut self, inputs: &RecordBatch) -> Result<Outcome, EngineError> {
        let column = |index: usize| inputs.column(index).as_primitive::<Float64Type>();
        let (amounts, doubled) = (column(0), column(1));
        let bad: Vec<usize> = (0..inputs.num_rows()).filter(|row| amounts.value(*row) == testing::UNLUCKY).collect();
        let ratio = |row: usize| {
            (!bad.contains(&row) && doubled.is_valid(row)).then(|| amounts.value(row) / doubled.value(row))
        };
        let ratios: Float64Array = (0..inputs.num_rows()).map(ratio).collect();
        let columns: Vec<arrow_array::ArrayRef> = vec![Arc::new(ratios), Arc::clone(inputs.column(2))];
        let outputs = RecordBatch::try_new(Arc::clone(&self.0), columns).unwrap();
        let failures =
            bad.into_iter().map(|row| RowFailure { row, message: "unlucky".to_owned(), fault: Fault::Row }).collect();
        Ok(Outcome { outputs, failures, fuel: 0 })
    }
}

/// The set of a request for [`ratio`], with what stands in for its transform.
fn with_ratio(request: TrainingRequest, on_demand: &BoundView) -> TrainingSet {
    let fields = on_demand.signature.outputs.iter();
    let fields = fields.map(|field| arrow_schema::Field::new(&field.name, field.data_type.to_arrow(), true));
    let function: Arc<dyn RowFunction> =
        Arc::new(Ratio(Arc::new(arrow_schema::Schema::new(fields.collect::<Vec<_>>()))));
    TrainingSet::prepare_with(request, BTreeMap::from([(on_demand.view.id(), function)])).unwrap()
}

#[test]
fn views_on_demand_are_computed_of_the_labels_and_of_what_was_joined() {
    let root = tempfile::tempdir().unwrap();
    let stored = one_user(root.path(), &[10, 20]);
    let on_demand = ratio(&stored);
    let asked = [(Some(1), 11), (Some(1), 25), (Some(2), 25), (Some(1), 26), (Some(1), 5)];
    let amounts: arrow_array::ArrayRef = Arc::new(Float64Array::from(vec![5.0, 5.0, 5.0, testing::UNLUCKY, 1.0]));
    let given = labels(&asked);
    let mut fields: Vec<_> = given.schema().fields().to_vec();
    fields.push(Arc::new(arrow_schema::Field::new("eur", arrow_schema::DataType::Float64, true)));
    let mut columns = given.columns().to_vec();
    columns.push(amounts);
    let asked = RecordBatch::try_new(Arc::new(arrow_schema::Schema::new(fields)), columns).unwrap();
    let mut request = request(root.path(), &stored, asked);
    request.plan = plan(&[(&on_demand, &["asked_at", "ratio"])]);
    request.columns.insert("amount".to_owned(), "eur".to_owned());
    let set = with_ratio(request, &on_demand);

    let found = all(&set);
    let names: Vec<_> = set.schema().fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["customer", "event_time", "label", "eur", "asked_at", "ratio", "ratio__status"]);
    let ratios: Vec<_> = found.column(5).as_primitive::<Float64Type>().iter().collect();
    assert_eq!(ratios, [Some(0.5), Some(0.25), None, None, None]);
    let statuses: Vec<_> = found.column(6).as_string::<i32>().iter().flatten().collect();
    assert_eq!(statuses, ["PRESENT", "PRESENT", "PRESENT", "TRANSFORM_ERROR", "PRESENT"]);
    let asked_at = found.column(4).as_primitive::<arrow_array::types::TimestampMicrosecondType>();
    assert_eq!(asked_at.values()[..3], [11, 25, 25]);
    let report = &set.report().computed[0];
    assert_eq!((report.present, report.null_value, report.failed), (4, 0, 1));
    assert_eq!(report.first_failure, Some((3, "unlucky".to_owned())));
}

#[test]
fn views_on_demand_read_the_defaults_of_what_was_joined() {
    let root = tempfile::tempdir().unwrap();
    let mut stored = one_user(root.path(), &[10]);
    stored.view.defaults = BTreeMap::from([("doubled".to_owned(), 4.into())]);
    stored.defaults = Defaults::of(&stored.view, &stored.signature).0;
    let on_demand = ratio(&stored);
    let amounts: arrow_array::ArrayRef = Arc::new(Float64Array::from(vec![5.0, 5.0]));
    let given = labels(&[(Some(1), 11), (Some(2), 11)]);
    let schema = given.schema();
    let columns = schema.fields().iter().map(|field| field.name().clone()).zip(given.columns().to_vec());
    let columns = columns.chain([("amount".to_owned(), amounts)]);
    let mut request = request(root.path(), &stored, RecordBatch::try_from_iter(columns).unwrap());
    request.plan = plan(&[(&on_demand, &["ratio"])]);
    request.columns = BTreeMap::from([("user_id".to_owned(), "customer".to_owned())]);
    let set = with_ratio(request, &on_demand);
    let found = all(&set);
    let ratios: Vec<_> = found.column_by_name("ratio").unwrap().as_primitive::<Float64Type>().iter().collect();
    assert_eq!(ratios, [Some(0.5), Some(1.25)]);
}

#[test]
fn inputs_of_views_on_demand_must_be_among_the_labels() {
    let root = tempfile::tempdir().unwrap();
    let stored = one_user(root.path(), &[10]);
    let mut request = request(root.path(), &stored, labels(&[]));
    request.plan = plan(&[(&ratio(&stored), &["ratio"])]);
    request.columns.clear();
    let error = TrainingSet::prepare(request).unwrap_err();
    assert!(error.to_string().contains("`amount`"), "{error}");
}
