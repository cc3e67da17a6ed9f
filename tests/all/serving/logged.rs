//! What was served, from the feature log: as it was, as a source of features, and as labels whose training set says the same.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::Shop;
use crate::columns::read;
use crate::harness::project::files;

const OVER_THE_LOG: &str = r#"
[[feature_service]]
name = "watched"
features = ["usual@1", "ratio@1"]
log_share = 1

[[feature_service]]
name = "unwatched"
features = ["usual@1"]

[[source]]
name = "served"
path = "data/log/watched"
kind = "events"
event_time = "event_time"
partition = "dt"

[[feature_view]]
name = "last_served"
version = 1
source = "served"
as_of = "at_or_before"
entities = ["user"]
features = [{ name = "last_risk", column = "risk", type = "float64" }]
"#;

fn parquet(shop: &Shop) -> Vec<PathBuf> {
    let folder = shop.root().join("data/log");
    if !folder.exists() {
        return Vec::new();
    }
    files(&folder).into_iter().map(|(name, _)| folder.join(name)).collect()
}

#[test]
fn what_is_served_can_be_trained_on() {
    let shop = Shop::new();
    let path = shop.root().join("features/all.toml");
    let definitions = fs::read_to_string(&path).expect("definitions") + OVER_THE_LOG;
    fs::write(&path, definitions).expect("a file");
    let client = shop.serve();
    let asked = json!({
        "rows": [{"user_id": 1, "amount": 21.0}, {"user_id": 3, "amount": 5.0}, {"user_id": 99, "amount": 1.0}],
        "as_of": "2026-01-03T00:00:00Z",
    });
    let id = [("content-type", "application/json"), ("x-request-id", "the-first")];
    let body = asked.to_string();
    let answer = client.send("/v1/services/watched", &id, body.as_bytes()).ok();
    client.post("/v1/services/unwatched", &json!({"rows": [{"user_id": 1}]})).ok();
    let refused = client.post("/v1/services/watched", &json!({"rows": [{"user": 1}]}));
    assert_eq!(refused.status, 422);
    // Asked through Feast's route, the same service is logged as well.
    let feast = json!({"feature_service": "watched", "entities": {"user_id": [2], "amount": [4.0]}});
    client.post("/get-online-features", &feast).ok();
    assert_eq!(parquet(&shop), Vec::<PathBuf>::new(), "nothing is written before it is time");
    let (status, log) = client.server.terminate();
    assert!(status.success(), "{log}");

    let found = parquet(&shop);
    assert_eq!(found.len(), 2, "a file for each day: {found:?}");
    let of_day = |day: &str| {
        let file = found.iter().find(|path| path.to_string_lossy().contains(day));
        file.unwrap_or_else(|| panic!("{found:?}")).to_str().expect("UTF-8").to_owned()
    };
    let first = of_day("dt=2026-01-03");
    let columns = ["request_id", "request_row", "event_time", "user_id", "amount", "risk", "risk__status", "ratio"];
    let rows = &answer["rows"];
    let expected = (0..3).map(|row| {
        let (values, request) = (&rows[row]["values"], &asked["rows"][row]);
        json!([
            "the-first",
            row,
            "2026-01-03T00:00:00Z",
            request["user_id"],
            request["amount"],
            values["risk"],
            rows[row]["statuses"]["risk"],
            values["ratio"]
        ])
    });
    assert_eq!(read(shop.root(), &first, &columns), expected.collect::<Vec<Value>>());
    assert_eq!(rows[0]["statuses"]["risk"], "PRESENT", "{answer}");
    let views = read(shop.root(), &first, &["views"])[0][0].as_str().map(serde_json::from_str::<Value>);
    let views = views.expect("a text").expect("JSON");
    assert_eq!((&views[0]["view"], &views[0]["version"]), (&"usual".into(), &1.into()), "{views}");
    assert!(views[1]["digest"].as_str().is_some_and(|digest| digest.starts_with("sha256:")), "{views}");

    // As labels: the training set says what was served, bit by bit.
    shop.run(&["training-set", "--labels", &first, "--no-status", "--service", "checkout", "--out", "said.parquet"]);
    let said = read(shop.root(), "said.parquet", &["usual__risk", "ratio__ratio"]);
    let served: Vec<Value> =
        (0..3).map(|row| json!([rows[row]["values"]["risk"], rows[row]["values"]["ratio"]])).collect();
    assert_eq!(said, served);

    // As a source: the value that was served last is a feature.
    fs::write(shop.root().join("labels.csv"), "user_id,event_time\n1,2026-01-03T00:00:00Z\n1,2026-01-02T23:59:59Z\n")
        .expect("a file");
    shop.run(&[
        "training-set",
        "--labels",
        "labels.csv",
        "--features",
        "last_served:last_risk",
        "--out",
        "last.parquet",
    ]);
    let last = read(shop.root(), "last.parquet", &["last_risk"]);
    assert_eq!(last, [json!([rows[0]["values"]["risk"]]), json!([null])]);
}
