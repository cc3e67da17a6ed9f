//! Sources that are SQL queries, by the program.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::program::{tandem_registered, told};

const DEFINITIONS: &str = r#"[[entity]]
name = "user"
join_keys = [{ name = "user_id", type = "int64" }]

[[source]]
name = "payments"
path = "data/payments"
kind = "events"
event_time = "at"
timezone = "UTC"
partition = "date"

[[source]]
name = "rates"
path = "data/rates"
kind = "state"
event_time = "since"
timezone = "UTC"

[[source]]
name = "in_euros"
query = """
select p.user_id, p.at, p.amount * r.rate as euros, p.date as day
from payments p join rates r on p.currency = r.currency"""
tables = { payments = "data/payments", rates = "data/rates" }
kind = "events"
event_time = "at"
timezone = "UTC"

[[feature_view]]
name = "paid"
version = 1
source = "in_euros"
entities = ["user"]
as_of = "at_or_before"
features = [{ name = "euros", type = "float64" }, { name = "day", type = "string" }]

[[feature_view]]
name = "raw"
version = 1
source = "payments"
entities = ["user"]
as_of = "before"
features = [{ name = "amount", type = "float64" }, { name = "currency", type = "string" }]

[[feature_view]]
name = "rate"
version = 1
source = "rates"
entities = ["user"]
features = [{ name = "rate", type = "float64" }, { name = "currency", type = "string" }]

[[feature_service]]
name = "paid"
features = ["paid@1"]
"#;

const PAYMENTS: &str = "user_id,at,amount,currency
1,2026-01-01T10:00:00Z,10,EUR
1,2026-01-02T10:00:00Z,10,USD
2,2026-01-02T11:00:00Z,4,USD
";

fn write(root: &Path, name: &str, text: &str) {
    fs::write(root.join(name), text).expect("a file");
}

fn euros(root: &Path, name: &str) -> Vec<Option<f64>> {
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::Float64Type;
    let file = fs::File::open(root.join(name)).expect("the set");
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet");
    let batches = reader.build().expect("a reader").map(|batch| batch.expect("rows"));
    let euros = |batch: arrow_array::RecordBatch| -> Vec<Option<f64>> {
        let column = batch.column_by_name("euros").expect("the feature").as_primitive::<Float64Type>().clone();
        (0..column.len()).map(|row| column.is_valid(row).then(|| column.value(row))).collect()
    };
    batches.flat_map(euros).collect()
}

#[test]
fn a_query_is_a_source_for_batch_alone() {
    let project = tempfile::tempdir().expect("a temporary folder");
    let root = project.path();
    fs::create_dir(root.join("features")).expect("a folder");
    write(root, "tandem.toml", "[project]\nname = \"payments\"\n");
    write(root, "features/all.toml", DEFINITIONS);
    write(root, "payments.csv", PAYMENTS);
    write(
        root,
        "rates.csv",
        "user_id,since,rate,currency\n0,2026-01-01T00:00:00Z,1,EUR\n0,2026-01-01T00:00:00Z,0.5,USD\n",
    );
    write(
        root,
        "labels.csv",
        "user_id,event_time\n1,2026-01-01T10:00:00Z\n1,2026-01-03T00:00:00Z\n2,2026-01-02T10:59:59Z\n",
    );
    let run = |arguments: &[&str], code: i32| told(tandem_registered(root, arguments), code);
    run(&["import", "payments", "payments.csv"], 0);
    run(&["import", "rates", "rates.csv"], 0);
    run(&["check"], 0);
    let (_, notes) = run(&["apply", "--by", "ada"], 0);
    assert!(
        notes.contains("note: source in_euros is a query, for batch alone: nothing can be put into it, or pushed"),
        "{notes}"
    );
    let (_, notes) = run(&["import", "in_euros", "payments.csv"], 1);
    assert!(
        notes.contains("put them into the files of its tables") && notes.contains("is a query over other files"),
        "{notes}"
    );

    let set = ["training-set", "--labels", "labels.csv", "--service", "paid", "--out", "train.parquet"];
    run(&set, 0);
    assert_eq!(euros(root, "train.parquet"), [Some(10.0), Some(5.0), None]);
    assert!(
        !root.join("data/features/.queries").exists()
            || fs::read_dir(root.join("data/features/.queries")).expect("a folder").next().is_none()
    );
    // The manifest names the tables' files; of it the same comes again, without what came since.
    let first = fs::read(root.join("train.parquet")).expect("the set");
    write(root, "more.csv", "user_id,at,amount,currency\n2,2026-01-02T00:00:00Z,8,EUR\n");
    run(&["import", "payments", "more.csv"], 0);
    let again = ["training-set", "--from-manifest", "train.parquet.manifest.json", "--out", "again.parquet"];
    run(&again, 0);
    assert!(fs::read(root.join("again.parquet")).expect("a set") == first, "the bytes differ");
    run(&[&set[..6], &["anew.parquet"]].concat(), 0);
    assert_eq!(euros(root, "anew.parquet"), [Some(10.0), Some(5.0), Some(8.0)]);

    // Which row of the query's answer won, and which not.
    let ask = ["explain", "--service", "paid", "user_id=2", "--at", "2026-01-02T10:59:59Z", "--json"];
    let explained: Value = serde_json::from_str(&run(&ask, 0).0).expect("JSON");
    assert_eq!(explained["features"][0]["value"], json!(8.0), "{explained}");
    let rows = explained["views"][0]["rows"].as_array().expect("rows");
    let of = |row: &Value| (row["event_time"].clone(), row["verdict"].clone(), row["query"].clone());
    assert_eq!(
        rows.iter().map(of).collect::<Vec<_>>(),
        [
            (json!("2026-01-02T11:00:00Z"), json!("future"), json!("in_euros")),
            (json!("2026-01-02T00:00:00Z"), json!("won"), json!("in_euros")),
        ],
        "{explained}"
    );
    // As text it names the digest too, in short.
    let digest = explained["features"][0]["digest"].as_str().and_then(|digest| digest.strip_prefix("sha256:"));
    let told = run(&ask[..ask.len() - 1], 0).0;
    let made_by = format!("paid@1, columns of its source, {}\n", &digest.expect("a digest")[..12]);
    assert!(told.contains(&made_by), "{made_by}{told}");

    // Labels of a year without a row: every one is there, counted as not found, and no file but the tables' is missed.
    write(root, "old.csv", "user_id,event_time\n1,2020-01-01T00:00:00Z\n2,2020-06-01T00:00:00Z\n");
    let old = ["training-set", "--labels", "old.csv", "--features", "paid,raw", "--out", "old.parquet", "--json"];
    let report: Value = serde_json::from_str(&run(&old, 0).0).expect("JSON");
    assert_eq!(euros(root, "old.parquet"), [None, None], "{report}");
    let told = |view: &str| -> Vec<&str> {
        let findings = report["manifest"]["leakage"].as_array().expect("findings").iter();
        findings.filter(|one| one["view"] == view).map(|one| one["kind"].as_str().expect("a kind")).collect()
    };
    // An answer of a query is read to see that; of files the statistics are enough.
    assert_eq!(
        (told("paid@1"), told("raw@1")),
        (vec!["no_created_time", "only_later"], vec!["no_created_time", "none_in_range"])
    );
    assert_eq!(report["plan"]["joins"][1]["row_groups_read"], json!(0), "{report}");

    run(&["materialize", "paid"], 0);
    let (found, _) = run(&["get", "paid", "user_id=2", "--json"], 0);
    let found: Value = serde_json::from_str(&found).expect("JSON");
    assert_eq!(found["rows"][0]["values"], json!({"euros": 2.0, "day": "2026-01-02"}));

    // What would give something else tomorrow is refused at its place, and so is a column that is not there.
    write(root, "features/all.toml", &DEFINITIONS.replace("p.amount * r.rate as euros", "random() as euros"));
    let (_, notes) = run(&["check"], 2);
    assert!(
        notes.contains("the query of source `in_euros` calls `random`") && notes.contains("--> features/all.toml:22:"),
        "{notes}"
    );
    write(root, "features/all.toml", &DEFINITIONS.replace("as euros", "as dollars"));
    let (_, notes) = run(&["check"], 2);
    assert!(notes.contains("feature `euros` of feature view `paid` is read from column `euros`"), "{notes}");
    write(root, "features/all.toml", &DEFINITIONS.replace("r.rate as euros", "2 as euros"));
    let (plan, _) = run(&["plan"], 4);
    assert!(plan.contains("paid@1  would mean something else: source.query"), "{plan}");
}
