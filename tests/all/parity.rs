//! The promise: batch, HTTP (JSON rows, JSON columns, Arrow) and the online store give the same bits.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, UInt32Array};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_select::take::take;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tandem::materialize;
use tandem::project::ViewTransform;
use tandem_core::canonical::decode_rows;
use tandem_core::json::{decode_column, encode_value};
use tandem_core::key::KeyEncoder;
use tandem_core::model::JoinKey;
use tandem_core::time::Duration;
use tandem_core::types::Field;
use tandem_offline::BatchOptions;
use tandem_online::{Lookup, Store, StoreOptions};

use crate::harness::project::{Event, FIRST_DAY, MICROS_PER_DAY, NOW, Project, files, published, runtime};
use crate::harness::rows::{self, Dirt, Row, fixed_rows, row};
use crate::harness::server::{ARROW, Server};

/// Rows in one request.
const REQUEST_ROWS: usize = 150;

/// Places rows on three days with users of very different activity, ties of event times, late and null created times, faults.
fn events(rows: Vec<Row>) -> Vec<Event> {
    let event = |(index, row): (usize, Row)| {
        let index = index as i64;
        let user = (index * 7919) % 17;
        let event_time = (FIRST_DAY + index % 3) * MICROS_PER_DAY
            + match index % 5 {
                0 => 0,
                1 => MICROS_PER_DAY - 1,
                _ => (row.whole.rem_euclid(40)) * 1_000_000 + 1,
            };
        Event {
            user: (user != 16).then_some(user * user - 5),
            event_time,
            created_time: (index % 11 != 0).then_some(event_time + (index % 3) * 1_000_000),
            row: Row { fault: (index % 23 == 22).then(|| format!("row {index}")), as_of: event_time, ..row },
        }
    };
    rows.into_iter().enumerate().map(event).collect()
}

/// Everything, over the same events.
fn assert_parity(events: &[Event]) {
    let project = Project::new(events);
    let opened = project.open();
    let view = opened.view("every").unwrap_or_else(|error| panic!("{error}"));

    let whole = batch_in_every_way(&project, &view, events);
    let expected = Expected::new(&view, &whole, events);

    let newest = expected.newest(&whole);
    let materialize = |folder: &str, bounds| {
        let store = Store::open(&project.root().join(folder), StoreOptions::default()).unwrap();
        let request = materialize::Request {
            incremental: false,
            rebuild: false,
            rows_per_second_max: None,
            bounds,
            view: Arc::clone(&view.bound),
            offline_root: project.root().join("one"),
            range: None,
            now: NOW,
            max_future: Duration::from_micros(0),
        };
        let report = runtime().block_on(materialize::run(request, &store, &opened.workers, |_| {})).unwrap();
        assert_eq!(report.rows as usize, whole.num_rows());
        stored_rows_are_the_newest(&store, &view, &whole, &newest);
        store
    };
    // Memory that holds few rows: they go through temporary files, and into the store at the end or after each batch.
    let memory_bytes_max = (1 << 20) + 8_192;
    for (folder, spilled_bytes_max) in [("merged", u64::MAX), ("pieces", 0)] {
        materialize(folder, materialize::Bounds { memory_bytes_max, spilled_bytes_max });
    }
    let store = materialize("online", materialize::Bounds::default());
    let server = Server::start(&opened, &view, Some(store));
    served_rows_are_the_newest(&server, &expected, &newest);
    for from in (0..events.len()).step_by(REQUEST_ROWS) {
        let request = &events[from..events.len().min(from + REQUEST_ROWS)];
        json_rows(&server, &view, &expected, from, request);
        json_columns(&server, &view, &expected, from, request);
        arrow_stream(&server, &view, &expected, from, request);
    }
}

/// Batches of several sizes on one thread and many; all give the same files, byte by byte. Gives the published rows.
fn batch_in_every_way(project: &Project, view: &ViewTransform, events: &[Event]) -> RecordBatch {
    let options = |rows_per_call, partitions_in_flight, calls_in_flight| BatchOptions {
        rows_per_call,
        partitions_in_flight,
        calls_in_flight,
        row_group_rows: 128,
        ..BatchOptions::default()
    };
    let faults = events.iter().filter(|event| event.row.fault.is_some()).count() as u64;
    let mut first: Option<Vec<(String, Vec<u8>)>> = None;
    for (name, threads, options) in [
        ("one", 1, options(8_192, 1, 1)),
        ("single_rows", 2, options(1, 3, 2)),
        ("odd", 4, options(7, 2, 3)),
        ("many", 4, options(100, 3, 4)),
    ] {
        let (root, report) = project.batch(view, name, threads, options);
        assert_eq!((report.rows().rows_in, report.rows().quarantined), (events.len() as u64, faults), "{name}");
        let files = files(&root);
        match &first {
            None => first = Some(files),
            Some(first) => {
                let names = |files: &[(String, Vec<u8>)]| files.iter().map(|file| file.0.clone()).collect::<Vec<_>>();
                assert_eq!(names(first), names(&files), "{name}");
                for (expected, found) in std::iter::zip(first, &files) {
                    assert!(expected == found, "{name}: {} differs", found.0);
                }
            }
        }
    }
    published(view, &project.root().join("one"))
}

/// What the batch gave, by the sequence of the event.
struct Expected<'a> {
    events: &'a [Event],
    outputs: Vec<Field>,
    columns: Vec<ArrayRef>,
    /// Position among the published rows of each event; none for those that failed.
    positions: Vec<Option<u32>>,
}

impl<'a> Expected<'a> {
    fn new(view: &ViewTransform, whole: &RecordBatch, events: &'a [Event]) -> Self {
        let outputs = view.bound.signature.outputs.clone();
        let sequences = whole.column_by_name("sequence").unwrap().as_primitive::<Int64Type>();
        let mut positions = vec![None; events.len()];
        for (position, sequence) in sequences.values().iter().enumerate() {
            assert!(positions[*sequence as usize].replace(position as u32).is_none(), "a row is there twice");
        }
        for (event, position) in std::iter::zip(events, &positions) {
            assert_eq!(position.is_none(), event.row.fault.is_some(), "a row is there, or it failed");
        }
        let columns = outputs.iter().map(|output| Arc::clone(whole.column_by_name(&output.name).unwrap())).collect();
        Expected { events, outputs, columns, positions }
    }

    /// The features of events from `from` on, null where one failed.
    fn of(&self, from: usize, count: usize) -> Vec<ArrayRef> {
        let indices = UInt32Array::from(self.positions[from..from + count].to_vec());
        self.columns.iter().map(|column| take(column, &indices, None).unwrap()).collect()
    }

    fn assert_equal(&self, found: &[ArrayRef], expected: &[ArrayRef], way: &str) {
        for ((field, found), expected) in std::iter::zip(&self.outputs, found).zip(expected) {
            assert_eq!(found, expected, "{way}: {}", field.name);
        }
        assert_eq!((found.len(), expected.len()), (self.outputs.len(), self.outputs.len()), "{way}");
    }

    /// Published position of the newest row of each user: a loop over all events.
    fn newest(&self, whole: &RecordBatch) -> BTreeMap<i64, u32> {
        let mut newest: BTreeMap<i64, (i64, Option<i64>, usize)> = BTreeMap::new();
        for (sequence, event) in self.events.iter().enumerate() {
            let (Some(user), Some(_)) = (event.user, self.positions[sequence]) else { continue };
            let order = (event.event_time, event.created_time, sequence);
            if newest.get(&user).is_none_or(|stored| *stored < order) {
                newest.insert(user, order);
            }
        }
        assert!(whole.num_rows() == 0 || !newest.is_empty() || self.events.iter().all(|event| event.user.is_none()));
        newest.into_iter().map(|(user, (_, _, sequence))| (user, self.positions[sequence].unwrap())).collect()
    }
}

fn stored_rows_are_the_newest(store: &Store, view: &ViewTransform, whole: &RecordBatch, newest: &BTreeMap<i64, u32>) {
    let id = materialize::store_view(store, &view.bound).unwrap();
    let join_keys: Vec<JoinKey> = view.bound.view.join_keys().cloned().collect();
    let users: ArrayRef = Arc::new(Int64Array::from_iter_values(newest.keys().copied().chain([i64::MAX])));
    let encoder = KeyEncoder::new(&join_keys, &[users]).unwrap();
    let keys: Vec<_> = (0..=newest.len()).map(|row| encoder.encode(row).unwrap()).collect();
    let mut found = store.get_many(id, &keys).unwrap();
    assert!(matches!(found.pop(), Some(Lookup::NotFound)), "a user without a row");
    let records: Vec<_> = found
        .into_iter()
        .map(|lookup| match lookup {
            Lookup::Found(record) => record,
            other => panic!("{other:?}"),
        })
        .collect();
    let outputs = &view.bound.signature.outputs;
    let columns = decode_rows(outputs, records.iter().map(|record| Some(record.row.as_slice()))).unwrap();
    let indices = UInt32Array::from_iter_values(newest.values().copied());
    for (field, column) in std::iter::zip(outputs, &columns) {
        let expected = take(whole.column_by_name(&field.name).unwrap(), &indices, None).unwrap();
        assert_eq!(column, &expected, "store: {}", field.name);
    }
    assert_eq!(store.stats().unwrap().entries, newest.len());
}

fn served_rows_are_the_newest(server: &Server, expected: &Expected<'_>, newest: &BTreeMap<i64, u32>) {
    let users: Vec<i64> = newest.keys().copied().collect();
    let answer = server.ask("/v1/features", &json!({ "view": "every", "entities": { "user_id": users } }));
    let rows = answer["rows"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["status"] == "PRESENT"));
    let found = decode(expected, |name| rows.iter().map(|row| row["values"].get(name)).collect());
    let indices = UInt32Array::from_iter_values(newest.values().copied());
    let values: Vec<ArrayRef> = expected.columns.iter().map(|column| take(column, &indices, None).unwrap()).collect();
    expected.assert_equal(&found, &values, "POST /v1/features");
    for (row, found) in rows.iter().enumerate() {
        for (field, column) in std::iter::zip(&expected.outputs, &values) {
            let status = if column.is_null(row) { "NULL_VALUE" } else { "PRESENT" };
            assert_eq!(found["statuses"][&field.name], status, "{}", field.name);
        }
    }
}

fn decode<'v>(expected: &Expected<'_>, cells: impl Fn(&str) -> Vec<Option<&'v Value>>) -> Vec<ArrayRef> {
    let nullable = |field: &Field| Field { nullable: true, ..field.clone() };
    expected
        .outputs
        .iter()
        .map(|field| decode_column(&nullable(field), cells(&field.name).into_iter()).unwrap())
        .collect()
}

fn inputs(view: &ViewTransform, events: &[Event]) -> RecordBatch {
    let rows: Vec<Row> = events.iter().map(|event| event.row.clone()).collect();
    rows::batch(&view.bound.signature, &rows, Dirt::default())
}

fn failed(answer: &Value) -> Vec<(usize, String)> {
    let failure =
        |failure: &Value| (failure["row"].as_u64().unwrap() as usize, failure["message"].as_str().unwrap().to_owned());
    answer["failed_rows"].as_array().unwrap().iter().map(failure).collect()
}

fn marked(events: &[Event]) -> Vec<(usize, String)> {
    let fault = |(row, event): (usize, &Event)| Some((row, format!("fault: {}", event.row.fault.as_ref()?)));
    events.iter().enumerate().filter_map(fault).collect()
}

fn json_rows(server: &Server, view: &ViewTransform, expected: &Expected<'_>, from: usize, events: &[Event]) {
    let inputs = inputs(view, events);
    let row = |row: usize| -> Value {
        let cells = std::iter::zip(&view.bound.signature.inputs, inputs.columns());
        cells
            .map(|(field, column)| (field.name.clone(), encode_value(column, field.data_type, row)))
            .collect::<Map<_, _>>()
            .into()
    };
    let rows: Vec<Value> = (0..events.len()).map(row).collect();
    let answer = server.ask("/v1/transforms/every", &json!({ "rows": rows }));
    assert_eq!(answer["digest"], view.bound.digest.to_string());
    assert_eq!(failed(&answer), marked(events));
    let rows = answer["rows"].as_array().unwrap();
    let found = decode(expected, |name| rows.iter().map(|row| row.get(name)).collect());
    expected.assert_equal(&found, &expected.of(from, events.len()), "JSON rows");
}

fn json_columns(server: &Server, view: &ViewTransform, expected: &Expected<'_>, from: usize, events: &[Event]) {
    let inputs = inputs(view, events);
    let column = |(field, column): (&Field, &ArrayRef)| {
        let cells: Vec<Value> = (0..events.len()).map(|row| encode_value(column, field.data_type, row)).collect();
        (field.name.clone(), Value::from(cells))
    };
    let columns: Map<_, _> = std::iter::zip(&view.bound.signature.inputs, inputs.columns()).map(column).collect();
    let answer = server.ask("/v1/transforms/every@1", &json!({ "columns": columns }));
    assert_eq!(failed(&answer), marked(events));
    let found = decode(expected, |name| answer["columns"][name].as_array().unwrap().iter().map(Some).collect());
    expected.assert_equal(&found, &expected.of(from, events.len()), "JSON columns");
}

fn arrow_stream(server: &Server, view: &ViewTransform, expected: &Expected<'_>, from: usize, events: &[Event]) {
    let inputs = inputs(view, events);
    let mut writer = StreamWriter::try_new(Vec::new(), &inputs.schema()).unwrap();
    // In two batches, the second of which is a slice.
    let half = events.len() / 2;
    writer.write(&inputs.slice(0, half)).unwrap();
    writer.write(&inputs.slice(half, events.len() - half)).unwrap();
    let (status, answer) = server.post("/v1/transforms/every", ARROW, &writer.into_inner().unwrap());
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&answer));
    let batches: Vec<RecordBatch> = StreamReader::try_new(&answer[..], None).unwrap().map(Result::unwrap).collect();
    let answer = arrow_select::concat::concat_batches(&batches[0].schema(), &batches).unwrap();
    let found: Vec<ArrayRef> =
        expected.outputs.iter().map(|field| Arc::clone(answer.column_by_name(&field.name).unwrap())).collect();
    expected.assert_equal(&found, &expected.of(from, events.len()), "Arrow");
    let errors = answer.column_by_name("__error").unwrap().as_string::<i32>();
    let errors: Vec<_> = errors.iter().enumerate().filter_map(|(row, error)| Some((row, error?.to_owned()))).collect();
    assert_eq!(errors, marked(events));
}

#[test]
fn every_way_gives_the_same_bits() {
    assert_parity(&events(fixed_rows(1_500)));
}

proptest! {
    #![proptest_config(rows::cases(4))]

    #[test]
    fn every_way_gives_the_same_bits_for_generated_rows(rows in prop::collection::vec(row(), 1..60)) {
        assert_parity(&events(rows));
    }
}
