//! Versions, plan and apply: what the commands say about a real project, what a kill leaves, what is refused.

mod kill;
mod refused;
mod running;
mod story;

use std::fs;
use std::path::Path;

use crate::harness::guests::{component, workspace};
use crate::harness::program::{tandem, told};

/// A project of its own: the quickstart with its component, to be changed.
pub(crate) struct Quickstart {
    folder: tempfile::TempDir,
}

const FEATURES: &str = "features/transactions.toml";
const COMPONENT: &str = "transform/quickstart_transform.wasm";

impl Quickstart {
    pub(crate) fn new() -> Quickstart {
        let example = workspace().join("examples/quickstart");
        let quickstart = Quickstart { folder: tempfile::tempdir().expect("a temporary folder") };
        let root = quickstart.root();
        for inner in ["features", "transform"] {
            fs::create_dir(root.join(inner)).expect("a folder");
        }
        for file in ["tandem.toml", FEATURES] {
            fs::copy(example.join(file), root.join(file)).expect("the example is there");
        }
        fs::copy(component(&example.join("transform")), root.join(COMPONENT)).expect("a component");
        quickstart
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn features(&self) -> String {
        fs::read_to_string(self.root().join(FEATURES)).expect("a file")
    }

    pub(crate) fn write(&self, features: &str) {
        fs::write(self.root().join(FEATURES), features).expect("a file");
    }

    /// Replaces one part of the definitions by another.
    pub(crate) fn change(&self, from: &str, to: &str) {
        let features = self.features();
        assert_eq!(features.matches(from).count(), 1, "{from} stands once in\n{features}");
        self.write(&features.replacen(from, to, 1));
    }

    /// Adds definitions at the end.
    pub(crate) fn add(&self, definitions: &str) {
        self.write(&format!("{}\n{definitions}", self.features()));
    }

    /// The view's definition with another version and another parameter: the same component, another meaning.
    pub(crate) fn version(&self, version: u32) -> String {
        let features = self.features();
        let start = features.find("[[feature_view]]").expect("a view");
        let end = features[start + 1..].find("\n[[").map_or(features.len(), |end| start + 2 + end);
        features[start..end].replacen("version = 1", &format!("version = {version}"), 1).replacen(
            "night_starts_hour = 22",
            &format!("night_starts_hour = {}", 23 - version),
            1,
        )
    }

    /// Runs a command that should end with `code`; gives what it said.
    pub(crate) fn run(&self, arguments: &[&str], code: i32) -> (String, String) {
        told(tandem(self.root(), arguments), code)
    }
}

/// The same function in other bytes: a custom section that nothing reads, at the end of a component.
pub(crate) fn same_function_other_bytes(component: &[u8], mark: u8) -> Vec<u8> {
    // Section 0: size, the name's length, the name, contents.
    [component, &[0, 6, 4, b'm', b'a', b'r', b'k', mark]].concat()
}
