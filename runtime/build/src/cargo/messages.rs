//! Cargo's messages, one JSON object a line.
//!
//! Format: <https://doc.rust-lang.org/cargo/reference/external-tools.html#json-messages>

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The core module that cargo made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Module {
    /// Name of the library, as in Rust.
    pub(crate) crate_name: String,
    /// Its file.
    pub(crate) path: PathBuf,
}

/// The module of the package whose manifest is `manifest`; dependencies may have modules too.
pub(crate) fn module_of(messages: &[u8], manifest: &Path) -> Option<Module> {
    messages.split(|byte| *byte == b'\n').find_map(|line| {
        // Whatever a build script prints may stand between the messages.
        let message: Value = serde_json::from_slice(line).ok()?;
        let is_artifact = message["reason"] == "compiler-artifact";
        let is_ours = message["manifest_path"].as_str().is_some_and(|path| Path::new(path) == manifest);
        let target = &message["target"];
        let is_cdylib = target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "cdylib"));
        if !(is_artifact && is_ours && is_cdylib) {
            return None;
        }
        let files = message["filenames"].as_array()?;
        let path = files.iter().filter_map(Value::as_str).find(|file| file.ends_with(".wasm"))?;
        Some(Module { crate_name: target["name"].as_str()?.replace('-', "_"), path: path.into() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_of_the_package_is_found_among_others() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","manifest_path":"/dep/Cargo.toml","target":{"kind":["cdylib"],"name":"dep"},"filenames":["/t/dep.wasm"]}"#,
            "\nnoise of a build script\n",
            r#"{"reason":"compiler-artifact","manifest_path":"/a/Cargo.toml","target":{"kind":["bin"],"name":"a"},"filenames":["/t/bin.wasm"]}"#,
            "\n",
            r#"{"reason":"compiler-artifact","manifest_path":"/a/Cargo.toml","target":{"kind":["cdylib","rlib"],"name":"my-lib"},"filenames":["/t/libmy_lib.rlib","/t/my_lib.wasm"]}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        let expected = Module { crate_name: "my_lib".to_owned(), path: "/t/my_lib.wasm".into() };
        assert_eq!(module_of(messages.as_bytes(), Path::new("/a/Cargo.toml")), Some(expected));
        assert_eq!(module_of(messages.as_bytes(), Path::new("/b/Cargo.toml")), None);
    }
}
