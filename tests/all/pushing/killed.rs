//! Everything that writes is killed with SIGKILL at random moments: the server while it takes pushes and rolls its log, `tandem log flush`, `tandem materialize`.
//! After each round every acknowledged row must be in the history exactly once, the newest of each user must be served, and nothing may have gone back.
//!
//! A longer run: `TANDEM_CRASH_ROUNDS=200 cargo test -p tandem-tests --test all pushing::killed`.

use std::collections::BTreeMap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::json;
use tandem_core::time::Timestamp;
use tandem_online::{Store, StoreOptions};

use super::*;
use crate::harness::project::files;

/// Rounds where nothing else is said.
const ROUNDS: u64 = 6;

const USERS: i64 = 24;
const CLIENTS: usize = 3;
const ROWS: usize = 7;

/// 2026-01-01T00:00:00Z in microseconds.
const BASE: i64 = 1_767_225_600_000_000;
const DAY: i64 = 86_400_000_000;

/// Rows that were sent: by their event times, which differ, the user.
#[derive(Default)]
struct Sent {
    acknowledged: BTreeMap<i64, i64>,
    /// Of requests without an answer: they are there whole, or not at all.
    unanswered: Vec<Vec<(i64, i64)>>,
}

/// The event time of the nth row: on one of three days, and not in order.
fn event_time(row: u64) -> i64 {
    BASE + (row % 3) as i64 * DAY + (row ^ 42) as i64 * 1_000
}

/// A number below `bound` that no two runs share.
fn random(seed: u64, bound: u64) -> u64 {
    RandomState::new().hash_one(seed) % bound
}

fn push(url: &str, rows: &[(i64, i64)]) -> Option<Value> {
    let config =
        ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(30)));
    let agent: ureq::Agent = config.build().into();
    let rows: Vec<Value> = rows
        .iter()
        .map(|(time, user)| json!({"customer": user, "changed_at": Timestamp(*time).to_string(), "limit_eur": *time as f64}))
        .collect();
    let body = json!({"rows": rows}).to_string();
    let mut answer = agent.post(format!("{url}/v1/push/account")).header("content-type", JSON).send(&body).ok()?;
    let text = answer.body_mut().read_to_string().ok()?;
    assert_eq!(answer.status().as_u16(), 200, "{text}");
    serde_json::from_str(&text).ok()
}

/// Pushes until the server is gone.
fn push_until_killed(url: &str, next: &AtomicU64, sent: &Mutex<Sent>, ended: &AtomicBool) {
    while !ended.load(Ordering::Relaxed) {
        let first = next.fetch_add(ROWS as u64, Ordering::Relaxed);
        let rows: Vec<(i64, i64)> =
            (first..first + ROWS as u64).map(|row| (event_time(row), (row * 7 % USERS as u64) as i64)).collect();
        let answer = push(url, &rows);
        let mut sent = sent.lock().expect("nobody panicked");
        match answer {
            Some(answer) => {
                assert_eq!(answer["accepted"], json!(ROWS), "{answer}");
                sent.acknowledged.extend(rows);
            }
            None => {
                sent.unanswered.push(rows);
                return;
            }
        }
    }
}

fn start(shop: &Shop, arguments: &[&str]) -> Child {
    tandem(shop.root(), arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program runs")
}

/// Of each event time in the files of the history, how often it is there.
fn history(shop: &Shop) -> BTreeMap<i64, usize> {
    let folder = shop.root().join("data/features");
    let mut found = BTreeMap::new();
    if !folder.exists() {
        return found;
    }
    for (name, _) in files(&folder).into_iter().filter(|(name, _)| name.ends_with(".parquet")) {
        let file = File::open(folder.join(&name)).expect("a file");
        for batch in ParquetRecordBatchReaderBuilder::try_new(file).expect(&name).build().expect(&name) {
            let batch = batch.expect(&name);
            let column = |name: &str| batch.column_by_name(name).expect("a column").clone();
            let times = column("event_time");
            let (published, sequences) = (column("published_time"), column("push_sequence"));
            assert_eq!(published.null_count() + sequences.null_count(), 0);
            assert!(sequences.as_primitive::<Int64Type>().values().is_sorted());
            for time in times.as_primitive::<TimestampMicrosecondType>().values() {
                *found.entry(*time).or_insert(0) += 1;
            }
        }
    }
    found
}

/// The event time of each user's row that is served.
fn served(client: &Client) -> BTreeMap<i64, i64> {
    let rows: Vec<Value> = (0..USERS).map(|user| json!({"user_id": user})).collect();
    let answer = client.ok("/v1/features", &json!({"features": ["account:credit"], "rows": rows}));
    let of = |(user, row): (usize, &Value)| {
        let time = Timestamp::parse(row["event_times"]["credit"].as_str()?).expect("a time");
        assert_eq!(row["values"]["credit"], json!(time.0 as f64), "a value of another row: {row}");
        Some((user as i64, time.0))
    };
    answer["rows"].as_array().expect("rows").iter().enumerate().filter_map(of).collect()
}

#[test]
fn what_is_acknowledged_survives_being_killed_and_is_there_once() {
    let rounds = std::env::var("TANDEM_CRASH_ROUNDS").ok().map_or(ROUNDS, |rounds| rounds.parse().expect("a number"));
    let shop = Shop::new();
    shop.write("tandem.toml", "[project]\nname = \"shop\"\n[push]\nroll_seconds = 1\nroll_rows = 60\n");
    let (next, sent) = (AtomicU64::new(0), Mutex::new(Sent::default()));
    let mut before: BTreeMap<i64, i64> = BTreeMap::new();
    let mut acknowledged = 0;
    for round in 0..rounds {
        let client = shop.serve();
        // Before the first push the store does not have the view.
        if acknowledged > 0 {
            let now = served(&client);
            check_served(&now, &before, &sent.lock().expect("nobody panicked"));
            before = now;
        }
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| push_until_killed(client.server.url(), &next, &sent, &ended));
            }
            // What works beside the server is killed, too.
            let mut others =
                [start(&shop, &["log", "flush", "--dev"]), start(&shop, &["materialize", "account", "--incremental"])];
            std::thread::sleep(Duration::from_millis(random(round, 400)));
            for other in &mut others {
                std::thread::sleep(Duration::from_millis(random(round, 300)));
                let _ = other.kill(); // it may have ended
                let _ = other.wait();
            }
            std::thread::sleep(Duration::from_millis(random(round, 1_500)));
            client.server.kill();
            ended.store(true, Ordering::Relaxed);
        });
        // Whatever was left in between is finished.
        shop.run(&["log", "flush", "--dev"]);
        assert_eq!(shop.json(&["log", "show"]), json!({"views": []}));
        let (history, sent) = (history(&shop), sent.lock().expect("nobody panicked"));
        for (time, user) in &sent.acknowledged {
            assert_eq!(history.get(time), Some(&1), "round {round}: the row {time} of user {user}");
        }
        for rows in &sent.unanswered {
            let there: Vec<usize> = rows.iter().map(|(time, _)| history.get(time).copied().unwrap_or(0)).collect();
            assert!(
                there == [0; ROWS] || there == [1; ROWS],
                "round {round}: a push without an answer in part: {there:?}"
            );
        }
        let known = sent.acknowledged.len() + sent.unanswered.len() * ROWS;
        assert!(history.len() <= known, "round {round}: rows that nobody sent");
        acknowledged = sent.acknowledged.len();
        let store = Store::open(&shop.root().join("data/online"), StoreOptions::default()).expect("a store");
        let stats = store.stats().expect("sizes");
        assert!(stats.readers <= 64, "reader slots of the dead are not used again: {stats:?}");
    }
    assert!(acknowledged > 100 * rounds as usize / 10, "hardly anything was pushed: {acknowledged}");

    // The history alone gives the same, and a training set sees what is served.
    let client = shop.serve();
    let now = served(&client);
    check_served(&now, &before, &sent.lock().expect("nobody panicked"));
    drop(client);
    fs::remove_dir_all(shop.root().join("data/online")).expect("a folder");
    shop.run(&["materialize", "account"]);
    assert_eq!(served(&shop.serve()), now, "a store that is made anew of the history");
}

/// Nothing went back, and no acknowledged row is newer than what is served.
fn check_served(now: &BTreeMap<i64, i64>, before: &BTreeMap<i64, i64>, sent: &Sent) {
    for (user, time) in before {
        assert!(now.get(user) >= Some(time), "user {user} went back from {time} to {:?}", now.get(user));
    }
    let mut newest: BTreeMap<i64, i64> = BTreeMap::new();
    for (time, user) in &sent.acknowledged {
        newest.insert(*user, *time.max(newest.get(user).unwrap_or(time)));
    }
    for (user, time) in newest {
        assert!(now.get(&user) >= Some(&time), "user {user} has {:?}, and {time} was acknowledged", now.get(&user));
    }
}

#[test]
fn two_servers_share_a_store() {
    let shop = Shop::new();
    let servers = [shop.serve(), shop.serve()];
    let row = |year: u32, day: u8, credit: f64| json!({"rows": [{"customer": 1, "changed_at": format!("{year}-01-{day:02}T00:00:00Z"), "limit_eur": credit}]});
    for day in 1..=10_u8 {
        let writer = &servers[usize::from(day) % 2];
        assert_eq!(writer.ok("/v1/push/account", &row(2026, day, f64::from(day)))["outcomes"], json!(["written"]));
        let reader = &servers[usize::from(day + 1) % 2];
        assert_eq!(
            reader.served("account:credit", 1).0,
            json!(f64::from(day)),
            "what one acknowledged the other serves"
        );
        assert_eq!(reader.ok("/v1/push/account", &row(2025, day, 0.25))["outcomes"][0], json!("older"), "day {day}");
    }
    drop(servers);
    // Sequences of both are of one log.
    let flushed = shop.json(&["log", "flush", "--dev"]);
    assert_eq!(flushed["views"][0]["rows"], json!(20), "{flushed}");
}
