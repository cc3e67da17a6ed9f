//! What a push takes and what it refuses.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_ipc::writer::StreamWriter;
use serde_json::json;

use super::*;
use crate::harness::server::ARROW;

#[test]
fn a_pushed_row_is_served_at_once_and_what_is_older_never_comes_back() {
    let shop = Shop::new();
    let client = shop.serve();
    let answer = client.ok(
        "/v1/push/account",
        &json!({"rows": [
            {"customer": 1, "changed_at": "2026-01-03T10:00:00Z", "known_at": "2026-01-03T12:00:00Z", "limit_eur": 200.5, "country": "DE"},
            {"customer": 2, "changed_at": "2026-01-02T10:00:00Z", "limit_eur": null},
            {"customer": 1, "changed_at": "2026-01-01T10:00:00Z", "known_at": "2026-01-03T12:00:00Z", "limit_eur": 100, "country": "AT"},
        ]}),
    );
    assert_eq!(answer["outcomes"], json!(["written", "written", "older"]));
    assert_eq!((&answer["accepted"], &answer["logged"], &answer["sequences"]), (&json!(3), &json!(3), &json!([1, 3])));
    assert!(answer["published_time"].is_string(), "{answer}");
    assert_eq!(client.served("account:credit", 1), (json!(200.5), "PRESENT".to_owned()));
    assert_eq!(client.served("account:credit", 2), (json!(null), "NULL_VALUE".to_owned()));
    assert_eq!(client.served("account:country", 3).1, "NOT_FOUND");

    // By the names that the columns have in the view, in columns, and to the store alone.
    let late = json!({"to": "online", "columns": {
        "user_id": [1, 3], "event_time": ["2026-01-02T00:00:00Z", "2026-01-04T00:00:00Z"], "credit": [1.0, 3.0],
    }});
    let answer = client.ok("/v1/push/account@1", &late);
    assert_eq!((&answer["outcomes"], &answer["logged"]), (&json!(["older", "written"]), &json!(0)));
    assert_eq!(client.served("account:credit", 1).0, json!(200.5));
    assert_eq!(client.served("account:credit", 3).0, json!(3.0));

    // The same once more changes nothing; into the history it goes once.
    let row = json!({"rows": [{"customer": 3, "changed_at": "2026-01-04T00:00:00Z", "limit_eur": 3.0}]});
    let both = client.ok("/v1/push/account", &row);
    assert_eq!((&both["outcomes"], &both["logged"]), (&json!(["unchanged"]), &json!(1)));
    let again = client.ok("/v1/push/account", &row);
    assert_eq!((&again["outcomes"], &again["logged"]), (&json!(["unchanged"]), &json!(0)));

    let offline = json!({"to": "offline", "rows": [{"customer": 9, "changed_at": "2026-01-04T00:00:00Z"}]});
    assert_eq!(client.ok("/v1/push/account", &offline)["outcomes"], json!(["logged"]));
    assert_eq!(client.served("account:credit", 9).1, "NOT_FOUND");
}

#[test]
fn a_component_computes_what_is_pushed_into_its_view() {
    let shop = Shop::new();
    let client = shop.serve();
    let rows = json!({"rows": [{"user_id": 7, "at": "2026-01-02T10:00:00Z", "amount": 250.0, "country": "DE"}]});
    let answer = client.ok("/v1/push/usual", &rows);
    assert_eq!(answer["outcomes"], json!(["written"]));
    let asked = json!({"rows": [{"amount": 250.0, "country": "DE"}]});
    let on_demand = client.ok("/v1/transforms/usual", &asked);
    assert_eq!(client.served("usual:risk", 7).0, on_demand["rows"][0]["risk"], "one component, one value");
    assert_eq!(answer["digest"], on_demand["digest"]);
}

#[test]
fn rows_at_fault_are_named_and_lose_no_other() {
    let shop = Shop::new();
    let client = shop.serve();
    let rows = json!([
        {"user_id": 1, "at": "2026-01-02T10:00:00Z", "amount": 1.0},
        {"user_id": null, "at": "2026-01-02T10:00:00Z", "amount": 1.0},
        {"user_id": 3, "at": null, "amount": 1.0},
        {"user_id": 4, "at": "2199-01-02T10:00:00Z", "amount": 1.0},
        {"user_id": 5, "at": "2026-01-02T10:00:00Z", "amount": "much"},
        {"user_id": 6, "at": "2026-01-02T10:00:00Z", "amount": null},
        {"user_id": 7, "at": "2026-01-02T10:00:00Z", "amount": 7.0},
    ]);
    // Without a word for it the view decides, and its `on_error` is `fail`.
    let (kind, problem) = client.problem("/v1/push/usual", &json!({"rows": rows}));
    assert_eq!((kind.as_str(), &problem["status"]), ("rows-refused", &json!(422)));
    let failed: Vec<_> = problem["failed_rows"].as_array().unwrap().iter().map(|row| row["row"].clone()).collect();
    assert_eq!(failed, [1, 2, 4], "{problem}");
    assert_eq!(client.served("usual:risk", 1).1, "NOT_FOUND", "nothing was stored");

    let answer = client.ok("/v1/push/usual", &json!({"on_error": "quarantine", "rows": rows}));
    let quarantined = "quarantined";
    let expected = ["written", quarantined, quarantined, quarantined, quarantined, quarantined, "written"];
    assert_eq!(answer["outcomes"], json!(expected), "{answer}");
    let reasons: Vec<_> = answer["quarantined"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["row"].clone(), row["reason"].clone()))
        .collect();
    let told = [(1, "null_key"), (2, "null_event_time"), (3, "future"), (4, "invalid_value"), (5, "transform_error")];
    assert_eq!(reasons, told.map(|(row, reason)| (json!(row), json!(reason))));
    assert_eq!((&answer["accepted"], &answer["logged"]), (&json!(2), &json!(2)));
    for (row, words) in [(3, "max_future is 5m"), (4, "float64 expected, found"), (5, "null")] {
        let message = answer["quarantined"].as_array().unwrap().iter().find(|found| found["row"] == row).unwrap();
        assert!(message["message"].as_str().unwrap().contains(words), "{message}");
    }
    assert_eq!(client.served("usual:risk", 7).1, "PRESENT");

    // A row of the future alone fails nothing.
    let future = json!({"rows": [{"user_id": 4, "at": "2199-01-02T10:00:00Z", "amount": 1.0}]});
    let answer = client.ok("/v1/push/usual", &future);
    assert_eq!((&answer["accepted"], &answer["published_time"]), (&json!(0), &json!(null)));

    // One that is known only then would hide what is known now.
    let row = |at: &str, known: &str, credit| json!({"rows": [{"customer": 1, "changed_at": at, "known_at": known, "limit_eur": credit}]});
    client.ok("/v1/push/account", &row("2026-01-02T10:00:00Z", "2026-01-02T10:00:00Z", 1.0));
    let answer = client.ok("/v1/push/account", &row("2026-01-03T10:00:00Z", "2199-01-02T10:00:00Z", 2.0));
    let told = &answer["quarantined"][0];
    assert!(
        told["reason"] == "future" && told["message"].as_str().unwrap().starts_with("the created time"),
        "{answer}"
    );
    assert_eq!(client.served("account:credit", 1), (json!(1.0), "PRESENT".to_owned()));

    // Far more at fault than are tried one by one.
    let many: Vec<_> = (0..300)
        .map(|user| json!({"user_id": user, "at": "2026-01-05T10:00:00Z", "amount": if user % 3 == 0 { json!("x") } else { json!(1.0) }}))
        .collect();
    let answer = client.ok("/v1/push/usual?on_error=quarantine", &json!({"rows": many}));
    assert_eq!((&answer["accepted"], &answer["written"]), (&json!(200), &json!(200)), "{answer}");
}

#[test]
fn what_is_no_push_is_told() {
    let shop = Shop::new();
    let client = shop.serve();
    let row = json!({"customer": 1, "changed_at": "2026-01-03T10:00:00Z"});
    for (route, body, kind, words) in [
        ("account", json!({"rows": [{"customer": 1}]}), "missing-input", "`changed_at`"),
        (
            "account",
            json!({"rows": [{"customer": 1, "changed": 2}]}),
            "unknown-name",
            "row 0: `changed` is none of the columns",
        ),
        (
            "account",
            json!({"rows": [{"customer": 1, "user_id": 2, "changed_at": 1}]}),
            "invalid-request",
            "two names of one column",
        ),
        ("account", json!({"to": "nowhere", "rows": [row]}), "invalid-request", "`to` cannot be `nowhere`"),
        ("account", json!({"rows": [row], "as_of": 1}), "invalid-request", "unknown key `as_of`"),
        ("account", json!({}), "invalid-request", "neither `rows` nor `columns`"),
        ("account?on=1", json!({"rows": []}), "invalid-request", "unknown parameter `on`"),
        ("nobody", json!({"rows": []}), "view-not-found", "`nobody`"),
        ("joined", json!({"rows": []}), "not-pushable", "SQL query"),
    ] {
        let (found, problem) = client.problem(&format!("/v1/push/{route}"), &body);
        assert_eq!(found, kind, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(words), "{words}: {problem}");
    }
    let answer = client.ok("/v1/push/account", &json!({"rows": []}));
    assert_eq!((&answer["rows"], &answer["outcomes"]), (&json!(0), &json!([])));
}

fn stream(batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batches[0].schema()).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.into_inner().unwrap()
}

#[test]
fn thousands_of_rows_come_as_arrow() {
    const ROWS: i64 = 80_000;
    let shop = Shop::new();
    let client = shop.serve();
    let batch = |from: i64, to: i64| {
        let times = (from..to).map(|user| 1_767_225_600_000_000 + user);
        let columns: [(&str, ArrayRef); 4] = [
            ("customer", Arc::new(Int64Array::from_iter_values(from..to))),
            ("changed_at", Arc::new(TimestampMicrosecondArray::from_iter_values(times))),
            ("limit_eur", Arc::new(Float64Array::from_iter_values((from..to).map(|user| user as f64 / 2.0)))),
            ("country", Arc::new(StringArray::from_iter((from..to).map(|user| (user % 2 == 0).then_some("AT"))))),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
    };
    // More than one transaction takes.
    let body = stream(&[batch(0, ROWS / 2), batch(ROWS / 2, ROWS)]);
    let (status, answer, _) = client.send("/v1/push/account?to=online", ARROW, &body);
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(status, 200, "{answer}");
    assert_eq!((&answer["written"], &answer["accepted"]), (&json!(ROWS), &json!(ROWS)));
    assert_eq!(client.served("account:credit", ROWS - 1).0, json!((ROWS - 1) as f64 / 2.0));
    assert_eq!(client.served("account:country", 41).1, "NULL_VALUE");

    // Nanoseconds that do not divide are a fault of their row.
    let times = arrow_array::TimestampNanosecondArray::from(vec![1_000, 1_001, 2_000]).with_timezone("UTC");
    let columns: [(&str, ArrayRef); 2] =
        [("customer", Arc::new(Int64Array::from(vec![500_000, 500_001, 500_002]))), ("changed_at", Arc::new(times))];
    let body = stream(&[RecordBatch::try_from_iter(columns).unwrap()]);
    let (status, answer, _) = client.send("/v1/push/account?on_error=quarantine", ARROW, &body);
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!((status, &answer["outcomes"]), (200, &json!(["written", "quarantined", "written"])), "{answer}");
    let (status, answer, _) = client.send("/v1/push/account", ARROW, b"nonsense");
    assert_eq!(status, 400, "{}", String::from_utf8_lossy(&answer));
}
