//! For how long a task waited: from when it was told that there is something to do, until a thread came to it.
//!
//! What has arrived for a connection is told to its task, which then waits behind all tasks that were told before. How long that took is known when a thread comes
//! to it, and of that connection alone: no average, and nothing that is over already. (Nichols and Jacobson, "Controlling Queue Delay", 2012, measure the same,
//! the time of each in the queue, and not the queue's length.)

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use futures::task::AtomicWaker;

/// Nobody told the task anything.
const NOTHING: u64 = 0;

/// When a task was told something, and for how long it waited before it ran.
#[derive(Debug)]
pub(super) struct Arrival {
    /// From which on microseconds are counted.
    begin: Instant,
    /// When the task was told first since it last ran, in microseconds and one; [`NOTHING`].
    told: AtomicU64,
    /// For how long it waited before it ran last, in microseconds.
    waited: AtomicU64,
    task: AtomicWaker,
}

impl Default for Arrival {
    fn default() -> Self {
        Arrival {
            begin: Instant::now(),
            told: AtomicU64::new(NOTHING),
            waited: AtomicU64::new(0),
            task: AtomicWaker::new(),
        }
    }
}

impl Arrival {
    /// For how long the task waited before it ran last.
    pub(super) fn waited(&self) -> Duration {
        Duration::from_micros(self.waited.load(Ordering::Relaxed))
    }

    #[cfg(test)]
    pub(super) fn that_waited(time: Duration) -> Self {
        Arrival { waited: AtomicU64::new(time.as_micros() as u64), ..Arrival::default() }
    }

    /// Whether the task was told something and has not run since.
    pub(super) fn is_told(&self) -> bool {
        self.told.load(Ordering::Relaxed) != NOTHING
    }

    /// Runs `inner` as a task whose waits are known.
    pub(super) fn watch<F: Future>(self: &Arc<Self>, inner: F) -> Watched<F> {
        Watched { waker: Waker::from(Arc::clone(self)), arrival: Arc::clone(self), inner: Box::pin(inner) }
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_micros()).unwrap_or(u64::MAX - 1) + 1
    }
}

impl Wake for Arrival {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_told() {
            self.told.store(self.micros(), Ordering::Relaxed); // of two who tell at once either is right
        }
        self.task.wake();
    }
}

/// A future whose waits are known; see [`Arrival`].
pub(super) struct Watched<F> {
    inner: Pin<Box<F>>,
    arrival: Arc<Arrival>,
    waker: Waker,
}

impl<F: Future> Future for Watched<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // Before the inner future runs: what it is told meanwhile makes the task run again.
        self.arrival.task.register(context.waker());
        let told = self.arrival.told.swap(NOTHING, Ordering::Relaxed);
        let waited = if told == NOTHING { 0 } else { self.arrival.micros().saturating_sub(told) };
        self.arrival.waited.store(waited, Ordering::Relaxed);
        let Watched { inner, waker, .. } = &mut *self;
        inner.as_mut().poll(&mut Context::from_waker(waker))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[test]
    fn the_wait_of_what_was_told_is_known_when_it_runs() {
        const BUSY: Duration = Duration::from_millis(30);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let arrival = Arc::new(Arrival::default());
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        let waited = runtime.block_on(async {
            let own = Arc::clone(&arrival);
            let watched = tokio::spawn(arrival.watch(async move {
                assert_eq!(own.waited(), Duration::ZERO, "it began by itself");
                receiver.await.unwrap();
                own.waited()
            }));
            tokio::task::yield_now().await;
            assert!(!arrival.is_told());
            sender.send(()).unwrap();
            assert!(arrival.is_told());
            std::thread::sleep(BUSY);
            watched.await.unwrap()
        });
        assert!(waited >= BUSY, "{waited:?}");
    }

    #[test]
    fn a_task_that_tells_itself_while_it_runs_runs_again() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut left = 5;
        let ran = Arc::new(Arrival::default()).watch(poll_fn(move |context| {
            left -= 1;
            context.waker().wake_by_ref();
            if left == 0 { Poll::Ready(()) } else { Poll::Pending }
        }));
        runtime.block_on(ran);
    }
}
