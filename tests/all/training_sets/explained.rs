//! `tandem explain`: what it says won is what the training set has.

use std::fs;

use serde_json::Value;

use super::{Checkouts, labels};
use crate::harness::transcript::Transcript;

#[test]
fn what_won_is_what_the_set_has() {
    let project = Checkouts::new();
    fs::write(project.path("labels.csv"), labels()).expect("a file");
    let asked = ["--labels", "labels.csv", "--service", "checkout", "--column", "user_id=customer"];
    project.run(&[&["training-set", "--out", "train.parquet"][..], &asked].concat(), 0);
    let rows = project.read("train.parquet");
    let mut verdicts = std::collections::BTreeSet::new();
    for row in [0, 1, 2, 5, 13, 44, 77, 119] {
        let number = row.to_string();
        let (data, _) = project.run(&[&["explain", "--json", "--row", &number][..], &asked].concat(), 0);
        let explained: Value = serde_json::from_str(&data).expect("JSON");
        for feature in explained["features"].as_array().expect("features") {
            let column = rows.column_by_name(feature["column"].as_str().expect("a name")).expect("a column");
            let data_type = tandem_core::types::DataType::from_arrow(column.data_type()).expect("a type");
            let value = tandem_core::json::encode_value(column, data_type, row);
            assert_eq!(feature["value"].to_string(), value.to_string(), "row {row}: {data}");
        }
        let view = &explained["views"][0];
        let of_view: Vec<&str> =
            view["rows"].as_array().expect("rows").iter().map(|row| row["verdict"].as_str().expect("one")).collect();
        let expected = match view["status"].as_str().expect("a status") {
            "PRESENT" => Some("won"),
            "OUTSIDE_MAX_AGE" => Some("expired"),
            _ => None,
        };
        let decided = of_view.iter().find(|verdict| ["won", "expired"].contains(verdict)).copied();
        assert_eq!(decided, expected, "row {row}: {data}");
        verdicts.extend(of_view.iter().map(|verdict| (*verdict).to_owned()));
    }
    assert!(verdicts.is_superset(&["won", "expired", "older"].map(str::to_owned).into()), "{verdicts:?}");
}

#[test]
fn what_became_of_every_row_is_told() {
    let project = Checkouts::new();
    // Late, tied and future rows of user 1, beside those that it has.
    let more = "user_id,at,known_at,amount,country\n1,2026-01-01T12:00:00Z,2026-01-04T00:00:00Z,9,DE\n\
                1,2026-01-02T12:00:00Z,2026-01-02T12:00:00Z,10,DE\n1,2026-01-02T12:00:00Z,2026-01-02T12:00:00Z,11,\n\
                1,2026-01-03T12:00:00Z,2026-01-03T12:00:00Z,12,AT\n";
    fs::write(project.path("more.csv"), more).expect("a file");
    project.run(&["import", "spendings", "more.csv"], 0);
    project.run(&["batch", "usual"], 0);
    let mut said = Transcript::new(project.root());
    let explain =
        |more: &[&'static str]| [&["explain", "--features", "usual:risk,usual:country_seen"][..], more].concat();
    said.run(&explain(&["user_id=1", "--at", "2026-01-03T00:00:00Z"]), 0);
    said.run(&explain(&["user_id=1", "--at", "2026-01-03T00:00:00Z", "--limit", "2"]), 0);
    said.run(&explain(&["user_id=1", "--at", "2026-02-01T00:00:00Z"]), 0);
    said.run(&explain(&["user_id=4711", "--at", "2026-01-03T00:00:00Z"]), 0);
    said.run(&["explain", "--service", "checkout", "user_id=1", "amount=13", "--at", "2026-01-03T00:00:00Z"], 0);
    said.run(&explain(&["user_id=bob", "--at", "2026-01-03T00:00:00Z"]), 2);
    said.run(&explain(&["usr_id=1", "--at", "2026-01-03T00:00:00Z"]), 2);
    said.run(&explain(&["--at", "2026-01-03T00:00:00Z", "user_id"]), 2);
    fs::write(project.path("labels.csv"), "user_id,event_time\n1,2026-01-03T00:00:00Z\n,2026-01-03T00:00:00Z\n")
        .expect("a file");
    said.run(&explain(&["--labels", "labels.csv", "--row", "1"]), 0);
    said.run(&explain(&["--labels", "labels.csv", "--row", "2"]), 2);
    said.assert("training_sets/explained");
}
