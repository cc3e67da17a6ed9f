//! What authors do: `tandem new`, `cargo test`, `tandem build`, `tandem test`.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, Float64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};

use crate::harness::guests::{Guest, guests_target, workspace};
use crate::harness::program::tandem;

fn run(root: &Path, arguments: &[&str]) -> Output {
    tandem(root, arguments).output().expect("the program runs")
}

/// What a command that should end with `code` says: data, and what is beside it.
fn told(root: &Path, arguments: &[&str], code: i32) -> (String, String) {
    let output = run(root, arguments);
    let (data, notes) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{data}{notes}");
    (data, notes)
}

fn json_of(root: &Path, arguments: &[&str], code: i32) -> Value {
    let (data, notes) = told(root, &[arguments, &["--json"]].concat(), code);
    serde_json::from_str(&data).unwrap_or_else(|error| panic!("{error}\n{data}{notes}"))
}

/// `cargo test` in a crate, as its author runs it: without this run's own settings.
fn cargo_test(crate_dir: &Path) -> String {
    let mut command = Command::new("cargo");
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy().into_owned();
        if (text.starts_with("CARGO") && text != "CARGO_HOME")
            || text.starts_with("__CARGO")
            || text.starts_with("RUSTFLAGS")
        {
            command.env_remove(name);
        }
    }
    command.arg("test").current_dir(crate_dir).env("CARGO_TARGET_DIR", guests_target().join("native"));
    let output = command.output().expect("cargo runs");
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{text}");
    text
}

/// From nothing to a component over its samples; gives what the samples became.
fn from_nothing(root: &Path, name: &str, options: &[&str]) -> Value {
    let (data, notes) = told(root, &[&["new", name], options].concat(), 0);
    assert!(data.starts_with(&format!("created  {name}\n")) && notes.is_empty(), "{data}{notes}");
    let folder = root.join(name);
    // The versions that the examples have, so that no registry is asked for newer ones.
    fs::copy(workspace().join("examples/quickstart/transform/Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let tested = cargo_test(&folder);
    assert!(tested.contains("test result: ok. ") && !tested.contains("warning"), "{tested}");
    assert!(!tested.contains("wasm32"), "{tested}");

    let target = guests_target();
    let target = ["--target-dir", target.to_str().unwrap()];
    let (data, _) = told(&folder, &[&["build", "."][..], &target].concat(), 0);
    assert!(data.starts_with(&format!("component  {name}.wasm\n")), "{data}");
    let (table, _) = told(&folder, &[&["test"][..], &target].concat(), 0);
    assert!(table.starts_with("row  amount  merchant"), "{table}");
    assert!(table.ends_with("\n4 rows, 0 failed\n"), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");

    let component = format!("{name}.wasm");
    let large = |value: Value| {
        value["results"].as_array().unwrap().iter().map(|row| row["outputs"]["is_large"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(large(json_of(&folder, &["test", &component], 0)), [false, true, false, true]);
    assert_eq!(
        large(json_of(&folder, &["test", &component, "--param", "large_amount=12.5"], 0)),
        [true, true, false, true]
    );
    let mut samples = json_of(&folder, &["test", &component], 0);
    samples["results"].take()
}

#[test]
fn from_an_empty_folder_to_a_tested_component() {
    let root = tempfile::tempdir().unwrap();
    let rows = from_nothing(root.path(), "everyday", &[]);
    let columns = from_nothing(root.path(), "columnar", &["--columns"]);
    assert_eq!(rows, columns, "both forms give the same bits");
    assert_eq!(rows[1]["inputs"]["merchant"], "寿司 さくら");
    assert_eq!(rows[1]["outputs"]["merchant_length"], 6);
    assert_eq!(
        rows[2]["outputs"],
        json!({ "log_amount": 0.0, "is_large": false, "merchant_length": null, "at_night": false })
    );
}

#[test]
fn a_function_of_aggregates_from_an_empty_folder() {
    let root = tempfile::tempdir().unwrap();
    let (data, _) = told(root.path(), &["new", "favourite", "--aggregate"], 0);
    assert!(data.ends_with("  cargo test\n  tandem build .\n  tandem verify .\n"), "{data}");
    let folder = root.path().join("favourite");
    fs::copy(workspace().join("examples/quickstart/transform/Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let tested = cargo_test(&folder);
    assert!(tested.contains("test result: ok. 2 passed") && !tested.contains("warning"), "{tested}");
    let target = guests_target();
    told(&folder, &["build", ".", "--target-dir", target.to_str().unwrap()], 0);
    let proof = json_of(&folder, &["verify", "favourite.wasm", "--param", "cents_min=10"], 0);
    assert_eq!(proof["verdict"], "proved", "{proof}");
    let (_, notes) = told(&folder, &["test", "favourite.wasm"], 2);
    assert!(notes.contains("function of aggregates"), "{notes}");

    let (_, notes) = told(root.path(), &["new", "other", "--aggregate", "--lang", "go"], 2);
    assert!(notes.contains("--aggregate") && notes.contains("rust or python"), "{notes}");
    assert!(!root.path().join("other").exists());
    let readme = fs::read_to_string(folder.join("README.md")).unwrap();
    assert!(readme.contains("component = \"favourite/favourite.wasm\"") && !readme.contains("{{"), "{readme}");
}

#[test]
fn a_folder_is_made_whole_or_not_at_all() {
    let root = tempfile::tempdir().unwrap();
    let (_, notes) = told(root.path(), &["new", "My-Transform"], 2);
    assert!(
        notes.contains("error: `My-Transform` cannot name a transform: ")
            && notes.contains("hint: name it my_transform"),
        "{notes}"
    );
    fs::write(root.path().join("file"), "mine").unwrap();
    let (_, notes) = told(root.path(), &["new", "x", "--path", "file"], 2);
    assert!(notes.starts_with("error: file is not a folder\nhint: "), "{notes}");
    // A file where a folder should be cannot be written into, not even by root.
    let (_, notes) = told(root.path(), &["new", "x", "--path", "file/x"], 2);
    assert!(notes.starts_with("error: file is not a folder\nhint: "), "{notes}");
    let (_, notes) = told(root.path(), &["new", "x", "--path", "."], 2);
    assert!(notes.starts_with("error: . is not empty\nhint: "), "{notes}");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
}

const FEATURES: &str = r#"[[entity]]
name = "user"
join_keys = [{ name = "user_id", type = "int64" }]

[[source]]
name = "spendings"
path = "data"
kind = "events"
event_time = "at"

[[feature_view]]
name = "spend"
version = 1
source = "spendings"
entities = ["user"]
component = "columnar.wasm"
as_of = "before"
inputs = { merchant = "shop" }
"#;

/// A project, and the same rows in every format; row 1 fails.
fn formats(root: &Path) -> Vec<&'static str> {
    fs::copy(Guest::Columnar.path(), root.join("columnar.wasm")).unwrap();
    fs::create_dir(root.join("features")).unwrap();
    fs::write(root.join("tandem.toml"), "[project]\nname = \"spendings\"\n").unwrap();
    fs::write(root.join("features/spend.toml"), FEATURES).unwrap();
    fs::write(
        root.join("a.csv"),
        "merchant,amount,limit,discount\r\n\"ÇA \"\"va\"\"\",50.0,99,5\r\nAcme,20,-1.0,\r\n\"\",0.5,1,-0.0\r\n",
    )
    .unwrap();
    let rows = [
        json!({ "merchant": "ÇA \"va\"", "amount": 50, "limit": 99.0, "discount": 5.0 }),
        json!({ "merchant": "Acme", "amount": 20, "limit": -1 }),
        json!({ "merchant": "", "amount": 0.5, "limit": 1, "discount": -0.0 }),
    ];
    fs::write(root.join("samples.json"), Value::from(rows.to_vec()).to_string()).unwrap();
    fs::write(root.join("a.jsonl"), rows.map(|row| format!("{row}\n")).concat()).unwrap();
    // Other types, and the merchant by the name that the view gives it.
    let batch = RecordBatch::try_from_iter([
        ("amount", Arc::new(Float32Array::from(vec![50.0, 20.0, 0.5])) as ArrayRef),
        ("limit", Arc::new(Float64Array::from(vec![99.0, -1.0, 1.0]))),
        ("discount", Arc::new(Float64Array::from(vec![Some(5.0), None, Some(-0.0)]))),
        ("shop", Arc::new(StringArray::from(vec!["ÇA \"va\"", "Acme", ""]))),
        ("unused", Arc::new(StringArray::from(vec![None::<&str>; 3]))),
    ])
    .unwrap();
    let mut writer = ArrowWriter::try_new(File::create(root.join("a.parquet")).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    vec!["a.csv", "samples.json", "a.jsonl", "a.parquet"]
}

#[test]
fn every_format_gives_the_same_features() {
    let root = tempfile::tempdir().unwrap();
    let expected = json!([
        {
            "row": 0,
            "inputs": { "amount": 50.0, "limit": 99.0, "discount": 5.0, "merchant": "ÇA \"va\"" },
            "outputs": { "usage": 0.5, "net": 45.0, "discount_slot": 5.0, "merchant": "ça \"va\"" },
        },
        {
            "row": 1,
            "inputs": { "amount": 20.0, "limit": -1.0, "discount": null, "merchant": "Acme" },
            "failure": "limit: must not be negative",
        },
        {
            "row": 2,
            "inputs": { "amount": 0.5, "limit": 1.0, "discount": -0.0, "merchant": "" },
            "outputs": { "usage": 0.25, "net": 0.5, "discount_slot": -0.0, "merchant": "" },
        },
    ]);
    for file in formats(root.path()) {
        let told = json_of(root.path(), &["test", "columnar.wasm", "--rows", file, "--allow-failures"], 0);
        assert_eq!(told["results"], expected, "{file}");
        assert_eq!((&told["rows"], &told["failed"]), (&json!(3), &json!(1)), "{file}");
    }
}

#[test]
fn failed_rows_are_shown_and_decide_the_exit_code() {
    let root = tempfile::tempdir().unwrap();
    formats(root.path());
    let (table, notes) = told(root.path(), &["test", "columnar.wasm"], 1);
    let expected = "row  amount  limit  discount  merchant     |   usage   net  discount_slot  merchant\n  \
                      0    50.0   99.0       5.0  \"ÇA \\\"va\\\"\"  |     0.5  45.0            5.0  \"ça \\\"va\\\"\"\n  \
                      1    20.0   -1.0      null  \"Acme\"       |  failed\n  \
                      2     0.5    1.0      -0.0  \"\"           |    0.25   0.5           -0.0  \"\"\n\
                    \nrow 1 failed: limit: must not be negative\n\
                    \n3 rows, 1 failed\n";
    assert_eq!(table, expected);
    assert_eq!(notes, "error: 1 of 3 rows failed\nhint: if they should fail: --allow-failures\n");
    let (again, notes) = told(root.path(), &["test", "columnar.wasm", "--allow-failures"], 0);
    assert_eq!((again.as_str(), notes.as_str()), (expected, ""));
    let (first, notes) = told(root.path(), &["test", "columnar.wasm", "--limit", "1"], 0);
    assert!(first.ends_with("\n1 row, 0 failed\n"), "{first}");
    assert_eq!(notes, "note: the first 1 of 3 rows; --limit takes more\n");
}

#[test]
fn a_terminal_too_narrow_for_the_names_gets_blocks() {
    let root = tempfile::tempdir().unwrap();
    formats(root.path());
    let mut command = tandem(root.path(), &["test", "columnar.wasm", "--limit", "1"]);
    let output = command.env("COLUMNS", "30").output().unwrap();
    let expected = "row 0\n  amount         50.0\n  limit          99.0\n  discount       5.0\n  merchant       \"ÇA \\\"va\\\"\"\n\
                    \x20 -------------\n  usage          0.5\n  net            45.0\n  discount_slot  5.0\n  merchant       \"ça \\\"va\\\"\"\n\
                    \n1 row, 0 failed\n";
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}

#[test]
fn rows_that_cannot_be_taken_are_named() {
    let root = tempfile::tempdir().unwrap();
    formats(root.path());
    let error = |text: &str, code| {
        fs::write(root.path().join("b.csv"), text).unwrap();
        told(root.path(), &["test", "columnar.wasm", "--rows", "b.csv"], code).1
    };
    assert_eq!(
        error("merchant,amount,limmit,discount\na,1,2,3\n", 1),
        "error: b.csv: no column `limit`, which the transform takes; there is `limmit`\n"
    );
    assert_eq!(
        error("merchant,amount,limit,discount\na,1,2,3\na,1 EUR,2,3\n", 1),
        "error: b.csv: `amount`, row 1: float64 expected, found \"1 EUR\"; hint: write a number without quotes, or one of \
         \"NaN\", \"Infinity\", \"-Infinity\"\n"
    );
    assert_eq!(
        error("merchant,amount,limit,discount\na,1,2\n", 1),
        "error: b.csv: line 2: 3 values, and the first line names 4 columns\n"
    );
    fs::write(root.path().join("b.parquet"), "PAR1, and then the writer died").unwrap();
    let (_, notes) = told(root.path(), &["test", "columnar.wasm", "--rows", "b.parquet"], 1);
    assert!(notes.starts_with("error: b.parquet is not a whole Parquet file: "), "{notes}");
    fs::remove_file(root.path().join("samples.json")).unwrap();
    let (_, notes) = told(root.path(), &["test", "columnar.wasm"], 2);
    assert!(notes.starts_with("error: no sample rows in .\nhint: name a file with --rows"), "{notes}");
}

#[test]
fn what_a_row_costs_is_measured() {
    let root = tempfile::tempdir().unwrap();
    formats(root.path());
    let told = json_of(root.path(), &["test", "columnar.wasm", "--bench", "--allow-failures"], 0);
    for kind in ["used", "fresh"] {
        let figures = &told[kind];
        assert_eq!(figures["rows_per_call"], 65_536, "{told}");
        let (time, fuel) =
            (figures["nanoseconds_per_row"].as_f64().unwrap(), figures["fuel_per_row"].as_f64().unwrap());
        assert!(time > 0.0 && fuel > 1.0, "{told}");
        let rate = figures["rows_per_second"].as_f64().unwrap();
        assert!((rate * time / 1e9 - 1.0).abs() < 1e-9, "{told}");
    }
}

/// What a command compiles, the next one finds: the clock says nothing, so the log of both is asked.
#[test]
fn a_component_is_compiled_once_for_its_author() {
    let root = tempfile::tempdir().unwrap();
    fs::copy(Guest::Columnar.path(), root.path().join("columnar.wasm")).unwrap();
    let cache = root.path().join("cache");
    let event = |arguments: &[&str]| {
        let mut command = tandem(root.path(), &[arguments, &["--log", "tandem_engine=debug"]].concat());
        let output = command.env("TANDEM_CACHE", &cache).output().unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        let events: Vec<_> = ["Hit", "Miss", "Refused"].into_iter().filter(|event| log.contains(event)).collect();
        assert!(output.status.success(), "{log}");
        (events.join(", "), log)
    };
    assert_eq!(event(&["describe", "columnar.wasm"]).0, "Miss");
    assert_eq!(event(&["describe", "columnar.wasm"]).0, "Hit");
    let verify = ["verify", "columnar.wasm", "--no-interpreter", "--generate", "20"];
    assert_eq!(event(&verify).0, "Hit, Miss", "one of its two profiles");
    assert_eq!(event(&verify).0, "Hit");

    // A folder that others may write to is not trusted, and a folder that cannot be is done without.
    let compiled = cache.join("compiled");
    fs::set_permissions(&compiled, fs::Permissions::from_mode(0o755)).unwrap();
    let (events, told) = event(&["describe", "columnar.wasm"]);
    assert_eq!(events, "Miss");
    assert!(
        told.contains("warning: compiled code cannot be kept in ") && told.contains("; it is not used\n"),
        "{told}"
    );
    fs::remove_dir_all(&compiled).unwrap();
    fs::write(&compiled, "a file").unwrap();
    assert_eq!(event(&["describe", "columnar.wasm"]).0, "Miss");
}
