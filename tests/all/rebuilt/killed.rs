//! `tandem online restore` and `tandem online expire` are killed with SIGKILL at random moments, beside a server that is pushed to and killed, too, and without one; into stores that are lost, that
//! are older than the copy, and that are newer. After each kill the store opens, and is whole: of a copy's rows, which are so few that they are one transaction, there are all or none, an entity of a tiled view is there as the copy has it or as it was,
//! the files of the history have no row twice; and a row that is within its ttl has its value. Repeated, each command ends its work, and repeated once more it has nothing to do.
//!
//! A longer run: `TANDEM_CRASH_ROUNDS=200 cargo test -p tandem-tests --test all rebuilt::killed`.

mod expired;
mod restored;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use serde_json::{Value, json};
use tandem_core::time::Timestamp;
use tandem_online::{Store, StoreOptions, ViewStats};

use crate::harness::killing;
use crate::harness::numbers::Numbers;
use crate::harness::program::{Serving, defined, tandem_registered, told};

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
        killing::ask(server.url(), "/v1/push/account", &json!({"to": to, "rows": rows}))
    }

    fn push_payments(&self, server: &Serving, to: &str, payments: &[Payment]) -> Option<Value> {
        let row = |of: &Payment| json!({"id": of.id.to_string(), "card_id": format!("c{}", of.card), "at": at(of.at), "known_at": at(of.known), "amount": of.amount});
        let rows: Vec<Value> = payments.iter().map(row).collect();
        killing::ask(server.url(), "/v1/push/activity", &json!({"to": to, "rows": rows}))
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
        let mut found = BTreeSet::new();
        for (name, batch) in killing::history(self.root()) {
            let view = name.split('/').next().expect("a folder").to_owned();
            let sequences = batch.column_by_name("push_sequence").expect("a column");
            for sequence in sequences.as_primitive::<Int64Type>().values() {
                let is_new = found.insert((view.clone(), *sequence));
                assert!(is_new, "{name}: row {sequence} of the log is there twice");
            }
        }
        found.len() as u64
    }

    /// Starts a command, and kills it at some moment: once `progress` is `enough`, or, where nothing is said of it, after some time.
    fn kill(&self, arguments: &[&str], numbers: &mut Numbers, progress: impl Fn() -> u64, enough: Option<u64>) {
        let mut child = killing::start(self.root(), arguments);
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
        killing::kill(child);
    }

    /// Reader slots of the dead are used again.
    fn check_readers(&self) {
        for (name, most) in [("data/online", 64), ("copy", 16)] {
            let stats = self.open(name).stats().expect("sizes");
            assert!(stats.readers <= most, "{name}: {stats:?}");
        }
    }
}

#[test]
fn what_is_restored_and_what_is_too_old_survive_being_killed() {
    let rounds = killing::rounds(ROUNDS);
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
