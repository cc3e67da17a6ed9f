//! `tandem describe`: what a component takes and gives.

use std::path::{Path, PathBuf};

use futures::executor::block_on;
use serde_json::Value;
use tandem_core::definition::{File, Settings, parse_parameters};
use tandem_core::hash::Digest;
use tandem_core::limits::TransformLimits;
use tandem_core::model::{FeatureView, NanMode};
use tandem_core::parameter::Parameters;
use tandem_core::types::Signature;
use tandem_core::window::{ComponentFunction, STATE_BYTES_DEFAULT};
use tandem_engine::{Aggregate, Allocation, Engine, EngineError, EngineOptions, Transform, Workers};

use crate::cli::{Context, compiler};
use crate::error::Error;
use crate::output::bytes;
use crate::project;

/// `compiled_bytes_max`: bytes of compiled code that are kept for a user who builds, tests and verifies components.
pub const COMPILED_BYTES_MAX: u64 = 1 << 30;

/// Arguments of the command.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The component
    #[arg(value_name = "FILE")]
    component: PathBuf,
    #[command(flatten)]
    parameters: ParameterArguments,
}

/// Parameters for a component outside a view.
#[derive(Debug, clap::Args)]
pub struct ParameterArguments {
    /// A parameter, with its value as in a definition file: --param threshold=0.5 --param 'words=["a", "b"]'
    #[arg(long = "param", value_name = "NAME=VALUE")]
    parameters: Vec<String>,
}

impl ParameterArguments {
    fn parse(&self) -> Result<Parameters, Error> {
        let lines = File { name: "--param".to_owned(), text: self.parameters.join("\n") };
        parse_parameters(&lines).map_err(Error::Definitions)
    }
}

/// What a component said of itself.
pub(super) struct Described {
    digest: Digest,
    size_bytes: u64,
    signature: Signature,
}

/// Prints the signature.
pub fn run(context: &Context, arguments: &Arguments) -> Result<(), Error> {
    let described = describe(context, &arguments.component, &arguments.parameters)?;
    context.output.data(
        || {
            let size = bytes(described.size_bytes);
            let head = format!("size    {size}\ndigest  {}\n\n", described.digest);
            head + &signature_text(&described)
        },
        || json(&described),
    );
    Ok(())
}

pub(super) fn signature_text(described: &Described) -> String {
    crate::describe::text(&described.signature)
}

pub(super) fn json(described: &Described) -> Value {
    crate::describe::json(&described.signature, described.digest, described.size_bytes)
}

/// A component, bound.
pub(super) struct Bound {
    pub(super) digest: Digest,
    pub(super) size_bytes: u64,
    pub(super) transform: Transform,
    /// The view that uses it in the project around it.
    pub(super) view: Option<FeatureView>,
    /// A thread for its calls.
    pub(super) workers: Workers,
}

/// What [`bind`] finds out, without the transform.
pub(super) fn describe(
    context: &Context,
    component: &Path,
    arguments: &ParameterArguments,
) -> Result<Described, Error> {
    match bind(context, component, arguments, Allocation::OnDemand) {
        Ok(bound) => {
            let signature = bound.transform.signature().clone();
            Ok(Described { digest: bound.digest, size_bytes: bound.size_bytes, signature })
        }
        // What is no transform may be a function of aggregates; if it is neither, that it is no transform is said.
        Err(Error::Component { component: file, source: source @ EngineError::NotATransform { .. } }) => {
            match Function::read(context, component, arguments)?.bind(context, component)? {
                Ok((aggregate, size_bytes)) => {
                    Ok(Described { digest: aggregate.digest(), size_bytes, signature: aggregate.signature().clone() })
                }
                Err(EngineError::NotAnAggregate { .. }) => Err(Error::Component { component: file, source }),
                Err(source) => Err(Error::Component { component: file, source }),
            }
        }
        Err(error) => Err(error),
    }
}

/// A component that computes a function of aggregates, and what it is to be bound with: what the newest view says that names it, or the defaults.
pub(super) struct Function {
    pub(super) code: Vec<u8>,
    pub(super) parameters: Parameters,
    pub(super) nan: NanMode,
    pub(super) limits: TransformLimits,
    pub(super) state_bytes_max: u64,
}

impl Function {
    /// Reads the component; takes the parameters given instead of the view's own if there are any.
    pub(super) fn read(context: &Context, component: &Path, arguments: &ParameterArguments) -> Result<Function, Error> {
        let code = project::read_component(component, EngineOptions::default().component_bytes_max)?;
        let used = function_of(context, component);
        let (view, function) = used.map_or((None, None), |(view, function)| (Some(view), Some(function)));
        let parameters = match &function {
            Some(function) if arguments.parameters.is_empty() => function.parameters.clone(),
            _ => arguments.parse()?,
        };
        Ok(Function {
            code,
            parameters,
            nan: view.as_ref().map_or(NanMode::Boundary, |view| view.nan),
            limits: view.map_or_else(TransformLimits::default, |view| view.limits),
            state_bytes_max: function.map_or(STATE_BYTES_DEFAULT, |function| function.state_bytes_max),
        })
    }

    /// Binds it; with it the bytes of the component.
    fn bind(self, context: &Context, component: &Path) -> Result<Result<(Aggregate, u64), EngineError>, Error> {
        let options = EngineOptions { allocation: Allocation::OnDemand, ..EngineOptions::default() };
        let engine = engine(context, component, options)?;
        let size_bytes = self.code.len() as u64;
        let bind = move || {
            let Function { code, parameters, nan, limits, state_bytes_max } = self;
            engine.load_aggregate(&code, nan)?.bind(&parameters, &limits, state_bytes_max)
        };
        let bound = block_on(Workers::start(1).run(bind)).map_err(|panic| Error::Engine(panic.into()))?;
        Ok(bound.map(|aggregate| (aggregate, size_bytes)))
    }
}

/// The newest view with an aggregate that names this file, and the aggregate.
fn function_of(context: &Context, component: &Path) -> Option<(FeatureView, ComponentFunction)> {
    let file = component.canonicalize().ok()?;
    let root = context.find_root(file.parent()?).ok()?;
    let project = project::read(&root).ok()?;
    let uses = |path: &Path| path.canonicalize().is_ok_and(|path| path == file);
    project.views.iter().rev().find_map(|view| {
        let function = view.aggregates.as_ref()?.functions.iter().find(|function| uses(&function.component))?;
        Some((view.clone(), function.clone()))
    })
}

/// Loads the component and binds it: to the parameters given, else to those of the view that uses it in the project around it, else to none.
/// The view's other settings hold in any case.
pub(super) fn bind(
    context: &Context,
    component: &Path,
    arguments: &ParameterArguments,
    allocation: Allocation,
) -> Result<Bound, Error> {
    let Unbound { code, view, parameters, nan, limits } =
        Unbound::read(component, view_of(context, component), arguments)?;
    let size_bytes = code.len() as u64;
    let engine = engine(context, component, EngineOptions { allocation, ..EngineOptions::default() })?;
    let workers = Workers::start(1);
    // On a worker: `describe` is user code, and a worker's stack has room for the deepest recursion.
    let bind = move || engine.load(&code, nan)?.bind(&parameters, &limits);
    let transform = block_on(workers.run(bind)).map_err(|panic| Error::Engine(panic.into()))?;
    let transform = transform.map_err(|source| Error::Component { component: component.to_owned(), source })?;
    Ok(Bound { digest: transform.digest(), size_bytes, transform, view, workers })
}

/// An engine for components that are named by their files. What it compiles is kept for this user: a component of an interpreted language takes
/// seconds, and an author builds, tests and verifies the same one. The limits of compiling are those of the project around it.
pub(super) fn engine(context: &Context, component: &Path, options: EngineOptions) -> Result<Engine, Error> {
    let mut options = EngineOptions { compiler: compiler(), ..options };
    if let Some(settings) = settings_around(context, component) {
        options.compile_seconds_max = settings.engine.compile_seconds_max;
        options.compile_memory_bytes_max = settings.engine.compile_memory_bytes_max;
    }
    let cache = tandem_build::default_cache_dir().map(|folder| folder.join("compiled"));
    let kept = EngineOptions { cache, cache_bytes_max: Some(COMPILED_BYTES_MAX), ..options.clone() };
    match Engine::new(kept) {
        Err(error @ EngineError::Cache { .. }) => {
            // A folder that cannot be made costs time alone; one that is not private is nothing to be silent about.
            if let EngineError::Cache { source: None, .. } = &error {
                context.output.warning(format!("{error}; it is not used"));
            }
            Ok(Engine::new(options)?)
        }
        engine => Ok(engine?),
    }
}

/// Settings of the project in which a component lies. One with mistakes does not keep a component from being used.
fn settings_around(context: &Context, component: &Path) -> Option<Settings> {
    let file = component.canonicalize().ok()?;
    project::settings(&context.find_root(file.parent()?).ok()?).ok()
}

/// A component and what it is to be bound with.
pub(super) struct Unbound {
    pub(super) code: Vec<u8>,
    /// The view whose settings these are.
    pub(super) view: Option<FeatureView>,
    pub(super) parameters: Parameters,
    pub(super) nan: NanMode,
    pub(super) limits: TransformLimits,
}

impl Unbound {
    /// Reads the component; takes the view's settings, and the parameters given instead of its own if there are any.
    pub(super) fn read(
        component: &Path,
        view: Option<FeatureView>,
        arguments: &ParameterArguments,
    ) -> Result<Unbound, Error> {
        let code = project::read_component(component, EngineOptions::default().component_bytes_max)?;
        let parameters = match &view {
            Some(view) if arguments.parameters.is_empty() => view.parameters.clone(),
            _ => arguments.parse()?,
        };
        let nan = view.as_ref().map_or(NanMode::Boundary, |view| view.nan);
        let limits = view.as_ref().map_or_else(TransformLimits::default, |view| view.limits.clone());
        Ok(Unbound { code, view, parameters, nan, limits })
    }
}

/// The newest view that names this file as its component. A project with mistakes does not keep a component from being used.
pub(super) fn view_of(context: &Context, component: &Path) -> Option<FeatureView> {
    let file = component.canonicalize().ok()?;
    let root = context.find_root(file.parent()?).ok()?;
    let project = project::read(&root).ok()?;
    let uses = |path: &Path| path.canonicalize().is_ok_and(|path| path == file);
    project.views.iter().rfind(|view| uses(&view.component)).cloned()
}
