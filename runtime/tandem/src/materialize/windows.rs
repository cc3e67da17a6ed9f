//! The events of a view of aggregates into the online store.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch, TimestampMicrosecondArray};
use futures::TryStreamExt;
use tandem_core::canonical::RowEncoder;
use tandem_core::key::KeyEncoder;
use tandem_core::model::{BoundView, JoinKey};
use tandem_core::status::too_far_in_future;
use tandem_core::time::{Duration, Timestamp};
use tandem_core::types::{EVENT_ID, RETRACTED};
use tandem_engine::Workers;
use tandem_offline::{FileEntry, PublishedRows, RowColumns};
use tandem_online::{Equals, EventsPut, LogRow, Place, PutRow, Store, Taken, Target, ViewId, WindowView};

use super::rows::{Counts, EncodedRow, MadeBy, Present, RowBytes, Times};
use super::{BATCH_ROWS, Report, Request, named, take_files, transaction, worker_error};
use crate::error::Error;

/// When a file was written, in microseconds since the Unix epoch: since then its events are known, as far as they do not say themselves.
fn modified(file: &FileEntry) -> Timestamp {
    let micros = |duration: std::time::Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    Timestamp(match file.modified.duration_since(UNIX_EPOCH) {
        Ok(after) => micros(after),
        Err(before) => -micros(before.duration()),
    })
}

/// Writes the events that the store does not have yet, from the source's files and from what was pushed. All of the range are read, also in an incremental
/// run: of equal events only the whole history tells how many there are.
pub(super) async fn run(
    request: Request,
    store: &Store,
    id: Target,
    windows: &Arc<WindowView>,
    workers: &Workers,
    mut progress: impl FnMut(&Report),
) -> Result<Report, Error> {
    let Some(events) = request.view.events().map(Arc::new) else {
        return Err(Error::Data("a view of aggregates has no events".to_owned()));
    };
    let mut rows =
        PublishedRows::open_events(Arc::clone(&events), &request.offline_root, request.range, BATCH_ROWS).await?;
    let (partitions, files) = (rows.partitions().len() as u64, rows.files().len() as u64);
    let mut report = Report { partitions, files, rows_all: rows.row_count(), ..Report::default() };
    // Of what lies behind a horizon nothing is known but by the file that it is of.
    let of_store = store.clone();
    let taken = match windows.lateness() {
        Some(_) => workers.run(move || of_store.taken(id)).await.map_err(worker_error)??,
        None => Taken::default(),
    };
    let (mut waiting, mut not_taken) = (Vec::new(), HashSet::new());
    let (mut equals, mut held) = (Equals::default(), RowBytes::default());
    let mut coming = rows.try_next().await?;
    loop {
        let is_end = coming.is_none();
        if is_end && held.rows.is_empty() {
            break;
        }
        let file = coming.as_ref().map(|batch| {
            let (path, state) = named(&batch.file);
            (batch.file.path.clone(), batch.partition.is_pushed() || taken.has(&path, state))
        });
        let (store, events, windows) = (store.clone(), Arc::clone(&events), Arc::clone(windows));
        let present = Present { now: request.now, max_future: request.max_future };
        let part = workers.run(move || {
            let (mut counts, before) = (Counts::default(), held.rows.len());
            if let Some(batch) = coming {
                let (encoded, of_batch) = encode(&events, &batch.rows, modified(&batch.file), present)?;
                held.append(encoded);
                counts = of_batch;
            }
            let of_file = held.rows.len() - before;
            // Events of small files go into the store together.
            let (mut put, mut done) = (EventsPut::default(), 0);
            if is_end || held.rows.len() >= BATCH_ROWS {
                let puts: Vec<PutRow<'_>> = held.puts(MadeBy::of(&events)).collect();
                let places: Vec<Place> = puts.iter().map(|put| equals.next(put.key, &put.record)).collect();
                while done < puts.len() {
                    let fits = transaction(&store, &puts[done..], |row| row.key.len() + row.record.row.len());
                    let these = done..done + fits;
                    let part = store.put_events(id, &windows, &puts[these.clone()], &places[these])?;
                    put.written += part.written;
                    put.behind_horizon.extend(part.behind_horizon.iter().map(|row| row + done));
                    done += fits;
                }
                held = RowBytes::default();
            }
            Ok::<_, Error>((held, equals, counts, of_file, (put, done)))
        });
        let next = async { if is_end { Ok(None) } else { rows.try_next().await } };
        // The next events are read meanwhile.
        let (part, next) = tokio::join!(part, next);
        let (rest, after, counts, of_file, (put, done)) = part.map_err(worker_error)??;
        (held, equals) = (rest, after);
        if let Some((path, is_taken)) = file {
            if counts.future > 0 {
                not_taken.insert(path.clone());
            }
            waiting.push(Waiting { events: of_file, path, is_taken });
        }
        let too_late = too_late(&waiting, &put.behind_horizon, &mut not_taken);
        if done > 0 {
            waiting.clear();
        }
        report.rows += counts.rows;
        report.null_keys += counts.null_keys;
        report.future += counts.future;
        report.set_aside += counts.set_aside;
        report.written += put.written as u64;
        report.kept += (done - put.written) as u64 - too_late;
        report.too_late += too_late;
        progress(&report);
        coming = next?;
    }
    let (set_aside, broken) = rows.passed_over();
    (report.set_aside, report.set_aside_contract) = (report.set_aside + set_aside, broken);
    report.set_aside_transform = rows.failed();
    if windows.lateness().is_some() {
        take_files(store, id, workers, rows.files().to_vec(), &not_taken).await?;
    }
    if !id.is_building() {
        let (store, windows, now) = (store.clone(), Arc::clone(windows), request.now);
        report.folded = workers.run(move || store.fold(id.view(), &windows, now)).await.map_err(worker_error)??;
    }
    Ok(report)
}

/// Events of a file that wait to be written.
struct Waiting {
    events: usize,
    path: PathBuf,
    /// Whether all of the file's events were in the store before, but for those that were too late.
    is_taken: bool,
}

/// How many of the events behind a horizon, by their position among those that waited, are of files that are new to the store: nobody knows of them. Their files are not taken.
fn too_late(waiting: &[Waiting], behind: &[usize], not_taken: &mut HashSet<PathBuf>) -> u64 {
    let (mut first, mut count) = (0, 0);
    for Waiting { events, path, is_taken } in waiting {
        let of_file = first..first + events;
        first = of_file.end;
        let of_file = behind.iter().filter(|row| of_file.contains(row)).count();
        if of_file > 0 && !is_taken {
            not_taken.insert(path.clone());
            count += of_file as u64;
        }
    }
    count
}

/// Puts into a store what of the events had been published by an instant: of the offline history, and of the push log (`logged`), as the server had them then.
/// Gives how many there are.
pub(crate) async fn replay(
    view: &BoundView,
    offline_root: &Path,
    logged: &[LogRow],
    (store, id, windows): (&Store, ViewId, &Arc<WindowView>),
    at: Timestamp,
    workers: &Workers,
) -> Result<u64, Error> {
    let Some(events) = view.events().map(Arc::new) else {
        return Err(Error::Data("a view of aggregates has no events".to_owned()));
    };
    let mut rows = PublishedRows::open_events(Arc::clone(&events), offline_root, None, BATCH_ROWS).await?;
    let mut equals = Equals::default();
    let mut put = 0;
    let put_all = move |puts: &[PutRow<'_>], equals: &mut Equals, store: &Store, windows: &WindowView| {
        let known: Vec<PutRow<'_>> = puts.iter().filter(|row| row.record.published_time <= at).copied().collect();
        let places: Vec<Place> = known.iter().map(|put| equals.next(put.key, &put.record)).collect();
        let mut done = 0;
        while done < known.len() {
            let fits = transaction(store, &known[done..], |row| row.key.len() + row.record.row.len());
            let these = done..done + fits;
            store.put_events_at(id, windows, &known[these.clone()], &places[these], at)?;
            done += fits;
        }
        Ok::<_, Error>(known.len() as u64)
    };
    while let Some(batch) = rows.try_next().await? {
        let (store, events, windows) = (store.clone(), Arc::clone(&events), Arc::clone(windows));
        let part = workers.run(move || {
            let written = modified(&batch.file);
            let present = Present { now: Timestamp::MAX, max_future: Duration::from_micros(0) };
            let (encoded, _) = encode(&events, &batch.rows, written, present)?;
            let puts: Vec<PutRow<'_>> = encoded.puts(MadeBy::of(&events)).collect();
            Ok::<_, Error>((put_all(&puts, &mut equals, &store, &windows)?, equals))
        });
        let (count, after) = part.await.map_err(worker_error)??;
        equals = after;
        put += count;
    }
    let puts: Vec<PutRow<'_>> =
        logged.iter().map(|row| PutRow { key: &row.key, record: row.record.borrow() }).collect();
    Ok(put + put_all(&puts, &mut equals, store, windows)?)
}

/// The events of [`PublishedRows::open_events`], without those of the future, and those that have neither what an event needs nor an id. `written`: since
/// when a row is known that does not say it. Of the counts the last is that of rows that are set aside.
fn encode(
    events: &BoundView,
    rows: &RecordBatch,
    written: Timestamp,
    present: Present,
) -> Result<(RowBytes, Counts), Error> {
    let join_keys: Vec<JoinKey> = events.view.join_keys().cloned().collect();
    let columns = RowColumns::of(events);
    let data = |error: &dyn std::fmt::Display| Error::Data(format!("the events of `{}`: {error}", events.view.name));
    let key_encoder = KeyEncoder::new(&join_keys, &rows.columns()[..columns.keys]).map_err(|error| data(&error))?;
    let row_encoder = RowEncoder::new(&rows.columns()[columns.features..]).map_err(|error| data(&error))?;
    let column = |name: &str| rows.column_by_name(name);
    let ids = column(EVENT_ID);
    let retracted = column(RETRACTED).and_then(|column| column.as_boolean_opt());
    let time = |column: usize| rows.column(columns.times + column).as_primitive::<TimestampMicrosecondType>();
    let (event_times, created_times, published) = (time(0), time(1), time(2));
    let sequences = rows.column(columns.times + 3).as_primitive::<Int64Type>();
    let at = |times: &TimestampMicrosecondArray, row| times.is_valid(row).then(|| Timestamp(times.value(row)));
    let RowBytes { mut bytes, rows: mut encoded } = RowBytes::default();
    let mut counts = Counts { rows: rows.num_rows() as u64, ..Counts::default() };
    for row in 0..rows.num_rows() {
        let event_time = at(event_times, row);
        let is_retraction = retracted.is_some_and(|column| column.is_valid(row) && column.value(row));
        let has_id = ids.is_some_and(|ids| ids.is_valid(row));
        let is_ahead = |time| too_far_in_future(time, present.now, present.max_future);
        if event_time.is_some_and(is_ahead) || at(created_times, row).is_some_and(is_ahead) {
            counts.future += 1;
            continue;
        }
        counts.set_aside += u64::from(event_time.is_none() && !is_retraction);
        let start = bytes.len();
        let has_key = key_encoder.encode_into(row, &mut bytes);
        if !has_key {
            bytes.truncate(start);
            counts.null_keys += u64::from(!is_retraction);
        }
        // A version that is set aside takes the place of others all the same.
        if !has_id && (!has_key || event_time.is_none()) {
            bytes.truncate(start);
            continue;
        }
        let middle = bytes.len();
        row_encoder.encode(row, &mut bytes);
        encoded.push(EncodedRow {
            times: Times {
                event: event_time.unwrap_or(Timestamp::MIN),
                created: at(created_times, row),
                sequence: sequences.is_valid(row).then(|| sequences.value(row)),
                published: at(published, row).unwrap_or(written),
            },
            key: start..middle,
            row: middle..bytes.len(),
        });
    }
    Ok((RowBytes { bytes, rows: encoded }, counts))
}
