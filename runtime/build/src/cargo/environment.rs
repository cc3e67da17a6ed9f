//! The environment of the programs that a build runs.
//!
//! A build may itself run under cargo (`cargo run`, `cargo test`, a build script), which leaves dozens of variables to
//! its children, and users export flags and wrappers for their native code. None of them may reach the crate: they
//! would change the component's bytes, or break the build outright.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;

/// Cargo's variables that say how to reach the world and how to speak, not what to build.
const KEPT: [&str; 10] = [
    "CARGO_HOME",
    "CARGO_BUILD_JOBS",
    "CARGO_HTTP_",
    "CARGO_NET_",
    "CARGO_REGISTRY_",
    "CARGO_REGISTRIES_",
    "CARGO_SOURCE_",
    "CARGO_TERM_",
    "CARGO_LOG",
    "CARGO_CACHE_",
];

/// Variables and, with a trailing underscore, families of them that change what is built.
const CLEARED: [&str; 12] = [
    "CARGO",
    "CARGO_",
    "__CARGO_",
    "RUSTC",
    "RUSTC_",
    "RUSTDOC",
    "RUSTFLAGS",
    "RUSTDOCFLAGS",
    // A build script's own.
    "DEP_",
    "OUT_DIR",
    "TARGET",
    "HOST",
];

/// `program` in `directory`, in an environment without what would change its result.
pub(crate) fn command(program: impl AsRef<OsStr>, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(directory);
    for (name, _) in std::env::vars_os() {
        if is_cleared(&name) {
            command.env_remove(name);
        }
    }
    command
}

fn is_cleared(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let is_of =
        |list: &[&str]| list.iter().any(|entry| name == *entry || (entry.ends_with('_') && name.starts_with(entry)));
    is_of(&CLEARED) && !is_of(&KEPT)
}

/// Flags as `CARGO_ENCODED_RUSTFLAGS` takes them, which keeps spaces in paths.
pub(crate) fn encode_flags(flags: &[OsString]) -> OsString {
    flags.join(OsStr::new("\u{1f}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_a_build_is_cleared_and_the_rest_is_kept() {
        for name in [
            "CARGO",
            "CARGO_MANIFEST_DIR",
            "CARGO_PKG_NAME",
            "CARGO_TARGET_DIR",
            "CARGO_BUILD_TARGET_DIR",
            "CARGO_BUILD_RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS",
            "CARGO_PROFILE_RELEASE_LTO",
            "CARGO_UNSTABLE_FEATURE_UNIFICATION",
            "CARGO_MAKEFLAGS",
            "__CARGO_TEST_CHANNEL_OVERRIDE_DO_NOT_USE_THIS",
            "RUSTC",
            "RUSTC_WRAPPER",
            "RUSTC_BOOTSTRAP",
            "RUSTFLAGS",
            "OUT_DIR",
        ] {
            assert!(is_cleared(OsStr::new(name)), "{name}");
        }
        for name in [
            "PATH",
            "HOME",
            "RUSTUP_HOME",
            "RUSTUP_TOOLCHAIN",
            "RUST_BACKTRACE",
            "CARGO_HOME",
            "CARGO_BUILD_JOBS",
            "CARGO_NET_OFFLINE",
            "CARGO_HTTP_PROXY",
            "CARGO_REGISTRIES_MINE_INDEX",
            "CARGO_TERM_COLOR",
            "HOSTNAME",
        ] {
            assert!(!is_cleared(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn a_command_does_not_inherit_the_outer_cargo() {
        // This test runs under cargo, which sets CARGO_MANIFEST_DIR for it.
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let command = command("cargo", Path::new("."));
        let removed = |name: &str| command.get_envs().any(|(n, value)| n == name && value.is_none());
        assert!(removed("CARGO_MANIFEST_DIR"));
        assert!(removed("CARGO_PKG_NAME"));
        assert!(!removed("PATH"));
    }

    #[test]
    fn flags_are_separated_by_the_unit_separator() {
        assert_eq!(
            encode_flags(&["-Ca=b".into(), "--sysroot".into(), "/a b".into()]),
            "-Ca=b\u{1f}--sysroot\u{1f}/a b"
        );
    }
}
