//! Stored features over HTTP: `tandem serve` over a store of many entities, against a bare axum route, Redis behind an equal axum handler, and
//! Feast's own server; and `tandem materialize` against the least that it could do.
//!
//! - `data`: the project, its rows and its store
//! - `redis`: Redis, and the handler over it
//! - `feast`: Feast's server (`baselines/feast_serving.py`)
//! - `rates`: requests at fixed rates, and more than can be answered
//! - `append`: the newest row of each entity, appended to LMDB in order

pub(crate) mod append;
mod data;
mod feast;
mod rates;
pub(crate) mod redis;

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::Failure;
use crate::child::{Served, Task, cpu_seconds, resident_bytes, tandem};
use crate::load::{JSON, ask_all, post};
use crate::markdown::{Table, grouped, number};
use crate::race::Times;
use data::Project;

/// Entities of the item view for one request, beside one user.
const ITEMS: usize = 200;

/// Requests that differ; the entities of each are drawn anew.
const REQUESTS: usize = 512;

/// Features of each view.
pub(crate) const FEATURES: usize = 20;

/// A part of the section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// `tandem materialize`
    Materialize,
    /// One user
    One,
    /// One user and many items
    Many,
    /// More requests for one user than can be answered
    Overload,
    /// Feast's own server
    Feast,
}

/// Markdown of the section, or of some of its parts.
pub(crate) fn run(quick: bool, users: usize, only: &[Part]) -> Result<String, Failure> {
    let is_wanted = |part: Part| only.is_empty() || only.contains(&part);
    let users = if quick { users.min(20_000) } else { users };
    let (rounds, span) = if quick { (1, Duration::from_millis(300)) } else { (3, Duration::from_secs(2)) };
    let project = Project::new(users)?;
    let mut text = format!(
        "\n## Stored features over HTTP\n\n{} users and {} items with {FEATURES} floats each, materialized by `tandem materialize`. Every server is a process of its own; the load generator has another and shares the processors with them. {rounds} spans of {} s each, in turns.\n\n",
        grouped(users as u64),
        grouped(project.items as u64),
        span.as_secs_f64(),
    );
    // Each part as soon as it is there: the whole takes minutes.
    if is_wanted(Part::Materialize) {
        text += &project.materialized(if quick { 1 } else { 3 })?;
    } else {
        project.materialize_all()?;
    }
    crate::print(&text)?;
    if is_wanted(Part::One) {
        served_one(&project, rounds, span)?;
    }
    if is_wanted(Part::Overload) {
        crate::print(&rates::overload(&project, span)?)?;
    }
    if is_wanted(Part::Many) {
        served_many(&project, rounds, if quick { span } else { span * 2 })?;
    }
    if is_wanted(Part::Feast) { feast::run(quick) } else { Ok(String::new()) }
}

/// A server that is asked, and what it is asked.
struct Contender {
    name: &'static str,
    process: Box<dyn Process>,
    requests: Vec<Vec<u8>>,
}

trait Process {
    fn address(&self) -> SocketAddr;
    fn cpu_seconds(&self) -> Result<f64, Failure>;
    fn resident_bytes(&self) -> Result<u64, Failure>;
}

impl Process for Served {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn cpu_seconds(&self) -> Result<f64, Failure> {
        Served::cpu_seconds(self)
    }

    fn resident_bytes(&self) -> Result<u64, Failure> {
        Served::resident_bytes(self)
    }
}

/// The handler, with the Redis behind it.
struct WithRedis(Served, redis::Redis);

impl Process for WithRedis {
    fn address(&self) -> SocketAddr {
        self.0.address
    }

    fn cpu_seconds(&self) -> Result<f64, Failure> {
        Ok(self.0.cpu_seconds()? + cpu_seconds(&self.1.id().to_string())?)
    }

    fn resident_bytes(&self) -> Result<u64, Failure> {
        Ok(self.0.resident_bytes()? + resident_bytes(&self.1.id().to_string())?)
    }
}

/// `tandem serve` as a process.
pub(crate) struct TandemServes {
    process: Child,
    address: SocketAddr,
}

impl TandemServes {
    pub(crate) fn start(root: &Path) -> Result<TandemServes, Failure> {
        let mut command = tandem(root)?;
        command.args(["serve", "--dev", "--listen", "127.0.0.1:0", "--log", "error"]);
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(process.stderr.take().ok_or("no output")?).lines();
        let address = loop {
            let line = lines.next().ok_or("the server ended")??;
            if let Some((_, address)) = line.split_once("listens on http://") {
                break address.trim().parse()?;
            }
        };
        std::thread::spawn(move || lines.for_each(drop)); // so that the pipe never fills
        Ok(TandemServes { process, address })
    }
}

impl TandemServes {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Process for TandemServes {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn cpu_seconds(&self) -> Result<f64, Failure> {
        cpu_seconds(&self.process.id().to_string())
    }

    fn resident_bytes(&self) -> Result<u64, Failure> {
        resident_bytes(&self.process.id().to_string())
    }
}

impl Drop for TandemServes {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}

/// The handler over Redis.
fn handler(project: &Project, redis: &redis::Redis) -> Result<WithRedis, Failure> {
    let served = Served::start_at(Task::Redis, &project.root, threads(), redis.port())?;
    Ok(WithRedis(served, redis::Redis::again(redis)))
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn served_one(project: &Project, rounds: usize, span: Duration) -> Result<(), Failure> {
    let redis = redis::Redis::start(project.users, project.items)?;
    let contenders = || -> Result<[Contender; 3], Failure> {
        Ok([
            Contender::new("Tandem", TandemServes::start(&project.root)?, |address| {
                project.requests(REQUESTS, |ask| ask.profile(address))
            }),
            Contender::new("axum, echo", Served::start(Task::Echo, &project.root, threads())?, |address| {
                project.requests(REQUESTS, |ask| post(address, "/v1/transforms/x", JSON, ask.answer().as_bytes()))
            }),
            Contender::new("axum and Redis", handler(project, &redis)?, |address| {
                project.requests(REQUESTS, |ask| post(address, "/profile", JSON, ask.profile_body().as_bytes()))
            }),
        ])
    };
    let mut text = format!(
        "\n### One user, {FEATURES} features\n\nJSON. The echo parses and writes again what Tandem answers: a body of the same size comes in as well. The handler over Redis answers values, statuses and event times, as Tandem does.\n\n"
    );
    text += &closed(&mut contenders()?, &[1, 8, 64], rounds, span)?;
    text += &rates::at_half(&redis, contenders, 8, rounds, span)?;
    crate::print(&text)
}

fn served_many(project: &Project, rounds: usize, span: Duration) -> Result<(), Failure> {
    let redis = redis::Redis::start(project.users, project.items)?;
    let contenders = || -> Result<[Contender; 5], Failure> {
        Ok([
            Contender::new("Tandem, JSON", TandemServes::start(&project.root)?, |address| {
                project.requests(REQUESTS, |ask| ask.rank(address))
            }),
            Contender::new("Tandem, Arrow", TandemServes::start(&project.root)?, |address| {
                project.requests(REQUESTS, |ask| ask.rank_to_arrow(address))
            }),
            Contender::new("axum and Redis, equal answer by serde", handler(project, &redis)?, |address| {
                project.requests(REQUESTS, |ask| post(address, "/rank/serde", JSON, ask.rank_body().as_bytes()))
            }),
            Contender::new("axum and Redis, equal answer by hand", handler(project, &redis)?, |address| {
                project.requests(REQUESTS, |ask| post(address, "/rank", JSON, ask.rank_body().as_bytes()))
            }),
            Contender::new("axum and Redis, values alone", handler(project, &redis)?, |address| {
                project.requests(REQUESTS, |ask| post(address, "/rank/values", JSON, ask.rank_body().as_bytes()))
            }),
        ])
    };
    let mut text = format!(
        "\n### One user and {ITEMS} items, {FEATURES} features each\n\nThe user's features stand in each of the {ITEMS} rows of an answer. Redis gets one MGET of {} keys. *By serde*: structs of vectors, and serde_json; *by hand*: text that is put together for this answer.\n\n",
        ITEMS + 1
    );
    text += &closed(&mut contenders()?, &[1, 8], rounds, span)?;
    text += &rates::at_half(&redis, contenders, 8, rounds, span)?;
    crate::print(&text)
}

impl Contender {
    fn new(
        name: &'static str,
        process: impl Process + 'static,
        requests: impl FnOnce(SocketAddr) -> Vec<Vec<u8>>,
    ) -> Contender {
        let requests = requests(process.address());
        Contender { name, process: Box::new(process), requests }
    }
}

/// Each request when the one before is answered. The ratio is that of the first contender to each of the others.
fn closed(
    contenders: &mut [Contender],
    connections: &[usize],
    rounds: usize,
    span: Duration,
) -> Result<String, Failure> {
    let mut table = Table::new(&[
        "server",
        "connections",
        "requests/s, median (best)",
        "the first × this, median (best)",
        "p50, µs",
        "p99, µs",
        "processor µs a request",
        "memory, MiB",
    ]);
    for &connections in connections {
        let mut found = Vec::new();
        for _ in 0..rounds {
            for (at, contender) in contenders.iter().enumerate() {
                let before = contender.process.cpu_seconds()?;
                let answers = ask_all(contender.process.address(), &contender.requests, connections, span)?;
                let count = answers.latencies.len() as f64;
                let cpu = (contender.process.cpu_seconds()? - before) * 1e6 / (count * 1.1).max(1.0);
                if found.len() <= at {
                    found.push((Vec::new(), Vec::new(), Vec::new()));
                }
                found[at].0.push(count / answers.elapsed.as_secs_f64());
                found[at].1.push(cpu);
                found[at].2.extend(answers.latencies);
            }
        }
        let found: Vec<[Times; 3]> = found.into_iter().map(|(a, b, c)| [a, b, c].map(Times::new)).collect();
        for (contender, [per_second, cpu, latencies]) in contenders.iter().zip(&found) {
            let first = &found[0][0];
            let ratio = format!(
                "{:.2} ({:.2})",
                first.median() / per_second.median(),
                first.quantile(1.0) / per_second.quantile(1.0)
            );
            table.row(&[
                contender.name.to_owned(),
                connections.to_string(),
                format!("{} ({})", grouped(per_second.median() as u64), grouped(per_second.quantile(1.0) as u64)),
                ratio,
                number(latencies.median() / 1e3),
                number(latencies.quantile(0.99) / 1e3),
                number(cpu.median()),
                number(contender.process.resident_bytes()? as f64 / f64::from(1 << 20)),
            ]);
        }
    }
    Ok(table.render())
}
