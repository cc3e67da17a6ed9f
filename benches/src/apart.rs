//! Servers on one processor, the load generator on another: neither takes the other's time, and what a server takes for an answer is its own.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::Failure;

/// For how long the servers' processor is looked at before they start.
const LOOKED_AT: Duration = Duration::from_secs(1);

/// A pause that counts.
const PAUSE_MIN: Duration = Duration::from_micros(100);

/// This process is on a processor of its own until it is dropped.
pub(crate) struct Apart {
    all: Option<String>,
    pauses: Pauses,
}

/// What the machine takes of a processor for itself: a thread that only reads the clock is held up.
#[derive(Debug, Default)]
struct Pauses {
    count: usize,
    longest: Duration,
}

/// Starts servers by `start` on the first processor, where they find one processor and begin as many threads, and goes itself to the second. `processes`
/// are those that ran before. With a single processor nothing is moved.
pub(crate) fn apart<T>(processes: &[u32], start: impl FnOnce() -> Result<T, Failure>) -> Result<(Apart, T), Failure> {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let mut apart = Apart { all: (count > 1).then(|| format!("0-{}", count - 1)), pauses: Pauses::default() };
    if apart.all.is_none() {
        return Ok((apart, start()?));
    }
    for process in processes {
        keep("0", *process)?;
    }
    keep("0", std::process::id())?;
    apart.pauses = Pauses::of(LOOKED_AT);
    let started = start()?;
    keep("1", std::process::id())?;
    Ok((apart, started))
}

impl Apart {
    /// Where servers and the load generator are, and how quiet it is there.
    pub(crate) fn describe(&self) -> String {
        if self.all.is_none() {
            return String::new();
        }
        format!(
            ", servers on one processor and the load generator on the other (before they started, a thread that did nothing else was held up for more than 0.1 ms {} times in a second there, for {:.1} ms at most)",
            self.pauses.count,
            self.pauses.longest.as_secs_f64() * 1e3
        )
    }
}

impl Pauses {
    fn of(span: Duration) -> Pauses {
        let (start, mut pauses) = (Instant::now(), Pauses::default());
        let mut last = start;
        while last - start < span {
            let now = Instant::now();
            if now - last >= PAUSE_MIN {
                pauses.count += 1;
                pauses.longest = pauses.longest.max(now - last);
            }
            last = now;
        }
        pauses
    }
}

/// All threads of a process on some processors; what it starts inherits that. `taskset` is of util-linux, as in [`crate::child`].
fn keep(processors: &str, process: u32) -> Result<(), Failure> {
    let output = Command::new("taskset").args(["-a", "-c", "-p", processors, &process.to_string()]).output()?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned().into()) }
}

impl Drop for Apart {
    fn drop(&mut self) {
        if let Some(all) = &self.all {
            let _ = keep(all, std::process::id()); // what is measured after is slower, and not wrong
        }
    }
}
