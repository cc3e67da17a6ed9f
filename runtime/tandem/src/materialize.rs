//! Published feature rows into the online store: the newest of each entity, never back in time.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use futures::TryStreamExt;
use tandem_core::canonical::{RowEncoder, schema_fingerprint};
use tandem_core::key::KeyEncoder;
use tandem_core::model::{BoundView, JoinKey};
use tandem_core::status::{is_never_valid, too_far_in_future};
use tandem_core::time::{DayRange, Duration, Timestamp};
use tandem_core::types::TIME_COLUMNS;
use tandem_engine::Workers;
use tandem_offline::PublishedRows;
use tandem_online::{PutRow, RecordRef, Store, ViewId, ViewIdentity};

use crate::error::Error;

/// Rows that are written in one transaction.
const BATCH_ROWS: usize = 16_384;

/// What to materialize, from where.
pub struct Request {
    /// The view.
    pub view: Arc<BoundView>,
    /// Where its rows are published.
    pub offline_root: std::path::PathBuf,
    /// Days to take; none: all.
    pub range: Option<DayRange>,
    /// The present: rows get it as published time.
    pub now: Timestamp,
    /// Rows further past `now` than this are left out and counted.
    pub max_future: Duration,
}

/// What came of it, in rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// Rows read.
    pub rows: u64,
    /// Rows written: each was the newest of its entity so far.
    pub written: u64,
    /// Rows not written: the entity has a newer one, or this one already, or it was valid at no instant.
    pub kept: u64,
    /// Rows with a null key, which match nothing.
    pub null_keys: u64,
    /// Rows too far in the future.
    pub future: u64,
    /// Partitions read.
    pub partitions: u64,
}

/// The number of a bound view in the store; registers it at its first use.
///
/// # Errors
///
/// Where the store has rows of this version under another definition.
pub fn store_view(store: &Store, view: &BoundView) -> Result<ViewId, Error> {
    let identity = ViewIdentity {
        name: &view.view.name,
        version: view.view.version,
        definition_hash: view.definition_hash,
        digest: view.digest,
        schema_fingerprint: schema_fingerprint(&view.stored_fields()),
    };
    Ok(store.view(&identity)?)
}

/// Reads the published rows of the range and writes those that are newer than what the store has. Idempotent; stopped at any moment it leaves
/// whole rows, and a next run goes on.
pub async fn run(
    request: Request,
    store: &Store,
    workers: &Workers,
    mut progress: impl FnMut(&Report),
) -> Result<Report, Error> {
    let view = Arc::clone(&request.view);
    let id = {
        let (store, view) = (store.clone(), Arc::clone(&view));
        workers.run(move || store_view(&store, &view)).await.map_err(worker_error)??
    };
    let mut rows = PublishedRows::open(Arc::clone(&view), &request.offline_root, request.range, BATCH_ROWS).await?;
    let mut report = Report { partitions: rows.partitions().len() as u64, ..Report::default() };
    while let Some(batch) = rows.try_next().await? {
        let (store, view) = (store.clone(), Arc::clone(&view));
        let (now, max_future) = (request.now, request.max_future);
        let part = workers
            .run(move || put_batch(&store, id, &view, &batch.rows, now, max_future))
            .await
            .map_err(worker_error)??;
        report.rows += part.rows;
        report.written += part.written;
        report.kept += part.kept;
        report.null_keys += part.null_keys;
        report.future += part.future;
        progress(&report);
    }
    Ok(report)
}

fn worker_error(panic: tandem_engine::WorkerPanic) -> Error {
    Error::Engine(panic.into())
}

/// Writes a batch of feature rows in the columns of [`tandem_offline::feature_schema`].
fn put_batch(
    store: &Store,
    id: ViewId,
    view: &BoundView,
    rows: &RecordBatch,
    now: Timestamp,
    max_future: Duration,
) -> Result<Report, Error> {
    let join_keys: Vec<JoinKey> = view.view.join_keys().cloned().collect();
    let (keys, rest) = rows.columns().split_at(join_keys.len());
    let (times, features) = rest.split_at(TIME_COLUMNS.len());
    let data = |error: &dyn std::fmt::Display| Error::Data(format!("published rows of `{}`: {error}", view.view.name));
    let key_encoder = KeyEncoder::new(&join_keys, keys).map_err(|error| data(&error))?;
    let row_encoder = RowEncoder::new(features).map_err(|error| data(&error))?;
    let event_times = times[0].as_primitive::<TimestampMicrosecondType>();
    let created_times = times[1].as_primitive::<TimestampMicrosecondType>();
    let sequences = times[3].as_primitive::<Int64Type>();

    // The end of validity is behind the features.
    let ends = features.last().filter(|_| view.view.source.has_valid_to());
    let ends = ends.and_then(|ends| ends.as_primitive_opt::<TimestampMicrosecondType>());
    let mut report = Report { rows: rows.num_rows() as u64, ..Report::default() };
    // Keys and rows behind each other in one buffer; records point into it.
    let mut bytes = Vec::new();
    let mut places = Vec::with_capacity(rows.num_rows());
    for row in 0..rows.num_rows() {
        if too_far_in_future(Timestamp(event_times.value(row)), now, max_future) {
            report.future += 1;
            continue;
        }
        let end = ends.and_then(|ends| ends.is_valid(row).then(|| Timestamp(ends.value(row))));
        if is_never_valid(Timestamp(event_times.value(row)), end) {
            report.kept += 1;
            continue;
        }
        let start = bytes.len();
        if !key_encoder.encode_into(row, &mut bytes) {
            report.null_keys += 1;
            continue;
        }
        let middle = bytes.len();
        row_encoder.encode(row, &mut bytes);
        places.push((row, start, middle, bytes.len()));
    }
    let fingerprint = schema_fingerprint(&view.stored_fields());
    let put: Vec<PutRow<'_>> = places
        .iter()
        .map(|(row, start, middle, end)| PutRow {
            key: &bytes[*start..*middle],
            record: RecordRef {
                event_time: Timestamp(event_times.value(*row)),
                created_time: created_times.is_valid(*row).then(|| Timestamp(created_times.value(*row))),
                sequence: sequences.is_valid(*row).then(|| sequences.value(*row)),
                published_time: now,
                digest: view.digest,
                schema_fingerprint: fingerprint,
                row: &bytes[*middle..*end],
            },
        })
        .collect();
    let options = store.options();
    // A batch may have more bytes than one transaction takes.
    let mut rest = &put[..];
    while !rest.is_empty() {
        let mut size = 0;
        let fits = rest
            .iter()
            .take(options.batch_rows_max)
            .take_while(|row| {
                size += row.key.len() + row.record.row.len();
                size <= options.batch_bytes_max
            })
            .count();
        let (now_rows, later) = rest.split_at(fits.max(1));
        let written = store.put_if_newer(id, now_rows)?;
        report.written += written.written as u64;
        report.kept += written.kept as u64;
        rest = later;
    }
    Ok(report)
}
