//! A new transform's folder: manifest, function, tests, sample rows, and the SDK that they need.
//!
//! The SDK lies in the folder itself (docs/decisions/0009-vendored-sdk.md): what a user has is this program, cargo and a registry.

mod name;
mod place;
mod sdk;

use std::path::PathBuf;

use crate::error::Error;

/// Where the SDK goes, from the new folder.
pub const VENDORED_SDK: &str = "vendor/tandem-sdk";

/// What to make.
#[derive(Debug, Clone)]
pub struct Scaffold {
    /// The crate's name, as in Rust: `my_transform`.
    pub name: String,
    /// The folder to make; it may be there if it is empty.
    pub folder: PathBuf,
    /// The columnar form instead of the everyday one.
    pub columns: bool,
    /// Folder of an SDK to depend on, instead of a copy of this program's own.
    pub sdk: Option<PathBuf>,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// The files, from the new folder, sorted; those of the SDK are left out.
    pub files: Vec<String>,
    /// The SDK's folder as the manifest has it.
    pub sdk: String,
}

/// Makes the folder: whole or not at all.
///
/// # Errors
///
/// A name that no crate can have, a folder that is not empty, an SDK that is none; the file system.
pub fn create(scaffold: &Scaffold) -> Result<Created, Error> {
    name::check(&scaffold.name)?;
    place::check(&scaffold.folder)?;
    let sdk = match &scaffold.sdk {
        Some(sdk) => place::path_to_sdk(&scaffold.folder, sdk)?,
        None => VENDORED_SDK.to_owned(),
    };
    let mut files = files(scaffold, &sdk);
    files.sort();
    let created = Created { files: files.iter().map(|(path, _)| path.clone()).collect(), sdk };
    if scaffold.sdk.is_none() {
        files.extend(sdk::files().into_iter().map(|(path, text)| (format!("{VENDORED_SDK}/{path}"), text)));
    }
    place::write(&scaffold.folder, &files)?;
    Ok(created)
}

/// The transform's own files: paths from its folder, and texts.
fn files(scaffold: &Scaffold, sdk: &str) -> Vec<(String, String)> {
    let source = if scaffold.columns {
        include_str!("scaffold/templates/columns.rs.in")
    } else {
        include_str!("scaffold/templates/rows.rs.in")
    };
    // A vendored SDK is no member of the workspace: `cargo test --workspace` and editors leave it alone.
    let workspace = if scaffold.sdk.is_none() { "[workspace]\nexclude = [\"vendor\"]" } else { "[workspace]" };
    // What JSON escapes, TOML's basic strings escape in the same way.
    let sdk = serde_json::Value::from(sdk).to_string();
    // As a project around the folder names it.
    let folder = scaffold.folder.file_name().map_or(scaffold.name.clone().into(), |name| name.to_string_lossy());
    let fill = |template: &str| {
        template
            .replace("{{name}}", &scaffold.name)
            .replace("{{folder}}", &folder)
            .replace("{{sdk}}", &sdk)
            .replace("{{workspace}}", workspace)
    };
    [
        ("Cargo.toml", include_str!("scaffold/templates/Cargo.toml.in")),
        ("README.md", include_str!("scaffold/templates/README.md.in")),
        (".gitignore", include_str!("scaffold/templates/gitignore.in")),
        ("samples.json", include_str!("scaffold/templates/samples.json.in")),
        ("src/lib.rs", source),
    ]
    .map(|(path, template)| (path.to_owned(), fill(template)))
    .into()
}

#[cfg(test)]
mod tests;
