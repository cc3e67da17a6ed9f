//! Rows that are older than their view's ttl: their values are removed from the online store, a few at a time. What orders a row stays, so that it is still told as too
//! old, and no late row takes its place. Generations that were begun to be dropped are removed, too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration as StdDuration;

use tandem_core::definition::ExpirySettings;
use tandem_core::time::{Duration, Timestamp};
use tandem_online::{Expired, GenerationState, OnlineError, Store, ViewId};

use crate::server::Live;

/// Looks at a piece of a view's rows, in all its generations, and removes the values of those that are too old now. `from` is where the last piece ended.
///
/// # Errors
///
/// The store. Nothing of the piece is removed.
pub fn step(
    store: &Store,
    id: ViewId,
    ttl: Duration,
    now: Timestamp,
    from: Option<&[u8]>,
    options: ExpirySettings,
) -> Result<Expired, OnlineError> {
    let Some(before) = now.checked_sub(ttl) else { return Ok(Expired::default()) };
    store.remove_expired(id, before, from, (options.looked_rows_max, options.removed_rows_max))
}

/// What an expirer needs.
pub struct Expire {
    /// The store.
    pub store: Store,
    /// What is served; what is removed is counted there.
    pub live: Live,
    /// How much, and how often.
    pub options: ExpirySettings,
    /// The clock by which rows are too old.
    pub clock: fn() -> Timestamp,
    /// Whether values are removed; what was begun to be dropped is removed in any case.
    pub removes: bool,
}

/// A thread that removes the values of rows that are too old, until it is dropped.
pub struct Expirer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Expirer {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub fn start(expire: Expire) -> std::io::Result<Expirer> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread =
            std::thread::Builder::new().name("tandem-expiry".to_owned()).spawn(move || expire.run(&stopped))?;
        Ok(Expirer { stop, thread: Some(thread) })
    }
}

impl Drop for Expirer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join(); // if it panicked, its panic was told
        }
    }
}

impl Expire {
    fn run(self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            match self.pass(stop) {
                Ok(0) => {}
                Ok(removed) => {
                    tracing::info!(removed, "values of rows that are older than their view's ttl were removed")
                }
                // A disk that is full, or a damaged entry: the next pass tries again.
                Err(error) => tracing::error!(%error, "rows that are too old cannot be removed"),
            }
            std::thread::park_timeout(StdDuration::from_secs(self.options.pass_seconds));
        }
    }

    /// Looks at all rows once. Gives how many lost their values.
    fn pass(&self, stop: &AtomicBool) -> Result<u64, OnlineError> {
        let stored = self.store.views()?;
        let mut removed = 0;
        for bound in self.live.bound() {
            let view = &bound.view;
            let is_it = |stored: &&tandem_online::View| {
                (stored.name.as_str(), stored.version, stored.definition_hash)
                    == (view.name.as_str(), view.version, bound.definition_hash)
            };
            let Some(stored) = stored.iter().find(is_it) else { continue };
            // One that was stopped, or a kept one that could not be written any more.
            if self.store.generations(stored.id)?.other.is_some_and(|other| other.state == GenerationState::Dropping) {
                let keys = self.store.finish_drop(stored.id)?;
                tracing::info!(view = %view.id(), keys, "a generation that was being dropped is removed");
            }
            let Some(ttl) = view.ttl.filter(|_| self.removes) else { continue };
            let mut from: Option<Vec<u8>> = None;
            while !stop.load(Ordering::Relaxed) {
                let piece = step(&self.store, stored.id, ttl, (self.clock)(), from.as_deref(), self.options)?;
                self.live.expired(&view.id(), piece.removed);
                removed += piece.removed;
                from = piece.next;
                if from.is_none() {
                    break;
                }
                std::thread::park_timeout(StdDuration::from_millis(self.options.pause_millis));
            }
        }
        Ok(removed)
    }
}
