//! The bits that the component of `examples/bursts` gives for the example's payments, held against a file: states, values in training sets, online, and of tiles that were merged.
//! Elsewhere the paths are compared with each other; a change that alters all of them alike shows here. `TANDEM_UPDATE_TRANSCRIPTS=1` writes the file anew.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{ArrayRef, Int64Array, TimestampMicrosecondArray};
use serde_json::{Value, json};
use tandem_core::limits::TransformLimits;
use tandem_core::model::NanMode;
use tandem_core::parameter::{ParameterValue, Parameters};
use tandem_core::time::Timestamp;

use crate::columns::read;
use crate::harness::guests::{component, engine, workspace};
use crate::harness::program::{tandem_registered, told};

const CARDS: [&str; 4] = ["c1", "c2", "c3", "never"];

const FEATURES: [&str; 6] =
    ["count_1h", "count_1d", "shop_distinct_count_1d", "busiest_1h", "busiest_1d", "busiest_cafe_1d"];

/// At a payment, and a moment behind it; at windows' ends; on and beside multiples of the hop. What the tiled view's horizon lies behind is at the end.
const INSTANTS: [&str; 8] = [
    "2026-03-01T00:03:00Z",
    "2026-03-01T00:03:00.000001Z",
    "2026-03-01T06:00:00Z",
    "2026-03-01T12:07:30Z",
    "2026-03-02T00:03:00Z",
    "2026-03-02T00:00:00Z",
    "2026-03-02T00:40:00Z",
    "2026-03-03T00:30:00Z",
];

/// How many of the last ones the tiled view answers as the exact one does: multiples of its hop, behind no horizon.
const TILED: usize = 3;

/// A number as the file has it: an integer, or the bits of a float64.
fn bits(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Number(number) if number.is_i64() => number.to_string(),
        value => format!("{:#018x}", value.as_f64().expect("a number").to_bits()),
    }
}

/// What the component's own functions give, of the payments of one card in several divisions.
fn states(component: &Path, payments: &[(i64, i64)]) -> String {
    let bytes = fs::read(component).expect("a component");
    let parameters = Parameters::from([("minutes".to_owned(), ParameterValue::Int64(10))]);
    let limits = TransformLimits::default();
    let aggregate = engine().load_aggregate(&bytes, NanMode::Boundary).expect("a component of the world");
    let aggregate = aggregate.bind(&parameters, &limits, 1 << 20).expect("its signature is right");
    let names: Vec<&str> = aggregate.signature().inputs.iter().map(|input| input.name.as_str()).collect();
    assert_eq!(names, ["cents", "event_time"]);
    let mut session = aggregate.session();
    let empty = session.empty().expect("a state");
    let mut add = |payments: &[(i64, i64)]| {
        let (times, cents): (Vec<i64>, Vec<i64>) = payments.iter().copied().unzip();
        let columns: [ArrayRef; 2] =
            [Arc::new(Int64Array::from(cents)), Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC"))];
        session.add(&[&empty], &vec![0; payments.len()], &columns).expect("a state").remove(0)
    };
    let (first, second) = payments.split_at(payments.len() / 3);
    let (whole, first, second) = (add(payments), add(first), add(second));
    let merged = session.merge(&[&second], &[&first]).expect("a state").remove(0);
    assert_eq!(whole, merged, "the division of the payments changes the state");
    let mut text = String::new();
    for (name, state) in
        [("of no payment", &empty), ("of the first", &first), ("of the others", &second), ("of all", &whole)]
    {
        let value = session.finish(&[state], &[Timestamp(0)]).expect("a value");
        let value = value.as_primitive::<Float64Type>().iter().next().flatten();
        let hex: String = state.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(text, "state {name}: {hex} comes to {}", bits(&json!(value))).expect("memory");
    }
    text
}

#[test]
fn the_bits_of_a_component_are_those_of_before() {
    let example = workspace().join("examples/bursts");
    let project = tempfile::tempdir().expect("a temporary folder");
    let root = project.path();
    fs::create_dir(root.join("features")).expect("a folder");
    fs::create_dir(root.join("busiest")).expect("a folder");
    for file in ["tandem.toml", "payments.csv"] {
        fs::copy(example.join(file), root.join(file)).expect("a file");
    }
    let busiest = component(&example.join("busiest"));
    fs::copy(&busiest, root.join("busiest/busiest.wasm")).expect("a file");
    let definitions = fs::read_to_string(example.join("features/cards.toml")).expect("definitions");
    let (begin, end) = (definitions.find("[[feature_view]]"), definitions.find("[[feature_service]]"));
    let view = &definitions[begin.expect("a view")..end.expect("a service")];
    let tiled = view
        .replace("\"bursts\"", "\"tiled\"")
        .replace("columns =", "precision = \"tiled\"\nhop = \"10m\"\nlateness = \"1h\"\ncolumns =");
    fs::write(root.join("features/cards.toml"), format!("{definitions}\n{tiled}")).expect("a file");
    let run = |arguments: &[&str]| told(tandem_registered(root, arguments), 0).0;
    run(&["import", "payments", "payments.csv"]);
    run(&["apply", "--by", "ada"]);
    for view in ["bursts", "tiled"] {
        run(&["materialize", view]);
    }
    let stats: Value = serde_json::from_str(&run(&["online", "stats", "--json"])).expect("JSON");
    let folded = |of: &Value| if of["view"] == "tiled@1" { of["folded"].as_u64() } else { None };
    let folded = stats["views"].as_array().expect("views").iter().find_map(folded);
    assert!(folded > Some(90), "most of the tiled view is tiles alone: {stats}");

    let labels = INSTANTS.iter().flat_map(|instant| CARDS.map(|card| format!("{card},{instant}\n")));
    fs::write(root.join("labels.csv"), format!("card_id,event_time\n{}", labels.collect::<String>())).expect("a file");
    run(&["training-set", "--labels", "labels.csv", "--service", "risk", "--out", "train.parquet"]);
    let trained = read(root, "train.parquet", &FEATURES);
    let entities = CARDS.map(|card| format!("card_id={card}"));
    let entities: Vec<&str> = entities.iter().map(String::as_str).collect();
    let online = |view: &str, instant: &str| -> Vec<Value> {
        let answer = run(&[&["get", view, "--as-of", instant, "--json"], &entities[..]].concat());
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        let rows = answer["rows"].as_array().expect("rows").iter();
        rows.map(|row| FEATURES.iter().map(|name| row["values"][name].clone()).collect()).collect()
    };
    let mut text = String::new();
    for (index, instant) in INSTANTS.iter().enumerate() {
        let rows = &trained[index * CARDS.len()..][..CARDS.len()];
        assert_eq!(online("bursts", instant), rows, "online at {instant}");
        if index + TILED >= INSTANTS.len() {
            assert_eq!(online("tiled", instant), rows, "of tiles at {instant}");
        }
        for (card, row) in CARDS.iter().zip(rows) {
            write!(text, "{instant} {card}").expect("memory");
            for (name, value) in FEATURES.iter().zip(row.as_array().expect("values")) {
                write!(text, " {name}={}", bits(value)).expect("memory");
            }
            text.push('\n');
        }
    }

    let payments = fs::read_to_string(root.join("payments.csv")).expect("payments");
    let payment = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        (Timestamp::parse(fields[1]).expect("a time").0, fields[2].parse().expect("cents"))
    };
    let payments: Vec<(i64, i64)> =
        payments.lines().filter(|line| line.starts_with("c1,")).take(9).map(payment).collect();
    text.push_str(&states(&busiest, &payments));

    let path = workspace().join("tests/all/component_aggregates/golden.txt");
    if std::env::var_os("TANDEM_UPDATE_TRANSCRIPTS").is_some() {
        fs::write(&path, &text).expect("the file can be written");
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == text, "{} has other bits than:\n{text}", path.display());
}
