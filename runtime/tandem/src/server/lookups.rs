//! Where look-ups are done: those of few keys on the thread that has the request, the others on a worker.
//!
//! Waking a worker and being woken by it costs more than finding a few rows in memory, and what is found waits in the executor's queue once more. So a look-up of
//! few keys is done where it is, as a small request to a transform is tried there. What it may not do is wait: for the disk, if the store is larger than
//! memory, or for the map of the store to grow. A look-up that took too long for memory alone sends the next ones to workers, which may wait.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tandem_core::model::BoundView;
use tandem_online::Store;

use super::problem::Problem;
use super::state::Server;

/// Keys of a look-up that is done where the request is.
pub(super) const KEYS_MAX: usize = 16;

/// A look-up of so few keys takes a few microseconds in memory; one that took longer than this has waited for something.
const WAITED: Duration = Duration::from_micros(200);

/// Look-ups that go to workers after one that has waited.
const SKIPPED_AFTER_WAIT: u32 = 256;

/// Whether look-ups wait, as far as one knows.
#[derive(Debug, Default)]
pub(super) struct Lookups {
    /// Look-ups yet to go to workers.
    skip: AtomicU32,
}

impl Lookups {
    /// Whether the next small look-up is done where it is.
    fn is_here(&self) -> bool {
        // Counts, not a lock: requests that race may skip one more or one less.
        let skip = self.skip.load(Ordering::Relaxed);
        if skip > 0 {
            self.skip.store(skip - 1, Ordering::Relaxed);
        }
        skip == 0
    }

    /// A small look-up took so long.
    fn took(&self, time: Duration) {
        if time > WAITED {
            self.skip.store(SKIPPED_AFTER_WAIT, Ordering::Relaxed);
        }
    }
}

impl Server {
    /// Runs a look-up of so many keys of these views.
    pub(super) async fn look_up<'a, T: Send + 'static>(
        &self,
        store: &Store,
        mut views: impl Iterator<Item = &'a BoundView>,
        keys: usize,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        // Aggregates read many events, and may call components.
        let is_small = keys <= KEYS_MAX && views.all(|view| !view.view.is_aggregates());
        if !is_small || store.is_held() || !self.lookups.is_here() {
            return self.on_worker(job).await;
        }
        let begin = Instant::now();
        let found = job();
        self.lookups.took(begin.elapsed());
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waited_sends_the_next_ones_to_workers() {
        let lookups = Lookups::default();
        lookups.took(Duration::from_micros(20));
        assert!(lookups.is_here());
        lookups.took(Duration::from_millis(3));
        let skipped = (0..2 * SKIPPED_AFTER_WAIT).filter(|_| !lookups.is_here()).count();
        assert_eq!(skipped, SKIPPED_AFTER_WAIT as usize);
        assert!(lookups.is_here());
    }
}
