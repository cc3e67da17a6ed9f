//! Aggregates over windows: training sets against DuckDB and Polars (`baselines/windows.py`), reads of an entity with many events, and events pushed
//! against raw puts into LMDB.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::{ArrayRef, Float64Array, Int64Array};
use lmdb::{Environment, Transaction as _, WriteFlags};
use tandem::lookup::{Ask, At, lookup};
use tandem_core::time::Timestamp;
use tandem_online::{Store, StoreOptions};

use crate::Failure;
use crate::child::{Cost, open, tandem, watched};
use crate::guests::{scratch, workspace};
use crate::load::{JSON, ask_each, post};
use crate::markdown::{Table, grouped, number};
use crate::race::Times;
use crate::serving::TandemServes;
use crate::tools;
use crate::training::{Random, instants, write};

/// The windows of the training set.
const WINDOWS: [&str; 10] = ["1h", "6h", "12h", "1d", "2d", "3d", "7d", "14d", "30d", "60d"];

/// Events of a user on average.
const EVENTS_OF_USER: usize = 100;

/// Events of the entity that has many.
const MANY: usize = 100_000;

/// Events in one push.
const PUSHED_AT_ONCE: usize = 5_000;

const TOOLS: [&str; 2] = ["duckdb", "polars"];

/// Markdown of the section.
pub(crate) fn run(quick: bool, events: usize) -> Result<String, Failure> {
    let mut text = String::from("\n## Windows\n");
    text += &offline(if quick { 20_000 } else { events }, if quick { 1 } else { 3 })?;
    text += &reads(if quick { 500 } else { 20_000 })?;
    text += &pushes(if quick { 4 } else { 100 })?;
    Ok(text)
}

/// A project over `data/events.parquet`, or over nothing yet.
fn project(name: &str, windows: &[&str], aggregates: &[&str]) -> Result<PathBuf, Failure> {
    let root = scratch()?.join(name);
    let _ = fs::remove_dir_all(&root); // what a run that ended early left
    for folder in ["features", "data"] {
        fs::create_dir_all(root.join(folder))?;
    }
    fs::write(root.join("tandem.toml"), "[project]\nname = \"windows\"\n")?;
    let windows: Vec<String> = windows.iter().map(|window| format!("\"{window}\"")).collect();
    let aggregate = |function: &&str| match *function {
        "count" => format!("{{ function = \"count\", windows = [{}] }}", windows.join(", ")),
        function => format!("{{ function = \"{function}\", column = \"amount\", windows = [{}] }}", windows.join(", ")),
    };
    let aggregates: Vec<String> = aggregates.iter().map(aggregate).collect();
    let definitions = format!(
        "[[entity]]\nname = \"user\"\njoin_keys = [{{ name = \"user_id\", type = \"int64\" }}]\n\n\
         [[source]]\nname = \"events\"\npath = \"data\"\nkind = \"events\"\nevent_time = \"event_time\"\n\n\
         [[feature_view]]\nname = \"spent\"\nversion = 1\nsource = \"events\"\nentities = [\"user\"]\nbounds = \"(]\"\n\
         columns = {{ amount = \"float64\" }}\naggregates = [{}]\n",
        aggregates.join(", ")
    );
    fs::write(root.join("features/all.toml"), definitions)?;
    Ok(root)
}

/// Cents: sums of them are not exact in float64.
fn amount(random: &mut Random) -> f64 {
    (random.next() % 100_000) as f64 / 100.0
}

fn offline(events: usize, rounds: usize) -> Result<String, Failure> {
    let root = project("windows", &WINDOWS, &["sum"])?;
    let users = (events / EVENTS_OF_USER).max(1) as u64;
    let mut random = Random(42);
    write(&root.join("data/events.parquet"), events, |_, count| {
        let keys = Int64Array::from_iter_values((0..count).map(|_| random.user(users)));
        let times = instants((0..count).map(|_| random.instant()).collect());
        let amounts = Float64Array::from_iter_values((0..count).map(|_| amount(&mut random)));
        vec![("user_id", Arc::new(keys) as ArrayRef), ("event_time", times), ("amount", Arc::new(amounts))]
    })?;
    let python = tools::environment("training", "benches/baselines/requirements-training.txt")?;
    let script = workspace().join("benches/baselines/windows.py");
    let mut found: Vec<(String, Vec<Cost>)> = vec![("Tandem".to_owned(), Vec::new())];
    found.extend(TOOLS.iter().map(|tool| ((*tool).to_owned(), Vec::new())));
    for _ in 0..rounds {
        for (tool, costs) in &mut found {
            let mut command = match tool.as_str() {
                "Tandem" => {
                    let mut command = tandem(&root)?;
                    command.args(["training-set", "--dev", "--labels", "data/events.parquet", "--features", "spent"]);
                    command.args(["--no-status", "--json", "--out", "tandem.parquet"]);
                    command
                }
                tool => {
                    let mut command = Command::new(python.join("bin/python"));
                    command
                        .arg(&script)
                        .arg(tool)
                        .arg("data/events.parquet")
                        .arg(format!("{tool}.parquet"))
                        .args(WINDOWS);
                    command.current_dir(&root);
                    command
                }
            };
            costs.push(watched(&mut command)?);
        }
    }
    // They must agree, but for what order of addition makes of a sum.
    let mut compare = Command::new(python.join("bin/python"));
    compare.arg(&script).args(["compare", "tandem.parquet", "duckdb.parquet"]).current_dir(&root);
    tools::run(&mut compare)?;
    let walls: Vec<Times> =
        found.iter().map(|(_, costs)| Times::new(costs.iter().map(|cost| cost.wall.as_secs_f64()).collect())).collect();
    let mut table = Table::new(&["", "s, median", "s, min", "Tandem × this, median (min)", "peak memory, MiB"]);
    for ((tool, costs), wall) in found.iter().zip(&walls) {
        let peak = costs.iter().map(|cost| cost.peak_bytes).max().unwrap_or_default();
        table.row(&[
            tool.clone(),
            number(wall.median()),
            number(wall.min()),
            format!("{:.2} ({:.2})", walls[0].median() / wall.median(), walls[0].min() / wall.min()),
            number(peak as f64 / f64::from(1 << 20)),
        ]);
    }
    Ok(format!(
        "\n### Training set\n\nSums over {} windows as of each of {} events, of {} users, Parquet to Parquet, whole processes, {rounds} rounds in turns. Tandem's sums are exact and rounded once, keep the order of rows, and leave out what was not known yet; DuckDB's and Polars' are sums of float64 in some order (they agree within 1e-9).\n\n{}",
        WINDOWS.len(),
        grouped(events as u64),
        grouped(users),
        table.render()
    ))
}

/// Reads of an entity with many events, of one with few, and of one without any.
fn reads(count: usize) -> Result<String, Failure> {
    let root = project("windows-reads", &["1h", "1d", "7d", "30d", "90d"], &["count", "sum", "max"])?;
    let others = 1_000;
    let mut random = Random(7);
    write(&root.join("data/events.parquet"), MANY + others * EVENTS_OF_USER, |first, count| {
        let user = |row: usize| if row < MANY { 0 } else { 1 + (row % others) as i64 };
        let keys = Int64Array::from_iter_values((first..first + count).map(user));
        let times = instants((0..count).map(|_| random.instant()).collect());
        let amounts = Float64Array::from_iter_values((0..count).map(|_| amount(&mut random)));
        vec![("user_id", Arc::new(keys) as ArrayRef), ("event_time", times), ("amount", Arc::new(amounts))]
    })?;
    let started = Instant::now();
    tools::run(tandem(&root)?.args(["materialize", "--dev", "spent"]))?;
    let materialized = started.elapsed();
    let opened = open(&root, 1)?;
    let view = opened.view("spent")?.bound;
    let path = opened.project.settings.storage.online.clone();
    let store = Store::open(&path, StoreOptions::default())?;
    let id = store.find_view("spent", 1)?.ok_or("nothing was materialized")?.id;
    let mut table = Table::new(&["entity", "as of", "p50, µs", "p99, µs", "p99.9, µs"]);
    let end = 1_767_225_600_000_000 + 90 * 86_400 * 1_000_000_i64;
    for (name, user) in [("100,000 events", 0_i64), ("100 events", 5), ("none", 5_000_000)] {
        for (when, early) in [
            ("a random instant of the last day", 86_400_000_000_u64),
            ("a random instant of 60 days", 60 * 86_400_000_000),
        ] {
            let mut latencies = Vec::with_capacity(count);
            for _ in 0..count {
                let as_of = Timestamp(end - (random.next() % early) as i64);
                let ask = Ask::new(id, &view, vec![Arc::new(Int64Array::from(vec![user]))]);
                let begin = Instant::now();
                let found = lookup(&store, &ask, At::replayed(as_of))?;
                latencies.push(begin.elapsed().as_nanos() as f64);
                if found.rows.len() != 1 {
                    return Err("one entity was asked for".into());
                }
            }
            let latencies = Times::new(latencies);
            table.row(&[
                name.to_owned(),
                when.to_owned(),
                number(latencies.median() / 1e3),
                number(latencies.quantile(0.99) / 1e3),
                number(latencies.quantile(0.999) / 1e3),
            ]);
        }
    }
    drop(store);
    let events = MANY + others * EVENTS_OF_USER;
    let bytes = std::os::unix::fs::MetadataExt::blocks(&fs::metadata(path.join("data.mdb"))?) * 512;
    Ok(format!(
        "\n### Reads\n\nCounts, sums and maxima over 5 windows (1 h to 90 days), one entity, from the store in this process, warm. The store takes {} bytes an event with its tiles, materialized at {} events a second.\n\n{}",
        bytes / events as u64,
        grouped((events as f64 / materialized.as_secs_f64()) as u64),
        table.render()
    ))
}

/// Events pushed over HTTP, durable when they are acknowledged.
fn pushes(count: usize) -> Result<String, Failure> {
    let mut table = Table::new(&["", "entities", "events/s", "× raw", "p50 of a push, ms", "p99, ms"]);
    for entities in [1_u64, 1_000] {
        let root = project("windows-pushes", &["1h", "1d", "7d"], &["count", "sum"])?;
        let raw = raw_puts(&root.join("raw"), entities, count)?;
        let server = TandemServes::start(&root)?;
        let mut random = Random(3);
        let mut at = crate::child::now().0 - (count * PUSHED_AT_ONCE) as i64 * 1_000;
        let requests: Vec<Vec<u8>> = (0..count)
            .map(|_| {
                let rows: Vec<String> = (0..PUSHED_AT_ONCE)
                    .map(|_| {
                        at += 1_000;
                        let (user, time) = (random.next() % entities, Timestamp(at));
                        format!("{{\"user_id\":{user},\"event_time\":\"{time}\",\"amount\":{}}}", amount(&mut random))
                    })
                    .collect();
                let body = format!("{{\"rows\":[{}]}}", rows.join(","));
                post(server.address(), "/v1/push/spent", JSON, body.as_bytes())
            })
            .collect();
        // Each once, as fast as they are answered.
        let answers = ask_each(server.address(), &requests, 4)?;
        if answers.refused > 0 {
            return Err("pushes were refused".into());
        }
        let events = (count * PUSHED_AT_ONCE) as f64;
        let per_second = events / answers.elapsed.as_secs_f64();
        let latencies = Times::new(answers.latencies);
        for (name, rate, latencies) in
            [("Tandem, 4 connections", per_second, Some(latencies)), ("raw puts into LMDB", raw, None)]
        {
            let of = |share: f64| latencies.as_ref().map_or(String::new(), |times| number(times.quantile(share) / 1e6));
            table.row(&[
                name.to_owned(),
                grouped(entities),
                grouped(rate as u64),
                number(rate / raw),
                of(0.5),
                of(0.99),
            ]);
        }
    }
    Ok(format!(
        "\n### Pushes\n\nJSON, {PUSHED_AT_ONCE} events a push; counts and sums over 3 windows. Raw puts are of 24 bytes of key and 48 of value, with a durable commit for as many events, in one table: Tandem writes the event, the tiles over it, and the push log.\n\n{}",
        table.render()
    ))
}

/// Events a second.
fn raw_puts(folder: &Path, entities: u64, commits: usize) -> Result<f64, Failure> {
    fs::create_dir_all(folder)?;
    let environment = Environment::new().set_map_size(64 << 30).open(folder)?;
    let table = environment.open_db(None)?;
    let (mut random, mut sequence) = (Random(3), 0_u64);
    let start = Instant::now();
    for _ in 0..commits {
        let mut transaction = environment.begin_rw_txn()?;
        for _ in 0..PUSHED_AT_ONCE {
            sequence += 1;
            let words = [random.next() % entities, sequence * 1_000, sequence];
            let key: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            transaction.put(table, &key, &[7_u8; 48], WriteFlags::empty())?;
        }
        transaction.commit()?;
    }
    Ok((commits * PUSHED_AT_ONCE) as f64 / start.elapsed().as_secs_f64())
}
