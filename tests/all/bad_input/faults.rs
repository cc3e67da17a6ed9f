//! What a server does when its disk, or what lies there, is not as it should be: reads go on, errors say what and why, and nothing needs a restart.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::disk::{Disk, Room};
use crate::harness::program::{PROGRAM, Serving, agent, over_files, tandem, told};
use crate::harness::server::JSON;
use crate::pushing::Shop;

/// Status and JSON of an answer.
fn post(serving: &Serving, route: &str, body: &Value) -> (u16, Value) {
    let agent = agent();
    let request = agent.post(format!("{}{route}", serving.url())).header("content-type", JSON);
    let mut response = request.send(body.to_string()).expect("an answer");
    let text = response.body_mut().read_to_string().expect("text");
    (response.status().as_u16(), serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}")))
}

fn push(serving: &Serving, first: i64, rows: i64) -> (u16, Value) {
    let rows: Vec<Value> = (first..first + rows)
        .map(|user| json!({"user_id": user, "at": "2024-03-03T00:00:00Z", "amount": 1_000 + user}))
        .collect();
    post(serving, "/v1/push/doubles", &json!({ "rows": rows }))
}

fn statuses(serving: &Serving, view: &str, users: &[i64]) -> Value {
    let (status, answer) = post(serving, "/v1/features", &json!({"view": view, "entities": {"user_id": users}}));
    assert_eq!(status, 200, "{answer}");
    answer["rows"].as_array().expect("rows").iter().map(|row| row["status"].clone()).collect()
}

fn present(entities: usize) -> Value {
    vec!["PRESENT"; entities].into()
}

#[test]
fn a_server_whose_disk_is_full_refuses_pushes_serves_and_takes_them_again_once_there_is_room() {
    Disk::each(1 << 20, |project, mut disk| {
        project.set(
            "[storage]\nonline = \"small/online\"\n[push]\nroll_seconds = 3600\n[server]\ndisk_free_bytes_min = 0",
        );
        let arguments = over_files(&["serve", "--listen", "127.0.0.1:0"]);
        let serving = Serving::run(disk.command(project.root(), PROGRAM, &arguments));
        let (status, answer) = push(&serving, 0, 10);
        assert_eq!(status, 200, "{answer}");
        // Until nothing more fits.
        let mut pushed = 10;
        let problem = loop {
            let (status, answer) = push(&serving, pushed, 500);
            if status != 200 {
                break (status, answer);
            }
            pushed += 500;
            assert!(pushed < 100_000, "a megabyte has room for everything");
        };
        let (status, problem) = problem;
        assert_eq!((status, &problem["type"]), (507, &json!("urn:tandem:problem:storage-full")), "{problem}");
        let detail = problem["detail"].as_str().expect("a detail");
        assert!(detail.contains("no room") && detail.contains("nothing of them was stored"), "{problem}");
        assert!(problem["hint"].as_str().is_some_and(|hint| hint.contains("once there is room")), "{problem}");
        assert!(!problem.to_string().contains("small/online"), "where it lies is not the client's: {problem}");

        // What was acknowledged is served, nothing of what was refused is, and a server that is full stays so without harm.
        let users = [0, pushed - 1, pushed, pushed + 499];
        let before = json!(["PRESENT", "PRESENT", "NOT_FOUND", "NOT_FOUND"]);
        for _ in 0..3 {
            assert_eq!(push(&serving, pushed, 500).0, 507);
            assert_eq!(statuses(&serving, "doubles", &users), before);
        }
        if let Room::Tmpfs(_) = disk.room() {
            disk.empty();
            let (status, answer) = push(&serving, pushed, 500);
            assert_eq!((status, &answer["accepted"]), (200, &json!(500)), "without a restart: {answer}");
            assert_eq!(statuses(&serving, "doubles", &users), present(4));
        }
        let (status, log) = serving.terminate();
        assert!(status.success() && log.contains("takes no writes") && log.contains(disk.reason()), "{status} {log}");
        // Whoever opens it next finds all of it, and no more.
        disk.empty();
        let (data, _) =
            disk.told(project.root(), &["get", "doubles", "user_id=0", &format!("user_id={}", pushed - 1)], 0);
        assert_eq!(data.matches("PRESENT").count(), 2, "{data}");
    });
}

#[test]
fn a_store_that_cannot_be_written_is_told_and_read() {
    Disk::each(4 << 20, |project, disk| {
        let Room::Tmpfs(_) = disk.room() else { return };
        project.set("[storage]\nonline = \"small/online\"");
        project.told(&["batch", "doubles"], 0);
        disk.told(project.root(), &["materialize", "doubles"], 0);
        disk.make_read_only();
        for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["materialize", "doubles"]] {
            let (_, notes) = disk.told(project.root(), arguments, 1);
            let line = notes.lines().find(|line| line.starts_with("error: ")).unwrap_or_else(|| panic!("{notes}"));
            assert!(line.contains("small/online") && line.contains("Read-only file system"), "{arguments:?}: {notes}");
            assert!(notes.contains("\nhint: "), "{arguments:?}: {notes}");
        }
        let (data, _) = disk.told(project.root(), &["get", "doubles", "user_id=1"], 0);
        assert!(data.contains("PRESENT"), "what only reads goes on: {data}");
    });
}

/// Turns a bit in every copy that a file has of a text.
fn damage(path: &Path, text: &[u8]) -> usize {
    let bytes = fs::read(path).expect("a file");
    let file = OpenOptions::new().write(true).open(path).expect("a file");
    let places = bytes.windows(text.len()).enumerate().filter(|(_, window)| *window == text);
    places.map(|(place, _)| file.write_all_at(&[text[0] ^ 1], place as u64).expect("written")).count()
}

#[test]
fn a_damaged_value_is_the_error_of_its_entity_alone() {
    let shop = Shop::new();
    let serving = Serving::start(shop.root(), &[]);
    let push = |user: i64, day: u8, country: &str| {
        let row = json!({"customer": user, "changed_at": format!("2026-01-{day:02}T00:00:00Z"), "limit_eur": 1.5, "country": country});
        post(&serving, "/v1/push/account", &json!({"to": "online", "rows": [row]}))
    };
    for user in 0..5 {
        assert_eq!(push(user, 1, &format!("country of user {user}")).0, 200);
    }
    assert_eq!(statuses(&serving, "account", &[0, 1, 2, 3, 4]), present(5));
    assert!(damage(&shop.root().join("data/online/data.mdb"), b"country of user 3") > 0);

    // Over every way of asking, in one answer with the others.
    let expected = json!(["PRESENT", "PRESENT", "PRESENT", "CORRUPT", "PRESENT"]);
    assert_eq!(statuses(&serving, "account", &[0, 1, 2, 3, 4]), expected);
    let rows: Vec<Value> = (0..5).map(|user| json!({"user_id": user})).collect();
    let list = json!({"features": ["account:country"], "rows": rows});
    let (status, answer) = post(&serving, "/v1/features", &list);
    let of = |part: &str| -> Value {
        answer["rows"].as_array().expect("rows").iter().map(|row| row[part]["country"].clone()).collect()
    };
    assert_eq!((status, of("statuses")), (200, expected), "{answer}");
    assert_eq!((&of("values")[2], &of("values")[3]), (&json!("country of user 2"), &Value::Null));
    let feast = json!({"features": ["account:country"], "entities": {"user_id": [2, 3]}});
    let (status, answer) = post(&serving, "/get-online-features", &feast);
    assert_eq!((status, &answer["results"][1]["statuses"]), (200, &json!(["PRESENT", "NOT_FOUND"])), "{answer}");
    let metrics = ureq::get(format!("{}/metrics", serving.url())).call().expect("an answer");
    let metrics = metrics.into_body().read_to_string().expect("text");
    let series = "tandem_lookup_rows_total{view=\"account\",version=\"1\",status=\"CORRUPT\"} 3\n";
    assert!(metrics.contains(series), "{metrics}");
    let (stats, _) = told(tandem(shop.root(), &["online", "stats", "--json"]), 0);
    let stats: Value = serde_json::from_str(&stats).expect("JSON");
    assert_eq!(stats["views"][0]["corrupt"], json!(1), "{stats}");

    // The next write of the entity heals it, whatever its time.
    assert_eq!(push(3, 1, "again").1["outcomes"], json!(["written"]));
    assert_eq!(statuses(&serving, "account", &[3]), json!(["PRESENT"]));
    let (_, log) = serving.terminate();
    assert!(log.contains("stored rows are corrupt") && log.contains("checksum"), "{log}");
}

/// What the store in `fixtures/store_format_2` was made of.
const OLD: &str = r#"[[entity]]
name = "user"
join_keys = [{ name = "user_id", type = "int64" }]

[[source]]
name = "accounts"
path = "data/accounts"
kind = "state"
event_time = "changed_at"
created_time = "known_at"
timezone = "UTC"
partition = "date"

[[feature_view]]
name = "account"
version = 1
source = "accounts"
entities = ["user"]
features = [
    { name = "credit", type = "float64" },
    { name = "country", type = "string" },
]
"#;

/// Written by the program of before generations: twenty rows of the history, and two that were pushed, of users 3 and 30, and are in the log.
#[test]
fn a_store_of_the_format_before_is_raised_and_nothing_of_it_is_lost() {
    let folder = crate::harness::program::defined("old", OLD);
    let (root, online) = (folder.path(), folder.path().join("data/online"));
    fs::create_dir_all(&online).expect("a folder");
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/store_format_2/data.mdb");
    fs::copy(fixture, online.join("data.mdb")).expect("a file");
    let json_of = |arguments: &[&str]| -> Value {
        let (data, notes) = told(tandem(root, &[arguments, &["--json"]].concat()), 0);
        serde_json::from_str(&data).unwrap_or_else(|_| panic!("{data}{notes}"))
    };
    // Read as it is.
    let stats = json_of(&["online", "stats"]);
    let of = |stats: &Value| ["rows", "logged"].map(|key| stats[key].as_i64().expect(key));
    assert_eq!((of(&stats), &stats["views"][0]["state"]), ([21, 2], &json!("live")), "{stats}");
    let all: Vec<i64> = (0..20).chain([30]).collect();
    let serving = Serving::start(root, &[]);
    assert_eq!(statuses(&serving, "account", &all), present(21));
    let values = |serving: &Serving| {
        let (_, answer) =
            post(serving, "/v1/features", &json!({"view": "account", "entities": {"user_id": [3, 7, 30]}}));
        answer["rows"].as_array().expect("rows").iter().map(|row| row["values"]["credit"].clone()).collect::<Value>()
    };
    assert_eq!(values(&serving), json!([3.25, 7.5, 30.25]));
    // An older row stays older, and the log goes on where it was.
    let row = json!({"user_id": 30, "changed_at": "2026-01-01T00:00:00Z", "credit": 0});
    let (_, answer) = post(&serving, "/v1/push/account", &json!({"rows": [row]}));
    assert_eq!((&answer["outcomes"], &answer["sequences"]), (&json!(["older"]), &json!([3, 3])), "{answer}");
    drop(serving);
    let flushed = json_of(&["log", "flush", "--dev"]);
    assert_eq!(flushed["views"][0]["rows"], json!(3), "{flushed}");
    // What is new works over what is old: the history has what was pushed alone.
    let rebuilt = json_of(&["materialize", "account", "--rebuild"]);
    assert_eq!((&rebuilt["generation"], &rebuilt["rows"]), (&json!(1), &json!(3)), "{rebuilt}");
    let serving = Serving::start(root, &[]);
    assert_eq!(statuses(&serving, "account", &[3, 7, 30]), json!(["PRESENT", "NOT_FOUND", "PRESENT"]));
    told(tandem(root, &["online", "switch", "account", "--back", "--dev"]), 0);
    assert_eq!(values(&serving), json!([3.25, 7.5, 30.25]));
}

#[test]
fn of_two_servers_on_one_store_each_serves_what_the_other_takes_and_outlives_it() {
    let shop = Shop::new();
    let servers = [Serving::start(shop.root(), &[]), Serving::start(shop.root(), &[])];
    let push = |serving: &Serving, user: i64, day: u8| {
        let row = json!({"customer": user, "changed_at": format!("2026-01-{day:02}T00:00:00Z"), "limit_eur": day});
        let (status, answer) = post(serving, "/v1/push/account", &json!({"rows": [row]}));
        assert_eq!((status, &answer["outcomes"]), (200, &json!(["written"])), "{answer}");
    };
    push(&servers[0], 1, 1);
    push(&servers[1], 2, 1);
    told(tandem(shop.root(), &["log", "flush", "--dev"]), 0);
    // A rebuild by a third process: both serve it, and what either takes goes to both generations.
    told(tandem(shop.root(), &["materialize", "account", "--rebuild"]), 0);
    push(&servers[0], 3, 2);
    push(&servers[1], 4, 2);
    for serving in &servers {
        assert_eq!(statuses(serving, "account", &[1, 2, 3, 4]), present(4));
    }
    told(tandem(shop.root(), &["online", "switch", "account", "--back", "--dev"]), 0);
    for serving in &servers {
        assert_eq!(statuses(serving, "account", &[1, 2, 3, 4]), present(4));
    }
    let [first, second] = servers;
    first.kill();
    drop(first);
    let begin = Instant::now();
    push(&second, 5, 3);
    assert!(begin.elapsed() < Duration::from_secs(10), "the dead hold nothing up");
    assert_eq!(statuses(&second, "account", &[1, 2, 3, 4, 5]), present(5));
}
