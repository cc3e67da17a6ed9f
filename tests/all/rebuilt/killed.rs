//! `tandem online restore` and `tandem online expire` are killed with SIGKILL at random moments, beside a server that is pushed to and killed, too, and without one; into stores that are lost, that
//! are older than the copy, and that are newer. After each kill the store opens, and is whole: of a copy's rows, which are so few that they are one transaction, there are all or none, an entity of a tiled view is there as the copy has it or as it was,
//! the files of the history have no row twice; and a row that is within its ttl has its value. Repeated, each command ends its work, and repeated once more it has nothing to do.
//!
//! A longer run: `TANDEM_CRASH_ROUNDS=200 cargo test -p tandem-tests --test all rebuilt::killed`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use tandem_core::time::Timestamp;
use tandem_online::{Store, StoreOptions, ViewStats};

use crate::harness::numbers::Numbers;
use crate::harness::program::{Serving, defined, tandem_registered, told};
use crate::harness::project::files;

/// Rounds where nothing else is said, and how often each command is killed in one.
const ROUNDS: u64 = 3;
const KILLS: usize = 3;

/// Users with a row in the history; those below `OLD` are older than the ttl. Behind them lie as many whose rows are online alone, of which every other one is too old.
const USERS: i64 = 200;
const OLD: i64 = 150;
const ALONE: i64 = 16;

/// Cards with a history, and behind them cards that were only pushed.
const CARDS: u64 = 6;
const ALL_CARDS: u64 = 9;

/// Values that are removed in one transaction, as the settings have it.
const REMOVED_MAX: u64 = 1;

const MINUTE: i64 = 60_000_000;
const DAY: i64 = 1_440 * MINUTE;

const DEFINITIONS: &str = r#"
[[entity]]
name = "user"
join_keys = [{ name = "user_id", type = "int64" }]

[[entity]]
name = "card"
join_keys = [{ name = "card_id", type = "string" }]

[[source]]
name = "accounts"
path = "data/accounts"
kind = "state"
event_time = "changed_at"
timezone = "UTC"

[[source]]
name = "payments"
path = "data/payments"
kind = "events"
event_time = "at"
created_time = "known_at"
event_id = "id"
timezone = "UTC"

[[feature_view]]
name = "account"
version = 1
source = "accounts"
entities = ["user"]
ttl = "30d"
features = [{ name = "credit", type = "float64" }]

[[feature_view]]
name = "activity"
version = 1
source = "payments"
entities = ["card"]
columns = { amount = "float64" }
precision = "tiled"
hop = "1h"
lateness = "2h"
aggregates = [
    { function = "count", windows = ["lifetime"] },
    { function = "sum", column = "amount", windows = ["lifetime"] },
]
"#;

const SETTINGS: &str = "[project]\nname = \"copied\"\n[server]\nlate_millis_max = 30000\n[push]\nroll_seconds = 86400\n[expiry]\npass_seconds = 86400\nlooked_rows_max = 16\nremoved_rows_max = 1\n";

/// A version of a payment. The one that is known last counts.
#[derive(Debug, Clone)]
struct Payment {
    id: u64,
    card: u64,
    at: i64,
    known: i64,
    amount: f64,
}

/// What a store has: of each user the time of the row, and all versions of payments.
#[derive(Debug, Clone, Default)]
struct Contents {
    users: BTreeMap<i64, i64>,
    payments: Vec<Payment>,
}

impl Contents {
    fn put_user(&mut self, user: i64, time: i64) {
        let known = self.users.entry(user).or_insert(time);
        *known = time.max(*known);
    }

    fn with(&self, other: &Contents) -> Contents {
        let mut both = self.clone();
        other.users.iter().for_each(|(user, time)| both.put_user(*user, *time));
        both.payments.extend(other.payments.iter().cloned());
        both
    }

    /// Count and sum of a card's payments, by a loop over all versions.
    fn activity(&self, card: u64) -> (u64, f64) {
        let mut last: BTreeMap<u64, &Payment> = BTreeMap::new();
        for payment in self.payments.iter().filter(|payment| payment.card == card) {
            let known = last.entry(payment.id).or_insert(payment);
            if payment.known > known.known {
                *known = payment;
            }
        }
        (last.len() as u64, last.values().map(|payment| payment.amount).sum())
    }
}

fn at(time: i64) -> String {
    Timestamp(time).to_string()
}

/// The project, its copies, and what they have.
struct Copies {
    folder: tempfile::TempDir,
    /// When it was made, in microseconds.
    now: i64,
    older: Contents,
    copy: Contents,
    newer: Contents,
    /// The rows of the copy's logs, and of those of the newer store.
    logged: [u64; 2],
}

impl Copies {
    fn new() -> Copies {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_micros() as i64;
        let mut copies = Copies {
            folder: defined("copied", DEFINITIONS),
            now,
            older: Contents::default(),
            copy: Contents::default(),
            newer: Contents::default(),
            logged: [0; 2],
        };
        let root = copies.root().to_owned();
        let write = |name: &str, text: String| fs::write(root.join(name), text).expect("a file");
        write("tandem.toml", SETTINGS.to_owned());
        for user in 0..USERS {
            copies.older.put_user(user, copies.time(user));
        }
        for card in 0..CARDS {
            let payments = (0..20).map(|index| copies.payment(card, index, -3 * 60 * index as i64));
            let payments: Vec<Payment> = payments.collect();
            copies.older.payments.extend(payments);
        }
        let line = |(user, time): (&i64, &i64)| format!("{user},{},{time}\n", at(*time));
        write(
            "a.csv",
            format!("user_id,changed_at,credit\n{}", copies.older.users.iter().map(line).collect::<String>()),
        );
        let line = |of: &Payment| format!("{},c{},{},{},{}\n", of.id, of.card, at(of.at), at(of.known), of.amount);
        let lines: String = copies.older.payments.iter().map(line).collect();
        write("p.csv", format!("id,card_id,at,known_at,amount\n{lines}"));
        copies.run(&["import", "accounts", "a.csv"]);
        copies.run(&["import", "payments", "p.csv"]);
        copies.run(&["apply", "--by", "ada"]);
        copies.run(&["materialize", "account"]);
        copies.run(&["materialize", "activity"]);
        copies.run(&["online", "backup", "older"]);

        let server = Serving::start_registered(&root, &[]);
        let mut contents = copies.older.clone();
        copies.push_more(&server, &mut contents, 1);
        copies.run(&["online", "backup", "copy"]);
        copies.copy = contents.clone();
        copies.push_more(&server, &mut contents, 2);
        copies.run(&["online", "backup", "newer"]);
        copies.newer = contents;
        drop(server);
        for (index, name) in ["copy", "newer"].into_iter().enumerate() {
            copies.logged[index] = copies.open(name).logs().expect("logs").iter().map(|log| log.rows).sum();
        }
        copies
    }

    fn root(&self) -> &Path {
        self.folder.path()
    }

    fn run(&self, arguments: &[&str]) -> String {
        told(tandem_registered(self.root(), arguments), 0).0
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.run(&[arguments, &["--json"]].concat())).expect("JSON")
    }

    fn open(&self, name: &str) -> Store {
        Store::open_read_only(&self.root().join(name), StoreOptions::default()).expect("a store")
    }

    /// The time of a user's first row.
    fn time(&self, user: i64) -> i64 {
        let is_old = if user < USERS { user < OLD } else { user % 2 == 0 };
        self.now - if is_old { 60 } else { 2 } * DAY + user * 1_000
    }

    fn is_too_old(&self, time: i64) -> bool {
        time < self.now - 30 * DAY
    }

    /// A payment at so many minutes behind an hour that is some time ago. What is before two hours before it is folded.
    fn payment(&self, card: u64, index: u64, minutes: i64) -> Payment {
        let hour = 60 * MINUTE;
        let at = self.now / hour * hour - 6 * hour + minutes * MINUTE;
        Payment { id: card * 1_000 + index, card, at, known: at, amount: (1 + index) as f64 }
    }

    fn push_users(&self, server: &Serving, to: &str, rows: &[(i64, i64)]) -> Option<Value> {
        let row = |(user, time): &(i64, i64)| json!({"user_id": user, "changed_at": at(*time), "credit": *time as f64});
        let rows: Vec<Value> = rows.iter().map(row).collect();
        push(server, "/v1/push/account", &json!({"to": to, "rows": rows}))
    }

    fn push_payments(&self, server: &Serving, to: &str, payments: &[Payment]) -> Option<Value> {
        let row = |of: &Payment| json!({"id": of.id.to_string(), "card_id": format!("c{}", of.card), "at": at(of.at), "known_at": at(of.known), "amount": of.amount});
        let rows: Vec<Value> = payments.iter().map(row).collect();
        push(server, "/v1/push/activity", &json!({"to": to, "rows": rows}))
    }

    /// Newer rows of some users, users that are online alone, more payments, some of other cards, and corrections.
    fn push_more(&self, server: &Serving, contents: &mut Contents, step: i64) {
        let both: Vec<(i64, i64)> =
            (0..USERS).step_by(2 + step as usize).map(|user| (user, self.time(user) + step * 60 * MINUTE)).collect();
        let alone: Vec<(i64, i64)> =
            (USERS..USERS + ALONE).map(|user| (user, self.time(user) + step * MINUTE)).collect();
        for (to, rows) in [("online_and_offline", both), ("online", alone)] {
            let answer = self.push_users(server, to, &rows).expect("an answer");
            assert_eq!(answer["written"], json!(rows.len()), "{answer}");
            rows.into_iter().for_each(|(user, time)| contents.put_user(user, time));
        }
        let mut payments: Vec<Payment> = (0..ALL_CARDS)
            .flat_map(|card| (1..4).map(move |index| (card, index)))
            .map(|(card, index)| self.payment(card, 100 * step as u64 + index, 10 * index as i64 + step))
            .collect();
        payments.extend((0..CARDS).map(|card| Payment {
            amount: 64.0 * step as f64,
            known: self.now - 5 * 60 * MINUTE + step,
            ..self.payment(card, 0, 0)
        }));
        let answer = self.push_payments(server, "online_and_offline", &payments).expect("an answer");
        assert_eq!(answer["written"], json!(payments.len()), "{answer}");
        contents.payments.extend(payments);
    }

    /// Puts a copy in the place of the store, and the history as it was before anything was pushed.
    fn place(&self, name: Option<&str>) {
        for folder in ["data/online", "data/features"] {
            let _ = fs::remove_dir_all(self.root().join(folder)); // there may be none
        }
        let Some(name) = name else { return };
        fs::create_dir_all(self.root().join("data/online")).expect("a folder");
        fs::copy(self.root().join(name).join("data.mdb"), self.root().join("data/online/data.mdb")).expect("a file");
    }

    /// The store; None if there is none, or nothing of this view.
    fn store_with(&self, view: &str) -> Option<Store> {
        let folder = self.root().join("data/online");
        if !folder.join("data.mdb").exists() {
            return None;
        }
        let store = Store::open(&folder, StoreOptions::default()).expect("a store that was killed opens");
        store.find_view(view, 1).expect("views").is_some().then_some(store)
    }

    /// Sums over the generations of the store: of what `of` gives.
    fn count(&self, of: impl Fn(&ViewStats) -> u64) -> u64 {
        let folder = self.root().join("data/online");
        // It may be in the middle of being made.
        let Ok(store) = Store::open_read_only(&folder, StoreOptions::default()) else { return 0 };
        store.view_stats(Timestamp(self.now)).map(|stats| stats.iter().map(of).sum()).unwrap_or(0)
    }

    /// Of each user that has a row, its time and whether it is served. What is served is the value of that row.
    fn users(&self) -> BTreeMap<i64, (i64, bool)> {
        if self.store_with("account").is_none() {
            return BTreeMap::new();
        }
        let asked: Vec<String> = (0..USERS + ALONE).map(|user| format!("user_id={user}")).collect();
        let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
        let answer = self.json(&[&["get", "account"], &asked[..]].concat());
        let of = |row: &Value| {
            let time = Timestamp::parse(row["event_time"].as_str()?).expect("a time").0;
            let status = row["status"].as_str().expect("a status");
            match status {
                "PRESENT" => assert_eq!(row["values"]["credit"], json!(time as f64), "a value of another row: {row}"),
                _ => assert_eq!(status, "OUTSIDE_MAX_AGE", "{row}"),
            }
            Some((row["entity"]["user_id"].as_i64().expect("a number"), (time, status == "PRESENT")))
        };
        answer["rows"].as_array().expect("rows").iter().filter_map(of).collect()
    }

    /// Of each card the count and the sum of its payments.
    fn activity(&self) -> Vec<(u64, f64)> {
        if self.store_with("activity").is_none() {
            return vec![(0, 0.0); ALL_CARDS as usize];
        }
        let asked: Vec<String> = (0..ALL_CARDS).map(|card| format!("card_id=c{card}")).collect();
        let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
        let answer = self.json(&[&["get", "activity"], &asked[..]].concat());
        let of = |row: &Value| {
            let value = |name: &str| row["values"].get(name).expect("a feature").as_f64().unwrap_or(0.0);
            (value("count_lifetime") as u64, value("amount_sum_lifetime"))
        };
        answer["rows"].as_array().expect("rows").iter().map(of).collect()
    }

    /// How many rows of logs are in files of the history; none is there twice.
    fn rolled(&self) -> u64 {
        let folder = self.root().join("data/features");
        let mut found = BTreeSet::new();
        if !folder.exists() {
            return 0;
        }
        for (name, _) in files(&folder).into_iter().filter(|(name, _)| name.ends_with(".parquet")) {
            let view = name.split('/').next().expect("a folder").to_owned();
            let file = File::open(folder.join(&name)).expect("a file");
            for batch in ParquetRecordBatchReaderBuilder::try_new(file).expect(&name).build().expect(&name) {
                let batch = batch.expect(&name);
                for sequence in
                    batch.column_by_name("push_sequence").expect("a column").as_primitive::<Int64Type>().values()
                {
                    assert!(
                        found.insert((view.clone(), *sequence)),
                        "{name}: row {sequence} of the log is there twice"
                    );
                }
            }
        }
        found.len() as u64
    }

    /// Starts a command, and kills it at some moment: once `progress` is `enough`, or, where nothing is said of it, after some time.
    fn kill(&self, arguments: &[&str], numbers: &mut Numbers, progress: impl Fn() -> u64, enough: Option<u64>) {
        let mut child: Child = tandem_registered(self.root(), arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program runs");
        match enough {
            Some(enough) => {
                let begin = Instant::now();
                while progress() < enough && child.try_wait().expect("a child").is_none() {
                    assert!(begin.elapsed() < Duration::from_secs(120), "{arguments:?} does not end");
                    std::thread::sleep(Duration::from_millis(1));
                }
                std::thread::sleep(Duration::from_micros(numbers.below(4_000)));
            }
            None => std::thread::sleep(Duration::from_millis(numbers.below(400))),
        }
        let _ = child.kill(); // it may have ended
        let _ = child.wait();
    }

    /// Reader slots of the dead are used again.
    fn check_readers(&self) {
        for (name, most) in [("data/online", 64), ("copy", 16)] {
            let stats = self.open(name).stats().expect("sizes");
            assert!(stats.readers <= most, "{name}: {stats:?}");
        }
    }

    /// A copy restored into a store that has `start`, killed again and again, and then not. Gives how often it was killed with a part of its work done.
    fn restore(&self, name: Option<&str>, start: &Contents, with_server: bool, numbers: &mut Numbers) -> u64 {
        self.place(name);
        let entries = |name: &str| {
            let stats = self.open(name).view_stats(Timestamp(self.now)).expect("sizes");
            stats.iter().map(|stats| stats.entries).sum::<u64>()
        };
        let from = name.map_or(0, entries);
        let all = start.with(&self.copy);
        let to = from.max(entries("copy"));
        let server = with_server.then(|| Serving::start_registered(self.root(), &[]));
        let ended = AtomicBool::new(false);
        let pushed = Mutex::new(Contents::default());
        let mut partly = 0;
        std::thread::scope(|scope| {
            let _ends = Ends(&ended);
            if let Some(server) = &server {
                scope.spawn(|| self.push_until_killed(server, &pushed, &ended));
            }
            for _ in 0..KILLS {
                let enough = (numbers.below(3) > 0).then(|| from + numbers.below(to - from + 1));
                self.kill(&["online", "restore", "copy"], numbers, || self.count(|stats| stats.entries), enough);
                partly += u64::from(self.check_half(start, &all, &pushed));
                if let Some(server) = &server {
                    self.correct(server, &all, &pushed, numbers);
                }
            }
            if let Some(server) = &server {
                let mut last = tandem_registered(self.root(), &["online", "restore", "copy"])
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn()
                    .expect("the program runs");
                std::thread::sleep(Duration::from_millis(numbers.below(300)));
                server.kill();
                let _ = last.kill(); // it may have ended
                let _ = last.wait();
            }
        });
        drop(server);
        let all = all.with(&pushed.lock().expect("nobody panicked"));
        let mut expected = None;
        for again in [false, true] {
            let report = self.json(&["online", "restore", "copy"]);
            let sum = |name: &str| {
                report["views"]
                    .as_array()
                    .expect("views")
                    .iter()
                    .map(|view| view[name].as_u64().expect("a number"))
                    .sum::<u64>()
            };
            assert_eq!(sum("left_out"), 0, "{report}");
            assert!(!again || (sum("written"), sum("logged")) == (0, 0), "{report}");
            let users = self.users();
            // What was pushed and not acknowledged may be there.
            for (user, time) in &all.users {
                let found = users.get(user).expect("a user").0;
                assert!(
                    found == *time || (with_server && found > *time && *user >= OLD && *user < OLD + 4),
                    "user {user} has {found} instead of {time}"
                );
            }
            let activity = self.activity();
            let by_hand: Vec<(u64, f64)> = (0..ALL_CARDS).map(|card| all.activity(card)).collect();
            assert_eq!(activity, by_hand);
            assert_eq!(self.rolled(), self.logged[0]);
            let first = expected.get_or_insert((users.clone(), activity.clone()));
            assert_eq!(first, &(users, activity), "the second one changed something");
        }
        self.run(&["log", "flush"]);
        assert_eq!(
            self.rolled(),
            self.logged[usize::from(name == Some("newer"))],
            "rows that the copy and the store have"
        );
        self.check_readers();
        partly
    }

    /// After a kill: all rows of the copy, or none of them; each card as it was, or with all of the copy. Gives whether a part of the copy is there.
    fn check_half(&self, start: &Contents, all: &Contents, pushed: &Mutex<Contents>) -> bool {
        let before = start.with(&pushed.lock().expect("nobody panicked"));
        let users = self.users();
        let after = pushed.lock().expect("nobody panicked").clone();
        let (mut there, mut missing) = (0, 0);
        for (user, time) in &before.users {
            assert!(users.get(user).is_some_and(|(found, _)| found >= time), "user {user} went back from {time}");
        }
        for (user, time) in &all.users {
            // Of those that the copy alone has so.
            if before.users.get(user).max(after.users.get(user)) < Some(time) {
                let found = users.get(user).map(|(found, _)| *found);
                assert!(found == Some(*time) || found == start.users.get(user).copied(), "user {user}: {found:?}");
                if found == Some(*time) { there += 1 } else { missing += 1 }
            }
        }
        assert!(there == 0 || missing == 0, "{there} rows of the copy are there, and {missing} are not");
        let (was, is): (Vec<_>, Vec<_>) =
            (0..ALL_CARDS).map(|card| (start.activity(card).0, all.activity(card).0)).unzip();
        let found = self.activity();
        for card in 0..ALL_CARDS as usize {
            let count = found[card].0;
            assert!(count == was[card] || count == is[card], "card {card}: {count} of {} or {}", was[card], is[card]);
        }
        let is_whole = found.iter().map(|(count, _)| *count).eq(is) && missing == 0;
        self.rolled();
        !is_whole && (there > 0 || self.rolled() > 0)
    }

    /// Pushes newer rows of a few users, until the server is gone.
    fn push_until_killed(&self, server: &Serving, pushed: &Mutex<Contents>, ended: &AtomicBool) {
        for step in 0_i64.. {
            if ended.load(Ordering::Relaxed) {
                return;
            }
            let rows: Vec<(i64, i64)> =
                (OLD..OLD + 4).map(|user| (user, self.time(user) + DAY + step * 1_000)).collect();
            let Some(answer) = self.push_users(server, "online", &rows) else { return };
            assert_eq!(answer["written"], json!(rows.len()), "{answer}");
            let mut pushed = pushed.lock().expect("nobody panicked");
            rows.into_iter().for_each(|(user, time)| pushed.put_user(user, time));
            drop(pushed);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Corrects a payment of each card that is there, as it may be restored in part.
    fn correct(&self, server: &Serving, all: &Contents, pushed: &Mutex<Contents>, numbers: &mut Numbers) {
        let found = self.activity();
        let there = (0..ALL_CARDS).filter(|card| found[*card as usize].0 == all.activity(*card).0);
        let mut pushed = pushed.lock().expect("nobody panicked");
        let step = pushed.payments.len() as i64;
        let corrected = |card| Payment {
            amount: (1_000 + numbers.below(1_000)) as f64,
            known: self.now - 4 * 60 * MINUTE + step,
            ..self.payment(card, 101, 11)
        };
        let payments: Vec<Payment> = there.map(corrected).collect();
        if payments.is_empty() {
            return;
        }
        let answer = self.push_payments(server, "online", &payments).expect("an answer");
        assert_eq!(answer["written"], json!(payments.len()), "{answer}");
        pushed.payments.extend(payments);
    }

    /// Values of old rows are removed, killed again and again, and then not. Gives how often it was killed with a part of its work done.
    fn expire(&self, is_rebuilt: bool, with_server: bool, numbers: &mut Numbers) -> u64 {
        self.place(Some("newer"));
        if is_rebuilt {
            self.run(&["materialize", "account", "--rebuild"]);
        }
        let generations = 1 + u64::from(is_rebuilt);
        let old = self.newer.users.values().filter(|time| self.is_too_old(**time)).count() as u64 * generations;
        let removed = || self.count(|stats| stats.removed);
        let server = with_server.then(|| Serving::start_registered(self.root(), &["--allow-replay"])); // so that it removes nothing itself
        let (mut before, mut partly) = (0, 0);
        for kill in 0..KILLS {
            // The first one certainly with a part of its work done.
            let enough = match kill {
                0 => Some(old / 4 + numbers.below(old / 2)),
                _ => (numbers.below(3) > 0).then(|| before + numbers.below(old - before + 1)),
            };
            let watched = self.open("data/online");
            let progress = || {
                let stats = watched.view_stats(Timestamp(self.now)).expect("sizes");
                stats.iter().map(|stats| stats.removed).sum()
            };
            self.kill(&["online", "expire", "account"], numbers, progress, enough);
            drop(watched);
            let now = removed();
            assert!(before <= now && now <= old, "{before} values were removed, then {now} of {old}");
            before = now;
            partly += u64::from(0 < now && now < old);
            self.check_expired();
            if let Some(server) = &server {
                // No late row takes the place of one whose values may be gone.
                let late: Vec<(i64, i64)> = (0..OLD).map(|user| (user, self.time(user) - MINUTE)).collect();
                let answer = self.push_users(server, "online", &late).expect("an answer");
                assert_eq!(answer["written"], json!(0), "{answer}");
            }
        }
        if let Some(server) = &server {
            server.kill();
        }
        drop(server);
        for left in [old - before, 0] {
            let found = self.json(&["online", "expire", "account"])["removed"].as_u64().expect("a number");
            // A transaction of which nobody was told may be on the disk: it is seen once another one begins.
            assert!(
                found <= left && left <= found + REMOVED_MAX,
                "{found} values were removed of {left} that were left"
            );
            assert_eq!(removed(), old);
            self.check_expired();
        }
        let activity: Vec<(u64, f64)> = (0..ALL_CARDS).map(|card| self.newer.activity(card)).collect();
        assert_eq!(self.activity(), activity, "events have no ttl");
        self.check_readers();
        partly
    }

    /// Each user has the row of the newer store, served if it is within the ttl.
    fn check_expired(&self) {
        let users = self.users();
        assert_eq!(users.len(), self.newer.users.len());
        for (user, time) in &self.newer.users {
            assert_eq!(users[user], (*time, !self.is_too_old(*time)), "user {user}");
        }
    }
}

/// Tells whoever pushes that it is over, also where something panics.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Posts to a server; None where it is gone.
fn push(server: &Serving, route: &str, body: &Value) -> Option<Value> {
    let config =
        ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(30)));
    let agent: ureq::Agent = config.build().into();
    let request = agent.post(format!("{}{route}", server.url())).header("content-type", "application/json");
    let mut answer = request.send(body.to_string()).ok()?;
    let text = answer.body_mut().read_to_string().ok()?;
    assert_eq!(answer.status().as_u16(), 200, "{text}");
    serde_json::from_str(&text).ok()
}

#[test]
fn what_is_restored_and_what_is_too_old_survive_being_killed() {
    let rounds = std::env::var("TANDEM_CRASH_ROUNDS").ok().map_or(ROUNDS, |rounds| rounds.parse().expect("a number"));
    let mut numbers = Numbers(RandomState::new().hash_one(0));
    let copies = Copies::new();
    let copy = fs::read(copies.root().join("copy/data.mdb")).expect("a file");
    let (nothing, mut restored, mut expired) = (Contents::default(), 0, 0);
    for round in 0..rounds {
        let (name, start) = match round % 3 {
            0 => (None, &nothing),
            1 => (Some("older"), &copies.older),
            _ => (Some("newer"), &copies.newer),
        };
        let with_server = numbers.below(2) == 0;
        restored += copies.restore(name, start, with_server, &mut numbers);
        expired += copies.expire(numbers.below(2) == 0, with_server, &mut numbers);
    }
    assert!(
        fs::read(copies.root().join("copy/data.mdb")).expect("a file") == copy,
        "a copy that is restored is not changed"
    );
    assert!(expired > 0, "never in the middle of an expiry, and {restored} times in that of a restore");
}
