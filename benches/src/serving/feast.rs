//! Feast's own feature server, on SQLite and on Redis: a stored feature and one on demand over it, beside the same of `tandem serve`.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::redis::Redis;
use super::{Process, TandemServes};
use crate::Failure;
use crate::child::{Served, Task, cpu_seconds, tandem};
use crate::guests::{component, scratch, workspace};
use crate::load::{JSON, ask_all, body_of, post};
use crate::markdown::{Table, grouped, number};
use crate::race::Times;
use crate::tools;

/// Users in every store. Feast writes some thousands a second.
const USERS: usize = 10_000;

/// Rows of a request: one, and as many as are ranked.
const ROWS: [usize; 2] = [1, 100];

const CONNECTIONS: usize = 8;

/// What its environment is made of.
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
    /// Processor time of all its processes so far, in seconds: its workers are of its group.
    fn cpu_seconds(&self) -> Result<f64, Failure> {
        let mut seconds = 0.0;
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name().into_string().unwrap_or_default();
            // A process may end meanwhile.
            let Ok(text) = fs::read_to_string(format!("/proc/{name}/stat")) else { continue };
            // The name, in brackets, may hold anything; the group is field 5 of proc_pid_stat(5).
            let group = text.rsplit_once(')').and_then(|(_, fields)| fields.split_whitespace().nth(2));
            if group == Some(&*self.process.id().to_string()) {
                seconds += cpu_seconds(&name).unwrap_or_default();
            }
        }
        Ok(seconds)
    }

    /// `online` is `sqlite`, or the port of a Redis.
    fn start(python: &Path, root: &Path, online: &str, workers: usize, mode: &str) -> Result<Feast, Failure> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let script = workspace().join("benches/baselines/feast_serving.py");
        let folder = root.join(format!("feast-{online}-{mode}"));
        let mut command = Command::new(python.join("bin/python"));
        // Of the same session as the other servers: Linux may give each session as much of a processor as every other.
        command.process_group(0).arg(script).arg(&folder).arg(root.join("spendings.parquet"));
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
    // One worker process for each processor.
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let (rounds, span) = if quick { (1, Duration::from_millis(500)) } else { (3, Duration::from_secs(3)) };
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
    let echo = Served::start(Task::Echo, &root, workers)?;
    let feasts = [
        Feast::start(&python, &root, "sqlite", workers, "pandas")?,
        Feast::start(&python, &root, "sqlite", workers, "python")?,
        Feast::start(&python, &root, &port, workers, "python")?,
    ];
    let mut table = Table::new(&[
        "server",
        "rows a request",
        "requests/s, median (best)",
        "Tandem × this",
        "p50, µs",
        "p99, µs",
        "processor µs a request",
        "Tandem × this, by processor time",
    ]);
    for rows in ROWS {
        let of_feast = |address| {
            requests(rows, |users, amounts| {
                let body = format!(
                    "{{\"feature_service\": \"checkout\", \"entities\": {{\"user_id\": [{users}], \"amount\": [{amounts}]}}}}"
                );
                post(address, "/get-online-features", JSON, body.as_bytes())
            })
        };
        let own = requests(rows, |users, amounts| {
            let body = format!("{{\"columns\": {{\"user_id\": [{users}], \"amount\": [{amounts}]}}}}");
            post(tandem.address(), "/v1/services/checkout", JSON, body.as_bytes())
        });
        let answer = body_of(tandem.address(), &own[0])?;
        let [pandas, sqlite, on_redis] = &feasts;
        let of_tandem = || Process::cpu_seconds(&tandem);
        let contenders: [Asked<'_>; 6] = [
            ("Tandem", tandem.address(), own, &of_tandem),
            ("Tandem, Feast's wire", tandem.address(), of_feast(tandem.address()), &of_tandem),
            (
                "axum, echo of Tandem's answer",
                echo.address,
                vec![post(echo.address, "/v1/transforms/x", JSON, &answer)],
                &|| echo.cpu_seconds(),
            ),
            ("Feast on SQLite, mode=\"pandas\"", pandas.address, of_feast(pandas.address), &|| pandas.cpu_seconds()),
            ("Feast on SQLite, mode=\"python\"", sqlite.address, of_feast(sqlite.address), &|| sqlite.cpu_seconds()),
            ("Feast on Redis, mode=\"python\"", on_redis.address, of_feast(on_redis.address), &|| {
                Ok(on_redis.cpu_seconds()? + cpu_seconds(&redis.id().to_string())?)
            }),
        ];
        measure(&contenders, rows, rounds, span, &mut table)?;
    }
    Ok(format!(
        "\n### On demand, beside Feast\n\nOne user's stored feature, and one computed of it and of the request, for one row and for {} rows: in Feast 0.67 an on-demand view in its default mode (pandas) and in the faster one (python), in Tandem a component. {} users; {CONNECTIONS} connections. Feast's server has {workers} worker processes, its registry in a file, cached; online stores SQLite and Redis 7, both local. The load generator has a processor of the machine nearly for itself where a server is fast, and hardly needs one where it is slow: by processor time is what servers take themselves, Redis included.\n\n{}",
        ROWS[1],
        grouped(USERS as u64),
        table.render()
    ))
}

/// A name, where it is, what it is asked, and the processor time that it has taken.
type Asked<'a> = (&'a str, SocketAddr, Vec<Vec<u8>>, &'a dyn Fn() -> Result<f64, Failure>);

/// Requests of so many users each, with an amount for each.
fn requests(rows: usize, make: impl Fn(&str, &str) -> Vec<u8>) -> Vec<Vec<u8>> {
    let amounts = vec!["21.5"; rows].join(",");
    let request = |at: usize| {
        let users: Vec<String> = (0..rows).map(|row| ((at * 19 + row * 97) % USERS).to_string()).collect();
        make(&users.join(","), &amounts)
    };
    (0..512).map(request).collect()
}

fn measure(
    contenders: &[Asked<'_>],
    rows: usize,
    rounds: usize,
    span: Duration,
    table: &mut Table,
) -> Result<(), Failure> {
    let mut found = vec![[const { Vec::new() }; 3]; contenders.len()];
    for _ in 0..rounds {
        for ((_, address, requests, cpu), [per_second, micros, latencies]) in contenders.iter().zip(&mut found) {
            let before = cpu()?;
            let answers = ask_all(*address, requests, CONNECTIONS, span)?;
            let count = answers.latencies.len() as f64;
            // The processor time is that of the time before the span, too, a tenth of it.
            micros.push((cpu()? - before) * 1e6 / (count * 1.1).max(1.0));
            per_second.push(count / answers.elapsed.as_secs_f64());
            latencies.extend(answers.latencies);
        }
    }
    let found: Vec<[Times; 3]> = found.into_iter().map(|samples| samples.map(Times::new)).collect();
    for ((name, ..), [per_second, micros, latencies]) in contenders.iter().zip(&found) {
        table.row(&[
            (*name).to_owned(),
            rows.to_string(),
            format!("{} ({})", grouped(per_second.median() as u64), grouped(per_second.quantile(1.0) as u64)),
            number(found[0][0].median() / per_second.median()),
            number(latencies.median() / 1e3),
            number(latencies.quantile(0.99) / 1e3),
            number(micros.median()),
            number(micros.median() / found[0][1].median()),
        ]);
    }
    Ok(())
}
