//! A project on disk: definition files read and checked, components loaded and bound to their views.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tandem_core::definition::{self, BindError, Defined, File, Key, Mistake, Settings, Sources};
use tandem_core::hash::Digest;
use tandem_core::model::{BoundComponent, BoundView, Code, FeatureView, Project, ViewReference, ViewVersion};
use tandem_core::suggest::view_hint;
use tandem_core::types::Signature;
use tandem_core::window::ComponentFunction;
use tandem_engine::{Aggregate, Component, Engine, EngineError, EngineOptions, Transform, Workers};
use tandem_registry::{Registered, RegistryError};

use crate::error::{Error, io};

/// Name of the file that makes a folder a project.
pub const SETTINGS_FILE: &str = "tandem.toml";

/// The folder with `tandem.toml`: `from`, or the nearest above it.
pub fn find(from: &Path) -> Result<PathBuf, Error> {
    let absolute = from.canonicalize().map_err(io("open", from))?;
    let found = absolute.ancestors().find(|folder| folder.join(SETTINGS_FILE).is_file());
    let Some(found) = found else {
        return Err(Error::NoProject { from: absolute });
    };
    // Paths that people read stay as they were given, where they can.
    Ok(if found == absolute { from.to_owned() } else { found.to_owned() })
}

/// Reads and checks all definition files of the project in `root`; all mistakes of all files are reported at once.
pub fn read(root: &Path) -> Result<Project, Error> {
    Ok(read_with_files(root)?.0)
}

/// As [`read`], with the feature files themselves, for the places of mistakes that only show later.
fn read_with_files(root: &Path) -> Result<(Project, Vec<File>), Error> {
    let settings = read_file(&root.join(SETTINGS_FILE))?;
    let folder = definition::features_folder(&settings, root);
    let mut paths = Vec::new();
    match std::fs::read_dir(&folder) {
        Ok(entries) => {
            for entry in entries {
                let path = entry.map_err(io("list", &folder))?.path();
                let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
                if !hidden && path.extension().is_some_and(|extension| extension == "toml") {
                    paths.push(path);
                }
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(io("list", folder)(error)),
    }
    paths.sort();
    let features = paths.iter().map(|path| read_file(path)).collect::<Result<_, _>>()?;
    let sources = Sources { settings, features };
    let project = definition::parse_project(&sources, root).map_err(Error::Definitions)?;
    Ok((project, sources.features))
}

/// What `tandem.toml` of the project in `root` says.
pub fn settings(root: &Path) -> Result<Settings, Error> {
    let file = read_file(&root.join(SETTINGS_FILE))?;
    definition::parse_settings(&file, root).map_err(Error::Definitions)
}

fn read_file(path: &Path) -> Result<File, Error> {
    let text = std::fs::read_to_string(path).map_err(io("read", path))?;
    let name = path.strip_prefix("./").unwrap_or(path).display().to_string();
    Ok(File { name, text })
}

/// The bytes of a component; of one that is over the limit not one is read.
pub fn read_component(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Error> {
    let bytes = std::fs::metadata(path).map_err(io("read the component", path))?.len();
    if bytes > bytes_max {
        let source = EngineError::ComponentTooLarge { bytes, max: bytes_max };
        return Err(Error::Component { component: path.to_owned(), source });
    }
    std::fs::read(path).map_err(io("read the component", path))
}

/// The view that `reference` names: `name` (its greatest version), `name@version` or `name@alias`.
pub(crate) fn find_view<'a>(project: &'a Project, reference: &str) -> Result<&'a FeatureView, Error> {
    let parsed: ViewReference = reference.parse().map_err(|_| Error::Argument {
        what: reference.to_owned(),
        reason: "write NAME, NAME@VERSION or NAME@ALIAS".to_owned(),
    })?;
    project.view(&parsed).ok_or_else(|| {
        let views = project.views.iter().map(|view| view.id().to_string());
        let aliases = project.aliases.iter().map(|alias| alias.to_string());
        Error::UnknownView { reference: reference.to_owned(), known: views.chain(aliases).collect() }
    })
}

/// A project with the engine that runs its transforms: what is registered, or the definition files as they are.
pub struct Opened {
    /// The definitions.
    pub project: Project,
    /// The feature files that they were read from; none where they are registered.
    files: Vec<File>,
    /// What is registered, where that is what runs.
    registered: Option<Recorded>,
    /// The engine, with the project's limits and its cache of compiled code.
    pub engine: Engine,
    /// Threads for blocking work.
    pub workers: Workers,
}

/// What was recorded of registered views.
struct Recorded {
    /// The registration's number.
    number: u64,
    bound: BTreeMap<ViewVersion, Arc<BoundView>>,
}

/// A view with the function that computes it, if one does.
#[derive(Clone)]
pub struct ViewTransform {
    /// The view, bound to its component.
    pub bound: Arc<BoundView>,
    /// Its transform; None for a view of columns.
    pub transform: Option<Transform>,
}

impl ViewTransform {
    /// View and transform, where there is something to be done with the transform: `what`.
    ///
    /// # Errors
    ///
    /// [`Error::NoTransform`] for a view of columns.
    pub fn computed(self, what: &'static str) -> Result<(Arc<BoundView>, Transform), Error> {
        match self.transform {
            Some(transform) => Ok((self.bound, transform)),
            None => Err(Error::NoTransform { view: self.bound.view.id(), what }),
        }
    }
}

impl Opened {
    /// Reads the definition files of the project in `root` and starts engine and workers. Components are compiled in this process.
    pub fn open(root: &Path) -> Result<Opened, Error> {
        Opened::open_with(root, None)
    }

    /// The same, with the program that compiles components under limits ([`EngineOptions::compiler`]).
    pub fn open_with(root: &Path, compiler: Option<PathBuf>) -> Result<Opened, Error> {
        let (project, files) = read_with_files(root)?;
        Opened::start(project, files, None, compiler)
    }

    /// What is registered, with an engine and workers, and the program that compiles components under limits. Definition files are not looked at.
    pub fn open_registered(registered: &Registered, compiler: Option<PathBuf>) -> Result<Opened, Error> {
        let recorded = Recorded { number: registered.number, bound: registered.bound.clone() };
        Opened::start(registered.project.clone(), Vec::new(), Some(recorded), compiler)
    }

    fn start(
        project: Project,
        files: Vec<File>,
        registered: Option<Recorded>,
        compiler: Option<PathBuf>,
    ) -> Result<Opened, Error> {
        let settings = &project.settings.engine;
        let options = EngineOptions {
            instances_max: u32::try_from(settings.instances_max).unwrap_or(u32::MAX),
            keep_resident_bytes: settings.keep_resident_bytes,
            stack_bytes_max: settings.stack_bytes_max,
            component_bytes_max: settings.component_bytes_max,
            compiler,
            compile_seconds_max: settings.compile_seconds_max,
            compile_memory_bytes_max: settings.compile_memory_bytes_max,
            cache: Some(project.settings.storage.cache.clone()),
            ..EngineOptions::default()
        };
        let threads = match settings.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        Ok(Opened { engine: Engine::new(options)?, workers: Workers::start(threads), project, files, registered })
    }

    /// Number of the registration that runs; none where it is the definition files as they are.
    pub fn registration(&self) -> Option<u64> {
        self.registered.as_ref().map(|recorded| recorded.number)
    }

    /// The definition of a view, by `name` (its greatest version), `name@version` or `name@alias`.
    pub fn definition(&self, reference: &str) -> Result<&FeatureView, Error> {
        find_view(&self.project, reference).map_err(|error| match error {
            Error::UnknownView { reference, .. } if self.project.services.iter().any(|one| one.name == reference) => {
                let reason =
                    "it is a feature service, and a feature view is taken: one of those that it names".to_owned();
                Error::Argument { what: reference, reason }
            }
            Error::UnknownView { reference, known } if self.registered.is_some() => {
                let hint = view_hint(&reference, "registered views", &known);
                let hint = format!("{hint}; `tandem plan` shows what is not registered yet");
                Error::NotRegistered { name: reference, hint }
            }
            error => error,
        })
    }

    /// Loads the component of a view and binds it: as it is recorded, where the view is registered; else with all views that it reads. Blocking:
    /// the first time a component is seen it is compiled.
    ///
    /// # Errors
    ///
    /// [`Error::Definitions`] with the place of every mistake, where a definition and its component do not go together.
    pub fn bind(&self, view: &FeatureView) -> Result<ViewTransform, Error> {
        if let Some(bound) = self.registered.as_ref().and_then(|recorded| recorded.bound.get(&view.id())) {
            return load_recorded(&self.engine, bound);
        }
        let mut known = BTreeMap::new();
        let mut last = None;
        for view in self.project.with_upstream(view) {
            let bound = match self.bind_one(view, &known)? {
                Ok(bound) => bound,
                Err(Unbound::Component(source)) => {
                    return Err(Error::Component { component: view.component.clone(), source });
                }
                Err(Unbound::Mistakes(mistakes)) => return Err(self.mistaken([(Defined::View(view), mistakes)])),
            };
            known.insert(view.id(), Arc::clone(&bound.bound));
            last = Some(bound);
        }
        last.ok_or_else(|| Error::UnknownView { reference: view.id().to_string(), known: Vec::new() })
    }

    /// All views, bound, sorted by name and version. All mistakes of all views and feature services are reported at once; of one that
    /// uses a mistaken view nothing is said.
    pub fn bind_all(&self) -> Result<Vec<ViewTransform>, Error> {
        self.bind_all_and(|_| Vec::new())
    }

    /// The same, with what `look` finds wrong with a view that is bound: its mistakes are reported among the others.
    pub fn bind_all_and(&self, look: impl Fn(&BoundView) -> Vec<Mistake>) -> Result<Vec<ViewTransform>, Error> {
        let mut transforms = BTreeMap::new();
        let declared = |view: &FeatureView| {
            let found = self.found(view)?;
            Ok(found.map_err(|unbound| unbound.mistakes(view)).map(|(declared, transform)| {
                transforms.extend(transform.map(|transform| (view.id(), transform)));
                declared
            }))
        };
        let bound = self.bind_each(declared, look)?;
        let with_transform = |(id, bound)| ViewTransform { bound, transform: transforms.remove(&id) };
        Ok(bound.into_iter().map(with_transform).collect())
    }

    /// As [`Opened::bind_all_and`], with `declared` saying what the component of a view declares, and its digest.
    pub(crate) fn bind_each(
        &self,
        mut declared: impl FnMut(&FeatureView) -> Result<Result<Declared, Vec<Mistake>>, Error>,
        look: impl Fn(&BoundView) -> Vec<Mistake>,
    ) -> Result<BTreeMap<ViewVersion, Arc<BoundView>>, Error> {
        let mut known: BTreeMap<ViewVersion, Arc<BoundView>> = BTreeMap::new();
        let mut mistaken = Vec::new();
        let mut seen = BTreeSet::new();
        for view in self.project.views.iter().flat_map(|view| self.project.with_upstream(view)) {
            if !seen.insert(view.id()) || view.upstream().iter().any(|id| !known.contains_key(*id)) {
                continue;
            }
            let bound = match declared(view)? {
                Ok(declared) => {
                    declared.bind(view, &known).map_err(|errors| errors.iter().map(Mistake::from).collect())
                }
                Err(mistakes) => Err(mistakes),
            };
            match bound {
                Ok(bound) => {
                    let mistakes = look(&bound);
                    if !mistakes.is_empty() {
                        mistaken.push((Defined::View(view), mistakes));
                    }
                    known.insert(view.id(), Arc::new(bound));
                }
                Err(mistakes) => mistaken.push((Defined::View(view), mistakes)),
            }
        }
        let signatures: BTreeMap<_, _> = known.iter().map(|(id, bound)| (id.clone(), &bound.signature)).collect();
        for service in &self.project.services {
            // Of a service over a mistaken view nothing is said.
            if service.features.iter().all(|one| signatures.contains_key(&one.view))
                && let Err(errors) = definition::bind_service(service, &signatures)
            {
                mistaken.push((Defined::Service(service), errors.iter().map(Mistake::from).collect()));
            }
        }
        if mistaken.is_empty() { Ok(known) } else { Err(self.mistaken(mistaken)) }
    }

    /// Mistakes at their places in the feature files; at least one.
    pub fn mistaken<'a>(&self, mistakes: impl IntoIterator<Item = (Defined<'a>, Vec<Mistake>)>) -> Error {
        match definition::locate(&self.files, mistakes) {
            Some(diagnostics) => Error::Definitions(diagnostics),
            None => Error::Data("a mistake in the definitions has no place in the feature files".to_owned()),
        }
    }

    /// Binds a view whose upstream views are among `known`.
    fn bind_one(
        &self,
        view: &FeatureView,
        known: &BTreeMap<ViewVersion, Arc<BoundView>>,
    ) -> Result<Result<ViewTransform, Unbound>, Error> {
        let (declared, transform) = match self.found(view)? {
            Ok(found) => found,
            Err(unbound) => return Ok(Err(unbound)),
        };
        Ok(match declared.bind(view, known) {
            Ok(bound) => Ok(ViewTransform { bound: Arc::new(bound), transform }),
            Err(errors) => Err(Unbound::Mistakes(errors.iter().map(Mistake::from).collect())),
        })
    }

    /// What a view, or its component, declares, with its transform where it has one; the components of an aggregate view are loaded.
    fn found(&self, view: &FeatureView) -> Result<Result<(Declared, Option<Transform>), Unbound>, Error> {
        let load = || -> Result<Result<Transform, Unbound>, Error> {
            let bytes = match self.component_of(view)? {
                Ok(bytes) => bytes,
                Err(unbound) => return Ok(Err(unbound)),
            };
            Ok(self.load(view, bytes)?.map_err(Unbound::Component))
        };
        if view.has_component() {
            let found = |transform: Transform| {
                (Declared::row_function((transform.signature().clone(), transform.digest())), Some(transform))
            };
            return Ok(load()?.map(found));
        }
        let mut components = Vec::new();
        if view.has_event_transform() {
            match load()? {
                Ok(transform) => components.push(event_transform(transform)),
                Err(unbound) => return Ok(Err(unbound)),
            }
        }
        for function in view.aggregates.iter().flat_map(|aggregates| &aggregates.functions) {
            let bytes = match self.component_at(view, &function.component)? {
                Ok(bytes) => bytes,
                Err(unbound) => return Ok(Err(unbound)),
            };
            match self.load_function(view, function, bytes)? {
                Ok(aggregate) => components.push(aggregate_function(aggregate)),
                Err(error) => {
                    return Ok(Err(Unbound::Mistakes(vec![refused_function(view, &function.component, error)])));
                }
            }
        }
        Ok(Ok((Declared::by_view(view, components), None)))
    }

    /// The function of aggregates of these bytes, as the view has it. Blocking.
    pub(crate) fn load_function(
        &self,
        view: &FeatureView,
        function: &ComponentFunction,
        bytes: impl AsRef<[u8]> + Send + 'static,
    ) -> Result<Result<Aggregate, EngineError>, Error> {
        let bind = {
            let (engine, nan, limits) = (self.engine.clone(), view.nan, view.limits.clone());
            let (parameters, bytes_max) = (function.parameters.clone(), function.state_bytes_max);
            move || engine.load_aggregate(bytes.as_ref(), nan)?.bind(&parameters, &limits, bytes_max)
        };
        futures::executor::block_on(self.workers.run(bind)).map_err(|panic| Error::Engine(panic.into()))
    }

    /// The transform of these bytes, as the view has it. Blocking.
    pub(crate) fn load(
        &self,
        view: &FeatureView,
        bytes: impl AsRef<[u8]> + Send + 'static,
    ) -> Result<Result<Transform, EngineError>, Error> {
        let bind = {
            let (engine, nan) = (self.engine.clone(), view.nan);
            let (parameters, limits) = (view.parameters.clone(), view.limits.clone());
            move || engine.load(bytes.as_ref(), nan)?.bind(&parameters, &limits)
        };
        // On a worker: `describe` is user code, and only a worker's stack has room for the deepest recursion that the settings allow.
        let loaded =
            futures::executor::block_on(self.workers.run(bind)).map_err(|panic| Error::Engine(panic.into()))?;
        match loaded {
            // Not the component's fault.
            Err(
                source @ (EngineError::Start(_)
                | EngineError::InstancesExhausted { .. }
                | EngineError::Cache { .. }
                | EngineError::Compiler(_)
                | EngineError::Worker(_)),
            ) => Err(Error::Component { component: view.component.clone(), source }),
            loaded => Ok(loaded),
        }
    }

    /// The bytes of a view's component.
    fn component_of(&self, view: &FeatureView) -> Result<Result<Vec<u8>, Unbound>, Error> {
        self.component_at(view, &view.component)
    }

    /// The bytes of one of a view's components.
    fn component_at(&self, view: &FeatureView, component: &Path) -> Result<Result<Vec<u8>, Unbound>, Error> {
        match read_component(component, self.engine.options().component_bytes_max) {
            Ok(bytes) => Ok(Ok(bytes)),
            Err(Error::Component { source, .. }) => Ok(Err(Unbound::Component(source))),
            Err(error @ Error::Io { .. }) if !component.exists() => {
                let message =
                    format!("the component of feature view `{}` is not there: {}", view.name, component.display());
                Ok(Err(Unbound::Mistakes(vec![Mistake { key: Key::of("component"), message, hint: error.hint() }])))
            }
            Err(error) => Err(error),
        }
    }

    /// The bytes of a view's component, or the mistake of the definition that they cannot be had.
    pub(crate) fn component_bytes(&self, view: &FeatureView) -> Result<Result<Vec<u8>, Vec<Mistake>>, Error> {
        Ok(self.component_of(view)?.map_err(|unbound| unbound.mistakes(view)))
    }

    /// The same of the component of one of its aggregates.
    pub(crate) fn function_bytes(
        &self,
        view: &FeatureView,
        function: &ComponentFunction,
    ) -> Result<Result<Vec<u8>, Vec<Mistake>>, Error> {
        Ok(self.component_at(view, &function.component)?.map_err(|unbound| unbound.mistakes(view)))
    }

    /// The view that `reference` names, bound.
    pub fn view(&self, reference: &str) -> Result<ViewTransform, Error> {
        self.bind(self.definition(reference)?)
    }
}

/// A registered view with its transform, without asking the component what it declared when it was registered. Blocking: code that the cache does
/// not have is compiled. Runs no user code.
///
/// # Errors
///
/// A component that is not the one that was registered, or that this engine cannot load.
pub fn load_recorded(engine: &Engine, bound: &Arc<BoundView>) -> Result<ViewTransform, Error> {
    let BoundView { view, signature, .. } = &**bound;
    if !view.has_component() {
        return Ok(ViewTransform { bound: with_code(engine, bound)?, transform: None });
    }
    let fail = |source| Error::Component { component: view.component.clone(), source };
    let component = load_component(engine, bound)?;
    let transform = component.bind_described(&view.parameters, &view.limits, signature.clone()).map_err(fail)?;
    Ok(ViewTransform { bound: Arc::clone(bound), transform: Some(transform) })
}

/// A registered view of aggregates with its components loaded. Blocking: code that the cache does not have is compiled. Runs no user code.
///
/// # Errors
///
/// As [`load_recorded`].
pub fn with_code(engine: &Engine, bound: &Arc<BoundView>) -> Result<Arc<BoundView>, Error> {
    if bound.components.is_empty() {
        return Ok(Arc::clone(bound));
    }
    let mut components = Vec::new();
    if let Some(function) = bound.row_function() {
        let BoundView { view, signature, .. } = &*function;
        let fail = |source| Error::Component { component: view.component.clone(), source };
        let component = load_component(engine, &function)?;
        let transform = component.bind_described(&view.parameters, &view.limits, signature.clone()).map_err(fail)?;
        components.push(event_transform(transform));
    }
    let functions = bound.view.aggregates.iter().flat_map(|aggregates| &aggregates.functions);
    let recorded: Vec<&BoundComponent> = bound.components.iter().skip(components.len()).collect();
    for (function, recorded) in functions.zip(recorded) {
        let path = &function.component;
        let fail = |source| Error::Component { component: path.clone(), source };
        let bytes = registered_bytes(engine, path)?;
        let component = engine.load_aggregate(&bytes, bound.view.nan).map_err(fail)?;
        if component.digest() != recorded.digest {
            return Err(damaged(path, "is not what its name says"));
        }
        let (parameters, signature) = (&function.parameters, recorded.signature.clone());
        let aggregate = component
            .bind_described(parameters, &bound.view.limits, function.state_bytes_max, signature)
            .map_err(fail)?;
        components.push(aggregate_function(aggregate));
    }
    Ok(Arc::new(BoundView { components, ..BoundView::clone(bound) }))
}

fn aggregate_function(aggregate: Aggregate) -> BoundComponent {
    let (signature, digest) = (aggregate.signature().clone(), aggregate.digest());
    BoundComponent { signature, digest, code: Code::Function(Arc::new(aggregate)) }
}

fn damaged(path: &Path, reason: &str) -> Error {
    Error::Registry(RegistryError::Damaged { path: path.to_owned(), reason: reason.to_owned() })
}

/// The bytes of a component that the registry has.
fn registered_bytes(engine: &Engine, path: &Path) -> Result<Vec<u8>, Error> {
    match read_component(path, engine.options().component_bytes_max) {
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Err(damaged(path, "is missing"))
        }
        read => read,
    }
}

fn event_transform(transform: Transform) -> BoundComponent {
    let (signature, digest) = (transform.signature().clone(), transform.digest());
    BoundComponent { signature, digest, code: Code::Events(Arc::new(transform)) }
}

/// What a view's component declares, or what stands for it.
pub(crate) struct Declared {
    signature: Signature,
    digest: Digest,
    components: Vec<BoundComponent>,
}

impl Declared {
    /// By a component that computes the view's features.
    pub(crate) fn row_function((signature, digest): (Signature, Digest)) -> Declared {
        Declared { signature, digest, components: Vec::new() }
    }

    /// By the view itself, one of columns or of aggregates, which runs these components.
    pub(crate) fn by_view(view: &FeatureView, components: Vec<BoundComponent>) -> Declared {
        let declared = view.declared_with(&components);
        let (signature, digest) = declared.expect("a view without a component of its own declares its features");
        Declared { signature, digest, components }
    }

    fn bind(
        self,
        view: &FeatureView,
        known: &BTreeMap<ViewVersion, Arc<BoundView>>,
    ) -> Result<BoundView, Vec<BindError>> {
        definition::bind_with(view.clone(), self.signature, self.digest, self.components, known)
    }
}

/// The component of a registered view. Blocking.
///
/// # Errors
///
/// As [`load_recorded`].
pub fn load_component(engine: &Engine, bound: &BoundView) -> Result<Component, Error> {
    let path = &bound.view.component;
    let bytes = registered_bytes(engine, path)?;
    let fail = |source| Error::Component { component: path.clone(), source };
    let component = engine.load(&bytes, bound.view.nan).map_err(fail)?;
    if component.digest() == bound.digest { Ok(component) } else { Err(damaged(path, "is not what its name says")) }
}

/// A component that the engine refuses, as a mistake of the view that names it.
pub(crate) fn refused_component(view: &FeatureView, source: EngineError) -> Mistake {
    refused(view, &view.component, "component", source)
}

/// The component of an aggregate that the engine refuses.
pub(crate) fn refused_function(view: &FeatureView, component: &Path, source: EngineError) -> Mistake {
    refused(view, component, "aggregates", source)
}

fn refused(view: &FeatureView, component: &Path, key: &str, source: EngineError) -> Mistake {
    let error = Error::Component { component: component.to_owned(), source };
    let text = error.to_string();
    // Some of the engine's errors carry their hint.
    let (message, hint) = match text.split_once("hint: ") {
        Some((message, hint)) => (message.trim_end_matches(['.', ';', ' ']), Some(hint.to_owned())),
        None => (&text[..], error.hint()),
    };
    let message = format!("the component of feature view `{}` is refused: {message}", view.name);
    Mistake { key: Key::of(key), message, hint }
}

/// Why a view is not bound.
enum Unbound {
    /// Its component cannot be used.
    Component(EngineError),
    /// Its definition is wrong.
    Mistakes(Vec<Mistake>),
}

impl Unbound {
    fn mistakes(self, view: &FeatureView) -> Vec<Mistake> {
        match self {
            Unbound::Component(source) => vec![refused_component(view, source)],
            Unbound::Mistakes(mistakes) => mistakes,
        }
    }
}
