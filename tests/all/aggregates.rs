//! Views of aggregates by the program: events of a source over windows of time.

mod grid;
mod killed;
mod tiled;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::columns::read;
use crate::harness::program::{Serving, defined, tandem_registered, told};

pub(crate) const DEFINITIONS: &str = r#"[[entity]]
name = "card"
join_keys = [{ name = "card_id", type = "string" }]

[[source]]
name = "payments"
path = "data/payments"
kind = "events"
event_time = "at"
created_time = "known_at"
event_id = "id"
retracted = "gone"
timezone = "UTC"
partition = "date"

[[feature_view]]
name = "activity"
version = 1
source = "payments"
entities = ["card"]
columns = { amount = "float64", shop = "string", late = { column = "is_late", type = "boolean" } }
where = "shop != 'test' or shop is null"
timezone = "Europe/Vienna"
aggregates = [
    { function = "count", windows = ["1h", "lifetime"] },
    { function = "sum", column = "amount", windows = ["1h", "today"], description = "In euros" },
    { function = "mean", column = "late", name = "late_share", windows = ["1d"] },
    { function = "quantile", column = "amount", q = 0.9, windows = ["1d"] },
    { function = "last_n", column = "shop", n = 2, windows = ["1d"] },
]
defaults = { amount_p90_1d = -1.0 }

[[feature_service]]
name = "fraud"
features = ["activity@1"]
"#;

/// A late one, a correction, one that is taken back, one of a test, one without a shop.
const PAYMENTS: &str = "id,card_id,at,known_at,amount,shop,is_late,gone
1,a,2026-03-01T10:00:00Z,2026-03-01T10:00:00Z,0.1,baker,false,false
2,a,2026-03-01T10:10:00Z,2026-03-01T10:10:00Z,0.2,smith,true,false
3,a,2026-03-01T10:20:00Z,2026-03-01T10:50:00Z,0.3,,true,false
4,a,2026-03-01T10:30:00Z,2026-03-01T10:30:00Z,1000,test,false,false
2,a,2026-03-01T10:10:00Z,2026-03-01T11:05:00Z,0.25,smith,true,false
1,a,2026-03-01T10:00:00Z,2026-03-01T12:00:00Z,,,,true
5,b,2026-03-01T23:30:00Z,2026-03-01T23:30:00Z,5,baker,false,false
";

const LABELS: &str = "card_id,event_time
a,2026-03-01T10:10:00Z
a,2026-03-01T10:45:00Z
a,2026-03-01T11:00:00Z
a,2026-03-01T11:06:00Z
a,2026-03-01T12:00:00Z
b,2026-03-02T00:00:00Z
c,2026-03-02T00:00:00Z
,2026-03-02T00:00:00Z
";

pub(crate) fn project() -> tempfile::TempDir {
    let project = tempfile::tempdir().expect("a temporary folder");
    let root = project.path();
    fs::create_dir(root.join("features")).expect("a folder");
    for (name, text) in [
        ("tandem.toml", "[project]\nname = \"fraud\"\n[server]\nlisten = \"127.0.0.1:0\"\n"),
        ("features/all.toml", DEFINITIONS),
        ("payments.csv", PAYMENTS),
        ("labels.csv", LABELS),
    ] {
        fs::write(root.join(name), text).expect("a file");
    }
    told(tandem_registered(root, &["import", "payments", "payments.csv"]), 0);
    project
}

const COLUMNS: [&str; 9] = [
    "count_1h",
    "count_lifetime",
    "amount_sum_1h",
    "amount_sum_today",
    "late_share_1d",
    "amount_p90_1d",
    "shop_last_2_1d",
    "activity__status",
    "activity__default_reason",
];

fn made(root: &Path, name: &str) -> Vec<Value> {
    read(root, name, &COLUMNS)
}

#[test]
fn aggregates_are_features_of_a_training_set() {
    let project = project();
    let root = project.path();
    let run = |arguments: &[&str], code: i32| told(tandem_registered(root, arguments), code);
    let (checked, _) = run(&["check"], 0);
    assert!(checked.starts_with("activity@1  3 inputs, 7 features  aggregates "), "{checked}");
    run(&["apply", "--by", "ada"], 0);
    let (shown, _) = run(&["show", "activity"], 0);
    assert!(shown.contains("aggregates    sha256:") && shown.contains("late_share_1d"), "{shown}");
    let (lineage, _) = run(&["lineage", "activity"], 0);
    assert!(lineage.contains("is_late") && lineage.contains("fraud"), "{lineage}");
    let (plan, _) = run(&["plan"], 0);
    assert!(!plan.contains("activity"), "{plan}");

    run(&["training-set", "--labels", "labels.csv", "--service", "fraud", "--out", "train.parquet"], 0);
    // 0.9 of a magnitude of 0.2 lies in a bucket from 0.1992 to 0.2012, whose middle it is told by.
    let p90 = |row: &Value| row[5].as_f64().expect("a number");
    let rows = made(root, "train.parquet");
    let near = |row: usize, value: f64| assert!((p90(&rows[row]) - value).abs() <= value.abs() / 128.0, "{rows:?}");
    near(0, 0.1);
    near(1, 0.1);
    near(2, 0.2);
    near(5, 5.0);
    let others = |row: usize| -> Vec<Value> {
        let row = rows[row].as_array().expect("a row");
        row.iter().enumerate().filter(|(column, _)| *column != 5).map(|(_, value)| value.clone()).collect()
    };
    // The label's own event is outside, and so is what was not known yet.
    assert_eq!(
        others(0),
        [json!(1), json!(1), json!(0.1), json!(0.1), json!(0.0), json!(["baker"]), json!("PRESENT"), json!(null)]
    );
    assert_eq!(
        others(1),
        [
            json!(2),
            json!(2),
            json!(0.30000000000000004),
            json!(0.30000000000000004),
            json!(0.5),
            json!(["baker", "smith"]),
            json!("PRESENT"),
            json!(null)
        ]
    );
    // 0.1 + 0.2 + 0.3, rounded once: what adding them one after another does not give.
    assert_eq!(0.1 + 0.2 + 0.3, 0.6000000000000001);
    assert_eq!(others(2)[..5], [json!(3), json!(3), json!(0.6), json!(0.6), json!(0.6666666666666666)]);
    // The correction of the second counts in its place; the first left the hour.
    assert_eq!(others(3)[..4], [json!(2), json!(3), json!(0.55), json!(0.65)]);
    // The first was taken back.
    assert_eq!(others(4)[..4], [json!(0), json!(2), json!(0.0), json!(0.55)]);
    // After midnight in Vienna, though not by UTC.
    assert_eq!(others(5)[..4], [json!(1), json!(1), json!(5.0), json!(5.0)]);
    // Nobody ever saw it: counts and sums are 0.
    assert_eq!(rows[6], json!([0, 0, 0.0, 0.0, null, -1.0, null, "DEFAULTED", "NULL_VALUE"]));
    assert_eq!(rows[7], json!([null, null, null, null, null, -1.0, null, "DEFAULTED", "NOT_FOUND"]));

    let again = ["training-set", "--from-manifest", "train.parquet.manifest.json", "--out", "again.parquet"];
    run(&again, 0);
    assert!(
        fs::read(root.join("again.parquet")).expect("a set") == fs::read(root.join("train.parquet")).expect("a set")
    );

    let (told_of, _) = run(&["explain", "--labels", "labels.csv", "--row", "4", "--service", "fraud"], 0);
    for part in [
        "older than every window",
        "left out by the filter",
        "counted until 2026-03-01T12:00:00Z",
        "takes an event back",
    ] {
        assert!(told_of.contains(part) || part.starts_with("older"), "{part}: {told_of}");
    }

    let (_, notes) = run(&["batch", "activity"], 2);
    assert!(notes.contains("has no `every`"), "{notes}");
}

const ORDERS: &str = r#"[[entity]]
name = "card"
join_keys = [{ name = "card_id", type = "string" }]

[[source]]
name = "orders"
path = "data/orders"
kind = "events"
event_time = "at"
created_time = "known_at"
timezone = "UTC"
partition = "date"

[[feature_view]]
name = "spending"
version = 1
source = "orders"
entities = ["card"]
columns = { amount = "float64", shop = "string" }
where = "amount > 0 or amount is null"
timezone = "Europe/Vienna"
aggregates = [
    { function = "count", windows = ["1h", "1d", "lifetime", { session = "30m" }] },
    { function = "sum", column = "amount", windows = ["1h", "today", "lifetime"] },
    { function = "stddev", column = "amount", windows = ["1d"] },
    { function = "quantile", column = "amount", q = 0.5, windows = ["1d", "lifetime"] },
    { function = "last_n", column = "shop", n = 3, windows = ["1d"] },
    { function = "distinct_count", column = "shop", windows = ["lifetime"] },
    { function = "seconds_since_last", windows = ["lifetime"] },
]
defaults = { seconds_since_last_lifetime = -1.0 }

[[feature_service]]
name = "orders"
features = ["spending@1"]
"#;

/// Some of each hour of two days: late ones, equal ones, cents that no float has.
fn orders(first: usize, count: usize) -> Vec<Value> {
    let order = |index: usize| {
        let (card, minute) = (["a", "b", "c"][index % 3], index * 17 % 2_880);
        let late = if index.is_multiple_of(5) { 90 } else { 0 };
        let time =
            |minute: usize| format!("2026-03-{:02}T{:02}:{:02}:00Z", 1 + minute / 1_440, minute / 60 % 24, minute % 60);
        let amount =
            if index.is_multiple_of(7) { Value::Null } else { json!((index * 37 % 1_000) as f64 / 100.0 - 1.0) };
        json!({"card_id": card, "at": time(minute), "known_at": time(minute + late), "amount": amount, "shop": format!("s{}", index % 4)})
    };
    (first..first + count).map(order).collect()
}

#[test]
fn what_is_served_is_what_a_training_set_gets() {
    let project = tempfile::tempdir().expect("a temporary folder");
    let root = project.path();
    fs::create_dir(root.join("features")).expect("a folder");
    let settings = "[project]\nname = \"orders\"\n[server]\nlisten = \"127.0.0.1:0\"\nallow_replay = true\n";
    let write = |name: &str, text: &str| fs::write(root.join(name), text).expect("a file");
    write("tandem.toml", settings);
    write("features/all.toml", ORDERS);
    let csv = |rows: &[Value]| {
        let mut text = "card_id,at,known_at,amount,shop\n".to_owned();
        for row in rows {
            let text_of = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
            let amount = row["amount"].as_f64().map(|amount| amount.to_string()).unwrap_or_default();
            text += &format!(
                "{},{},{},{amount},{}\n",
                text_of("card_id"),
                text_of("at"),
                text_of("known_at"),
                text_of("shop")
            );
        }
        text
    };
    // Two equal orders in the history are two.
    let mut history = orders(0, 120);
    history.push(history[1].clone());
    write("history.csv", &csv(&history));
    let run = |arguments: &[&str], code: i32| told(tandem_registered(root, arguments), code);
    run(&["import", "orders", "history.csv"], 0);
    run(&["apply", "--by", "ada"], 0);
    let materialize = || {
        let (report, _) = run(&["materialize", "spending", "--json"], 0);
        let report: Value = serde_json::from_str(&report).expect("JSON");
        (report["rows"].clone(), report["written"].clone(), report["kept"].clone())
    };
    assert_eq!(materialize(), (json!(121), json!(121), json!(0)));
    assert_eq!(materialize(), (json!(121), json!(0), json!(121)), "it is there already");

    let server = Serving::start_registered(root, &[]);
    let ask = |route: &str, body: &Value| server.answer(route, body);
    // In batches that overlap, also with the history; the last ones first, and one again.
    for (first, count) in [(180, 60), (110, 40), (150, 40), (150, 40)] {
        let answer = ask("/v1/push/spending", &json!({"rows": orders(first, count)}));
        assert_eq!(answer["accepted"], json!(count), "{answer}");
    }
    let bad = json!({"on_error": "quarantine", "rows": [
        {"card_id": "a", "at": null, "amount": 1.0}, {"card_id": null, "at": "2026-03-01T00:00:00Z"},
        {"card_id": "a", "at": "2999-01-01T00:00:00Z"}, {"card_id": "a", "at": "2026-03-01T00:00:00Z", "amount": "x"},
    ]});
    let answer = ask("/v1/push/spending", &bad);
    assert_eq!((&answer["accepted"], &answer["logged"]), (&json!(0), &json!(0)), "{answer}");

    let instants: Vec<String> =
        (0..50).map(|hour| format!("2026-03-{:02}T{:02}:{:02}:00Z", 1 + hour / 24, hour % 24, hour)).collect();
    let cards = ["a", "b", "c", "never"];
    let mut served: Vec<Value> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    for instant in &instants {
        let answer =
            ask("/v1/features", &json!({"view": "spending", "as_of": instant, "entities": {"card_id": cards}}));
        for row in answer["rows"].as_array().expect("rows") {
            let values = row["values"].as_object().expect("values");
            names = values.keys().cloned().collect();
            served.push(values.values().cloned().collect());
        }
    }
    let of_service = ask("/v1/services/orders", &json!({"rows": [{"card_id": "a"}, {"card_id": "never"}]}));
    assert_eq!(of_service["rows"][1]["values"]["count_lifetime"], json!(0), "{of_service}");
    assert_eq!(of_service["rows"][1]["values"]["seconds_since_last_lifetime"], json!(-1.0), "{of_service}");
    drop(server);
    let (got, _) = run(&["get", "spending", "card_id=a", "--as-of", &instants[30], "--json"], 0);
    let got: Value = serde_json::from_str(&got).expect("JSON");
    assert_eq!(
        got["rows"][0]["values"],
        Value::Object(names.iter().cloned().zip(served[30 * 4].as_array().expect("values").clone()).collect())
    );

    // Offline the same, of the history and of what was pushed.
    run(&["log", "flush"], 0);
    let labels: String = instants.iter().flat_map(|instant| cards.map(|card| format!("{card},{instant}\n"))).collect();
    write("labels.csv", &format!("card_id,event_time\n{labels}"));
    run(&["training-set", "--labels", "labels.csv", "--service", "orders", "--out", "train.parquet"], 0);
    let columns: Vec<&str> = names.iter().map(String::as_str).collect();
    let trained = read(root, "train.parquet", &columns);
    assert_eq!(trained.len(), served.len());
    for (row, (trained, served)) in trained.iter().zip(&served).enumerate() {
        assert_eq!(trained, served, "{} at {}", cards[row % 4], instants[row / 4]);
    }
    let different: std::collections::BTreeSet<String> = served.iter().map(Value::to_string).collect();
    assert!(different.len() > 100, "the values say little: {}", different.len());

    // Over the whole history, each entity as of its own event; and at an instant of the past.
    for more in [&[][..], &["--sample", "40", "--at", "2026-03-01T20:30:00Z,2026-03-02T11:00:00Z"]] {
        let (report, _) = run(&[&["parity", "spending", "--json"], more].concat(), 0);
        let report: Value = serde_json::from_str(&report).expect("JSON");
        assert_eq!(report["different"], json!(0), "{report:#}");
        assert!(report["rows"].as_u64().expect("a number") >= 70, "{report:#}");
    }

    // A store that was lost is filled again, without a gap and without doubling.
    fs::remove_dir_all(root.join("data/online")).expect("a folder");
    let (rows, written, _) = materialize();
    assert_eq!((&rows, &written), (&json!(241), &json!(241)));
    let (got_again, _) = run(&["get", "spending", "card_id=a", "--as-of", &instants[30], "--json"], 0);
    let got_again: Value = serde_json::from_str(&got_again).expect("JSON");
    assert_eq!(got_again["rows"][0]["values"], got["rows"][0]["values"]);

    // What the store does not have is found.
    write("more.csv", &csv(&orders(400, 3)));
    run(&["import", "orders", "more.csv"], 0);
    let (report, notes) = run(&["parity", "spending"], 3);
    assert!(report.contains("offline") && notes.contains("differ"), "{report}{notes}");
}

#[test]
fn corrections_reach_the_server_as_they_reach_training_sets() {
    let project = project();
    let root = project.path();
    let settings = "[project]\nname = \"fraud\"\n[server]\nlisten = \"127.0.0.1:0\"\nallow_replay = true\n";
    fs::write(root.join("tandem.toml"), settings).expect("a file");
    let run = |arguments: &[&str], code: i32| told(tandem_registered(root, arguments), code);
    run(&["apply", "--by", "ada"], 0);
    let materialized = || {
        let (report, _) = run(&["materialize", "activity", "--json"], 0);
        let report: Value = serde_json::from_str(&report).expect("JSON");
        (report["rows"].clone(), report["written"].clone())
    };
    assert_eq!(materialized(), (json!(7), json!(7)));
    assert_eq!(materialized(), (json!(7), json!(0)));
    let server = Serving::start_registered(root, &[]);
    let ask = |route: &str, body: &Value| server.answer(route, body);
    let at = |time: &str| format!("2026-03-01T{time}:00Z");
    let event = |id: Value, card: &str, time: &str, known: &str, amount: Value| json!({"id": id, "card_id": card, "at": at(time), "known_at": at(known), "amount": amount, "shop": "smith", "is_late": true});
    let mut back = event(json!(2), "a", "10:10", "14:00", Value::Null);
    back["gone"] = json!(true);
    let rows = json!({"rows": [
        // A new one, a correction of the history's that moves it to another card and time, and one that came too late to count.
        event(json!(6), "b", "12:20", "12:20", json!(7.5)),
        event(json!(5), "a", "11:30", "23:40", json!(0.7)),
        event(json!("3"), "a", "10:20", "10:25", json!(9.0)),
        // Taken back; and a correction of the new one in the same push.
        back,
        event(json!(6), "b", "12:25", "12:40", json!(8.5)),
    ]});
    let answer = ask("/v1/push/activity", &rows);
    assert_eq!(answer["outcomes"], json!(["older", "written", "older", "written", "written"]), "{answer}");
    assert_eq!(answer["logged"], json!(5), "{answer}");
    let again = ask("/v1/push/activity", &rows);
    assert_eq!((&again["accepted"], &again["logged"]), (&json!(5), &json!(0)), "{again}");
    let nothing = json!({"on_error": "quarantine", "rows": [{"card_id": "a", "at": at("10:00"), "gone": true}]});
    let nothing = ask("/v1/push/activity", &nothing);
    assert!(nothing.to_string().contains("takes an event back, and has no event id"), "{nothing}");

    let instants: Vec<String> =
        (0..64).map(|quarter| at(&format!("{:02}:{:02}", 8 + quarter / 4, quarter % 4 * 15 + 1))).collect();
    let cards = ["a", "b"];
    let serve = |ask: &dyn Fn(&str, &Value) -> Value| -> Vec<Value> {
        let mut served = Vec::new();
        for instant in &instants {
            let answer =
                ask("/v1/features", &json!({"view": "activity", "as_of": instant, "entities": {"card_id": cards}}));
            let rows = answer["rows"].as_array().expect("rows").iter();
            served.extend(
                rows.map(|row| COLUMNS[..7].iter().map(|name| row["values"][*name].clone()).collect::<Value>()),
            );
        }
        served
    };
    let served = serve(&ask);
    drop(server);
    run(&["log", "flush"], 0);
    let labels: String = instants.iter().flat_map(|instant| cards.map(|card| format!("{card},{instant}\n"))).collect();
    fs::write(root.join("labels.csv"), format!("card_id,event_time\n{labels}")).expect("a file");
    run(&["training-set", "--labels", "labels.csv", "--service", "fraud", "--out", "train.parquet"], 0);
    let trained = read(root, "train.parquet", &COLUMNS[..7]);
    for (row, (trained, served)) in trained.iter().zip(&served).enumerate() {
        assert_eq!(trained, served, "{} at {}", cards[row % 2], instants[row / 2]);
    }
    assert_eq!(trained.len(), served.len());
    // Moved, taken back and corrected: of card a 3 and the moved 5 are left at the end of the day, of b the corrected 6.
    let last = &served[served.len() - 2..];
    assert_eq!((&last[0][1], &last[1][1]), (&json!(2), &json!(1)), "{last:?}");

    let parity = |code: i32| {
        let (report, _) = run(&["parity", "activity", "--json"], code);
        serde_json::from_str::<Value>(&report).expect("JSON")
    };
    assert_eq!(parity(0)["different"], json!(0));
    fs::remove_dir_all(root.join("data/online")).expect("a folder");
    assert_eq!(materialized(), (json!(12), json!(12)));
    assert_eq!(parity(0)["different"], json!(0));

    // What was pushed and is in no file yet goes along into a store that is built anew beside the one that is served.
    let late: String =
        [event(json!(6), "a", "15:30", "16:00", json!(1.25)), event(json!(9), "b", "15:40", "15:40", json!(2))]
            .map(|event| format!("{event}\n"))
            .concat();
    fs::write(root.join("late.jsonl"), late).expect("a file");
    run(&["ingest", "activity", "late.jsonl"], 0);
    let counts = || {
        cards.map(|card| {
            let (got, _) = run(&["get", "activity", &format!("card_id={card}"), "--as-of", &at("23:59"), "--json"], 0);
            serde_json::from_str::<Value>(&got).expect("JSON")["rows"][0]["values"]["count_lifetime"].clone()
        })
    };
    assert_eq!(counts(), [json!(3), json!(1)]);
    run(&["materialize", "activity", "--rebuild"], 0);
    assert_eq!(counts(), [json!(3), json!(1)]);
    run(&["log", "flush"], 0);
    assert_eq!(parity(0)["different"], json!(0));
}

/// A view without a window that has no end, whose events are dropped.
const BRIEF: &str = r#"[[entity]]
name = "card"
join_keys = [{ name = "card_id", type = "string" }]

[[source]]
name = "taps"
path = "data/taps"
kind = "events"
event_time = "at"
timezone = "UTC"

[[feature_view]]
name = "taps"
version = 1
source = "taps"
entities = ["card"]
columns = {}
retention = "1h"
aggregates = [{ function = "count", windows = ["1h"] }]
"#;

#[test]
fn a_server_drops_what_no_window_reaches_as_its_view_says_by_now() {
    // Events are kept for another week at first.
    let project = defined("brief", &BRIEF.replacen("\"1h\"", "\"7d\"", 1));
    let root = project.path();
    fs::write(root.join("tandem.toml"), "[project]\nname = \"brief\"\n[expiry]\npass_seconds = 1\n").expect("a file");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_micros() as i64;
    // Events are kept for an hour and a day: in three seconds no window reaches these.
    let soon = tandem_core::time::Timestamp(now - 25 * 3_600_000_000 + 3_000_000);
    let later = tandem_core::time::Timestamp(now - 3_600_000_000);
    let rows: String = (0..40)
        .map(|card| {
            json!({"card_id": format!("c{card}"), "at": if card < 30 { soon } else { later }.to_string()}).to_string()
                + "\n"
        })
        .collect();
    fs::write(root.join("taps.jsonl"), rows).expect("a file");
    let run = |arguments: &[&str]| told(tandem_registered(root, arguments), 0).0;
    run(&["apply", "--by", "ada"]);
    run(&["ingest", "taps", "taps.jsonl"]);
    let events = || {
        let stats: Value = serde_json::from_str(&run(&["online", "stats", "--json"])).expect("JSON");
        stats["views"][0]["rows"].as_u64().unwrap_or_else(|| panic!("{stats:#}"))
    };
    assert_eq!(events(), 40);
    let server = Serving::start_registered(root, &[]);
    // Longer than the instant at which an hour would be over, and a pass.
    std::thread::sleep(std::time::Duration::from_secs(5));
    assert_eq!(events(), 40, "nothing is dropped before the week is over");
    // The server goes on with what is applied: how long events are kept is no other meaning of the view.
    fs::write(root.join("features/all.toml"), BRIEF).expect("a file");
    run(&["apply", "--by", "ada"]);
    let begun = std::time::Instant::now();
    while events() > 10 {
        assert!(begun.elapsed().as_secs() < 30, "{} events are left", events());
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    assert_eq!(events(), 10, "what a window reaches stays");
    drop(server);
}

#[test]
fn what_was_served_at_an_instant_of_the_past_is_replayed() {
    let project = project();
    let root = project.path();
    let run = |arguments: &[&str], code: i32| told(tandem_registered(root, arguments), code);
    run(&["apply", "--by", "ada"], 0);
    run(&["materialize", "activity"], 0);
    let event = |id: usize, card: &str| {
        let at = format!("2026-03-02T10:{id:02}:00Z");
        json!({"id": id, "card_id": card, "at": at, "known_at": at, "amount": 0.25, "shop": "smith"}).to_string() + "\n"
    };
    let ingest = |name: &str, lines: String| {
        fs::write(root.join(name), lines).expect("a file");
        run(&["ingest", "activity", name], 0);
    };
    ingest("first.jsonl", (20..24).map(|id| event(id, "a")).collect());
    run(&["log", "flush"], 0);
    let now = || {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock");
        tandem_core::time::Timestamp(since.as_micros() as i64)
    };
    let between = now();
    // Published later than it was known, some of it still in the log, and a correction of what was served before.
    ingest(
        "second.jsonl",
        (23..26)
            .map(|id| event(id, "b"))
            .collect::<String>()
            .replace(r#""known_at":"2026-03-02T10:23"#, r#""known_at":"2026-03-02T11:23"#),
    );
    let after = now();
    let replay = |at: &str, code: i32| {
        let (report, _) = run(&["parity", "activity", "--replay", "--at", at, "--json"], code);
        serde_json::from_str::<Value>(&report).expect("JSON")
    };
    let skewed = |report: &Value, feature: &str| {
        let features = report["features"].as_array().expect("features");
        features.iter().find(|one| one["feature"] == feature).expect("the feature")["skewed"].clone()
    };
    run(&["log", "flush"], 0);
    let report = replay(&format!("{between},{after}"), 0);
    assert_eq!(report["different"], json!(0), "{report:#}");
    let events: Vec<_> =
        report["replayed"].as_array().expect("instants").iter().map(|one| one["events"].clone()).collect();
    // Seven rows of files and four that were pushed; then three more.
    assert_eq!(events, [json!(11), json!(14)]);
    // Before the second push both cards had other events: each entity that was asked for was served otherwise, and then none was.
    assert_eq!(skewed(&report, "count_lifetime"), json!(report["rows"].as_u64().expect("a number") / 2), "{report:#}");
    let one = report["skews"]
        .as_array()
        .expect("skews")
        .iter()
        .find(|one| one["feature"] == "count_lifetime" && one["entity"] == r#"card_id="b""#);
    let one = one.expect("of card b");
    let values = ["known", "served"]
        .map(|name| one[name].as_str().expect("a value").split(' ').next().expect("a value").to_owned());
    assert_eq!(values, ["4", "1"], "{one}");
    assert_eq!(one["at"], json!(between.to_string()));
    let (_, notes) = run(&["parity", "activity", "--replay"], 2);
    assert!(notes.contains("--at"), "{notes}");
}
