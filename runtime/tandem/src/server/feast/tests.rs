use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, TimestampMicrosecondArray};
use serde_json::{Value, json};
use tandem_core::status::Status;
use tandem_core::types::DataType;

use super::encode::{Values, status};
use super::request::{Named, parse};
use super::*;
use crate::server::problem::Kind;

#[test]
fn the_service_comes_before_features_and_columns_have_one_length() {
    let asked = parse(
        br#"{"feature_service": "a", "features": ["v:f"], "entities": {"k": [1, 2], "amount": [3, 4]}, "more": 1}"#,
    );
    let asked = asked.unwrap();
    assert_eq!((&asked.named, asked.rows), (&Named::Service("a".to_owned()), 2));
    let asked =
        parse(br#"{"features": ["v:f"], "entities": {"k": {"val": [1]}}, "full_feature_names": true}"#).unwrap();
    assert_eq!((&asked.named, asked.rows), (&Named::Features(vec!["v:f".to_owned()]), 1));
    assert!(asked.full_feature_names);
    for (body, kind) in [
        (&br#"{"entities": {"k": [1]}}"#[..], Kind::InvalidRequest),
        (br#"{"features": ["v:f"]}"#, Kind::InvalidRequest),
        (br#"{"features": "v:f", "entities": {}}"#, Kind::InvalidRequest),
        (br#"{"features": [], "entities": {"k": 1}}"#, Kind::InvalidRequest),
        (br#"{"features": [], "entities": {"k": [1], "l": [1, 2]}}"#, Kind::InvalidRequest),
        (b"{", Kind::InvalidJson),
    ] {
        assert_eq!(parse(body).unwrap_err().kind, kind, "{}", String::from_utf8_lossy(body));
    }
}

fn written(array: ArrayRef, data_type: DataType) -> String {
    let values = Values::new(&array, data_type).unwrap();
    let mut out = Vec::new();
    for row in 0..array.len() {
        out.push(b' ');
        values.write(row, &mut out);
    }
    String::from_utf8(out).unwrap()
}

#[test]
fn floats_are_never_integers_and_times_are_seconds() {
    let floats = Float64Array::from(vec![Some(9.0), Some(-0.0), Some(1.5), Some(1e300), Some(f64::NAN), None]);
    assert_eq!(written(Arc::new(floats), DataType::Float64), " 9.0 -0.0 1.5 1e+300 \"NaN\" null");
    let times = TimestampMicrosecondArray::from(vec![Some(1_999_999), Some(-1), None]).with_timezone("UTC");
    assert_eq!(written(Arc::new(times), DataType::Timestamp), " 1 -1 null");
}

#[test]
fn statuses_are_feasts() {
    let known = ["PRESENT", "NULL_VALUE", "NOT_FOUND", "OUTSIDE_MAX_AGE"];
    assert!(Status::ALL.into_iter().all(|one| known.contains(&status(one))));
    assert_eq!([status(Status::Defaulted), status(Status::Stale)], ["PRESENT"; 2]);
    assert_eq!(status(Status::Corrupt), "NOT_FOUND");
}

#[tokio::test]
async fn errors_are_json_in_a_string_and_a_clients_mistake_is_never_tried_again() {
    for kind in Kind::ALL {
        let answer = response(GET_ONLINE_FEATURES, &Problem::new(*kind, "what \"happened\"").hint("do"), "r1");
        let code = answer.status().as_u16();
        assert_eq!(code >= 500 || code == 429, kind.status().is_server_error() || kind.status() == 429, "{kind:?}");
        let bytes = axum::body::to_bytes(answer.into_body(), 10_000).await.unwrap();
        let Value::String(inner) = serde_json::from_slice(&bytes).unwrap() else { panic!("{kind:?}: not a string") };
        let inner: Value = serde_json::from_str(&inner).unwrap();
        assert_eq!(inner["module"], "feast.errors");
        assert_eq!(inner["message"], json!("what \"happened\"; hint: do (request r1)"));
    }
    assert_eq!(response(GET_ONLINE_FEATURES, &Problem::new(Kind::InvalidJson, ""), "r").status(), 422);
    assert_eq!(response(GET_ONLINE_FEATURES, &Problem::new(Kind::MissingInput, ""), "r").status(), 404);
    assert_eq!(response(PUSH, &Problem::new(Kind::MissingInput, ""), "r").status(), 422);
}
