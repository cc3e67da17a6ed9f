//! The same values, however they are asked for.

use std::io::Cursor;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use serde_json::{Value, json};

use super::{Answer, Shop, USERS};
use crate::harness::server::{ARROW, JSON};

fn stream(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)));
    let batch = batch.expect("a batch");
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).expect("a writer");
    writer.write(&batch).expect("memory");
    writer.into_inner().expect("memory")
}

fn read(answer: &Answer) -> RecordBatch {
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.bytes));
    assert_eq!(answer.headers["content-type"], ARROW);
    let reader = StreamReader::try_new(Cursor::new(&answer.bytes), None).expect("a stream");
    let batches: Vec<_> = reader.collect::<Result<_, _>>().expect("batches");
    assert_eq!(batches.len(), 1);
    batches.into_iter().next().expect("one")
}

/// Values, statuses and event times by feature, whatever form they came in.
fn by_column(answer: &Value) -> Value {
    if let Some(columns) = answer.get("columns") {
        return columns.clone();
    }
    let mut columns = json!({});
    for feature in answer["features"].as_array().expect("features") {
        let name = feature["name"].as_str().expect("a name");
        for part in ["values", "statuses", "event_times"] {
            let rows = answer["rows"].as_array().expect("rows");
            columns[name][part] = rows.iter().map(|row| row[part][name].clone()).collect();
        }
    }
    columns
}

#[test]
fn rows_columns_common_values_lists_and_arrow_are_answered_with_the_same_values() {
    let shop = Shop::new();
    let client = shop.serve();
    // One user that is not there, a null key, and one that stands twice.
    let users: Vec<Option<i64>> = vec![Some(3), Some(USERS + 5), None, Some(3), Some(7)];
    let as_of = json!("2026-02-01T00:00:00Z");
    let rows: Vec<Value> = users.iter().map(|user| json!({"user_id": user, "amount": 25.0})).collect();
    let of_rows = client.post("/v1/services/checkout", &json!({"rows": rows, "as_of": as_of})).ok();
    assert_eq!(of_rows["service"], "checkout");
    let expected = by_column(&of_rows);
    assert_eq!(expected["risk"]["statuses"], json!(["PRESENT", "NOT_FOUND", "NOT_FOUND", "PRESENT", "PRESENT"]));
    assert_eq!(expected["country_seen"]["statuses"][0], "NULL_VALUE", "user 3 has no country");
    assert_eq!(expected["risk"]["event_times"][0], "2026-01-02T03:00:00Z");
    assert_eq!(expected["risk"]["event_times"][1], json!(null));
    assert_eq!(expected["ratio"]["event_times"], json!([null, null, null, null, null]), "computed now");
    assert!(expected["ratio"]["values"][0].is_number(), "{expected}");

    let columns = json!({"user_id": users, "amount": vec![25.0; users.len()]});
    let common = json!({"user_id": users});
    for (route, body) in [
        ("/v1/services/checkout", json!({"columns": columns, "as_of": as_of})),
        ("/v1/services/checkout", json!({"columns": common, "common": {"amount": 25}, "as_of": as_of})),
        (
            "/v1/features",
            json!({"features": ["usual", "ratio@1:ratio", "ratio:seconds_since"], "columns": columns, "as_of": as_of}),
        ),
        ("/v1/features", json!({"rows": rows, "features": ["usual@1", "ratio"], "as_of": as_of})),
    ] {
        let answer = client.post(route, &body).ok();
        assert_eq!(by_column(&answer), expected, "{body}");
        assert_eq!(answer["features"], of_rows["features"], "{body}");
        assert_eq!(answer.get("columns").is_some(), body.get("columns").is_some(), "the form of the request: {body}");
    }
    let prefixed = json!({"features": ["usual:risk"], "prefix": true, "rows": [{"user_id": 3}]});
    assert_eq!(client.post("/v1/features", &prefixed).ok()["features"][0]["name"], "usual__risk");

    // The clock rules there, and everything stored is older.
    let amounts: ArrayRef = Arc::new(Float64Array::from(vec![25.0; users.len()]));
    let body = stream(vec![("amount", amounts), ("user_id", Arc::new(Int64Array::from(users)))]);
    let answer = client.send("/v1/services/checkout", &[("content-type", ARROW)], &body);
    let batch = read(&answer);
    let risk = batch["risk"].as_primitive::<Float64Type>();
    for row in 0..batch.num_rows() {
        let value = if risk.is_null(row) { json!(null) } else { json!(risk.value(row)) };
        assert_eq!(value, expected["risk"]["values"][row]);
        assert_eq!(batch["risk__status"].as_string::<i32>().value(row), expected["risk"]["statuses"][row]);
    }
    let times = batch["risk__event_time"].as_primitive::<TimestampMicrosecondType>();
    assert_eq!((times.is_null(1), times.value(0)), (true, 1_767_322_800_000_000));
    assert!(batch.column_by_name("ratio__event_time").is_none(), "what is computed has none");
    assert_eq!(batch["__error"].null_count(), batch.num_rows());
    assert_eq!(batch.schema().metadata()["tandem.service"], "checkout");
    let field = batch.schema().field_with_name("risk").expect("a field").clone();
    assert!(field.metadata()["tandem.digest"].starts_with("sha256:"), "{field:?}");

    let body = json!({"features": ["usual:risk"], "rows": [{"user_id": 3}]}).to_string();
    let headers = [("content-type", JSON), ("accept", ARROW)];
    assert_eq!(read(&client.send("/v1/features", &headers, body.as_bytes())).num_rows(), 1);
}

#[test]
fn lists_that_cannot_be_are_refused_with_what_there_is() {
    let shop = Shop::new();
    let client = shop.serve();
    for (features, status, problem, words) in [
        (json!(["usual:risky"]), 422, "unknown-name", "did you mean `risk`"),
        (json!(["usul"]), 404, "view-not-found", "did you mean `usual`"),
        (json!(["usual@9"]), 404, "view-not-found", "its versions are 1"),
        (json!(["risk"]), 404, "view-not-found", "write it with its view: `usual:risk`"),
        (
            json!(["strict"]),
            404,
            "view-not-found",
            "it is a feature service, whose features POST /v1/services/strict gives",
        ),
        (json!([]), 422, "invalid-request", "names no feature"),
        (json!(["usual", "usual:risk"]), 422, "invalid-request", "would both be named `risk`"),
        (json!("usual"), 422, "invalid-request", "expected a sequence"),
    ] {
        let answer = client.post("/v1/features", &json!({"features": features, "rows": []}));
        let text = String::from_utf8_lossy(&answer.bytes).into_owned();
        assert_eq!((answer.status, answer.problem().as_str()), (status, problem), "{text}");
        assert!(text.contains(words), "{text}");
    }
    let answer = client.post("/v1/services/usual", &json!({"rows": []}));
    assert_eq!((answer.status, answer.problem().as_str()), (404, "service-not-found"));
    assert_eq!(answer.json()["hint"], json!("it is a feature view, whose features POST /v1/features gives"));
    let answer = client.post("/v1/features", &json!({"rows": []}));
    assert_eq!((answer.status, answer.problem().as_str()), (422, "invalid-request"));
    let answer = client.post("/v1/features", &json!({"features": ["usual"], "entities": []}));
    assert!(answer.json()["detail"].as_str().is_some_and(|detail| detail.contains("unknown key `entities`")));
}
