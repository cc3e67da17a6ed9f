//! Components of the benches, built from source.

use std::path::{Path, PathBuf};

use tandem_build::{BuildOptions, build};
use tandem_core::limits::TransformLimits;
use tandem_core::model::NanMode;
use tandem_core::parameter::Parameters;
use tandem_engine::{Engine, Transform};

use crate::Failure;

/// The folder of the workspace that this program was built from.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("benches/ lies in the workspace")
}

/// A folder for what the benches make, beside what cargo makes.
pub(crate) fn scratch() -> Result<PathBuf, Failure> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(2).ok_or("this program does not lie in a target folder")?;
    Ok(target.join("benches"))
}

/// Builds the component of the crate in `folder`.
pub(crate) fn component(folder: &Path, output: PathBuf) -> Result<PathBuf, Failure> {
    let options = BuildOptions { output: Some(output), target_dir: Some(scratch()?.join("guests")), cache_dir: None };
    Ok(build(folder, &options)?.component)
}

/// Builds and loads one of `guests/`.
pub(crate) fn load(engine: &Engine, name: &str, nan: NanMode) -> Result<Transform, Failure> {
    let output = scratch()?.join("components").join(format!("{name}.wasm"));
    let path = component(&workspace().join("benches/guests").join(name), output)?;
    let component = engine.load(&std::fs::read(path)?, nan)?;
    Ok(component.bind(&Parameters::new(), &TransformLimits::default())?)
}
