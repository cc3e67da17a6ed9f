//! `/push` and `/write-to-online-store`, as Feast's SDK sends them.

use serde_json::json;

use super::*;

#[test]
fn feasts_routes_take_what_its_sdk_sends() {
    let shop = Shop::new();
    let client = shop.serve();
    // As `write_to_online_store` of the SDK: its names for times, without a zone.
    let body = json!({
        "feature_view_name": "account",
        "df": {"user_id": [1, 2], "credit": [5.5, null], "country": ["AT", "DE"],
            "event_timestamp": ["2026-01-02T10:00:00", "2026-01-02T10:00:00.250000"], "created": [null, "2026-01-02T11:00:00"]},
        "allow_registry_cache": false,
    });
    let (status, bytes, quarantined) = client.send("/write-to-online-store", JSON, body.to_string().as_bytes());
    assert_eq!((status, &bytes[..], quarantined), (200, &b"null"[..], None), "{}", String::from_utf8_lossy(&bytes));
    assert_eq!(client.served("account:credit", 1).0, json!(5.5));
    assert_eq!(client.served("account:country", 2).0, json!("DE"));
    assert_eq!(shop.json(&["log", "show"]), json!({"views": []}), "to the store alone");

    // A push source is a source; a column that no view reads is passed over, whole numbers are seconds.
    let body = json!({
        "push_source_name": "accounts", "to": "online_and_offline",
        "df": {"customer": [3, 4], "changed_at": [1_767_225_600, 6_767_225_600_i64], "limit_eur": [7.0, 8.0], "other": ["x", "y"]},
    });
    let (status, bytes, quarantined) = client.send("/push", JSON, body.to_string().as_bytes());
    assert_eq!(
        (status, bytes.len(), quarantined.as_deref()),
        (200, 0, Some("1")),
        "{}",
        String::from_utf8_lossy(&bytes)
    );
    assert_eq!(client.served("account:credit", 3).0, json!(7.0));
    assert_eq!(client.served("account:credit", 4).1, "NOT_FOUND", "its event time lies in the future");
    assert_eq!(shop.json(&["log", "show"])["views"][0]["rows"], json!(1));
}

#[test]
fn feasts_routes_tell_errors_as_feast_does() {
    let shop = Shop::new();
    let client = shop.serve();
    for (route, body, status, class, words) in [
        ("/push", json!({"push_source_name": "nobody", "df": {}}), 404, "PushSourceNotFoundException", "`nobody`"),
        ("/push", json!({"push_source_name": "joined", "df": {}}), 404, "PushSourceNotFoundException", "`joined`"),
        ("/push", json!({"push_source_name": "accounts"}), 422, "FeastError", "`df` is missing"),
        (
            "/push",
            json!({"push_source_name": "accounts", "df": {"customer": [1], "changed_at": []}}),
            422,
            "FeastError",
            "different lengths",
        ),
        ("/push", json!({"push_source_name": "accounts", "to": "x", "df": {}}), 422, "FeastError", "`to`"),
        (
            "/write-to-online-store",
            json!({"feature_view_name": "nobody", "df": {}}),
            404,
            "FeatureViewNotFoundException",
            "`nobody`",
        ),
        (
            "/write-to-online-store",
            json!({"feature_view_name": "account", "df": {"user_id": [1]}}),
            422,
            "FeastError",
            "`changed_at`",
        ),
        (
            "/write-to-online-store",
            json!({"feature_view_name": "account", "df": {"user_id": ["x"], "event_timestamp": [1]}}),
            422,
            "FeastError",
            "row 0",
        ),
    ] {
        let (found, answer) = client.post(route, &body);
        let inner: Value =
            serde_json::from_str(answer.as_str().unwrap_or_else(|| panic!("{answer}"))).expect("JSON within");
        assert_eq!((found, inner["class"].as_str()), (status, Some(class)), "{inner}");
        assert_eq!(inner["module"], "feast.errors");
        assert!(inner["message"].as_str().unwrap().contains(words), "{words}: {inner}");
    }
}
