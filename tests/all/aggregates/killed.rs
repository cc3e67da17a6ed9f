//! The flagship: a random history of events that come late, twice, out of order, corrected and taken back is pushed in random batches to a server that is killed
//! with SIGKILL and started again in between. Then the server's answers, training sets and `tandem parity` must all say the same, bit for bit.
//!
//! A longer run: `TANDEM_CRASH_ROUNDS=200 cargo test -p tandem-tests --test all aggregates::killed`.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;
use std::time::Duration;

use tandem_core::time::Timestamp;

use super::*;
use crate::harness::killing;
use crate::harness::numbers::Numbers;

/// Rounds where nothing else is said.
const ROUNDS: u64 = 4;

/// Events of which each round pushes some.
const EVENTS: u64 = 220;

const CARDS: [&str; 4] = ["a", "b", "c", "d"];
const CLIENTS: usize = 2;
const BATCH: usize = 9;

/// 2026-03-01T00:00:00Z, and a minute, in microseconds.
const BASE: i64 = 1_772_323_200_000_000;
const MINUTE: i64 = 60_000_000;

/// A version of an event; without an id an event by itself.
#[derive(Debug, Clone)]
struct Version {
    id: Option<u64>,
    card: &'static str,
    time: i64,
    known: i64,
    amount: Option<f64>,
    shop: Option<&'static str>,
    late: bool,
    gone: bool,
}

impl Version {
    fn json(&self) -> Value {
        json!({
            "id": self.id.map(|id| id.to_string()), "card_id": self.card, "at": at(self.time), "known_at": at(self.known),
            "amount": self.amount, "shop": self.shop, "is_late": self.late, "gone": self.gone,
        })
    }

    fn csv(&self) -> String {
        let id = self.id.map(|id| id.to_string()).unwrap_or_default();
        let amount = self.amount.map(|amount| amount.to_string()).unwrap_or_default();
        let (time, known, shop) = (at(self.time), at(self.known), self.shop.unwrap_or_default());
        format!("{id},{},{time},{known},{amount},{shop},{},{}\n", self.card, self.late, self.gone)
    }
}

fn at(minute: i64) -> String {
    Timestamp(BASE + minute * MINUTE).to_string()
}

fn history(numbers: &mut Numbers, events: u64) -> Vec<Version> {
    let mut all = Vec::new();
    for event in 0..events {
        let mut known = 0;
        let versions = [1, 1, 1, 2, 3][numbers.below(5) as usize];
        let id = (numbers.below(10) > 0).then_some(event);
        for version in 0..if id.is_some() { versions } else { 1 } {
            // A correction may move an event to another card and time.
            let time = numbers.below(2_800) as i64;
            let late = if numbers.below(3) == 0 { numbers.below(400) as i64 } else { 0 };
            // Versions of an event are known one after another, so that it is plain which is the last.
            known = (time + late).max(known + 1);
            all.push(Version {
                id,
                card: CARDS[numbers.below(4) as usize],
                time,
                known,
                // No two without an id are equal; cents that no float has.
                amount: (numbers.below(9) > 0 || id.is_none()).then_some((event * 37 % 1_000) as f64 / 100.0 - 1.0),
                shop: [None, Some("s1"), Some("s2"), Some("test")][numbers.below(4) as usize],
                late: numbers.below(2) == 0,
                gone: version > 0 && numbers.below(4) == 0,
            });
        }
    }
    numbers.shuffle(&mut all);
    all
}

/// Pushes batches until there are no more, or the server is gone: what was not acknowledged is sent again later.
fn push(url: &str, waiting: &Mutex<Vec<Vec<Version>>>) {
    loop {
        let Some(batch) = waiting.lock().expect("nobody panicked").pop() else { return };
        let rows: Vec<Value> = batch.iter().map(Version::json).collect();
        match killing::ask(url, "/v1/push/activity", &json!({"rows": rows})) {
            Some(answer) => assert_eq!(answer["accepted"], json!(batch.len()), "{answer}"),
            None => {
                waiting.lock().expect("nobody panicked").insert(0, batch);
                return;
            }
        }
    }
}

/// Of each card how many events count at last, by a loop over all versions.
fn counts(all: &[Version]) -> BTreeMap<&'static str, i64> {
    let mut last: BTreeMap<u64, &Version> = BTreeMap::new();
    for version in all {
        let Some(id) = version.id else { continue };
        let known = last.entry(id).or_insert(version);
        if version.known > known.known {
            *known = version;
        }
    }
    let mut counts: BTreeMap<&str, i64> = CARDS.iter().map(|card| (*card, 0)).collect();
    let single = all.iter().filter(|version| version.id.is_none());
    for version in last.into_values().chain(single).filter(|version| !version.gone && version.shop != Some("test")) {
        *counts.get_mut(version.card).expect("a card") += 1;
    }
    counts
}

#[test]
fn a_random_history_is_served_as_it_is_trained_on_whatever_is_killed() {
    let rounds = killing::rounds(ROUNDS);
    let seed = RandomState::new().hash_one(0);
    let mut numbers = Numbers(seed);
    let all = history(&mut numbers, EVENTS * rounds / ROUNDS);

    let project = project();
    let root = project.path();
    let settings = "[project]\nname = \"fraud\"\n[server]\nlisten = \"127.0.0.1:0\"\nallow_replay = true\nlate_millis_max = 30000\n[push]\nroll_seconds = 1\nroll_rows = 60\n";
    fs::write(root.join("tandem.toml"), settings).expect("a file");
    fs::remove_dir_all(root.join("data")).expect("a folder");
    let run = |arguments: &[&str], code: i32| told(tandem_registered(root, arguments), code);
    // A part lies in files, and is pushed again, too.
    let (files, _) = all.split_at(all.len() / 5);
    let csv: String = files.iter().map(Version::csv).collect();
    fs::write(root.join("files.csv"), format!("id,card_id,at,known_at,amount,shop,is_late,gone\n{csv}"))
        .expect("a file");
    run(&["import", "payments", "files.csv"], 0);
    run(&["apply", "--by", "ada"], 0);
    run(&["materialize", "activity"], 0);

    // Out of order, some twice, in batches of any size.
    let mut sent: Vec<Version> = all.clone();
    sent.extend((0..all.len() / 6).map(|_| all[numbers.below(all.len() as u64) as usize].clone()));
    numbers.shuffle(&mut sent);
    let mut batches: Vec<Vec<Version>> = Vec::new();
    while !sent.is_empty() {
        let rest = sent.split_off(sent.len().min(1 + numbers.below(BATCH as u64) as usize));
        // What has no id is known by its contents, and counts as often as it comes together: once here.
        let mut seen = HashSet::new();
        sent.retain(|version| version.id.is_some() || seen.insert(version.csv()));
        batches.push(std::mem::replace(&mut sent, rest));
    }
    let of_round = batches.len().div_ceil(rounds as usize);
    let mut later = batches;
    let waiting: Mutex<Vec<Vec<Version>>> = Mutex::default();
    for _ in 0..rounds {
        let now = later.split_off(later.len() - of_round.min(later.len()));
        waiting.lock().expect("nobody panicked").extend(now);
        let server = Serving::start_registered(root, &[]);
        std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| push(server.url(), &waiting));
            }
            std::thread::sleep(Duration::from_millis(numbers.below(1_500)));
            server.kill();
        });
    }
    let server = Serving::start_registered(root, &[]);
    push(server.url(), &waiting);
    assert!(waiting.lock().expect("nobody panicked").is_empty() && later.is_empty());

    let minutes: Vec<i64> = (0..24).map(|_| numbers.below(3_300) as i64).chain([4_000]).collect();
    let instants: Vec<String> = minutes.into_iter().map(at).collect();
    let mut served: Vec<Value> = Vec::new();
    for instant in &instants {
        let asked = json!({"view": "activity", "as_of": instant, "entities": {"card_id": CARDS}});
        let answer = killing::ask(server.url(), "/v1/features", &asked).expect("an answer");
        let rows = answer["rows"].as_array().expect("rows").iter();
        served.extend(rows.map(|row| COLUMNS[..7].iter().map(|name| row["values"][*name].clone()).collect::<Value>()));
    }
    server.kill();
    drop(server);
    // At last everything is known: nothing was lost, and nothing counts twice.
    let last = &served[served.len() - CARDS.len()..];
    let found: BTreeMap<&str, i64> =
        CARDS.iter().zip(last).map(|(card, row)| (*card, row[1].as_i64().expect("a count"))).collect();
    assert_eq!(found, counts(&all), "seed {seed}");

    run(&["log", "flush"], 0);
    let labels: String = instants.iter().flat_map(|instant| CARDS.map(|card| format!("{card},{instant}\n"))).collect();
    fs::write(root.join("labels.csv"), format!("card_id,event_time\n{labels}")).expect("a file");
    run(&["training-set", "--labels", "labels.csv", "--service", "fraud", "--out", "train.parquet"], 0);
    let trained = read(root, "train.parquet", &COLUMNS[..7]);
    assert_eq!(trained.len(), served.len());
    for (row, (trained, served)) in trained.iter().zip(&served).enumerate() {
        assert_eq!(trained, served, "{} at {}, seed {seed}", CARDS[row % 4], instants[row / 4]);
    }
    let different: HashSet<String> = served.iter().map(Value::to_string).collect();
    assert!(different.len() > served.len() / 3, "the values say little: {}", different.len());

    let parity = |more: &[&str]| {
        let (report, _) = run(&[&["parity", "activity", "--json"], more].concat(), 0);
        let report: Value = serde_json::from_str(&report).expect("JSON");
        assert_eq!(report["different"], json!(0), "seed {seed}: {report:#}");
        report["rows"].as_u64().expect("a number")
    };
    assert!(parity(&["--sample", "40", "--at", &instants.join(",")]) >= 20 * instants.len() as u64);
    assert!(parity(&[]) >= all.len() as u64 / 2);
    // A store that is made anew of the history is the same.
    fs::remove_dir_all(root.join("data/online")).expect("a folder");
    run(&["materialize", "activity"], 0);
    assert!(parity(&["--sample", "40", "--at", &instants.join(",")]) >= 20 * instants.len() as u64);
}
