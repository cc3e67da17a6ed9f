//! Published rows as the store has them: keys and values as bytes, and what orders them.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, Int64Array, RecordBatch, TimestampMicrosecondArray};
use tandem_core::canonical::{RowEncoder, schema_fingerprint};
use tandem_core::hash::Digest;
use tandem_core::key::KeyEncoder;
use tandem_core::model::{BoundView, JoinKey};
use tandem_core::status::{is_never_valid, too_far_in_future};
use tandem_core::time::{Duration, Timestamp};
use tandem_offline::RowColumns;
use tandem_online::{PutRow, RecordRef};

use crate::error::Error;

/// The times of a row, and its sequence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) event: Timestamp,
    pub(super) created: Option<Timestamp>,
    pub(super) sequence: Option<i64>,
    /// It takes no part in the order.
    pub(super) published: Timestamp,
}

impl Times {
    /// What orders a row before its values do.
    pub(super) fn order(&self) -> (Timestamp, Option<Timestamp>, Option<i64>) {
        (self.event, self.created, self.sequence)
    }
}

/// A row in the buffer of a [`RowBytes`].
#[derive(Debug)]
pub(super) struct EncodedRow {
    pub(super) times: Times,
    pub(super) key: Range<usize>,
    pub(super) row: Range<usize>,
}

/// Rows with their keys and values behind each other in one buffer.
#[derive(Debug, Default)]
pub(super) struct RowBytes {
    pub(super) bytes: Vec<u8>,
    pub(super) rows: Vec<EncodedRow>,
}

impl RowBytes {
    pub(super) fn push(&mut self, key: &[u8], times: Times, row: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        let middle = self.bytes.len();
        self.bytes.extend_from_slice(row);
        self.rows.push(EncodedRow { times, key: start..middle, row: middle..self.bytes.len() });
    }

    /// Puts others behind.
    pub(super) fn append(&mut self, others: RowBytes) {
        if self.rows.is_empty() {
            *self = others;
            return;
        }
        let by = self.bytes.len();
        let moved = |range: Range<usize>| range.start + by..range.end + by;
        self.bytes.extend_from_slice(&others.bytes);
        let others = others.rows.into_iter();
        self.rows.extend(others.map(|row| EncodedRow { times: row.times, key: moved(row.key), row: moved(row.row) }));
    }

    /// The rows for the store.
    pub(super) fn puts(&self, made: MadeBy) -> impl Iterator<Item = PutRow<'_>> {
        self.rows.iter().map(move |row| PutRow {
            key: &self.bytes[row.key.clone()],
            record: RecordRef {
                event_time: row.times.event,
                created_time: row.times.created,
                sequence: row.times.sequence,
                published_time: row.times.published,
                digest: made.digest,
                schema_fingerprint: made.fingerprint,
                row: &self.bytes[row.row.clone()],
            },
        })
    }
}

/// What made a view's rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct MadeBy {
    digest: Digest,
    fingerprint: u64,
}

impl MadeBy {
    pub(super) fn of(view: &BoundView) -> Self {
        MadeBy { digest: view.digest, fingerprint: schema_fingerprint(&view.stored_fields()) }
    }
}

/// Rows of a batch, by what becomes of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// All.
    pub(super) rows: u64,
    pub(super) null_keys: u64,
    /// Too far in the future.
    pub(super) future: u64,
    /// Valid at no instant.
    pub(super) never_valid: u64,
    /// Events that neither are whole nor have an id.
    pub(super) set_aside: u64,
}

/// Which rows of a view count, and since when they are visible.
#[derive(Debug, Clone, Copy)]
pub(super) struct Present {
    pub(super) now: Timestamp,
    pub(super) max_future: Duration,
}

/// A batch of a view's published rows, looked at once.
pub(super) struct ViewRows<'a> {
    keys: KeyEncoder,
    values: RowEncoder,
    event_times: &'a TimestampMicrosecondArray,
    created_times: &'a TimestampMicrosecondArray,
    /// Of rows that were pushed.
    published: Option<&'a TimestampMicrosecondArray>,
    sequences: &'a Int64Array,
    ends: Option<&'a TimestampMicrosecondArray>,
    present: Present,
    rows: usize,
}

impl<'a> ViewRows<'a> {
    /// `rows` has the columns of [`tandem_offline::feature_schema`].
    pub(super) fn new(
        view: &BoundView,
        rows: &'a RecordBatch,
        pushed: bool,
        present: Present,
    ) -> Result<ViewRows<'a>, Error> {
        let join_keys: Vec<JoinKey> = view.view.join_keys().cloned().collect();
        let columns = RowColumns::of(view);
        let (keys, features) = (&rows.columns()[..columns.keys], &rows.columns()[columns.features..]);
        let data =
            |error: &dyn std::fmt::Display| Error::Data(format!("published rows of `{}`: {error}", view.view.name));
        let time = |column: usize| rows.column(columns.times + column).as_primitive::<TimestampMicrosecondType>();
        // The end of validity is behind the features.
        let ends = features.last().filter(|_| view.view.source.has_valid_to());
        Ok(ViewRows {
            keys: KeyEncoder::new(&join_keys, keys).map_err(|error| data(&error))?,
            values: RowEncoder::new(features).map_err(|error| data(&error))?,
            event_times: time(0),
            created_times: time(1),
            published: pushed.then(|| time(2)),
            sequences: rows.column(columns.times + 3).as_primitive::<Int64Type>(),
            ends: ends.and_then(|ends| ends.as_primitive_opt::<TimestampMicrosecondType>()),
            present,
            rows: rows.num_rows(),
        })
    }

    /// Replaces what is in a buffer by the canonical bytes of a row.
    pub(super) fn encode(&self, row: usize, buffer: &mut Vec<u8>) {
        buffer.clear();
        self.values.encode(row, buffer);
    }

    /// Gives every row that has a key, was valid at some instant and does not lie in the future to `take`: its key, its times, and which it is.
    pub(super) fn each(&self, mut take: impl FnMut(&[u8], Times, usize) -> Result<(), Error>) -> Result<Counts, Error> {
        let at = |times: &TimestampMicrosecondArray, row| times.is_valid(row).then(|| Timestamp(times.value(row)));
        let Present { now, max_future } = self.present;
        let (mut key, mut counts) = (Vec::new(), Counts { rows: self.rows as u64, ..Counts::default() });
        for row in 0..self.rows {
            let (event, created) = (Timestamp(self.event_times.value(row)), at(self.created_times, row));
            let is_ahead = |time| too_far_in_future(time, now, max_future);
            if is_ahead(event) || created.is_some_and(is_ahead) {
                counts.future += 1;
                continue;
            }
            if is_never_valid(event, self.ends.and_then(|ends| at(ends, row))) {
                counts.never_valid += 1;
                continue;
            }
            key.clear();
            if !self.keys.encode_into(row, &mut key) {
                counts.null_keys += 1;
                continue;
            }
            let times = Times {
                event,
                created,
                sequence: self.sequences.is_valid(row).then(|| self.sequences.value(row)),
                // What was pushed was visible from then on.
                published: self.published.and_then(|published| at(published, row)).unwrap_or(now),
            };
            take(&key, times, row)?;
        }
        Ok(counts)
    }

    /// All of them.
    pub(super) fn encoded(&self) -> Result<RowBytes, Error> {
        let (mut rows, mut buffer) = (RowBytes::default(), Vec::new());
        self.each(|key, times, row| {
            self.encode(row, &mut buffer);
            rows.push(key, times, &buffer);
            Ok(())
        })?;
        Ok(rows)
    }
}
