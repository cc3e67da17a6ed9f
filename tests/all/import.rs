//! `tandem import`: rows of a file into a source.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::guests::Guest;
use crate::harness::program::tandem;

const FEATURES: &str = r#"[[entity]]
name = "user"
join_keys = [{ name = "user_id", type = "int64" }]

[[source]]
name = "spendings"
path = "data/spendings"
kind = "events"
event_time = "at"
timezone = "Europe/Berlin"
partition = "date"

[[source]]
name = "unread"
path = "data/unread"
kind = "state"
event_time = "at"

[[feature_view]]
name = "spend"
version = 1
source = "spendings"
entities = ["user"]
component = "columnar.wasm"
as_of = "before"
inputs = { merchant = "shop" }
key_columns = { user_id = "card" }
"#;

const ROWS: &str = "card,at,amount,limit,discount,shop,note\n\
    7,2026-01-15T22:30:00Z,50,99,5,\"ÇA \"\"va\"\"\",x\n\
    8,2026-01-15T23:30:00Z,0.5,1,,\"\",y\n\
    7,2026-01-15T23:45:00+01:00,20,3,NaN,Acme,z\n";

fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir(root.join("features")).unwrap();
    fs::write(root.join("tandem.toml"), "[project]\nname = \"spendings\"\n").unwrap();
    fs::write(root.join("features/spend.toml"), FEATURES).unwrap();
    fs::copy(Guest::Columnar.path(), root.join("columnar.wasm")).unwrap();
    fs::write(root.join("a.csv"), ROWS).unwrap();
    folder
}

/// What a command that should end with `code` says: data, and what is beside it.
fn told(root: &Path, arguments: &[&str], code: i32) -> (String, String) {
    let output = tandem(root, arguments).output().expect("the program runs");
    let (data, notes) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{data}{notes}");
    (data, notes)
}

fn json_of(root: &Path, arguments: &[&str]) -> Value {
    let (data, _) = told(root, &[arguments, &["--json"]].concat(), 0);
    serde_json::from_str(&data).unwrap_or_else(|error| panic!("{error}\n{data}"))
}

#[test]
fn rows_go_to_their_days_and_through_the_batch() {
    let project = project();
    let root = project.path();
    let (data, notes) = told(root, &["import", "spendings", "a.csv"], 0);
    assert_eq!(data, "3 rows into 2 files\n./data/spendings\n");
    assert_eq!(notes, "note: columns that no view reads are left out: `note`\n");
    // Berlin's day begins an hour before that of UTC.
    for (day, rows) in [("2026-01-15", 2), ("2026-01-16", 1)] {
        let file = format!("data/spendings/date={day}/a.parquet");
        let total = tandem_offline::read_rows(&root.join(&file), 9, |_| true).unwrap();
        assert_eq!((total.total, &total.columns[..2]), (rows, &["card".to_owned(), "at".to_owned()][..]), "{file}");
    }
    let batch = json_of(root, &["batch", "spend"]);
    assert_eq!((&batch["total"]["rows_out"], &batch["total"]["misplaced"]), (&json!(3), &json!(0)), "{batch}");
    told(root, &["materialize", "spend"], 0);
    let rows = json_of(root, &["get", "spend", "user_id=8", "user_id=7", "--as-of", "2026-02-01T00:00:00Z"]);
    assert_eq!(rows["rows"][0]["values"], json!({ "usage": 0.25, "net": null, "discount_slot": 0.0, "merchant": "" }));
    assert_eq!(rows["rows"][1]["event_time"], "2026-01-15T22:45:00Z");
    assert_eq!(rows["rows"][1]["values"]["net"], "NaN");
}

#[test]
fn a_second_file_is_added_and_a_changed_one_replaced() {
    let project = project();
    let root = project.path();
    told(root, &["import", "spendings", "a.csv"], 0);
    let (_, notes) = told(root, &["import", "spendings", "a.csv"], 1);
    assert!(notes.ends_with(
        "date=2026-01-15/a.parquet is there already\n\
         hint: --replace puts these rows in the place of those; rows beside them go into a file of another name\n"
    ));
    let rows =
        json!([{ "card": 9, "at": "2026-01-15T08:00:00Z", "amount": 1, "limit": 1, "discount": null, "shop": "Zoë" }]);
    for name in ["b.json", "a.json"] {
        fs::write(root.join(name), rows.to_string()).unwrap();
    }
    assert_eq!(json_of(root, &["import", "spendings", "b.json"])["left_out"], json!([]));
    assert_eq!(json_of(root, &["batch", "spend"])["total"]["rows_in"], 4);
    let replaced = json_of(root, &["import", "spendings", "a.json", "--replace"]);
    assert_eq!((&replaced["rows"], &replaced["files"][0]["rows"]), (&json!(1), &json!(1)));
    assert!(!root.join("data/spendings/date=2026-01-16/a.parquet").exists());
    // Parquet is taken as it comes: here the file that import itself wrote.
    fs::copy(root.join("data/spendings/date=2026-01-15/b.parquet"), root.join("c.parquet")).unwrap();
    told(root, &["import", "spendings", "c.parquet"], 0);
    let bytes = |name: &str| fs::read(root.join(format!("data/spendings/date=2026-01-15/{name}.parquet"))).unwrap();
    assert_eq!(bytes("b"), bytes("c"));
}

#[test]
fn what_cannot_be_imported_is_told_and_leaves_nothing() {
    let project = project();
    let root = project.path();
    let fails = |source: &str, name: &str, text: &str, code: i32| {
        fs::write(root.join(name), text).unwrap();
        told(root, &["import", source, name], code).1
    };
    assert_eq!(
        fails("spending", "a.csv", ROWS, 2),
        "error: there is no source `spending`\nhint: did you mean `spendings`? the sources are `spendings` and `unread`\n"
    );
    assert_eq!(
        fails("unread", "a.csv", ROWS, 2),
        "error: no feature view reads source `unread`, and its columns have the types with which views read them\n\
         hint: define a view with `source = \"unread\"` first\n"
    );
    assert_eq!(
        fails("spendings", "a.csv", &ROWS.replace("card", "cart"), 1),
        "error: a.csv: no column `card`, which is join key `user_id` of spend@1; there is `cart`\n"
    );
    let without_time = ROWS.replace("2026-01-15T23:30:00Z", "");
    assert_eq!(fails("spendings", "a.csv", &without_time, 1), "error: row 1: the event time (column `at`) is null\n");
    let notes = fails("spendings", "a.csv", &ROWS.replace("22:30:00Z", "22:30:00"), 1);
    assert!(notes.starts_with("error: a.csv: `at`, row 0: "), "{notes}");
    assert_eq!(
        fails("spendings", "a.csv", "card,at,amount,limit,discount,shop\n", 1),
        "error: a.csv: it has no rows\n"
    );
    let notes = fails("spendings", "_a.csv", ROWS, 2);
    assert!(notes.starts_with("error: _a.csv: its name is that of the Parquet files"), "{notes}");
    assert!(!root.join("data").exists());

    let two = FEATURES.replace("key_columns = { user_id = \"card\" }", "key_columns = { user_id = \"amount\" }");
    fs::write(root.join("features/spend.toml"), two).unwrap();
    assert!(
        fails("spendings", "a.csv", ROWS, 2).starts_with(
            "error: column `amount` is int64 as join key `user_id` of spend@1, and float64 as input `amount` of spend@1\nhint: "
        )
    );
}
