//! How far a file that is followed was taken: one small file of JSON, replaced whole.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tandem_core::hash::Digest;

use crate::error::{Error, io};

/// Version of the file.
const FORMAT: u64 = 1;

/// A place in a file: everything before it is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Bytes.
    pub(super) offset: u64,
    /// Lines.
    pub(super) lines: u64,
    /// Of the beginning of the file, by which it is known again.
    pub(super) head: Digest,
    /// Bytes of the file with what was refused until then.
    pub(super) rejected_bytes: u64,
}

pub(super) struct State {
    path: PathBuf,
}

impl State {
    pub(super) fn new(path: &Path) -> State {
        State { path: path.to_owned() }
    }

    /// None where no run followed the file yet.
    pub(super) fn read(&self) -> Result<Option<Place>, Error> {
        let text = match fs::read_to_string(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(io("read", &self.path))?,
        };
        let value: Value = serde_json::from_str(&text).unwrap_or_default();
        let number = |name: &str| value[name].as_u64();
        let place = || {
            (number("format")? == FORMAT).then_some(())?;
            Some(Place {
                offset: number("offset")?,
                lines: number("lines")?,
                head: value["head"].as_str()?.parse().ok()?,
                rejected_bytes: number("rejected_bytes")?,
            })
        };
        let place = place().ok_or_else(|| Error::Ingest {
            what: self.path.display().to_string(),
            reason: "it does not say how far the file was taken".to_owned(),
            hint: "take the file from its first line: --from-start; rows that are there already change nothing"
                .to_owned(),
        });
        place.map(Some)
    }

    pub(super) fn write(&self, place: &Place) -> Result<(), Error> {
        let fail = || io("write", &self.path);
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).map_err(fail())?;
        }
        let Place { offset, lines, head, rejected_bytes } = place;
        let value = json!({ "format": FORMAT, "offset": offset, "lines": lines, "head": head.to_string(), "rejected_bytes": rejected_bytes });
        let staged = self.path.with_extension("new");
        let mut file = fs::File::create(&staged).map_err(fail())?;
        file.write_all(value.to_string().as_bytes()).map_err(fail())?;
        file.sync_all().map_err(fail())?;
        fs::rename(&staged, &self.path).map_err(fail())
    }
}
