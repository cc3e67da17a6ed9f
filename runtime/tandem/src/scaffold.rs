//! A new transform's folder: manifest, function, tests, sample rows, and the SDK that they need.
//!
//! The SDK lies in the folder itself (docs/decisions/0009-vendored-sdk.md): what a user has is this program, the language's own tools and
//! a registry. Each language is a module: its files, its SDK, and what an author does next.

mod c;
mod go;
mod javascript;
mod language;
mod name;
mod place;
mod python;
mod rust;

use std::path::PathBuf;

use crate::error::Error;

pub use language::Language;

/// What is made, and in which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A transform of rows.
    Rows,
    /// A transform of columns.
    Columns,
    /// A function of aggregates.
    Aggregate,
}

/// What to make.
#[derive(Debug, Clone)]
pub struct Scaffold {
    /// What it is written in.
    pub language: Language,
    /// The transform's name, an identifier: `my_transform`.
    pub name: String,
    /// The folder to make; it may be there if it is empty.
    pub folder: PathBuf,
    /// What is made, and in which form.
    pub form: Form,
    /// Folder of an SDK to depend on, instead of a copy of this program's own.
    pub sdk: Option<PathBuf>,
}

impl Scaffold {
    /// The folder as a project around it names it.
    fn folder_name(&self) -> String {
        self.folder.file_name().map_or(self.name.clone(), |name| name.to_string_lossy().into_owned())
    }
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// The files, from the new folder, sorted; those of the SDK are left out.
    pub files: Vec<String>,
    /// The SDK's folder as the manifest has it, or from the new folder.
    pub sdk: String,
    /// The commands that an author types next, in the new folder.
    pub next: Vec<String>,
}

/// A file to write: its path from a folder, and its text.
type NewFile = (String, String);

/// What a language's module knows of itself.
struct Template {
    /// Where the SDK goes, from the new folder.
    vendored: &'static str,
    /// How the SDK is known in a checkout.
    sdk: place::SdkPlace,
    /// The transform's own files; they are told the SDK's folder.
    files: fn(&Scaffold, &str) -> Vec<NewFile>,
    /// The SDK's files, from its folder.
    sdk_files: fn() -> Vec<NewFile>,
    /// What makes it ready and tests it, before `tandem build .`.
    next: &'static [&'static str],
}

/// The part of a README that shows the view of a function of aggregates.
const AGGREGATE_VIEW: &str = include_str!("scaffold/templates/aggregate_view.md.in");

/// The files of an SDK that is taken over as it is, and the licence beside them.
fn vendored(sources: &[(&str, &str)]) -> Vec<NewFile> {
    let licence = ("LICENSE", include_str!("../../../LICENSE"));
    sources.iter().copied().chain([licence]).map(|(path, text)| (path.to_owned(), text.to_owned())).collect()
}

/// Makes the folder: whole or not at all.
///
/// # Errors
///
/// A name that no transform can have, a folder that is not empty, an SDK that is none; the file system.
pub fn create(scaffold: &Scaffold) -> Result<Created, Error> {
    let template = scaffold.language.template();
    name::check(&scaffold.name, scaffold.language)?;
    place::check(&scaffold.folder)?;
    if scaffold.form == Form::Aggregate && !scaffold.language.has_aggregates() {
        let reason =
            format!("there is no SDK for aggregates in {}; write it in rust or python", scaffold.language.name());
        return Err(Error::Argument { what: "--aggregate".to_owned(), reason });
    }
    if scaffold.language == Language::C && scaffold.sdk.is_some() {
        let reason =
            "a transform in C has its SDK in vendor/tandem-sdk; a symbolic link there leads to another".to_owned();
        return Err(Error::Argument { what: "--sdk".to_owned(), reason });
    }
    let sdk = match &scaffold.sdk {
        Some(sdk) => place::path_to_sdk(&scaffold.folder, sdk, &template.sdk)?,
        None => template.vendored.to_owned(),
    };
    let mut files = (template.files)(scaffold, &sdk);
    files.sort();
    let last = if scaffold.form == Form::Aggregate { "tandem verify ." } else { "tandem test" };
    let after = ["tandem build .", last];
    let next = template.next.iter().chain(&after);
    let created = Created {
        files: files.iter().map(|(path, _)| path.clone()).collect(),
        sdk,
        next: next.map(|command| (*command).to_owned()).collect(),
    };
    if scaffold.sdk.is_none() {
        let vendored = (template.sdk_files)().into_iter();
        files.extend(vendored.map(|(path, text)| (format!("{}/{path}", template.vendored), text)));
    }
    place::write(&scaffold.folder, &files)?;
    Ok(created)
}

#[cfg(test)]
mod tests;
