//! The registry on disk: reading it, which takes no lock, and registering, which takes one.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tandem_core::hash::Digest;
use tandem_core::time::Timestamp;

use crate::disk::Disk;
use crate::error::{RegistryError, io};
use crate::layout::{FORMAT_PREFIX, FORMAT_VERSION, Layout, format_number};
use crate::lock::{LOCK_SECONDS_MAX, WriteLock};
use crate::record::{RecordRefused, ViewRecord};
use crate::registration::{Entry, Header, Kind, REGISTRATION_VERSION, RecordedChange, Refused, Registration};
use crate::state::{Content, State};

/// A registry in a folder. Cheap to clone; holds nothing open.
#[derive(Clone)]
pub struct Registry {
    layout: Layout,
    disk: Disk,
    lock_wait: Duration,
}

/// Which registration is the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its number.
    pub number: u64,
    /// Its checksum.
    pub checksum: Digest,
}

/// What to register.
#[derive(Debug, Clone)]
pub struct Change {
    /// The registration that this was planned against; 0: none. It must still be the newest.
    pub parent: u64,
    /// When.
    pub time: Timestamp,
    /// Who.
    pub by: String,
    /// Why; may be empty.
    pub reason: String,
    /// The program and its version.
    pub program: String,
    /// What changed, for the history.
    pub changes: Vec<RecordedChange>,
    /// All that holds from now on.
    pub content: Content,
    /// The bytes of components that the registry does not have yet.
    pub components: Vec<Vec<u8>>,
    /// Objects beside the definitions, such as golden vectors; records name them by their digest.
    pub objects: Vec<Vec<u8>>,
}

impl Registry {
    /// The registry in `folder`. Does nothing yet.
    pub fn new(folder: impl Into<PathBuf>) -> Registry {
        Registry {
            layout: Layout { folder: folder.into() },
            disk: Disk::default(),
            lock_wait: Duration::from_secs(LOCK_SECONDS_MAX),
        }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.layout.folder
    }

    /// The newest registration; None where nothing is registered. Reads two small files.
    ///
    /// # Errors
    ///
    /// A folder with something else in it, a newer format, a damaged file.
    pub fn head(&self) -> Result<Option<Head>, RegistryError> {
        if !self.check_format()? {
            return Ok(None);
        }
        let path = self.layout.head();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(RegistryError::damaged(&path, "is missing"));
            }
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                return Err(RegistryError::damaged(&path, "is no text"));
            }
            Err(error) => return Err(io("read", &path)(error)),
        };
        parse_head(&text).ok_or_else(|| RegistryError::damaged(&path, "does not name a registration"))
    }

    /// All that the newest registration holds; [`State::default`] where nothing is registered.
    ///
    /// # Errors
    ///
    /// As [`Registry::head`], and any file of the registration that is damaged or missing.
    pub fn state(&self) -> Result<State, RegistryError> {
        match self.head()? {
            None => Ok(State::default()),
            Some(head) => self.state_of(self.registration(head.number, Some(head.checksum))?),
        }
    }

    /// All that registration `number` holds.
    ///
    /// # Errors
    ///
    /// As [`Registry::state`], and a number that there is not.
    pub fn state_at(&self, number: u64) -> Result<State, RegistryError> {
        let head = self.head()?.map_or(0, |head| head.number);
        if number == 0 || number > head {
            return Err(RegistryError::NoSuchRegistration { folder: self.layout.folder.clone(), number, head });
        }
        self.state_of(self.registration(number, None)?)
    }

    /// All registrations, newest first. Each is held against the checksum that the one after it has.
    ///
    /// # Errors
    ///
    /// As [`Registry::head`], and any registration that is damaged or missing.
    pub fn history(&self) -> Result<Vec<Header>, RegistryError> {
        let mut headers = Vec::new();
        let Some(head) = self.head()? else { return Ok(headers) };
        let mut expected = head.checksum;
        for number in (1..=head.number).rev() {
            let header = self.registration(number, Some(expected))?.header;
            match (header.parent, number) {
                (Some(parent), 2..) => expected = parent,
                (None, 1) => {}
                _ => return Err(RegistryError::damaged(&self.layout.registration(number), "has a wrong parent")),
            }
            headers.push(header);
        }
        Ok(headers)
    }

    /// The file of a component that is registered.
    pub fn component_path(&self, digest: Digest) -> PathBuf {
        self.layout.component(digest)
    }

    /// The bytes of a component.
    ///
    /// # Errors
    ///
    /// A file that is missing or not what its name says.
    pub fn component(&self, digest: Digest) -> Result<Vec<u8>, RegistryError> {
        read_whole(&self.layout.component(digest), digest)
    }

    /// The bytes of an object, such as golden vectors.
    ///
    /// # Errors
    ///
    /// A file that is missing or not what its name says.
    pub fn object(&self, digest: Digest) -> Result<Vec<u8>, RegistryError> {
        read_whole(&self.layout.object(digest), digest)
    }

    /// Whether the registry could be written. Takes the lock for a moment and leaves nothing behind but the folder and the lock's file.
    ///
    /// # Errors
    ///
    /// As [`Registry::register`].
    pub fn check_writable(&self) -> Result<(), RegistryError> {
        self.lock().map(drop)
    }

    /// Registers in one atomic step: the old registration is the newest until this one is whole on disk. Blocking; waits for another writer.
    ///
    /// # Errors
    ///
    /// A folder that cannot be written, another writer that takes longer than `lock_seconds_max`, a registration made since the plan. Nothing is
    /// changed then; what was written already is nowhere named, and is used or overwritten by the next one.
    pub fn register(&self, change: &Change) -> Result<Header, RegistryError> {
        let _lock = self.lock()?;
        let layout = &self.layout;
        let head = self.begin()?;
        let planned = change.parent;
        let number = head.map_or(0, |head| head.number);
        if number != planned {
            return Err(RegistryError::Moved { planned, head: number });
        }
        if let Some(head) = head {
            self.registration(head.number, Some(head.checksum))?; // nothing is built on what is damaged
        }
        for bytes in &change.components {
            self.keep(&layout.component(Digest::of(bytes)), bytes)?;
        }
        for bytes in &change.objects {
            self.keep(&layout.object(Digest::of(bytes)), bytes)?;
        }
        let mut entries = Vec::new();
        for (kind, name, text) in change.content.texts() {
            let object = Digest::of(text.as_bytes());
            self.keep(&layout.object(object), text.as_bytes())?;
            entries.push(Entry { kind, name, object });
        }
        let removed = change.content.removed.iter();
        entries.extend(removed.map(|(id, removed)| Entry {
            kind: Kind::Removed,
            name: id.to_string(),
            object: removed.object,
        }));
        entries.sort();
        for folder in ["components", "objects"] {
            self.disk.sync_folder(&layout.folder.join(folder))?;
        }
        let header = Header {
            number: number + 1,
            parent: head.map(|head| head.checksum),
            time: change.time,
            by: change.by.clone(),
            reason: change.reason.clone(),
            program: change.program.clone(),
            changes: change.changes.clone(),
        };
        let registration = Registration { header, entries };
        let (text, checksum) = registration.encode();
        let path = layout.registration(number + 1);
        self.disk.write_whole(&layout.staged(), &path, text.as_bytes())?;
        self.disk.sync_folder_of(&path)?;
        self.write_head(Some(Head { number: number + 1, checksum }))?;
        Ok(registration.header)
    }

    fn lock(&self) -> Result<WriteLock, RegistryError> {
        self.check_format()?; // what is not ours, or newer, is not touched
        let folder = &self.layout.folder;
        let refused = |source| RegistryError::NotWritable { folder: folder.clone(), source };
        self.disk.make_folder(folder).map_err(refused)?;
        WriteLock::take(&self.layout.lock(), self.lock_wait)
    }

    /// The newest registration, in a folder that is ready to be written. Under the lock.
    fn begin(&self) -> Result<Option<Head>, RegistryError> {
        let layout = &self.layout;
        let ready = self.check_format()?;
        for name in Layout::FOLDERS {
            let folder = layout.folder.join(name);
            self.disk.make_folder(&folder).map_err(io("make", &folder))?;
        }
        if !ready {
            // HEAD before FORMAT: from FORMAT on, a missing HEAD is damage and not a beginning.
            self.write_head(None)?;
            let format = format!("{FORMAT_PREFIX}{FORMAT_VERSION}\n");
            self.disk.write_whole(&layout.staged(), &layout.format(), format.as_bytes())?;
            self.disk.sync_folder(&layout.folder)?;
            self.disk.sync_folder_of(&layout.folder)?;
        }
        self.head()
    }

    fn write_head(&self, head: Option<Head>) -> Result<(), RegistryError> {
        let text = head.map_or("0\n".to_owned(), |head| format!("{} {}\n", head.number, head.checksum));
        self.disk.write_whole(&self.layout.staged(), &self.layout.head(), text.as_bytes())?;
        self.disk.sync_folder(&self.layout.folder)
    }

    /// Writes a file that is named by its bytes, unless it is there already, whole.
    fn keep(&self, path: &Path, bytes: &[u8]) -> Result<(), RegistryError> {
        if fs::read(path).is_ok_and(|found| found == bytes) {
            return Ok(());
        }
        self.disk.write_whole(&self.layout.staged(), path, bytes)
    }

    /// Whether there is a registry, of a format that this program knows; false where there is nothing, or the beginning of one.
    fn check_format(&self) -> Result<bool, RegistryError> {
        let path = self.layout.format();
        let mut found = fs::read(&path);
        if found.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            let Err(error) = self.check_beginning() else { return Ok(false) };
            // Another process may have begun the registry since FORMAT was looked for; what was just refused is then what it wrote.
            found = fs::read(&path);
            if found.is_err() {
                return Err(error);
            }
        }
        let text = match found {
            Ok(bytes) => String::from_utf8(bytes).map_err(|_| RegistryError::damaged(&path, "is no text"))?,
            Err(error) if error.kind() == ErrorKind::NotADirectory => {
                let found = "it is not a folder".to_owned();
                return Err(RegistryError::NotARegistry { folder: self.layout.folder.clone(), found });
            }
            Err(error) => return Err(io("read", &path)(error)),
        };
        // A later format may say more on further lines.
        match text.lines().next().and_then(|line| format_number(line, FORMAT_PREFIX)) {
            Some(FORMAT_VERSION) if text == format!("{FORMAT_PREFIX}{FORMAT_VERSION}\n") => Ok(true),
            Some(found) if found > FORMAT_VERSION => {
                Err(RegistryError::NewerFormat { path, found, known: FORMAT_VERSION })
            }
            _ => Err(RegistryError::damaged(&path, "does not name a format")),
        }
    }

    /// Refuses a folder without FORMAT that holds more than the beginning of a registry.
    fn check_beginning(&self) -> Result<(), RegistryError> {
        let folder = &self.layout.folder;
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(io("list", folder)(error)),
        };
        for entry in entries {
            let name = entry.map_err(io("list", folder))?.file_name();
            if !name.to_str().is_some_and(Layout::is_ours) {
                let found = format!("it has no FORMAT, and holds `{}`", name.display());
                return Err(RegistryError::NotARegistry { folder: folder.clone(), found });
            }
        }
        match fs::read(self.layout.head()) {
            Ok(bytes) if bytes != b"0\n" => Err(RegistryError::damaged(&self.layout.format(), "is missing")),
            _ => Ok(()),
        }
    }

    fn registration(&self, number: u64, expected: Option<Digest>) -> Result<Registration, RegistryError> {
        let path = self.layout.registration(number);
        let bytes = read(&path)?;
        let (registration, checksum) = Registration::decode(&bytes).map_err(|refused| match refused {
            Refused::Newer(found) => {
                RegistryError::NewerFormat { path: path.clone(), found, known: REGISTRATION_VERSION }
            }
            Refused::Damaged(reason) => RegistryError::Damaged { path: path.clone(), reason },
        })?;
        if registration.header.number != number {
            return Err(RegistryError::damaged(&path, format!("is registration {}", registration.header.number)));
        }
        if expected.is_some_and(|expected| expected != checksum) {
            return Err(RegistryError::damaged(&path, "is another registration than was registered"));
        }
        Ok(registration)
    }

    fn state_of(&self, registration: Registration) -> Result<State, RegistryError> {
        let path = self.layout.registration(registration.header.number);
        let mut content = Content::default();
        for Entry { kind, name, object } in &registration.entries {
            let object_path = self.layout.object(*object);
            let bytes = read_whole(&object_path, *object)?;
            let text = String::from_utf8(bytes).map_err(|_| RegistryError::damaged(&object_path, "is no text"))?;
            let record = || {
                ViewRecord::decode(&text).map_err(|refused| match refused {
                    RecordRefused::Newer(found) => {
                        RegistryError::NewerFormat { path: object_path.clone(), found, known: 1 }
                    }
                    RecordRefused::Damaged(reason) => RegistryError::Damaged { path: object_path.clone(), reason },
                })
            };
            let known = match kind {
                Kind::View => content.add_view(name, record()?),
                Kind::Removed => content.add_removed(name, *object, record()?.definition_hash),
                Kind::Service | Kind::Alias => content.add_text(*kind, name, text),
            };
            if !known {
                return Err(RegistryError::damaged(&path, format!("names something that cannot be: {name}")));
            }
        }
        Ok(State { header: Some(registration.header), content })
    }
}

fn parse_head(text: &str) -> Option<Option<Head>> {
    let line = text.strip_suffix('\n')?;
    if line == "0" {
        return Some(None);
    }
    let (number, checksum) = line.split_once(' ')?;
    let head = Head { number: number.parse().ok()?, checksum: checksum.parse().ok()? };
    (head.number > 0 && head.number.to_string() == number).then_some(Some(head))
}

/// A file that must be there.
fn read(path: &Path) -> Result<Vec<u8>, RegistryError> {
    fs::read(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => RegistryError::damaged(path, "is missing"),
        _ => io("read", path)(error),
    })
}

/// A file whose bytes its name says.
fn read_whole(path: &Path, digest: Digest) -> Result<Vec<u8>, RegistryError> {
    let bytes = read(path)?;
    if Digest::of(&bytes) == digest {
        Ok(bytes)
    } else {
        Err(RegistryError::damaged(path, "is not what its name says"))
    }
}

#[cfg(test)]
mod tests;
