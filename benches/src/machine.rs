//! What the figures were measured on.

use std::fs;

/// Markdown: processor, cores, kernel, versions; no name of the machine.
pub(crate) fn describe(quick: bool) -> String {
    let value = |path: &str, key: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_once(':').map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
    };
    let read =
        |path: &str| fs::read_to_string(path).map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let warning = if quick { "\n**A quick run: these figures mean nothing.**\n" } else { "" };
    format!(
        "# Tandem, measured\n\n- processor: {}, {cores} cores, {} memory\n- kernel: {} {}\n- load average at the start: {}\n- contract: {}\n{warning}",
        value("/proc/cpuinfo", "model name"),
        value("/proc/meminfo", "MemTotal"),
        read("/proc/sys/kernel/ostype"),
        read("/proc/sys/kernel/osrelease"),
        read("/proc/loadavg"),
        tandem_engine::CONTRACT,
    )
}
