//! Rows that were refused, as lines of JSON: the line, why, and its text.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::error::{Error, io};

pub(super) struct Rejected {
    path: PathBuf,
    /// Made with the first row.
    file: Option<BufWriter<File>>,
}

impl Rejected {
    pub(super) fn new(path: &Path) -> Rejected {
        Rejected { path: path.to_owned(), file: None }
    }

    /// Forgets what was written behind so many bytes: it comes again.
    pub(super) fn resume(&mut self, bytes: u64) -> Result<(), Error> {
        match OpenOptions::new().write(true).open(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            file => file
                .and_then(|file| if file.metadata()?.len() > bytes { file.set_len(bytes) } else { Ok(()) })
                .map_err(io("write", &self.path)),
        }
    }

    pub(super) fn write(&mut self, line: u64, text: Option<&str>, reason: &str, message: &str) -> Result<(), Error> {
        let file = match &mut self.file {
            Some(file) => file,
            file => {
                let opened = OpenOptions::new().create(true).append(true).open(&self.path);
                file.insert(BufWriter::new(opened.map_err(io("open", &self.path))?))
            }
        };
        let row = match text {
            Some(text) => json!({ "line": line, "reason": reason, "message": message, "text": text }),
            None => json!({ "row": line, "reason": reason, "message": message }),
        };
        writeln!(file, "{row}").map_err(io("write", &self.path))
    }

    /// What was written is on disk; gives the size of the file.
    pub(super) fn sync(&mut self) -> Result<u64, Error> {
        if let Some(file) = &mut self.file {
            file.flush().and_then(|()| file.get_ref().sync_data()).map_err(io("write", &self.path))?;
        }
        match std::fs::metadata(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
            metadata => Ok(metadata.map_err(io("read", &self.path))?.len()),
        }
    }
}
