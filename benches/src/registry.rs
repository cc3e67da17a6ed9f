//! A registry of a thousand views: planning, registering, starting a server over it, and replacing what the server serves.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use tandem::following::{Follow, Follower, Loader};
use tandem::project::Opened;
use tandem::registry::prove::{Golden, Proof};
use tandem::registry::{self, Opening, Signed, wanted};
use tandem::server::{Live, ServerState, serve};
use tandem_engine::{OnDemandOptions, TrialOptions};
use tokio::runtime::Runtime;

use crate::Failure;
use crate::child::{Served, Task, announced, input_ends, now};
use crate::guests::{component, scratch, workspace};
use crate::markdown::{Table, grouped, number};
use crate::race::Times;

/// Views, each over a component of its own.
const VIEWS: usize = 1_000;

/// Views of a quick run.
const VIEWS_QUICK: usize = 20;

/// How often the bench looks whether the server serves another registration, in microseconds.
const LOOK_MICROS: u64 = 200;

/// Markdown of the section.
pub(crate) fn run(quick: bool) -> Result<String, Failure> {
    let (views, rounds) = if quick { (VIEWS_QUICK, 2) } else { (VIEWS, 9) };
    let project = Project::new(views)?;
    let mut table = Table::new(&["what", "median, ms", "max, ms"]);
    let mut row = |what: &str, times: Vec<Duration>| {
        let times = Times::new(times.iter().map(|time| time.as_secs_f64() * 1e3).collect());
        table.row(&[what.to_owned(), number(times.median()), number(times.quantile(1.0))]);
    };
    row("`plan`, nothing changes", timed(rounds, |_| project.plan(0))?);
    row("`apply` that changes nothing", timed(rounds, |_| project.apply(0))?);
    row(
        "`apply` of another description of one view",
        timed(rounds, |round| {
            project.describe(&format!("round {round}"))?;
            project.apply(1)
        })?,
    );
    row(
        "`apply` of one new version that computes as another does",
        timed(rounds, |round| {
            project.version(round + 2)?;
            project.apply(1)
        })?,
    );

    let mut starts = Vec::new();
    let mut resident = 0;
    for _ in 0..rounds {
        let begin = Instant::now();
        let served = Served::start(Task::Registry, &project.root, 2)?;
        starts.push(begin.elapsed());
        resident = served.resident_bytes()?;
    }
    row("start of a server, until it listens", starts);
    let resident_one = Served::start(Task::Registry, &Project::new(1)?.root, 2)?.resident_bytes()?;

    let served = Served::start(Task::Registry, &project.root, 2)?;
    let url = format!("http://{}", served.address);
    let mut latencies = Vec::new();
    for round in 0..rounds {
        project.describe(&format!("again {round}"))?;
        let registered = project.apply_number(1)?;
        let begin = Instant::now();
        until_served(&url, registered)?;
        latencies.push(begin.elapsed());
    }
    row("swap: from the end of `apply` to the first answer of the new registration", latencies);
    let after = served.resident_bytes()?;
    let mib = |bytes: u64| grouped(bytes >> 20);
    Ok(format!(
        "\n## A registry of {} views\n\n{} views of 11 features, each over a component of its own (the quickstart's, with other bytes that nothing reads), compiled ahead. \
         Times are of the whole command but for the start of the process: definition files read and parsed, components hashed, registry read and written. {rounds} rounds. \
         A server looks for another registration each {} ms.\n\n{}\n\
         Resident memory of the server: {} MiB once it listens, {} MiB after {} swaps; {} MiB with one view.\n",
        grouped(views as u64),
        grouped(views as u64),
        tandem::following::REGISTRY_POLL_MILLIS,
        table.render(),
        mib(resident),
        mib(after),
        rounds,
        mib(resident_one),
    ))
}

fn timed(rounds: usize, mut step: impl FnMut(usize) -> Result<(), Failure>) -> Result<Vec<Duration>, Failure> {
    (0..rounds)
        .map(|round| {
            let begin = Instant::now();
            step(round)?;
            Ok(begin.elapsed())
        })
        .collect()
}

/// Asks until the server says that it serves a registration.
fn until_served(url: &str, registration: u64) -> Result<(), Failure> {
    let agent: ureq::Agent = ureq::Agent::config_builder().build().into();
    loop {
        let text = agent.get(format!("{url}/health")).call()?.body_mut().read_to_string()?;
        let health: Value = serde_json::from_str(&text)?;
        if health["registration"].as_u64() >= Some(registration) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_micros(LOOK_MICROS));
    }
}

/// A project of many views, registered.
struct Project {
    root: PathBuf,
}

impl Project {
    /// Registered anew; components and their code are left from an earlier run. One view is verified and lends the others its proof: what is
    /// measured is the registry.
    fn new(views: usize) -> Result<Project, Failure> {
        let project = Project { root: scratch()?.join(format!("registry-{views}")) };
        let root = &project.root;
        for folder in ["registry", "features"] {
            if root.join(folder).exists() {
                fs::remove_dir_all(root.join(folder))?;
            }
        }
        fs::create_dir_all(root.join("features"))?;
        fs::create_dir_all(root.join("components"))?;
        fs::write(root.join("tandem.toml"), "[project]\nname = \"benches\"\n")?;
        let example = workspace().join("examples/quickstart");
        let bytes = fs::read(component(&example.join("transform"), root.join("risk.wasm"))?)?;
        let features = fs::read_to_string(example.join("features/transactions.toml"))?;
        let (head, view) = features.split_at(features.find("[[feature_view]]").ok_or("no view")?);
        fs::write(root.join("features/source.toml"), head)?;
        for number in 0..views {
            // A custom section that nothing reads: id 0, its size, its name's length, its name.
            let name = format!("view {number:06}");
            let section = [&[0, name.len() as u8 + 1, name.len() as u8][..], name.as_bytes()].concat();
            write_new(&root.join(format!("components/risk_{number}.wasm")), &[&bytes[..], &section].concat())?;
            let text = view
                .replace("name = \"transaction_risk\"", &format!("name = \"risk_{number}\""))
                .replace("transform/quickstart_transform.wasm", &format!("components/risk_{number}.wasm"));
            fs::write(root.join(format!("features/risk_{number}.toml")), text)?;
            if number == 0 {
                project.apply(1)?;
            }
        }
        project.register_others()?;
        Ok(project)
    }

    fn register_others(&self) -> Result<(), Failure> {
        let (opened, opening, wanted) = self.open()?;
        let plan = opening.plan(&wanted);
        if plan.is_empty() {
            return Ok(());
        }
        let (_, first) = opening.state.content.views.iter().next().ok_or("nothing is registered")?;
        let golden = Golden::Registered(first.golden.ok_or("no golden vectors")?);
        let proof = Proof { report: first.verified.clone(), golden: Some(golden) };
        let new = wanted.definitions.views.keys().filter(|id| !opening.registered.bound.contains_key(id));
        let proofs = new.map(|id| (id.clone(), proof.clone())).collect();
        opening.apply_proved(&opened, &wanted, &plan, &signed(), proofs)?;
        Ok(())
    }

    fn open(&self) -> Result<(Opened, Opening, wanted::Wanted), Failure> {
        let opened = Opened::open(&self.root)?;
        let opening = registry::open(&self.root)?;
        let wanted = wanted::bind(&opened, &opening.registered)?;
        Ok((opened, opening, wanted))
    }

    /// As `tandem plan`.
    fn plan(&self, changes: usize) -> Result<(), Failure> {
        let (_, opening, wanted) = self.open()?;
        expect(opening.plan(&wanted).changes.len(), changes)
    }

    /// As `tandem apply`.
    fn apply(&self, changes: usize) -> Result<(), Failure> {
        self.apply_number(changes).map(drop)
    }

    fn apply_number(&self, changes: usize) -> Result<u64, Failure> {
        let (opened, opening, wanted) = self.open()?;
        let plan = opening.plan(&wanted);
        expect(plan.changes.len(), changes)?;
        if plan.is_empty() {
            return Ok(opening.registered.number);
        }
        Ok(opening.apply(&opened, &wanted, &plan, &signed())?.header.number)
    }

    fn describe(&self, description: &str) -> Result<(), Failure> {
        let path = self.root.join("features/risk_0.toml");
        let text = fs::read_to_string(&path)?;
        let lines = text.lines().map(|line| {
            if line.starts_with("description = ") { format!("description = {description:?}") } else { line.to_owned() }
        });
        Ok(fs::write(&path, lines.collect::<Vec<_>>().join("\n"))?)
    }

    /// Another version, which differs in its ttl.
    fn version(&self, round: usize) -> Result<(), Failure> {
        let text = fs::read_to_string(self.root.join("features/risk_0.toml"))?;
        let version = registry::open(&self.root)?.registered.bound.len() + round;
        let text = text.replacen("version = 1", &format!("version = {version}"), 1);
        let text = text.replacen("ttl = \"3650d\"", &format!("ttl = \"{version}d\""), 1);
        Ok(fs::write(self.root.join(format!("features/version_{version}.toml")), text)?)
    }
}

fn signed() -> Signed {
    Signed { by: "benches".to_owned(), reason: String::new() }
}

fn expect(found: usize, expected: usize) -> Result<(), Failure> {
    if found == expected { Ok(()) } else { Err(format!("{found} changes planned, not {expected}").into()) }
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if fs::read(path).is_ok_and(|found| found == bytes) { Ok(()) } else { Ok(fs::write(path, bytes)?) }
}

/// Serves what is registered, as `tandem serve` does, without an online store.
pub(crate) fn serve_registered(runtime: &Runtime, root: &Path, threads: usize) -> Result<(), Failure> {
    let Opening { registry, registered, .. } = registry::open(root)?;
    let opened = Opened::open_registered(&registered, None)?;
    let options = OnDemandOptions { trial: Some(TrialOptions::default()), ..OnDemandOptions::default() };
    let mut loader = Loader::new(opened.engine.clone(), opened.workers.clone(), None, options);
    let views = loader.registered(&registered, threads)?;
    let live = Live::new(Some(registered.number), views, &registered.project.aliases, &registered.project.services);
    let settings = registered.project.settings.clone();
    let state = ServerState {
        live: live.clone(),
        store: None,
        feature_log: None,
        pusher: None,
        offline_root: None,
        settings: settings.server.clone(),
        clock: now,
        workers: opened.workers.clone(),
    };
    let (root, served) = (root.to_owned(), registered.number);
    let _follower = Follower::start(Follow { registry, settings, root, served, loader, live });
    runtime.block_on(async { Ok(serve(announced().await?, state, input_ends()).await?) })
}
