//! `tandem new`: the folder of a new transform.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::json;

use crate::cli::Context;
use crate::error::Error;
use crate::scaffold::{Form, Language, Scaffold, create};

/// Arguments of the command.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Name of the transform: lower-case letters, digits and underscores
    #[arg(value_name = "NAME")]
    name: String,
    /// What to write it in
    #[arg(long, value_name = "LANGUAGE", default_value = "rust", value_parser = languages())]
    lang: Language,
    /// Folder to make [default: NAME, in this folder]
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// The columnar form, for arithmetic over many rows
    #[arg(long)]
    columns: bool,
    /// A function of aggregates, for views of aggregates; in Rust or Python
    #[arg(long, conflicts_with = "columns")]
    aggregate: bool,
    /// Folder of an SDK to depend on [default: a copy of this program's own]
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

/// Makes the folder and says what comes next.
pub fn run(context: &Context, arguments: &Arguments) -> Result<(), Error> {
    let scaffold = Scaffold {
        language: arguments.lang,
        name: arguments.name.clone(),
        folder: arguments.path.clone().unwrap_or_else(|| PathBuf::from(&arguments.name)),
        form: match (arguments.aggregate, arguments.columns) {
            (true, _) => Form::Aggregate,
            (_, true) => Form::Columns,
            _ => Form::Rows,
        },
        sdk: arguments.sdk.clone(),
    };
    let created = create(&scaffold)?;
    let folder = scaffold.folder.display().to_string();
    context.output.data(
        || {
            format!(
                "created  {folder}\nfiles    {}\nsdk      {}\n\nnext:\n  cd {folder}\n  {}\n",
                created.files.join(", "),
                created.sdk,
                created.next.join("\n  ")
            )
        },
        || {
            json!({
                "name": scaffold.name,
                "language": scaffold.language.name(),
                "folder": folder,
                "files": created.files,
                "sdk": created.sdk,
                "next": created.next,
            })
        },
    );
    Ok(())
}

fn languages() -> impl TypedValueParser<Value = Language> {
    let names = PossibleValuesParser::new(Language::ALL.map(Language::name));
    names.try_map(|name| Language::named(&name).ok_or("an unknown language"))
}
