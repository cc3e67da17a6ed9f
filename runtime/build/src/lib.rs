//! From a transform's crate to its component.
//!
//! [`build`] compiles an author's Rust crate for `wasm32-unknown-unknown` with the toolchain that the crate selects,
//! turns the module into a component and puts it in place. In the order in which data flows:
//!
//! - [`BuildOptions`], [`build`]: what a caller uses
//! - `cargo`: the compiler's environment, flags and messages
//! - `sysroot`: the standard library for wasm32, made from its sources where rustup has none
//! - `reproducible`: what keeps a component's bytes the same wherever it is built
//! - `component`: module to component
//! - `publish`: whole files or none
//!
//! # What the author's manifest needs
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib", "rlib"]     # cdylib: the component; rlib: native tests
//!
//! [dependencies]
//! tandem-sdk = "0.1"
//! ```
//!
//! The release profile is set by the build (optimisation 3, fat LTO, one codegen unit, panic = abort, symbols
//! stripped, SIMD128), so that a component's digest does not depend on a workspace's profile.
//!
//! # Reproducibility
//!
//! The same sources, the same dependencies (`Cargo.lock`) and the same rustc give the same bytes in any folder and for
//! any user. Paths are remapped, and crates are told apart by name and version instead of by where they lie
//! (`reproducible`). What remains: another rustc release gives other bytes; a standard library from rustup differs from
//! one built from source; on Windows crates that depend on others by path keep a trace of their folder; and a build
//! script that writes its own paths into code is beyond any flag. Where a digest must be reproduced years later, keep
//! the component.

mod cargo;
mod component;
mod error;
mod options;
mod publish;
mod reproducible;
mod sysroot;

use std::path::Path;

use sha2::Digest as _;

pub use error::{BuildError, SysrootError};
pub use options::{BuildOptions, Built};

/// The only target of transforms: WebAssembly without any host interface.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// Builds the component of the crate in `crate_dir` and writes it to `options.output`, or beside the manifest as
/// `<library name>.wasm`.
///
/// Blocking: it runs cargo, whose progress and diagnostics go to this process's stderr. The first build on a machine
/// without the standard library for wasm32 also makes that (about a minute, see [`SysrootError`]). The component is
/// written in one step: a reader sees the old one or the new one. Inherited cargo settings that would change the result
/// (flags, wrappers, profiles, target folders, what an outer `cargo run` or
/// `cargo test` left in the environment) are not passed on; network, registry and terminal settings are.
///
/// # Errors
///
/// [`BuildError`] names what failed; [`BuildError::hint`] says what to do about it.
pub fn build(crate_dir: &Path, options: &BuildOptions) -> Result<Built, BuildError> {
    let manifest = crate_dir.join("Cargo.toml");
    let manifest =
        manifest.canonicalize().map_err(|source| BuildError::NoManifest { manifest: manifest.clone(), source })?;
    let crate_dir = manifest.parent().unwrap_or(crate_dir).to_path_buf();
    let compiler = cargo::Compiler::query(&crate_dir)?;
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
    let output = options.output.clone().unwrap_or_else(|| crate_dir.join(format!("{}.wasm", module.crate_name)));
    publish::write_whole(&output, &bytes).map_err(|source| BuildError::Write { path: output.clone(), source })?;
    Ok(Built {
        crate_name: module.crate_name,
        component: output,
        size_bytes: bytes.len() as u64,
        sha256: sha2::Sha256::digest(&bytes).into(),
    })
}
