//! What a caller of the build says and gets.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::Language;

/// How to build. The default is what `tandem build DIR` does.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// Where the component goes; none: `<name>.wasm` beside the manifest.
    pub output: Option<PathBuf>,
    /// Cargo's folder for intermediate files; none: what cargo itself takes for the crate (its own `target`, or its
    /// workspace's). Other languages leave no intermediate files.
    pub target_dir: Option<PathBuf>,
    /// Folder that keeps what builds have in common, such as the standard library for wasm32; none: [`default_cache_dir`].
    pub cache_dir: Option<PathBuf>,
}

/// A component that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// What it was built from.
    pub language: Language,
    /// The transform's name, an identifier (`quickstart_transform`).
    pub name: String,
    /// The component's file.
    pub component: PathBuf,
    /// Its size, in bytes.
    pub size_bytes: u64,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
}

/// A component that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The component's file.
    pub component: PathBuf,
    /// Its size, in bytes.
    pub size_bytes: u64,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
}

/// The cache folder of this user, if the environment names one: `$TANDEM_CACHE`, else `$XDG_CACHE_HOME/tandem`, else `~/.cache/tandem`.
pub fn default_cache_dir() -> Option<PathBuf> {
    cache_dir_from(|name| std::env::var_os(name))
}

fn cache_dir_from(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    // An empty variable counts as unset, and a relative XDG path is to be ignored (XDG Base Directory Specification
    // 0.8).
    let path = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    path("TANDEM_CACHE")
        .map(|dir| std::path::absolute(&dir).unwrap_or(dir))
        .or_else(|| path("XDG_CACHE_HOME").filter(|dir| dir.is_absolute()).map(|dir| dir.join("tandem")))
        .or_else(|| path("HOME").or_else(|| path("USERPROFILE")).map(|home| home.join(".cache").join("tandem")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache_dir(variables: &[(&str, &str)]) -> Option<PathBuf> {
        cache_dir_from(|name| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| value.into()))
    }

    #[test]
    fn the_cache_folder_follows_the_environment() {
        let all = [("TANDEM_CACHE", "/t"), ("XDG_CACHE_HOME", "/x"), ("HOME", "/h")];
        assert_eq!(cache_dir(&all), Some("/t".into()));
        assert_eq!(cache_dir(&all[1..]), Some("/x/tandem".into()));
        assert_eq!(cache_dir(&all[2..]), Some("/h/.cache/tandem".into()));
        assert_eq!(
            cache_dir(&[("TANDEM_CACHE", ""), ("XDG_CACHE_HOME", "rel"), ("HOME", "/h")]),
            Some("/h/.cache/tandem".into())
        );
        assert_eq!(cache_dir(&[]), None);
    }
}
