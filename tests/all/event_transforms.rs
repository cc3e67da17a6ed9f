//! Views of aggregates whose events a component makes of the source's rows: on every path the same component, and the same bits.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::columns::read;
use crate::harness::guests::Guest;
use crate::harness::program::{Serving, tandem_registered, told};

/// `on_error` stands for itself.
fn definitions(component: &Path, on_error: &str) -> String {
    format!(
        r#"[[entity]]
name = "card"
join_keys = [{{ name = "card_id", type = "string" }}]

[[source]]
name = "checkouts"
path = "data/checkouts"
kind = "events"
event_time = "at"
created_time = "known_at"
timezone = "UTC"
partition = "date"

[[feature_view]]
name = "habits"
version = 1
source = "checkouts"
entities = ["card"]
component = {component:?}
inputs = {{ last_seen = "seen_at" }}
columns = {{ ratio = "float64", gap = {{ column = "seconds_since", type = "float64" }} }}
where = "ratio < 2 or ratio is null"
on_error = "{on_error}"
aggregates = [
    {{ function = "count", windows = ["1h", "lifetime"] }},
    {{ function = "sum", column = "ratio", windows = ["1h", "1d"] }},
    {{ function = "mean", column = "gap", where = "gap > 600", windows = ["1d"] }},
    {{ function = "last_n", column = "ratio", n = 3, windows = ["lifetime"] }},
]

[[feature_service]]
name = "checkout"
features = ["habits@1"]
"#
    )
}

/// Some of each hour of two days. Some have an amount that the component refuses, some none where it takes no null.
fn checkouts(first: usize, count: usize) -> Vec<Value> {
    let time =
        |minute: usize| format!("2026-03-{:02}T{:02}:{:02}:00Z", 1 + minute / 1_440, minute / 60 % 24, minute % 60);
    let checkout = |index: usize| {
        let (card, minute) = (["a", "b", "c"][index % 3], 60 + index * 17 % 2_600);
        let amount = match index % 11 {
            5 => json!(13.0),
            7 => Value::Null,
            _ => json!((index * 37 % 1_000) as f64 / 7.0 + 0.1),
        };
        let usual = if index.is_multiple_of(4) { Value::Null } else { json!((index % 9) as f64 + 0.3) };
        let late = if index.is_multiple_of(5) { 90 } else { 0 };
        json!({
            "card_id": card, "at": time(minute), "known_at": time(minute + late), "amount": amount, "usual": usual,
            "seen_at": time(minute - index % 50),
        })
    };
    (first..first + count).map(checkout).collect()
}

/// The columns of a checkout.
const CHECKOUT_COLUMNS: [&str; 6] = ["card_id", "at", "known_at", "amount", "usual", "seen_at"];

/// These columns of rows, with their names; a null is an empty cell.
pub(crate) fn csv(columns: &[&str], rows: &[Value]) -> String {
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let line = |row: &Value| columns.iter().map(|column| text(&row[column])).collect::<Vec<_>>().join(",");
    let lines: Vec<String> = std::iter::once(columns.join(",")).chain(rows.iter().map(line)).collect();
    lines.join("\n") + "\n"
}

#[test]
fn a_component_makes_the_events_on_every_path() {
    let project = tempfile::tempdir().expect("a temporary folder");
    let root = project.path();
    fs::create_dir(root.join("features")).expect("a folder");
    let write = |name: &str, text: &str| fs::write(root.join(name), text).expect("a file");
    write("tandem.toml", "[project]\nname = \"habits\"\n[server]\nlisten = \"127.0.0.1:0\"\nallow_replay = true\n");
    write("features/all.toml", &definitions(Guest::Ratio.path(), "quarantine"));
    write("history.csv", &csv(&CHECKOUT_COLUMNS, &checkouts(0, 110)));
    let run = |arguments: &[&str], code: i32| told(tandem_registered(root, arguments), code);
    let json_of = |arguments: &[&str]| -> Value {
        let (data, _) = run(&[arguments, &["--json"]].concat(), 0);
        serde_json::from_str(&data).expect("JSON")
    };
    run(&["import", "checkouts", "history.csv"], 0);
    let (checked, _) = run(&["check"], 0);
    assert!(checked.starts_with("habits@1  4 inputs, 6 features"), "{checked}");
    // The component is proved before it is registered, and kept.
    let (applied, notes) = run(&["apply", "--by", "ada"], 0);
    assert!(format!("{applied}{notes}").contains("no bit differs"), "{applied}{notes}");
    let (plan, _) = run(&["plan"], 0);
    assert!(!plan.contains("habits"), "{plan}");
    let (lineage, _) = run(&["lineage", "habits"], 0);
    assert!(lineage.contains("seen_at") && lineage.contains("usual"), "{lineage}");

    let report = json_of(&["materialize", "habits"]);
    // One of eleven has an amount that is refused, one none.
    assert_eq!(
        (&report["rows"], &report["set_aside"], &report["set_aside_transform"]),
        (&json!(90), &json!(20), &json!(20))
    );

    let server = Serving::start_registered(root, &[]);
    let ask = |route: &str, body: &Value| server.ask(route, body);
    // Late ones first, some of the history again, and one twice.
    for (first, count, failing) in [(154, 33, 6), (88, 66, 12), (165, 11, 2)] {
        let (status, answer) =
            ask("/v1/push/habits", &json!({"on_error": "quarantine", "rows": checkouts(first, count)}));
        assert_eq!((status, &answer["accepted"]), (200, &json!(count - failing)), "{answer}");
        assert_eq!(
            answer["quarantined"].as_array().map(Vec::len).or(answer["quarantined"].as_u64().map(|n| n as usize)),
            Some(failing),
            "{answer}"
        );
    }
    // Where one is to fail them all, it does, and says why.
    let (status, refused) = ask("/v1/push/habits", &json!({"on_error": "fail", "rows": checkouts(203, 2)}));
    assert_eq!(status, 422, "{refused}");
    assert_eq!(refused["failed_rows"][0]["reason"], "transform_error", "{refused}");
    assert!(refused["failed_rows"][0]["message"].as_str().expect("a text").contains("is unlucky"), "{refused}");

    let instants: Vec<String> =
        (0..40).map(|hour| format!("2026-03-{:02}T{:02}:{:02}:00Z", 1 + hour / 24, hour % 24, hour)).collect();
    let cards = ["a", "b", "c", "never"];
    let (mut served, mut names): (Vec<Value>, Vec<String>) = (Vec::new(), Vec::new());
    for instant in &instants {
        let asked = json!({"view": "habits", "as_of": instant, "entities": {"card_id": cards}});
        let (status, answer) = ask("/v1/features", &asked);
        assert_eq!(status, 200, "{answer}");
        for row in answer["rows"].as_array().expect("rows") {
            let values = row["values"].as_object().expect("values");
            names = values.keys().cloned().collect();
            served.push(values.values().cloned().collect());
        }
    }
    drop(server);

    run(&["log", "flush"], 0);
    let labels: String = instants.iter().flat_map(|instant| cards.map(|card| format!("{card},{instant}\n"))).collect();
    write("labels.csv", &format!("card_id,event_time\n{labels}"));
    let arguments = ["training-set", "--labels", "labels.csv", "--service", "checkout", "--out", "train.parquet"];
    let (_, notes) = run(&arguments, 0);
    assert!(notes.contains("of them rows that its component fails on: 20"), "{notes}");
    let columns: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(read(root, "train.parquet", &columns), served);
    let different: std::collections::BTreeSet<String> = served.iter().map(Value::to_string).collect();
    assert!(different.len() > 80, "the values say little: {}", different.len());

    for more in [&[][..], &["--at", "2026-03-01T20:30:00Z,2026-03-02T11:00:00Z"]] {
        let report = json_of(&[&["parity", "habits"], more].concat());
        assert_eq!(report["different"], json!(0), "{report:#}");
        assert!(report["rows"].as_u64().expect("a number") >= 150, "{report:#}");
    }

    // What stops a run says on which row.
    write(
        "features/all.toml",
        &definitions(Guest::Ratio.path(), "fail").replace("version = 1", "version = 2").replace("habits@1", "habits@2"),
    );
    run(&["apply", "--by", "ada", "--allow-breaking"], 0);
    let (_, notes) = run(&["materialize", "habits@2"], 1);
    assert!(notes.contains("amount") && notes.contains("row 5"), "{notes}");
    // A column must be an output of the component, and of its type.
    let wrong = definitions(Guest::Ratio.path(), "fail").replace("ratio = \"float64\"", "ratio = \"int64\"");
    write(
        "features/all.toml",
        &wrong.replace("\"seconds_since\"", "\"seconds_sinc\"").replace("ratio < 2", "ratio < 7"),
    );
    let (_, notes) = run(&["check"], 2);
    assert!(
        notes.contains(
            "column `ratio` of feature view `habits` is int64, but output `ratio` of its component is float64"
        ),
        "{notes}"
    );
    assert!(notes.contains("did you mean `seconds_since`?"), "{notes}");
}
