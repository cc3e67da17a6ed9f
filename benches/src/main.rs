//! What Tandem costs: every figure beside its baseline, measured in the same run, as Markdown.
//!
//! ```text
//! cargo run --release -p tandem-benches [transforms] [crossing] [batch] [http] [neighbours] [registry] [languages] [training] [serving] [windows]
//! ```
//!
//! In the order of the table:
//!
//! - `machine`: what it ran on
//! - `transforms`: 65,536 rows through three transforms, against the same functions compiled natively (`native`)
//! - `crossing`: calls, instances, and what each type costs on its way in and out
//! - `batch`: Parquet through a transform to Parquet, against DataFusion copying the files (`copy`)
//! - `http`: one row on demand over HTTP, against a bare axum route (`echo`), asked by `load`
//! - `neighbours`: the same view beside one that attacks, against itself alone
//! - `registry`: a thousand views planned, registered, served, and replaced while they are served
//! - `languages`: the example of each language built, started and called, against plain Python and pandas (`baselines/`)
//! - `training`: point-in-time joins of several sizes, against DuckDB, Polars and pandas (`baselines/`)
//! - `serving`: stored features over HTTP, against axum, Redis and Feast, and materialize against appending to LMDB
//! - `windows`: aggregates over windows, against DuckDB and Polars (`baselines/`), and events pushed against raw puts into LMDB
//!
//! What they share: `race` times contenders in turns, `rate` asks at fixed rates, `guests` builds and loads components, `columns` makes rows, `project` lays the quickstart
//! out at several sizes, `child` measures in a process of its own, `tools` installs what other languages need, `markdown` writes tables.

mod apart;
mod batch;
mod child;
mod columns;
mod copy;
mod crossing;
mod echo;
mod guests;
mod http;
mod languages;
mod load;
mod machine;
mod markdown;
mod native;
mod neighbours;
mod project;
mod race;
mod rate;
mod registry;
mod serving;
mod tools;
mod training;
mod transforms;
mod windows;

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

/// An error of any kind: a bench stops at the first.
type Failure = Box<dyn Error + Send + Sync>;

/// Measures Tandem beside its baselines and prints Markdown.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 120)]
struct Arguments {
    /// What to measure [default: everything]
    sections: Vec<Section>,
    /// Fewer and shorter rounds: shows that everything runs, not what it costs
    #[arg(long)]
    quick: bool,
    /// Rows of the smaller batch; the larger has ten times as many
    #[arg(long, value_name = "ROWS", default_value_t = 800_000)]
    batch_rows: usize,
    /// Rows of the largest point-in-time join, which has a tenth as many labels; tools that hold all in memory may need 200 bytes for each
    #[arg(long, value_name = "ROWS")]
    training_rows: Option<usize>,
    /// Users whose features are served
    #[arg(long, value_name = "USERS", default_value_t = 1_000_000)]
    serving_users: usize,
    /// The parts of `serving` that are measured [default: all]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PARTS")]
    only: Vec<serving::Part>,
    /// Events of the largest sums over windows
    #[arg(long, value_name = "EVENTS", default_value_t = 10_000_000)]
    window_events: usize,
    /// What a process of its own is to do; this program gives it to itself
    #[command(flatten)]
    child: child::Arguments,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Section {
    /// 65,536 rows through three transforms
    Transforms,
    /// Calls, instances and crossing
    Crossing,
    /// Parquet to Parquet
    Batch,
    /// One row over HTTP
    Http,
    /// One row over HTTP, beside a view that attacks
    Neighbours,
    /// A registry of a thousand views
    Registry,
    /// The common example in each language
    Languages,
    /// Point-in-time joins
    Training,
    /// Stored features over HTTP
    Serving,
    /// Aggregates over windows
    Windows,
}

impl Section {
    const ALL: [Section; 10] = [
        Section::Transforms,
        Section::Crossing,
        Section::Batch,
        Section::Http,
        Section::Neighbours,
        Section::Registry,
        Section::Languages,
        Section::Training,
        Section::Serving,
        Section::Windows,
    ];
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.child.task {
        Some(task) => child::run(task, &arguments.child),
        None => measure(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}"); // nobody is left to tell if stderr is closed
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Result<(), Failure> {
    let sections = if arguments.sections.is_empty() { &Section::ALL[..] } else { &arguments.sections[..] };
    print(&machine::describe(arguments.quick))?;
    for section in sections {
        // Each as soon as it is there: the whole takes minutes.
        print(&match section {
            Section::Transforms => transforms::run(arguments.quick)?,
            Section::Crossing => crossing::run(arguments.quick)?,
            Section::Batch => batch::run(arguments.quick, arguments.batch_rows)?,
            Section::Http => http::run(arguments.quick)?,
            Section::Neighbours => neighbours::run(arguments.quick)?,
            Section::Registry => registry::run(arguments.quick)?,
            Section::Languages => languages::run(arguments.quick)?,
            Section::Training => training::run(arguments.quick, arguments.training_rows)?,
            Section::Serving => serving::run(arguments.quick, arguments.serving_users, &arguments.only)?,
            Section::Windows => windows::run(arguments.quick, arguments.window_events)?,
        })?;
    }
    Ok(())
}

fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}
