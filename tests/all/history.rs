//! Rows that are corrected or taken back: what is published of them, and what is served.

use serde_json::Value;

use crate::bad_input::project::{DAYS, Project, rows};

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
    assert_eq!(materialize(&[]), (4, 0));
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
