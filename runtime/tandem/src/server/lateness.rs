//! How late the server's threads are: for how long what is ready waits until one of them comes to it.
//!
//! Work that is done where requests are waits in no queue of its own, so no count of requests says that there is too much of it. What says so is time: a
//! task that wants nothing but to be next is asked for again and again, and how late it is, is how late every request is. The least of the last
//! samples counts: a burst passes by itself, and a queue that never empties in between is one that stands (Nichols and Jacobson, "Controlling Queue
//! Delay", 2012). While it is above `late_millis_max`, requests are refused at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// How often it is looked.
const SAMPLE: Duration = Duration::from_millis(5);

/// Samples of which the least counts.
const SAMPLES: usize = 8;

/// How late the server is now.
#[derive(Debug, Default)]
pub(super) struct Lateness {
    micros: AtomicU64,
}

impl Lateness {
    /// The least of the last samples.
    pub(super) fn now(&self) -> Duration {
        Duration::from_micros(self.micros.load(Ordering::Relaxed))
    }

    /// Looks again and again. Never ends.
    pub(super) async fn watch(&self) {
        let mut last = [Duration::ZERO; SAMPLES];
        for at in (0..SAMPLES).cycle() {
            let due = Instant::now() + SAMPLE;
            tokio::time::sleep_until(due).await;
            // Behind everything that is ready now: what a timer wakes may be let through first.
            tokio::task::yield_now().await;
            last[at] = due.elapsed();
            self.set(last.into_iter().min().unwrap_or_default());
        }
    }

    fn set(&self, late: Duration) {
        self.micros.store(late.as_micros().try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_thread_that_is_kept_busy_is_late() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let lateness = Arc::new(Lateness::default());
        let watched = Arc::clone(&lateness);
        runtime.block_on(async move {
            tokio::spawn(async move { watched.watch().await });
            let busy = tokio::spawn(async {
                for _ in 0..4 * SAMPLES {
                    std::thread::sleep(Duration::from_millis(30));
                    tokio::task::yield_now().await;
                }
            });
            busy.await.unwrap();
        });
        // The sample falls somewhere into the time in which the thread is kept busy.
        assert!(lateness.now() >= Duration::from_millis(20), "{:?}", lateness.now());
    }
}
