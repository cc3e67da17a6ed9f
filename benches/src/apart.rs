//! The load generator on one processor, servers on another: neither takes the other's time, and what a server takes for an answer is its own.

use std::process::Command;

use crate::Failure;

/// Processes are apart from this one until it is dropped.
pub(crate) struct Apart {
    processes: Vec<u32>,
    all: String,
}

/// Keeps these processes on the first processor and this one on the second; None where there is only one.
pub(crate) fn apart(processes: Vec<u32>) -> Result<Option<Apart>, Failure> {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    if count < 2 {
        return Ok(None);
    }
    let apart = Apart { processes, all: format!("0-{}", count - 1) };
    for process in &apart.processes {
        keep("0", *process)?;
    }
    keep("1", std::process::id())?;
    Ok(Some(apart))
}

/// All threads of a process on some processors. `taskset` is of util-linux, as in [`crate::child`].
fn keep(processors: &str, process: u32) -> Result<(), Failure> {
    let output = Command::new("taskset").args(["-a", "-c", "-p", processors, &process.to_string()]).output()?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned().into()) }
}

impl Drop for Apart {
    fn drop(&mut self) {
        for process in self.processes.iter().copied().chain([std::process::id()]) {
            let _ = keep(&self.all, process); // it may have ended
        }
    }
}
