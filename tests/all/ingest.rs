//! `tandem ingest`: rows of a file, of stdin, of a file that grows; what is refused is kept aside, and a run that is killed neither loses nor doubles.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::aggregates::project;
use crate::harness::program::{Serving, tandem_registered, told};

fn run(root: &Path, arguments: &[&str], code: i32) -> (String, String) {
    told(tandem_registered(root, arguments), code)
}

pub(crate) fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Events of a card that count, whenever they were known.
pub(crate) fn count(root: &Path, card: &str) -> i64 {
    let key = format!("card_id={card}");
    let (found, _) = run(root, &["get", "activity", &key, "--as-of", "2026-04-01T00:00:00Z", "--json"], 0);
    json(&found)["rows"][0]["values"]["count_lifetime"].as_i64().expect("a count")
}

pub(crate) fn event(id: usize, card: &str) -> String {
    let at = format!("2026-03-0{}T{:02}:{:02}:00Z", 1 + id / 1_440, id / 60 % 24, id % 60);
    json!({"id": id, "card_id": card, "at": at, "known_at": at, "amount": 0.1, "shop": "baker", "is_late": false})
        .to_string()
}

pub(crate) fn applied() -> tempfile::TempDir {
    let project = project();
    run(project.path(), &["apply", "--by", "ada"], 0);
    project
}

#[test]
fn rows_of_files_and_of_stdin_are_pushed() {
    let project = applied();
    let root = project.path();
    let good = |first: usize| (first..first + 30).map(|id| event(id, "n")).collect::<Vec<String>>();
    let mut lines = good(0);
    lines.insert(3, "no json".to_owned());
    lines.insert(7, json!({"card_id": null, "at": "2026-03-01T00:00:00Z", "amount": 1.0}).to_string());
    lines.insert(9, String::new());
    lines.insert(11, json!({"id": 7, "card_id": "n", "at": "yesterday", "colour": "red"}).to_string());
    lines.insert(
        12,
        json!({"card_id": "n", "at": "2026-03-01T00:00:00Z", "event_time": "2026-03-01T00:00:00Z"}).to_string(),
    );
    // The last line has no end.
    fs::write(root.join("events.jsonl"), lines.join("\n")).expect("a file");
    let ingest = ["ingest", "activity", "events.jsonl", "--batch-rows", "8", "--json"];
    let (report, notes) = run(root, &ingest, 3);
    let report = json(&report);
    let numbers =
        |report: &Value| ["rows", "accepted", "written", "unchanged", "rejected"].map(|name| report[name].clone());
    assert_eq!(numbers(&report), [json!(34), json!(30), json!(30), json!(0), json!(4)], "{report}");
    assert_eq!(report["left_out"], json!(["colour"]));
    assert!(notes.contains("line 4: it is no JSON") && notes.contains("`colour`"), "{notes}");
    let aside = fs::read_to_string(root.join("events.jsonl.rejected.jsonl")).expect("what was refused");
    let aside: Vec<Value> = aside.lines().map(json).collect();
    let told = |one: &Value| (one["line"].as_u64().unwrap(), one["reason"].as_str().unwrap().to_owned());
    let mut refused: Vec<_> = aside.iter().map(told).collect();
    refused.sort();
    let expected = [(4, "invalid_row"), (8, "null_key"), (12, "invalid_value"), (13, "invalid_row")];
    assert_eq!(refused, expected.map(|(line, reason)| (line, reason.to_owned())));
    assert!(aside.iter().any(|one| one["text"] == json!("no json")), "{aside:?}");
    assert_eq!(count(root, "n"), 30);
    // Again, and nothing counts twice.
    let (again, _) = run(root, &ingest, 3);
    assert_eq!(numbers(&json(&again))[1..4], [json!(30), json!(0), json!(30)]);
    assert_eq!(count(root, "n"), 30);

    // From stdin, through a server; then a Parquet file that has some of them.
    let server = Serving::start_registered(root, &[]);
    let all: String = good(20).into_iter().map(|line| line + "\n").collect();
    let mut command = tandem_registered(root, &["ingest", "activity", "-", "--server", server.url(), "--json"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    child.stdin.take().expect("a pipe").write_all(all.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report = json(&String::from_utf8(output.stdout).expect("UTF-8"));
    assert_eq!(numbers(&report), [json!(30), json!(30), json!(20), json!(10), json!(0)]);
    assert_eq!(count(root, "n"), 50);
    let file = "data/payments/date=2026-03-01/payments.parquet";
    for (server_of, written) in [(Some(server.url()), 7), (None, 0)] {
        let mut arguments = vec!["ingest", "activity", file, "--json"];
        arguments.extend(server_of.iter().flat_map(|url| ["--server", *url]));
        let (report, _) = run(root, &arguments, 0);
        let report = json(&report);
        assert_eq!(report["rows"], json!(7), "{report}");
        assert_eq!(report["written"].as_i64().unwrap() + report["older"].as_i64().unwrap(), written, "{report}");
    }
    drop(server);

    for (arguments, code, part) in [
        (&["ingest", "activity", "-", "--follow"][..], 2, "--follow goes with a file"),
        (&["ingest", "activity", file, "--follow"], 2, "does not grow"),
        (&["ingest", "activity", "nowhere.jsonl"], 1, "nowhere.jsonl"),
        (&["ingest", "activity", "events.jsonl", "--server", "ftp://x"], 2, "write it as http"),
        (&["ingest", "nothing", "events.jsonl"], 2, "nothing"),
    ] {
        let (_, notes) = run(root, arguments, code);
        assert!(notes.contains(part), "{arguments:?}: {notes}");
    }
}

#[test]
fn a_file_that_grows_is_followed_through_kills() {
    let project = applied();
    let root = project.path();
    let path = root.join("growing.jsonl");
    fs::write(&path, "").expect("a file");
    let append = |text: &str| {
        let mut file = OpenOptions::new().append(true).open(&path).expect("a file");
        file.write_all(text.as_bytes()).expect("room");
    };
    let follow = || {
        let mut command =
            tandem_registered(root, &["ingest", "activity", "growing.jsonl", "--follow", "--batch-rows", "7"]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs")
    };
    let mut written = 0;
    for round in 0..5_usize {
        let mut follower = follow();
        for _ in 0..3 {
            let lines: String = (written..written + 40).map(|id| event(id, "f") + "\n").collect();
            written += 40;
            // A line is written in two pieces, and between them nothing of it is a row.
            let (first, second) = lines.split_at(lines.len() / 2 + round);
            append(first);
            std::thread::sleep(Duration::from_millis(30 * round as u64));
            append(second);
            append("neither\n");
        }
        std::thread::sleep(Duration::from_millis(120 * round as u64));
        follower.kill().expect("it runs");
        follower.wait().expect("it ended");
    }
    let mut follower = follow();
    let begun = Instant::now();
    while count(root, "f") < written as i64 {
        assert!(begun.elapsed() < Duration::from_secs(30), "{} of {written}", count(root, "f"));
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_millis(400));
    follower.kill().expect("it runs");
    follower.wait().expect("it ended");
    assert_eq!(count(root, "f"), written as i64);
    let aside = fs::read_to_string(root.join("growing.jsonl.rejected.jsonl")).expect("what was refused");
    let lines: Vec<u64> = aside.lines().map(|line| json(line)["line"].as_u64().expect("a number")).collect();
    assert_eq!(lines, (1..=15).map(|piece| piece * 41).collect::<Vec<u64>>(), "each refused line is kept once");

    // Another file under its name is not gone on with.
    fs::write(&path, event(1, "g")).expect("a file");
    let (_, notes) = run(root, &["ingest", "activity", "growing.jsonl", "--follow"], 1);
    assert!(notes.contains("is not the file that was followed") && notes.contains("--from-start"), "{notes}");
}
