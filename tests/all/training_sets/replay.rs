//! A row of a training set has the values and statuses that the server answers for it at its instant, bit by bit.

use std::collections::BTreeSet;
use std::fs;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use serde_json::{Map, Value, json};
use tandem_core::json::encode_value;
use tandem_core::types::DataType;

use super::{Checkouts, labels};
use crate::harness::program::{Serving, agent};

/// Asks the server for each row, compares values as texts (where bits are equal, and -0.0 is not 0.0) and gives what was seen: view and status.
fn replay(service: &str, features: &[&str], views: &[(&str, &str)]) -> Vec<(String, String)> {
    let project = Checkouts::new();
    fs::write(project.path("labels.csv"), labels()).expect("a file");
    let set = ["training-set", "--labels", "labels.csv", "--service", service, "--out", "train.parquet"];
    project.run(&[&set[..], &["--column", "user_id=customer"]].concat(), 0);
    project.run(&["materialize", "usual"], 0);
    project.run(&["materialize", "guess"], 0);
    let rows = project.read("train.parquet");
    let names: Vec<String> = rows.schema().fields().iter().map(|field| field.name().clone()).collect();
    let given = ["customer", "event_time", "amount", "is_fraud"];
    assert_eq!(names[..given.len() + features.len()], [&given[..], features].concat());

    let serving = Serving::start(project.root(), &["--allow-replay"]);
    let agent = agent();
    let mut seen = BTreeSet::new();
    for row in 0..rows.num_rows() {
        let label = |name: &str| value(rows.column_by_name(name).expect(name), row);
        let body = json!({
            "rows": [{ "user_id": label("customer"), "amount": label("amount") }],
            "as_of": label("event_time"),
        });
        let request = agent.post(format!("{}/v1/services/{service}", serving.url()));
        let mut response =
            request.header("content-type", "application/json").send(body.to_string()).expect("an answer");
        let text = response.body_mut().read_to_string().expect("text");
        let answer: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let answer = &answer["rows"][0];
        let offline: Map<String, Value> = features.iter().map(|name| ((*name).to_owned(), label(name))).collect();
        assert_eq!(answer["values"].to_string(), Value::from(offline).to_string(), "row {row}: {text}");
        for (feature, view) in views {
            let online = answer["statuses"][feature].as_str().expect(&text);
            let of_row = rows.column_by_name(&format!("{view}__status")).expect(view).as_string::<i32>().value(row);
            // A view's status is NULL_VALUE where all of its features are null; a feature's, where that one is.
            let of_feature = if of_row == "PRESENT" && label(feature).is_null() { "NULL_VALUE" } else { of_row };
            assert_eq!(online, of_feature, "row {row}, {feature}: {text}");
            if let Some(reasons) = rows.column_by_name(&format!("{view}__default_reason")) {
                assert_eq!(answer["reasons"][feature], value(reasons, row), "row {row}, {feature}: {text}");
            }
            seen.insert(((*view).to_owned(), online.to_owned()));
        }
    }
    seen.into_iter().collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(view, status)| ((*view).to_owned(), (*status).to_owned())).collect()
}

#[test]
fn a_row_is_what_the_server_answers_at_its_instant() {
    let features = ["verdict", "doubt", "country_seen", "ratio", "seconds_since"];
    let views = [("verdict", "verdict"), ("doubt", "verdict"), ("ratio", "ratio"), ("country_seen", "usual")];
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
    assert_eq!(replay("checkout", &features, &views), pairs(&all), "every case was asked for");
}

#[test]
fn a_default_stands_in_where_the_server_lets_it_stand_in() {
    let features = ["country_seen", "ratio", "seconds_since"];
    let all = [("guess", "DEFAULTED"), ("guess", "PRESENT")];
    assert_eq!(replay("guessed", &features, &[("country_seen", "guess")]), pairs(&all));
}

/// A value as core writes it in JSON.
fn value(column: &dyn Array, row: usize) -> Value {
    let data_type = DataType::from_arrow(column.data_type()).expect("a type of the contract");
    encode_value(column, data_type, row)
}
