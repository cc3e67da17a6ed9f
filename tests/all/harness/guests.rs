//! Transforms of the tests, built from source once in a process, and engines to run them.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tandem_build::{BuildOptions, build};
use tandem_core::limits::TransformLimits;
use tandem_core::model::NanMode;
use tandem_core::parameter::Parameters;
use tandem_engine::{Component, Engine, EngineOptions, Transform};

/// A guest in `guests/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guest {
    EveryType,
    Columnar,
    Parameters,
    Misbehaving,
    Cheating,
    Reference,
    Ratio,
    Verdict,
    Surges,
}

impl Guest {
    const ALL: [Guest; 9] = [
        Guest::EveryType,
        Guest::Columnar,
        Guest::Parameters,
        Guest::Misbehaving,
        Guest::Cheating,
        Guest::Reference,
        Guest::Ratio,
        Guest::Verdict,
        Guest::Surges,
    ];

    pub(crate) fn folder(self) -> &'static str {
        match self {
            Guest::EveryType => "every_type",
            Guest::Columnar => "columnar",
            Guest::Parameters => "parameters",
            Guest::Misbehaving => "misbehaving",
            Guest::Cheating => "cheating",
            Guest::Reference => "reference",
            Guest::Ratio => "ratio",
            Guest::Verdict => "verdict",
            Guest::Surges => "surges",
        }
    }

    /// Its component's file.
    pub(crate) fn path(self) -> &'static Path {
        static BUILT: [OnceLock<PathBuf>; Guest::ALL.len()] = [const { OnceLock::new() }; Guest::ALL.len()];
        let index = Guest::ALL.iter().position(|guest| *guest == self).expect("it is one of all");
        BUILT[index].get_or_init(|| component(&workspace().join("tests/guests").join(self.folder())))
    }

    /// Its component.
    pub(crate) fn bytes(self) -> Vec<u8> {
        std::fs::read(self.path()).expect("the component was just built")
    }

    /// It, loaded into the plain engine that tests share.
    pub(crate) fn load(self) -> Component {
        engine().load(&self.bytes(), NanMode::Boundary).expect("the guest loads")
    }

    /// It, without parameters.
    pub(crate) fn bind(self, limits: &TransformLimits) -> Transform {
        self.load().bind(&Parameters::new(), limits).expect("the guest describes itself")
    }
}

/// The folder of the workspace.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace")
}

/// Cargo's folder for what is built, where guests have one of their own that lives from run to run.
pub(crate) fn guests_target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("tmp lies in the target folder").join("guests")
}

/// What builds have in common, and compiled code: the tests' own, so that they leave nothing in their user's, and what one compiled the others find.
pub(crate) fn cache() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// Where the program keeps compiled code, below [`cache`].
pub(crate) fn compiled() -> PathBuf {
    cache().join("compiled")
}

/// Builds the component of a crate. All crates share a target folder, so that the SDK is compiled once.
pub(crate) fn component(crate_dir: &Path) -> PathBuf {
    let name = crate_dir.strip_prefix(workspace()).unwrap_or(crate_dir).to_string_lossy().replace('/', "-");
    let options = BuildOptions {
        output: Some(guests_target().join("components").join(format!("{name}.wasm"))),
        target_dir: Some(guests_target()),
        cache_dir: Some(cache().to_owned()),
    };
    build(crate_dir, &options).unwrap_or_else(|error| panic!("{}: {error}", crate_dir.display())).component
}

/// The engine that tests share. It keeps compiled code from run to run.
pub(crate) fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let options = EngineOptions { instances_max: 32, cache: Some(compiled()), ..EngineOptions::default() };
        Engine::new(options).expect("the engine starts")
    })
}
