//! `tandem import`: rows of a file into a source.

use std::path::PathBuf;

use serde_json::json;

use crate::cli::Context;
use crate::error::Error;
use crate::import::{Request, import};
use crate::output::{counted, grouped};

/// Arguments of the command.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The source, by its name in the definition files
    source: String,
    /// Rows, as Parquet, CSV or JSON
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Put these rows in the place of those that the source has from a file of this name
    #[arg(long)]
    replace: bool,
}

/// Writes the rows and says where they are.
pub fn run(context: &Context, arguments: &Arguments) -> Result<(), Error> {
    let opened = context.open()?;
    let request = Request { source: &arguments.source, file: &arguments.file, replace: arguments.replace };
    let report = import(&opened, &request)?;
    if !report.left_out.is_empty() {
        let names = report.left_out.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        context.output.note(format!("note: columns that no view reads are left out: {names}"));
    }
    if let Some(aside) = &report.quarantine {
        context.output.warning(format!(
            "rows that break the source's contract, set aside in {}: {}",
            aside.path.display(),
            grouped(aside.rows)
        ));
    }
    context.output.data(
        || {
            let (rows, files) = (report.rows(), report.files.len() as u64);
            format!("{} into {}\n{}\n", counted(rows, "row"), counted(files, "file"), report.folder.display())
        },
        || {
            let files = report
                .files
                .iter()
                .map(|file| json!({ "file": file.path.display().to_string(), "rows": file.rows, "bytes": file.bytes }));
            json!({
                "source": arguments.source,
                "folder": report.folder.display().to_string(),
                "rows": report.rows(),
                "files": files.collect::<Vec<_>>(),
                "quarantined": report.quarantine.as_ref().map_or(0, |aside| aside.rows),
                "quarantine": report.quarantine.as_ref().map(|aside| aside.path.display().to_string()),
                "left_out": report.left_out,
            })
        },
    );
    Ok(())
}
