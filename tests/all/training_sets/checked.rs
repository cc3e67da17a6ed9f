//! Checks of views, over what labels got; and a set beside its manifest.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::program::{tandem, told};

const FEATURES: &str = r#"[[entity]]
name = "user"
join_keys = [{ name = "user_id", type = "int64" }]

[[source]]
name = "accounts"
path = "data/accounts"
kind = "state"
event_time = "at"

[[feature_view]]
name = "account"
version = 1
source = "accounts"
entities = ["user"]
ttl = "30d"
features = [{ name = "credit", type = "float64" }, { name = "country", type = "string" }]
defaults = { credit = 0.0 }
checks = [
    { check = "null_rate", feature = "credit", max = 0.5 },
    { check = "range", feature = "credit", min = 0, max = 100, action = "warn" },
    { check = "values", feature = "country", allowed = ["AT", "DE"], action = "warn" },
    { check = "unique", action = "warn" },
    { check = "complete_keys", max = 0.1, action = "warn" },
    { check = "row_count", min = 0.5 },
]
"#;

/// User 1 has two rows of one instant; user 4 one that is too old for the labels.
const ACCOUNTS: &str = "user_id,at,credit,country\n\
    1,2026-01-10T00:00:00Z,5,AT\n1,2026-01-10T00:00:00Z,6,AT\n2,2026-01-10T00:00:00Z,700,\n\
    3,2026-01-10T00:00:00Z,,FR\n4,2025-01-10T00:00:00Z,,XX\n";

fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file");
    fs::create_dir(folder.path().join("features")).expect("a folder");
    write("tandem.toml", "[project]\nname = \"checked\"\n");
    write("features/all.toml", FEATURES);
    write("accounts.csv", ACCOUNTS);
    told(tandem(folder.path(), &["import", "accounts", "accounts.csv"]), 0);
    folder
}

fn labels(root: &Path, users: &[&str]) {
    let rows: Vec<String> = users.iter().map(|user| format!("{user},2026-02-01T00:00:00Z\n")).collect();
    fs::write(root.join("labels.csv"), format!("user_id,event_time\n{}", rows.concat())).expect("a file");
}

fn manifest(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).expect("a manifest")).expect("JSON")
}

const SET: [&str; 7] = ["training-set", "--labels", "labels.csv", "--out", "train.parquet", "--features", "account"];

#[test]
fn what_labels_got_is_checked_and_what_fails_is_kept_aside() {
    let project = project();
    let root = project.path();
    // Two of five rows that labels got have no credit; who has no row, or one that is too old, is not among them.
    labels(root, &["1", "2", "3", "3", "1", "4", "9", ""]);
    let (_, notes) = told(tandem(root, &SET), 0);
    for expected in [
        "`account@1`: check `range` of `credit`: 1 of 5 values lie outside 0..=100, for instance 700\n",
        "`account@1`: check `values` of `country`: 2 of 5 values are none of the allowed ones, for instance \"FR\"\n",
        "`account@1`: check `unique`: the rows of 2 of 5 labels have the keys and times of another\n",
        "`account@1`: check `complete_keys`: 1 of 8 labels lack a key, and at most 0.1 of them may\n",
    ] {
        assert!(notes.contains(expected), "{expected}\n{notes}");
    }
    let good = manifest(&root.join("train.parquet.manifest.json"));
    let checks = &good["views"][0]["checks"];
    assert_eq!(checks.as_array().expect("a list").len(), 5, "the number of rows is that of the labels: {checks:#}");
    assert_eq!(checks[0], json!({ "check": "`null_rate` of `credit`", "action": "fail", "broken": null }));
    let bytes = fs::read(root.join("train.parquet")).expect("a set");

    // More of them than may be: the set is not put in its place, and what is there stays.
    labels(root, &["1", "3", "3"]);
    let (data, notes) = told(tandem(root, &SET), 3);
    let expected = "checks of the training set's views fail: `null_rate` of `credit` of `account@1`: 2 of 3 values are null, \
        and at most 0.5 of them may be; it is kept aside in ./_rejected/train.parquet\nhint: ";
    assert!(notes.contains(expected) && data.is_empty(), "{data}{notes}");
    assert_eq!(fs::read(root.join("train.parquet")).expect("a set"), bytes);
    assert_eq!(manifest(&root.join("train.parquet.manifest.json")), good);
    let aside = manifest(&root.join("_rejected/train.parquet.manifest.json"));
    assert_eq!((&aside["rows"], &aside["views"][0]["checks"][0]["action"]), (&json!(3), &json!("fail")));
    let rows = tandem_offline::read_rows(&root.join("_rejected/train.parquet"), 9, |_| true).expect("rows");
    assert_eq!(rows.total, 3);
    // A stream has no end mark then.
    let stream: Vec<&str> = SET.iter().map(|word| if *word == "train.parquet" { "-" } else { *word }).collect();
    let output = tandem(root, &stream).output().expect("the program runs");
    assert_eq!(output.status.code(), Some(3));
    assert!(!output.stdout.ends_with(&[0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0]));

    // A feature that is not asked for is not written, so nothing is said of it; and a set that is good takes the place of what was kept aside.
    let country = SET.map(|word| if word == "account" { "account:country" } else { word });
    let (_, notes) = told(tandem(root, &country), 0);
    assert!(notes.contains("check `values` of `country`: 2 of 3") && !notes.contains("credit"), "{notes}");
    assert!(!root.join("_rejected").exists());
}

#[test]
fn a_set_is_its_own_manifest() {
    let project = project();
    let root = project.path();
    labels(root, &["1", "2", "4"]);
    told(tandem(root, &SET), 0);
    // Killed between its two files, a run leaves the set alone: what it is made of is in it.
    fs::remove_file(root.join("train.parquet.manifest.json")).expect("it is there");
    let again =
        |out: &str, code| told(tandem(root, &["training-set", "--from-manifest", "train.parquet", "--out", out]), code);
    again("again.parquet", 0);
    let bytes = |name: &str| fs::read(root.join(name)).expect("a set");
    assert_eq!(bytes("again.parquet"), bytes("train.parquet"));
    assert!(root.join("again.parquet.manifest.json").exists());

    // Checks change no value, but they are part of what the manifest says.
    let definitions = fs::read_to_string(root.join("features/all.toml")).expect("definitions");
    fs::write(root.join("features/all.toml"), definitions.replace("max = 0.5", "max = 0.75")).expect("a file");
    again("third.parquet", 0);
    fs::write(root.join("features/all.toml"), definitions.replace("max = 100", "max = 1")).expect("a file");
    let (_, notes) = again("third.parquet", 3);
    assert!(notes.contains("the checks of feature view `account@1` are others by now"), "{notes}");

    fs::copy(root.join("data/accounts/accounts.parquet"), root.join("train.parquet")).expect("a copy");
    let (_, notes) = again("fourth.parquet", 1);
    assert!(notes.contains("train.parquet") && notes.contains("it is no training set"), "{notes}");
}
