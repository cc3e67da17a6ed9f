//! The SDK's sources, carried inside this program.
//!
//! The list is written out, so that the program builds without a build script; a test holds it against the folder.

/// A file of guest-sdk/js: its path there, and its text.
macro_rules! sdk {
    ($path:literal) => {
        ($path, include_str!(concat!("../../../../../guest-sdk/js/", $path)))
    };
}

/// What is taken over as it is.
pub(super) const SOURCES: &[(&str, &str)] = &[
    sdk!("README.md"),
    sdk!("package.json"),
    sdk!("src/columns.js"),
    sdk!("src/component.js"),
    sdk!("src/errors.js"),
    sdk!("src/fields.js"),
    sdk!("src/index.d.ts"),
    sdk!("src/index.js"),
    sdk!("src/parameters.js"),
    sdk!("src/testing.d.ts"),
    sdk!("src/testing.js"),
    sdk!("src/text.js"),
    sdk!("src/timestamp.js"),
    sdk!("src/transform.js"),
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
        let sdk = workspace.join("guest-sdk/js");
        let names =
            fs::read_dir(sdk.join("src")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut found: BTreeSet<String> = names.map(|name| format!("src/{name}")).collect();
        found.extend(["README.md", "package.json"].map(str::to_owned));
        let listed: BTreeSet<String> = SOURCES.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(listed, found);
    }
}
