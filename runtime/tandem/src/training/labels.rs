//! Labels in Parquet, CSV or Arrow, by the ending of the file's name.
//!
//! Parquet is read as it is asked for, everything else is held in memory. A CSV file says nothing of types: columns that are asked for have
//! the types that they are asked for with; of the others, those are timestamps, integers, numbers or booleans of which every value is one, and all
//! others are text.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::ArrowError;
use arrow_select::concat::concat_batches;
use tandem_core::types::DataType;
use tandem_offline::training::Labels;

use crate::error::{Error, io};
use crate::rows::{self, RowsFault};

/// What an Arrow IPC file begins with; a stream does not.
const ARROW_MAGIC: &[u8] = b"ARROW1";

/// Reads labels. `types`: columns of a CSV file that have a type already, by their names in it. Blocking.
///
/// # Errors
///
/// A file that cannot be read or is no such file, a value that is not of its column's type.
pub fn read(file: &Path, types: &BTreeMap<String, DataType>) -> Result<Labels, Error> {
    std::fs::metadata(file).map_err(io("read", file))?;
    let fail = |fault| Error::Rows { file: file.to_owned(), fault: Box::new(fault) };
    let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    let rows = match ending.as_str() {
        "parquet" => return Ok(Labels::parquet(file)?),
        "csv" => rows::read_csv(file, types)?,
        "arrow" | "arrows" | "ipc" | "feather" => arrow(file)?.map_err(|error| fail(RowsFault::Arrow(error)))?,
        _ => return Err(fail(RowsFault::LabelFormat)),
    };
    Ok(Labels::rows(rows)?)
}

fn arrow(file: &Path) -> Result<Result<RecordBatch, ArrowError>, Error> {
    let mut opened = File::open(file).map_err(io("open", file))?;
    let mut magic = Vec::with_capacity(ARROW_MAGIC.len());
    opened.by_ref().take(ARROW_MAGIC.len() as u64).read_to_end(&mut magic).map_err(io("read", file))?;
    opened.rewind().map_err(io("read", file))?;
    let is_file = magic == ARROW_MAGIC;
    let read = || {
        if is_file {
            let reader = FileReader::try_new(opened, None)?;
            let schema = reader.schema();
            concat_batches(&schema, &reader.collect::<Result<Vec<_>, _>>()?)
        } else {
            let reader = StreamReader::try_new(opened, None)?;
            let schema = reader.schema();
            concat_batches(&schema, &reader.collect::<Result<Vec<_>, _>>()?)
        }
    };
    Ok(read())
}
