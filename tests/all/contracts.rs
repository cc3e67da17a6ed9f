//! Contracts of sources by the program: rows and columns that are not what is promised, wherever they are read.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::program::{tandem, tandem_registered, told};

const FEATURES: &str = r#"[[entity]]
name = "user"
join_keys = [{ name = "user_id", type = "int64" }]

[[source]]
name = "accounts"
path = "data/accounts"
kind = "state"
event_time = "at"
columns = [
    { name = "credit", type = "float64", nullable = false, min = 0 },
    { name = "country", type = "string", allowed = ["AT", "DE"] },
]
on_violation = "fail"

[[feature_view]]
name = "account"
version = 1
source = "accounts"
entities = ["user"]
features = [{ name = "credit", type = "float64" }]

[[source]]
name = "raised"
query = "select user_id, at, credit + 1 as credit from accounts"
tables = { accounts = "data/accounts" }
kind = "state"
event_time = "at"
columns = [{ name = "credit", type = "float64", max = 100 }]
on_violation = "quarantine"

[[feature_view]]
name = "raised"
version = 1
source = "raised"
entities = ["user"]
features = [{ name = "raised", column = "credit", type = "float64" }]
"#;

const GOOD: &str = "user_id,at,credit,country\n1,2026-01-01T00:00:00Z,5,AT\n2,2026-01-01T00:00:00Z,100,\n";

const BAD: &str =
    "user_id,at,credit,country\n1,2026-01-02T00:00:00Z,6,FR\n2,2026-01-02T00:00:00Z,,DE\n3,2026-01-02T00:00:00Z,7,DE\n";

fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file");
    fs::create_dir(folder.path().join("features")).expect("a folder");
    write("tandem.toml", "[project]\nname = \"contracts\"\n");
    write("features/all.toml", FEATURES);
    write("good.csv", GOOD);
    write("bad.csv", BAD);
    write("labels.csv", "user_id,event_time\n1,2026-02-01T00:00:00Z\n2,2026-02-01T00:00:00Z\n3,2026-02-01T00:00:00Z\n");
    folder
}

fn run(root: &Path, arguments: &[&str], code: i32) -> (String, String) {
    told(tandem(root, arguments), code)
}

fn rewrite(root: &Path, from: &str, to: &str) {
    let path = root.join("features/all.toml");
    let text = fs::read_to_string(&path).expect("definitions");
    assert!(text.contains(from), "{from}");
    fs::write(path, text.replacen(from, to, 1)).expect("a file");
}

fn manifest(root: &Path) -> Value {
    let text = fs::read_to_string(root.join("train.parquet.manifest.json")).expect("a manifest");
    serde_json::from_str(&text).expect("JSON")
}

const SET: [&str; 6] = ["training-set", "--labels", "labels.csv", "--out", "train.parquet", "--features"];

#[test]
fn what_breaks_a_contract_is_refused_or_set_aside_wherever_it_is_read() {
    let project = project();
    let root = project.path();
    run(root, &["import", "accounts", "good.csv"], 0);
    // At the door: nothing of a file with a broken row is taken.
    let (_, notes) = run(root, &["import", "accounts", "bad.csv"], 3);
    let expected = "row 0 breaks the contract of source `accounts`: column `country`: \"FR\" is none of [\"AT\", \"DE\"] (2 of 3 rows do)";
    assert!(notes.contains(expected) && notes.contains("hint: "), "{notes}");
    assert!(!root.join("data/accounts/bad.parquet").exists());

    // Rows that came another way: what reads them stops, and writes nothing.
    rewrite(root, "on_violation = \"fail\"", "on_violation = \"quarantine\"");
    let (_, notes) = run(root, &["import", "accounts", "bad.csv"], 0);
    let aside = "data/accounts/_quarantine/bad.parquet";
    assert!(notes.contains(&format!("{aside}: 2")), "{notes}");
    fs::copy(root.join(aside), root.join("data/accounts/smuggled.parquet")).expect("a copy");
    rewrite(root, "on_violation = \"quarantine\"", "on_violation = \"fail\"");
    for command in [&[&SET[..], &["account"]].concat()[..], &["materialize", "account"]] {
        let (_, notes) = run(root, command, 3);
        let expected = "smuggled.parquet: row 0 breaks the contract of source `accounts`";
        assert!(notes.contains(expected) && notes.contains("(2 of 2 rows do)"), "{notes}");
    }
    assert!(!root.join("train.parquet").exists());

    // Set aside, and told: in the summary, in the manifest, and with the query's rows for themselves.
    rewrite(root, "on_violation = \"fail\"", "on_violation = \"quarantine\"");
    let (_, notes) = run(root, &[&SET[..], &["account,raised"]].concat(), 0);
    assert!(
        notes.contains("`account@1`: rows set aside: 2, of them rows that break the contract of the source: 2"),
        "{notes}"
    );
    assert!(
        notes.contains("`raised@1`: rows set aside: 1, of them rows that break the contract of the source: 1"),
        "{notes}"
    );
    let views = manifest(root)["views"].clone();
    assert_eq!((&views[0]["rows_set_aside"], &views[0]["rows_breaking_contract"]), (&json!(2), &json!(2)), "{views:#}");
    assert_eq!(views[0]["labels"]["present"], 3, "{views:#}");
    // Other rows count now, which is another definition than that of the store.
    let (_, notes) = run(root, &["materialize", "account"], 1);
    assert!(notes.contains("raise the version of the view"), "{notes}");
    fs::remove_dir_all(root.join("data/online")).expect("a store");
    let (found, notes) = run(root, &["materialize", "account", "--json"], 0);
    let found: Value = serde_json::from_str(&found).expect("JSON");
    assert_eq!(
        (&found["written"], &found["set_aside"], &found["set_aside_contract"]),
        (&json!(3), &json!(2), &json!(2))
    );
    assert!(notes.contains("of them rows that break the contract of the source: 2"), "{notes}");
}

#[test]
fn a_column_that_is_missing_or_of_another_type_has_its_place() {
    let project = project();
    let root = project.path();
    run(root, &["import", "accounts", "good.csv"], 0);
    rewrite(
        root,
        "name = \"country\", type = \"string\", allowed = [\"AT\", \"DE\"]",
        "name = \"contry\", type = \"string\"",
    );
    rewrite(
        root,
        "name = \"credit\", type = \"float64\", nullable = false, min = 0",
        "name = \"credit\", type = \"string\"",
    );
    for command in [&["check"][..], &["plan"]] {
        let (data, notes) = run(root, command, 2);
        let said = data + &notes;
        let missing =
            "column `contry` of the contract is read from column `contry`, which source `accounts` does not have";
        assert!(said.contains(missing) && said.contains("did you mean `country`?"), "{said}");
        assert!(said.contains("column `credit` of the contract") && said.contains("features/all.toml:11:5"), "{said}");
    }
    let (_, notes) = run(root, &[&SET[..], &["account"]].concat(), 1);
    assert!(
        notes.contains("has no column `contry`, which the contract of source `accounts` needs; it has `country`"),
        "{notes}"
    );
}

#[test]
fn a_contract_that_sets_rows_aside_is_part_of_what_a_version_means() {
    let project = project();
    let root = project.path();
    let registered = |arguments: &[&str], code| told(tandem_registered(root, arguments), code);
    run(root, &["import", "accounts", "good.csv"], 0);
    registered(&["apply", "--by", "ada"], 0);
    // Another promise that stops what reads the rows changes no value.
    rewrite(root, "min = 0", "min = 1");
    registered(&["apply", "--by", "ada"], 0);
    // One that sets rows aside does.
    rewrite(root, "max = 100", "max = 99");
    let (data, _) = registered(&["apply", "--by", "ada"], 4);
    assert!(data.contains("source.columns") && data.contains("raised@1"), "{data}");
}
