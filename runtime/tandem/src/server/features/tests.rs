//! What was asked, what the store had, what is answered: with a real store, without a component.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, StringArray};
use serde_json::{Value, json};
use tandem_core::canonical::{encode_row, schema_fingerprint};
use tandem_core::hash::Digest;
use tandem_core::key::KeyEncoder;
use tandem_core::model::BoundView;
use tandem_core::time::Timestamp;
use tandem_online::{Lookup, PutRow, Record, StoreOptions, ViewIdentity};

use super::request::Asked;
use super::*;
use crate::lookup::{At, fingerprint, found};
use crate::server::as_of::Clock;
use crate::server::testing::{LIVE, NOW, REPLAY, bound, bound_with, outputs};

const HOUR: i64 = 3_600_000_000;

fn decode_with(body: &str, clock: Clock) -> Result<Asked, Problem> {
    request::decode(body.as_bytes(), &bound(), clock, 3)
}

fn refused(body: &str) -> Value {
    decode_with(body, LIVE).unwrap_err().to_json("")
}

fn asked(body: &str) -> Asked {
    decode_with(body, LIVE).unwrap_or_else(|problem| panic!("{problem:?}"))
}

fn record(event_time: i64, score: Option<f64>) -> Record {
    let columns: Vec<ArrayRef> =
        vec![Arc::new(Float64Array::from(vec![score])), Arc::new(StringArray::from(vec!["ok"]))];
    let mut row = Vec::new();
    encode_row(&columns, 0, &mut row);
    Record {
        event_time: Timestamp(event_time),
        created_time: Some(Timestamp(event_time)),
        sequence: None,
        published_time: NOW,
        digest: Digest([7; 32]),
        schema_fingerprint: schema_fingerprint(&outputs()),
        row,
    }
}

fn answered(bound: &BoundView, asked: &Asked, lookups: Vec<Lookup>) -> (Value, Vec<(usize, String)>) {
    let found = found(bound, fingerprint(bound), lookups, At { as_of: asked.as_of, is_present: asked.is_present });
    let body = answer::encode(bound, asked, &found).unwrap();
    (serde_json::from_slice(&body).unwrap(), found.corrupt)
}

#[test]
fn rows_and_columns_ask_for_the_same() {
    let columns = asked(r#"{"entities": {"bank": ["x", null], "card_id": [1, 2]}, "view": "risk"}"#);
    let rows = asked(
        r#"{"view": "risk", "entities": [{"card_id": 1, "bank": "x"}, {"bank": null, "card_id": 2}], "features": ["label", "score"]}"#,
    );
    assert_eq!((&columns.keys, columns.rows, columns.as_of), (&rows.keys, rows.rows, NOW));
    assert_eq!((columns.features, rows.features), (vec![0, 1], vec![1, 0]));
    let named = request::named(br#"{"entities": {"anything": [{}]}, "other": 1, "view": "risk@2"}"#).unwrap();
    assert_eq!(named, Named::View("risk@2".to_owned()));
    let named = request::named(br#"{"prefix": true, "rows": [], "features": ["a:b", "c"]}"#).unwrap();
    assert_eq!(named, Named::List { features: vec!["a:b".to_owned(), "c".to_owned()], prefix: true });
    assert_eq!(asked(r#"{"view": "risk", "entities": []}"#).rows, 0);
    let replay = decode_with(r#"{"view": "risk", "entities": [], "as_of": 5}"#, REPLAY).unwrap();
    assert_eq!(replay.as_of, Timestamp(5));
}

#[test]
fn mistakes_are_named() {
    for (body, slug, member, value) in [
        (r#"{"view": "risk"}"#, "invalid-request", "hint", json!("the join keys are `card_id`, `bank`")),
        (r#"{"view": "risk", "entities": {"card_id": [1]}}"#, "missing-input", "input", json!("bank")),
        (r#"{"view": "risk", "entities": [{"card_id": 1}]}"#, "missing-input", "row", json!(0)),
        (
            r#"{"view": "risk", "entities": [{"card_id": 1, "bank": "x"}, {"bank": "x"}]}"#,
            "missing-input",
            "row",
            json!(1),
        ),
        (r#"{"view": "risk", "entities": {"card": [1]}}"#, "unknown-name", "input", json!("card")),
        (r#"{"view": "risk", "entities": {"card_id": ["1"], "bank": ["x"]}}"#, "invalid-value", "row", json!(0)),
        (r#"{"view": "risk", "entities": {"card_id": [1], "bank": []}}"#, "invalid-request", "input", json!("bank")),
        (r#"{"view": "risk", "entities": {"card_id": [1, 2, 3, 4]}}"#, "too-many-rows", "max", json!(3)),
        (r#"{"view": "risk", "entities": [], "features": ["scor"]}"#, "unknown-name", "feature", json!("scor")),
        (
            r#"{"view": "risk", "entities": [], "features": ["score", "score"]}"#,
            "invalid-request",
            "feature",
            json!("score"),
        ),
        (r#"{"view": "risk", "entities": [], "features": 5}"#, "invalid-request", "line", json!(1)),
        (r#"{"view": "risk", "entities": [], "as_of": 5}"#, "replay-not-allowed", "input", json!("as_of")),
        (r#"{"view": "risk", "entities": [], "entity": 5}"#, "invalid-request", "line", json!(1)),
        (r#"{"view": "risk", "entities": 5}"#, "invalid-request", "line", json!(1)),
        (r#"{"view": "risk", "entities": [}"#, "invalid-json", "line", json!(1)),
    ] {
        let problem = refused(body);
        assert_eq!(problem["type"], format!("urn:tandem:problem:{slug}"), "{body}: {problem}");
        assert_eq!(problem[member], value, "{body}: {problem}");
    }
    for body in [r#"{"entities": []}"#, r#"{"view": 5}"#, r#"{"view": "a", "view": "b"}"#, "[]"] {
        assert_eq!(request::named(body.as_bytes()).unwrap_err().kind, Kind::InvalidRequest, "{body}");
    }
}

#[test]
fn every_status_is_told() {
    let mut other_schema = record(NOW.0 - HOUR, Some(1.0));
    other_schema.schema_fingerprint += 1;
    let mut malformed = record(NOW.0 - HOUR, Some(1.0));
    malformed.row.push(0);
    let lookups = [
        (Lookup::Found(record(NOW.0 - HOUR, Some(0.5))), "PRESENT", "PRESENT"),
        (Lookup::Found(record(NOW.0 - HOUR, None)), "PRESENT", "NULL_VALUE"),
        (Lookup::NotFound, "NOT_FOUND", "NOT_FOUND"),
        (Lookup::Found(record(NOW.0 - 24 * HOUR, Some(0.5))), "PRESENT", "PRESENT"),
        (Lookup::Found(record(NOW.0 - 24 * HOUR - 1, Some(0.5))), "OUTSIDE_MAX_AGE", "OUTSIDE_MAX_AGE"),
        // Its values were removed, and it is asked for as of before it was too old.
        (Lookup::Removed(record(NOW.0 - HOUR, None)), "OUTSIDE_MAX_AGE", "OUTSIDE_MAX_AGE"),
        (Lookup::Removed(record(NOW.0 - 48 * HOUR, None)), "OUTSIDE_MAX_AGE", "OUTSIDE_MAX_AGE"),
        (Lookup::Removed(record(NOW.0 + 1, None)), "NOT_FOUND", "NOT_FOUND"),
        (Lookup::Found(record(NOW.0 + 1, Some(0.5))), "NOT_FOUND", "NOT_FOUND"),
        (Lookup::Corrupt(tandem_online::Corruption::Format { found: 9 }), "CORRUPT", "CORRUPT"),
        (Lookup::Found(other_schema), "CORRUPT", "CORRUPT"),
        (Lookup::Found(malformed), "CORRUPT", "CORRUPT"),
    ];
    let keys = vec![r#"{"card_id": 9007199254740993, "bank": null}"#; lookups.len()].join(",");
    let body = format!(r#"{{"view": "risk", "entities": [{keys}], "features": ["score"]}}"#);
    let asked = request::decode(body.as_bytes(), &bound(), LIVE, 100).unwrap();
    let (answer, corrupt) = answered(&bound(), &asked, lookups.iter().map(|(lookup, ..)| lookup.clone()).collect());
    assert_eq!((&answer["view"], &answer["version"]), (&json!("risk"), &json!(2)));
    assert_eq!((&answer["as_of"], &answer["features"]), (&json!("2026-01-01T00:00:00Z"), &json!(["score"])));
    for (row, (lookup, status, feature)) in lookups.iter().enumerate() {
        let row = &answer["rows"][row];
        assert_eq!(row["entity"], json!({"card_id": 9_007_199_254_740_993_i64, "bank": null}));
        assert_eq!((&row["status"], &row["statuses"]), (&json!(status), &json!({"score": feature})), "{lookup:?}");
        let value = if *feature == "PRESENT" { json!(0.5) } else { json!(null) };
        assert_eq!(row["values"], json!({"score": value}), "{lookup:?}");
        let has_row = ["PRESENT", "OUTSIDE_MAX_AGE"].contains(status);
        assert_eq!(row["event_time"].is_string(), has_row, "{lookup:?}");
        assert_eq!(row["digest"] == Digest([7; 32]).to_string(), has_row, "{lookup:?}");
    }
    assert_eq!(corrupt.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [9, 10, 11]);
    assert!(corrupt[0].1.contains("format 9"));
}

#[test]
fn a_row_past_the_freshness_objective_is_served_as_stale() {
    let bound = bound_with("freshness = \"1h\"\ndefaults = { label = \"none\" }", vec![]);
    let lookups = [
        (Lookup::Found(record(NOW.0 - HOUR, Some(0.5))), "PRESENT", "PRESENT", json!(0.5)),
        (Lookup::Found(record(NOW.0 - HOUR - 1, Some(0.5))), "STALE", "STALE", json!(0.5)),
        (Lookup::Found(record(NOW.0 - HOUR - 1, None)), "STALE", "NULL_VALUE", json!(null)),
        (Lookup::Found(record(NOW.0 - 24 * HOUR, Some(0.5))), "STALE", "STALE", json!(0.5)),
        (Lookup::Found(record(NOW.0 - 24 * HOUR - 1, Some(0.5))), "OUTSIDE_MAX_AGE", "OUTSIDE_MAX_AGE", json!(null)),
        (Lookup::NotFound, "NOT_FOUND", "NOT_FOUND", json!(null)),
    ];
    let keys = vec![r#"{"card_id": 1, "bank": "x"}"#; lookups.len()].join(",");
    let body = format!(r#"{{"view": "risk", "entities": [{keys}]}}"#);
    let asked = request::decode(body.as_bytes(), &bound, LIVE, 100).unwrap();
    let (answer, _) = answered(&bound, &asked, lookups.iter().map(|(lookup, ..)| lookup.clone()).collect());
    for (row, (lookup, status, feature, value)) in lookups.iter().enumerate() {
        let row = &answer["rows"][row];
        assert_eq!((&row["status"], &row["statuses"]["score"]), (&json!(status), &json!(feature)), "{lookup:?}");
        assert_eq!(&row["values"]["score"], value, "{lookup:?}");
        let label = match *status {
            "PRESENT" | "STALE" => (json!("ok"), json!(status)),
            _ => (json!("none"), json!("DEFAULTED")),
        };
        assert_eq!((&row["values"]["label"], &row["statuses"]["label"]), (&label.0, &label.1), "{lookup:?}");
        assert_eq!(row["event_time"].is_string(), *status != "NOT_FOUND", "{lookup:?}");
    }
}

#[test]
fn defaults_stand_in_and_say_why() {
    let bound = bound_with("defaults = { score = -0.0 }", vec![]);
    let lookups = [
        (Lookup::Found(record(NOW.0 - HOUR, Some(0.5))), "PRESENT", "PRESENT", json!({})),
        (Lookup::Found(record(NOW.0 - HOUR, None)), "PRESENT", "DEFAULTED", json!({"score": "NULL_VALUE"})),
        (Lookup::NotFound, "NOT_FOUND", "DEFAULTED", json!({"score": "NOT_FOUND"})),
        (
            Lookup::Found(record(NOW.0 - 24 * HOUR - 1, Some(0.5))),
            "OUTSIDE_MAX_AGE",
            "DEFAULTED",
            json!({"score": "OUTSIDE_MAX_AGE"}),
        ),
        (Lookup::Corrupt(tandem_online::Corruption::Format { found: 9 }), "CORRUPT", "CORRUPT", json!({})),
    ];
    let keys = vec![r#"{"card_id": 1, "bank": "x"}"#; lookups.len()].join(",");
    let body = format!(r#"{{"view": "risk", "entities": [{keys}], "features": ["label", "score"]}}"#);
    let asked = request::decode(body.as_bytes(), &bound, LIVE, 100).unwrap();
    let (answer, _) = answered(&bound, &asked, lookups.iter().map(|(lookup, ..)| lookup.clone()).collect());
    for (row, (lookup, status, feature, reasons)) in lookups.iter().enumerate() {
        let row = &answer["rows"][row];
        assert_eq!((&row["status"], &row["statuses"]["score"]), (&json!(status), &json!(feature)), "{lookup:?}");
        assert_eq!(&row["reasons"], reasons, "{lookup:?}");
        let value = match *feature {
            "PRESENT" => "0.5",
            "DEFAULTED" => "-0.0",
            _ => "null",
        };
        assert_eq!(row["values"]["score"].to_string(), value, "{lookup:?}");
        // Another feature has no default.
        let label = if *status == "PRESENT" { json!("ok") } else { json!(null) };
        assert_eq!((&row["values"]["label"], &row["statuses"]["label"]), (&label, &json!(status)), "{lookup:?}");
    }
}

#[test]
fn a_publish_delay_is_for_history_and_hides_nothing_that_is_stored() {
    let bound = bound_with("known_by = \"published\"\npublish_delay = \"2h\"", vec![]);
    let asked = asked(r#"{"view": "risk", "entities": [{"card_id": 1, "bank": "x"}]}"#);
    let (answer, _) = answered(&bound, &asked, vec![Lookup::Found(record(NOW.0 - HOUR, Some(0.5)))]);
    assert_eq!(answer["rows"][0]["status"], "PRESENT");
}

#[test]
fn what_was_not_known_yet_is_not_found() {
    // The present knows all that is stored, but for created times that are later; an instant that is given does not.
    let entities = r#""view": "risk", "entities": [{"card_id": 1, "bank": "x"}]"#;
    let given = format!(r#"{{{entities}, "as_of": {}}}"#, NOW.0);
    let replayed = decode_with(&given, REPLAY).unwrap_or_else(|problem| panic!("{problem:?}"));
    let present = asked(&format!("{{{entities}}}"));
    let mut late = record(NOW.0 - HOUR, Some(0.5));
    late.created_time = Some(Timestamp(NOW.0 + 1));
    let mut unpublished = record(NOW.0 - HOUR, Some(0.5));
    (unpublished.created_time, unpublished.published_time) = (None, Timestamp(NOW.0 + 1));
    for (known_by, late_status, unpublished_status) in
        [("created", "NOT_FOUND", "NOT_FOUND"), ("published", "PRESENT", "NOT_FOUND"), ("event", "PRESENT", "PRESENT")]
    {
        let bound = bound_with(&format!("known_by = \"{known_by}\""), vec![]);
        let cases = [
            (&replayed, &late, late_status),
            (&replayed, &unpublished, unpublished_status),
            (&present, &late, late_status),
            (&present, &unpublished, "PRESENT"),
        ];
        for (asked, record, status) in cases {
            let (answer, _) = answered(&bound, asked, vec![Lookup::Found(record.clone())]);
            assert_eq!(answer["rows"][0]["status"], status, "{known_by} {record:?}");
        }
    }
}

#[test]
fn keys_are_looked_up_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
    let bound = bound();
    let (view, fingerprint) = (&bound.view, schema_fingerprint(&outputs()));
    let identity = ViewIdentity {
        name: &view.name,
        version: view.version,
        definition_hash: bound.definition_hash,
        digest: bound.digest,
        schema_fingerprint: fingerprint,
    };
    let number = store.view(&identity).unwrap();
    let asked = asked(
        r#"{"view": "risk", "entities": [{"card_id": 2, "bank": "x"}, {"card_id": null, "bank": "x"}, {"card_id": 1, "bank": "x"}]}"#,
    );
    let encoder = KeyEncoder::new(&view.join_keys().cloned().collect::<Vec<_>>(), &asked.keys).unwrap();
    for (row, score) in [(0, 0.2), (2, 0.1)] {
        let key = encoder.encode(row).unwrap();
        let record = record(NOW.0 - HOUR, Some(score));
        store.put_if_newer(number, &[PutRow { key: key.as_ref(), record: record.borrow() }]).unwrap();
    }
    let ask = Ask::new(number, &bound, asked.keys.clone());
    let found = lookup(&store, &ask, At::replayed(asked.as_of)).unwrap();
    let answer: Value = serde_json::from_slice(&answer::encode(&bound, &asked, &found).unwrap()).unwrap();
    let scores: Vec<_> = (0..3).map(|row| answer["rows"][row]["values"]["score"].clone()).collect();
    assert_eq!(scores, [json!(0.2), json!(null), json!(0.1)]);
    assert_eq!(answer["rows"][1]["status"], "NOT_FOUND");

    assert_eq!(find_number(&store, &bound, None).unwrap(), Some(number));
    let other = BoundView { definition_hash: Digest([0; 32]), ..(*bound).clone() };
    assert_eq!(find_number(&store, &other, None).unwrap(), None, "another definition's values are not this view's");
}
