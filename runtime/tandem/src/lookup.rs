//! What the online store has for entities, as statuses and columns: the same for the server and for `tandem get`.

mod keys;

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, ArrayRef, BooleanArray, Scalar, UInt32Array};
use arrow_select::zip::zip;
use tandem_core::canonical::{decode_rows, schema_fingerprint};
use tandem_core::key::KeyError;
use tandem_core::model::{BoundView, KnownBy};
use tandem_core::status::{FeatureStatus, Qualification, Status, has_ended, is_known, is_stale, qualifies};
use tandem_core::time::Timestamp;
use tandem_core::types::Field;
use tandem_online::{LookupOf, LookupRef, OnlineError, RecordHead, RecordOf, Store, ViewId};

use keys::Keys;

/// Why a lookup as a whole failed.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// Keys that are not the view's.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The store cannot be read.
    #[error(transparent)]
    Online(#[from] OnlineError),
}

/// One entity.
#[derive(Debug, Clone, PartialEq)]
pub struct Served {
    /// What its row is served as, before any default: never `NULL_VALUE` or `DEFAULTED`.
    pub status: Status,
    /// What is known of its row: where the status is `PRESENT`, `STALE` or `OUTSIDE_MAX_AGE`.
    pub record: Option<RecordHead>,
}

/// Entities in the order in which they were asked for.
#[derive(Debug, Clone)]
pub struct Found {
    /// One for each entity.
    pub rows: Vec<Served>,
    /// One column for each output of the signature: null where there is neither a value nor a default.
    pub features: Vec<ArrayRef>,
    /// For each output of the signature what it is served as, one for each entity. Features that are alike share them.
    pub statuses: Vec<Arc<[FeatureStatus]>>,
    /// Rows that could not be read, with the reason, for the log.
    pub corrupt: Vec<(usize, String)>,
}

/// The instant that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// The instant.
    pub as_of: Timestamp,
    /// Whether it is the present: then all that the store has is known, also what was published between the reading of the clock and of the store, or by a
    /// clock that was ahead.
    pub is_present: bool,
}

impl At {
    /// The present, by a clock that was just read.
    pub fn present(now: Timestamp) -> At {
        At { as_of: now, is_present: true }
    }

    /// An instant that the caller gives, of the past or not.
    pub fn replayed(as_of: Timestamp) -> At {
        At { as_of, is_present: false }
    }
}

/// Entities of a view that are looked up.
pub struct Ask<'a> {
    /// Its number in the store.
    pub id: ViewId,
    /// The view.
    pub view: &'a BoundView,
    /// Its [`fingerprint`].
    pub fingerprint: u64,
    /// One column for each of its join keys.
    pub keys: Vec<ArrayRef>,
}

impl<'a> Ask<'a> {
    /// With the fingerprint, which a server has worked out before.
    pub fn new(id: ViewId, view: &'a BoundView, keys: Vec<ArrayRef>) -> Self {
        Ask { id, view, fingerprint: fingerprint(view), keys }
    }
}

/// The fingerprint of a view's stored rows.
pub fn fingerprint(view: &BoundView) -> u64 {
    schema_fingerprint(&view.stored_fields())
}

/// What was found for the entities of one view, each entity once.
#[derive(Debug, Clone)]
pub struct LookedUp {
    /// The entities that differ.
    pub found: Found,
    /// For each row that was asked for the position of its entity in `found`; None where every row is another entity.
    pub places: Option<UInt32Array>,
}

impl LookedUp {
    /// The position in `found` of a row that was asked for.
    pub fn place(&self, row: usize) -> usize {
        self.places.as_ref().map_or(row, |places| places.value(row) as usize)
    }
}

/// Looks entities of several views up in one read transaction, views of aggregates each in one of its own; an entity that stands in several rows
/// once. Otherwise as [`lookup`]. Blocking.
///
/// # Errors
///
/// Keys that are not a view's, a store that cannot be read.
pub fn lookup_all(store: &Store, asks: &[Ask<'_>], at: At) -> Result<Vec<LookedUp>, LookupError> {
    let distinct = asks.iter().map(|ask| Ok(Keys::of_rows(ask.view, &ask.keys)?.distinct()));
    let distinct = distinct.collect::<Result<Vec<_>, KeyError>>()?;
    let asked: Vec<_> = std::iter::zip(asks, &distinct).map(|(ask, (keys, _))| (ask, keys)).collect();
    let is_windows: Vec<bool> = asks.iter().map(|ask| store.window_view(ask.view).is_some()).collect();
    let of = |windows: bool| {
        let of = std::iter::zip(&asked, &is_windows).filter(move |(_, is_windows)| **is_windows == windows);
        of.map(|(asked, _)| *asked)
    };
    let probes: Vec<_> = of(false).flat_map(|(ask, keys)| keys.whole().map(|key| (ask.id, key))).collect();
    let rows = store.read_many_of(&probes, |lookups| {
        let mut lookups = lookups.into_iter();
        let each = of(false).map(|(ask, keys)| found(ask.view, ask.fingerprint, in_places(keys, &mut lookups), at));
        each.collect::<Vec<_>>()
    })?;
    let windows = of(true).map(|(ask, keys)| look_up(store, ask, keys, at)).collect::<Result<Vec<_>, _>>()?;
    let (mut rows, mut windows) = (rows.into_iter(), windows.into_iter());
    let each = std::iter::zip(distinct, is_windows).map(|((_, places), is_windows)| {
        let found = if is_windows { windows.next() } else { rows.next() };
        LookedUp { found: found.expect("each was looked up"), places: places.map(UInt32Array::from) }
    });
    Ok(each.collect())
}

/// What was looked up of the keys that there are, with nothing found for the others.
fn in_places<R>(keys: &Keys, lookups: &mut impl Iterator<Item = LookupOf<R>>) -> Vec<LookupOf<R>> {
    keys.iter().map(|key| key.and_then(|_| lookups.next()).unwrap_or(LookupOf::NotFound)).collect()
}

/// Looks entities up in one read transaction, each as often as it stands there. Blocking.
///
/// An entity with a null or NaN key is `NOT_FOUND`. A row that cannot be read is that entity's `CORRUPT` and nobody else's.
pub fn lookup(store: &Store, ask: &Ask<'_>, at: At) -> Result<Found, LookupError> {
    look_up(store, ask, &Keys::of_rows(ask.view, &ask.keys)?, at)
}

fn look_up(store: &Store, ask: &Ask<'_>, keys: &Keys, at: At) -> Result<Found, LookupError> {
    let &Ask { id, view, fingerprint, .. } = ask;
    let Some(windows) = store.window_view(view) else {
        let asked: Vec<_> = keys.whole().map(|key| (id, key)).collect();
        let found =
            |lookups: Vec<LookupRef<'_>>| found(view, fingerprint, in_places(keys, &mut lookups.into_iter()), at);
        return Ok(store.read_many_of(&asked, found)?);
    };
    let features = (&view.signature.outputs[..], view.digest);
    let asked: Vec<_> = keys.whole().collect();
    let lookups = store.windows_of(id, &windows, features, &asked, (at.as_of, at.is_present))?;
    Ok(found(view, fingerprint, in_places(keys, &mut lookups.into_iter()), at))
}

/// What lookups mean for a view at an instant.
pub fn found<R: AsRef<[u8]>>(view: &BoundView, fingerprint: u64, lookups: Vec<LookupOf<R>>, at: At) -> Found {
    let stored = view.stored_fields();
    let mut corrupt = Vec::new();
    let mut failed = HashSet::new();
    let mut rows = Vec::with_capacity(lookups.len());
    let mut values = Vec::with_capacity(lookups.len());
    for (row, lookup) in lookups.into_iter().enumerate() {
        let mut damaged = |reason| {
            corrupt.push((row, reason));
            (Served { status: Status::Corrupt, record: None }, None)
        };
        let (served, of_row) = match lookup {
            LookupOf::NotFound => (Served { status: Status::NotFound, record: None }, None),
            LookupOf::Corrupt(corruption) => damaged(corruption.to_string()),
            LookupOf::Removed(record) => (serve_removed(view, record.split().0, at), None),
            LookupOf::Found(record) | LookupOf::Partly(record, _) if record.schema_fingerprint != fingerprint => {
                let found = record.schema_fingerprint;
                damaged(format!("its schema fingerprint is {found:016x}, the view's is {fingerprint:016x}"))
            }
            LookupOf::Found(record) => serve_row(view, record, at),
            LookupOf::Partly(record, features) => {
                for (feature, reason) in features {
                    let name = view.signature.outputs.get(feature).map(|output| output.name.as_str());
                    tracing::warn!(view = %view.view.id(), feature = name, reason, "the component of a feature failed");
                    failed.insert((row, feature));
                }
                serve_row(view, record, at)
            }
        };
        rows.push(served);
        values.push(of_row);
    }
    let mut features = columns(&stored, &mut rows, &values, &mut corrupt);
    if view.view.source.has_valid_to() {
        let ended = ended(view, features.pop(), at.as_of);
        if !ended.is_empty() {
            ended.into_iter().for_each(|row| rows[row].status = Status::OutsideMaxAge);
            features = columns(&stored, &mut rows, &values, &mut corrupt);
            features.pop();
        }
    }
    // Where a feature has a value in each row that has any, its statuses are those of the rows.
    let valueless = rows.iter().filter(|served| !served.status.gives_values()).count();
    let of_row = |served: &Served| FeatureStatus::of(served.status, false, false);
    let of_rows: Arc<[FeatureStatus]> = rows.iter().map(of_row).collect();
    let statuses = std::iter::zip(&view.signature.outputs, &mut features)
        .enumerate()
        .map(|(feature, (output, column))| {
            let default = view.defaults.get(&output.name);
            if default.is_none() && failed.is_empty() && column.null_count() == valueless {
                return Arc::clone(&of_rows);
            }
            let of = |(row, served): (usize, &Served)| match failed.contains(&(row, feature)) {
                true => FeatureStatus { status: Status::TransformError, reason: None },
                false => FeatureStatus::of(served.status, column.is_null(row), default.is_some()),
            };
            let statuses: Arc<[FeatureStatus]> = rows.iter().enumerate().map(of).collect();
            if let Some(default) = default {
                *column = stand_in(default, column, &statuses);
            }
            statuses
        })
        .collect();
    Found { rows, features, statuses, corrupt }
}

/// Rows of a dimension that are no longer valid, of those with a value in the column of ends.
fn ended(view: &BoundView, ends: Option<ArrayRef>, as_of: Timestamp) -> Vec<usize> {
    let Some(ends) = ends.as_ref().and_then(|ends| ends.as_primitive_opt::<TimestampMicrosecondType>()) else {
        return Vec::new();
    };
    let is_ended =
        |row: &usize| ends.is_valid(*row) && has_ended(Some(Timestamp(ends.value(*row))), as_of, view.view.as_of);
    (0..ends.len()).filter(is_ended).collect()
}

/// The column with the default where it stands in.
fn stand_in(default: &ArrayRef, column: &ArrayRef, statuses: &[FeatureStatus]) -> ArrayRef {
    let stands_in: BooleanArray = statuses.iter().map(|status| Some(status.status == Status::Defaulted)).collect();
    zip(&stands_in, &Scalar::new(default), column).expect("a default has its feature's type")
}

/// What a row is served as, and its bytes.
fn serve_row<R>(view: &BoundView, record: RecordOf<R>, at: At) -> (Served, Option<R>) {
    let (head, values) = record.split();
    (serve(view, head, at), Some(values))
}

fn serve(view: &BoundView, record: RecordHead, At { as_of, is_present }: At) -> Served {
    let view = &view.view;
    // The store is what is published, whatever delay is declared for rows offline.
    match qualifies(record.event_time, as_of, view.as_of, view.ttl) {
        Qualification::Expired => Served { status: Status::OutsideMaxAge, record: Some(record) },
        Qualification::Qualifies
            if is_present_known(is_present, view.known_by, &record)
                || is_known(view.known_by, record.created_time, record.published_time, as_of) =>
        {
            let stale = is_stale(record.event_time, as_of, view.freshness);
            Served { status: if stale { Status::Stale } else { Status::Present }, record: Some(record) }
        }
        // The store has the newest row alone; which one was the newest at an earlier instant it does not know.
        Qualification::Qualifies | Qualification::Future => Served { status: Status::NotFound, record: None },
    }
}

/// Whether a row is known since it is stored, and the present is asked for: its published time counts, and no created time that is later.
fn is_present_known(is_present: bool, known_by: KnownBy, record: &RecordHead) -> bool {
    is_present && (known_by == KnownBy::Published || record.created_time.is_none())
}

/// A row whose values were removed since it is older than the ttl: as it is too old now, it is at every instant that is asked for.
fn serve_removed(view: &BoundView, record: RecordHead, at: At) -> Served {
    match serve(view, record, at) {
        Served { status: Status::Present | Status::Stale, .. } => {
            Served { status: Status::OutsideMaxAge, record: Some(record) }
        }
        served => served,
    }
}

/// One column for each output, of the bytes of rows. A row whose bytes are malformed under a right checksum is a defect of whoever wrote it; it becomes corrupt.
fn columns<R: AsRef<[u8]>>(
    outputs: &[Field],
    rows: &mut [Served],
    values: &[Option<R>],
    corrupt: &mut Vec<(usize, String)>,
) -> Vec<ArrayRef> {
    fn bytes<'a, R: AsRef<[u8]>>((served, values): (&Served, &'a Option<R>)) -> Option<&'a [u8]> {
        values.as_ref().map(R::as_ref).filter(|_| served.status.gives_values())
    }
    loop {
        if let Ok(columns) = decode_rows(outputs, std::iter::zip(&*rows, values).map(bytes)) {
            return columns;
        }
        // Each row is looked at alone; at least one goes, so this ends.
        for (row, (served, values)) in std::iter::zip(&mut *rows, values).enumerate() {
            if let Some(encoded) = bytes((served, values))
                && let Err(error) = decode_rows(outputs, [Some(encoded)].into_iter())
            {
                corrupt.push((row, error.to_string()));
                *served = Served { status: Status::Corrupt, record: None };
            }
        }
    }
}
