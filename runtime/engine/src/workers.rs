//! Threads for blocking work: calls into transforms never run on an async executor.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use futures::channel::oneshot;

/// Stack of a worker, in bytes of address space: room for the deepest recursion that a transform may have, and for the host's own frames. Other
/// threads that call into transforms need as much.
pub const STACK_BYTES: usize = 16 << 20;

/// By how much workers are nicer that stand behind the other threads of their process. About a thirtieth of the weight is left to them
/// (`sched(7)`), so they go on even where the others never rest. With 5, attacks on one view still made another's p99 ten times as long
/// (docs/performance.md).
pub const BEHIND_NICE: i32 = 15;

type Job = Box<dyn FnOnce() + Send>;

/// A fixed number of threads that take jobs in order. Cheap to clone; the threads end when the last clone is gone and their jobs are done.
#[derive(Clone)]
pub struct Workers {
    shared: Arc<Guard>,
}

struct Guard {
    queue: Arc<Queue>,
    threads: usize,
}

struct Queue {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Threads that run a job.
    busy: usize,
    closed: bool,
}

/// What the threads do at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkersLoad {
    /// Threads that run a job.
    pub busy: usize,
    /// Jobs that wait for a thread.
    pub waiting: usize,
}

/// A job panicked: a defect of the host, not of a guest. The worker lives on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WorkerPanic(pub String);

/// Why a job of [`Workers::run_within`] came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// No thread was free for so long that the job was not begun.
    #[error("no worker was free for {} ms", waited.as_millis())]
    Late {
        /// For how long it waited.
        waited: Duration,
    },
    /// It panicked.
    #[error(transparent)]
    Panic(#[from] WorkerPanic),
}

impl Workers {
    /// Starts so many threads, at least one.
    ///
    /// # Panics
    ///
    /// If the system refuses a thread.
    pub fn start(threads: usize) -> Workers {
        Workers::spawn(threads, 0)
    }

    /// The same, for a process whose other threads should not wait for these: on Linux they are [`BEHIND_NICE`] nicer. A server's other threads
    /// take requests and try small ones; they do so at once, however many processors transforms keep busy.
    ///
    /// # Panics
    ///
    /// If the system refuses a thread.
    pub fn start_behind(threads: usize) -> Workers {
        Workers::spawn(threads, BEHIND_NICE)
    }

    fn spawn(threads: usize, nicer: i32) -> Workers {
        let threads = threads.max(1);
        let queue = Arc::new(Queue { state: Mutex::default(), wake: Condvar::new() });
        for index in 0..threads {
            let queue = Arc::clone(&queue);
            thread::Builder::new()
                .name(format!("tandem-worker-{index}"))
                .stack_size(STACK_BYTES)
                .spawn(move || {
                    be_nicer(nicer);
                    queue.work();
                })
                .expect("the system gives no thread for a worker");
        }
        Workers { shared: Arc::new(Guard { queue, threads }) }
    }

    /// How many threads there are.
    pub fn threads(&self) -> usize {
        self.shared.threads
    }

    /// What they do now.
    pub fn load(&self) -> WorkersLoad {
        let state = self.shared.queue.lock();
        WorkersLoad { busy: state.busy, waiting: state.jobs.len() }
    }

    /// Queues a job and forgets it.
    pub fn submit(&self, job: impl FnOnce() + Send + 'static) {
        let queue = &self.shared.queue;
        queue.lock().jobs.push_back(Box::new(job));
        queue.wake.notify_one();
    }

    /// Runs `job` on a worker and waits for its result without blocking the executor. A job that has begun runs to its end even if the
    /// future is dropped.
    pub async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T, WorkerPanic> {
        let (sender, receiver) = oneshot::channel();
        self.submit(move || {
            let _ = sender.send(caught(job)); // nobody waits any more: the caller was dropped
        });
        receiver.await.unwrap_or_else(|oneshot::Canceled| Err(ended()))
    }

    /// As [`Workers::run`], but a job for which no thread was free within `wait_max`, or for whose result nobody waits any more, is not begun.
    ///
    /// # Errors
    ///
    /// The job waited for longer, or panicked.
    pub async fn run_within<T: Send + 'static>(
        &self,
        wait_max: Duration,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, RunError> {
        let (sender, receiver) = oneshot::channel();
        let queued = Instant::now();
        self.submit(move || {
            if sender.is_canceled() {
                return;
            }
            let waited = queued.elapsed();
            let result = match waited > wait_max {
                true => Err(RunError::Late { waited }),
                false => caught(job).map_err(RunError::from),
            };
            let _ = sender.send(result); // nobody waits any more: the caller was dropped
        });
        receiver.await.unwrap_or_else(|oneshot::Canceled| Err(ended().into()))
    }
}

/// What a job gives, or its panic.
fn caught<T>(job: impl FnOnce() -> T) -> Result<T, WorkerPanic> {
    catch_unwind(AssertUnwindSafe(job)).map_err(|panic| WorkerPanic(panic_text(&*panic)))
}

/// Nobody is left to answer.
fn ended() -> WorkerPanic {
    WorkerPanic("the worker threads have ended".to_owned())
}

/// Lowers the priority of this thread. Only Linux has that for a single thread; elsewhere it would be the whole process.
fn be_nicer(by: i32) {
    if cfg!(target_os = "linux")
        && by != 0
        && let Err(error) = rustix::process::nice(by)
    {
        tracing::warn!(%error, "a worker keeps its priority");
    }
}

impl Queue {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Jobs run outside the lock, so a poisoned state is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut state = self.lock();
        loop {
            let job = loop {
                if let Some(job) = state.jobs.pop_front() {
                    state.busy += 1;
                    break job;
                }
                if state.closed {
                    return;
                }
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            };
            drop(state);
            if let Err(panic) = catch_unwind(AssertUnwindSafe(job)) {
                tracing::error!(panic = panic_text(&*panic), "a job panicked");
            }
            state = self.lock();
            state.busy -= 1;
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.wake.notify_all();
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panic without a text".to_owned())
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use futures::executor::block_on;

    use super::*;

    #[test]
    fn results_come_back_and_panics_are_errors() {
        let workers = Workers::start(2);
        assert_eq!(block_on(workers.run(|| 6 * 7)), Ok(42));
        assert_eq!(block_on(workers.run(|| panic!("no"))), Err::<(), _>(WorkerPanic("no".to_owned())));
        assert_eq!(block_on(workers.run(|| 1)), Ok(1), "the worker lives on");
    }

    /// Field 19 of proc_pid_stat(5), of the thread that asks.
    #[cfg(target_os = "linux")]
    fn own_nice() -> i32 {
        let text = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        text.rsplit_once(')').unwrap().1.split_whitespace().nth(16).unwrap().parse().unwrap()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn workers_behind_others_are_nicer_and_nobody_else_is() {
        let mine = own_nice();
        assert_eq!(block_on(Workers::start(1).run(own_nice)), Ok(mine));
        assert_eq!(block_on(Workers::start_behind(2).run(own_nice)), Ok((mine + BEHIND_NICE).min(19)));
        assert_eq!(own_nice(), mine);
    }

    #[test]
    fn the_load_is_told() {
        let workers = Workers::start(1);
        assert_eq!(workers.load(), WorkersLoad { busy: 0, waiting: 0 });
        let (began, begun) = std::sync::mpsc::channel();
        let (release, released) = std::sync::mpsc::channel::<()>();
        workers.submit(move || {
            began.send(()).unwrap();
            released.recv().unwrap();
        });
        begun.recv().unwrap();
        workers.submit(|| panic!("no"));
        assert_eq!(workers.load(), WorkersLoad { busy: 1, waiting: 1 });
        release.send(()).unwrap();
        assert_eq!(block_on(workers.run(|| 1)), Ok(1));
        let begin = std::time::Instant::now();
        while workers.load() != (WorkersLoad { busy: 0, waiting: 0 }) {
            assert!(begin.elapsed().as_secs() < 20, "{:?}", workers.load());
            thread::yield_now();
        }
    }

    #[test]
    fn a_job_that_waited_too_long_is_not_begun() {
        let workers = Workers::start(1);
        let (release, released) = std::sync::mpsc::channel::<()>();
        workers.submit(move || released.recv().unwrap());
        let wait_max = Duration::from_millis(20);
        let mut late = std::pin::pin!(workers.run_within(wait_max, || unreachable!("it is too late")));
        let mut abandoned = Box::pin(workers.run_within(Duration::MAX, || unreachable!("nobody waits")));
        assert_eq!(late.as_mut().now_or_never(), None);
        assert_eq!(abandoned.as_mut().now_or_never(), None::<Result<(), _>>);
        drop(abandoned);
        thread::sleep(2 * wait_max);
        release.send(()).unwrap();
        assert!(matches!(block_on(late), Err::<(), _>(RunError::Late { waited }) if waited > wait_max));
        assert_eq!(block_on(workers.run_within(Duration::MAX, || 6 * 7)), Ok(42));
        let panicked = block_on(workers.run_within(Duration::MAX, || panic!("no")));
        assert_eq!(panicked, Err::<(), _>(RunError::Panic(WorkerPanic("no".to_owned()))));
    }

    #[test]
    fn queued_jobs_finish_after_the_handle_is_gone() {
        let workers = Workers::start(1);
        let (sender, receiver) = std::sync::mpsc::channel();
        for number in 0..10 {
            let sender = sender.clone();
            workers.submit(move || sender.send(number).unwrap());
        }
        drop((workers, sender));
        assert_eq!(receiver.iter().collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
    }
}
