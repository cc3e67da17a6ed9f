//! Lines of a file that may grow, or of stdin.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use tandem_core::hash::Digest;

use super::state::Place;
use crate::error::{Error, io};

/// Bytes of a line. A longer one stops the run: whoever wrote it wrote no rows.
pub const LINE_BYTES_MAX: usize = 16 << 20;

/// Bytes at the beginning of a file by which it is known again.
const HEAD_BYTES: u64 = 4_096;

/// What comes next.
pub(super) enum Next {
    /// A line without its end, and its number, from 1.
    Line(u64, Vec<u8>),
    /// There is no whole line now.
    End,
}

/// Where lines come from, and how far they were read.
pub(super) struct Lines {
    reader: Box<dyn BufRead>,
    file: Option<(PathBuf, File)>,
    /// Bytes of whole lines that were read.
    offset: u64,
    lines: u64,
    /// The beginning of a line whose end is not there yet.
    partial: Vec<u8>,
    recorded: u64,
}

impl Lines {
    pub(super) fn stdin() -> Lines {
        let reader = Box::new(BufReader::new(std::io::stdin()));
        Lines { reader, file: None, offset: 0, lines: 0, partial: Vec::new(), recorded: 0 }
    }

    pub(super) fn open(path: &Path) -> Result<Lines, Error> {
        let file = File::open(path).map_err(io("open", path))?;
        let other = file.try_clone().map_err(io("open", path))?;
        let reader = Box::new(BufReader::with_capacity(1 << 20, file));
        Ok(Lines {
            reader,
            file: Some((path.to_owned(), other)),
            offset: 0,
            lines: 0,
            partial: Vec::new(),
            recorded: 0,
        })
    }

    /// Goes on where an earlier run stopped, if it is the same file.
    pub(super) fn resume(&mut self, place: &Place) -> Result<(), Error> {
        let Some((path, _)) = &self.file else { return Ok(()) };
        let path = path.clone();
        let refuse = |reason: &str| Error::Ingest {
            what: path.display().to_string(),
            reason: format!("it is not the file that was followed: {reason}"),
            hint: "follow the file that it was, or take this one from its first line: --from-start".to_owned(),
        };
        if self.size()? < place.offset {
            return Err(refuse(&format!("{} bytes of it were read, and it has fewer", place.offset)));
        }
        if self.head(place.offset)? != place.head {
            return Err(refuse("it begins otherwise"));
        }
        let mut file = File::open(&path).map_err(io("open", &path))?;
        file.seek(SeekFrom::Start(place.offset)).map_err(io("read", &path))?;
        self.reader = Box::new(BufReader::with_capacity(1 << 20, file));
        (self.offset, self.lines, self.recorded) = (place.offset, place.lines, place.offset);
        Ok(())
    }

    pub(super) fn next(&mut self) -> Result<Next, Error> {
        let room = (LINE_BYTES_MAX - self.partial.len()) as u64 + 1;
        let read = self.reader.by_ref().take(room).read_until(b'\n', &mut self.partial);
        let read = read.map_err(io("read", self.path()))?;
        if self.partial.last() != Some(&b'\n') {
            if self.partial.len() > LINE_BYTES_MAX {
                return Err(Error::Ingest {
                    what: format!("line {}", self.lines + 1),
                    reason: format!("it has more than {LINE_BYTES_MAX} bytes (line_bytes_max)"),
                    hint: "write one row a line".to_owned(),
                });
            }
            debug_assert!(read == 0 || !self.partial.is_empty());
            return Ok(Next::End);
        }
        self.offset += self.partial.len() as u64;
        self.lines += 1;
        let mut line = std::mem::take(&mut self.partial);
        line.pop();
        Ok(Next::Line(self.lines, line))
    }

    /// The last line, where it has no end.
    pub(super) fn rest(&mut self) -> Option<(u64, Vec<u8>)> {
        let rest = std::mem::take(&mut self.partial);
        if rest.is_empty() {
            return None;
        }
        self.offset += rest.len() as u64;
        self.lines += 1;
        Some((self.lines, rest))
    }

    /// Whether lines were read that no state tells of.
    pub(super) fn has_moved(&self) -> bool {
        self.offset != self.recorded
    }

    pub(super) fn recorded(&mut self) {
        self.recorded = self.offset;
    }

    /// How far it was read.
    pub(super) fn place(&self) -> Result<Place, Error> {
        Ok(Place { offset: self.offset, lines: self.lines, head: self.head(self.offset)?, rejected_bytes: 0 })
    }

    /// A file that is followed only grows.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.file.is_some() && self.size()? < self.offset {
            return Err(Error::Ingest {
                what: self.path().display().to_string(),
                reason: format!("it became shorter than what was read of it, {} bytes", self.offset),
                hint: "a file that is followed may only grow; take a new one from its first line: --from-start"
                    .to_owned(),
            });
        }
        Ok(())
    }

    fn path(&self) -> &Path {
        self.file.as_ref().map_or(Path::new("-"), |(path, _)| path)
    }

    fn size(&self) -> Result<u64, Error> {
        let path = self.path();
        Ok(std::fs::metadata(path).map_err(io("read", path))?.len())
    }

    /// A digest of the beginning of what was read.
    fn head(&self, offset: u64) -> Result<Digest, Error> {
        let path = self.path();
        let mut head = Vec::new();
        let file = File::open(path).map_err(io("open", path))?;
        file.take(offset.min(HEAD_BYTES)).read_to_end(&mut head).map_err(io("read", path))?;
        Ok(Digest::of(&head))
    }
}
