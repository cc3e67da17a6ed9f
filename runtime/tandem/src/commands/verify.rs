//! `tandem verify`: proof that a transform is a function of its row, and a function of aggregates one of the set of its events.

use std::path::{Path, PathBuf};

use futures::executor::block_on;
use tandem_build::{BuildOptions, build};
use tandem_core::model::{FeatureView, NanMode};
use tandem_engine::verify::golden::Replay;
use tandem_engine::verify::{Verdict, VerifyOptions, golden, verify, verify_aggregate};
use tandem_engine::{EngineError, EngineOptions, Workers};

use super::describe::{Function, ParameterArguments, Unbound, engine, view_of};
use super::test::instant;
use crate::cli::{Context, compiler};
use crate::error::{Error, io};
use crate::output::{counted, grouped};
use crate::project::{self, Opened};
use crate::rows::{self, Mapping};
use crate::{registry, verify as shown};

/// Instances alive at the same moment.
const INSTANCES: u32 = 4;

/// Arguments of the command.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// A component, or the folder of a transform, which is built first [default: the view's component]
    #[arg(value_name = "DIR|COMPONENT", required_unless_present_any = ["view", "golden"])]
    transform: Option<PathBuf>,
    /// View whose parameters, limits and NaN mode hold [default: the last one that names the component]
    #[arg(long, value_name = "VIEW")]
    view: Option<String>,
    /// Rows to try beside generated ones, as Parquet, CSV or JSON [default: samples.json, .jsonl, .ndjson, .csv or .parquet beside the
    /// manifest or the component, if there is one]
    #[arg(long, value_name = "FILE")]
    rows: Option<PathBuf>,
    /// Rows taken from the file's beginning at most
    #[arg(long, value_name = "ROWS", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Rows to generate
    #[arg(long, value_name = "ROWS", default_value_t = 256, value_parser = clap::value_parser!(u32).range(..=100_000))]
    generate: u32,
    /// Seed of generated rows and of shuffling
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    seed: u64,
    /// The instant for which features are asked, in RFC 3339, for rows without a column `as_of`
    #[arg(long, value_name = "TIME")]
    as_of: Option<String>,
    /// Zone of timestamps that have none, such as UTC or Europe/Berlin [default: that of the view's source]
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// Do not compile for the interpreter, nor compare with it
    #[arg(long)]
    no_interpreter: bool,
    /// Write golden vectors there, if it is proved
    #[arg(long, value_name = "FILE", conflicts_with = "golden")]
    record: Option<PathBuf>,
    /// Compare with golden vectors from there instead; without a file with those that `apply` recorded of --view, or of every registered view
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    golden: Option<Option<PathBuf>>,
    /// Cargo's folder for intermediate files, for a transform in Rust
    #[arg(long, value_name = "DIR")]
    target_dir: Option<PathBuf>,
    #[command(flatten)]
    parameters: ParameterArguments,
}

/// Builds if need be, verifies, shows what was compared.
pub fn run(context: &Context, arguments: &Arguments) -> Result<(), Error> {
    if let Some(None) = &arguments.golden {
        return registered(context, arguments);
    }
    let named = arguments.view.as_deref().map(|reference| named_view(context, reference)).transpose()?;
    let transform = match (&arguments.transform, &named) {
        (Some(transform), _) => transform.clone(),
        (None, Some(view)) => match (view.has_component(), view.event_components().first()) {
            (true, _) => view.component.clone(),
            // The others are verified by their files.
            (false, Some(component)) => (*component).clone(),
            (false, None) => return Err(Error::NoTransform { view: view.id(), what: "verified" }),
        },
        (None, None) => {
            let reason = "name the component too, or its view with --view; without a file, all that is registered is held against its vectors";
            return Err(Error::Argument { what: "--golden".to_owned(), reason: reason.to_owned() });
        }
    };
    let is_folder = transform.is_dir();
    let folder = if is_folder { transform.clone() } else { transform.parent().unwrap_or(Path::new("")).to_owned() };
    let component = if is_folder {
        let options = BuildOptions { target_dir: arguments.target_dir.clone(), ..BuildOptions::default() };
        build(&folder, &options)?.component
    } else {
        transform
    };
    if is_aggregate(context, &component)? {
        return aggregate(context, arguments, &component);
    }
    let view = named.or_else(|| view_of(context, &component));
    let Unbound { code, view, parameters, nan, limits } = Unbound::read(&component, view, &arguments.parameters)?;

    let engine = engine(context, &component, EngineOptions { instances_max: INSTANCES, ..EngineOptions::default() })?;
    let workers = Workers::start(1);
    let fail = |source| Error::Component { component: component.clone(), source };
    // On a worker: its stack has room for the deepest recursion of user code.
    let bind = {
        let (engine, code, parameters, limits) = (engine.clone(), code.clone(), parameters.clone(), limits.clone());
        move || engine.load(&code, nan)?.bind(&parameters, &limits)
    };
    let transform = block_on(workers.run(bind)).map_err(panicked)?.map_err(fail)?;

    if let Some(Some(file)) = &arguments.golden {
        let bytes = std::fs::read(file).map_err(io("read", file))?;
        let replay = {
            let transform = transform.clone();
            move || golden::replay(&transform, &bytes)
        };
        let replay = block_on(workers.run(replay)).map_err(panicked)?.map_err(fail)?;
        let signature = transform.signature();
        context.output.data(|| shown::replay_text(&replay, signature), || shown::replay_json(&replay, signature));
        return match replay.different {
            0 => Ok(()),
            different => Err(Error::Golden { different, rows: replay.rows }),
        };
    }

    let file = arguments.rows.clone().or_else(|| rows::samples_in(&folder));
    let mapping = Mapping {
        signature: transform.signature(),
        view: view.as_ref(),
        as_of: arguments.as_of.as_deref().map(instant).transpose()?,
        timezone: arguments.timezone.as_deref(),
    };
    let given = file.map(|file| rows::read(&file, &mapping, arguments.limit as usize)).transpose()?;
    if let Some(rows) = given.as_ref().filter(|rows| rows.total > rows.inputs.num_rows() as u64) {
        let (taken, total) = (grouped(rows.inputs.num_rows() as u64), counted(rows.total, "row"));
        context.output.note(format!("note: the first {taken} of {total}; --limit takes more"));
    }
    let given = given.map(|rows| rows.inputs);
    let mut options = VerifyOptions {
        seed: arguments.seed,
        generated_rows: arguments.generate as usize,
        given_rows_max: arguments.limit as usize,
        ..VerifyOptions::default()
    };
    if arguments.no_interpreter {
        options.interpreter_rows = 0;
    }
    let proof = {
        let (given, options) = (given.clone(), options.clone());
        move || verify(&engine, &code, &parameters, &limits, nan, given.as_ref(), &options)
    };
    let report = block_on(workers.run(proof)).map_err(panicked)?.map_err(fail)?;
    context.output.data(|| shown::text(&report), || shown::json(&report));
    match report.verdict() {
        Verdict::Different => return Err(Error::NotProved),
        Verdict::NoValues => return Err(Error::NothingProved { rows: report.rows.given + report.rows.generated }),
        Verdict::Proved => {}
    }
    if let Some(file) = &arguments.record {
        let record = move || golden::record(&transform, given.as_ref(), &options);
        let bytes = block_on(workers.run(record)).map_err(panicked)?.map_err(fail)?;
        std::fs::write(file, bytes).map_err(io("write", file))?;
    }
    Ok(())
}

/// Whether a component computes a function of aggregates, and no transform.
pub(super) fn is_aggregate(context: &Context, component: &Path) -> Result<bool, Error> {
    let code = project::read_component(component, EngineOptions::default().component_bytes_max)?;
    let engine = engine(context, component, EngineOptions { instances_max: INSTANCES, ..EngineOptions::default() })?;
    let is_transform = !matches!(engine.load(&code, NanMode::Boundary), Err(EngineError::NotATransform { .. }));
    Ok(!is_transform && engine.load_aggregate(&code, NanMode::Boundary).is_ok())
}

/// Verifies a component that computes a function of aggregates.
fn aggregate(context: &Context, arguments: &Arguments, component: &Path) -> Result<(), Error> {
    for (given, what) in [
        (arguments.rows.is_some(), "--rows"),
        (arguments.record.is_some(), "--record"),
        (arguments.golden.is_some(), "--golden"),
    ] {
        if given {
            let reason = "it goes with transforms alone: the events of an aggregate are generated".to_owned();
            return Err(Error::Argument { what: what.to_owned(), reason });
        }
    }
    let Function { code, parameters, nan, limits, state_bytes_max } =
        Function::read(context, component, &arguments.parameters)?;
    let engine = engine(context, component, EngineOptions { instances_max: INSTANCES, ..EngineOptions::default() })?;
    let mut options = VerifyOptions { seed: arguments.seed, ..VerifyOptions::default() };
    if arguments.no_interpreter {
        options.interpreter_rows = 0;
    }
    let proof = move || verify_aggregate(&engine, &code, &parameters, (&limits, state_bytes_max), nan, &options);
    let fail = |source| Error::Component { component: component.to_owned(), source };
    let report = block_on(Workers::start(1).run(proof)).map_err(panicked)?.map_err(fail)?;
    context.output.data(|| shown::aggregates::text(&report), || shown::aggregates::json(&report));
    match (report.is_proved(), &report.difference) {
        (true, _) => Ok(()),
        (false, Some(_)) => Err(Error::AggregateNotProved),
        (false, None) => Err(Error::NoStates),
    }
}

/// Golden vectors that were recorded at `apply`, of one view or of all.
fn registered(context: &Context, arguments: &Arguments) -> Result<(), Error> {
    if arguments.transform.is_some() {
        let reason = "without a file it takes what is registered: name a view with --view, and no component";
        return Err(Error::Argument { what: "--golden".to_owned(), reason: reason.to_owned() });
    }
    let registry = registry::open(&context.root()?)?;
    let views = match &arguments.view {
        Some(name) => match &registry.view(name)?.view {
            view if !view.has_component() && !view.has_event_transform() => {
                return Err(Error::NoTransform { view: view.id(), what: "verified" });
            }
            view => vec![view.id()],
        },
        None => {
            let computed = registry.registered.bound.values().filter(|bound| bound.row_function().is_some());
            computed.map(|bound| bound.view.id()).collect()
        }
    };
    registry.some()?;
    let opened = Opened::open_registered(&registry.registered, compiler())?;
    let replayed = registry.replay(&opened, &views)?;
    if replayed.len() < views.len() {
        let without = views.len() - replayed.len();
        context
            .output
            .note(format!("note: registered without golden vectors, and not compared: {without} of {}", views.len()));
    }
    context.output.data(|| shown::replayed_text(&replayed), || shown::replayed_json(&replayed));
    let sum = |count: fn(&Replay) -> u64| replayed.iter().map(|replayed| count(&replayed.replay)).sum();
    match sum(|replay| replay.different) {
        0 => Ok(()),
        different => Err(Error::Golden { different, rows: sum(|replay| replay.rows) }),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn panicked(panic: tandem_engine::WorkerPanic) -> Error {
    Error::Engine(EngineError::Worker(panic))
}

/// The view of this name in the project.
fn named_view(context: &Context, reference: &str) -> Result<FeatureView, Error> {
    let project = project::read(&context.root()?)?;
    project::find_view(&project, reference).cloned()
}
