//! Point-in-time joins, Parquet to Parquet, whole processes: `tandem training-set` over views of columns, against DuckDB, Polars and pandas
//! (`baselines/training.py`) over the same files.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, TimestampMicrosecondArray};
use futures::TryStreamExt as _;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use tandem::training::Asked;
use tandem_offline::training::{Labels, TrainingFile, TrainingOptions, TrainingRequest, TrainingSet};

use crate::Failure;
use crate::child::{Cost, Task, measured, open};
use crate::guests::{scratch, workspace};
use crate::markdown::{Table, grouped, number};
use crate::race::Times;
use crate::tools;

/// Views, and whether their rows are in order of time.
const CASES: [(usize, bool); 3] = [(1, false), (1, true), (3, false)];

/// Labels and rows of a view.
const SIZES: [(usize, usize); 2] = [(50_000, 1_000_000), (1_000_000, 10_000_000)];

/// Rows that are written at a time.
const BATCH: usize = 1 << 20;

/// Users for each so many labels.
const LABELS_PER_USER: usize = 10;

/// Instants of all rows: 90 days.
const FIRST: u64 = 1_767_225_600_000_000;
const SPAN: u64 = 90 * 86_400 * 1_000_000;

const TOOLS: [&str; 3] = ["duckdb", "polars", "pandas"];

/// Beyond this a size is measured once, with one view, and Tandem may take more memory.
const LARGE_ROWS: usize = 10_000_000;

/// `join_memory_bytes_max` of sizes beyond [`LARGE_ROWS`]: room for the index over ten million labels in one part.
const LARGE_MEMORY_BYTES: u64 = 4 << 30;

/// With more labels Feast's historical retrieval takes minutes, and is not asked.
const FEAST_LABELS_MAX: usize = 50_000;

/// What is joined.
struct Case {
    labels: usize,
    rows: usize,
    views: usize,
    sorted: bool,
}

/// What the runs of one contender took.
#[derive(Default)]
struct Runs {
    wall: Vec<f64>,
    cpu: Vec<f64>,
    peak: u64,
}

/// Markdown of the section.
pub(crate) fn run(quick: bool, largest: Option<usize>) -> Result<String, Failure> {
    let python = tools::environment("training", "benches/baselines/requirements-training.txt")?.join("bin/python");
    let mut text = String::from(
        "Whole processes, the files in the page cache. The ratio is of medians, against the fastest of the others.\n\n",
    );
    let heads = [
        "labels × rows, views, order",
        "contender",
        "s, median",
        "s, min",
        "processor s",
        "peak MiB",
        "× the fastest other",
    ];
    let mut table = Table::new(&heads);
    let sizes = if quick {
        vec![(5_000, 100_000)]
    } else {
        SIZES.into_iter().chain(largest.map(|rows| (rows / 10, rows))).collect()
    };
    for (labels, rows) in sizes {
        let cases = if rows > LARGE_ROWS { &CASES[..1] } else { &CASES };
        for (views, sorted) in cases.iter().copied() {
            let case = Case { labels, rows, views, sorted };
            let rounds = if quick || rows > LARGE_ROWS { 1 } else { 3 };
            measure(&case, rounds, &python, &mut table)?;
        }
    }
    writeln!(text, "{}", table.render())?;
    Ok(text)
}

fn measure(case: &Case, rounds: usize, python: &Path, table: &mut Table) -> Result<(), Failure> {
    let Case { labels, rows, views, sorted } = *case;
    let root = project(case)?;
    let sources: Vec<PathBuf> = (0..views).map(|view| root.join(format!("features{view}.parquet"))).collect();
    let (label_file, out) = (root.join("labels.parquet"), root.join("out"));
    fs::create_dir_all(&out)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut runs: Vec<Runs> = (0..=TOOLS.len()).map(|_| Runs::default()).collect();
    for _ in 0..rounds {
        // In turns, so that what else the machine does falls on all of them.
        for (index, runs) in runs.iter_mut().enumerate() {
            let cost = match index {
                0 => measured(Task::Training, &root, "all", threads, None)?,
                _ => match baseline(python, TOOLS[index - 1], &label_file, &out, &sources) {
                    Ok(cost) => cost,
                    // Where memory ends, so does it; the others are measured all the same.
                    Err(_) if rows > LARGE_ROWS => continue,
                    Err(error) => return Err(error),
                },
            };
            runs.wall.push(cost.wall.as_secs_f64());
            runs.cpu.push(cost.cpu_seconds);
            runs.peak = runs.peak.max(cost.peak_bytes);
        }
    }
    let median = |runs: &Runs| match runs.wall.is_empty() {
        true => f64::INFINITY,
        false => Times::new(runs.wall.clone()).median(),
    };
    let medians: Vec<f64> = runs.iter().map(median).collect();
    let fastest = medians[1..].iter().copied().fold(f64::INFINITY, f64::min);
    let order = if sorted { "by time" } else { "in no order" };
    let what = format!("{} × {}, {views}, {order}", grouped(labels as u64), grouped(rows as u64));
    let mut names = vec!["Tandem", "DuckDB, asof join", "Polars, join_asof", "pandas, merge_asof"];
    let mut medians = medians;
    if labels <= FEAST_LABELS_MAX {
        // Once, and beside the others: it takes longer than all of them, and does not give what was asked.
        let feast = tools::environment("feast", "tests/tools/requirements-feast.txt")?.join("bin/python");
        let mut command = Command::new(feast);
        command.arg("-W").arg("ignore").arg(workspace().join("benches/baselines/feast_training.py"));
        // It multiplies labels by the rows of their keys: where memory ends, so does it, and the others are measured all the same.
        match told(command.arg(&label_file).arg(out.join("feast.parquet")).args(&sources), "Feast") {
            Ok(cost) => {
                names.push("Feast, get_historical_features");
                medians.push(cost.wall.as_secs_f64());
                let (wall, cpu) = (vec![cost.wall.as_secs_f64()], vec![cost.cpu_seconds]);
                runs.push(Runs { wall, cpu, peak: cost.peak_bytes });
            }
            Err(_) => {
                names.push("Feast, get_historical_features");
                medians.push(f64::INFINITY);
                runs.push(Runs::default());
            }
        }
    }
    for ((name, runs), median) in names.iter().zip(&runs).zip(&medians) {
        if runs.wall.is_empty() {
            let nothing = String::new;
            let name = format!("{name}: did not end");
            table.row(&[what.clone(), name, nothing(), nothing(), nothing(), nothing(), nothing()]);
            continue;
        }
        let wall = Times::new(runs.wall.clone());
        let ratio = if *name == names[0] { number(median / fastest) } else { String::new() };
        let cpu = runs.cpu.iter().copied().fold(f64::INFINITY, f64::min);
        let peak = grouped(runs.peak >> 20);
        table.row(&[what.clone(), (*name).to_owned(), number(*median), number(wall.min()), number(cpu), peak, ratio]);
    }
    fs::remove_dir_all(&root)?; // the next size needs the room
    Ok(())
}

fn baseline(python: &Path, tool: &str, labels: &Path, out: &Path, features: &[PathBuf]) -> Result<Cost, Failure> {
    let mut command = Command::new(python);
    command.arg("-W").arg("ignore").arg(workspace().join("benches/baselines/training.py")).arg(tool);
    told(command.arg(labels).arg(out.join(format!("{tool}.parquet"))).args(features), tool)
}

/// What a process took, by the clock and by its own words.
fn told(command: &mut Command, tool: &str) -> Result<Cost, Failure> {
    let start = Instant::now();
    let said = String::from_utf8(tools::output(command)?)?;
    let wall = start.elapsed();
    let (cpu, peak) =
        said.lines().last().unwrap_or_default().trim().split_once(' ').ok_or_else(|| format!("{tool} said {said}"))?;
    Ok(Cost { wall, cpu_seconds: cpu.parse()?, peak_bytes: peak.parse()? })
}

/// Joins all views of the project to its labels, in this process.
pub(crate) fn make(project: &Path, threads: usize) -> Result<(), Failure> {
    let opened = open(project, threads)?;
    let views: Vec<String> = opened.project.views.iter().map(|view| view.id().to_string()).collect();
    let asked = Asked::list(&opened, &views)?;
    let labels = Labels::parquet(&project.join("labels.parquet"))?;
    let mut options = TrainingOptions { threads, ..TrainingOptions::default() };
    // Ten rows for a label.
    if labels.len() > LARGE_ROWS as u64 / 10 {
        options.memory_bytes_max = LARGE_MEMORY_BYTES;
    }
    let request = TrainingRequest {
        labels,
        event_time: "event_time".to_owned(),
        observed_time: None,
        timezone: None,
        plan: asked.plan,
        transforms: asked.transforms,
        columns: std::collections::BTreeMap::new(),
        ignore_created_time: false,
        offline_root: opened.project.settings.storage.offline.clone(),
        only_files: None,
        statuses: false,
        options,
    };
    let set = TrainingSet::prepare(request)?;
    let row_group_rows = opened.project.settings.batch.row_group_rows;
    let mut file = TrainingFile::create(&project.join("out/tandem.parquet"), set.schema().clone(), row_group_rows)?;
    futures::executor::block_on(async {
        let mut rows = std::pin::pin!(set.stream(&opened.workers, |_| {}));
        while let Some(batch) = rows.try_next().await? {
            file.write(batch)?;
        }
        Ok::<_, Failure>(())
    })?;
    file.finish(&[])?.publish(&project.join("out/tandem.parquet.manifest.json"), "{}\n")?;
    Ok(())
}

/// Labels, and a file of rows for each view, beside the definitions of both.
fn project(case: &Case) -> Result<PathBuf, Failure> {
    let Case { labels, rows, views, sorted } = *case;
    let root = scratch()?.join("training");
    let _ = fs::remove_dir_all(&root); // what a run that ended early left
    fs::create_dir_all(root.join("features"))?;
    fs::write(root.join("tandem.toml"), "[project]\nname = \"training\"\n")?;
    let mut definitions =
        String::from("[[entity]]\nname = \"user\"\njoin_keys = [{ name = \"user_id\", type = \"int64\" }]\n");
    let users = (labels / LABELS_PER_USER).max(1) as u64;
    let mut random = Random(42);
    for view in 0..views {
        let columns = ["a", "b", "c"]
            .map(|name| format!("{{ name = \"{name}{view}\", column = \"{name}\", type = \"float64\" }}"));
        write!(
            definitions,
            "\n[[source]]\nname = \"rows{view}\"\npath = \"features{view}.parquet\"\nkind = \"state\"\nevent_time = \"event_time\"\n\n\
             [[feature_view]]\nname = \"view{view}\"\nversion = 1\nsource = \"rows{view}\"\nentities = [\"user\"]\nfeatures = [{}]\n",
            columns.join(", ")
        )?;
        write(&root.join(format!("features{view}.parquet")), rows, |first, count| {
            let times = (first..first + count).map(|row| if sorted { ordered(row, rows) } else { random.instant() });
            let times: Vec<i64> = times.collect();
            let mut floats =
                || -> ArrayRef { Arc::new((0..count).map(|_| Some(random.share())).collect::<Float64Array>()) };
            let (a, b, c) = (floats(), floats(), floats());
            let keys = Int64Array::from_iter_values((0..count).map(|_| random.user(users)));
            vec![("user_id", Arc::new(keys) as ArrayRef), ("event_time", instants(times)), ("a", a), ("b", b), ("c", c)]
        })?;
    }
    write(&root.join("labels.parquet"), labels, |_, count| {
        let keys = Int64Array::from_iter_values((0..count).map(|_| random.user(users)));
        let times = instants((0..count).map(|_| random.instant()).collect());
        let outcomes: BooleanArray = (0..count).map(|_| Some(random.next() & 1 == 1)).collect();
        vec![("user_id", Arc::new(keys) as ArrayRef), ("event_time", times), ("label", Arc::new(outcomes))]
    })?;
    fs::write(root.join("features/all.toml"), definitions)?;
    Ok(root)
}

pub(crate) fn instants(micros: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(micros).with_timezone("UTC"))
}

/// Writes so many rows, as many at a time as `make` is asked for.
pub(crate) fn write(
    path: &Path,
    rows: usize,
    mut make: impl FnMut(usize, usize) -> Vec<(&'static str, ArrayRef)>,
) -> Result<(), Failure> {
    let mut writer: Option<ArrowWriter<File>> = None;
    for first in (0..rows).step_by(BATCH) {
        let batch = RecordBatch::try_from_iter(make(first, BATCH.min(rows - first)))?;
        let writer = match &mut writer {
            Some(writer) => writer,
            None => {
                let properties = WriterProperties::builder().set_max_row_group_row_count(Some(1 << 17)).build();
                writer.insert(ArrowWriter::try_new(File::create(path)?, batch.schema(), Some(properties))?)
            }
        };
        writer.write(&batch)?;
    }
    writer.ok_or("no rows")?.close()?;
    Ok(())
}

/// The instant of a row in order of time.
fn ordered(row: usize, rows: usize) -> i64 {
    (FIRST + (SPAN as u128 * row as u128 / rows as u128) as u64) as i64
}

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below 1.
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn instant(&mut self) -> i64 {
        (FIRST + self.next() % SPAN) as i64
    }

    /// A tenth of the users have about half of the rows.
    pub(crate) fn user(&mut self, users: u64) -> i64 {
        (self.share().powi(3) * users as f64) as i64
    }
}
