//! The command line: arguments in, an exit code out.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tandem_core::model::FeatureView;
use tandem_core::time::{Day, DayRange};
use tandem_engine::{COMPILE_ARGUMENT, EngineError};

use crate::client::Client;
use crate::commands;
use crate::error::Error;
use crate::output::Output;
use crate::{project, registry};

/// Compute features once: the same WebAssembly component runs in batch over Parquet and on demand over HTTP, with the same bits.
#[derive(Debug, Parser)]
#[command(name = "tandem", version, max_term_width = 120, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
struct Global {
    /// Folder with tandem.toml [default: this folder, or the nearest above it that has one]
    #[arg(long, global = true, value_name = "DIR")]
    project: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    json: bool,
    /// What to log to stderr: error, warn, info, debug, trace, or a filter such as tandem=debug
    #[arg(long, global = true, value_name = "FILTER", env = "TANDEM_LOG", value_parser = crate::output::log_filter)]
    log: Option<String>,
    /// Log as JSON lines
    #[arg(long, global = true)]
    log_json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the folder of a new transform
    New(commands::new::Arguments),
    /// Build the component of a transform
    Build(commands::build::Arguments),
    /// Print the contract, or make a component of what another language's tools give
    Bindings(commands::bindings::Arguments),
    /// Run a transform over sample rows
    Test(commands::test::Arguments),
    /// Prove that a component computes each row by itself, with the same bits however it is called
    Verify(commands::verify::Arguments),
    /// Print what a component takes and gives
    Describe(commands::describe::Arguments),
    /// Check the definition files and the components they name
    Check(commands::check::Arguments),
    /// Show what the definition files would change about what is registered
    Plan(commands::plan::Arguments),
    /// Register what the definition files say
    Apply(commands::apply::Arguments),
    /// Register again what was registered before
    Rollback(commands::rollback::Arguments),
    /// List what is registered
    Catalog(commands::catalog::Arguments),
    /// Show a registered view or service
    Show(commands::show::Arguments),
    /// List what was registered, when, by whom and why
    History(commands::history::Arguments),
    /// Show where values come from and where they go
    Lineage(commands::lineage::Arguments),
    /// Write rows of a file into a source, as Parquet in its partitions
    Import(commands::import::Arguments),
    /// Push rows of a file or of stdin into a feature view
    Ingest(commands::ingest::Arguments),
    /// Compute a feature view over the partitions of its source
    Batch(commands::batch::Arguments),
    /// Give labels the features that were known at their times
    TrainingSet(commands::training_set::Arguments),
    /// Show which row gave a label its values, and what became of the others
    Explain(commands::explain::Arguments),
    /// Write the newest published row of each entity into the online store
    Materialize(commands::materialize::Arguments),
    /// Show the push log, or write it into the offline history
    Log(commands::log::Arguments),
    /// Show what is in the online store, copy it, and write a copy back
    Online(commands::online::Arguments),
    /// Look entities up in the online store
    Get(commands::get::Arguments),
    /// Serve features over HTTP
    Serve(commands::serve::Arguments),
    /// Make, list and revoke tokens for clients of the server
    Token(commands::token::Arguments),
    /// Ask a server for rows of a batch and compare bits
    Parity(commands::parity::Arguments),
    /// Compile a component from stdin for the process that called this one
    #[command(name = COMPILE_ARGUMENT, hide = true)]
    Compile {
        #[arg(allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

/// Days to work on; the same for every command that takes them.
#[derive(Debug, Args)]
pub struct RangeArguments {
    /// First day, as YYYY-MM-DD [default: the first there is]
    #[arg(long, value_name = "DAY")]
    from: Option<Day>,
    /// Day after the last, as YYYY-MM-DD [default: after the last there is]
    #[arg(long, value_name = "DAY")]
    to: Option<Day>,
}

impl RangeArguments {
    /// The days; None where neither end is given.
    pub fn range(&self) -> Result<Option<DayRange>, Error> {
        if self.from.is_none() && self.to.is_none() {
            return Ok(None);
        }
        let range = DayRange { from: self.from.unwrap_or(Day::MIN), to: self.to.unwrap_or(Day::MAX) };
        if range.is_empty() {
            let reason = format!("{range} holds no day; --to is the day after the last");
            return Err(Error::Argument { what: "--from, --to".to_owned(), reason });
        }
        Ok(Some(range))
    }
}

/// How a server is reached, and who one is to it.
#[derive(Debug, Clone, clap::Args)]
pub struct ServerArguments {
    /// A token that the server knows, of a role that may do this; better in the environment, where other users do not see it
    #[arg(long, value_name = "TOKEN", env = "TANDEM_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Certificates of the authorities that vouch for a server of https, in PEM [default: those that Mozilla trusts]
    #[arg(long, value_name = "FILE", env = "TANDEM_CA")]
    ca: Option<PathBuf>,
}

impl ServerArguments {
    /// The server at the `url` of this option.
    pub fn client(&self, option: &str, url: &str) -> Result<Client, Error> {
        Client::new(option, url, self.token.clone(), self.ca.as_deref())
    }
}

/// What is run; the same for every command that runs features.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// Run the definition files as they are, and not what is registered
    #[arg(long)]
    pub dev: bool,
}

/// What every command gets.
pub struct Context {
    /// The only way to print.
    pub output: Output,
    project: Option<PathBuf>,
}

impl Context {
    /// The project's folder.
    pub fn root(&self) -> Result<PathBuf, Error> {
        self.find_root(Path::new("."))
    }

    /// The project's folder: what --project says, or the nearest with a tandem.toml from `from` upwards.
    pub fn find_root(&self, from: &Path) -> Result<PathBuf, Error> {
        match &self.project {
            Some(folder) if folder.join(project::SETTINGS_FILE).is_file() => Ok(folder.clone()),
            Some(folder) => {
                let reason = "there is no tandem.toml in it; name the folder that has one".to_owned();
                Err(Error::Argument { what: format!("--project {}", folder.display()), reason })
            }
            None => project::find(from),
        }
    }

    /// The project's definition files, opened.
    pub fn open(&self) -> Result<project::Opened, Error> {
        project::Opened::open_with(&self.root()?, compiler())
    }

    /// What is to be run: what is registered, or with `--dev` the definition files as they are, which is told.
    ///
    /// # Errors
    ///
    /// [`Error::NothingRegistered`].
    pub fn open_to_run(&self, arguments: &RunArguments) -> Result<project::Opened, Error> {
        if arguments.dev {
            self.output.note("note: --dev runs the definition files as they are, and not what is registered");
            return self.open();
        }
        project::Opened::open_registered(&self.registered()?.registered, compiler())
    }

    /// What is registered.
    ///
    /// # Errors
    ///
    /// [`Error::NothingRegistered`].
    pub fn registered(&self) -> Result<registry::Opening, Error> {
        let registry = registry::open(&self.root()?)?;
        registry.some()?;
        Ok(registry)
    }

    /// Tells that a view should no longer be used, if that is so.
    pub fn warn_deprecated(&self, view: &FeatureView) {
        if let Some(deprecation) = &view.deprecation {
            let replacement = deprecation.replacement.as_ref().map(|id| format!("; use {id}"));
            let replacement = replacement.unwrap_or_default();
            self.output.warning(format!("{} is deprecated since {}{replacement}", view.id(), deprecation.since));
        }
    }
}

/// Parses the arguments, runs the command, prints its error.
pub fn main() -> ExitCode {
    let cli = Cli::parse(); // exits with 2 on wrong usage, with 0 after --help
    let output = Output::new(cli.global.json);
    crate::output::start_log(cli.global.log.as_deref(), cli.global.log_json, matches!(cli.command, Command::Serve(_)));
    let context = Context { output, project: cli.global.project };
    let result = match cli.command {
        Command::New(arguments) => commands::new::run(&context, &arguments),
        Command::Build(arguments) => commands::build::run(&context, &arguments),
        Command::Bindings(arguments) => commands::bindings::run(&context, &arguments),
        Command::Test(arguments) => commands::test::run(&context, &arguments),
        Command::Verify(arguments) => commands::verify::run(&context, &arguments),
        Command::Describe(arguments) => commands::describe::run(&context, &arguments),
        Command::Check(arguments) => commands::check::run(&context, &arguments),
        Command::Plan(arguments) => commands::plan::run(&context, &arguments),
        Command::Apply(arguments) => commands::apply::run(&context, &arguments),
        Command::Rollback(arguments) => commands::rollback::run(&context, &arguments),
        Command::Catalog(arguments) => commands::catalog::run(&context, &arguments),
        Command::Show(arguments) => commands::show::run(&context, &arguments),
        Command::History(arguments) => commands::history::run(&context, &arguments),
        Command::Lineage(arguments) => commands::lineage::run(&context, &arguments),
        Command::Import(arguments) => commands::import::run(&context, &arguments),
        Command::Ingest(arguments) => commands::ingest::run(&context, &arguments),
        Command::Batch(arguments) => commands::batch::run(&context, &arguments),
        Command::TrainingSet(arguments) => commands::training_set::run(&context, &arguments),
        Command::Explain(arguments) => commands::explain::run(&context, &arguments),
        Command::Materialize(arguments) => commands::materialize::run(&context, &arguments),
        Command::Log(arguments) => commands::log::run(&context, &arguments),
        Command::Online(arguments) => commands::online::run(&context, &arguments),
        Command::Get(arguments) => commands::get::run(&context, &arguments),
        Command::Serve(arguments) => commands::serve::run(&context, &arguments),
        Command::Token(arguments) => commands::token::run(&context, &arguments),
        Command::Parity(arguments) => commands::parity::run(&context, &arguments),
        Command::Compile { arguments } => context.output.compile(&arguments).map_err(Error::from),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            context.output.error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

/// This program, to compile components in a process of their own.
pub(crate) fn compiler() -> Option<PathBuf> {
    // On Linux a name for this very file, whatever lies under the program's path by now: an upgrade may have replaced it.
    let own = Path::new("/proc/self/exe");
    if own.exists() { Some(own.to_owned()) } else { std::env::current_exe().ok() }
}

/// Tasks between two looks at what has arrived. Until then nobody knows of it, so it is in no measure of how long a request waits (docs/decisions/0021).
const TASKS_PER_POLL: u32 = 16;

/// One task of so many is taken from the queue that threads share. It has what workers have finished, and half of a thread's own queue where that was full: with the
/// executor's usual 31 or more, an overloaded server left connections there for 200 ms.
const TASKS_PER_SHARED: u32 = 3;

/// A tokio runtime for commands that wait for files and sockets; user code runs on the engine's workers.
pub(crate) fn async_runtime() -> Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("tandem-async")
        .event_interval(TASKS_PER_POLL)
        .global_queue_interval(TASKS_PER_SHARED)
        .thread_stack_size(tandem_engine::STACK_BYTES) // trials of small requests run here
        .build()
        .map_err(|error| Error::Engine(EngineError::Start(error.to_string())))
}
