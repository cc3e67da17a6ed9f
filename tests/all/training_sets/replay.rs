//! A row of a training set has the values and statuses that the server answers for it at its instant, bit by bit.

use std::collections::BTreeSet;
use std::fs;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use serde_json::{Map, Value, json};
use tandem_core::json::encode_value;
use tandem_core::types::DataType;

use super::{Checkouts, labels};
use crate::harness::program::Serving;

#[test]
fn a_row_is_what_the_server_answers_at_its_instant() {
    let project = Checkouts::new();
    fs::write(project.path("labels.csv"), labels()).expect("a file");
    let set = ["training-set", "--labels", "labels.csv", "--service", "checkout", "--out", "train.parquet"];
    project.run(&[&set[..], &["--column", "user_id=customer"]].concat(), 0);
    project.run(&["materialize", "usual"], 0);
    let rows = project.read("train.parquet");
    let names: Vec<String> = rows.schema().fields().iter().map(|field| field.name().clone()).collect();
    let features = ["verdict", "doubt", "country_seen", "ratio", "seconds_since"];
    let statuses = [("verdict", "verdict"), ("doubt", "verdict"), ("ratio", "ratio"), ("country_seen", "usual")];
    let expected: Vec<&str> = ["customer", "event_time", "amount", "is_fraud"]
        .into_iter()
        .chain(features)
        .chain(["verdict__status", "usual__status", "ratio__status"])
        .collect();
    assert_eq!(names, expected);

    let serving = Serving::start(project.root(), &["--allow-replay"]);
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut seen = BTreeSet::new();
    for row in 0..rows.num_rows() {
        let label = |name: &str| value(rows.column_by_name(name).expect(name), row);
        let body = json!({
            "rows": [{ "user_id": label("customer"), "amount": label("amount") }],
            "as_of": label("event_time"),
        });
        let request = agent.post(format!("{}/v1/services/checkout", serving.url()));
        let mut response =
            request.header("content-type", "application/json").send(body.to_string()).expect("an answer");
        let text = response.body_mut().read_to_string().expect("text");
        let answer: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let offline: Map<String, Value> = features.iter().map(|name| ((*name).to_owned(), label(name))).collect();
        // As text: two values are equal where their bits are, -0.0 is not 0.0.
        assert_eq!(answer["rows"][0]["values"].to_string(), Value::from(offline).to_string(), "row {row}: {text}");
        for (feature, view) in statuses {
            let online = answer["rows"][0]["statuses"][feature].as_str().expect(&text);
            let of_row = rows.column_by_name(&format!("{view}__status")).expect(view).as_string::<i32>().value(row);
            // A view's status is NULL_VALUE where all of its features are null; a feature's, where that one is.
            let of_feature = if of_row == "PRESENT" && label(feature).is_null() { "NULL_VALUE" } else { of_row };
            assert_eq!(online, of_feature, "row {row}, {feature}: {text}");
            seen.insert((view, online.to_owned()));
        }
    }
    let seen: Vec<(&str, &str)> = seen.iter().map(|(view, status)| (*view, status.as_str())).collect();
    let all = [
        ("ratio", "NULL_VALUE"),
        ("ratio", "PRESENT"),
        ("ratio", "TRANSFORM_ERROR"),
        ("usual", "NOT_FOUND"),
        ("usual", "NULL_VALUE"),
        ("usual", "OUTSIDE_MAX_AGE"),
        ("usual", "PRESENT"),
        ("verdict", "NULL_VALUE"),
        ("verdict", "PRESENT"),
        ("verdict", "TRANSFORM_ERROR"),
    ];
    assert_eq!(seen, all, "every case was asked for");
}

/// A value as core writes it in JSON.
fn value(column: &dyn Array, row: usize) -> Value {
    let data_type = DataType::from_arrow(column.data_type()).expect("a type of the contract");
    encode_value(column, data_type, row)
}
