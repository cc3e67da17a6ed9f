//! Transforms in Python: the SDK's own tests, new folders, the common example, every type, and what is said of an author's mistakes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use arrow_array::builder::{FixedSizeListBuilder, Float32Builder};
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use parquet::arrow::ArrowWriter;
use serde_json::{Map, Value, json};
use tandem::project::Opened;
use tandem_core::json::encode_value;
use tandem_offline::BatchOptions;

use crate::harness::componentize::{copy, environment, unittest, with_environment, work};
use crate::harness::guests::{compiled, component, workspace};
use crate::harness::program::{tandem, told};
use crate::harness::project::{batch, published};
use crate::harness::server::Server;
use crate::harness::tools::run;
use crate::harness::transcript::Transcript;

fn example(name: &str) -> PathBuf {
    workspace().join("examples/languages").join(name)
}

fn guest(name: &str) -> PathBuf {
    workspace().join("tests/guests/python").join(name)
}

fn json_of(file: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(file).expect("a file")).expect("JSON")
}

#[test]
fn the_sdk_passes_its_tests() {
    let sdk = workspace().join("guest-sdk/python");
    unittest(&sdk.join("tests"), true);
    run(Command::new(environment().join("bin/mypy")).current_dir(&sdk).arg("--cache-dir=/dev/null"));
}

#[test]
fn from_an_empty_folder_to_a_proved_component() {
    let root = tempfile::tempdir().unwrap();
    let made = |name: &str, options: &[&str]| {
        let (data, notes) = told(tandem(root.path(), &[&["new", name, "--lang", "python"], options].concat()), 0);
        assert!(data.starts_with(&format!("created  {name}\n")) && notes.is_empty(), "{data}{notes}");
        let folder = root.path().join(name);
        unittest(&folder, false);
        with_environment(&folder);
        let (data, _) = told(tandem(&folder, &["build", "."]), 0);
        assert!(data.starts_with(&format!("component  {name}.wasm\n")), "{data}");
        assert!(data.contains("\nSignals of a purchase.\n"), "{data}");
        assert!(data.contains("  merchant_length  int64?   Characters of the merchant's name.\n"), "{data}");
        let (data, _) = told(tandem(&folder, &["test", &format!("{name}.wasm"), "--json"]), 0);
        (folder, serde_json::from_str::<Value>(&data).expect("JSON")["results"].take())
    };
    let (folder, rows) = made("everyday", &[]);
    let (_, columns) = made("columnar", &["--columns"]);
    assert_eq!(rows.to_string(), columns.to_string(), "both forms give the same bits");
    assert_eq!(rows[1]["inputs"]["merchant"], "寿司 さくら");
    assert_eq!(
        rows[2]["outputs"],
        json!({ "log_amount": 0.0, "is_large": false, "merchant_length": null, "at_night": false })
    );
    let flags =
        |name: &str| rows.as_array().unwrap().iter().map(|row| row["outputs"][name].clone()).collect::<Vec<_>>();
    assert_eq!(flags("is_large"), [false, true, false, true]);
    assert_eq!(flags("at_night"), [false, true, false, true]);
    assert_eq!(flags("merchant_length"), [json!(15), json!(6), Value::Null, json!(0)]);
    let (data, _) = told(tandem(&folder, &["verify", "everyday.wasm"]), 0);
    assert!(data.contains("proved: no bit differs"), "{data}");
}

#[test]
fn a_new_function_of_aggregates_passes_its_tests() {
    let root = tempfile::tempdir().unwrap();
    told(tandem(root.path(), &["new", "favourite", "--lang", "python", "--aggregate"]), 0);
    unittest(&root.path().join("favourite"), false);
}

#[test]
fn the_guide_shows_what_is_made() {
    let root = tempfile::tempdir().unwrap();
    told(tandem(root.path(), &["new", "shown", "--lang", "python"]), 0);
    let source = fs::read_to_string(root.path().join("shown/transform.py")).unwrap();
    let page = fs::read_to_string(workspace().join("docs/guide/python.md")).unwrap();
    let (before, _) = page.split_once("\n## Types\n").unwrap();
    let shown: Vec<&str> =
        before.split("\n```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("python\n")).collect();
    assert_eq!(shown.len(), 2);
    for block in shown {
        assert!(source.contains(block), "not in the new folder:\n{block}");
    }
}

/// The common example's component in Python, built once in a process.
fn order_lines() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = work("order_lines");
        copy(&example("python"), &folder);
        unittest(&folder, true);
        component(&folder)
    })
}

/// What the samples become, with a key, an event time and a partition; a row that fails is given with its message.
fn expected() -> Vec<Value> {
    json_of(&example("expected.json")).as_array().expect("rows").clone()
}

fn samples() -> Vec<Map<String, Value>> {
    let rows = json_of(&example("samples.json"));
    rows.as_array().expect("rows").iter().map(|row| row.as_object().expect("a row").clone()).collect()
}

/// A project whose one view is the example, over its samples as Parquet.
fn project(component: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir(root.join("features")).unwrap();
    let cache = compiled();
    fs::write(root.join("tandem.toml"), format!("[project]\nname = \"orders\"\n\n[storage]\ncache = {cache:?}\n"))
        .unwrap();
    let definitions = format!(
        r#"[[entity]]
name = "line"
join_keys = [{{ name = "line_id", type = "int64" }}]

[[source]]
name = "lines"
path = "data/lines"
kind = "events"
event_time = "at"
partition = "date"

[[feature_view]]
name = "order_lines"
version = 1
source = "lines"
entities = ["line"]
component = {component:?}
as_of = "at_or_before"
on_error = "quarantine"
"#
    );
    fs::write(root.join("features/lines.toml"), definitions).unwrap();
    let place = root.join("data/lines/date=2024-02-28");
    fs::create_dir_all(&place).unwrap();
    let batch = parquet_rows();
    let mut writer =
        ArrowWriter::try_new(File::create(place.join("a.parquet")).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    folder
}

fn parquet_rows() -> RecordBatch {
    let rows = samples();
    let number = |value: &Value| match value {
        Value::String(text) if text == "NaN" => Some(f64::NAN),
        Value::String(text) if text == "Infinity" => Some(f64::INFINITY),
        Value::String(text) if text == "-Infinity" => Some(f64::NEG_INFINITY),
        value => value.as_f64(),
    };
    let texts =
        |name: &str| -> ArrayRef { Arc::new(rows.iter().map(|row| row[name].as_str()).collect::<StringArray>()) };
    let integers =
        |name: &str| -> ArrayRef { Arc::new(rows.iter().map(|row| row[name].as_i64()).collect::<Int64Array>()) };
    let mut vectors = FixedSizeListBuilder::new(Float32Builder::new(), 4);
    for row in &rows {
        let values = row["embedding"].as_array();
        for index in 0..4 {
            vectors.values().append_option(values.map(|values| number(&values[index]).expect("a number") as f32));
        }
        vectors.append(values.is_some());
    }
    let times = (0..rows.len() as i64).map(|row| 1_709_078_400_000_000 + row);
    let columns: [(&str, ArrayRef); 8] = [
        ("line_id", Arc::new((0..rows.len() as i64).collect::<Int64Array>())),
        ("at", Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))),
        ("order_id", integers("order_id")),
        ("price", texts("price")),
        ("quantity", integers("quantity")),
        ("discount", Arc::new(rows.iter().map(|row| number(&row["discount"])).collect::<Float64Array>())),
        ("title", texts("title")),
        ("embedding", Arc::new(vectors.finish())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
}

/// Batch and HTTP over a project of the example give what is written down beside it, to the last bit: JSON is read back to the same double.
fn gives_what_is_expected(component: &Path) {
    let project = project(component);
    let opened = Opened::open(project.path()).unwrap_or_else(|error| panic!("{error}"));
    let view = opened.view("order_lines").unwrap_or_else(|error| panic!("{error}"));
    let expected = expected();

    let root = project.path().join("offline");
    let report = batch(&view, &root, 2, BatchOptions::default());
    let failing = expected.iter().filter(|row| row.get("failure").is_some()).count();
    assert_eq!((report.rows().rows_in, report.rows().quarantined), (expected.len() as u64, failing as u64));
    let rows = published(&view, &root);
    let right: Vec<&Value> = expected.iter().filter(|row| row.get("failure").is_none()).collect();
    assert_eq!(rows.num_rows(), right.len());
    for field in &view.bound.signature.outputs {
        let column = rows.column_by_name(&field.name).expect("a feature");
        for (row, expected) in right.iter().enumerate() {
            let value = encode_value(column.as_ref(), field.data_type, row);
            // As text: -0.0 equals 0.0.
            assert_eq!(value.to_string(), expected[&field.name].to_string(), "`{}`, row {row}", field.name);
        }
    }

    let server = Server::start(&opened, &view, None);
    let lines = samples();
    let answer = server.ask("/v1/transforms/order_lines", &json!({ "rows": lines }));
    let rows = answer["rows"].as_array().unwrap_or_else(|| panic!("{answer}"));
    assert_eq!(rows.len(), expected.len());
    let mut failures = answer["failed_rows"].as_array().unwrap_or_else(|| panic!("{answer}")).iter();
    for (row, (found, expected)) in rows.iter().zip(&expected).enumerate() {
        match expected.get("failure") {
            Some(message) => {
                let failure = failures.next().unwrap_or_else(|| panic!("row {row}"));
                assert_eq!((&failure["row"], &failure["message"]), (&json!(row), message));
            }
            None => assert_eq!(found.to_string(), expected.to_string(), "row {row}"),
        }
    }
    assert_eq!(failures.next(), None);
}

#[test]
fn the_example_in_rust_gives_what_is_expected() {
    gives_what_is_expected(&component(&example("rust")));
}

#[test]
fn the_example_in_python_has_the_same_bits() {
    gives_what_is_expected(order_lines());
}

/// Every type, through both forms, is what it was.
#[test]
fn every_type_crosses() {
    let rows = guest("rows.json");
    for name in ["every_type", "every_type_columns"] {
        let folder = work(name);
        copy(&guest(name), &folder);
        let built = component(&folder);
        let arguments = ["test", built.to_str().unwrap(), "--rows", rows.to_str().unwrap(), "--json"];
        let (data, _) = told(tandem(&folder, &arguments), 0);
        let results: Value = serde_json::from_str(&data).expect("JSON");
        let results = results["results"].as_array().expect("results");
        assert_eq!(results.len(), 3);
        for result in results {
            assert_eq!(result["outputs"].to_string(), result["inputs"].to_string(), "{name}");
        }
        assert_eq!(results[0]["outputs"]["p"], json!([9_007_199_254_740_993_i64, -1]));
        assert_eq!(results[1]["outputs"]["vn"], Value::Null);
    }
}

#[test]
fn what_authors_are_told() {
    let folder = work("wrong");
    copy(&guest("wrong"), &folder);
    let mut transcript = Transcript::new(&folder);
    transcript.run(&["test", "."], 1);
    transcript.run(&["test", "wrong.wasm", "--param", "leest=1"], 1);
    transcript.run(&["test", "wrong.wasm", "--param", "least=\"much\""], 1);
    let source = fs::read_to_string(folder.join("transform.py")).unwrap();
    let manifest = fs::read_to_string(folder.join("pyproject.toml")).unwrap();
    let mut wrong = |what: &str, source: &str| {
        fs::write(folder.join("transform.py"), source).unwrap();
        transcript.note(what);
        transcript.run(&["build", "."], 1);
    };
    wrong("a syntax error", &source.replace("match row.how:", "match row.how"));
    wrong("a module that is not there", &source.replace("import json", "import pandas"));
    wrong("a type that no column has", &source.replace("    y: int", "    y: complex"));
    wrong("no function is marked", &source.replace("@transform\n", ""));
    fs::write(folder.join("pyproject.toml"), manifest.replace("[tool.tandem]", "[tool.tandem]\nmodule = \"other\""))
        .unwrap();
    wrong("no such file", &source);
    fs::write(folder.join("pyproject.toml"), manifest.replace("path =", "paths =")).unwrap();
    wrong("an unknown key", &source);
    transcript.assert("python/mistakes");
}

#[test]
fn a_missing_tool_is_named_with_what_installs_it() {
    let root = tempfile::tempdir().unwrap();
    told(tandem(root.path(), &["new", "mine", "--lang", "python"]), 0);
    let mut command = tandem(&root.path().join("mine"), &["build", "."]);
    command.env("PATH", root.path());
    let (_, notes) = told(command, 1);
    assert!(notes.starts_with("error: `componentize-py` 0.25.1 is needed, and is neither in "), "{notes}");
    assert!(
        notes.ends_with("hint: python3 -m venv .venv && .venv/bin/pip install componentize-py==0.25.1\n"),
        "{notes}"
    );
}

/// A function of aggregates in Python: proved, and the same value as the one in Rust; what it fails on is told with the line.
#[test]
fn an_aggregate_in_python_is_that_in_rust() {
    let folder = work("busiest");
    copy(&guest("busiest"), &folder);
    let built = component(&folder);
    let built = built.to_str().unwrap();
    let run = |arguments: &[&str], code: i32| told(tandem(&folder, arguments), code);
    let (described, _) = run(&["describe", built, "--param", "minutes=10"], 0);
    assert!(
        described.contains("The most that was paid within one stretch")
            && described.contains("What was paid, in cents."),
        "{described}"
    );
    let (proved, _) = run(&["verify", built, "--param", "minutes=10", "--no-interpreter"], 0);
    assert!(proved.contains("proved: no bit differs"), "{proved}");
    let cheat = ["verify", built, "--param", "minutes=10", "--param", "cheat=true", "--no-interpreter"];
    let (found, _) = run(&cheat, 1);
    assert!(found.contains("it differs: ") && found.contains("what to look for"), "{found}");

    let project = tempfile::tempdir().unwrap();
    let root = project.path();
    let example = workspace().join("examples/bursts");
    fs::create_dir(root.join("features")).unwrap();
    fs::copy(example.join("tandem.toml"), root.join("tandem.toml")).unwrap();
    fs::copy(example.join("payments.csv"), root.join("payments.csv")).unwrap();
    let in_rust = component(&example.join("busiest"));
    let definitions = fs::read_to_string(example.join("features/cards.toml")).unwrap();
    let definitions = definitions
        .replacen("busiest/busiest.wasm", in_rust.to_str().unwrap(), 1)
        .replacen("busiest/busiest.wasm", built, 1)
        .replacen("name = \"busiest_cafe\"", "name = \"in_python\"", 1)
        .replacen(", where = \"shop = 'cafe'\", windows = [\"1d\"]", ", windows = [\"1h\", \"1d\"]", 1);
    fs::write(root.join("features/cards.toml"), definitions).unwrap();
    let run = |arguments: &[&str], code: i32| told(tandem(root, arguments), code);
    run(&["import", "payments", "payments.csv"], 0);
    run(&["materialize", "bursts"], 0);
    let (report, _) = run(&["parity", "bursts", "--sample", "20", "--json"], 0);
    let report: Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(report["different"], json!(0), "{report}");
    let (got, _) = run(&["get", "bursts", "card_id=c2", "--as-of", "2026-03-01T06:00:00Z", "--json"], 0);
    let got: Value = serde_json::from_str(&got).expect("JSON");
    let values = &got["rows"][0]["values"];
    assert!(values["busiest_1d"].is_f64(), "{got}");
    assert_eq!(
        (&values["busiest_1h"], &values["busiest_1d"]),
        (&values["in_python_1h"], &values["in_python_1d"]),
        "{got}"
    );
}
