//! How late the server's threads are: for how long what has arrived waits until one of them comes to it.
//!
//! Work that is done where requests are waits in no queue of its own, so no count of requests says that there is too much of it. What says so is time, which has
//! two parts. First a request lies in its socket, until a thread asks the system what is there; then its connection's task has been told, and waits behind
//! others. The second part is known of each request ([`super::arrival`]). The first is not, and is measured by a probe that goes the way of requests: a byte is
//! written to a socket, and a task told of it by the same poll of the same sockets. A probe that is still under way counts for as long as it has been. Where
//! no request arrives for a while there is none: an idle server is not late, and takes no processor time.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::net::UnixStream;
use tokio::sync::Notify;

use super::arrival::Arrival;

/// How long after a probe the next one begins.
const PAUSE: Duration = Duration::from_millis(2);

/// After so many probes without a request there are none until the next request: after half a second, if nothing is late.
const QUIET_PROBES: u32 = 200;

/// No probe is under way.
const NONE: u64 = u64::MAX;

/// How late the server is now.
#[derive(Debug)]
pub(super) struct Lateness {
    /// From which on microseconds are counted.
    begin: OnceLock<Instant>,
    /// What the last probe took, in microseconds.
    last: AtomicU64,
    /// For how long it lay in its socket, in microseconds.
    last_unseen: AtomicU64,
    /// When the one that is under way began, in microseconds.
    begun: AtomicU64,
    /// Whether a request arrived since the last probe.
    asked: AtomicBool,
    /// Told with the first of them.
    wanted: Notify,
    /// The probe's task.
    arrival: Arc<Arrival>,
}

impl Default for Lateness {
    fn default() -> Self {
        let [last, last_unseen] = [0, 0].map(AtomicU64::new);
        Lateness {
            begin: OnceLock::new(),
            last,
            last_unseen,
            begun: AtomicU64::new(NONE),
            asked: AtomicBool::new(false),
            wanted: Notify::new(),
            arrival: Arc::default(),
        }
    }
}

impl Lateness {
    /// A request arrived.
    pub(super) fn arrived(&self) {
        if !self.asked.swap(true, Ordering::Relaxed) {
            self.wanted.notify_one();
        }
    }

    /// For how long what arrives now is going to wait, as far as one knows: as long as the last probe, or as the one that still waits.
    pub(super) fn now(&self) -> Duration {
        Duration::from_micros(self.under_way().max(self.last.load(Ordering::Relaxed)))
    }

    /// The part of it before a connection's task is told.
    pub(super) fn unseen(&self) -> Duration {
        let under_way = if self.arrival.is_told() { 0 } else { self.under_way() };
        Duration::from_micros(under_way.max(self.last_unseen.load(Ordering::Relaxed)))
    }

    fn under_way(&self) -> u64 {
        let begun = self.begun.load(Ordering::Relaxed);
        if begun == NONE { 0 } else { self.micros().saturating_sub(begun) }
    }

    /// Looks again and again; never ends but with an error, after which nothing is late.
    ///
    /// # Errors
    ///
    /// There is no socket to be had.
    pub(super) async fn watch(&self) -> io::Result<()> {
        let watched = self.arrival.watch(self.probe()).await;
        self.begun.store(NONE, Ordering::Relaxed);
        self.forget();
        watched
    }

    fn forget(&self) {
        self.last.store(0, Ordering::Relaxed);
        self.last_unseen.store(0, Ordering::Relaxed);
    }

    async fn probe(&self) -> io::Result<()> {
        let (sender, receiver) = UnixStream::pair()?;
        let mut byte = [0];
        let mut quiet = 0;
        loop {
            quiet = if self.asked.swap(false, Ordering::Relaxed) { 0 } else { quiet + 1 };
            if quiet >= QUIET_PROBES {
                self.forget();
                self.wanted.notified().await;
                quiet = 0;
            }
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
            let took = self.micros().saturating_sub(begun);
            let told = u64::try_from(self.arrival.waited().as_micros()).unwrap_or(took);
            self.last.store(took, Ordering::Relaxed);
            self.last_unseen.store(took.saturating_sub(told), Ordering::Relaxed);
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
                asked.arrived();
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
                    lateness.arrived();
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

    #[test]
    fn an_idle_server_is_left_alone_until_a_request_arrives() {
        const LATE: u64 = 60_000;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let lateness = Lateness::default();
        let look = async {
            // What stands there stays there, as soon as nobody probes.
            let is_left_alone = async || {
                lateness.last_unseen.store(LATE, Ordering::Relaxed);
                tokio::time::sleep(PAUSE * 20).await;
                lateness.unseen() == Duration::from_micros(LATE)
            };
            assert!(!is_left_alone().await, "it begins with probes");
            while !is_left_alone().await {}
            lateness.arrived();
            assert!(!is_left_alone().await, "a request arrived");
        };
        runtime.block_on(async {
            tokio::select! {
                () = look => {},
                ended = lateness.watch() => panic!("{ended:?}"),
            }
        });
    }
}
