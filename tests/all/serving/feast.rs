//! Feast's own SDK as a client, and what its wire says where the SDK does not look.

use std::process::Command;

use serde_json::{Value, json};

use super::Shop;
use crate::harness::program::{agent, told};
use crate::harness::tools::python_with;

#[test]
fn feasts_sdk_reads_values_statuses_and_errors() {
    let shop = Shop::new();
    let client = shop.serve();
    let python = python_with("feast", "requirements-feast.txt");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/all/serving/feast_client.py");
    let mut command = Command::new(python);
    command.arg(script).arg(shop.root().join("feast")).arg(client.server.url()).env("FEAST_USAGE", "False");
    let (answers, _) = told(command, 0);
    let answers: Value = serde_json::from_str(&answers).unwrap_or_else(|error| panic!("{error}: {answers}"));

    // The same question, in Tandem's own words.
    let rows: Vec<Value> = [4, 999, 3, 4].iter().map(|user| json!({"user_id": user, "amount": 25.0})).collect();
    let own = client.post("/v1/services/checkout", &json!({"rows": rows})).ok();
    let values = |feature: &str| -> Vec<Value> {
        own["rows"].as_array().expect("rows").iter().map(|row| row["values"][feature].clone()).collect()
    };
    let list = &answers["list"];
    assert_eq!(list["values"]["user_id"], json!([4, 999, 3, 4]), "{list}");
    assert_eq!(list["values"]["risk"], json!(values("risk")), "each row is answered, also one that stands twice");
    assert_eq!(list["values"]["country_seen"], json!([true, null, null, true]));
    assert_eq!(list["statuses"]["user_id"], json!(["PRESENT", "PRESENT", "PRESENT", "PRESENT"]));
    assert_eq!(list["statuses"]["risk"], json!(["PRESENT", "NOT_FOUND", "PRESENT", "PRESENT"]));
    assert_eq!(list["statuses"]["country_seen"], json!(["PRESENT", "NOT_FOUND", "NULL_VALUE", "PRESENT"]));
    assert_eq!(list["types"]["risk"], json!(["double_val", null, "double_val", "double_val"]));

    assert_eq!(answers["full_names"]["values"]["usual__risk"], list["values"]["risk"]);
    let service = &answers["service"];
    assert_eq!(service["values"]["risk"], list["values"]["risk"], "{service}");
    assert_eq!(service["values"]["ratio"], json!(values("ratio")), "computed by the server, of request data");
    assert_eq!(service["statuses"]["ratio"], json!(["PRESENT", "NULL_VALUE", "PRESENT", "PRESENT"]));
    assert_eq!(answers["on_demand"]["values"]["ratio"], json!(values("ratio")));
    assert_eq!(answers["expired"]["statuses"]["risk"], json!(["OUTSIDE_MAX_AGE"]));
    assert_eq!(answers["expired"]["values"]["risk"], json!([null]));

    // What the SDK writes is served, the newest row of each user alone: with `write_to_online_store`, `push` and `materialize`.
    for (step, ceilings) in [
        ("write", json!([10.0, 20.5, null])),
        ("late", json!([10.0, 20.5, null])),
        ("push", json!([10.0, 21.0, 30.0])),
        ("materialize", json!([10.0, 21.0, 30.0])),
    ] {
        assert_eq!(answers[step]["values"]["ceiling"], ceilings, "{step}: {}", answers[step]);
    }

    for (question, class, words) in [
        ("no_request_data", "RequestDataNotFoundInEntityRowsException", "the input `amount` (float64) is missing"),
        ("no_entity", "RequestDataNotFoundInEntityRowsException", "the join key `user_id`"),
        ("unknown_feature", "FeastObjectNotFoundException", "did you mean `risk`"),
        ("unknown_view", "FeatureViewNotFoundException", "there is no feature view `unusual`"),
        ("unknown_service", "FeatureServiceNotFoundException", "the feature services are `checkout`, `lenient`"),
        ("malformed", "FeastError", "`user_id`, row 0: int64 expected"),
    ] {
        let answer = &answers[question];
        assert_eq!(answer["error"], class, "{question}: {answer}");
        assert!(answer["message"].as_str().is_some_and(|message| message.contains(words)), "{question}: {answer}");
    }
}

#[test]
fn the_wire_is_feasts() {
    let shop = Shop::new();
    let client = shop.serve();
    let body = json!({
        "features": ["ratio:ratio", "usual:risk"], "entities": {"amount": [25.0, 1.0], "user_id": [4, 999]},
        "include_feature_view_version_metadata": true, "some_option_of_a_later_client": {},
    });
    let answer = client.post("/get-online-features", &body).ok();
    // Join keys, then stored features, then computed ones; request data is left out.
    assert_eq!(answer["metadata"]["feature_names"], json!(["user_id", "risk", "ratio"]));
    assert_eq!(
        answer["metadata"]["feature_view_metadata"],
        json!([{"name": "ratio", "version": 1}, {"name": "usual", "version": 1}])
    );
    let epoch = "1970-01-01T00:00:00Z";
    let [key, risk, ratio] = [0, 1, 2].map(|index| &answer["results"][index]);
    assert_eq!(
        key,
        &json!({"values": [4, 999], "statuses": ["PRESENT", "PRESENT"], "event_timestamps": [epoch, epoch]})
    );
    assert_eq!(risk["event_timestamps"], json!(["2026-01-02T04:00:00Z", epoch]));
    assert_eq!(risk["statuses"], json!(["PRESENT", "NOT_FOUND"]));
    assert_eq!(ratio["event_timestamps"], json!([epoch, epoch]));

    // Errors are JSON in a JSON string, and what a client did wrong is not tried again.
    let answer = client.send("/get-online-features", &[("content-type", "application/json")], b"{");
    assert_eq!(answer.status, 422);
    let Value::String(detail) = answer.json() else { panic!("{}", answer.json()) };
    let detail: Value = serde_json::from_str(&detail).expect("JSON");
    assert_eq!(detail["class"], "FeastError");
    let (status, of_get) = {
        let agent = agent();
        let mut answer = agent.get(format!("{}/get-online-features", client.server.url())).call().expect("an answer");
        (answer.status().as_u16(), answer.body_mut().read_to_string().expect("a body"))
    };
    assert_eq!(status, 405);
    assert!(serde_json::from_str::<Value>(&of_get).expect("JSON").is_string(), "{of_get}");
}

#[test]
fn what_is_published_later_is_materialized_on_request() {
    let shop = Shop::new();
    let client = shop.serve();
    let risk = || {
        let body = json!({"features": ["usual:risk"], "entities": {"user_id": [500, 501]}});
        client.post("/get-online-features", &body).ok()["results"][1]["statuses"].clone()
    };
    let later = |user: u32, day: u32| {
        let text = format!(
            "user_id,at,known_at,amount,country\n{user},2026-01-{day:02}T01:00:00Z,2026-01-{day:02}T02:00:00Z,5.0,DE\n"
        );
        std::fs::write(shop.root().join(format!("later_{user}.csv")), text).expect("a file");
        shop.run(&["import", "spendings", &format!("later_{user}.csv")]);
        shop.run(&["batch", "usual"]);
    };
    later(500, 3);
    let body = json!({"start_ts": "2026-01-04T00:00:00", "end_ts": "2026-01-05T00:00:00", "feature_views": ["usual"]});
    assert_eq!(client.post("/materialize", &body).ok(), json!(null));
    assert_eq!(risk(), json!(["NOT_FOUND", "NOT_FOUND"]), "its day is not in the range");
    let body = json!({
        "start_ts": "2026-01-03T00:00:00+00:00", "end_ts": "2026-01-03T12:00:00+00:00", "feature_views": ["usual", "aged"],
    });
    assert_eq!(client.post("/materialize", &body).ok(), json!(null));
    assert_eq!(risk(), json!(["PRESENT", "NOT_FOUND"]));
    later(501, 5);
    let body = json!({"end_ts": "2026-01-01T00:00:00", "feature_views": ["usual"]});
    assert_eq!(client.post("/materialize-incremental", &body).ok(), json!(null));
    assert_eq!(risk(), json!(["PRESENT", "PRESENT"]), "what is new is taken, whatever its event time");

    for (body, status, class) in [
        (json!({"feature_views": ["usul"]}), 404, "FeatureViewNotFoundException"),
        (json!({"feature_views": ["ratio"]}), 422, "FeastError"),
        (json!({"start_ts": "yesterday", "end_ts": "2026-01-01T00:00:00"}), 422, "FeastError"),
        (json!({"start_ts": "2026-01-03T00:00:00", "end_ts": "2026-01-01T00:00:00"}), 422, "FeastError"),
        (json!([]), 422, "FeastError"),
    ] {
        let answer = client.post("/materialize", &body);
        let Value::String(detail) = answer.json() else { panic!("{body}: {}", answer.json()) };
        let detail: Value = serde_json::from_str(&detail).expect("JSON");
        assert_eq!((answer.status, detail["class"].as_str()), (status, Some(class)), "{body}: {detail}");
    }
}
