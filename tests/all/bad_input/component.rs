//! Components that are none, and components that misbehave.

use std::fs::{self, File};

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use misbehaving_guest::mode;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use super::http::Client;
use super::project::{DAYS, Project, rows};
use crate::engine::wat_guests;
use crate::harness::program::Serving;
use crate::harness::transcript::Transcript;

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("the text is right")
}

#[test]
fn what_is_no_transform() {
    let project = Project::new();
    let mut said = Transcript::new(project.root());

    said.note("the component is not there");
    fs::remove_file(project.component()).unwrap();
    said.run(&["batch", "doubles"], 2);
    said.run(&["serve"], 2);
    said.run(&["test", "doubles.wasm", "--rows", "data/events/date=2024-03-02/a.parquet"], 1);

    let wasi =
        r#"(component (import "wasi:clocks/monotonic-clock@0.2.6" (instance (export "now" (func (result u64))))))"#;
    // Not a compiler's work, so that it is cut at the same place wherever it is built.
    let whole = wat_guests::component("i32.const 64", "", "");
    for (what, bytes) in [
        ("it is empty", Vec::new()),
        ("it is a text", b"fn double(amount: i64) -> i64".to_vec()),
        ("it is a core module", wat("(module)")),
        ("it was cut in the middle", whole[..whole.len() / 2].to_vec()),
        ("it imports a clock", wat(wasi)),
        ("it is another component", wat("(component)")),
    ] {
        said.note(what);
        fs::write(project.component(), bytes).unwrap();
        said.run(&["batch", "doubles"], 1);
    }
    said.note("it never ends its start");
    let more = "(func $start (loop $again (br $again))) (start $start)";
    fs::write(project.component(), wat_guests::component("i32.const 64", "", more)).unwrap();
    said.run(&["batch", "doubles"], 1);
    said.run(&["serve"], 1);
    said.run(&["check"], 2);
    assert_eq!(project.published(), []);
    said.assert("bad_input/components");
}

/// What a row of a mode comes to: the message, or its beginning where what follows depends on the compiler.
const MODES: [(i64, &str); 5] = [
    (mode::PANIC, "trapped: unreachable code reached, which is how a panic or an abort ends"),
    (mode::SPIN, "crossed the limit fuel (fuel_base + rows × fuel_per_row) of 50100000"),
    (mode::ALLOCATE, "crossed the limit memory_bytes_max of 33554432: asked for "),
    (mode::ROW_MISSING, "broke the contract: output `value`: 0 rows, not the 1 that were given"),
    (mode::FAILURE, "the whole call is refused"),
];

/// Good rows around one of each mode.
fn amounts() -> Vec<i64> {
    let modes = MODES.iter().flat_map(|(mode, _)| [*mode, 1_000 + mode]);
    [100].into_iter().chain(modes).collect()
}

/// The message of the row with this amount; none if it is good.
fn message(amount: i64) -> Option<&'static str> {
    MODES.iter().find(|(mode, _)| *mode == amount).map(|(_, message)| *message)
}

#[test]
fn one_row_stops_a_batch_that_says_so() {
    let project = Project::new();
    for (mode, message) in MODES {
        project.day(DAYS[1], &rows(DAYS[1], &[(1, 300), (2, mode), (3, 400)]));
        let (_, notes) = project.told(&["batch", "doubles"], 1);
        let begins = "error: partition date=2024-03-02: 1 of 3 rows in one call failed; ";
        let says = format!("data/events/date=2024-03-02/a.parquet row 1: {message}");
        let hint = "\nhint: correct the rows, or set `on_error = \"quarantine\"` to set them aside\n";
        assert!(notes.starts_with(begins) && notes.contains(&says) && notes.ends_with(hint), "{notes}");
        let names: Vec<String> = project.published().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["doubles/v1/date=2024-03-01/part-0.parquet"], "nothing of the second day");
    }
}

#[test]
fn rows_at_fault_are_set_aside_with_their_reason() {
    let project = Project::new();
    project.define(&[("on_error = \"fail\"", "on_error = \"quarantine\"")]);
    let amounts = amounts();
    let users: Vec<(i64, i64)> = (1..).zip(amounts.iter().copied()).collect();
    project.day(DAYS[1], &rows(DAYS[1], &users));
    let (data, notes) = project.told(&["batch", "doubles"], 0);
    assert!(data.starts_with("13 rows in, 8 rows out, 2 partitions"), "{data}");
    assert_eq!(notes, "warning: rows set aside, in the folder _quarantine of the output: 5\n");

    let read = |file: &str| {
        let file = File::open(project.root().join("data/features/doubles/v1").join(file)).unwrap();
        let mut batches = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        let batch = batches.next().unwrap().unwrap();
        assert!(batches.next().is_none());
        batch
    };
    let features = read("date=2024-03-02/part-0.parquet");
    let values = features.column_by_name("value").unwrap().as_primitive::<Int64Type>().values().to_vec();
    let doubled: Vec<i64> =
        amounts.iter().filter(|amount| message(**amount).is_none()).map(|amount| amount * 2).collect();
    assert_eq!(values, doubled, "their neighbours are computed");
    let aside = read("_quarantine/date=2024-03-02/part-0.parquet");
    let errors = aside.columns().last().unwrap().as_string::<i32>();
    assert_eq!(errors.len(), MODES.len());
    for ((_, message), error) in std::iter::zip(MODES, errors) {
        assert!(error.is_some_and(|error| error.starts_with(message)), "{error:?}");
    }
}

#[test]
fn sample_rows_at_fault_are_shown() {
    let project = Project::new();
    let sample: Vec<Value> = amounts().iter().map(|amount| json!({ "amount": amount })).collect();
    fs::write(project.root().join("sample.json"), Value::from(sample).to_string()).unwrap();
    let test = ["test", "doubles.wasm", "--rows", "sample.json"];
    let (table, notes) = project.told(&test, 1);
    assert_eq!(notes, "error: 5 of 11 rows failed\nhint: if they should fail: --allow-failures\n");
    assert!(table.ends_with("\n11 rows, 5 failed\n"), "{table}");
    let (told, _) = project.told(&[&test[..], &["--json"]].concat(), 1);
    let told: Value = serde_json::from_str(&told).unwrap();
    for (amount, row) in std::iter::zip(amounts(), told["results"].as_array().unwrap()) {
        match message(amount) {
            Some(message) => assert!(row["failure"].as_str().is_some_and(|told| told.starts_with(message)), "{row}"),
            None => assert_eq!(row["outputs"]["value"], amount * 2, "{row}"),
        }
    }
}

#[test]
fn requests_with_rows_at_fault_are_answered() {
    let project = Project::new();
    let serving = Serving::start(project.root(), &[]);
    let client = Client::new(serving.url());
    let rows: Vec<Value> = amounts().iter().map(|amount| json!({ "mode": amount })).collect();
    let answer =
        client.post("/v1/transforms/doubles", "application/json", json!({ "rows": rows }).to_string().as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.body);
    let answer = answer.json();
    let mut failed = answer["failed_rows"].as_array().unwrap().iter();
    for (row, amount) in amounts().into_iter().enumerate() {
        let value = &answer["rows"][row];
        let Some(message) = message(amount) else {
            assert_eq!(value["value"], amount * 2);
            continue;
        };
        assert!(value.is_null(), "{value}");
        let failure = failed.next().unwrap();
        assert_eq!((&failure["row"], &failure["status"]), (&json!(row), &json!("TRANSFORM_ERROR")));
        assert!(failure["message"].as_str().is_some_and(|told| told.starts_with(message)), "{failure}");
    }
    assert!(failed.next().is_none());
    client.is_up();
    let (status, log) = serving.terminate();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("panicked") && !log.contains("ERROR"), "{log}");
}

#[test]
fn more_rows_at_fault_than_may_be_are_one_problem() {
    let project = Project::new();
    project.define(&[("[feature_view.limits]", "[feature_view.limits]\nfailed_rows_max = 2")]);
    let serving = Serving::start(project.root(), &[]);
    let client = Client::new(serving.url());
    let rows: Vec<Value> = [1, 100, 1, 1, 1].iter().map(|amount| json!({ "mode": amount })).collect();
    let answer =
        client.post("/v1/transforms/doubles", "application/json", json!({ "rows": rows }).to_string().as_bytes());
    let problem = answer.problem(422, "too-many-failures");
    assert_eq!((&problem["limit"], &problem["max"]), (&json!("failed_rows_max"), &json!(2)));
    assert_eq!(problem["failed_rows"][0]["message"], MODES[0].1);
    client.is_up();
}
