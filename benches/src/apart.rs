//! Servers on one processor, the load generator on another: neither takes the other's time, and what a server takes for an answer is its own.

use std::process::Command;

use crate::Failure;

/// This process is on a processor of its own until it is dropped.
pub(crate) struct Apart {
    all: Option<String>,
}

/// Starts servers by `start` on the first processor, where they find one processor and begin as many threads, and goes itself to the second. `processes`
/// are those that ran before. With a single processor nothing is moved.
pub(crate) fn apart<T>(processes: &[u32], start: impl FnOnce() -> Result<T, Failure>) -> Result<(Apart, T), Failure> {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let apart = Apart { all: (count > 1).then(|| format!("0-{}", count - 1)) };
    if !apart.is_apart() {
        return Ok((apart, start()?));
    }
    for process in processes {
        keep("0", *process)?;
    }
    keep("0", std::process::id())?;
    let started = start()?;
    keep("1", std::process::id())?;
    Ok((apart, started))
}

impl Apart {
    /// Whether there are two processors.
    pub(crate) fn is_apart(&self) -> bool {
        self.all.is_some()
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
