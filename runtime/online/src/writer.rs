//! One thread that commits many batches at once.
//!
//! A commit waits for the disk, so its cost hardly depends on how much it commits. The writer takes what has gathered
//! while it committed the last time, up to `batch_rows_max` rows and `batch_bytes_max` bytes, and commits it in one
//! transaction; a batch is acknowledged only then. Batches of one caller are applied in the order in which it submitted them.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use tandem_core::time::Timestamp;

use crate::error::OnlineError;
use crate::record::Record;
use crate::store::{self, Kind, PushTo, PutReport, PutRow, Store, now};
use crate::ticket::{Answer, Ticket, ticket};
use crate::view::ViewId;
use crate::windows::WindowView;

/// Stack of the writer: states of tiles may be those of components, which it calls.
const STACK_BYTES: usize = 16 << 20;

/// Name of the writer's thread.
pub const WRITER_THREAD: &str = "online-writer";

/// A row to write, with bytes of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The entity ([`tandem_core::key`]).
    pub key: Vec<u8>,
    /// The row.
    pub record: Record,
}

impl Row {
    fn borrow(&self) -> PutRow<'_> {
        PutRow { key: &self.key, record: self.record.borrow() }
    }
}

/// A handle of the writer, cheap to clone. Dropping the last one commits what was submitted and ends the thread.
#[derive(Clone)]
pub struct Writer {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    // Taken only by drop.
    sender: Option<SyncSender<Batch>>,
    thread: Option<JoinHandle<()>>,
}

struct Batch {
    view: ViewId,
    rows: Vec<Row>,
    kind: Kind,
    windows: Option<Arc<WindowView>>,
    bytes: usize,
    answer: Answer,
}

impl Batch {
    fn borrow(&self) -> store::Batch<'_> {
        let rows = self.rows.iter().map(Row::borrow).collect();
        store::Batch { target: self.view.into(), rows, kind: self.kind, windows: self.windows.clone() }
    }
}

impl Writer {
    /// Starts the writer of a store.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(store: Store) -> Result<Writer, OnlineError> {
        Writer::start_with_clock(store, now)
    }

    /// Starts the writer of a store; pushed rows get their published time from `clock`.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start_with_clock(store: Store, clock: fn() -> Timestamp) -> Result<Writer, OnlineError> {
        let (sender, receiver) = sync_channel(store.options().queue_batches_max);
        let thread = std::thread::Builder::new()
            .name(WRITER_THREAD.to_owned())
            .stack_size(STACK_BYTES)
            .spawn({
                let store = store.clone();
                move || run(&store, &receiver, clock)
            })
            .map_err(|source| OnlineError::Io {
                operation: "start the writer thread of",
                path: store.path().to_owned(),
                source,
            })?;
        Ok(Writer { inner: Arc::new(Inner { store, sender: Some(sender), thread: Some(thread) }) })
    }

    /// Writes a batch, as [`Store::put_if_newer`] does, and waits until it is on disk.
    pub fn put(&self, view: ViewId, rows: Vec<Row>) -> Result<PutReport, OnlineError> {
        Ok(self.submit(view, rows)?.wait()?.put)
    }

    /// The store that it writes.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// Hands a batch to the writer. Blocks while the queue is full; on an async executor use [`Writer::try_submit`].
    ///
    /// # Errors
    /// The batch is too large.
    pub fn submit(&self, view: ViewId, rows: Vec<Row>) -> Result<Ticket, OnlineError> {
        let (batch, ticket) = self.batch(view, rows, Kind::Materialized, None)?;
        self.sender()?.send(batch).map_err(|_| OnlineError::WriterStopped)?;
        Ok(ticket)
    }

    /// As [`Writer::submit`], without ever blocking.
    ///
    /// # Errors
    /// The batch is too large; [`OnlineError::QueueFull`].
    pub fn try_submit(&self, view: ViewId, rows: Vec<Row>) -> Result<Ticket, OnlineError> {
        self.offer(self.batch(view, rows, Kind::Materialized, None)?)
    }

    /// Hands pushed rows to the writer ([`Store::push`]), without ever blocking.
    ///
    /// # Errors
    /// The batch is too large; [`OnlineError::QueueFull`].
    pub fn try_push(&self, view: ViewId, rows: Vec<Row>, to: PushTo) -> Result<Ticket, OnlineError> {
        self.offer(self.batch(view, rows, Kind::Pushed(to), None)?)
    }

    /// Hands pushed events of a view of aggregates to the writer, without ever blocking. An event that is there already changes nothing.
    ///
    /// # Errors
    /// The batch is too large; [`OnlineError::QueueFull`].
    pub fn try_push_events(
        &self,
        view: ViewId,
        windows: &Arc<WindowView>,
        rows: Vec<Row>,
        to: PushTo,
    ) -> Result<Ticket, OnlineError> {
        self.offer(self.batch(view, rows, Kind::Pushed(to), Some(Arc::clone(windows)))?)
    }

    fn offer(&self, (batch, ticket): (Batch, Ticket)) -> Result<Ticket, OnlineError> {
        self.sender()?.try_send(batch).map_err(|error| match error {
            TrySendError::Full(_) => {
                OnlineError::QueueFull { queue_batches_max: self.inner.store.options().queue_batches_max }
            }
            TrySendError::Disconnected(_) => OnlineError::WriterStopped,
        })?;
        Ok(ticket)
    }

    fn sender(&self) -> Result<&SyncSender<Batch>, OnlineError> {
        self.inner.sender.as_ref().ok_or(OnlineError::WriterStopped)
    }

    fn batch(
        &self,
        view: ViewId,
        rows: Vec<Row>,
        kind: Kind,
        windows: Option<Arc<WindowView>>,
    ) -> Result<(Batch, Ticket), OnlineError> {
        let bytes = self.inner.store.check_batch(&rows.iter().map(Row::borrow).collect::<Vec<_>>())?;
        let (ticket, answer) = ticket();
        Ok((Batch { view, rows, kind, windows, bytes, answer }, ticket))
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("store", &self.inner.store).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the writer of the online store panicked; batches it had not committed are lost");
        }
    }
}

fn run(store: &Store, receiver: &Receiver<Batch>, clock: fn() -> Timestamp) {
    let (rows_max, bytes_max) = (store.options().batch_rows_max, store.options().batch_bytes_max);
    // A batch that did not fit into the last group.
    let mut left_over = None;
    while let Some(first) = left_over.take().or_else(|| receiver.recv().ok()) {
        let (mut rows, mut bytes) = (first.rows.len(), first.bytes);
        let mut group = vec![first];
        while let Ok(batch) = receiver.try_recv() {
            rows += batch.rows.len();
            bytes += batch.bytes;
            if rows > rows_max || bytes > bytes_max {
                left_over = Some(batch);
                break;
            }
            group.push(batch);
        }
        commit(store, group, clock);
    }
}

/// Commits a group and answers each of its batches. If the group fails as a whole, each batch stands alone, so that none pays for a neighbour.
fn commit(store: &Store, mut group: Vec<Batch>, clock: fn() -> Timestamp) {
    let together = store.commit(&group.iter().map(Batch::borrow).collect::<Vec<_>>(), clock);
    match together {
        Ok(reports) => {
            for (batch, report) in group.into_iter().zip(reports) {
                batch.answer.send(Ok(report));
            }
        }
        Err(error) => {
            if group.len() == 1
                && let Some(batch) = group.pop()
            {
                return batch.answer.send(Err(error));
            }
            tracing::warn!(%error, batches = group.len(), "a commit of several batches failed; each is tried alone");
            for batch in group {
                let report = store.commit(&[batch.borrow()], clock).map(|mut reports| reports.remove(0));
                batch.answer.send(report);
            }
        }
    }
}
