//! Functions of aggregates that components compute: the same bits in a training set and online, whatever order events come in; and what becomes of one that
//! fails.
//!
//! - `golden`: the bits of an example's component, kept in a file

mod golden;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::columns::read;
use crate::event_transforms::csv;
use crate::harness::guests::Guest;
use crate::harness::program::{Serving, tandem_registered, told};

fn definitions(component: &Path) -> String {
    format!(
        r#"[[entity]]
name = "card"
join_keys = [{{ name = "card_id", type = "string" }}]

[[source]]
name = "payments"
path = "data/payments"
kind = "events"
event_time = "at"
created_time = "known_at"
timezone = "UTC"
partition = "date"

[[feature_view]]
name = "surges"
version = 1
source = "payments"
entities = ["card"]
columns = {{ spent = {{ column = "cents", type = "int64" }}, shop = "string" }}
aggregates = [
    {{ function = "count", windows = ["1d"] }},
    {{ function = "component", component = {component:?}, inputs = {{ cents = "spent" }}, parameters = {{ minutes = 30 }}, type = "float64", name = "surge", windows = ["2h", "1d", "lifetime", {{ session = "90m" }}] }},
    {{ function = "component", component = {component:?}, inputs = {{ cents = "spent" }}, parameters = {{ minutes = 600 }}, type = "float64", name = "cafe_surge", where = "shop = 'cafe'", windows = ["1d"] }},
]
defaults = {{ surge_2h = -1.0 }}

[[feature_service]]
name = "risk"
features = ["surges@1"]
"#
    )
}

fn payments(first: usize, count: usize) -> Vec<Value> {
    let time =
        |minute: usize| format!("2026-03-{:02}T{:02}:{:02}:00Z", 1 + minute / 1_440, minute / 60 % 24, minute % 60);
    let payment = |index: usize| {
        let (card, minute) = (["a", "b", "c"][index % 3], index * 13 % 2_700);
        let cents = if index.is_multiple_of(9) { Value::Null } else { json!(index * 7919 % 10_007) };
        let shop = [json!("cafe"), json!("baker"), Value::Null, json!("cafe")][index % 4].clone();
        let late = if index.is_multiple_of(6) { 100 } else { 0 };
        json!({"card_id": card, "at": time(minute), "known_at": time(minute + late), "cents": cents, "shop": shop})
    };
    (first..first + count).map(payment).collect()
}

/// The columns of a payment.
const PAYMENT_COLUMNS: [&str; 5] = ["card_id", "at", "known_at", "cents", "shop"];

#[test]
fn a_component_computes_the_same_offline_and_online() {
    let project = tempfile::tempdir().expect("a temporary folder");
    let root = project.path();
    fs::create_dir(root.join("features")).expect("a folder");
    let write = |name: &str, text: &str| fs::write(root.join(name), text).expect("a file");
    write("tandem.toml", "[project]\nname = \"surges\"\n[server]\nlisten = \"127.0.0.1:0\"\nallow_replay = true\n");
    write("features/all.toml", &definitions(Guest::Surges.path()));
    write("history.csv", &csv(&PAYMENT_COLUMNS, &payments(0, 120)));
    let run = |arguments: &[&str], code: i32| told(tandem_registered(root, arguments), code);
    let json_of = |arguments: &[&str]| -> Value {
        let (data, _) = run(&[arguments, &["--json"]].concat(), 0);
        serde_json::from_str(&data).expect("JSON")
    };
    run(&["import", "payments", "history.csv"], 0);
    run(&["apply", "--by", "ada"], 0);
    let (plan, _) = run(&["plan"], 0);
    assert!(!plan.contains("surges"), "{plan}");
    assert_eq!(json_of(&["materialize", "surges"])["written"], json!(120));

    let server = Serving::start_registered(root, &[]);
    let ask = |route: &str, body: &Value| server.answer(route, body);
    for (first, count) in [(180, 40), (110, 70), (150, 20)] {
        let answer = ask("/v1/push/surges", &json!({"rows": payments(first, count)}));
        assert_eq!(answer["accepted"], json!(count), "{answer}");
    }
    let instants: Vec<String> =
        (0..42).map(|hour| format!("2026-03-{:02}T{:02}:{:02}:00Z", 1 + hour / 24, hour % 24, hour)).collect();
    let cards = ["a", "b", "c", "never"];
    let (mut served, mut names): (Vec<Value>, Vec<String>) = (Vec::new(), Vec::new());
    for instant in &instants {
        let asked = json!({"view": "surges", "as_of": instant, "entities": {"card_id": cards}});
        for row in ask("/v1/features", &asked)["rows"].as_array().expect("rows") {
            let values = row["values"].as_object().expect("values");
            names = values.keys().cloned().collect();
            served.push(values.values().cloned().collect());
        }
    }
    run(&["log", "flush"], 0);
    let labels: String = instants.iter().flat_map(|instant| cards.map(|card| format!("{card},{instant}\n"))).collect();
    write("labels.csv", &format!("card_id,event_time\n{labels}"));
    let training_set = ["training-set", "--labels", "labels.csv", "--service", "risk", "--out", "train.parquet"];
    run(&training_set, 0);
    let columns: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(read(root, "train.parquet", &columns), served);
    let different: BTreeSet<String> = served.iter().map(Value::to_string).collect();
    assert!(different.len() > 80, "the values say little: {}", different.len());
    // What the greatest half hour of a card was, by hand.
    let all: Vec<Value> =
        payments(0, 220).into_iter().filter(|row| row["card_id"] == "a" && !row["cents"].is_null()).collect();
    let stretch = |row: &Value| -> (String, usize) {
        let at = row["at"].as_str().expect("a time");
        (at[..13].to_owned(), at[14..16].parse::<usize>().expect("minutes") / 30)
    };
    let stretches: BTreeSet<(String, usize)> = all.iter().map(stretch).collect();
    let sum = |one: &(String, usize)| -> i64 {
        all.iter().filter(|row| stretch(row) == *one).map(|row| row["cents"].as_i64().expect("cents")).sum()
    };
    let greatest = stretches.iter().map(sum).max().expect("some") as f64 / 100.0;
    let last = ask(
        "/v1/features",
        &json!({"view": "surges", "as_of": "2026-03-05T00:00:00Z", "entities": {"card_id": ["a"]}}),
    );
    assert_eq!(last["rows"][0]["values"]["surge_lifetime"], json!(greatest), "{last}");
    for more in [&[][..], &["--at", "2026-03-01T20:30:00Z,2026-03-02T11:00:00Z"]] {
        let report = json_of(&[&["parity", "surges"], more].concat());
        assert_eq!(report["different"], json!(0), "{report:#}");
        assert!(report["rows"].as_u64().expect("a number") >= 200, "{report:#}");
    }

    // An event that the component traps on: its feature fails wherever the event is inside, and nothing else does.
    let cursed = json!({"card_id": "b", "at": "2026-03-02T20:00:00Z", "known_at": "2026-03-02T20:00:00Z", "cents": 5, "shop": "cursed"});
    let answer = ask("/v1/push/surges", &json!({"rows": [cursed]}));
    assert_eq!(answer["accepted"], json!(1), "{answer}");
    let asked = json!({"view": "surges", "as_of": "2026-03-02T20:10:00Z", "entities": {"card_id": ["a", "b"]}});
    let answer = ask("/v1/features", &asked);
    let of = |row: usize, what: &str, feature: &str| answer["rows"][row][what][feature].clone();
    assert_eq!(of(1, "values", "surge_2h"), Value::Null, "no default hides it: {answer}");
    assert!(answer.to_string().contains("TRANSFORM_ERROR"), "{answer}");
    assert!(
        of(1, "values", "count_1d").as_i64().expect("a count") > 10 && !of(1, "values", "cafe_surge_1d").is_null(),
        "{answer}"
    );
    assert!(!of(0, "values", "surge_1d").is_null(), "{answer}");
    drop(server);
    run(&["log", "flush"], 0);
    write("labels.csv", "card_id,event_time\nb,2026-03-02T20:10:00Z\n");
    let (_, notes) = run(&training_set, 1);
    assert!(notes.contains("the component of feature `surge_") && notes.contains("trapped"), "{notes}");

    // What does not fit is told where it stands.
    let wrong = definitions(Guest::Surges.path()).replacen("\"float64\", name", "\"int64\", name", 1);
    write("features/all.toml", &wrong.replacen("cents = \"spent\"", "cent = \"spent\"", 1));
    let (_, notes) = run(&["check"], 2);
    for part in [
        "it has no input `cent`",
        "did you mean `cents`?",
        "its input `cents` comes from column `cents`",
        "it gives float64, and `type` says int64",
    ] {
        assert!(notes.contains(part), "{part}: {notes}");
    }
    write("features/all.toml", &definitions(Guest::Ratio.path()));
    let (_, notes) = run(&["check"], 2);
    assert!(notes.contains("does not export the interface `aggregation`"), "{notes}");
}
