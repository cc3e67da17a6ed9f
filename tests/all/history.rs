//! Rows that are corrected or taken back: what is published of them, and what is served.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, RecordBatch, StringArray};
use serde_json::Value;

use crate::bad_input::project::{DAYS, Project, rows};
use crate::harness::program::Serving;

/// What `tandem get` says of a user: status and value.
fn got(project: &Project, user: u32) -> (String, Value) {
    let (data, _) = project.told(&["get", "doubles", &format!("user_id={user}"), "--json"], 0);
    let answer: Value = serde_json::from_str(&data).expect("JSON");
    let row = &answer["rows"][0];
    (row["status"].as_str().expect("a status").to_owned(), row["values"]["value"].clone())
}

fn json(project: &Project, arguments: &[&str]) -> Value {
    serde_json::from_str(&project.told(arguments, 0).0).expect("JSON")
}

#[test]
fn what_is_taken_back_offline_is_taken_back_online() {
    let project = Project::new();
    let batch = || json(&project, &["batch", "doubles", "--json"]);
    let materialize = |options: &[&str]| {
        let report = json(&project, &[&["materialize", "doubles", "--json"], options].concat());
        (report["written"].as_u64().expect("a count"), report["taken_back"].as_u64().expect("a count"))
    };
    batch();
    // User 1 has rows of two days, and the newer one is written.
    assert_eq!(materialize(&[]), (3, 0));
    let present = |value: i64| ("PRESENT".to_owned(), Value::from(value));
    assert_eq!([1, 2, 3].map(|user| got(&project, user)), [600, 400, 800].map(present));

    // The second day again: another amount of user 1, whose row is smaller than the one before, and no row of user 3.
    project.day(DAYS[1], &rows(DAYS[1], &[(1, 39)]));
    let report = batch();
    assert_eq!((&report["total"]["added"], &report["total"]["retracted"]), (&Value::from(1), &Value::from(2)));
    assert_eq!(materialize(&["--from", DAYS[1], "--to", "2024-03-03"]), (0, 2));
    assert_eq!([1, 2].map(|user| got(&project, user)), [78, 400].map(present));
    assert_eq!(got(&project, 3).0, "NOT_FOUND");

    // Nothing of the second day is left: user 1 is served what the first day has, which is not among the days that are asked for.
    project.day(DAYS[1], &rows(DAYS[1], &[]));
    batch();
    assert_eq!(materialize(&["--from", DAYS[1], "--to", "2024-03-03"]), (0, 1));
    assert_eq!(got(&project, 1), present(200));
    assert_eq!(materialize(&[]), (0, 0));
    let report = batch();
    assert_eq!((&report["total"]["added"], &report["total"]["retracted"]), (&Value::from(0), &Value::from(0)));
}

/// Rows of a day with ids, created at their event times plus so many hours; what takes an event back says so.
fn versions(day: &str, versions: &[(i64, i64, &str, bool)]) -> RecordBatch {
    let rows = rows(day, &versions.iter().map(|row| (row.0, row.1)).collect::<Vec<_>>());
    let ids: ArrayRef = Arc::new(StringArray::from_iter_values(versions.iter().map(|row| row.2)));
    let gone: ArrayRef = Arc::new(BooleanArray::from_iter(versions.iter().map(|row| Some(row.3))));
    let (mut names, mut columns): (Vec<String>, Vec<ArrayRef>) = (Vec::new(), Vec::new());
    for (field, column) in std::iter::zip(rows.schema_ref().fields(), rows.columns()) {
        names.push(field.name().clone());
        columns.push(Arc::clone(column));
    }
    let created = Arc::clone(&columns[1]);
    let more = [("created", created), ("id", ids), ("gone", gone)].map(|(name, column)| (name.to_owned(), column));
    RecordBatch::try_from_iter(std::iter::zip(names, columns).chain(more)).expect("columns of one length")
}

#[test]
fn events_are_corrected_and_retracted_by_later_days() {
    let project = Project::new();
    let more = "event_time = \"at\"\ncreated_time = \"created\"\nevent_id = \"id\"\nretracted = \"gone\"";
    project.define(&[("event_time = \"at\"", more)]);
    project.day(DAYS[0], &versions(DAYS[0], &[(1, 100, "a", false), (2, 200, "b", false)]));
    std::fs::remove_file(project.file(DAYS[1])).expect("a file");
    project.told(&["batch", "doubles"], 0);
    project.told(&["materialize", "doubles"], 0);

    // The next day says that `a` was of user 3, and that `b` never happened.
    project.day(DAYS[1], &versions(DAYS[1], &[(3, 150, "a", false), (2, 1, "b", true)]));
    let report = json(&project, &["batch", "doubles", "--json", "--from", DAYS[1], "--to", "2024-03-03"]);
    let partitions = report["partitions"].as_array().expect("partitions").iter();
    let partitions: Vec<_> = partitions.map(|partition| partition["partition"].as_str().expect("a name")).collect();
    assert_eq!(partitions, ["date=2024-03-01", "date=2024-03-02"], "the day before is computed again");
    assert_eq!(report["total"]["retractions"], Value::from(1));
    let report = json(&project, &["materialize", "doubles", "--json"]);
    assert_eq!((&report["written"], &report["taken_back"]), (&Value::from(1), &Value::from(2)));
    assert_eq!([1, 2].map(|user| got(&project, user).0), ["NOT_FOUND", "NOT_FOUND"]);
    assert_eq!(got(&project, 3), ("PRESENT".to_owned(), Value::from(300)));

    // What no longer stands is compared with nothing: of four rows of the source there is one that a server would be asked.
    let serving = Serving::start(project.root(), &["--allow-replay"]);
    for format in ["json", "arrow"] {
        let (data, notes) = project.told(&["parity", "doubles", "--url", serving.url(), "--format", format], 0);
        assert!(data.ends_with("\n1 row, 6 values compared, 0 different\n") && notes.is_empty(), "{data}{notes}");
    }
}

#[test]
fn what_breaks_a_check_is_neither_published_nor_served() {
    let project = Project::new();
    let checks = |action: &str| {
        let check =
            format!("checks = [{{ check = \"range\", feature = \"value\", max = 700, action = \"{action}\" }}]");
        project.define(&[("on_error = \"fail\"", &format!("{check}\non_error = \"fail\""))]);
    };
    checks("fail");
    // The second day has a value of 800.
    let (data, notes) = project.told(&["batch", "doubles", "--json"], 3);
    let report: Value = serde_json::from_str(&data).expect("JSON");
    let broken = "1 of 2 values lie outside ..=700, for instance 800";
    assert_eq!(report["partitions"][1]["checks"][0]["broken"], Value::from(broken));
    let told = format!("warning: date=2024-03-02: not published: check `range` of `value`: {broken}\n");
    assert!(notes.contains(&told) && notes.contains("error: checks of feature view `doubles` fail"), "{notes}");
    let names: Vec<String> = project.published().into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        ["doubles/v1/_rejected/date=2024-03-02/part-0.parquet", "doubles/v1/date=2024-03-01/part-0.parquet"]
    );

    // Published under a check that only warns, it is not materialized under one that fails.
    checks("warn");
    project.told(&["batch", "doubles"], 0);
    checks("fail");
    let (data, notes) = project.told(&["materialize", "doubles", "--json"], 3);
    let report: Value = serde_json::from_str(&data).expect("JSON");
    assert_eq!((&report["written"], &report["rejected"]), (&Value::from(2), &serde_json::json!(["date=2024-03-02"])));
    assert!(notes.contains("not materialized: check `range` of `value`"), "{notes}");
    assert_eq!(got(&project, 1), ("PRESENT".to_owned(), Value::from(200)));
    assert_eq!(got(&project, 3).0, "NOT_FOUND");

    project.define(&[(
        "on_error = \"fail\"",
        "checks = [{ check = \"range\", feature = \"valu\", max = 7 }]\non_error = \"fail\"",
    )]);
    let (_, notes) = project.told(&["check"], 2);
    assert!(notes.contains("looks at a feature that its component does not give"), "{notes}");
}
