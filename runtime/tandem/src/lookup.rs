//! What the online store has for entities, as statuses and columns: the same for the server and for `tandem get`.

use std::collections::{HashMap, HashSet};

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, ArrayRef, BooleanArray, Scalar};
use arrow_select::zip::zip;
use tandem_core::canonical::{decode_rows, schema_fingerprint};
use tandem_core::key::{EntityKey, KeyEncoder, KeyError};
use tandem_core::model::{BoundView, JoinKey, KnownBy};
use tandem_core::status::{FeatureStatus, Qualification, Status, has_ended, is_known, is_stale, qualifies};
use tandem_core::time::Timestamp;
use tandem_core::types::Field;
use tandem_online::{Lookup, OnlineError, Record, Store, ViewId};

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
    /// Its row: where the status is `PRESENT`, `STALE` or `OUTSIDE_MAX_AGE`.
    pub record: Option<Record>,
}

/// Entities in the order in which they were asked for.
#[derive(Debug, Clone)]
pub struct Found {
    /// One for each entity.
    pub rows: Vec<Served>,
    /// One column for each output of the signature: null where there is neither a value nor a default.
    pub features: Vec<ArrayRef>,
    /// For each output of the signature what it is served as, one for each entity.
    pub statuses: Vec<Vec<FeatureStatus>>,
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
    /// One column for each of its join keys.
    pub keys: Vec<ArrayRef>,
}

/// What was found for the entities of one view, each entity once.
#[derive(Debug, Clone)]
pub struct LookedUp {
    /// The entities that differ.
    pub found: Found,
    /// For each row that was asked for the position of its entity in `found`; None where every row is another entity.
    pub places: Option<Vec<u32>>,
}

impl LookedUp {
    /// The position in `found` of a row that was asked for.
    pub fn place(&self, row: usize) -> usize {
        self.places.as_ref().map_or(row, |places| places[row] as usize)
    }
}

/// Looks entities of several views up in one read transaction, views of aggregates each in one of its own; an entity that stands in several rows
/// once. Otherwise as [`lookup`]. Blocking.
///
/// # Errors
///
/// Keys that are not a view's, a store that cannot be read.
pub fn lookup_all(store: &Store, asks: &[Ask<'_>], at: At) -> Result<Vec<LookedUp>, LookupError> {
    let distinct = asks.iter().map(Distinct::of).collect::<Result<Vec<_>, _>>()?;
    let is_aggregates: Vec<bool> = asks.iter().map(|ask| store.window_view(ask.view).is_some()).collect();
    let probes: Vec<(ViewId, &[u8])> = asks
        .iter()
        .zip(&distinct)
        .zip(&is_aggregates)
        .filter(|(_, is_aggregates)| !**is_aggregates)
        .flat_map(|((ask, distinct), _)| distinct.keys.iter().flatten().map(|key| (ask.id, key.0.as_slice())))
        .collect();
    let mut lookups = store.get_many_of(&probes)?.into_iter();
    let each = asks.iter().zip(distinct).zip(is_aggregates);
    let each = each.map(|((ask, Distinct { keys, places }), is_aggregates)| {
        let found = match is_aggregates {
            true => look_up(store, ask.id, ask.view, &keys, at)?,
            false => found(ask.view, in_places(&keys, &mut lookups), at),
        };
        Ok(LookedUp { found, places })
    });
    each.collect()
}

/// What was looked up of the keys that there are, with nothing found for the others.
fn in_places(keys: &[Option<EntityKey>], lookups: &mut impl Iterator<Item = Lookup>) -> Vec<Lookup> {
    keys.iter().map(|key| key.as_ref().and_then(|_| lookups.next()).unwrap_or(Lookup::NotFound)).collect()
}

/// The entities of rows, each once.
struct Distinct {
    /// None is what has a null or NaN key.
    keys: Vec<Option<EntityKey>>,
    places: Option<Vec<u32>>,
}

impl Distinct {
    fn of(ask: &Ask<'_>) -> Result<Distinct, KeyError> {
        let join_keys: Vec<JoinKey> = ask.view.view.join_keys().cloned().collect();
        let encoder = KeyEncoder::new(&join_keys, &ask.keys)?;
        let rows = encoder.rows();
        if rows <= 1 {
            return Ok(Distinct { keys: (0..rows).map(|row| encoder.encode(row)).collect(), places: None });
        }
        let mut known: HashMap<Option<EntityKey>, u32> = HashMap::new();
        let mut places: Vec<u32> = Vec::with_capacity(rows);
        let (mut key, mut before): (Vec<u8>, Option<Vec<u8>>) = (Vec::new(), None);
        for row in 0..rows {
            key.clear();
            let is_key = encoder.encode_into(row, &mut key);
            // Often all rows are of one entity.
            if let Some(place) = places.last().copied().filter(|_| is_key && before.as_ref() == Some(&key)) {
                places.push(place);
                continue;
            }
            let next = known.len() as u32;
            before = is_key.then(|| key.clone());
            places.push(*known.entry(before.clone().map(EntityKey)).or_insert(next));
        }
        let mut keys = vec![None; known.len()];
        known.into_iter().for_each(|(key, place)| keys[place as usize] = key);
        let places = (keys.len() < rows).then_some(places);
        Ok(Distinct { keys, places })
    }
}

/// Looks entities up in one read transaction. `keys`: one column for each join key of the view. Blocking.
///
/// An entity with a null or NaN key is `NOT_FOUND`. A row that cannot be read is that entity's `CORRUPT` and nobody else's.
pub fn lookup(store: &Store, id: ViewId, view: &BoundView, keys: &[ArrayRef], at: At) -> Result<Found, LookupError> {
    let join_keys: Vec<JoinKey> = view.view.join_keys().cloned().collect();
    let encoder = KeyEncoder::new(&join_keys, keys)?;
    let encoded: Vec<_> = (0..encoder.rows()).map(|row| encoder.encode(row)).collect();
    look_up(store, id, view, &encoded, at)
}

/// The same of keys, of which None is what has a null or NaN.
fn look_up(
    store: &Store,
    id: ViewId,
    view: &BoundView,
    keys: &[Option<EntityKey>],
    at: At,
) -> Result<Found, LookupError> {
    let asked: Vec<&EntityKey> = keys.iter().flatten().collect();
    let lookups = match store.window_view(view) {
        Some(windows) => {
            let features = (&view.signature.outputs[..], view.digest);
            store.windows_of(id, &windows, features, &asked, (at.as_of, at.is_present))?
        }
        None => store.get_many(id, &asked)?,
    };
    Ok(found(view, in_places(keys, &mut lookups.into_iter()), at))
}

/// What lookups mean for a view at an instant.
pub fn found(view: &BoundView, lookups: Vec<Lookup>, at: At) -> Found {
    let stored = view.stored_fields();
    let fingerprint = schema_fingerprint(&stored);
    let mut corrupt = Vec::new();
    let mut failed = HashSet::new();
    let mut rows = Vec::with_capacity(lookups.len());
    for (row, lookup) in lookups.into_iter().enumerate() {
        if let Lookup::Removed(record) = lookup {
            rows.push(serve_removed(view, record, at));
            continue;
        }
        let lookup = match lookup {
            Lookup::Partly(record, features) => {
                for (feature, reason) in features {
                    let name = view.signature.outputs.get(feature).map(|output| output.name.as_str());
                    tracing::warn!(view = %view.view.id(), feature = name, reason, "the component of a feature failed");
                    failed.insert((row, feature));
                }
                Lookup::Found(record)
            }
            lookup => lookup,
        };
        rows.push(match read(lookup, fingerprint) {
            Ok(None) => Served { status: Status::NotFound, record: None },
            Ok(Some(record)) => serve(view, record, at),
            Err(reason) => {
                corrupt.push((row, reason));
                Served { status: Status::Corrupt, record: None }
            }
        });
    }
    let mut features = columns(&stored, &mut rows, &mut corrupt);
    if view.view.source.has_valid_to() {
        let ended = ended(view, features.pop(), at.as_of);
        if !ended.is_empty() {
            ended.into_iter().for_each(|row| rows[row].status = Status::OutsideMaxAge);
            features = columns(&stored, &mut rows, &mut corrupt);
            features.pop();
        }
    }
    let statuses = std::iter::zip(&view.signature.outputs, &mut features)
        .enumerate()
        .map(|(feature, (output, column))| {
            let default = view.defaults.get(&output.name);
            let of = |(row, served): (usize, &Served)| match failed.contains(&(row, feature)) {
                true => FeatureStatus { status: Status::TransformError, reason: None },
                false => FeatureStatus::of(served.status, column.is_null(row), default.is_some()),
            };
            let statuses: Vec<FeatureStatus> = rows.iter().enumerate().map(of).collect();
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

fn read(lookup: Lookup, fingerprint: u64) -> Result<Option<Record>, String> {
    match lookup {
        Lookup::NotFound | Lookup::Removed(_) => Ok(None),
        Lookup::Corrupt(corruption) => Err(corruption.to_string()),
        Lookup::Partly(record, _) => read(Lookup::Found(record), fingerprint),
        Lookup::Found(record) if record.schema_fingerprint != fingerprint => Err(format!(
            "its schema fingerprint is {:016x}, the view's is {fingerprint:016x}",
            record.schema_fingerprint
        )),
        Lookup::Found(record) => Ok(Some(record)),
    }
}

fn serve(view: &BoundView, record: Record, At { as_of, is_present }: At) -> Served {
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
fn is_present_known(is_present: bool, known_by: KnownBy, record: &Record) -> bool {
    is_present && (known_by == KnownBy::Published || record.created_time.is_none())
}

/// A row whose values were removed since it is older than the ttl: as it is too old now, it is at every instant that is asked for.
fn serve_removed(view: &BoundView, record: Record, at: At) -> Served {
    match serve(view, record.clone(), at) {
        Served { status: Status::Present | Status::Stale, .. } => {
            Served { status: Status::OutsideMaxAge, record: Some(record) }
        }
        served => served,
    }
}

/// One column for each output. A row whose bytes are malformed under a right checksum is a defect of whoever wrote it; it becomes corrupt.
fn columns(outputs: &[Field], rows: &mut [Served], corrupt: &mut Vec<(usize, String)>) -> Vec<ArrayRef> {
    fn bytes(served: &Served) -> Option<&[u8]> {
        match (served.status, &served.record) {
            (status, Some(record)) if status.gives_values() => Some(&record.row),
            _ => None,
        }
    }
    loop {
        if let Ok(columns) = decode_rows(outputs, rows.iter().map(bytes)) {
            return columns;
        }
        // Each row is looked at alone; at least one goes, so this ends.
        for (row, served) in rows.iter_mut().enumerate() {
            if let Some(encoded) = bytes(served)
                && let Err(error) = decode_rows(outputs, [Some(encoded)].into_iter())
            {
                corrupt.push((row, error.to_string()));
                *served = Served { status: Status::Corrupt, record: None };
            }
        }
    }
}
