//! Contracts of sources by the program: rows and columns that are not what is promised, wherever they are read.

use std::fs;
use std::path::Path;

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_ipc::writer::StreamWriter;
use serde_json::{Value, json};

use crate::harness::program::{Serving, tandem, tandem_registered, told};
use crate::harness::server::ARROW;

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

/// Rows for a push: one that keeps what is promised, and one that breaks each promise.
fn pushed() -> Vec<Value> {
    let row = |user: i64, credit: Value, country: Value| json!({"user_id": user, "at": "2026-01-03T00:00:00Z", "credit": credit, "country": country});
    let mut without = row(7, json!(4), Value::Null);
    without.as_object_mut().expect("an object").remove("country");
    vec![
        row(1, json!(1), json!("AT")),
        row(2, json!(-1), json!("DE")),
        row(3, Value::Null, json!("DE")),
        row(4, json!(2), json!("FR")),
        row(5, json!("much"), json!("DE")),
        // No view reads the country, so a push may leave it out.
        row(6, json!(3), Value::Null),
        without,
    ]
}

const BROKEN: [(u64, &str); 4] = [
    (1, "column `credit`: -1 lies outside 0..="),
    (2, "column `credit`: null, and it is promised to have a value"),
    (3, "column `country`: \"FR\" is none of [\"AT\", \"DE\"]"),
    (4, "float64 expected, found \"much\""),
];

fn post(server: &Serving, route: &str, body: &Value) -> (u16, Option<String>, Value) {
    send(server, route, "application/json", body.to_string().as_bytes())
}

fn send(server: &Serving, route: &str, content: &str, body: &[u8]) -> (u16, Option<String>, Value) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let request = agent.post(format!("{}{route}", server.url())).header("content-type", content);
    let mut response = request.send(body).expect("an answer");
    let aside = response.headers().get("tandem-quarantined").map(|value| value.to_str().expect("a number").to_owned());
    let text = response.body_mut().read_to_string().expect("text");
    (response.status().as_u16(), aside, serde_json::from_str(&text).unwrap_or_default())
}

/// Users and credits that are served.
fn served(server: &Serving) -> Vec<(i64, f64)> {
    let users: Vec<i64> = (1..=7).collect();
    let asked = json!({"features": ["account:credit"], "columns": {"user_id": users}});
    let (status, _, answer) = post(server, "/v1/features", &asked);
    assert_eq!(status, 200, "{answer}");
    let values = answer["columns"]["credit"]["values"].as_array().expect("values");
    users.into_iter().zip(values).filter_map(|(user, value)| Some((user, value.as_f64()?))).collect()
}

/// Rows of a log of refusals by their reasons, of those for breaking the contract with what each says.
fn assert_broken(told: &Value) {
    assert_breaks(told, &BROKEN);
}

fn assert_breaks(told: &Value, broken: &[(u64, &str)]) {
    let told = told.as_array().expect("rows");
    assert_eq!(told.len(), broken.len(), "{told:?}");
    for (one, (row, message)) in told.iter().zip(broken) {
        assert_eq!((&one["row"], &one["reason"]), (&json!(row), &json!("contract")), "{one}");
        let said = one["message"].as_str().expect("a message");
        assert!(said.starts_with("the contract of source `accounts`: ") && said.contains(message), "{said}");
    }
}

/// The rows as an Arrow IPC stream, without the one whose credit is no number.
fn arrow(rows: &[Value]) -> Vec<u8> {
    let rows: Vec<&Value> = rows.iter().filter(|row| !row["credit"].is_string()).collect();
    let users = rows.iter().map(|row| row["user_id"].as_i64()).collect::<Int64Array>();
    let times = TimestampMicrosecondArray::from(vec![1_767_398_400_000_000; rows.len()]).with_timezone("UTC");
    let credits = rows.iter().map(|row| row["credit"].as_f64()).collect::<Float64Array>();
    let countries = rows.iter().map(|row| row["country"].as_str()).collect::<StringArray>();
    let columns: [(&str, ArrayRef); 4] = [
        ("user_id", Arc::new(users)),
        ("at", Arc::new(times)),
        ("credit", Arc::new(credits)),
        ("country", Arc::new(countries)),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).expect("a writer");
    writer.write(&batch).expect("written");
    writer.into_inner().expect("a stream")
}

fn counted(server: &Serving, outcome: &str) -> Option<String> {
    let metrics = ureq::get(format!("{}/metrics", server.url())).call().expect("an answer");
    let metrics = metrics.into_body().read_to_string().expect("text");
    let series = format!("tandem_push_rows_total{{view=\"account\",version=\"1\",outcome=\"{outcome}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&series)).map(str::to_owned)
}

fn lines(rows: &[Value]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
}

#[test]
fn what_breaks_a_contract_is_not_pushed() {
    let project = project();
    let root = project.path();
    let server = Serving::start(root, &[]);
    // The source says that it stops, whatever the request says.
    for on_error in ["fail", "quarantine"] {
        let (status, _, answer) = post(&server, "/v1/push/account", &json!({"rows": pushed(), "on_error": on_error}));
        assert_eq!((status, &answer["rows"]), (422, &json!(4)), "{answer}");
        assert_broken(&answer["failed_rows"]);
        assert!(answer["hint"].as_str().is_some_and(|hint| hint.contains("on_violation")), "{answer}");
    }
    let frame = |rows: &[Value]| -> Value {
        let column = |name: &str| rows.iter().map(|row| row[name].clone()).collect::<Value>();
        let names = ["user_id", "at", "credit", "country"];
        names.map(|name| (name.to_owned(), column(name))).into_iter().collect::<serde_json::Map<_, _>>().into()
    };
    let feast = |rows: &[Value]| json!({"push_source_name": "accounts", "df": frame(rows), "to": "online"});
    assert_eq!(post(&server, "/push", &feast(&pushed())).0, 422);
    let into_view = |rows: &[Value]| {
        let mut df = frame(rows);
        let times = df["at"].take();
        df.as_object_mut().expect("columns").remove("at");
        df["event_timestamp"] = times;
        json!({"feature_view_name": "account", "df": df})
    };
    let (status, _, answer) = post(&server, "/write-to-online-store", &into_view(&pushed()));
    let inner = answer.as_str().unwrap_or_default();
    assert!(status == 422 && inner.contains("contract of source `accounts`"), "{status} {answer}");
    let (status, _, answer) = send(&server, "/v1/push/account?on_error=quarantine", ARROW, &arrow(&pushed()));
    assert_eq!(status, 422, "{answer}");
    assert_breaks(&answer["failed_rows"], &BROKEN[..3]);
    assert_eq!(served(&server), [], "nothing of them is stored");
    assert_eq!(counted(&server, "contract"), Some("19".to_owned()));
    fs::write(root.join("rows.jsonl"), lines(&pushed())).expect("a file");
    for through in [&["--server", server.url()][..], &[]] {
        let (_, notes) = run(root, &[&["ingest", "account", "rows.jsonl"], through].concat(), 3);
        let expected = format!("line 2: the contract of source `accounts`: {} (4 of the rows", BROKEN[0].1);
        assert!(notes.contains(&expected) && notes.contains("hint: "), "{notes}");
    }
    assert_eq!(served(&server), []);
    drop(server);

    rewrite(root, "on_violation = \"fail\"", "on_violation = \"quarantine\"");
    fs::remove_dir_all(root.join("data/online")).expect("a store");
    let server = Serving::start(root, &[]);
    let (status, _, answer) = post(&server, "/v1/push/account", &json!({"rows": pushed(), "on_error": "fail"}));
    assert_eq!((status, &answer["rows"], &answer["accepted"]), (200, &json!(7), &json!(3)), "{answer}");
    assert_broken(&answer["quarantined"]);
    let kept = [(1, 1.0), (6, 3.0), (7, 4.0)];
    assert_eq!(served(&server), kept);
    assert_eq!(
        (counted(&server, "contract"), counted(&server, "refused")),
        (Some("4".to_owned()), Some("0".to_owned()))
    );
    let (status, aside, _) = post(&server, "/push", &feast(&pushed()));
    assert_eq!((status, aside.as_deref()), (200, Some("4")));
    let (status, aside, _) = post(&server, "/write-to-online-store", &into_view(&pushed()));
    assert_eq!((status, aside.as_deref()), (200, Some("4")));
    let (status, _, answer) = send(&server, "/v1/push/account?on_error=fail", ARROW, &arrow(&pushed()));
    assert_eq!((status, &answer["rows"], &answer["accepted"]), (200, &json!(6), &json!(3)), "{answer}");
    assert_breaks(&answer["quarantined"], &BROKEN[..3]);
    let (report, _) = run(root, &["ingest", "account", "rows.jsonl", "--json", "--server", server.url()], 3);
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let numbers = ["rows", "accepted", "unchanged", "rejected"].map(|name| report[name].clone());
    assert_eq!(numbers, [7, 3, 3, 4].map(|number| json!(number)), "{report}");
    let aside = fs::read_to_string(root.join("rows.jsonl.rejected.jsonl")).expect("what was refused");
    assert_eq!(aside.lines().filter(|line| line.contains("\"reason\":\"contract\"")).count(), 4, "{aside}");
    assert_eq!(served(&server), kept);
}
