//! The standard library for wasm32, made from its sources where rustup has none.
//!
//! Air-gapped machines, mirrors without rustup's targets and distribution compilers lack the target, and guests
//! need nothing else that is not on the machine: rustc brings the linker. What is built is kept for each rustc
//! (and each [`RECIPE`]) in the cache folder, behind a lock, and appears there in one rename.
//!
//! rustup is not asked to fetch the target: where it cannot, it takes minutes to say so, and
//! where it can, `rustup target add wasm32-unknown-unknown` once is the better way and is found here from then on.

mod debian;
mod recipe;
mod run;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Instant;

use sha2::Digest as _;

use crate::cargo::Compiler;
use crate::{BuildError, SysrootError, TARGET};

/// Counts changes of how the library is built, so that a newer Tandem does not take an older one's.
const RECIPE: &str = "1";

/// The sysroot that guests need, or none where rustc's own has the target. Blocking, about a minute the first time.
pub(crate) fn locate(compiler: &Compiler, cache: Option<&Path>) -> Result<Option<PathBuf>, BuildError> {
    if compiler.has_target()? {
        return Ok(None);
    }
    let cache = cache.ok_or(SysrootError::NoCache)?;
    Ok(Some(cached(compiler, &cache.join("sysroot"))?))
}

/// The folder inside a sysroot with the libraries of the target.
fn libraries(sysroot: &Path) -> PathBuf {
    sysroot.join("lib/rustlib").join(TARGET).join("lib")
}

fn cached(compiler: &Compiler, folder: &Path) -> Result<PathBuf, SysrootError> {
    let name = format!(
        "{}-{}",
        compiler.release,
        short_hash(&[compiler.verbose_version.as_bytes(), RECIPE.as_bytes(), recipe::SETTINGS.as_bytes()])
    );
    let ready = folder.join(&name);
    if ready.is_dir() {
        return Ok(ready);
    }
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| SysrootError::Cache { path, source }
    };
    fs::create_dir_all(folder).map_err(failed(folder))?;
    let lock_path = folder.join(format!("{name}.lock"));
    let lock = File::create(&lock_path).map_err(failed(&lock_path))?;
    if lock.try_lock().is_err() {
        tracing::info!(lock = %lock_path.display(), "waiting for another build that makes the standard library for {TARGET}");
        lock.lock().map_err(failed(&lock_path))?;
    }
    if ready.is_dir() {
        return Ok(ready);
    }
    let started = Instant::now();
    tracing::info!(rustc = compiler.release, "building the standard library for {TARGET}, once; about a minute");
    let prefix = format!("{name}.building-");
    remove_stages(folder, &prefix);
    // A compiler that outlives a killed build may still write into its stage: never share one.
    let stage = folder.join(format!("{prefix}{}", std::process::id()));
    fs::create_dir_all(&stage).map_err(failed(&stage))?;
    let built = recipe::build(compiler, &stage);
    let published = built.and_then(|sysroot| fs::rename(&sysroot, &ready).map_err(failed(&ready)));
    remove_stages(folder, &prefix);
    published?;
    tracing::info!(
        sysroot = %ready.display(),
        seconds = started.elapsed().as_secs(),
        "built the standard library for {TARGET}"
    );
    Ok(ready)
}

/// Removes what killed builds have left; the caller holds the lock, so no other build has a stage. What cannot be
/// removed is left to the next build: it is in nobody's way.
fn remove_stages(folder: &Path, prefix: &str) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix)) {
        if let Err(error) = fs::remove_dir_all(entry.path()) {
            tracing::warn!(path = %entry.path().display(), %error, "cannot remove what a build has left");
        }
    }
}

/// Twelve hexadecimal digits over the parts, for names of files that must change with their content.
pub(crate) fn short_hash(parts: &[&[u8]]) -> String {
    let mut hash = sha2::Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiler() -> Compiler {
        Compiler {
            directory: "/nowhere".into(),
            verbose_version: "rustc 0.0.1\n".to_owned(),
            release: "0.0.1".to_owned(),
            commit: "unknown".to_owned(),
            sysroot: "/nowhere".into(),
            cargo_home: None,
        }
    }

    #[test]
    fn a_sysroot_that_is_there_is_taken() {
        let cache = tempfile::tempdir().unwrap();
        let hash = short_hash(&[b"rustc 0.0.1\n", RECIPE.as_bytes(), recipe::SETTINGS.as_bytes()]);
        let ready = cache.path().join(format!("0.0.1-{hash}"));
        fs::create_dir(&ready).unwrap();
        assert_eq!(cached(&compiler(), cache.path()).unwrap(), ready);
    }

    #[test]
    fn what_a_killed_build_left_is_removed() {
        let cache = tempfile::tempdir().unwrap();
        for name in ["0.0.1-a.building-7", "0.0.1-a.building-8", "0.0.1-b.building-7", "0.0.1-a"] {
            fs::create_dir_all(cache.path().join(name).join("target")).unwrap();
        }
        remove_stages(cache.path(), "0.0.1-a.building-");
        let mut names: Vec<_> = fs::read_dir(cache.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["0.0.1-a", "0.0.1-b.building-7"]);
    }

    #[test]
    fn a_cache_that_cannot_be_used_is_named() {
        let cache = tempfile::tempdir().unwrap();
        let file = cache.path().join("sysroot");
        fs::write(&file, "").unwrap();
        let error = cached(&compiler(), &file).unwrap_err();
        assert!(matches!(&error, SysrootError::Cache { path, .. } if *path == file), "{error}");
        assert_eq!(error.hint(), Some("set TANDEM_CACHE to a folder that can be written"));
    }

    #[test]
    fn parts_of_a_hash_do_not_run_together() {
        assert_ne!(short_hash(&[b"ab", b"c"]), short_hash(&[b"a", b"bc"]));
        assert_eq!(short_hash(&[b"a"]).len(), 12);
    }
}
