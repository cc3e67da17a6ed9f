//! A view of aggregates at the instants of a grid: what batch publishes of it, and what a view over these rows makes of them.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{DEFINITIONS, project};
use crate::columns::read;
use crate::harness::guests::Guest;
use crate::harness::program::{tandem_registered, told};

const TREND: &str = r#"
[[feature_view]]
name = "trend"
version = 1
source = { view = "activity@1" }
entities = ["card"]
component = "ratio.wasm"
inputs = { amount = "amount_sum_today", usual = "amount_max_1d", last_seen = "event_time" }

[[feature_service]]
name = "trends"
features = ["trend@1"]

[[feature_view]]
name = "watched"
version = 1
source = "payments"
entities = ["card"]
every = "1d"
columns = { amount = "float64" }
checks = [{ check = "range", feature = "amount_max_2d", max = 100, action = "fail" }]
aggregates = [{ function = "max", column = "amount", windows = ["2d"] }]
"#;

const FEATURES: [&str; 6] =
    ["count_1h", "amount_sum_1h", "amount_sum_today", "late_share_1d", "amount_max_1d", "shop_last_2_1d"];

/// Card, instant and features of the published rows of a day that stand.
fn published(root: &Path, day: &str) -> Vec<Value> {
    let columns = [&["card_id", "event_time"], &FEATURES[..], &["retracted_time"]].concat();
    let rows = read(root, &format!("data/features/activity/v1/date={day}/part-0.parquet"), &columns);
    let stands = |row: &Value| row[8].is_null();
    let without = |mut row: Value| {
        row.as_array_mut().expect("a row").truncate(8);
        row
    };
    rows.into_iter().filter(stands).map(without).collect()
}

#[test]
fn a_grid_is_published_and_feeds_views() {
    let project = project();
    let root = project.path();
    let definitions = DEFINITIONS
        .replace("[\"1h\", \"lifetime\"]", "[\"1h\"]")
        .replace("\"quantile\", column = \"amount\", q = 0.9", "\"max\", column = \"amount\"")
        .replace("defaults = { amount_p90_1d = -1.0 }", "every = \"6h\"");
    fs::write(root.join("features/all.toml"), format!("{definitions}{TREND}")).expect("a file");
    fs::copy(Guest::Ratio.path(), root.join("ratio.wasm")).expect("a copy");
    let run = |arguments: &[&str], code: i32| told(tandem_registered(root, arguments), code);
    let json_of = |arguments: &[&str]| -> Value {
        let (data, _) = run(&[arguments, &["--json"]].concat(), 0);
        serde_json::from_str(&data).expect("JSON")
    };
    let (applied, _) = run(&["apply", "--by", "ada"], 0);
    assert!(applied.contains("tandem batch activity@1"), "{applied}");

    // A grid has no ends of its own.
    let (_, notes) = run(&["batch", "activity", "--from", "2026-03-01"], 2);
    assert!(notes.contains("--from and --to"), "{notes}");
    let (_, notes) = run(&["batch", "trend"], 1);
    assert!(notes.contains("tandem batch"), "{notes}");
    let grid = ["batch", "activity", "--from", "2026-03-01", "--to", "2026-03-05"];
    let report = json_of(&grid);
    assert_eq!((&report["total"]["rows_in"], &report["total"]["added"]), (&json!(7), &json!(10)), "{report:#}");
    assert_eq!(report["partitions"].as_array().map(Vec::len), Some(4), "{report:#}");

    // Rows as long as a window has an event, and one more.
    let days = ["2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04"];
    let rows: Vec<Value> = days.iter().flat_map(|day| published(root, day)).collect();
    let places: Vec<String> = rows.iter().map(|row| format!("{} {}", row[0], row[1]).replace('"', "")).collect();
    let at = |card: &str, times: &[&str]| -> Vec<String> {
        times.iter().map(|time| format!("{card} 2026-03-{time}:00:00Z")).collect()
    };
    let expected = [
        at("a", &["01T12", "01T18"]),
        at("a", &["02T00", "02T06", "02T12"]),
        at("b", &["02T00", "02T06", "02T12", "02T18"]),
        at("b", &["03T00"]),
    ];
    assert_eq!(places, expected.concat());
    assert_eq!(
        rows[4].as_array().expect("a row")[2..],
        [json!(0), json!(0.0), json!(0.0), json!(null), json!(null), json!(null)]
    );

    // To the bit what labels there get.
    let labels: String = rows.iter().map(|row| format!("{},{}\n", row[0], row[1]).replace('"', "")).collect();
    fs::write(root.join("there.csv"), format!("card_id,event_time\n{labels}")).expect("a file");
    run(&["training-set", "--labels", "there.csv", "--service", "fraud", "--out", "there.parquet"], 0);
    let columns = [&["card_id", "event_time"], &FEATURES[..]].concat();
    let asked = read(root, "there.parquet", &columns);
    let values =
        |rows: &[Value]| -> Vec<Value> { rows.iter().map(|row| json!(row.as_array().expect("a row")[2..])).collect() };
    assert_eq!(values(&asked), values(&rows));

    // A view over the rows: the last one tells, also long after.
    run(&["batch", "trend"], 0);
    fs::write(
        root.join("labels.csv"),
        "card_id,event_time\na,2026-03-01T11:59:00Z\na,2026-03-01T13:00:00Z\na,2026-03-04T00:00:00Z\n",
    )
    .expect("a file");
    run(&["training-set", "--labels", "labels.csv", "--service", "trends", "--out", "trends.parquet"], 0);
    let trends = read(root, "trends.parquet", &["ratio", "trend__status"]);
    let ratio = (rows[0][4].as_f64().expect("a sum") / rows[0][6].as_f64().expect("a maximum")).ln();
    assert_eq!(trends, [json!([null, "NOT_FOUND"]), json!([ratio, "PRESENT"]), json!([null, "PRESENT"])]);

    // Again nothing changes; an event that came late into the files is a correction of the rows that would have seen it.
    let file = root.join("data/features/activity/v1/date=2026-03-02/part-0.parquet");
    let before = fs::read(&file).expect("the partition");
    let report = json_of(&grid);
    assert_eq!((&report["total"]["added"], &report["total"]["retracted"]), (&json!(0), &json!(0)), "{report:#}");
    assert_eq!(fs::read(&file).expect("the partition"), before);
    fs::write(
        root.join("late.csv"),
        "id,card_id,at,known_at,amount,shop,is_late,gone\n9,b,2026-03-02T07:00:00Z,2026-03-02T07:00:00Z,3,baker,false,false\n",
    )
    .expect("a file");
    run(&["import", "payments", "late.csv"], 0);
    let report = json_of(&["batch", "activity", "--from", "2026-03-02", "--to", "2026-03-04"]);
    // Those at 12 and 18, and at 0 of the next day, which is no longer the last one, and two more.
    assert_eq!((&report["total"]["added"], &report["total"]["retracted"]), (&json!(5), &json!(3)), "{report:#}");

    // What a check refuses is kept aside.
    let (_, notes) = run(&["batch", "watched", "--from", "2026-03-02", "--to", "2026-03-03"], 3);
    assert!(notes.contains("_rejected/date=2026-03-02"), "{notes}");
    assert!(!root.join("data/features/watched/v1/date=2026-03-02").join("part-0.parquet").exists());
}
