//! Running cargo: which compiler, in which environment, with which flags, and what came of it.

mod compiler;
mod environment;
mod messages;

use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;

use crate::reproducible::remaps;
use crate::{BuildError, TARGET};

pub(crate) use compiler::Compiler;
pub(crate) use environment::{command, encode_flags};
pub(crate) use messages::Module;

/// The release profile of every transform; it outranks the author's manifest and cargo's configuration files.
const PROFILE: [(&str, &str); 7] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3"),
    ("CARGO_PROFILE_RELEASE_LTO", "true"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
    ("CARGO_PROFILE_RELEASE_STRIP", "symbols"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "false"),
    ("CARGO_PROFILE_RELEASE_INCREMENTAL", "false"),
];

/// Compiles the crate of `manifest` for [`TARGET`]. Cargo's progress and diagnostics go to stderr.
pub(crate) fn compile(
    manifest: &Path,
    compiler: &Compiler,
    sysroot: Option<&Path>,
    wrapper: Option<&Path>,
    target_dir: Option<&Path>,
) -> Result<Module, BuildError> {
    let mut cargo = command("cargo", &compiler.directory);
    cargo.args(["build", "--release", "--target", TARGET, "--message-format", "json-render-diagnostics"]);
    cargo.arg("--manifest-path").arg(manifest);
    if let Some(target_dir) = target_dir {
        // Relative to the caller's folder, not to the crate's, where cargo runs.
        let target_dir = std::path::absolute(target_dir).unwrap_or_else(|_| target_dir.to_path_buf());
        cargo.arg("--target-dir").arg(target_dir);
    }
    cargo.envs(PROFILE).env("CARGO_ENCODED_RUSTFLAGS", encode_flags(&flags(compiler, sysroot)));
    // An empty wrapper switches off one that a configuration file names.
    cargo.env("RUSTC_WRAPPER", wrapper.map(Path::as_os_str).unwrap_or_default());
    cargo.env("RUSTC_WORKSPACE_WRAPPER", "");
    cargo.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    tracing::debug!(?cargo, "compiling");
    let output = cargo.output().map_err(|source| BuildError::Toolchain { program: "cargo", source })?;
    if !output.status.success() {
        return Err(BuildError::Compile { manifest: manifest.to_path_buf(), status: output.status });
    }
    messages::module_of(&output.stdout, manifest)
        .ok_or_else(|| BuildError::NoModule { manifest: manifest.to_path_buf() })
}

/// rustc's flags for the crate and all that it depends on, build scripts and macros excepted.
fn flags(compiler: &Compiler, sysroot: Option<&Path>) -> Vec<OsString> {
    let mut flags = vec![OsString::from("-Ctarget-feature=+simd128")];
    if let Some(sysroot) = sysroot {
        flags.extend(["--sysroot".into(), sysroot.into()]);
    }
    flags.extend(remaps(compiler));
    // Diagnostics keep the real paths, so that an author (and an editor) can follow them.
    flags.push("--remap-path-scope=object".into());
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_name_the_sysroot_and_hide_every_path() {
        let compiler = Compiler {
            directory: "/home/me/my crate".into(),
            verbose_version: String::new(),
            release: "1.95.0".to_owned(),
            commit: "abc".to_owned(),
            sysroot: "/rustup/stable".into(),
            cargo_home: Some("/home/me/.cargo".into()),
        };
        let expected = [
            "-Ctarget-feature=+simd128",
            "--sysroot",
            "/cache/sysroot/x",
            "--remap-path-prefix=/rustup/stable=/rust",
            "--remap-path-prefix=/rustup/stable/lib/rustlib/src/rust=/rustc/abc",
            "--remap-path-prefix=/home/me/.cargo=/cargo",
            "--remap-path-prefix=/home/me/my crate=/crate",
            "--remap-path-scope=object",
        ];
        assert_eq!(flags(&compiler, Some(Path::new("/cache/sysroot/x"))), expected);
        assert!(!flags(&compiler, None).contains(&OsString::from("--sysroot")));
    }
}
