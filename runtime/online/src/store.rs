//! Open a store, look entities up, write rows that are newer.

mod carry;
mod copy;
mod expiry;
mod newest;
mod push;
mod whole;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tandem_core::hash::Digest;
use tandem_core::model::BoundView;
use tandem_core::time::{Duration, Timestamp};
use tandem_core::types::{FIELD_NAME_BYTES_MAX, is_name};

use crate::environment::{Access, Environment, Fault, Snapshot, Table, WriteTransaction};
use crate::error::OnlineError;
use crate::format;
use crate::generation::Target;
use crate::key::{KeyHash, RecordKey};
use crate::options::StoreOptions;
use crate::record::{Corruption, RecordOf, RecordRef, Stored};
use crate::view::{View, ViewId, ViewIdentity, entry_key};
use crate::windows::{How, Place, WindowView};

pub use carry::RestoredView;
pub use copy::{AGE_BOUNDS_SECONDS, CopyReport, ViewStats};
pub use expiry::Expired;
pub(crate) use push::{Batch, Kind};
pub use push::{PushReport, PushTo, RowOutcome};

/// The online store. A cheap handle; the store is closed with the last one. Calls block on the disk: make them on a
/// worker, never on the async executor.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    environment: Environment,
    options: StoreOptions,
    hash: KeyHash,
    /// How events of views of aggregates are kept, made once for each.
    windows: Mutex<HashMap<Keeping, Arc<WindowView>>>,
}

/// A definition's hash, and the retention, which is no part of it.
type Keeping = (Digest, Option<Duration>);

/// What a lookup of one entity found. `R` holds the canonical bytes of a row: see [`Lookup`] and [`LookupRef`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookupOf<R> {
    /// Its newest row.
    Found(RecordOf<R>),
    /// Of a view of aggregates: its values, without those of the features whose components failed, by their position, with why.
    Partly(RecordOf<R>, Vec<(usize, String)>),
    /// Its newest row is older than the view's ttl, and its values were removed: the record's row is empty.
    Removed(RecordOf<R>),
    /// No row.
    NotFound,
    /// A row that cannot be read. Other entities are not affected, and the next write replaces it.
    Corrupt(Corruption),
}

/// What was found, with bytes of its own.
pub type Lookup = LookupOf<Vec<u8>>;

/// What was found, with the bytes of the snapshot.
pub type LookupRef<'a> = LookupOf<&'a [u8]>;

impl LookupRef<'_> {
    /// The same with bytes of its own.
    pub fn to_owned(&self) -> Lookup {
        match self {
            LookupOf::Found(record) => Lookup::Found(record.to_owned()),
            LookupOf::Partly(record, failed) => Lookup::Partly(record.to_owned(), failed.clone()),
            LookupOf::Removed(record) => Lookup::Removed(record.to_owned()),
            LookupOf::NotFound => Lookup::NotFound,
            LookupOf::Corrupt(corruption) => Lookup::Corrupt(*corruption),
        }
    }
}

/// A row to write.
#[derive(Debug, Clone, Copy)]
pub struct PutRow<'a> {
    /// The entity ([`tandem_core::key`]).
    pub key: &'a [u8],
    /// The row.
    pub record: RecordRef<'a>,
}

/// What became of events of the offline history.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventsPut {
    /// Events that are new.
    pub written: usize,
    /// The positions of events that lie behind the horizon of their entity, and of which it is not known whether its tiles have them: they were not written.
    pub behind_horizon: Vec<usize>,
}

/// A stored row that no longer counts: it was retracted, or a later version stands in its place.
#[derive(Debug, Clone, Copy)]
pub struct TakenBack<'a> {
    /// The entity.
    pub key: &'a [u8],
    /// The row as it is stored.
    pub stored: RecordRef<'a>,
    /// The greatest row of the entity that counts; None where there is none.
    pub instead: Option<RecordRef<'a>>,
}

/// What became of the rows of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PutReport {
    /// Rows that were written.
    pub written: usize,
    /// Rows that were not: the stored row, or another of the batch, is greater or equal.
    pub kept: usize,
    /// Rows among the written that replaced a record that could not be read.
    pub repaired: usize,
}

/// Sizes of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Rows, over all views.
    pub entries: usize,
    /// Versions of views.
    pub views: usize,
    /// Bytes of the data file that are in use or were; pages that old transactions left are used again.
    pub used_bytes: usize,
    /// Address space reserved for the data, in bytes.
    pub map_bytes: usize,
    /// Reader slots that were ever used at one moment, over all processes.
    pub readers: u32,
    /// Reader slots that there are.
    pub readers_max: u32,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("path", &self.path()).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store in a folder, which is made (for its owner alone) where it does not exist.
    ///
    /// # Errors
    /// The process has it open already; something else is there; it has a newer format; the system refuses.
    pub fn open(path: &Path, options: StoreOptions) -> Result<Store, OnlineError> {
        let store = Store::open_as(path, Access::ReadWrite, options, Digest::of)?;
        format::check_or_write(&store.inner.environment)?;
        Ok(store)
    }

    /// Opens a store that exists, for reading, beside processes that write to it. The process must be able to write to
    /// the lock file, so it should run as the same user.
    ///
    /// # Errors
    /// As [`Store::open`], and [`OnlineError::NoStore`].
    pub fn open_read_only(path: &Path, options: StoreOptions) -> Result<Store, OnlineError> {
        let store = Store::open_as(path, Access::Read, options, Digest::of)?;
        format::check(&store.inner.environment)?;
        Ok(store)
    }

    fn open_as(path: &Path, access: Access, options: StoreOptions, hash: KeyHash) -> Result<Store, OnlineError> {
        let environment = Environment::open(path, access, &options)?;
        Ok(Store { inner: Arc::new(Inner { environment, options, hash, windows: Mutex::default() }) })
    }

    /// Its folder, canonical.
    pub fn path(&self) -> &Path {
        self.inner.environment.path()
    }

    pub(crate) fn hash(&self) -> KeyHash {
        self.inner.hash
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.inner.environment
    }

    /// Its limits.
    pub fn options(&self) -> &StoreOptions {
        &self.inner.options
    }

    /// The number of a view's version, which is registered at its first use.
    ///
    /// # Errors
    /// [`OnlineError::DefinitionChanged`] where the version is stored with another definition.
    pub fn view(&self, identity: &ViewIdentity<'_>) -> Result<ViewId, OnlineError> {
        if !is_name(identity.name) {
            return Err(OnlineError::ViewName { name: identity.name.chars().take(FIELD_NAME_BYTES_MAX).collect() });
        }
        if let Some(view) = self.find_view(identity.name, identity.version)? {
            return matching(&view, identity);
        }
        let key = entry_key(identity.name, identity.version);
        self.inner.environment.write(|txn| {
            // Another process may have registered it since.
            if let Some(bytes) = txn.get(Table::Views, &key)? {
                return Ok(matching(&self.decode_view(&key, bytes)?, identity)?);
            }
            // Entries are never removed, so their number is the greatest number given out.
            let id = ViewId::new(txn.len(Table::Views)? as u32 + 1);
            let view = View {
                id,
                name: identity.name.to_owned(),
                version: identity.version,
                definition_hash: identity.definition_hash,
                digest: identity.digest,
                schema_fingerprint: identity.schema_fingerprint,
                created_at: now(),
            };
            txn.put(Table::Views, &key, &view.encode())?;
            Ok(id)
        })
    }

    /// A view's version, if the store has it.
    pub fn find_view(&self, name: &str, version: u32) -> Result<Option<View>, OnlineError> {
        if !is_name(name) {
            return Ok(None);
        }
        let key = entry_key(name, version);
        self.inner.environment.read(|snapshot| {
            snapshot
                .get(Table::Views, &key)?
                .map(|bytes| self.decode_view(&key, bytes))
                .transpose()
                .map_err(Fault::from)
        })
    }

    /// All versions of all views, by name and version.
    pub fn views(&self) -> Result<Vec<View>, OnlineError> {
        self.inner.environment.read(|snapshot| {
            let mut views = Vec::new();
            snapshot.for_each(Table::Views, |key, bytes| {
                views.push(self.decode_view(key, bytes)?);
                Ok(())
            })?;
            Ok(views)
        })
    }

    /// Looks entities of one view up, in one snapshot. The answers have the length and the order of `keys`, where a key may stand more than once.
    pub fn get_many<K: AsRef<[u8]>>(&self, view: ViewId, keys: &[K]) -> Result<Vec<Lookup>, OnlineError> {
        let probes: Vec<_> = keys.iter().map(|key| (view, key.as_ref())).collect();
        self.get_many_of(&probes)
    }

    /// Whether a read would have to wait now, until the map has grown or what holds it up is over; a moment later it may be otherwise.
    pub fn is_held(&self) -> bool {
        self.inner.environment.is_held()
    }

    /// As [`Store::get_many`], over several views in one snapshot.
    pub fn get_many_of<K: AsRef<[u8]>>(&self, probes: &[(ViewId, K)]) -> Result<Vec<Lookup>, OnlineError> {
        self.read_many_of(probes, |lookups| lookups.iter().map(LookupRef::to_owned).collect())
    }

    /// What `read` makes of what [`Store::get_many_of`] gives, as it stands in the snapshot, which is open until then: nothing is copied. It may be called
    /// again.
    pub fn read_many_of<K: AsRef<[u8]>, T>(
        &self,
        probes: &[(ViewId, K)],
        mut read: impl FnMut(Vec<LookupRef<'_>>) -> T,
    ) -> Result<T, OnlineError> {
        self.inner.environment.read(|snapshot| {
            // The generation and its rows are of one snapshot.
            let mut numbers: Vec<(ViewId, ViewId)> = Vec::new();
            let mut record_keys = Vec::with_capacity(probes.len());
            for (view, key) in probes {
                let known = numbers.iter().rev().find(|(known, _)| known == view).map(|(_, number)| *number);
                let number = match known {
                    Some(number) => number,
                    None => {
                        let number = self.live_number(snapshot, *view)?;
                        numbers.push((*view, number));
                        number
                    }
                };
                record_keys.push(RecordKey::new(number, key.as_ref(), self.inner.hash));
            }
            // In the order of keys, neighbours are on pages that the one before has touched.
            let mut order: Vec<_> = record_keys.iter().map(RecordKey::head).zip(0..).collect();
            order.sort_unstable_by(|(head, index), (other_head, other)| {
                head.cmp(other_head).then_with(|| record_keys[*index].cmp(&record_keys[*other]))
            });
            // All are found before the first is read: the processor has several on the way from memory then.
            let mut values: Vec<Option<&[u8]>> = vec![None; probes.len()];
            for (_, index) in order {
                values[index] = snapshot.get(Table::Records, record_keys[index].as_bytes())?;
            }
            let each = values.into_iter().zip(&record_keys).zip(probes);
            Ok(read(each.map(|((bytes, record_key), (_, key))| found(bytes, record_key, key.as_ref())).collect()))
        })
    }

    /// Writes, in one transaction, those rows that are greater than the stored row of their entity (and than the others
    /// of the batch) in the total order of [`tandem_core::order`]. When it returns, they are on disk.
    ///
    /// # Errors
    /// Nothing of the batch is written.
    pub fn put_if_newer(&self, target: impl Into<Target>, rows: &[PutRow<'_>]) -> Result<PutReport, OnlineError> {
        self.check_batch(rows)?;
        let batch = Batch { target: target.into(), rows: rows.to_vec(), kind: Kind::Materialized, windows: None };
        Ok(self.commit(&[batch], now)?.remove(0).put)
    }

    /// How the events of a view of aggregates are kept; None for every other view.
    pub fn window_view(&self, view: &BoundView) -> Option<Arc<WindowView>> {
        let key = (view.definition_hash, view.view.aggregates.as_ref()?.retention);
        let mut known = self.inner.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(windows) = known.get(&key) {
            return Some(Arc::clone(windows));
        }
        let windows = WindowView::new(view)?;
        known.insert(key, Arc::clone(&windows));
        Some(windows)
    }

    /// Writes, in one transaction, the events of a view of aggregates that are not there yet, as they are in the offline history. `equals` is of each where it
    /// stands among those that are equal to it. When it returns, they are on disk. Nothing is folded: [`Store::fold`] does it once all of the history is there.
    ///
    /// # Errors
    /// Nothing of the batch is written.
    pub fn put_events(
        &self,
        target: impl Into<Target>,
        windows: &WindowView,
        rows: &[PutRow<'_>],
        equals: &[Place],
    ) -> Result<EventsPut, OnlineError> {
        self.put_events_at(target, windows, rows, equals, now())
    }

    /// As [`Store::put_events`] at another instant than the present, by which what no window reaches is dropped.
    ///
    /// # Errors
    /// Nothing of the batch is written.
    pub fn put_events_at(
        &self,
        target: impl Into<Target>,
        windows: &WindowView,
        rows: &[PutRow<'_>],
        equals: &[Place],
        at: Timestamp,
    ) -> Result<EventsPut, OnlineError> {
        self.check_batch(rows)?;
        let target = target.into();
        let fates = self.inner.environment.write(|txn| {
            let numbers = self.numbers_in(txn, target)?;
            let how = How { hash: self.hash(), history: true, now: at, folds: false };
            self.put_events_in(txn, (target.view, numbers), windows, (rows, equals), how)
        })?;
        Ok(EventsPut {
            written: fates.iter().filter(|fate| fate.is_new).count(),
            behind_horizon: (0..fates.len()).filter(|row| fates[*row].is_late).collect(),
        })
    }

    /// Puts, in one transaction, other rows in the place of stored ones, also smaller ones or none. An entity whose stored row is not the one that is
    /// named keeps it. Gives the number of those that did not. When it returns, they are on disk.
    ///
    /// # Errors
    /// Nothing is changed.
    pub fn take_back(&self, target: impl Into<Target>, rows: &[TakenBack<'_>]) -> Result<usize, OnlineError> {
        let target = target.into();
        let puts: Vec<PutRow<'_>> =
            rows.iter().filter_map(|row| Some(PutRow { key: row.key, record: row.instead? })).collect();
        self.check_batch(&puts)?;
        self.inner.environment.write(|txn| {
            let numbers = self.numbers_in(txn, target)?;
            let (mut taken, mut bytes) = (0, Vec::new());
            for row in rows {
                let mut is_taken = self.take_back_in(txn, numbers.first, row, &mut bytes)?;
                if let Some(second) = numbers.second {
                    is_taken |= self.take_back_in(txn, second, row, &mut bytes)?;
                }
                taken += usize::from(is_taken);
            }
            Ok(taken)
        })
    }

    fn take_back_in(
        &self,
        txn: &mut WriteTransaction<'_, '_>,
        number: ViewId,
        TakenBack { key, stored, instead }: &TakenBack<'_>,
        bytes: &mut Vec<u8>,
    ) -> Result<bool, Fault> {
        let record_key = RecordKey::new(number, key, self.inner.hash);
        let found = txn.get(Table::Records, record_key.as_bytes())?.map(|bytes| read(&record_key, bytes));
        let Some(Ok(found)) = found else { return Ok(false) };
        if found.full_key.is_some_and(|found| found != *key) || found.compare(&stored.order(), false).is_ne() {
            return Ok(false);
        }
        match instead {
            Some(record) => {
                let full_key = record_key.is_hashed().then_some(*key);
                Stored { record: *record, full_key, in_history: true, removed: false, until: None }.encode(bytes);
                txn.put(Table::Records, record_key.as_bytes(), bytes)?;
            }
            None => drop(txn.delete(Table::Records, record_key.as_bytes())?),
        }
        Ok(true)
    }

    /// Of each row whether it is the stored one of its entity, in any of the generations that are written to.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn are_stored(&self, target: impl Into<Target>, rows: &[PutRow<'_>]) -> Result<Vec<bool>, OnlineError> {
        let target = target.into();
        self.inner.environment.read(|snapshot| {
            let numbers: Vec<ViewId> = match target.building {
                Some(number) => vec![number],
                None => self.generations_at(snapshot, target.view)?.all().map(|found| found.number).collect(),
            };
            let mut stored = vec![false; rows.len()];
            for (row, stored) in rows.iter().zip(&mut stored) {
                for number in &numbers {
                    let record_key = RecordKey::new(*number, row.key, self.inner.hash);
                    let found = snapshot.get(Table::Records, record_key.as_bytes())?;
                    if let Some(Ok(found)) = found.map(|bytes| read(&record_key, bytes)) {
                        *stored |= found.full_key.is_none_or(|found| found == row.key)
                            && found.compare(&row.record.order(), false).is_eq();
                    }
                }
            }
            Ok(stored)
        })
    }

    /// Checks the limits of a batch. Gives its bytes.
    pub(crate) fn check_batch(&self, rows: &[PutRow<'_>]) -> Result<usize, OnlineError> {
        let options = &self.inner.options;
        let mut total = 0;
        for (row, put) in rows.iter().enumerate() {
            for (what, bytes, limit, bytes_max) in [
                ("entity key", put.key.len(), "key_bytes_max", options.key_bytes_max),
                ("values", put.record.row.len(), "row_bytes_max", options.row_bytes_max),
            ] {
                if bytes > bytes_max {
                    return Err(OnlineError::RowTooLarge { what, row, bytes, limit, bytes_max });
                }
                total += bytes;
            }
        }
        let (rows_max, bytes_max) = (options.batch_rows_max, options.batch_bytes_max);
        if rows.len() > rows_max || total > bytes_max {
            return Err(OnlineError::BatchTooLarge { rows: rows.len(), bytes: total, rows_max, bytes_max });
        }
        Ok(total)
    }

    /// Sizes as of now.
    pub fn stats(&self) -> Result<Stats, OnlineError> {
        let environment = &self.inner.environment;
        let count = |snapshot: &Snapshot<'_>| Ok((snapshot.len(Table::Records)?, snapshot.len(Table::Views)?));
        let (entries, views) = environment.read(count)?;
        let usage = environment.usage()?;
        Ok(Stats {
            entries,
            views,
            used_bytes: usage.used_bytes,
            map_bytes: usage.map_bytes,
            readers: usage.readers,
            readers_max: usage.readers_max,
        })
    }

    fn decode_view(&self, key: &[u8], bytes: &[u8]) -> Result<View, OnlineError> {
        let path = self.inner.environment.path();
        View::decode(key, bytes).map_err(|reason| OnlineError::ViewCorrupt { path: path.to_owned(), reason })
    }
}

/// What the bytes of a record, if there are any, are for an entity.
fn found<'a>(bytes: Option<&'a [u8]>, record_key: &RecordKey, entity_key: &[u8]) -> LookupRef<'a> {
    let Some(bytes) = bytes else { return LookupOf::NotFound };
    match read(record_key, bytes) {
        // Another key with the same hash: this entity has no row.
        Ok(stored) if stored.full_key.is_some_and(|stored| stored != entity_key) => LookupOf::NotFound,
        Ok(stored) if stored.removed => LookupOf::Removed(stored.record),
        Ok(stored) => LookupOf::Found(stored.record),
        Err(corruption) => LookupOf::Corrupt(corruption),
    }
}

/// Reads a record, which must hold the full entity key exactly where its own key is a hash.
fn read<'a>(record_key: &RecordKey, bytes: &'a [u8]) -> Result<Stored<'a>, Corruption> {
    let stored = Stored::decode(bytes)?;
    if stored.full_key.is_some() != record_key.is_hashed() {
        return Err(Corruption::Layout { what: "the entity key is missing, or stands twice" });
    }
    Ok(stored)
}

fn matching(view: &View, identity: &ViewIdentity<'_>) -> Result<ViewId, OnlineError> {
    let (name, version) = (view.name.clone(), view.version);
    if view.definition_hash != identity.definition_hash {
        let (stored, given) = (view.definition_hash, identity.definition_hash);
        return Err(OnlineError::DefinitionChanged { view: name, version, stored, given });
    }
    if view.schema_fingerprint != identity.schema_fingerprint {
        let (stored, given) = (view.schema_fingerprint, identity.schema_fingerprint);
        return Err(OnlineError::SchemaChanged { view: name, version, stored, given });
    }
    Ok(view.id)
}

/// The system's clock.
pub(crate) fn now() -> Timestamp {
    // A clock before 1970 is no reason not to register a view.
    Timestamp(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64))
}

#[cfg(test)]
mod tests;
