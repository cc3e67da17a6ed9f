//! How the standard library is compiled for guests.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{debian, libraries, run};
use crate::cargo::{Compiler, command, encode_flags};
use crate::reproducible::{install_wrapper, remap};
use crate::{BuildError, SysrootError, TARGET};

/// A package of our own, whose workspace holds the library's sources.
const MANIFEST: &str = "[package]
name = \"std-for-guests\"
version = \"0.0.0\"
edition = \"2024\"
[lib]
[profile.release]
panic = \"abort\"
[workspace]
";

/// rustc's flags. Fat LTO of guests needs the library's bitcode; SIMD as guests have it.
const FLAGS: [&str; 2] = ["-Cembed-bitcode=yes", "-Ctarget-feature=+simd128"];

/// What changes the result, for the name in the cache.
pub(super) const SETTINGS: &str =
    "manifest 1; -Cembed-bitcode=yes -Ctarget-feature=+simd128; core alloc std panic_abort; wrapper 1";

/// Builds a sysroot inside `stage` and gives its folder.
pub(super) fn build(compiler: &Compiler, stage: &Path) -> Result<PathBuf, SysrootError> {
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| SysrootError::Cache { path, source }
    };
    let library = source(compiler, stage)?;
    let package = stage.join("package");
    let source_dir = package.join("src");
    fs::create_dir_all(&source_dir).map_err(failed(&source_dir))?;
    for (path, content) in [(package.join("Cargo.toml"), MANIFEST), (source_dir.join("lib.rs"), "")] {
        fs::write(&path, content).map_err(failed(&path))?;
    }
    let target_dir = stage.join("target");
    compile(compiler, stage, &library, &package, &target_dir)?;

    let sysroot = stage.join("sysroot");
    let to = libraries(&sysroot);
    fs::create_dir_all(&to).map_err(failed(&to))?;
    let from = target_dir.join(TARGET).join("release").join("deps");
    copy_libraries(&from, &to).map_err(failed(&to))?;
    Ok(sysroot)
}

/// The folder `library` of the sources of this rustc's release.
fn source(compiler: &Compiler, stage: &Path) -> Result<PathBuf, SysrootError> {
    let rustup = compiler.sysroot.join("lib/rustlib/src/rust/library");
    if rustup.is_dir() {
        tracing::info!(source = %rustup.display(), "the sources are those of the toolchain's rust-src component");
        return Ok(rustup);
    }
    let mut tried = vec![format!("the toolchain has no rust-src component (`{}`)", rustup.display())];
    match debian::source(&compiler.release, &stage.join("debian")) {
        Ok(library) => Ok(library),
        Err(reason) => {
            tried.push(format!("Debian's rust-src: {reason}"));
            Err(SysrootError::NoSource { release: compiler.release.clone(), tried })
        }
    }
}

/// `-Zbuild-std` is unstable; what it does is settled for the sources of the very same release, which is all that is
/// asked of it here.
fn compile(
    compiler: &Compiler,
    stage: &Path,
    library: &Path,
    package: &Path,
    target_dir: &Path,
) -> Result<(), SysrootError> {
    let wrapper = install_wrapper(stage).map_err(|error| match error {
        BuildError::Write { path, source } => SysrootError::Cache { path, source },
        error => SysrootError::Cache { path: stage.to_path_buf(), source: io::Error::other(error) },
    })?;
    let mut flags: Vec<OsString> = FLAGS.iter().map(OsString::from).collect();
    flags.push(remap(library, "/rust-src"));
    flags.extend(compiler.cargo_home.iter().map(|home| remap(home, "/cargo")));
    flags.push(remap(stage, "/stage"));
    // rustc is selected by the folder in which it runs; the stage is not inside the crate, so the toolchain is named.
    let mut cargo = command("cargo", package);
    if let Some(name) = rustup_toolchain(compiler) {
        cargo.env("RUSTUP_TOOLCHAIN", name);
    }
    cargo
        .args(["build", "--release", "--target", TARGET, "-Zbuild-std=core,alloc,std,panic_abort", "--target-dir"])
        .arg(target_dir)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("__CARGO_TESTS_ONLY_SRC_ROOT", library)
        .env("CARGO_ENCODED_RUSTFLAGS", encode_flags(&flags))
        .env("RUSTC_WRAPPER", wrapper.as_deref().map(Path::as_os_str).unwrap_or_default())
        .env("RUSTC_WORKSPACE_WRAPPER", "")
        .env("CARGO_PROFILE_RELEASE_INCREMENTAL", "false");
    let output = run::output(&mut cargo)?;
    if !output.status.success() {
        return Err(SysrootError::Compile { status: output.status, stderr: run::last_lines(&output, 40) });
    }
    Ok(())
}

/// The name under which rustup knows the compiler, where rustup manages it: the folder of the sysroot.
fn rustup_toolchain(compiler: &Compiler) -> Option<&std::ffi::OsStr> {
    let toolchains = compiler.sysroot.parent()?;
    (toolchains.file_name()? == "toolchains").then(|| compiler.sysroot.file_name()).flatten()
}

/// Copies the library's crates, each once: two copies of one would break every guest.
fn copy_libraries(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        let text = name.to_string_lossy();
        if text.ends_with(".rlib") && !text.starts_with("libstd_for_guests-") {
            fs::copy(entry.path(), to.join(&name))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_name_every_flag() {
        assert!(FLAGS.iter().all(|flag| SETTINGS.contains(flag)));
    }

    #[test]
    fn only_the_library_is_copied() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for name in ["libstd-1.rlib", "libcore-2.rlib", "libcore-2.rmeta", "libstd_for_guests-3.rlib"] {
            fs::write(from.path().join(name), name).unwrap();
        }
        copy_libraries(from.path(), to.path()).unwrap();
        let mut names: Vec<_> = fs::read_dir(to.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["libcore-2.rlib", "libstd-1.rlib"]);
    }

    #[test]
    fn a_toolchain_of_rustup_is_known_by_its_folder() {
        let compiler = |sysroot: &str| Compiler {
            directory: "/".into(),
            verbose_version: String::new(),
            release: String::new(),
            commit: String::new(),
            sysroot: sysroot.into(),
            cargo_home: None,
        };
        let rustup = compiler("/root/.rustup/toolchains/stable-x86_64-unknown-linux-gnu");
        assert_eq!(rustup_toolchain(&rustup).unwrap(), "stable-x86_64-unknown-linux-gnu");
        assert_eq!(rustup_toolchain(&compiler("/usr")), None);
    }
}
