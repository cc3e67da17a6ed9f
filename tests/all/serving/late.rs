//! Deadlines, required features, views that are slow or keep failing.

use std::time::{Duration, Instant};

use misbehaving_guest::mode;
use serde_json::{Value, json};

use super::{Client, Shop};

fn row(mode: i64) -> Value {
    json!({"rows": [{"user_id": 4, "amount": 10, "mode": mode}]})
}

/// `strict` computes nothing of an amount, and takes none.
fn strict(mode: i64) -> Value {
    json!({"rows": [{"user_id": 4, "mode": mode}]})
}

fn value(answer: &Value, feature: &str) -> (Value, String) {
    let row = &answer["rows"][0];
    (row["values"][feature].clone(), row["statuses"][feature].as_str().expect("a status").to_owned())
}

#[test]
fn what_is_there_in_time_is_answered_unless_more_is_required() {
    let shop = Shop::new();
    let client = shop.serve();
    let answer = client.post("/v1/services/lenient", &row(100)).ok();
    assert_eq!(value(&answer, "value"), (json!(200), "PRESENT".to_owned()));

    let answer = client.post_within(300, "/v1/services/lenient", &row(mode::SPIN)).ok();
    assert_eq!(value(&answer, "value"), (json!(null), "DEADLINE_EXCEEDED".to_owned()), "{answer}");
    assert_eq!(value(&answer, "risk").1, "PRESENT");
    assert_eq!(value(&answer, "ratio").1, "PRESENT", "the slow view delays no other");
    assert_eq!(answer["failed_rows"][0]["status"], "DEADLINE_EXCEEDED");

    // The service's own deadline holds where the request brings none; the client's comes first.
    let answer = client.post("/v1/services/strict", &strict(mode::SPIN));
    assert_eq!((answer.status, answer.problem().as_str()), (504, "deadline-exceeded"));
    let problem = answer.json();
    assert_eq!(problem["feature"], "value");
    assert!(problem["detail"].as_str().is_some_and(|text| text.contains("300 ms, the deadline of the service")));
    let answer = client.post_within(150, "/v1/services/strict", &strict(mode::SPIN));
    assert!(
        answer.json()["detail"].as_str().is_some_and(|text| text.contains("150 ms, the time that the request gave"))
    );

    // A row that fails is a status; where it is required, the request fails, by the client's input.
    let answer = client.post("/v1/services/lenient", &row(mode::LONG_MESSAGE)).ok();
    assert_eq!(value(&answer, "value").1, "TRANSFORM_ERROR");
    let answer = client.post("/v1/services/strict", &strict(mode::LONG_MESSAGE));
    assert_eq!((answer.status, answer.problem().as_str()), (422, "required-feature"));
    assert_eq!(answer.json()["failed_rows"][0]["row"], 0);
    assert_eq!(value(&client.post_within(60_000, "/v1/services/strict", &strict(5_000)).ok(), "value").1, "PRESENT");

    for wrong in ["0", "soon"] {
        let headers = [("content-type", "application/json"), ("tandem-timeout-ms", wrong)];
        let answer = client.send("/v1/services/lenient", &headers, row(100).to_string().as_bytes());
        assert_eq!((answer.status, answer.problem().as_str()), (422, "invalid-request"), "{wrong}");
    }
}

#[test]
fn a_view_that_hangs_holds_up_no_other() {
    let shop = Shop::new();
    let client = shop.serve();
    let spin = |client: &Client| client.post("/v1/services/lenient", &row(mode::SPIN));
    std::thread::scope(|scope| {
        let spinning: Vec<_> = (0..6).map(|_| scope.spawn(|| spin(&client))).collect();
        // All of their calls take two seconds, one after the other on few workers: while any is under way, others are answered.
        let started = Instant::now();
        let mut answered = 0;
        while started.elapsed() < Duration::from_millis(1_500) {
            let answer = client.post("/v1/services/checkout", &json!({"rows": [{"user_id": 4, "amount": 10}]})).ok();
            assert_eq!(value(&answer, "ratio").1, "PRESENT");
            answered += 1;
        }
        assert!(spinning.iter().any(|spinning| !spinning.is_finished()), "some still hang");
        assert!(answered > 10, "{answered} answers beside calls that hang");
        for spinning in spinning {
            let answer = spinning.join().expect("an answer").ok();
            assert_eq!(value(&answer, "value").1, "TRANSFORM_ERROR", "{answer}");
        }
    });
}

#[test]
fn a_view_that_keeps_failing_is_left_alone_and_tried_again() {
    let shop = Shop::new();
    let settings = "[project]\nname = \"shop\"\n[server]\nbreaker_failures = 3\nbreaker_seconds = 1\n";
    std::fs::write(shop.root().join("tandem.toml"), settings).expect("a file");
    let client = shop.serve();
    for _ in 0..3 {
        let answer = client.post("/v1/services/lenient", &row(mode::PANIC)).ok();
        assert!(answer["failed_rows"][0]["message"].as_str().is_some_and(|text| text.contains("trapped")), "{answer}");
    }
    let answer = client.post("/v1/services/lenient", &row(100)).ok();
    assert_eq!(value(&answer, "value").1, "TRANSFORM_ERROR");
    assert_eq!(value(&answer, "ratio").1, "PRESENT");
    let message = answer["failed_rows"][0]["message"].as_str().expect("a message");
    assert!(message.contains("not called: the last 3 calls failed"), "{message}");
    for (route, body) in
        [("/v1/transforms/slow", json!({"rows": [{"mode": 100}]})), ("/v1/services/strict", strict(100))]
    {
        let answer = client.post(route, &body);
        assert_eq!((answer.status, answer.problem().as_str()), (503, "circuit-open"), "{route}");
        assert_eq!(answer.headers["retry-after"], answer.json()["retry_after_seconds"].to_string().as_str());
    }
    // After the pause one call tries, and its answer closes the circuit.
    std::thread::sleep(Duration::from_millis(1_100));
    for _ in 0..2 {
        assert_eq!(
            value(&client.post("/v1/services/lenient", &row(100)).ok(), "value"),
            (json!(200), "PRESENT".to_owned())
        );
    }
    // Rows that the transform refuses itself are nobody's failure but their own.
    for _ in 0..5 {
        client.post("/v1/services/lenient", &row(mode::FAILURE)).ok();
    }
    assert_eq!(value(&client.post("/v1/services/lenient", &row(100)).ok(), "value").1, "PRESENT");
}
