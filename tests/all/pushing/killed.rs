//! Everything that writes is killed with SIGKILL at random moments: the server while it takes pushes, rolls its log and follows the registry, `tandem log flush`,
//! `tandem materialize`, also with `--rebuild`, `tandem online switch`, `drop` and `backup`, `tandem apply`. At every moment the newest acknowledged row of each user must be served, and
//! nothing may go back, whatever generation is served. After each round every acknowledged row must be in the history exactly once; a copy that was finished has what was
//! acknowledged before it, with its log.
//!
//! A longer run: `TANDEM_CRASH_ROUNDS=200 cargo test -p tandem-tests --test all pushing::killed`.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use serde_json::json;
use tandem_core::time::Timestamp;
use tandem_online::{Store, StoreOptions};

use super::*;
use crate::harness::killing;
use crate::harness::program::tandem_registered;
use crate::harness::project::files;

/// Rounds where nothing else is said.
const ROUNDS: u64 = 4;

const USERS: i64 = 24;
const CLIENTS: usize = 3;
const ROWS: usize = 7;

/// Users whose rows are pushed to be served alone, and are in no history: from this one on.
const ONLINE_FROM: i64 = 1_000;
const ONLINE_USERS: i64 = 5;

/// 2026-01-01T00:00:00Z in microseconds.
const BASE: i64 = 1_767_225_600_000_000;
const DAY: i64 = 86_400_000_000;

/// Rows that were sent: by their event times, which differ, the user.
#[derive(Default)]
struct Sent {
    acknowledged: BTreeMap<i64, i64>,
    /// Of requests without an answer: they are there whole, or not at all.
    unanswered: Vec<Vec<(i64, i64)>>,
    /// Of users whose rows are served alone the newest that was acknowledged.
    online: BTreeMap<i64, i64>,
}

impl Sent {
    /// The newest acknowledged row of each user.
    fn newest(&self) -> BTreeMap<i64, i64> {
        let mut newest = self.online.clone();
        for (time, user) in &self.acknowledged {
            newest.insert(*user, *time.max(newest.get(user).unwrap_or(time)));
        }
        newest
    }
}

/// The event time of the nth row: on one of three days, and not in order.
fn event_time(row: u64) -> i64 {
    BASE + (row % 3) as i64 * DAY + (row ^ 42) as i64 * 1_000
}

/// A number below `bound` that no two runs share.
fn random(seed: u64, bound: u64) -> u64 {
    RandomState::new().hash_one(seed) % bound
}

fn push(url: &str, to: &str, rows: &[(i64, i64)]) -> Option<Value> {
    let rows: Vec<Value> = rows
        .iter()
        .map(|(time, user)| json!({"customer": user, "changed_at": Timestamp(*time).to_string(), "limit_eur": *time as f64}))
        .collect();
    killing::ask(url, "/v1/push/account", &json!({"to": to, "rows": rows}))
}

/// Pushes until the server is gone.
fn push_until_killed(url: &str, next: &AtomicU64, sent: &Mutex<Sent>, ended: &AtomicBool) {
    while !ended.load(Ordering::Relaxed) {
        let first = next.fetch_add(ROWS as u64, Ordering::Relaxed);
        let rows: Vec<(i64, i64)> =
            (first..first + ROWS as u64).map(|row| (event_time(row), (row * 7 % USERS as u64) as i64)).collect();
        let answer = push(url, "online_and_offline", &rows);
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

/// Pushes rows that are served alone, each newer than the one before.
fn push_online_until_killed(url: &str, next: &AtomicU64, sent: &Mutex<Sent>, ended: &AtomicBool) {
    while !ended.load(Ordering::Relaxed) {
        let row = next.fetch_add(1, Ordering::Relaxed) as i64;
        let (time, user) = (BASE + row, ONLINE_FROM + row % ONLINE_USERS);
        let Some(answer) = push(url, "online", &[(time, user)]) else { return };
        assert_eq!(answer["outcomes"], json!(["written"]), "{answer}");
        sent.lock().expect("nobody panicked").online.insert(user, time);
    }
}

/// Asks until the server is gone: what was acknowledged before is served, and nothing goes back.
fn ask_until_killed(client: &Client, sent: &Mutex<Sent>, ended: &AtomicBool) -> u64 {
    let (mut before, mut answers) = (BTreeMap::new(), 0);
    while !ended.load(Ordering::Relaxed) {
        let acknowledged = sent.lock().expect("nobody panicked").newest();
        if acknowledged.is_empty() {
            continue; // before the first push the store does not have the view
        }
        let Some(now) = ask(client) else { break };
        check_served(&now, &before, &acknowledged);
        before = now;
        answers += 1;
    }
    answers
}

/// Of each event time in the files of the history, how often it is there.
fn history(root: &Path) -> BTreeMap<i64, usize> {
    let mut found = BTreeMap::new();
    for (_, batch) in killing::history(root) {
        let column = |name: &str| batch.column_by_name(name).expect("a column").clone();
        let times = column("event_time");
        let (published, sequences) = (column("published_time"), column("push_sequence"));
        assert_eq!(published.null_count() + sequences.null_count(), 0);
        assert!(sequences.as_primitive::<Int64Type>().values().is_sorted());
        for time in times.as_primitive::<TimestampMicrosecondType>().values() {
            *found.entry(*time).or_insert(0) += 1;
        }
    }
    found
}

/// The event time of each user's row that is served.
fn served(client: &Client) -> BTreeMap<i64, i64> {
    ask(client).expect("an answer")
}

/// The same; None where the server is gone.
fn ask(client: &Client) -> Option<BTreeMap<i64, i64>> {
    let users: Vec<i64> = (0..USERS).chain(ONLINE_FROM..ONLINE_FROM + ONLINE_USERS).collect();
    let rows: Vec<Value> = users.iter().map(|user| json!({"user_id": user})).collect();
    let answer = killing::ask(client.url(), "/v1/features", &json!({"features": ["account:credit"], "rows": rows}))?;
    let of = |(user, row): (&i64, &Value)| {
        let time = Timestamp::parse(row["event_times"]["credit"].as_str()?).expect("a time");
        assert_eq!(row["values"]["credit"], json!(time.0 as f64), "a value of another row: {row}");
        Some((*user, time.0))
    };
    Some(users.iter().zip(answer["rows"].as_array().expect("rows")).filter_map(of).collect())
}

/// The account alone, so that nothing is compiled; its objective differs, which is no other meaning.
fn account(round: u64) -> String {
    let all = super::definitions();
    let entity = &all[..all.find("[[source]]\nname = \"spendings\"").expect("a source")];
    let view = &all[all.find("[[feature_view]]\nname = \"account\"").expect("a view")..];
    let view = &view[..view.find("[[feature_view]]\nname = \"usual\"").expect("another view")];
    format!(
        "{entity}{}",
        view.replace("ttl = \"3650d\"", &format!("ttl = \"3650d\"\nfreshness = \"{}d\"", 1 + round % 3_000))
    )
}

/// A copy that was finished becomes a store of its own: with what was acknowledged before it began, and its log in the history once.
fn check_copy(shop: &Shop, acknowledged: &BTreeMap<i64, i64>) {
    let folder = tempfile::tempdir().expect("a folder");
    let copy = |from: &Path, to: &Path| {
        fs::create_dir_all(to).expect("a folder");
        for (name, bytes) in files(from) {
            let path = to.join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, bytes).expect("a file");
        }
    };
    for name in ["registry", "features", "copy"] {
        copy(&shop.root().join(name), &folder.path().join(name));
    }
    fs::copy(shop.root().join("tandem.toml"), folder.path().join("tandem.toml")).expect("a file");
    let run = |arguments: &[&str]| told(tandem_registered(folder.path(), arguments), 0);
    let logged: Value = {
        let store = Store::open_read_only(&folder.path().join("copy"), StoreOptions::default()).expect("a store");
        json!(store.logs().expect("logs").iter().map(|log| log.rows).sum::<u64>())
    };
    for expected in [logged, json!(0)] {
        let (restored, _) = run(&["online", "restore", "copy", "--json"]);
        let restored: Value = serde_json::from_str(&restored).expect("JSON");
        assert_eq!(restored["views"][0]["logged"], expected, "{restored}");
        assert_eq!(restored["views"][0]["left_out"], json!(0), "{restored}");
    }
    assert!(history(folder.path()).values().all(|count| *count == 1));
    let client = Client { server: Serving::start_registered(folder.path(), &[]) };
    check_served(&served(&client), &BTreeMap::new(), acknowledged);
}

#[test]
fn what_is_acknowledged_survives_being_killed_and_is_there_once() {
    let rounds = killing::rounds(ROUNDS);
    let shop = Shop::new();
    shop.write(
        "tandem.toml",
        "[project]\nname = \"shop\"\n[server]\nlate_millis_max = 30000\n[push]\nroll_seconds = 1\nroll_rows = 60\n",
    );
    let run = |arguments: &[&str]| told(tandem_registered(shop.root(), arguments), 0);
    shop.write("features/all.toml", &account(0));
    run(&["apply", "--by", "ada"]);
    let (next, next_online, sent) = (AtomicU64::new(0), AtomicU64::new(0), Mutex::new(Sent::default()));
    let mut before: BTreeMap<i64, i64> = BTreeMap::new();
    let (mut acknowledged, mut answers, mut copies, mut ordinal) = (0, 0, 0, 0);
    for round in 0..rounds {
        let client = Client { server: Serving::start_registered(shop.root(), &[]) };
        // Before the first push the store does not have the view.
        if acknowledged > 0 {
            let now = served(&client);
            check_served(&now, &before, &sent.lock().expect("nobody panicked").newest());
            before = now;
        }
        let ended = AtomicBool::new(false);
        shop.write("features/all.toml", &account(1 + round));
        let mut at_copy = BTreeMap::new();
        answers += std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| push_until_killed(client.url(), &next, &sent, &ended));
            }
            scope.spawn(|| push_online_until_killed(client.url(), &next_online, &sent, &ended));
            let asked = scope.spawn(|| ask_until_killed(&client, &sent, &ended));
            // What works beside the server is killed, too.
            let _ = fs::remove_dir_all(shop.root().join("copy")); // not every round left one
            at_copy = sent.lock().expect("nobody panicked").newest();
            let switch: &[&str] = if random(round, 2) == 0 {
                &["online", "switch", "account", "--back"]
            } else {
                &["online", "switch", "account"]
            };
            let beside: [&[&str]; 7] = [
                &["online", "backup", "copy"],
                &["log", "flush"],
                &["materialize", "account", "--incremental"],
                &["materialize", "account", "--rebuild"],
                switch,
                &["apply", "--by", "ada"],
                &["online", "drop", "account"],
            ];
            // So that a generation that was built is there for a while.
            let count = if random(round + 7, 3) == 0 { 7 } else { 6 };
            let others =
                beside[..count].iter().map(|arguments| killing::start(shop.root(), arguments)).collect::<Vec<_>>();
            std::thread::sleep(Duration::from_millis(random(round, 400)));
            for other in others {
                std::thread::sleep(Duration::from_millis(random(round, 150)));
                killing::kill(other);
            }
            // Again, now that there may be two generations.
            for arguments in [switch, &["materialize", "account", "--rebuild"]] {
                let other = killing::start(shop.root(), arguments);
                std::thread::sleep(Duration::from_millis(random(round + 1, 200)));
                killing::kill(other);
            }
            std::thread::sleep(Duration::from_millis(random(round, 1_000)));
            client.server.kill();
            ended.store(true, Ordering::Relaxed);
            asked.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        drop(client); // it is dead once it was waited for
        // Whatever was left in between is finished.
        run(&["log", "flush"]);
        run(&["apply", "--by", "ada"]);
        assert_eq!(shop.json(&["log", "show"]), json!({"views": []}));
        let store = Store::open(&shop.root().join("data/online"), StoreOptions::default()).expect("a store");
        let stats = store.stats().expect("sizes");
        assert!(stats.readers <= 64, "reader slots of the dead are not used again: {stats:?}");
        if let Some(view) = store.find_view("account", 1).expect("views") {
            let generations = store.generations(view.id).expect("generations");
            ordinal = generations.all().map(|found| found.ordinal).max().unwrap_or(0).max(ordinal);
        }
        drop(store);
        let (history, sent) = (history(shop.root()), sent.lock().expect("nobody panicked"));
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
        drop(sent);
        if shop.root().join("copy").exists() && !at_copy.is_empty() && copies * 4 <= round {
            check_copy(&shop, &at_copy);
            copies += 1;
        }
    }
    let figures =
        format!("{acknowledged} rows acknowledged, {answers} answers, {copies} copies, generations up to {ordinal}");
    assert!(acknowledged > 100 * rounds as usize / 10, "hardly anything was pushed: {figures}");
    assert!(answers > rounds && ordinal > 0, "hardly anything was asked or rebuilt: {figures}");

    // Another generation of the history is the same, with the users that are in none.
    let client = Client { server: Serving::start_registered(shop.root(), &[]) };
    let now = served(&client);
    check_served(&now, &before, &sent.lock().expect("nobody panicked").newest());
    let _ = tandem_registered(shop.root(), &["online", "drop", "account"]).output().expect("the program runs");
    run(&["materialize", "account", "--rebuild"]);
    assert_eq!(served(&client), now, "a generation that is built anew");
    drop(client);
    // The history alone gives the rest.
    fs::remove_dir_all(shop.root().join("data/online")).expect("a folder");
    run(&["materialize", "account"]);
    let client = Client { server: Serving::start_registered(shop.root(), &[]) };
    let of_history: BTreeMap<i64, i64> = now.into_iter().filter(|(user, _)| *user < ONLINE_FROM).collect();
    assert_eq!(served(&client), of_history, "a store that is made anew of the history");
}

/// Nothing went back, and no acknowledged row is newer than what is served.
fn check_served(now: &BTreeMap<i64, i64>, before: &BTreeMap<i64, i64>, newest: &BTreeMap<i64, i64>) {
    for (user, time) in before {
        assert!(now.get(user) >= Some(time), "user {user} went back from {time} to {:?}", now.get(user));
    }
    for (user, time) in newest {
        assert!(now.get(user) >= Some(time), "user {user} has {:?}, and {time} was acknowledged", now.get(user));
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
