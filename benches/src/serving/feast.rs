//! Feast's own feature server, on SQLite and on Redis: a stored feature and one on demand over it, beside the same of `tandem serve`.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::TandemServes;
use super::redis::Redis;
use crate::Failure;
use crate::child::tandem;
use crate::guests::{component, scratch, workspace};
use crate::load::{JSON, ask_all, post};
use crate::markdown::{Table, grouped, number};
use crate::race::Times;
use crate::tools;

/// Users in every store. Feast writes some thousands a second.
const USERS: usize = 10_000;

/// Worker processes of Feast's server: one for each processor.
const PINS: &str = "benches/baselines/requirements-feast.txt";

const DEFINITIONS: &str = r#"[[entity]]
name = "user"
join_keys = [{ name = "user_id", type = "int64" }]

[[source]]
name = "spendings"
path = "spendings.parquet"
kind = "state"
event_time = "event_timestamp"

[[feature_view]]
name = "usual"
version = 1
source = "spendings"
entities = ["user"]
features = [{ name = "risk", type = "float64" }]

[[feature_view]]
name = "ratio"
version = 1
component = "ratio.wasm"
[feature_view.inputs]
usual = { view = "usual@1", feature = "risk" }
last_seen = { view = "usual@1", event_time = true }

[[feature_service]]
name = "checkout"
features = ["usual@1:risk", "ratio@1:ratio"]
"#;

struct Feast {
    process: Child,
    address: SocketAddr,
}

impl Drop for Feast {
    fn drop(&mut self) {
        // Its workers are processes of its group. Asked kindly it waits half a minute for connections that are kept.
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.process.id())]).status();
        let _ = self.process.wait();
    }
}

impl Feast {
    /// `online` is `sqlite`, or the port of a Redis.
    fn start(python: &Path, root: &Path, online: &str, workers: usize, mode: &str) -> Result<Feast, Failure> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let script = workspace().join("benches/baselines/feast_serving.py");
        let folder = root.join(format!("feast-{online}-{mode}"));
        let mut command = Command::new("setsid");
        command.arg(python.join("bin/python")).arg(script).arg(&folder).arg(root.join("spendings.parquet"));
        command.args([online, &port.to_string(), &workers.to_string(), mode]);
        let log = fs::File::create(root.join(format!("feast-{online}-{mode}.log")))?;
        let process = command.stdout(Stdio::null()).stderr(log).spawn()?;
        let mut feast = Feast { process, address: SocketAddr::from(([127, 0, 0, 1], port)) };
        for _ in 0..1_200 {
            if std::net::TcpStream::connect(feast.address).is_ok() {
                return Ok(feast);
            }
            if let Some(status) = feast.process.try_wait()? {
                return Err(format!(
                    "Feast's server ended: {status}; see feast-{online}-{mode}.log in {}",
                    root.display()
                )
                .into());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err("Feast's server does not listen".into())
    }
}

pub(super) fn run(quick: bool) -> Result<String, Failure> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let (rounds, span) = if quick { (1, Duration::from_millis(500)) } else { (3, Duration::from_secs(4)) };
    let python = tools::environment("feast-serving", PINS)?;
    let root = scratch()?.join("serving-feast");
    let _ = fs::remove_dir_all(&root); // what a run that ended early left
    fs::create_dir_all(root.join("features"))?;
    fs::write(root.join("tandem.toml"), "[project]\nname = \"checkout\"\n")?;
    fs::write(root.join("features/all.toml"), DEFINITIONS)?;
    component(&workspace().join("tests/guests/ratio"), root.join("ratio.wasm"))?;
    let rows = workspace().join("benches/baselines/feast_serving.py");
    tools::run(
        Command::new(python.join("bin/python"))
            .arg(rows)
            .arg("rows")
            .arg(root.join("spendings.parquet"))
            .arg(USERS.to_string()),
    )?;
    tools::run(tandem(&root)?.args(["materialize", "--dev", "usual"]))?;

    let redis = Redis::empty()?;
    let port = redis.port().to_string();
    let tandem = TandemServes::start(&root)?;
    let feasts = [
        Feast::start(&python, &root, "sqlite", workers, "pandas")?,
        Feast::start(&python, &root, "sqlite", workers, "python")?,
        Feast::start(&python, &root, &port, workers, "python")?,
    ];
    let feast_request = |address, user: usize| {
        let body = format!(
            "{{\"feature_service\": \"checkout\", \"entities\": {{\"user_id\": [{user}], \"amount\": [21.5]}}}}"
        );
        post(address, "/get-online-features", JSON, body.as_bytes())
    };
    let own_request = |address, user: usize| {
        let body = format!("{{\"rows\": [{{\"user_id\": {user}, \"amount\": 21.5}}]}}");
        post(address, "/v1/services/checkout", JSON, body.as_bytes())
    };
    let users = |make: &dyn Fn(usize) -> Vec<u8>| (0..512).map(|at| make(at * 19 % USERS)).collect::<Vec<_>>();
    let contenders = [
        (
            "Tandem",
            super::Process::address(&tandem),
            users(&|user| own_request(super::Process::address(&tandem), user)),
        ),
        (
            "Tandem, Feast's wire",
            super::Process::address(&tandem),
            users(&|user| feast_request(super::Process::address(&tandem), user)),
        ),
        ("Feast on SQLite, mode=\"pandas\"", feasts[0].address, users(&|user| feast_request(feasts[0].address, user))),
        ("Feast on SQLite, mode=\"python\"", feasts[1].address, users(&|user| feast_request(feasts[1].address, user))),
        ("Feast on Redis, mode=\"python\"", feasts[2].address, users(&|user| feast_request(feasts[2].address, user))),
    ];
    let mut found = vec![(Vec::new(), Vec::new()); contenders.len()];
    for _ in 0..rounds {
        for ((_, address, requests), found) in contenders.iter().zip(&mut found) {
            let answers = ask_all(*address, requests, 8, span)?;
            found.0.push(answers.latencies.len() as f64 / answers.elapsed.as_secs_f64());
            found.1.extend(answers.latencies);
        }
    }
    let mut table = Table::new(&["server", "requests/s, median (best)", "Tandem × this", "p50, µs", "p99, µs"]);
    let found: Vec<(Times, Times)> = found.into_iter().map(|(a, b)| (Times::new(a), Times::new(b))).collect();
    for ((name, _, _), (per_second, latencies)) in contenders.iter().zip(&found) {
        table.row(&[
            (*name).to_owned(),
            format!("{} ({})", grouped(per_second.median() as u64), grouped(per_second.quantile(1.0) as u64)),
            number(found[0].0.median() / per_second.median()),
            number(latencies.median() / 1e3),
            number(latencies.quantile(0.99) / 1e3),
        ]);
    }
    Ok(format!(
        "\n### On demand, beside Feast\n\nOne user's stored feature, and one computed of it and of the request: in Feast 0.67 an on-demand view in its default mode (pandas) and in the faster one (python), in Tandem a component. {} users; 8 connections. Feast's server has {workers} worker processes, its registry in a file, cached; online stores SQLite and Redis 7, both local.\n\n{}",
        grouped(USERS as u64),
        table.render()
    ))
}
