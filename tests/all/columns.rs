//! Views of columns by the program: features of a table that is there already, in training sets, online and in the registry.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::program::{Serving, tandem, tandem_registered, told};

const DEFINITIONS: &str = r#"[[entity]]
name = "user"
join_keys = [{ name = "user_id", type = "int64" }]

[[source]]
name = "accounts"
path = "data/accounts"
kind = "state"
event_time = "changed_at"
created_time = "known_at"
timezone = "UTC"
partition = "date"

[[feature_view]]
name = "account"
version = 1
source = "accounts"
entities = ["user"]
ttl = "30d"
key_columns = { user_id = "customer" }
features = [
    { name = "credit", column = "limit_eur", type = "float64", description = "In euros" },
    { name = "country", type = "string" },
]
defaults = { country = "??" }

[[feature_service]]
name = "credit"
features = ["account@1"]
"#;

const ACCOUNTS: &str = "customer,changed_at,known_at,limit_eur,country
1,2026-01-01T10:00:00Z,2026-01-01T10:00:00Z,100.5,AT
1,2026-01-03T10:00:00Z,2026-01-03T12:00:00Z,200,DE
2,2026-01-02T10:00:00Z,2026-01-02T10:00:00Z,300,
";

const LABELS: &str = "user_id,event_time
1,2026-01-03T11:00:00Z
1,2026-01-03T12:00:00Z
2,2026-01-02T10:00:00Z
2,2026-03-01T10:00:00Z
3,2026-01-03T11:00:00Z
";

fn project() -> tempfile::TempDir {
    let project = tempfile::tempdir().expect("a temporary folder");
    let root = project.path();
    fs::create_dir(root.join("features")).expect("a folder");
    for (name, text) in [
        ("tandem.toml", "[project]\nname = \"credit\"\n[server]\nlisten = \"127.0.0.1:0\"\n"),
        ("features/all.toml", DEFINITIONS),
        ("accounts.csv", ACCOUNTS),
        ("labels.csv", LABELS),
    ] {
        fs::write(root.join(name), text).expect("a file");
    }
    told(tandem(root, &["import", "accounts", "accounts.csv"]), 0);
    project
}

fn rows(root: &Path, name: &str) -> Vec<Value> {
    read(root, name, &["credit", "country", "account__status", "account__default_reason"])
}

/// These columns of a training set, a list for each row.
pub(crate) fn read(root: &Path, name: &str, columns: &[&str]) -> Vec<Value> {
    let file = fs::File::open(root.join(name)).expect("the set");
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet");
    let mut rows = Vec::new();
    for batch in reader.build().expect("a reader") {
        let batch = batch.expect("rows");
        for row in 0..batch.num_rows() {
            let value = |name: &str| {
                let column = batch.column_by_name(name).expect(name);
                let data_type = tandem_core::types::DataType::from_arrow(column.data_type()).expect("a canonical type");
                tandem_core::json::encode_value(column, data_type, row)
            };
            rows.push(columns.iter().map(|name| value(name)).collect());
        }
    }
    rows
}

#[test]
fn a_table_that_is_there_is_a_feature_view() {
    let project = project();
    let root = project.path();
    let run = |arguments: &[&str], code: i32| told(tandem_registered(root, arguments), code);
    let (checked, _) = run(&["check"], 0);
    assert!(checked.starts_with("account@1  2 inputs, 2 features  columns "), "{checked}");
    let (applied, notes) = run(&["apply", "--by", "ada"], 0);
    assert!(applied.contains("account@1"), "{applied}{notes}");
    let (shown, _) = run(&["show", "account"], 0);
    assert!(shown.contains("columns       sha256:") && shown.contains("limit_eur"), "{shown}");
    let (lineage, _) = run(&["lineage", "account"], 0);
    assert!(lineage.contains("limit_eur") && lineage.contains("credit"), "{lineage}");
    run(&["plan"], 0);

    // What was computed by T: the correction of the third day was not known before noon.
    let set = ["training-set", "--labels", "labels.csv", "--service", "credit", "--out", "train.parquet"];
    run(&set, 0);
    let expected = [
        json!([100.5, "AT", "PRESENT", null]),
        json!([200.0, "DE", "PRESENT", null]),
        json!([300.0, "??", "DEFAULTED", "NULL_VALUE"]),
        json!([null, "??", "DEFAULTED", "OUTSIDE_MAX_AGE"]),
        json!([null, "??", "DEFAULTED", "NOT_FOUND"]),
    ];
    assert_eq!(rows(root, "train.parquet"), expected);
    let manifest = fs::read_to_string(root.join("train.parquet.manifest.json")).expect("a manifest");
    let manifest: Value = serde_json::from_str(&manifest).expect("JSON");
    assert_eq!(manifest["features"][1]["defaulted"], 3, "{manifest:#}");

    // The same again of its manifest, though a later day came; and not where a file that it names is gone.
    let more = "customer,changed_at,known_at,limit_eur,country\n3,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z,5,CH\n";
    fs::write(root.join("more.csv"), more).expect("a file");
    run(&["import", "accounts", "more.csv"], 0);
    let again = ["training-set", "--from-manifest", "train.parquet.manifest.json", "--out", "again.parquet"];
    run(&again, 0);
    assert!(
        fs::read(root.join("again.parquet")).expect("a set") == fs::read(root.join("train.parquet")).expect("a set")
    );

    let (_, notes) = run(&["materialize", "account"], 0);
    let get = ["get", "account", "user_id=1", "user_id=2", "user_id=9", "--as-of", "2026-01-04T00:00:00Z"];
    let (found, _) = run(&[&get[..], &["--json"]].concat(), 0);
    let found: Value = serde_json::from_str(&found).expect("JSON");
    let values: Vec<&Value> = (0..3).map(|row| &found["rows"][row]["values"]).collect();
    assert_eq!(values[0], &json!({"credit": 200.0, "country": "DE"}), "{notes}");
    assert_eq!(values[1], &json!({"credit": 300.0, "country": "??"}));
    assert_eq!(values[2], &json!({"credit": null, "country": "??"}));
    assert_eq!(found["rows"][1]["statuses"], json!({"credit": "PRESENT", "country": "DEFAULTED"}));
    assert_eq!(found["rows"][1]["reasons"], json!({"country": "NULL_VALUE"}));
    let (found, _) = run(&get, 0);
    assert!(found.contains("country  \"??\"  DEFAULTED, NOT_FOUND\n"), "{found}");

    for (arguments, what) in [
        (&["batch", "account"][..], "computed in batch"),
        (&["parity", "account"], "compared"),
        (&["verify", "--view", "account"], "verified"),
    ] {
        let (_, notes) = run(arguments, 2);
        let message = format!(
            "feature view `account@1` has no component: its features are columns or aggregates of its source's rows, and there is nothing to be {what}"
        );
        assert!(notes.contains(&message) && notes.contains("tandem materialize account@1"), "{notes}");
    }
    run(&["verify", "--golden"], 0);

    let server = Serving::start_registered(root, &[]);
    let ask = |route: &str, body: &Value| server.ask(route, body);
    let asked = json!({"view": "account", "entities": {"user_id": [2]}});
    let (status, answer) = ask("/v1/features", &asked);
    // Long ago by the server's clock.
    assert_eq!((status, &answer["rows"][0]["status"]), (200, &json!("OUTSIDE_MAX_AGE")), "{answer}");
    assert_eq!(answer["rows"][0]["values"], json!({"credit": null, "country": "??"}));
    assert_eq!(answer["rows"][0]["reasons"], json!({"country": "OUTSIDE_MAX_AGE"}));
    let (status, answer) = ask("/v1/services/credit", &json!({"rows": [{"user_id": 9}]}));
    assert_eq!((status, &answer["rows"][0]["reasons"]), (200, &json!({"country": "NOT_FOUND"})), "{answer}");
    let (status, answer) = ask("/v1/transforms/account", &json!({"rows": [{"credit": 1}]}));
    assert_eq!((status, &answer["type"]), (409, &json!("urn:tandem:problem:no-transform")), "{answer}");
}

#[test]
fn a_changed_feature_is_a_changed_meaning() {
    let project = project();
    let root = project.path();
    let run = |arguments: &[&str], code: i32| told(tandem_registered(root, arguments), code);
    run(&["apply", "--by", "ada"], 0);
    let write = |text: &str| fs::write(root.join("features/all.toml"), text).expect("a file");
    write(&DEFINITIONS.replace("In euros", "In whole euros"));
    run(&["plan"], 0);
    run(&["apply", "--by", "ada"], 0);
    write(
        &DEFINITIONS.replace("column = \"limit_eur\", type = \"float64\"", "column = \"customer\", type = \"int64\""),
    );
    let (plan, _) = run(&["plan"], 4);
    assert!(plan.contains("account@1  would mean something else: features; make it version 2"), "{plan}");
    run(&["rollback", "--by", "ada"], 0);

    // What is wrong with the columns is told by `check`, at its place.
    write(&DEFINITIONS.replace("limit_eur", "limit_usd"));
    let (_, notes) = run(&["check"], 2);
    let message = "feature `credit` of feature view `account` is read from column `limit_usd`, which source `accounts` does not have";
    assert!(notes.contains(message) && notes.contains("--> features/all.toml:"), "{notes}");
}

const TARIFFS: &str = r#"[[entity]]
name = "tariff"
join_keys = [{ name = "tariff_id", type = "int64" }]

[[source]]
name = "tariffs"
path = "data/tariffs"
kind = "dimension"
valid_from = "from_day"
valid_to = "to_day"
timezone = "UTC"

[[feature_view]]
name = "tariff"
version = 1
source = "tariffs"
entities = ["tariff"]
features = [{ name = "price", type = "int64" }]
defaults = { price = -1 }

[[feature_service]]
name = "prices"
features = ["tariff@1"]
"#;

#[test]
fn a_dimension_is_served_while_it_is_valid() {
    let project = tempfile::tempdir().expect("a temporary folder");
    let root = project.path();
    fs::create_dir(root.join("features")).expect("a folder");
    for (name, text) in [
        ("tandem.toml", "[project]\nname = \"prices\"\n"),
        ("features/all.toml", TARIFFS),
        (
            "tariffs.csv",
            "tariff_id,from_day,to_day,price
1,2026-01-01T00:00:00Z,2026-02-01T00:00:00Z,10
1,2026-02-01T00:00:00Z,,12
2,2026-01-01T00:00:00Z,2026-01-15T00:00:00Z,20
2,2026-01-15T00:00:00Z,2026-01-15T00:00:00Z,21
",
        ),
        (
            "labels.csv",
            "tariff_id,event_time
1,2025-12-31T23:59:59.999999Z
1,2026-01-01T00:00:00Z
1,2026-01-31T23:59:59.999999Z
1,2026-02-01T00:00:00Z
2,2026-01-14T23:59:59.999999Z
2,2026-01-15T00:00:00Z
",
        ),
    ] {
        fs::write(root.join(name), text).expect("a file");
    }
    let run = |arguments: &[&str], code: i32| told(tandem_registered(root, arguments), code);
    run(&["import", "tariffs", "tariffs.csv"], 0);
    run(&["check"], 0);
    run(&["apply", "--by", "ada"], 0);
    run(&["training-set", "--labels", "labels.csv", "--service", "prices", "--out", "train.parquet"], 0);
    let row = |row: &Value| (row[0].clone(), row[1].clone(), row[2].clone());
    let columns = ["price", "tariff__status", "tariff__default_reason"];
    let found: Vec<_> = read(root, "train.parquet", &columns).iter().map(row).collect();
    let present = |price: i64| (json!(price), json!("PRESENT"), Value::Null);
    let defaulted = |reason: &str| (json!(-1), json!("DEFAULTED"), json!(reason));
    let expected =
        [defaulted("NOT_FOUND"), present(10), present(10), present(12), present(20), defaulted("OUTSIDE_MAX_AGE")];
    assert_eq!(found, expected);

    run(&["materialize", "tariff"], 0);
    let get = |tariff: &str, instant: &str| -> Value {
        let (found, _) = run(&["get", "tariff", tariff, "--as-of", instant, "--json"], 0);
        let found: Value = serde_json::from_str(&found).expect("JSON");
        let row = &found["rows"][0];
        json!([row["values"]["price"], row["status"], row["reasons"]["price"]])
    };
    assert_eq!(get("tariff_id=1", "2026-03-01T00:00:00Z"), json!([12, "PRESENT", null]));
    assert_eq!(get("tariff_id=2", "2026-01-14T23:59:59Z"), json!([20, "PRESENT", null]));
    // As the training set has it.
    assert_eq!(get("tariff_id=2", "2026-01-15T00:00:00Z"), json!([-1, "OUTSIDE_MAX_AGE", "OUTSIDE_MAX_AGE"]));
    // The newest row alone is there; what was before it, history tells.
    assert_eq!(get("tariff_id=1", "2026-01-10T00:00:00Z"), json!([-1, "NOT_FOUND", "NOT_FOUND"]));
}
