//! `pyproject.toml`, as far as it is about the transform.
//!
//! ```toml
//! [project]
//! name = "purchase-features"            # the component is purchase_features.wasm
//!
//! [tool.tandem]
//! module = "transform"                  # has the function that is marked with @transform; `transform` if it is left out
//! path = ["../shared"]                  # folders to import from, beside this one; none if it is left out
//! ```

use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use crate::BuildError;

const FILE: &str = "pyproject.toml";
const KEYS: [&str; 2] = ["module", "path"];

/// What is said about the transform.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Manifest {
    /// The transform's name, an identifier.
    pub(super) name: String,
    /// Name of the module, possibly dotted.
    pub(super) module: String,
    /// Folders to import from beside the manifest's own, absolute.
    pub(super) path: Vec<PathBuf>,
}

/// Whether the folder has a `pyproject.toml` with `[tool.tandem]`. One that is no TOML counts: reading it says so.
pub(crate) fn is_here(folder: &Path) -> bool {
    let Ok(text) = std::fs::read_to_string(folder.join(FILE)) else { return false };
    match DeTable::parse(&text) {
        Ok(table) => table.get_ref().get("tool").and_then(|tool| tool.get_ref().get("tandem")).is_some(),
        Err(_) => text.contains("[tool.tandem]"),
    }
}

impl Manifest {
    pub(super) fn read(folder: &Path) -> Result<Manifest, BuildError> {
        let manifest = folder.join(FILE);
        let text =
            std::fs::read_to_string(&manifest).map_err(|source| BuildError::Read { path: manifest.clone(), source })?;
        parse(&text, folder).map_err(|reason| BuildError::Manifest { manifest, reason })
    }

    /// The module's file.
    pub(super) fn source_file(&self, folder: &Path) -> Result<PathBuf, BuildError> {
        let stem = folder.join(self.module.replace('.', "/"));
        let files = [stem.with_extension("py"), stem.join("__init__.py")];
        files.into_iter().find(|file| file.is_file()).ok_or_else(|| BuildError::Manifest {
            manifest: folder.join(FILE),
            reason: format!("the module `{}` is not there: no `{}`", self.module, stem.with_extension("py").display()),
        })
    }
}

fn parse(text: &str, folder: &Path) -> Result<Manifest, String> {
    let root = DeTable::parse(text).map_err(|error| error.to_string().trim_end().to_owned())?;
    let root = root.get_ref();
    let table = |value: Option<&toml::Spanned<DeValue<'_>>>, what: &str| -> Result<(), String> {
        match value {
            Some(value) if value.get_ref().as_table().is_none() => Err(format!("{what} must be a table")),
            _ => Ok(()),
        }
    };
    let tandem = root.get("tool").and_then(|tool| tool.get_ref().get("tandem"));
    table(tandem, "[tool.tandem]")?;
    let tandem = tandem.and_then(|tandem| tandem.get_ref().as_table());
    let mut keys = tandem.into_iter().flatten().map(|(key, _)| key.get_ref());
    if let Some(key) = keys.find(|key| !KEYS.contains(&&***key)) {
        return Err(format!("[tool.tandem] has no key `{key}`; its keys are {}", KEYS.join(", ")));
    }
    let module = match tandem.and_then(|tandem| tandem.get("module")) {
        None => "transform",
        Some(module) => text_of(module.get_ref(), "`module` in [tool.tandem]")?,
    };
    if !module.split('.').all(is_identifier) {
        return Err(format!("`{module}` is no name of a Python module"));
    }
    let path = match tandem.and_then(|tandem| tandem.get("path")) {
        None => Vec::new(),
        Some(path) => {
            let wrong = || "`path` in [tool.tandem] must be a list of folders".to_owned();
            let folders = path.get_ref().as_array().ok_or_else(wrong)?;
            let folders = folders.iter().map(|inner| inner.get_ref().as_str().ok_or_else(wrong));
            folders.map(|inner| import_folder(folder, inner?)).collect::<Result<_, _>>()?
        }
    };
    let project = root.get("project").map(|project| project.get_ref());
    let name = match project.and_then(|project| project.get("name")) {
        None => return Err("[project] must have a `name`; the component is called after it".to_owned()),
        Some(name) => text_of(name.get_ref(), "`name` in [project]")?,
    };
    // PyPI takes `-`, `_` and `.` for the same.
    let name = name.replace(['-', '.'], "_").to_ascii_lowercase();
    if !is_identifier(&name) {
        return Err(format!("`{name}` cannot name a component: letters, digits, `-` and `_` can"));
    }
    Ok(Manifest { name, module: module.to_owned(), path })
}

fn text_of<'a>(value: &'a DeValue<'_>, what: &str) -> Result<&'a str, String> {
    value.as_str().ok_or_else(|| format!("{what} must be a text"))
}

fn import_folder(folder: &Path, inner: &str) -> Result<PathBuf, String> {
    let path = folder.join(inner);
    let path = path.canonicalize().map_err(|error| format!("`path` in [tool.tandem] names `{inner}`: {error}"))?;
    if path.is_dir() { Ok(path) } else { Err(format!("`path` in [tool.tandem] names `{inner}`, which is no folder")) }
}

/// Of ASCII alone: it becomes part of paths.
fn is_identifier(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_has_a_default() {
        let folder = tempfile::tempdir().unwrap();
        let parsed = parse("[project]\nname = \"Purchase-features\"\n[tool.tandem]\n", folder.path()).unwrap();
        let expected =
            Manifest { name: "purchase_features".to_owned(), module: "transform".to_owned(), path: Vec::new() };
        assert_eq!(parsed, expected);
    }

    #[test]
    fn folders_are_found_from_the_manifest() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a");
        std::fs::create_dir_all(root.path().join("b")).unwrap();
        std::fs::create_dir_all(&folder).unwrap();
        let text = "[project]\nname = \"x\"\n[tool.tandem]\nmodule = \"pkg.of\"\npath = [\"../b\"]\n";
        let parsed = parse(text, &folder).unwrap();
        assert_eq!(parsed.path, [root.path().join("b").canonicalize().unwrap()]);
        assert_eq!(parsed.module, "pkg.of");
        let error = parsed.source_file(&folder).unwrap_err().to_string();
        assert!(error.contains("the module `pkg.of` is not there: no `") && error.contains("pkg/of.py"), "{error}");
        std::fs::create_dir_all(folder.join("pkg/of")).unwrap();
        std::fs::write(folder.join("pkg/of/__init__.py"), "").unwrap();
        assert_eq!(parsed.source_file(&folder).unwrap(), folder.join("pkg/of/__init__.py"));
    }

    #[test]
    fn mistakes_are_told() {
        let folder = tempfile::tempdir().unwrap();
        for (text, expected) in [
            ("[tool.tandem]\n", "[project] must have a `name`; the component is called after it"),
            ("[project]\nname = 1\n[tool.tandem]\n", "`name` in [project] must be a text"),
            (
                "[project]\nname = \"a b\"\n[tool.tandem]\n",
                "`a b` cannot name a component: letters, digits, `-` and `_` can",
            ),
            ("[tool]\ntandem = 1\n", "[tool.tandem] must be a table"),
            ("[tool.tandem]\nmodul = \"x\"\n", "[tool.tandem] has no key `modul`; its keys are module, path"),
            ("[tool.tandem]\nmodule = \"../x\"\n", "`../x` is no name of a Python module"),
            ("[tool.tandem]\nmodule = \"x\\nimport os\"\n", "`x\nimport os` is no name of a Python module"),
            ("[tool.tandem]\npath = \"x\"\n", "`path` in [tool.tandem] must be a list of folders"),
        ] {
            assert_eq!(parse(text, folder.path()).unwrap_err(), expected);
        }
        let error = parse("[tool.tandem]\npath = [\"gone\"]\n", folder.path()).unwrap_err();
        assert!(error.starts_with("`path` in [tool.tandem] names `gone`: "), "{error}");
        let error = parse("[tool.tandem", folder.path()).unwrap_err();
        assert!(error.contains("line 1"), "{error}");
    }
}
