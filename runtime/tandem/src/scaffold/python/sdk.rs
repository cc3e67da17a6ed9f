//! The SDK's sources, carried inside this program.
//!
//! The list is written out, so that the program builds without a build script; a test holds it against the folder.

/// A file of guest-sdk/python/src/tandem_sdk: its path there, and its text.
macro_rules! sdk {
    ($path:literal) => {
        ($path, include_str!(concat!("../../../../../guest-sdk/python/src/tandem_sdk/", $path)))
    };
}

/// What is taken over as it is.
pub(super) const SOURCES: &[(&str, &str)] = &[
    sdk!("__init__.py"),
    sdk!("aggregate.py"),
    sdk!("aggregate_component.py"),
    sdk!("call.py"),
    sdk!("columns.py"),
    sdk!("component.py"),
    sdk!("decorator.py"),
    sdk!("errors.py"),
    sdk!("fields.py"),
    sdk!("parameters.py"),
    sdk!("py.typed"),
    sdk!("state.py"),
    sdk!("testing.py"),
    sdk!("time.py"),
    sdk!("types.py"),
    sdk!("views.py"),
];

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_list_has_every_source_of_the_sdk() {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let folder = workspace.join("guest-sdk/python/src/tandem_sdk");
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut found: Vec<_> = names.filter(|name| name != "__pycache__").collect();
        found.sort();
        assert_eq!(SOURCES.iter().map(|(path, _)| *path).collect::<Vec<_>>(), found);
    }
}
