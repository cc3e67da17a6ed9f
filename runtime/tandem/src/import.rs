//! Rows of a file into a source: as Parquet, in its partitions, with the types with which the project's views read them.

use std::path::{Path, PathBuf};

use tandem_core::model::{Source, ViewSource};
use tandem_core::types::DataType;
use tandem_offline::{Imported, ImportedFile, SourceColumn, import_rows, source_columns};

use crate::error::Error;
use crate::project::Opened;
use crate::rows;

/// What to take, and where to.
pub struct Request<'a> {
    /// The source's name.
    pub source: &'a str,
    /// The rows, as Parquet, CSV or JSON.
    pub file: &'a Path,
    /// Whether rows that the source has from a file of this name give way.
    pub replace: bool,
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    /// The source's folder.
    pub folder: PathBuf,
    /// The files that were written, one for each partition.
    pub files: Vec<ImportedFile>,
    /// Rows that break the source's contract, and where they are.
    pub quarantine: Option<ImportedFile>,
    /// Columns that no view of the source reads, and that were left out.
    pub left_out: Vec<String>,
}

impl Report {
    /// All rows.
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }
}

/// Writes the rows into the source. Blocking.
///
/// # Errors
///
/// A source that is not defined or that no view reads; rows that cannot be taken; a file of the same name in the source, without `replace`.
pub fn import(opened: &Opened, request: &Request<'_>) -> Result<Report, Error> {
    let sources = &opened.project.sources;
    let source = sources.iter().find(|source| source.name == request.source).ok_or_else(|| Error::UnknownSource {
        name: request.source.to_owned(),
        known: sources.iter().map(|source| source.name.clone()).collect(),
    })?;
    if source.query.is_some() {
        return Err(tandem_offline::OfflineError::QueryTakesNoRows { source_name: source.name.clone() }.into());
    }
    let name = file_name(request.file)?;
    let columns = columns(opened, source)?;
    let read = rows::read_columns(request.file, &columns, source.timezone.as_deref())?;
    let Imported { files, quarantine } = import_rows(source, &name, &read.rows, request.replace)?;
    let left_out = read.others.into_iter().filter(|name| Some(name) != source.partition.as_ref()).collect();
    Ok(Report { folder: source.path.clone(), files, quarantine, left_out })
}

/// The name of the files in the partitions: that of the file with the rows, with another ending.
fn file_name(file: &Path) -> Result<String, Error> {
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if stem.is_empty() || stem.starts_with(['_', '.']) {
        return Err(Error::Argument {
            what: file.display().to_string(),
            reason: "its name is that of the Parquet files, which must be UTF-8 and not begin with `_` or `.`"
                .to_owned(),
        });
    }
    Ok(format!("{stem}.parquet"))
}

/// The columns that the views of a source read, each once.
fn columns(opened: &Opened, source: &Source) -> Result<Vec<SourceColumn>, Error> {
    let mut columns: Vec<SourceColumn> = Vec::new();
    let reads = |read: &ViewSource| matches!(read, ViewSource::Files(files) if files.name == source.name);
    for view in opened.project.views.iter().filter(|view| reads(&view.source)) {
        let of = format!("of {}@{}", view.name, view.version);
        for mut column in source_columns(&opened.bind(view)?.bound, source) {
            column.needed_by = format!("{} {of}", column.needed_by);
            add(&mut columns, column)?;
        }
    }
    if columns.is_empty() {
        return Err(Error::SourceUnread { name: source.name.clone() });
    }
    for column in source.contract.columns.iter().filter(|column| Some(&column.name) != source.partition.as_ref()) {
        let (name, needed_by) = (column.name.clone(), format!("the contract of source `{}`", source.name));
        add(&mut columns, SourceColumn { name, data_type: column.data_type, needed_by })?;
    }
    // Ids are told apart by their text where nothing gives them a type.
    if let Some(name) = source.event_id.as_ref().filter(|id| columns.iter().all(|column| column.name != **id)) {
        let needed_by = "the event id".to_owned();
        columns.push(SourceColumn { name: name.clone(), data_type: DataType::String, needed_by });
    }
    Ok(columns)
}

/// Adds a column, unless it is there already. A file has one type for it.
fn add(columns: &mut Vec<SourceColumn>, column: SourceColumn) -> Result<(), Error> {
    match columns.iter().find(|known| known.name == column.name) {
        None => columns.push(column),
        Some(known) if known.data_type == column.data_type => {}
        Some(known) => {
            let said = |column: &SourceColumn| format!("{} as {}", column.data_type, column.needed_by);
            return Err(Error::TwoTypes { column: column.name.clone(), first: said(known), second: said(&column) });
        }
    }
    Ok(())
}
