//! The SDK's sources, carried inside this program.
//!
//! The list is written out, so that the program builds without a build script; a test holds it against the folders.

use crate::scaffold::NewFile;

/// A file of guest-sdk/rust: its path there, and its text.
macro_rules! sdk {
    ($path:literal) => {
        ($path, include_str!(concat!("../../../../../guest-sdk/rust/", $path)))
    };
}

/// What is taken over as it is.
const SOURCES: [(&str, &str); 40] = [
    sdk!("macros/src/aggregate.rs"),
    sdk!("macros/src/doc.rs"),
    sdk!("macros/src/fields.rs"),
    sdk!("macros/src/input.rs"),
    sdk!("macros/src/lib.rs"),
    sdk!("macros/src/lifetimes.rs"),
    sdk!("macros/src/output.rs"),
    sdk!("macros/src/parameters.rs"),
    sdk!("macros/src/reserved.rs"),
    sdk!("macros/src/transform.rs"),
    sdk!("macros/src/types.rs"),
    sdk!("src/aggregate.rs"),
    sdk!("src/allocator.rs"),
    sdk!("src/bindings.rs"),
    sdk!("src/call.rs"),
    sdk!("src/columns/fixed.rs"),
    sdk!("src/columns/mask.rs"),
    sdk!("src/columns/mod.rs"),
    sdk!("src/columns/nullable.rs"),
    sdk!("src/columns/sequences.rs"),
    sdk!("src/columns/var_bytes.rs"),
    sdk!("src/contract.rs"),
    sdk!("src/data_type.rs"),
    sdk!("src/error.rs"),
    sdk!("src/failed_rows.rs"),
    sdk!("src/input.rs"),
    sdk!("src/lib.rs"),
    sdk!("src/output.rs"),
    sdk!("src/parameters.rs"),
    sdk!("src/prelude.rs"),
    sdk!("src/state.rs"),
    sdk!("src/testing.rs"),
    sdk!("src/timestamp.rs"),
    sdk!("src/views/fixed.rs"),
    sdk!("src/views/mod.rs"),
    sdk!("src/views/nullable.rs"),
    sdk!("src/views/offsets.rs"),
    sdk!("src/views/sequences.rs"),
    sdk!("src/views/validity.rs"),
    sdk!("src/views/var_bytes.rs"),
];

/// How the SDK's bindings name the contract's folder here, and how they name it in a vendored copy.
const CONTRACT_FOLDER: (&str, &str) = ("path: \"../../wit\"", "path: \"wit\"");

/// Every file of a vendored SDK: its path there, and its text. Manifests are whole: nothing is inherited from a workspace.
pub(super) fn files() -> Vec<NewFile> {
    let version = env!("CARGO_PKG_VERSION");
    let manifest = |template: &str| template.replace("{{version}}", version);
    let mut files: Vec<_> =
        SOURCES.iter().map(|(path, text)| (*path, text.replace(CONTRACT_FOLDER.0, CONTRACT_FOLDER.1))).collect();
    files.push(("Cargo.toml", manifest(include_str!("../templates/rust/sdk.Cargo.toml.in"))));
    files.push(("macros/Cargo.toml", manifest(include_str!("../templates/rust/sdk_macros.Cargo.toml.in"))));
    files.push(("wit/feature.wit", include_str!("../../../../../wit/feature.wit").to_owned()));
    files.push(("LICENSE", include_str!("../../../../../LICENSE").to_owned()));
    files.into_iter().map(|(path, text)| (path.to_owned(), text)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    fn workspace() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
    }

    fn walk(folder: &Path, base: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, base, found);
            } else {
                found.insert(path.strip_prefix(base).unwrap().to_str().unwrap().replace('\\', "/"));
            }
        }
    }

    #[test]
    fn the_list_has_every_source_of_the_sdk() {
        let sdk = workspace().join("guest-sdk/rust");
        let mut found = BTreeSet::new();
        walk(&sdk.join("src"), &sdk, &mut found);
        walk(&sdk.join("macros/src"), &sdk, &mut found);
        let listed: BTreeSet<String> = SOURCES.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(listed, found);
        let contract: Vec<_> = fs::read_dir(workspace().join("wit")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(contract, ["feature.wit"]);
    }

    #[test]
    fn the_contract_is_found_where_it_lies() {
        let files = files();
        let named: Vec<_> =
            files.iter().filter(|(_, text)| text.contains(CONTRACT_FOLDER.1)).map(|(path, _)| path.as_str()).collect();
        assert_eq!(named, ["src/bindings.rs"]);
        assert!(files.iter().all(|(_, text)| !text.contains(CONTRACT_FOLDER.0)));
    }

    /// The lines of a manifest that say something, by section.
    fn lines(text: &str) -> BTreeSet<(String, String)> {
        let mut section = String::new();
        let mut lines = BTreeSet::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if line.starts_with('[') {
                section = line.to_owned();
            } else {
                lines.insert((section.clone(), line.to_owned()));
            }
        }
        lines
    }

    /// A manifest of this workspace with what it inherits written out, and without lints, which are this workspace's own matter.
    fn resolved(path: &str) -> BTreeSet<(String, String)> {
        let workspace_manifest = lines(&fs::read_to_string(workspace().join("Cargo.toml")).unwrap());
        let manifest = lines(&fs::read_to_string(workspace().join(path)).unwrap());
        let resolve = |(section, line): (String, String)| {
            if section == "[lints]" || section == "[dev-dependencies]" {
                return None;
            }
            let Some(key) = line.strip_suffix(".workspace = true") else { return Some((section, line)) };
            let inherited = section.replace('[', "[workspace.");
            let (_, line) = workspace_manifest
                .iter()
                .find(|(s, line)| *s == inherited && line.split_once(" = ").is_some_and(|(k, _)| k == key))
                .unwrap_or_else(|| panic!("{path}: {section} {key}"));
            Some((section, line.replace("guest-sdk/rust/", "")))
        };
        manifest.into_iter().filter_map(resolve).collect()
    }

    #[test]
    fn the_manifests_are_those_of_the_sdk() {
        for (path, original) in
            [("Cargo.toml", "guest-sdk/rust/Cargo.toml"), ("macros/Cargo.toml", "guest-sdk/rust/macros/Cargo.toml")]
        {
            let (_, text) = files().into_iter().find(|(name, _)| name == path).unwrap();
            assert_eq!(lines(&text), resolved(original), "{path}");
        }
    }
}
