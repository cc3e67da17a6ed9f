//! From a transform's sources to its component.
//!
//! [`build`] finds the language of a folder by its manifest, makes the component with that language's own tools, refuses one that
//! imports anything, and puts it in place. In the order in which data flows:
//!
//! - [`BuildOptions`], [`build`], [`Built`]: what a caller uses
//! - [`Language`]: which one a folder is written in
//! - `tools`, `npm`: programs of a language's own registry, found and held to the version that is known to work
//! - `contract`: the WIT that tools of other languages read
//! - `bytes`: the contract for languages in which a list of numbers would be a list of objects
//! - `rust`, `python`, `javascript`, `c`, `go`: one module for each language, from a folder to the bytes of a component
//! - `component`: module to component, and what a component may import
//! - `publish`: whole files or none
//!
//! A language's module has two functions: `is_here` says whether a folder is written in it, `make` gives name and bytes. What all have in
//! common (imports, digest, publishing) is done here, once.
//!
//! # Rust
//!
//! `cargo` has the compiler's environment, flags and messages; `sysroot` the standard library for wasm32, made from its sources where
//! rustup has none; `reproducible` keeps a component's bytes the same wherever it is built. The manifest needs:
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
//! The same sources, the same dependencies (`Cargo.lock`) and the same rustc give the same bytes in any folder and for
//! any user. Paths are remapped, and crates are told apart by name and version instead of by where they lie. What remains: another rustc
//! release gives other bytes; a standard library from rustup differs from one built from source; on Windows crates that depend on others
//! by path keep a trace of their folder; and a build script that writes its own paths into code is beyond any flag. Where a digest must be
//! reproduced years later, keep the component.

mod bytes;
mod c;
mod cargo;
mod component;
mod contract;
mod error;
mod go;
mod javascript;
mod language;
mod npm;
mod options;
mod publish;
mod python;
mod reproducible;
mod rust;
mod sysroot;
mod tools;

use std::path::Path;

use sha2::Digest as _;

pub use error::{BuildError, SysrootError};
pub use language::Language;
pub use options::{BuildOptions, Built, Written, default_cache_dir};

/// The only target of Rust's transforms: WebAssembly without any host interface.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// The contract that a component exports: `wit/feature.wit`, as this program was built with it.
pub const CONTRACT: &str = contract::TEXT;

/// The contract with a list of bytes for every list of numbers, for languages in which those would be lists of objects; [`wrap`] makes
/// a component of [`CONTRACT`] of what exports it.
pub fn contract_in_bytes() -> String {
    bytes::contract()
}

/// Writes the component of a core module that exports the contract's functions as the Canonical ABI has them, from any language.
///
/// # Errors
///
/// A module that has other exports, or that imports anything; files.
pub fn encode(module: &Path, output: &Path) -> Result<Written, BuildError> {
    let core = std::fs::read(module).map_err(|source| BuildError::Read { path: module.to_path_buf(), source })?;
    write(&component::encode_of_contract(&core, module)?, output)
}

/// Writes the component of the contract around one of the contract in bytes.
///
/// # Errors
///
/// A component that exports something else, or that imports anything; files.
pub fn wrap(component: &Path, output: &Path) -> Result<Written, BuildError> {
    let inner =
        std::fs::read(component).map_err(|source| BuildError::Read { path: component.to_path_buf(), source })?;
    let scratch = tempfile::tempdir().map_err(|source| BuildError::Write { path: std::env::temp_dir(), source })?;
    write(&bytes::wrap(&inner, scratch.path())?, output)
}

/// Refuses a component that imports anything, and puts it in place.
fn write(bytes: &[u8], output: &Path) -> Result<Written, BuildError> {
    component::check_imports(bytes)?;
    publish::write_whole(output, bytes).map_err(|source| BuildError::Write { path: output.to_path_buf(), source })?;
    let sha256 = sha2::Sha256::digest(bytes).into();
    Ok(Written { component: output.to_path_buf(), size_bytes: bytes.len() as u64, sha256 })
}

/// What a language's module makes.
struct Made {
    /// The transform's name; the component's file is called after it.
    name: String,
    /// The component.
    bytes: Vec<u8>,
}

/// Builds the component of the transform in `folder` and writes it to `options.output`, or beside the manifest as `<name>.wasm`.
///
/// Blocking: it runs compilers; cargo's progress and diagnostics go to this process's stderr, those of other tools into the error. Nothing
/// is downloaded but what cargo needs for a crate: other languages' tools are there, in the version that is known to work, or the error
/// says how to install them. The component is written in one step: a reader sees the old one or the new one.
///
/// # Errors
///
/// [`BuildError`] names what failed; [`BuildError::hint`] says what to do about it.
pub fn build(folder: &Path, options: &BuildOptions) -> Result<Built, BuildError> {
    let language = Language::of(folder)?;
    let folder = folder.canonicalize().map_err(|source| BuildError::Read { path: folder.to_path_buf(), source })?;
    let Made { name, bytes } = match language {
        Language::Rust => rust::make(&folder, options)?,
        Language::Python => python::make(&folder)?,
        Language::JavaScript => javascript::make(&folder)?,
        Language::C => c::make(&folder, options)?,
        Language::Go => go::make(&folder, options)?,
    };
    let output = options.output.clone().unwrap_or_else(|| folder.join(format!("{name}.wasm")));
    let Written { component, size_bytes, sha256 } = write(&bytes, &output)?;
    Ok(Built { language, name, component, size_bytes, sha256 })
}
