//! The LMDB environment. The only module that knows LMDB.
//!
//! What it takes care of, so that nobody else has to:
//!
//! - one environment per path and process ([`crate::exclusive`]);
//! - readers belong to their transaction, not to their thread (`NO_TLS`), and those of dead processes are cleared at every opening;
//! - the map grows when it is full, and follows when another process grew it. LMDB cannot remap under a transaction, and
//!   loses its map for good when remapping fails, so the environment is closed and opened anew, with writers stopped and
//!   readers drained: every transaction holds the lock of the slot shared, remapping holds it alone;
//! - a commit returns when the data is on disk, unless the options say otherwise ([`Fsync`]);
//! - no transaction and no cursor leaves this module, so none can outlive what it points into.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock};

use lmdb::{Cursor as _, Database, DatabaseFlags, EnvironmentFlags, Transaction as _, WriteFlags};

use tandem_core::definition::Fsync;

use crate::error::OnlineError;
use crate::exclusive::Exclusive;
use crate::options::{MAP_BYTES_MIN, StoreOptions};

mod fault;
mod transaction;

pub(crate) use fault::Fault;
pub(crate) use transaction::{Snapshot, WriteTransaction};

/// Longest key that LMDB takes, in bytes (`MDB_MAXKEYSIZE`).
pub(crate) const KEY_BYTES_MAX: usize = 511;

/// How often an operation follows a map that changes under it before it gives up. Growing doubles the map, so this is out of reach unless something else is wrong.
const REMAPS_MAX: usize = 64;

/// Maps are whole multiples of this many bytes: of every page size there is.
const MAP_BYTES_UNIT: usize = 64 << 10;

const DATA_FILE: &str = "data.mdb";

/// No environment is shorter: it begins with two pages, and no page is smaller than 4 KiB.
const ENVIRONMENT_BYTES_MIN: u64 = 8 << 10;

/// The operation that opens an environment, for errors.
const OPEN: &str = "open the environment";

const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// A named database of the environment.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Table {
    /// The store's format.
    Meta,
    /// Views and their numbers.
    Views,
    /// Feature rows.
    Records,
    /// Rows that were pushed and are not yet in the offline history. Not in stores of format 1.
    Log,
    /// What is kept of views beside their rows. Not in stores of format 1.
    State,
    /// Events of views of aggregates, and tiles over them. Not in stores of format 1.
    Windows,
}

impl Table {
    const ALL: [(Table, &'static str); 6] = [
        (Table::Meta, "meta"),
        (Table::Views, "views"),
        (Table::Records, "records"),
        (Table::Log, "log"),
        (Table::State, "state"),
        (Table::Windows, "windows"),
    ];

    /// Whether stores of every format have it.
    fn is_old(self) -> bool {
        matches!(self, Table::Meta | Table::Views | Table::Records)
    }
}

/// What a process may do with the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    ReadWrite,
}

/// Sizes of the environment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) map_bytes: usize,
    pub(crate) used_bytes: usize,
    pub(crate) readers: u32,
    pub(crate) readers_max: u32,
}

/// By [`Table::ALL`]. None: a store of an older format that is open for reading; it is as if the table were empty.
type Tables = [Option<Database>; Table::ALL.len()];

/// An open environment and its databases.
struct Open {
    env: lmdb::Environment,
    tables: Tables,
}

/// Why an environment did not open.
enum Refusal {
    Lmdb(lmdb::Error),
    Foreign,
    Missing,
}

impl From<lmdb::Error> for Refusal {
    fn from(error: lmdb::Error) -> Self {
        Refusal::Lmdb(error)
    }
}

struct Slot {
    /// None only after an opening failed while the map was being changed; the next operation tries again.
    open: Option<Open>,
    map_bytes: usize,
    /// Counts remappings, so that of many threads that met the same full map only one remaps.
    generation: u64,
}

#[derive(Debug, Clone, Copy)]
enum Remap {
    Grow,
    Follow,
    Reopen,
}

pub(crate) struct Environment {
    path: PathBuf,
    access: Access,
    options: StoreOptions,
    slot: RwLock<Slot>,
    /// Held around write transactions: of a process's threads only one waits for LMDB's own lock while it holds the slot.
    writing: Mutex<()>,
    // Last: the path is free only once the environment is closed.
    _exclusive: Exclusive,
}

impl Environment {
    /// Opens the environment in a folder, for writing made where it does not exist.
    pub(crate) fn open(path: &Path, access: Access, options: &StoreOptions) -> Result<Environment, OnlineError> {
        let io = |operation, source| OnlineError::Io { operation, path: path.to_owned(), source };
        if path.is_file() {
            return Err(OnlineError::NotAStore { path: path.to_owned(), reason: "it is a file".to_owned() });
        }
        if access == Access::ReadWrite {
            DirBuilder::new()
                .recursive(true)
                .mode(FOLDER_MODE)
                .create(path)
                .map_err(|error| io("create the folder", error))?;
        } else if !path.join(DATA_FILE).exists() {
            return Err(OnlineError::NoStore { path: path.to_owned() });
        }
        let path = path.canonicalize().map_err(|error| io("resolve", error))?;
        let exclusive =
            Exclusive::claim(path.clone()).ok_or_else(|| OnlineError::AlreadyOpen { path: path.clone() })?;
        let fresh = !path.join(DATA_FILE).exists();
        let mut options = options.clone();
        options.map_bytes = options.map_bytes.max(MAP_BYTES_MIN);
        let environment = Environment {
            slot: RwLock::new(Slot { open: None, map_bytes: options.map_bytes, generation: 0 }),
            path,
            access,
            options,
            writing: Mutex::new(()),
            _exclusive: exclusive,
        };
        {
            // A reader takes the map as its writer made it.
            let wanted = (access == Access::ReadWrite).then_some(environment.options.map_bytes);
            let mut slot = environment.slot.write().unwrap_or_else(PoisonError::into_inner);
            let opened = environment.open_shrinking(wanted);
            if opened.is_err() && fresh {
                environment.remove_beginning();
            }
            let (open, map_bytes) = opened?;
            (slot.open, slot.map_bytes) = (Some(open), map_bytes);
        }
        if fresh {
            // LMDB syncs its files, not the folder that names them.
            let folder = File::open(&environment.path).and_then(|folder| folder.sync_all());
            folder.map_err(|source| OnlineError::Io {
                operation: "sync the folder",
                path: environment.path.clone(),
                source,
            })?;
        }
        Ok(environment)
    }

    /// Removes a data file that was begun and is no environment: on a full disk LMDB leaves one of its two first pages, and would take it for
    /// something else at the next opening. Another process that was luckier has made a longer one, which stays.
    fn remove_beginning(&self) {
        let path = self.path.join(DATA_FILE);
        let begun = std::fs::metadata(&path).is_ok_and(|found| found.len() < ENVIRONMENT_BYTES_MIN);
        if begun && let Err(error) = std::fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "cannot remove what was begun of an online store");
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `job` in a read transaction: one snapshot of all tables. It runs again if the map has to be changed first.
    pub(crate) fn read<T>(&self, mut job: impl FnMut(&Snapshot<'_>) -> Result<T, Fault>) -> Result<T, OnlineError> {
        self.attempt(|open| {
            let txn = open.env.begin_ro_txn().map_err(|error| self.fault("begin a read transaction", error))?;
            job(&Snapshot::new(self, &txn, &open.tables))
        })
    }

    /// Whether [`Environment::read`] would have to wait now: the map is about to grow, or grows.
    pub(crate) fn is_held(&self) -> bool {
        matches!(self.slot.try_read(), Err(std::sync::TryLockError::WouldBlock))
    }

    /// Runs `job` in a write transaction and commits. It runs again, from the start, each time the map has grown.
    pub(crate) fn write<T>(
        &self,
        mut job: impl FnMut(&mut WriteTransaction<'_, '_>) -> Result<T, Fault>,
    ) -> Result<T, OnlineError> {
        if self.access == Access::Read {
            return Err(OnlineError::ReadOnly { path: self.path.clone() });
        }
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.attempt(|open| {
            let mut txn = open.env.begin_rw_txn().map_err(|error| self.fault("begin a write transaction", error))?;
            let value = job(&mut WriteTransaction::new(self, &mut txn, &open.tables))?;
            txn.commit().map_err(|error| self.fault("commit", error))?;
            Ok(value)
        })
    }

    /// Sizes as of now.
    pub(crate) fn usage(&self) -> Result<Usage, OnlineError> {
        self.attempt(|open| {
            let fault = |error| self.fault("read the sizes", error);
            let (info, stat) = (open.env.info().map_err(fault)?, open.env.stat().map_err(fault)?);
            Ok(Usage {
                map_bytes: info.map_size(),
                used_bytes: (info.last_pgno() + 1) * stat.page_size() as usize,
                readers: info.num_readers(),
                readers_max: info.max_readers(),
            })
        })
    }

    fn attempt<T>(&self, mut job: impl FnMut(&Open) -> Result<T, Fault>) -> Result<T, OnlineError> {
        for _ in 0..REMAPS_MAX {
            let slot = self.slot.read().unwrap_or_else(PoisonError::into_inner);
            let (generation, map_bytes) = (slot.generation, slot.map_bytes);
            let fault = match &slot.open {
                Some(open) => match job(open) {
                    Ok(value) => return Ok(value),
                    Err(fault) => fault,
                },
                None => Fault::Broken,
            };
            drop(slot);
            let how = match fault {
                Fault::MapFull => Remap::Grow,
                Fault::MapResized => Remap::Follow,
                Fault::Broken => Remap::Reopen,
                Fault::ReadersFull => {
                    self.make_room_for_readers()?;
                    continue;
                }
                Fault::Error(error) => return Err(error),
            };
            tracing::debug!(path = %self.path.display(), map_bytes, ?how, "online store is opened anew");
            self.remap(generation, how)?;
        }
        Err(self.environment_error("follow the changes of the map", lmdb::Error::MapResized))
    }

    /// Frees the slots of readers that died since the environment was opened; an error if there are none.
    fn make_room_for_readers(&self) -> Result<(), OnlineError> {
        let slot = self.slot.read().unwrap_or_else(PoisonError::into_inner);
        let check = slot.open.as_ref().map_or(Ok(0), |open| clear_stale_readers(&open.env));
        match check.map_err(|error| self.error("check the readers", error))? {
            0 => Err(OnlineError::ReadersFull { path: self.path.clone(), readers_max: self.options.readers_max }),
            stale => {
                tracing::warn!(path = %self.path.display(), stale, "online store had readers of dead processes");
                Ok(())
            }
        }
    }

    fn remap(&self, seen: u64, how: Remap) -> Result<(), OnlineError> {
        let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
        if slot.generation != seen {
            return Ok(());
        }
        let before = slot.map_bytes;
        let full = OnlineError::MapFull {
            path: self.path.clone(),
            map_bytes: before,
            map_bytes_max: self.options.map_bytes_max,
        };
        if matches!(how, Remap::Grow) && before >= self.options.map_bytes_max {
            return Err(full);
        }
        slot.generation += 1;
        slot.open = None;
        if let Remap::Grow = how {
            // Less than double only where the address space has no more.
            for wanted in [before.saturating_mul(2), before.saturating_add(before / 4)] {
                let wanted = wanted.min(self.options.map_bytes_max);
                match self.open_sized(Some(wanted)) {
                    Ok(open) => {
                        (slot.open, slot.map_bytes) = (Some(open), wanted);
                        tracing::info!(path = %self.path.display(), map_bytes = wanted, "online store grew its map");
                        return Ok(());
                    }
                    Err(refusal) if out_of_address_space(&refusal) => (),
                    Err(refusal) => return Err(self.refused(refusal)),
                }
            }
        }
        // None: as large as the process that grew it last made it.
        let wanted = (!matches!(how, Remap::Follow)).then_some(before);
        let (open, map_bytes) = self.open_shrinking(wanted)?;
        (slot.open, slot.map_bytes) = (Some(open), map_bytes);
        if let Remap::Grow = how { Err(full) } else { Ok(()) }
    }

    /// Opens with the wanted map, or with half of it, and half again, where the address space has no room.
    fn open_shrinking(&self, wanted: Option<usize>) -> Result<(Open, usize), OnlineError> {
        let mut refusal = match self.open_sized(wanted) {
            Ok(open) => return self.with_size(open),
            Err(refusal) => refusal,
        };
        let mut map_bytes = wanted.unwrap_or(self.options.map_bytes.saturating_mul(2));
        while out_of_address_space(&refusal) && map_bytes > MAP_BYTES_MIN {
            map_bytes = (map_bytes / 2).max(MAP_BYTES_MIN);
            match self.open_sized(Some(map_bytes)) {
                Ok(open) => {
                    tracing::warn!(path = %self.path.display(), map_bytes, "online store has a smaller map than asked: no more address space");
                    return self.with_size(open);
                }
                Err(next) => refusal = next,
            }
        }
        Err(self.refused(refusal))
    }

    fn with_size(&self, open: Open) -> Result<(Open, usize), OnlineError> {
        let info = open.env.info().map_err(|error| self.environment_error("read the sizes", error))?;
        Ok((open, info.map_size()))
    }

    fn open_sized(&self, map_bytes: Option<usize>) -> Result<Open, Refusal> {
        let mut builder = lmdb::Environment::new();
        let read_only =
            if self.access == Access::Read { EnvironmentFlags::READ_ONLY } else { EnvironmentFlags::empty() };
        let sync = match self.options.fsync {
            Fsync::Always => EnvironmentFlags::empty(),
            Fsync::Data => EnvironmentFlags::NO_META_SYNC,
        };
        builder
            .set_flags(EnvironmentFlags::NO_TLS | read_only | sync)
            .set_max_readers(self.options.readers_max)
            .set_max_dbs(Table::ALL.len() as u32);
        if let Some(map_bytes) = map_bytes {
            builder.set_map_size(map_bytes - map_bytes % MAP_BYTES_UNIT);
        }
        let env = builder.open_with_permissions(&self.path, FILE_MODE)?;
        let stale = clear_stale_readers(&env)?;
        if stale > 0 {
            tracing::warn!(path = %self.path.display(), stale, "online store had readers of dead processes");
        }
        let tables = open_tables(&env, self.access)?;
        Ok(Open { env, tables })
    }

    fn refused(&self, refusal: Refusal) -> OnlineError {
        let path = self.path.clone();
        match refusal {
            Refusal::Missing => OnlineError::NoStore { path },
            Refusal::Foreign => {
                OnlineError::NotAStore { path, reason: "an LMDB environment with other tables".to_owned() }
            }
            Refusal::Lmdb(error @ (lmdb::Error::Invalid | lmdb::Error::VersionMismatch)) => {
                OnlineError::NotAStore { path, reason: error.to_string() }
            }
            Refusal::Lmdb(error) => self.error(OPEN, error),
        }
    }
}

fn out_of_address_space(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Lmdb(lmdb::Error::Other(code))
        if std::io::Error::from_raw_os_error(*code).kind() == std::io::ErrorKind::OutOfMemory)
}

/// Opens the databases, for writing makes those that are missing: a process may have died while it made them.
fn open_tables(env: &lmdb::Environment, access: Access) -> Result<Tables, Refusal> {
    let main = env.open_db(None)?;
    let entries = env.begin_ro_txn()?.stat(main)?.entries();
    let open = |name| match env.open_db(Some(name)) {
        Ok(database) => Ok(Some(database)),
        Err(lmdb::Error::NotFound) => Ok(None),
        // The name is there and is no database.
        Err(lmdb::Error::Incompatible) => Err(Refusal::Foreign),
        Err(error) => Err(Refusal::Lmdb(error)),
    };
    if entries > 0 && open(Table::ALL[0].1)?.is_none() {
        return Err(Refusal::Foreign);
    }
    let mut tables = [None; Table::ALL.len()];
    for (place, (table, name)) in tables.iter_mut().zip(Table::ALL) {
        *place = match open(name)? {
            None if access == Access::ReadWrite => Some(env.create_db(Some(name), DatabaseFlags::empty())?),
            None if table.is_old() => return Err(Refusal::Missing),
            found => found,
        };
    }
    Ok(tables)
}

/// Frees the slots of readers whose process is dead; they would keep old pages from being used again. Gives their number.
#[allow(unsafe_code, reason = "lmdb-rkv has no reader check and hides its ffi")]
fn clear_stale_readers(env: &lmdb::Environment) -> Result<usize, lmdb::Error> {
    let mut dead = 0;
    // SAFETY: the pointer is that of an open environment, which outlives the call; `dead` is written before it returns.
    match unsafe { lmdb_sys::mdb_reader_check(env.env(), &mut dead) } {
        0 => Ok(dead as usize),
        code => Err(lmdb::Error::from_err_code(code)),
    }
}
