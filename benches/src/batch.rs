//! Parquet through the quickstart's transform to Parquet, against DataFusion copying the same files.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::Failure;
use crate::child::{Cost, DISTANCE, RISK, Task, measured};
use crate::copy;
use crate::markdown::{Table, grouped, number};
use crate::project::{PARTITIONS, quickstart};
use crate::race::Times;

/// The processor on which a run on one processor is.
const ONE_PROCESSOR: usize = 1;

/// What is run: a task, on one processor or on all.
#[derive(Clone, Copy)]
struct Runner {
    name: &'static str,
    task: Task,
    /// Of a batch.
    view: &'static str,
    threads: usize,
    cpu: Option<usize>,
}

/// What the runs of one runner at one size took.
struct Costs {
    wall: Times,
    cpu: Times,
    peak: Times,
}

/// Markdown of the section.
pub(crate) fn run(quick: bool, rows: usize) -> Result<String, Failure> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let on = |threads, cpu| {
        let runner = |name, task, view| Runner { name, task, view, threads, cpu };
        [
            runner("Tandem, the quickstart's view", Task::Batch, RISK),
            runner("Tandem, one feature", Task::Batch, DISTANCE),
            runner("DataFusion's copy", Task::Copy, RISK),
        ]
    };
    let runners = [on(1, Some(ONE_PROCESSOR.min(threads - 1))), on(threads, None)].concat();
    let on_all = runners.len() / 2;
    let mut table = Table::new(&[
        "run",
        "rows",
        "s, median",
        "s, min",
        "processor s",
        "peak memory, MiB",
        "× the copy's time, median (min)",
        "× the copy's processor time",
    ]);
    let mut sizes = Vec::new();
    for (factor, rounds) in [(1, 7), (10, 3)] {
        let costs = at_size(rows * factor, if quick { 1 } else { rounds }, &runners)?;
        for (at, (runner, cost)) in std::iter::zip(&runners, &costs).enumerate() {
            let place = if runner.cpu.is_some() { "one processor".to_owned() } else { format!("{threads} threads") };
            let copy = &costs[at / on_all * on_all + on_all - 1];
            let (ratio, processor) = if runner.task == Task::Batch {
                let (median, min) = (cost.wall.median() / copy.wall.median(), cost.wall.min() / copy.wall.min());
                (format!("{median:.2} ({min:.2})"), format!("{:.2}", cost.cpu.median() / copy.cpu.median()))
            } else {
                (String::new(), String::new())
            };
            table.row(&[
                format!("{}, {place}", runner.name),
                grouped((rows * factor) as u64),
                number(cost.wall.median()),
                number(cost.wall.min()),
                number(cost.cpu.median()),
                number(cost.peak.median() / f64::from(1 << 20)),
                ratio,
                processor,
            ]);
        }
        sizes.push(costs);
    }
    let mut text = format!(
        "\n## Batch: Parquet to Parquet\n\nThe quickstart's view (8 inputs, 11 features, text and vectors among them) and a view of one cheap feature (a distance from 4 inputs), over {PARTITIONS} partitions; whole processes, from start to end. The copy reads the same files, all 13 columns, and writes them with the same compression (zstd 3) and row groups; it syncs nothing, Tandem every file and folder.\n\n{}\n",
        table.render()
    );
    for (at, runner) in runners.iter().enumerate().skip(on_all) {
        let [small, large] = [&sizes[0], &sizes[1]];
        writeln!(
            text,
            "- {}: 10 × the rows take {:.2} × the time (min {:.2}), {:.2} × the processor time and {:.2} × the peak memory on {threads} threads; {threads} threads are {:.2} × as fast as one processor (min {:.2}), at 10 × the rows.",
            runner.name,
            large[at].wall.median() / small[at].wall.median(),
            large[at].wall.min() / small[at].wall.min(),
            large[at].cpu.median() / small[at].cpu.median(),
            large[at].peak.median() / small[at].peak.median(),
            large[at - on_all].wall.median() / large[at].wall.median(),
            large[at - on_all].wall.min() / large[at].wall.min(),
        )?;
    }
    Ok(text)
}

fn at_size(rows: usize, rounds: usize, runners: &[Runner]) -> Result<Vec<Costs>, Failure> {
    let project = quickstart(rows)?;
    let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); runners.len()];
    // The first round fills the page cache and the cache of compiled code.
    for round in 0..=rounds {
        for (runner, costs) in std::iter::zip(runners, &mut costs) {
            remove(&project.join("data/features"))?;
            remove(&project.join(copy::OUTPUT))?;
            let cost = measured(runner.task, &project, runner.view, runner.threads, runner.cpu)?;
            if round > 0 {
                costs.push(cost);
            }
        }
    }
    let times = |costs: &[Cost], of: fn(&Cost) -> f64| Times::new(costs.iter().map(of).collect());
    Ok(costs
        .iter()
        .map(|costs| Costs {
            wall: times(costs, |cost| cost.wall.as_secs_f64()),
            cpu: times(costs, |cost| cost.cpu_seconds),
            peak: times(costs, |cost| cost.peak_bytes as f64),
        })
        .collect())
}

fn remove(folder: &Path) -> Result<(), Failure> {
    if folder.exists() { Ok(fs::remove_dir_all(folder)?) } else { Ok(()) }
}
