//! The SDK's sources, carried inside this program.
//!
//! The list is written out, so that the program builds without a build script; a test holds it against the folder.

/// A file of guest-sdk/go: its path there, and its text.
macro_rules! sdk {
    ($path:literal) => {
        ($path, include_str!(concat!("../../../../../guest-sdk/go/", $path)))
    };
}

/// What is taken over as it is.
pub(super) const SOURCES: &[(&str, &str)] = &[
    sdk!("README.md"),
    sdk!("abi_wasm.go"),
    sdk!("columns.go"),
    sdk!("errors.go"),
    sdk!("fields.go"),
    sdk!("go.mod"),
    sdk!("parameters.go"),
    sdk!("tandem.go"),
    sdk!("timestamp.go"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_list_has_every_source_of_the_sdk() {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let names = fs::read_dir(workspace.join("guest-sdk/go")).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        // Tests of this repository.
        let found: BTreeSet<String> = names.filter(|name| !name.ends_with("_test.go")).collect();
        let listed: BTreeSet<String> = SOURCES.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(listed, found);
    }
}
