//! The events of a view of aggregates into the online store.

use std::sync::Arc;

use futures::TryStreamExt;
use tandem_engine::Workers;
use tandem_offline::PublishedRows;
use tandem_online::{Equals, PutRow, Store, Target, WindowView};

use super::{BATCH_ROWS, Report, Request, Rows, transaction, worker_error};
use crate::error::Error;

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
    if events.view.source.has_event_ids() {
        return Err(Error::EventIds { view: request.view.view.id() });
    }
    let mut rows = PublishedRows::open(Arc::clone(&events), &request.offline_root, request.range, BATCH_ROWS).await?;
    let (partitions, files) = (rows.partitions().len() as u64, rows.files().len() as u64);
    let mut report = Report { partitions, files, rows_all: rows.row_count(), ..Report::default() };
    let mut equals = Equals::default();
    while let Some(batch) = rows.try_next().await? {
        let (store, events, windows) = (store.clone(), Arc::clone(&events), Arc::clone(windows));
        let (now, max_future) = (request.now, request.max_future);
        let part = workers.run(move || {
            let encoded = Rows::encode(&events, &batch.rows, batch.partition.is_pushed(), now, max_future)?;
            let (rows, null_keys, future, _) = encoded.counts;
            let puts: Vec<PutRow<'_>> = encoded.iter().collect();
            let places: Vec<u16> = puts.iter().map(|put| equals.next(put.key, &put.record)).collect();
            let (mut written, mut done) = (0, 0);
            while done < puts.len() {
                let fits = transaction(&store, &puts[done..], |row| row.key.len() + row.record.row.len());
                let these = done..done + fits;
                written += store.put_events(id, &windows, &puts[these.clone()], &places[these])? as u64;
                done += fits;
            }
            let kept = puts.len() as u64 - written;
            Ok::<_, Error>((Report { rows, written, kept, null_keys, future, ..Report::default() }, equals))
        });
        let (part, after) = part.await.map_err(worker_error)??;
        equals = after;
        report.rows += part.rows;
        report.written += part.written;
        report.kept += part.kept;
        report.null_keys += part.null_keys;
        report.future += part.future;
        progress(&report);
    }
    (report.set_aside, report.set_aside_contract) = rows.passed_over();
    report.set_aside_transform = rows.failed();
    Ok(report)
}
