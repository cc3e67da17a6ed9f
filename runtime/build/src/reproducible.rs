//! What keeps a component's bytes the same wherever it is built.
//!
//! Two things tie a module to the machine that built it: paths (in the locations of panics) and cargo's `-C metadata`,
//! which goes into the names of symbols, and those into the order of functions. Paths are remapped ([`remaps`]). The
//! metadata of a crate that lies outside the workspace of the crate that is built (a path dependency, the standard
//! library) covers its absolute folder; a small wrapper around rustc puts name and version in its place. Measured with
//! rustc 1.95: with both, the same crate in two folders, with a standard library that was built in two folders, gives
//! the same bytes; without the wrapper it does not.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::BuildError;
use crate::cargo::Compiler;
use crate::publish;

const WRAPPER: &str = include_str!("rustc-wrapper.sh");

/// Puts the wrapper into `cache` and gives its path; none where there is no POSIX shell to run it.
pub(crate) fn install_wrapper(cache: &Path) -> Result<Option<PathBuf>, BuildError> {
    if !cfg!(unix) {
        return Ok(None);
    }
    // The name changes with the content, so that a newer version never replaces a file that a running build executes.
    let digest = crate::sysroot::short_hash(&[WRAPPER.as_bytes()]);
    let path = cache.join(format!("rustc-wrapper-{digest}.sh"));
    if !is_ready(&path) {
        publish::write_whole_executable(&path, WRAPPER.as_bytes())
            .map_err(|source| BuildError::Write { path: path.clone(), source })?;
    }
    Ok(Some(path))
}

fn is_ready(path: &Path) -> bool {
    std::fs::read(path).is_ok_and(|content| content == WRAPPER.as_bytes())
}

/// `--remap-path-prefix` for everything that a compiler may find outside the crates themselves. Of several that match,
/// rustc takes the last.
pub(crate) fn remaps(compiler: &Compiler) -> Vec<OsString> {
    let sources = compiler.sysroot.join("lib/rustlib/src/rust");
    // rustc gives the standard library's files as `/rustc/<commit>` unless their sources are installed.
    let rustc = format!("/rustc/{}", compiler.commit);
    let mut pairs = vec![(compiler.sysroot.clone(), "/rust".to_owned()), (sources, rustc)];
    pairs.extend(compiler.cargo_home.iter().map(|home| (home.clone(), "/cargo".to_owned())));
    pairs.push((compiler.directory.clone(), "/crate".to_owned()));
    pairs.iter().map(|(from, to)| remap(from, to)).collect()
}

/// The flag that shows `from` as `to`.
pub(crate) fn remap(from: &Path, to: &str) -> OsString {
    let mut flag = OsString::from("--remap-path-prefix=");
    flag.push(from);
    flag.push("=");
    flag.push(to);
    flag
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::process::Command;

    /// What the wrapper hands to the compiler, here `echo`.
    fn wrapped(arguments: &[&str], variables: &[(&str, &str)]) -> String {
        let cache = tempfile::tempdir().unwrap();
        let wrapper = install_wrapper(cache.path()).unwrap().unwrap();
        let mut command = Command::new("sh");
        command.arg(&wrapper).args(arguments).env_remove("CARGO_PKG_NAME").env_remove("CARGO_MANIFEST_DIR");
        let output = command.envs(variables.iter().copied()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    #[test]
    fn the_wrapper_names_crates_by_name_and_version() {
        let crate_variables =
            [("CARGO_PKG_NAME", "a-b"), ("CARGO_PKG_VERSION", "1.2.3"), ("CARGO_MANIFEST_DIR", "/x y")];
        assert_eq!(
            wrapped(
                &["echo", "-C", "metadata=0123456789abcdef", "-C", "extra-filename=-0123456789abcdef", "a  b"],
                &crate_variables
            ),
            "-C metadata=a-b-1.2.3 -C extra-filename=-0123456789abcdef a  b --remap-path-prefix=/x y=/crates/a-b-1.2.3"
        );
    }

    #[test]
    fn the_wrapper_leaves_questions_alone() {
        assert_eq!(wrapped(&["echo", "-vV"], &[]), "-vV");
    }

    #[test]
    fn the_wrapper_is_installed_once_and_repaired() {
        let cache = tempfile::tempdir().unwrap();
        let path = install_wrapper(cache.path()).unwrap().unwrap();
        std::fs::write(&path, "").unwrap();
        assert_eq!(install_wrapper(cache.path()).unwrap().unwrap(), path);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), WRAPPER);
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o111, 0o111);
    }
}
