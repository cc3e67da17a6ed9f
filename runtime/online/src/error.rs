//! What can go wrong.

use std::io;
use std::path::PathBuf;

use tandem_core::hash::Digest;
use tandem_core::time::Timestamp;

/// Why the store cannot do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnlineError {
    /// Events or tiles of a view of aggregates that cannot be read.
    #[error("the window state cannot be read: {reason}")]
    Windows {
        /// Why not.
        reason: String,
    },
    /// This process has the store open already.
    #[error("the online store {path} is already open in this process", path = .path.display())]
    AlreadyOpen {
        /// The store.
        path: PathBuf,
    },
    /// Nothing to read there.
    #[error("there is no online store at {path}", path = .path.display())]
    NoStore {
        /// Where it should be.
        path: PathBuf,
    },
    /// Something else is there.
    #[error("{path} holds something else than an online store: {reason}", path = .path.display())]
    NotAStore {
        /// The folder.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// Written by a newer program.
    #[error("the online store {path} has format {found}; this program knows formats up to {known}", path = .path.display())]
    FormatNewer {
        /// The store.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that this program knows.
        known: u32,
    },
    /// A file operation failed.
    #[error("cannot {operation} {path}: {source}", path = .path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The environment refused.
    #[error("cannot {operation} in the online store {path}: {reason} (code {code})", path = .path.display())]
    Environment {
        /// What was tried.
        operation: &'static str,
        /// The store.
        path: PathBuf,
        /// The number of the error: of LMDB if it is below -30000, else of the operating system.
        code: i32,
        /// The error's own words.
        reason: String,
    },
    /// The file system is read-only, or the user may not write there.
    #[error("cannot {operation} in the online store {path}: {source}", path = .path.display())]
    Forbidden {
        /// What was tried.
        operation: &'static str,
        /// The store.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No room on the disk (or quota, or the largest file size). What was stored before can still be read.
    #[error("no room on the disk for the online store {path}: {source}", path = .path.display())]
    DiskFull {
        /// The store.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The map is full and may not grow.
    #[error(
        "the online store {path} is full at {map_bytes} bytes and cannot grow (map_bytes_max is {map_bytes_max})",
        path = .path.display()
    )]
    MapFull {
        /// The store.
        path: PathBuf,
        /// Size of the map.
        map_bytes: usize,
        /// How far it may grow.
        map_bytes_max: usize,
    },
    /// Too many read transactions at one moment.
    #[error("more than {readers_max} read transactions are open on the online store {path}", path = .path.display())]
    ReadersFull {
        /// The store.
        path: PathBuf,
        /// The limit.
        readers_max: u32,
    },
    /// A write to a store that is open for reading.
    #[error("the online store {path} is open for reading only", path = .path.display())]
    ReadOnly {
        /// The store.
        path: PathBuf,
    },
    /// A name that a view cannot have.
    #[error("{name:?} cannot name a feature view; a name has lower-case letters, digits and underscores")]
    ViewName {
        /// The name, cut to a bounded length.
        name: String,
    },
    /// The version is taken by another definition.
    #[error(
        "version {version} of feature view `{view}` is stored with definition {stored}; the definition given is {given}"
    )]
    DefinitionChanged {
        /// The view.
        view: String,
        /// Its version.
        version: u32,
        /// Definition hash in the store.
        stored: Digest,
        /// Definition hash given.
        given: Digest,
    },
    /// The same definition with other outputs: written by a program with another encoding of rows.
    #[error(
        "version {version} of feature view `{view}` is stored with output schema {stored:016x}; the schema given is {given:016x}"
    )]
    SchemaChanged {
        /// The view.
        view: String,
        /// Its version.
        version: u32,
        /// Schema fingerprint in the store.
        stored: u64,
        /// Schema fingerprint given.
        given: u64,
    },
    /// The entry of a view cannot be read.
    #[error("the entry of a feature view in the online store {path} is damaged: {reason}", path = .path.display())]
    ViewCorrupt {
        /// The store.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// What is kept of a view beside its rows cannot be read.
    #[error("{what} in the online store {path} has a damaged state", path = .path.display())]
    StateCorrupt {
        /// The store.
        path: PathBuf,
        /// Whose state.
        what: &'static str,
    },
    /// More in a batch than one transaction takes.
    #[error(
        "a batch of {rows} rows and {bytes} bytes is too large; batch_rows_max is {rows_max}, batch_bytes_max is {bytes_max}"
    )]
    BatchTooLarge {
        /// Rows in the batch.
        rows: usize,
        /// Bytes of its keys and rows.
        bytes: usize,
        /// The limit of rows.
        rows_max: usize,
        /// The limit of bytes.
        bytes_max: usize,
    },
    /// An entity key or a row that is too long.
    #[error("the {what} of row {row} of the batch has {bytes} bytes; {limit} is {bytes_max}")]
    RowTooLarge {
        /// `entity key` or `values`.
        what: &'static str,
        /// Position in the batch.
        row: usize,
        /// Its bytes.
        bytes: usize,
        /// Name of the limit.
        limit: &'static str,
        /// The limit.
        bytes_max: usize,
    },
    /// Two entity keys with one hash. Nothing of the batch is written.
    #[error("the entity key of row {row} of the batch has the hash of another stored key")]
    KeyCollision {
        /// Position in the batch.
        row: usize,
    },
    /// An instant of the past, of which an entity has tiles alone.
    #[error(
        "the events of the entity before {horizon} are kept as tiles alone, so only instants from then on can be asked for"
    )]
    BehindHorizon {
        /// The first instant that can be asked for.
        horizon: Timestamp,
    },
    /// The generation is no longer being built.
    #[error("the generation is no longer being built: it was dropped, or another process finished it")]
    GenerationGone,
    /// A generation is kept beside the live one.
    #[error("a generation is kept beside the live one")]
    GenerationKept,
    /// There is no generation beside the live one.
    #[error("the view has no generation beside the live one")]
    NoOtherGeneration,
    /// The writer's queue is full.
    #[error("{queue_batches_max} batches wait for the writer (queue_batches_max)")]
    QueueFull {
        /// The limit.
        queue_batches_max: usize,
    },
    /// The writer is gone.
    #[error("the writer of the online store has stopped; the batch may or may not be stored")]
    WriterStopped,
}

impl OnlineError {
    /// What the person in front of it can do, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            OnlineError::AlreadyOpen { .. } => "open it once and share the handle; `Store` is cheap to clone",
            OnlineError::NoStore { .. } => "materialize a feature view first",
            OnlineError::NotAStore { .. } => "name an empty folder, or one that does not exist yet",
            OnlineError::FormatNewer { .. } => "use the version of the program that wrote it, or a newer one",
            OnlineError::Forbidden { .. } => {
                "the user of this process must be able to write there, on a file system that is not read-only; what only reads goes on"
            }
            OnlineError::DiskFull { .. } => {
                "make room; what is stored can still be read, and writing resumes by itself"
            }
            OnlineError::MapFull { .. } => {
                "raise map_bytes_max, and the address space that the process may use (ulimit -v)"
            }
            OnlineError::ReadersFull { .. } => {
                "raise readers_max; it counts once every process that has the store open has closed it"
            }
            OnlineError::ReadOnly { .. } => "open the store for writing",
            OnlineError::DefinitionChanged { .. } => {
                "raise the version of the view: what a version means never changes"
            }
            OnlineError::SchemaChanged { .. } => "raise the version of the view and materialize it again",
            OnlineError::BehindHorizon { .. } => {
                "ask for a later instant, or raise the `lateness` of the view in a new version; `tandem parity --replay` and training sets answer any instant"
            }
            OnlineError::GenerationKept => "drop it first: `tandem online drop VIEW`",
            OnlineError::GenerationGone | OnlineError::NoOtherGeneration => {
                "`tandem materialize --rebuild` builds one; `tandem online stats` shows those that there are"
            }
            OnlineError::BatchTooLarge { .. } => "divide the batch",
            OnlineError::QueueFull { .. } => "try again later",
            _ => return None,
        })
    }
}
