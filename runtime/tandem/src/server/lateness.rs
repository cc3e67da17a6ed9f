//! How late the server's threads are: for how long what has arrived waits until one of them comes to it.
//!
//! Work that is done where requests are waits in no queue of its own, so no count of requests says that there is too much of it. What says so is time. A
//! probe goes the way of requests: a byte is written to a socket, and the time until a task is told of it, by the same poll of the same sockets and
//! behind the same tasks, is for how long a request waits that arrives then. A probe that is still under way counts for as long as it has been. While
//! that is above `late_millis_max`, requests are refused at once, so what waits is soon gone. (Nichols and Jacobson, "Controlling Queue Delay", 2012,
//! measure the same: the time in the queue, and not its length.)

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::net::UnixStream;

/// How long after a probe the next one begins.
const PAUSE: Duration = Duration::from_millis(2);

/// No probe is under way.
const NONE: u64 = u64::MAX;

/// How late the server is now.
#[derive(Debug)]
pub(super) struct Lateness {
    /// From which on microseconds are counted.
    begin: OnceLock<Instant>,
    /// What the last probe took, in microseconds.
    last: AtomicU64,
    /// When the one that is under way began, in microseconds.
    begun: AtomicU64,
}

impl Default for Lateness {
    fn default() -> Self {
        Lateness { begin: OnceLock::new(), last: AtomicU64::new(0), begun: AtomicU64::new(NONE) }
    }
}

impl Lateness {
    /// For how long what arrives now is going to wait, as far as one knows: as long as the last probe, or as the one that still waits.
    pub(super) fn now(&self) -> Duration {
        let begun = self.begun.load(Ordering::Relaxed);
        let waiting = if begun == NONE { 0 } else { self.micros().saturating_sub(begun) };
        Duration::from_micros(waiting.max(self.last.load(Ordering::Relaxed)))
    }

    /// Looks again and again; never ends but with an error, after which nothing is late.
    ///
    /// # Errors
    ///
    /// There is no socket to be had.
    pub(super) async fn watch(&self) -> io::Result<()> {
        let watched = self.probe().await;
        self.begun.store(NONE, Ordering::Relaxed);
        self.last.store(0, Ordering::Relaxed);
        watched
    }

    async fn probe(&self) -> io::Result<()> {
        let (sender, receiver) = UnixStream::pair()?;
        let mut byte = [0];
        loop {
            tokio::time::sleep(PAUSE).await;
            // Nothing is there, so that the next byte is told by the poll and not found at once.
            let nothing = receiver.try_read(&mut byte);
            debug_assert!(nothing.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock));
            let begun = self.micros();
            self.begun.store(begun, Ordering::Relaxed);
            sender.try_write(&[0])?;
            while receiver.try_read(&mut byte).is_err() {
                receiver.readable().await?;
            }
            self.last.store(self.micros().saturating_sub(begun), Ordering::Relaxed);
            self.begun.store(NONE, Ordering::Relaxed);
        }
    }

    fn micros(&self) -> u64 {
        let elapsed = self.begin.get_or_init(Instant::now).elapsed();
        u64::try_from(elapsed.as_micros()).unwrap_or(NONE - 1)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn what_arrives_waits_for_what_is_ready() {
        const TASKS: u32 = 40;
        const EACH: Duration = Duration::from_millis(2);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let lateness = Arc::new(Lateness::default());
        let (watched, asked) = (Arc::clone(&lateness), Arc::clone(&lateness));
        // Asked from elsewhere: this thread has no time.
        let asking = std::thread::spawn(move || {
            let asked = (0..600).map(|_| {
                std::thread::sleep(Duration::from_millis(1));
                asked.now()
            });
            asked.max().unwrap()
        });
        runtime.block_on(async move {
            tokio::spawn(async move { watched.watch().await });
            let begin = Instant::now();
            let busy = (0..TASKS).map(|_| {
                tokio::spawn(async move {
                    while begin.elapsed() < Duration::from_millis(600) {
                        std::thread::sleep(EACH);
                        tokio::task::yield_now().await;
                    }
                })
            });
            for one in busy.collect::<Vec<_>>() {
                one.await.unwrap();
            }
        });
        let most = asking.join().unwrap();
        assert!(most >= EACH * TASKS / 2, "{most:?}");
    }

    #[test]
    fn without_work_nothing_waits() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let lateness = Lateness::default();
        let least = runtime.block_on(async {
            let look = async {
                let mut least = Duration::MAX;
                for _ in 0..200 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    least = least.min(lateness.now());
                }
                least
            };
            tokio::select! {
                least = look => least,
                ended = lateness.watch() => panic!("{ended:?}"),
            }
        });
        assert!(least < Duration::from_millis(5), "{least:?}");
    }
}
