//! Values that are older than their view's freshness objective.

use serde_json::{Value, json};

use super::Shop;

/// User 5's row is seven hours old then, user 6's exactly six, as the objective is; user 999 has none.
const NOON: &str = "2026-01-02T12:00:00Z";

#[test]
fn what_is_stale_is_served_and_told_on_every_way() {
    let shop = Shop::new();
    let client = shop.serve();
    let entities = json!([{"user_id": 5}, {"user_id": 6}, {"user_id": 999}]);
    let expected = json!(["STALE", "PRESENT", "NOT_FOUND"]);

    let stored =
        client.post("/v1/features", &json!({"view": "aged", "entities": entities.clone(), "as_of": NOON})).ok();
    let of_rows = |answer: &Value, of: fn(&Value) -> Value| -> Value {
        answer["rows"].as_array().expect("rows").iter().map(of).collect()
    };
    assert_eq!(of_rows(&stored, |row| row["status"].clone()), expected, "{stored}");
    assert_eq!(of_rows(&stored, |row| row["statuses"]["risk"].clone()), expected);
    assert!(stored["rows"][0]["values"]["risk"].is_f64() && stored["rows"][2]["values"]["risk"].is_null(), "{stored}");

    // What is computed of it sees its value and its event time.
    let rows: Vec<Value> = [5, 6, 999].map(|user| json!({"user_id": user, "amount": 25.0})).into();
    let features = ["aged:risk", "aged_ratio:ratio", "aged_ratio:seconds_since"];
    let list = client.post("/v1/features", &json!({"features": features, "rows": rows, "as_of": NOON})).ok();
    assert_eq!(of_rows(&list, |row| row["statuses"]["risk"].clone()), expected, "{list}");
    assert_eq!(
        of_rows(&list, |row| row["values"]["risk"].clone()),
        of_rows(&stored, |row| row["values"]["risk"].clone())
    );
    assert_eq!(of_rows(&list, |row| row["values"]["seconds_since"].clone()), json!([25200.0, 21600.0, null]));
    assert!(list["rows"][0]["values"]["ratio"].is_f64(), "{list}");

    let (got, _) = shop.run(&["get", "aged", "user_id=5", "user_id=6", "--as-of", NOON]);
    let status = |user: &str| got.lines().find_map(|line| line.strip_prefix(user)?.split_whitespace().next());
    assert_eq!([status("user_id=5"), status("user_id=6")], [Some("STALE"), Some("PRESENT")], "{got}");
    assert_eq!(got.matches("  risk ").count(), 2, "both are served: {got}");
}
