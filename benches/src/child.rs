//! Processes of their own, so that time and memory are those of one thing alone.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use clap::ValueEnum;
use tandem::project::Opened;
use tandem::server::{Live, ServedView, ServerState, serve};
use tandem_core::time::Timestamp;
use tandem_engine::{OnDemand, OnDemandOptions, STACK_BYTES, TrialOptions, Workers};
use tandem_offline::{BatchOptions, BatchRequest};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::serving::{append, redis};
use crate::{Failure, copy, echo, registry, training};

/// The quickstart's view.
pub(crate) const RISK: &str = "transaction_risk";

/// A view of one cheap feature.
pub(crate) const DISTANCE: &str = "distance";

/// A view that attacks.
pub(crate) const ATTACKS: &str = "attacks";

/// Ticks of a second in `/proc/PID/stat`: `USER_HZ`, 100 on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process does, and where.
#[derive(Debug, clap::Args)]
#[group(id = "child-arguments")]
pub(crate) struct Arguments {
    #[arg(long = "child", hide = true)]
    pub(crate) task: Option<Task>,
    #[arg(long, hide = true, default_value = ".")]
    project: PathBuf,
    #[arg(long, hide = true, default_value = RISK)]
    view: String,
    #[arg(long, hide = true, default_value_t = 1)]
    threads: usize,
    #[arg(long, hide = true, default_value_t = 0)]
    port: u16,
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Task {
    /// Runs the view over all partitions.
    Batch,
    /// Copies the source with DataFusion.
    Copy,
    /// Joins all views to the labels.
    Training,
    /// Serves the view until its input ends.
    Serve,
    /// Serves the view beside one that attacks, until its input ends.
    ServeAttacked,
    /// Serves what is registered until its input ends.
    Registry,
    /// Echoes JSON until its input ends.
    Echo,
    /// Answers with what the Redis at the port has, until its input ends.
    Redis,
    /// Appends the newest row of each user to LMDB.
    Append,
}

impl Task {
    fn name(self) -> String {
        self.to_possible_value().expect("no variant is skipped").get_name().to_owned()
    }
}

/// What a process that ended took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// From start to end.
    pub(crate) wall: Duration,
    /// Of all its threads, in seconds.
    pub(crate) cpu_seconds: f64,
    /// Most resident memory at a time, in bytes.
    pub(crate) peak_bytes: u64,
}

/// Does the task in this process.
pub(crate) fn run(task: Task, arguments: &Arguments) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(arguments.threads)
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()?;
    let (project, threads) = (&*arguments.project, arguments.threads);
    match task {
        Task::Batch => batch(&runtime, project, &arguments.view, threads)?,
        Task::Training => training::make(project, threads)?,
        Task::Copy => runtime.block_on(copy::run(project, threads))?,
        Task::Serve => serve_views(&runtime, project, threads, &[RISK])?,
        Task::ServeAttacked => serve_views(&runtime, project, threads, &[RISK, ATTACKS])?,
        Task::Registry => registry::serve_registered(&runtime, project, threads)?,
        Task::Redis => {
            let port = arguments.port;
            runtime.block_on(async { redis::serve(announced().await?, port, input_ends()).await })?;
        }
        Task::Append => append::run(project)?,
        Task::Echo => runtime.block_on(async { echo::serve(announced().await?, input_ends()).await })?,
    }
    if matches!(task, Task::Batch | Task::Copy | Task::Training | Task::Append) {
        say(&format!("{} {}", cpu_seconds("self")?, peak_bytes("self")?))?;
    }
    Ok(())
}

pub(crate) fn open(project: &Path, threads: usize) -> Result<Opened, Failure> {
    let mut opened = Opened::open(project)?;
    opened.workers = Workers::start(threads);
    Ok(opened)
}

fn batch(runtime: &Runtime, project: &Path, view: &str, threads: usize) -> Result<(), Failure> {
    let opened = open(project, threads)?;
    let view = opened.view(view)?;
    let request = BatchRequest {
        view: view.bound,
        transform: view.transform.expect("a component"),
        range: None,
        offline_root: opened.project.settings.storage.offline.clone(),
        now: now(),
        contract: tandem_engine::CONTRACT.to_owned(),
        runtime_fingerprint: opened.engine.fingerprint(),
        options: BatchOptions::default(),
    };
    let report = runtime.block_on(tandem_offline::run(request, &opened.workers, &()))?;
    let rows = report.rows();
    if rows.rows_out == rows.rows_in { Ok(()) } else { Err(format!("{} rows were set aside", rows.quarantined).into()) }
}

fn serve_views(runtime: &Runtime, project: &Path, threads: usize, views: &[&str]) -> Result<(), Failure> {
    // As `tandem serve` has it.
    let mut opened = open(project, threads)?;
    opened.workers = Workers::start_behind(threads);
    let options = OnDemandOptions { trial: Some(TrialOptions::default()), ..OnDemandOptions::default() };
    let served = |view: &&str| -> Result<ServedView, Failure> {
        let view = opened.view(view)?;
        let on_demand = view.transform.map(|transform| OnDemand::new(transform, opened.workers.clone(), options));
        Ok(ServedView { bound: Arc::clone(&view.bound), on_demand, store_view: None })
    };
    let state = ServerState {
        live: Live::new(None, views.iter().map(served).collect::<Result<_, _>>()?, &[], &[]),
        store: None,
        feature_log: None,
        pusher: None,
        offline_root: None,
        settings: opened.project.settings.server.clone(),
        clock: now,
        workers: opened.workers.clone(),
    };
    runtime.block_on(async { Ok(serve(announced().await?, state, input_ends()).await?) })
}

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// A listener on a free port, which the parent is told.
pub(crate) async fn announced() -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    say(&listener.local_addr()?.to_string())?;
    Ok(listener)
}

pub(crate) async fn input_ends() {
    // A thread of its own: the parent may be gone without a word, and then the input ends too.
    let (ended, end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read(&mut [0]);
        let _ = ended.send(());
    });
    let _ = end.await;
}

fn say(line: &str) -> Result<(), Failure> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

/// Runs a task to its end in a process of its own; on one processor where `cpu` names it.
pub(crate) fn measured(
    task: Task,
    project: &Path,
    view: &str,
    threads: usize,
    cpu: Option<usize>,
) -> Result<Cost, Failure> {
    let mut command = command(task, project, threads, cpu)?;
    command.args(["--view", view]);
    let start = Instant::now();
    let output = command.stderr(Stdio::inherit()).output()?;
    let wall = start.elapsed();
    let text = String::from_utf8(output.stdout)?;
    let costs = text.trim().split_once(' ').filter(|_| output.status.success());
    let (cpu_seconds, peak_bytes) = costs.ok_or_else(|| format!("{}: {}", task.name(), output.status))?;
    Ok(Cost { wall, cpu_seconds: cpu_seconds.parse()?, peak_bytes: peak_bytes.parse()? })
}

/// `tandem` in a project, as it was built beside this program.
pub(crate) fn tandem(project: &Path) -> Result<Command, Failure> {
    let mut command = Command::new(std::env::current_exe()?.with_file_name("tandem"));
    command.current_dir(project);
    Ok(command)
}

/// Runs any program to its end, whose peak of memory is read while it runs: the last reading is near the end. Its processor time is not known.
pub(crate) fn watched(command: &mut Command) -> Result<Cost, Failure> {
    let start = Instant::now();
    let mut child = command.stdout(Stdio::null()).spawn()?;
    let mut peak = 0;
    let status = loop {
        if let Ok(bytes) = peak_bytes(&child.id().to_string()) {
            peak = bytes;
        }
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let wall = start.elapsed();
    if !status.success() {
        return Err(format!("{command:?}: {status}").into());
    }
    Ok(Cost { wall, cpu_seconds: 0.0, peak_bytes: peak })
}

fn command(task: Task, project: &Path, threads: usize, cpu: Option<usize>) -> Result<Command, Failure> {
    let program = std::env::current_exe()?;
    let mut command = match cpu {
        None => Command::new(program),
        Some(cpu) => {
            let mut command = Command::new("taskset");
            command.args(["--cpu-list", &cpu.to_string()]).arg(program);
            command
        }
    };
    command.args(["--child", &task.name(), "--threads", &threads.to_string(), "--project"]).arg(project);
    Ok(command)
}

/// A server in a process of its own; it ends when this is dropped.
pub(crate) struct Served {
    process: Child,
    pub(crate) address: SocketAddr,
}

impl Served {
    pub(crate) fn start(task: Task, project: &Path, threads: usize) -> Result<Served, Failure> {
        Served::start_at(task, project, threads, 0)
    }

    /// The same, over another server at a port.
    pub(crate) fn start_at(task: Task, project: &Path, threads: usize, port: u16) -> Result<Served, Failure> {
        let mut command = command(task, project, threads, None)?;
        command.args(["--port", &port.to_string()]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let address = line.trim().parse().map_err(|error| format!("{} does not serve: {error}", task.name()))?;
        Ok(Served { process, address })
    }

    /// Processor time that it has taken so far, in seconds.
    pub(crate) fn cpu_seconds(&self) -> Result<f64, Failure> {
        cpu_seconds(&self.process.id().to_string())
    }
}

impl Served {
    /// Its resident memory, in bytes.
    pub(crate) fn resident_bytes(&self) -> Result<u64, Failure> {
        resident_bytes(&self.process.id().to_string())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.process.stdin.take()); // its input ends
        let _ = self.process.wait();
    }
}

/// Resident memory of a process, in bytes.
pub(crate) fn resident_bytes(process: &str) -> Result<u64, Failure> {
    of_status(process, "VmRSS:")
}

/// Most resident memory of a process so far, in bytes.
pub(crate) fn peak_bytes(process: &str) -> Result<u64, Failure> {
    of_status(process, "VmHWM:")
}

fn of_status(process: &str, name: &str) -> Result<u64, Failure> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or_else(|| format!("no {name}"))?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}

/// Processor time that a process has taken so far, in seconds.
pub(crate) fn cpu_seconds(process: &str) -> Result<f64, Failure> {
    let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name, in brackets, may hold anything; utime and stime are fields 14 and 15 of proc_pid_stat(5).
    let (_, fields) = text.rsplit_once(')').ok_or("no fields")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(ticks as f64 / TICKS_PER_SECOND)
}
