//! Tiled views by the program: what lies far back is kept as tiles alone, and nothing of it is lost or counted twice.

use std::fs;

use serde_json::{Value, json};

use crate::columns::read;
use crate::harness::program::{Serving, tandem_registered, told};

const METERS: &str = r#"[[entity]]
name = "card"
join_keys = [{ name = "card_id", type = "string" }]

[[source]]
name = "taps"
path = "data/taps"
kind = "events"
event_time = "at"
created_time = "known_at"
event_id = "id"
retracted = "gone"
timezone = "UTC"
partition = "date"

[[feature_view]]
name = "usage"
version = 1
source = "taps"
entities = ["card"]
columns = { amount = "float64", gate = "string" }
precision = "tiled"
hop = "1h"
lateness = "2h"
timezone = "Europe/Vienna"
aggregates = [
    { function = "count", windows = ["3h", "1d", "lifetime", "today"] },
    { function = "sum", column = "amount", windows = ["3h", "lifetime"] },
    { function = "last_n", column = "gate", n = 2, windows = ["1d"] },
    { function = "quantile", column = "amount", q = 0.5, windows = ["1d"] },
]

[[feature_service]]
name = "gates"
features = ["usage@1"]
"#;

/// The tap of a card at a minute of the history, known at once.
fn tap(id: usize, minute: usize) -> Value {
    let at = format!("2026-03-{:02}T{:02}:{:02}:00Z", 1 + minute / 1440, minute / 60 % 24, minute % 60);
    let (card, gate) = (["a", "b"][id % 2], ["north", "south", "west"][id % 3]);
    json!({"id": id, "card_id": card, "at": at, "known_at": at, "amount": (id * 7 % 100) as f64 / 10.0, "gate": gate, "gone": false})
}

fn csv(rows: &[Value]) -> String {
    let names = ["id", "card_id", "at", "known_at", "amount", "gate", "gone"];
    let line = |row: &Value| {
        let value = |name: &&str| row[*name].as_str().map_or_else(|| row[*name].to_string(), str::to_owned);
        names.iter().map(value).collect::<Vec<_>>().join(",") + "\n"
    };
    names.join(",") + "\n" + &rows.iter().map(line).collect::<String>()
}

#[test]
fn what_lies_far_back_is_kept_as_tiles_and_counts_once() {
    let project = tempfile::tempdir().expect("a temporary folder");
    let root = project.path();
    fs::create_dir(root.join("features")).expect("a folder");
    let write = |name: &str, text: &str| fs::write(root.join(name), text).expect("a file");
    write("tandem.toml", "[project]\nname = \"taps\"\n[server]\nlisten = \"127.0.0.1:0\"\nallow_replay = true\n");
    write("features/all.toml", METERS);
    let run = |arguments: &[&str], code: i32| told(tandem_registered(root, arguments), code);
    let json_of = |arguments: &[&str]| -> Value { serde_json::from_str(&run(arguments, 0).0).expect("JSON") };
    // A tap every ten minutes, for a day and a half.
    write("history.csv", &csv(&(0..216).map(|id| tap(id, id * 10)).collect::<Vec<_>>()));
    run(&["import", "taps", "history.csv"], 0);
    run(&["apply", "--by", "ada"], 0);
    let report = json_of(&["materialize", "usage", "--json"]);
    assert_eq!((&report["written"], &report["too_late"]), (&json!(216), &json!(0)), "{report}");
    let stats = || {
        let stats = json_of(&["online", "stats", "--json"]);
        let one = &stats["views"][0];
        [&one["rows"], &one["folded"], &one["ids"]].map(|count| count.as_u64().expect("a number"))
    };
    let [kept, folded, ids] = stats();
    // The newest taps are of 11:40 and 11:50: what is before 9:00 is folded, and known by its id back to 7:00.
    assert_eq!((kept, folded, ids, &report["folded"]), (18, 198, 12, &json!(198)));
    let report = json_of(&["materialize", "usage", "--json"]);
    assert_eq!([&report["written"], &report["kept"], &report["too_late"]], [&json!(0), &json!(216), &json!(0)]);

    let server = Serving::start_registered(root, &[]);
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let ask = |route: &str, body: &Value| -> (u16, Value) {
        let request = agent.post(format!("{}{route}", server.url())).header("content-type", "application/json");
        let mut response = request.send(body.to_string()).expect("an answer");
        let text = response.body_mut().read_to_string().expect("text");
        (response.status().as_u16(), serde_json::from_str(&text).expect("JSON"))
    };
    let push = |rows: &[Value]| {
        let (status, answer) = ask("/v1/push/usage", &json!({"rows": rows}));
        assert_eq!(status, 200, "{answer}");
        answer
    };
    // New ones, one of the hour before, one that was corrected in time, and one that was taken back.
    let mut corrected = tap(210, 2100);
    (corrected["amount"], corrected["known_at"]) = (json!(99.5), json!("2026-03-02T12:00:00Z"));
    let mut gone = tap(212, 2120);
    (gone["gone"], gone["known_at"]) = (json!(true), json!("2026-03-02T12:00:00Z"));
    let taken = [tap(300, 2165), tap(301, 2166), tap(302, 2105), corrected.clone(), gone.clone()];
    let answer = push(&taken);
    assert_eq!((&answer["written"], &answer["accepted"]), (&json!(5), &json!(5)), "{answer}");
    // Again: nothing; nor one that is known by its id alone. Too late: one of yesterday, a correction of what was folded, and what nobody knows any more.
    let mut too_late = tap(45, 450);
    (too_late["amount"], too_late["known_at"]) = (json!(-1.0), json!("2026-03-02T12:00:00Z"));
    let mut of_id = tap(195, 1950);
    (of_id["at"], of_id["known_at"], of_id["amount"]) =
        (json!("2026-03-02T12:01:00Z"), json!("2026-03-02T12:01:00Z"), json!(-1.0));
    let rows = [taken[0].clone(), corrected, tap(195, 1950), tap(400, 1000), too_late, of_id, tap(3, 30)];
    let answer = push(&rows);
    assert_eq!(
        answer["outcomes"],
        json!(["unchanged", "unchanged", "unchanged", "quarantined", "quarantined", "quarantined", "quarantined"])
    );
    assert_eq!((&answer["accepted"], &answer["logged"]), (&json!(3), &json!(0)), "{answer}");
    let refused = answer["quarantined"].as_array().expect("rows");
    assert!(
        refused.iter().all(|row| row["reason"] == "too_late"
            && row["message"].as_str().is_some_and(|text| text.contains("lateness (2h)"))),
        "{answer}"
    );
    let metrics = agent
        .get(format!("{}/metrics", server.url()))
        .call()
        .expect("metrics")
        .body_mut()
        .read_to_string()
        .expect("text");
    assert!(metrics.lines().any(|line| line.contains("outcome=\"too_late\"") && line.ends_with(" 4")), "{metrics}");

    // From the horizon on every instant is answered, to the bit as in a training set; before, it is refused, and not made up.
    run(&["log", "flush"], 0);
    let instants = [
        "2026-03-02T12:00:00.000001Z",
        "2026-03-02T12:30:00Z",
        "2026-03-02T15:59:00Z",
        "2026-03-03T01:00:00Z",
        "2026-03-09T00:00:00Z",
    ];
    let (mut served, mut labels, mut names) = (Vec::new(), "card_id,event_time\n".to_owned(), Vec::new());
    for instant in instants {
        let (status, answer) = ask(
            "/v1/features",
            &json!({"view": "usage", "as_of": instant, "entities": {"card_id": ["a", "b", "never"]}}),
        );
        assert_eq!(status, 200, "{answer}");
        for (row, card) in answer["rows"].as_array().expect("rows").iter().zip(["a", "b", "never"]) {
            let values = row["values"].as_object().expect("values");
            names = values.keys().cloned().collect();
            served.push(values.values().cloned().collect::<Value>());
            labels += &format!("{card},{instant}\n");
        }
    }
    write("labels.csv", &labels);
    run(&["training-set", "--labels", "labels.csv", "--service", "gates", "--out", "train.parquet"], 0);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(read(root, "train.parquet", &names), served);
    assert_eq!(served[0][2], json!(108), "{served:?}");
    for route in ["/v1/features", "/v1/services/gates"] {
        let body = match route {
            "/v1/features" => json!({"view": "usage", "as_of": "2026-03-02T08:30:00Z", "entities": {"card_id": ["a"]}}),
            _ => json!({"as_of": "2026-03-02T08:30:00Z", "rows": [{"card_id": "a"}]}),
        };
        let (status, answer) = ask(route, &body);
        assert_eq!((status, &answer["type"]), (422, &json!("urn:tandem:problem:behind-horizon")), "{answer}");
        assert!(answer["detail"].as_str().is_some_and(|text| text.contains("2026-03-02T10:00:00Z")), "{answer}");
    }
    drop(server);
    let (_, told) = run(&["get", "usage", "card_id=a", "--as-of", "2026-03-02T08:30:00Z"], 1);
    assert!(told.contains("tiles alone") && told.contains("hint"), "{told}");

    // Parity says what it could not ask; replayed, an instant of any time is compared.
    let compare = |more: &[&str]| json_of(&[&["parity", "usage", "--json"], more].concat());
    let report = compare(&["--at", "2026-03-02T13:00:00Z"]);
    assert_eq!((&report["different"], &report["behind_horizon"]), (&json!(0), &json!(0)), "{report}");
    let report = compare(&["--at", "2026-03-01T20:30:00Z"]);
    assert_eq!((&report["compared"], &report["behind_horizon"]), (&json!(0), &report["rows"]), "{report}");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_micros() as i64;
    let report = compare(&["--replay", "--at", &tandem_core::time::Timestamp(now).to_string()]);
    assert_eq!((&report["different"], &report["behind_horizon"]), (&json!(0), &json!(0)), "{report}");

    // A file that comes too late is told, every time, until a rebuild has all.
    write("more.csv", &csv(&[tap(500, 95), tap(501, 2160)]));
    run(&["import", "taps", "more.csv"], 0);
    for written in [1, 0] {
        let (report, notes) = run(&["materialize", "usage", "--json"], 0);
        let report: Value = serde_json::from_str(&report).expect("JSON");
        assert_eq!((&report["written"], &report["too_late"]), (&json!(written), &json!(1)), "{report}");
        assert!(notes.contains("--rebuild"), "{notes}");
    }
    assert!(run(&["parity", "usage", "--at", "2026-03-09T00:00:00Z"], 3).0.contains("count_lifetime"));
    let [kept, folded, _] = stats();
    let report = json_of(&["materialize", "usage", "--rebuild", "--json"]);
    assert_eq!((&report["too_late"], &report["generation"]), (&json!(0), &json!(1)), "{report}");
    assert_eq!(stats()[..2], [kept, folded + 1]);
    assert_eq!(compare(&["--at", "2026-03-09T00:00:00Z"])["different"], json!(0));
    let report = json_of(&["materialize", "usage", "--json"]);
    assert_eq!((&report["written"], &report["too_late"]), (&json!(0), &json!(0)), "{report}");
}
