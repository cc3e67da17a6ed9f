//! What can go wrong, and what to do about it.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use crate::Language;

/// Why a component could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The folder cannot be read.
    #[error("nothing to build: cannot read the folder `{}`: {source}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why it cannot be read.
        source: io::Error,
    },
    /// There is no transform.
    #[error("nothing to build: `{}` has no manifest of a transform", folder.display())]
    NoTransform {
        /// The folder.
        folder: PathBuf,
    },
    /// There are two.
    #[error("`{}` is a transform in {first} ({}) and in {second} ({})", folder.display(), first.manifest(), second.manifest())]
    TwoLanguages {
        /// The folder.
        folder: PathBuf,
        /// One language.
        first: Language,
        /// The other.
        second: Language,
    },
    /// A manifest says what it must not, or does not say what it must.
    #[error("`{}`: {reason}", manifest.display())]
    Manifest {
        /// The manifest.
        manifest: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A program of the language's registry is not there.
    #[error("`{program}` {version} is needed, and is neither in `{}` nor on PATH", beside.display())]
    NoTool {
        /// Its name.
        program: &'static str,
        /// The version that is known to work.
        version: &'static str,
        /// Where it belongs.
        beside: PathBuf,
        /// The command that installs it.
        install: &'static str,
    },
    /// A program of the language's registry is there in another version.
    #[error("`{}` is `{found}`, and {version} is needed", program.display())]
    OtherTool {
        /// The program.
        program: PathBuf,
        /// What it says that it is.
        found: String,
        /// The version that is known to work.
        version: &'static str,
        /// The command that installs it.
        install: &'static str,
    },
    /// A program cannot be started.
    #[error("cannot run `{}`: {source}", program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The sources do not become a component; a tool has said why.
    #[error("`{}` does not build ({program}: {status}):\n{said}", source_file.display())]
    Tool {
        /// The author's file, or the folder.
        source_file: PathBuf,
        /// The tool that failed.
        program: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// Why, as it said; bounded.
        said: String,
    },
    /// A component that asks the host for something.
    #[error("the component imports {}; a transform imports nothing", imports.join(", "))]
    Imports {
        /// The names of the imports.
        imports: Vec<String>,
    },
    /// A tool gave something else than a component.
    #[error("what was built is no component: {reason}")]
    NotAComponent {
        /// Why.
        reason: String,
    },
    /// cargo or rustc is not there, or cannot be started.
    #[error("cannot run `{program}`: {source}")]
    Toolchain {
        /// `cargo` or `rustc`.
        program: &'static str,
        /// Why.
        source: io::Error,
    },
    /// rustc answers, but not to what it was asked.
    #[error("`rustc {arguments}` failed ({status}): {stderr}")]
    Rustc {
        /// What it was asked.
        arguments: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        stderr: String,
    },
    /// cargo failed; it has said why on stderr.
    #[error("`{}` does not compile (cargo: {status})", manifest.display())]
    Compile {
        /// The crate's manifest.
        manifest: PathBuf,
        /// How cargo ended.
        status: ExitStatus,
    },
    /// The crate compiles, but not to a module.
    #[error("`{}` makes no WebAssembly module", manifest.display())]
    NoModule {
        /// The crate's manifest.
        manifest: PathBuf,
    },
    /// The module does not say which contract it implements.
    #[error("`{}` is no transform: it has no `component-type` section", module.display())]
    NotATransform {
        /// The core module.
        module: PathBuf,
    },
    /// The module cannot become a component.
    #[error("`{}` cannot become a component: {reason}", module.display())]
    Encode {
        /// The core module.
        module: PathBuf,
        /// What wit-component says.
        reason: String,
    },
    /// cargo's module cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The component, or a file that the build needs, cannot be written.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no standard library for wasm32.
    #[error(transparent)]
    Sysroot(#[from] SysrootError),
}

impl BuildError {
    /// What to do about it, where there is something to say.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            BuildError::NoTool { install, .. } | BuildError::OtherTool { install, .. } => install,
            BuildError::Folder { .. } | BuildError::NoTransform { .. } => {
                let manifests = Language::ALL.map(Language::manifest).join(", ");
                return Some(format!("name the folder of a transform, the one that holds its manifest: {manifests}"));
            }
            BuildError::TwoLanguages { .. } => "a folder holds one transform: move one of them to a folder of its own",
            BuildError::Toolchain { .. } => "Rust 1.95 or newer is needed: https://rustup.rs",
            BuildError::NoModule { .. } => "add `[lib]` with `crate-type = [\"cdylib\", \"rlib\"]` to its Cargo.toml",
            BuildError::NotATransform { .. } => {
                "depend on `tandem-sdk` and mark the function with `#[transform]`; a crate has exactly one"
            }
            BuildError::Encode { .. } | BuildError::Imports { .. } => {
                "a transform imports nothing; a dependency that asks the host for a clock, randomness or JavaScript often has a feature that turns it off"
            }
            BuildError::Sysroot(error) => return error.hint().map(str::to_owned),
            BuildError::Manifest { .. }
            | BuildError::Program { .. }
            | BuildError::Tool { .. }
            | BuildError::NotAComponent { .. }
            | BuildError::Rustc { .. }
            | BuildError::Compile { .. }
            | BuildError::Read { .. }
            | BuildError::Write { .. } => return None,
        };
        Some(hint.to_owned())
    }
}

/// Why there is no standard library for `wasm32-unknown-unknown`.
///
/// It comes from rustc's own sysroot if that has the target. Otherwise it is built once for each rustc from
/// the sources of the same release: those of rustup's `rust-src` component, else those of Debian's `rust-src` package.
#[derive(Debug, thiserror::Error)]
pub enum SysrootError {
    /// No sources of this release.
    #[error("rustc {release} has no standard library for wasm32-unknown-unknown, and its sources cannot be had: {}", tried.join("; "))]
    NoSource {
        /// rustc's release.
        release: String,
        /// Each source and why it has none.
        tried: Vec<String>,
    },
    /// Neither the environment nor the options name a folder to keep it in.
    #[error("no folder to keep the standard library for wasm32-unknown-unknown in: HOME is not set")]
    NoCache,
    /// The cache folder cannot be used.
    #[error("cannot use `{}` to keep the standard library for wasm32-unknown-unknown: {source}", path.display())]
    Cache {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A program that is needed cannot be started.
    #[error("cannot run `{program}`: {source}")]
    Program {
        /// Its name.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// Compiling the standard library failed.
    #[error("the standard library for wasm32-unknown-unknown does not compile ({status}):\n{stderr}")]
    Compile {
        /// How cargo ended.
        status: ExitStatus,
        /// The end of what it said.
        stderr: String,
    },
}

impl SysrootError {
    /// What to do about it, where there is something to say.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            SysrootError::NoSource { .. } | SysrootError::Compile { .. } | SysrootError::Program { .. } => {
                "rustup target add wasm32-unknown-unknown"
            }
            SysrootError::NoCache | SysrootError::Cache { .. } => "set TANDEM_CACHE to a folder that can be written",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_thing_and_the_way_out() {
        let error = BuildError::NoModule { manifest: "/a/Cargo.toml".into() };
        assert_eq!(error.to_string(), "`/a/Cargo.toml` makes no WebAssembly module");
        assert!(error.hint().unwrap().contains("crate-type = [\"cdylib\", \"rlib\"]"));

        let error = BuildError::NotATransform { module: "/a/x.wasm".into() };
        assert_eq!(error.to_string(), "`/a/x.wasm` is no transform: it has no `component-type` section");
        assert!(error.hint().unwrap().contains("#[transform]"));

        let tried = vec!["rustup's rust-src is not installed".to_owned(), "apt-get is not installed".to_owned()];
        let error = BuildError::from(SysrootError::NoSource { release: "1.95.0".to_owned(), tried });
        assert_eq!(
            error.to_string(),
            "rustc 1.95.0 has no standard library for wasm32-unknown-unknown, and its sources cannot be had: \
             rustup's rust-src is not installed; apt-get is not installed"
        );
        assert_eq!(error.hint().as_deref(), Some("rustup target add wasm32-unknown-unknown"));
    }
}
