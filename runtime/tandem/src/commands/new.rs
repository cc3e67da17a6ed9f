//! `tandem new`: the folder of a new transform.

use std::path::PathBuf;

use serde_json::json;

use crate::cli::Context;
use crate::error::Error;
use crate::scaffold::{Scaffold, create};

/// Arguments of the command.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Name of the transform's crate: lower-case letters, digits and underscores
    #[arg(value_name = "NAME")]
    name: String,
    /// Folder to make [default: NAME, in this folder]
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// The columnar form, for arithmetic over many rows
    #[arg(long)]
    columns: bool,
    /// Folder of an SDK to depend on [default: a copy of this program's own, in vendor/]
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

/// Makes the folder and says what comes next.
pub fn run(context: &Context, arguments: &Arguments) -> Result<(), Error> {
    let scaffold = Scaffold {
        name: arguments.name.clone(),
        folder: arguments.path.clone().unwrap_or_else(|| PathBuf::from(&arguments.name)),
        columns: arguments.columns,
        sdk: arguments.sdk.clone(),
    };
    let created = create(&scaffold)?;
    let folder = scaffold.folder.display().to_string();
    context.output.data(
        || {
            format!(
                "created  {folder}\nfiles    {}\nsdk      {}\n\nnext:\n  cd {folder}\n  cargo test\n  tandem build .\n  tandem test\n",
                created.files.join(", "),
                created.sdk
            )
        },
        || json!({ "name": scaffold.name, "folder": folder, "files": created.files, "sdk": created.sdk }),
    );
    Ok(())
}
