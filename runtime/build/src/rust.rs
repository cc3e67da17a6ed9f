//! A crate to its component: cargo for `wasm32-unknown-unknown`, with the toolchain that the crate selects.

use std::path::Path;

use crate::{BuildError, BuildOptions, Made, cargo, component, options, reproducible, sysroot};

/// What makes a folder a crate.
pub(crate) const MANIFEST: &str = "Cargo.toml";

/// Whether the folder has a crate.
pub(crate) fn is_here(folder: &Path) -> bool {
    folder.join(MANIFEST).is_file()
}

/// Compiles the crate in `folder`.
///
/// The first build on a machine without the standard library for wasm32 also makes that (about a minute). Inherited cargo settings that would
/// change the result (flags, wrappers, profiles, target folders, what an outer `cargo run` or `cargo test` left in the environment) are
/// not passed on; network, registry and terminal settings are.
pub(crate) fn make(folder: &Path, options: &BuildOptions) -> Result<Made, BuildError> {
    let manifest = folder.join(MANIFEST);
    let compiler = cargo::Compiler::query(folder)?;
    let cache = options.cache_dir.clone().or_else(options::default_cache_dir);
    let sysroot = sysroot::locate(&compiler, cache.as_deref())?;
    let wrapper = match &cache {
        Some(cache) => reproducible::install_wrapper(cache)?,
        None => None,
    };
    let module =
        cargo::compile(&manifest, &compiler, sysroot.as_deref(), wrapper.as_deref(), options.target_dir.as_deref())?;
    let core = std::fs::read(&module.path).map_err(|source| BuildError::Read { path: module.path.clone(), source })?;
    let bytes = component::encode(&core, &module.path)?;
    Ok(Made { name: module.crate_name, bytes })
}
