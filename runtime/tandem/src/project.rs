//! A project on disk: definition files read and checked, components loaded and bound to their views.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tandem_core::definition::{self, File, Sources};
use tandem_core::model::{BoundView, FeatureView, Project, parse_view_reference};
use tandem_engine::{Engine, EngineError, EngineOptions, Transform, Workers};

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
    definition::parse_project(&Sources { settings, features }, root).map_err(Error::Definitions)
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

/// A project with the engine that runs its transforms.
pub struct Opened {
    /// The definitions.
    pub project: Project,
    /// The engine, with the project's limits and its cache of compiled code.
    pub engine: Engine,
    /// Threads for blocking work.
    pub workers: Workers,
}

/// A view with the function that computes it.
#[derive(Clone)]
pub struct ViewTransform {
    /// The view, bound to its component.
    pub bound: Arc<BoundView>,
    /// Its transform.
    pub transform: Transform,
}

impl Opened {
    /// Reads the project in `root` and starts engine and workers.
    pub fn open(root: &Path) -> Result<Opened, Error> {
        let project = read(root)?;
        let settings = &project.settings.engine;
        let options = EngineOptions {
            instances_max: u32::try_from(settings.instances_max).unwrap_or(u32::MAX),
            keep_resident_bytes: settings.keep_resident_bytes,
            stack_bytes_max: settings.stack_bytes_max,
            component_bytes_max: settings.component_bytes_max,
            cache: Some(project.settings.storage.cache.clone()),
            ..EngineOptions::default()
        };
        let threads = match settings.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        Ok(Opened { engine: Engine::new(options)?, workers: Workers::start(threads), project })
    }

    /// The definition of a view, by `name` (its greatest version) or `name@version`.
    pub fn definition(&self, reference: &str) -> Result<&FeatureView, Error> {
        let (name, version) = parse_view_reference(reference).ok_or_else(|| Error::Argument {
            what: reference.to_owned(),
            reason: "write NAME or NAME@VERSION, with a number for the version".to_owned(),
        })?;
        self.project.view(name, version).ok_or_else(|| Error::UnknownView {
            reference: reference.to_owned(),
            known: self.project.views.iter().map(|view| format!("{}@{}", view.name, view.version)).collect(),
        })
    }

    /// Loads the component of a view and binds both. Blocking: the first time a component is seen it is compiled.
    pub fn bind(&self, view: &FeatureView) -> Result<ViewTransform, Error> {
        let component = &view.component;
        let bytes = read_component(component, self.engine.options().component_bytes_max)?;
        let fail = |source| Error::Component { component: component.clone(), source };
        let bind = {
            let (engine, nan) = (self.engine.clone(), view.nan);
            let (parameters, limits) = (view.parameters.clone(), view.limits.clone());
            move || engine.load(&bytes, nan)?.bind(&parameters, &limits)
        };
        // On a worker: `describe` is user code, and only a worker's stack has room for the deepest recursion that the settings allow.
        let bound = futures::executor::block_on(self.workers.run(bind)).map_err(|panic| Error::Engine(panic.into()))?;
        let transform = bound.map_err(fail)?;
        let bound = definition::bind(view.clone(), transform.signature().clone(), transform.digest())
            .map_err(|errors| Error::Bind { view: view.name.clone(), errors })?;
        Ok(ViewTransform { bound: Arc::new(bound), transform })
    }

    /// The view that `reference` names, bound.
    pub fn view(&self, reference: &str) -> Result<ViewTransform, Error> {
        self.bind(self.definition(reference)?)
    }
}
