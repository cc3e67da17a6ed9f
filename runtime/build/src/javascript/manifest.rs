//! `package.json`, as far as it is about the transform.
//!
//! ```json
//! {
//!   "name": "purchase-features",
//!   "tandem": { "transform": "transform.ts" }
//! }
//! ```

use std::path::{Component, Path};

use serde_json::Value;

use crate::BuildError;

const FILE: &str = "package.json";

/// What is said about the transform.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Manifest {
    /// The transform's name, an identifier.
    pub(super) name: String,
    /// The module's file, from the folder.
    pub(super) transform: String,
}

/// Whether the folder has a `package.json` with `tandem`. One that is no JSON counts if it names it: reading it says so.
pub(crate) fn is_here(folder: &Path) -> bool {
    let Ok(text) = std::fs::read_to_string(folder.join(FILE)) else { return false };
    match serde_json::from_str::<Value>(&text) {
        Ok(package) => package.get("tandem").is_some(),
        Err(_) => text.contains("\"tandem\""),
    }
}

impl Manifest {
    pub(super) fn read(folder: &Path) -> Result<Manifest, BuildError> {
        let file = folder.join(FILE);
        let text = std::fs::read_to_string(&file).map_err(|source| BuildError::Read { path: file.clone(), source })?;
        let wrong = |reason: String| BuildError::Manifest { manifest: file.clone(), reason };
        let manifest = parse(&text).map_err(wrong)?;
        if !folder.join(&manifest.transform).is_file() {
            return Err(wrong(format!("the transform `{}` is not there", manifest.transform)));
        }
        Ok(manifest)
    }
}

fn parse(text: &str) -> Result<Manifest, String> {
    let package: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let tandem =
        package["tandem"].as_object().ok_or("`tandem` must be an object: { \"transform\": \"transform.js\" }")?;
    if let Some(key) = tandem.keys().find(|key| *key != "transform") {
        return Err(format!("`tandem` has no key `{key}`; its key is transform"));
    }
    let transform = tandem.get("transform").and_then(Value::as_str);
    let transform = transform.ok_or("`tandem` must name the module: { \"transform\": \"transform.js\" }")?;
    let path = Path::new(transform);
    let stays = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let is_module =
        path.extension().is_some_and(|ending| ["js", "mjs", "ts", "mts"].iter().any(|known| ending == *known));
    if !stays || !is_module {
        return Err(format!("`{transform}` is no file of this folder that ends in .js, .mjs, .ts or .mts"));
    }
    let name = package["name"].as_str().ok_or("it must have a `name`; the component is called after it")?;
    // A scope is whose package it is, not what it is.
    let name = name.rsplit('/').next().unwrap_or(name).replace(['-', '.'], "_").to_ascii_lowercase();
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    if !starts || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(format!("`{name}` cannot name a component: letters, digits, `-` and `_` can"));
    }
    Ok(Manifest { name, transform: transform.trim_start_matches("./").to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_about_the_transform() {
        let said = |name: &str, transform: &str| Manifest { name: name.to_owned(), transform: transform.to_owned() };
        let text = r#"{ "name": "@shop/Purchase-features.v2", "type": "module", "tandem": { "transform": "./src/transform.ts" } }"#;
        assert_eq!(parse(text), Ok(said("purchase_features_v2", "src/transform.ts")));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            ("{", "EOF while parsing an object at line 1 column 1"),
            (r#"{ "tandem": "transform.js" }"#, "`tandem` must be an object: { \"transform\": \"transform.js\" }"),
            (r#"{ "tandem": {} }"#, "`tandem` must name the module: { \"transform\": \"transform.js\" }"),
            (r#"{ "tandem": { "module": "a.js" } }"#, "`tandem` has no key `module`; its key is transform"),
            (
                r#"{ "tandem": { "transform": "../a.js" } }"#,
                "`../a.js` is no file of this folder that ends in .js, .mjs, .ts or .mts",
            ),
            (
                r#"{ "tandem": { "transform": "a.wasm" } }"#,
                "`a.wasm` is no file of this folder that ends in .js, .mjs, .ts or .mts",
            ),
            (r#"{ "tandem": { "transform": "a.js" } }"#, "it must have a `name`; the component is called after it"),
            (
                r#"{ "name": "1a", "tandem": { "transform": "a.js" } }"#,
                "`1a` cannot name a component: letters, digits, `-` and `_` can",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err(), expected, "{text}");
        }
    }

    #[test]
    fn a_package_that_is_about_something_else_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        assert!(!is_here(folder.path()));
        for (text, here) in
            [("{ \"name\": \"x\" }", false), ("{ \"tandem\": {} }", true), ("{ \"tandem\": ", true), ("{", false)]
        {
            std::fs::write(&file, text).unwrap();
            assert_eq!(is_here(folder.path()), here, "{text}");
        }
        std::fs::write(&file, r#"{ "name": "x", "tandem": { "transform": "a.js" } }"#).unwrap();
        let error = Manifest::read(folder.path()).unwrap_err().to_string();
        assert!(error.ends_with("package.json`: the transform `a.js` is not there"), "{error}");
    }
}
