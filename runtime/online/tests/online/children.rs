//! Child processes: a test runs its own binary again, with itself as the only test and the store's folder in the environment.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const FOLDER: &str = "TANDEM_ONLINE_TEST_FOLDER";

/// The folder, if this process is a child.
pub(crate) fn folder() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

/// Starts a child that runs `test` (its full name), with stdin and stdout piped.
pub(crate) fn start(test: &str, folder: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    spawn(command.args(arguments(test)), folder)
}

/// As [`start`], with a shell that runs `prelude` (limits of the process) first.
pub(crate) fn start_after(prelude: &str, test: &str, folder: &Path) -> Child {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{prelude}; exec \"$@\""), "sh"]);
    spawn(command.arg(std::env::current_exe().unwrap()).args(arguments(test)), folder)
}

fn arguments(test: &str) -> [&str; 5] {
    [test, "--exact", "--nocapture", "--test-threads", "1"]
}

fn spawn(command: &mut Command, folder: &Path) -> Child {
    command.env(FOLDER, folder).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

/// Says a line to the parent. Written around the test harness, whose own lines the parent skips.
pub(crate) fn say(line: &str) {
    use std::io::Write as _;
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(format!("\n{SAID}{line}\n").as_bytes()).unwrap();
    stdout.flush().unwrap();
}

/// What a child said, if the line is not the test harness's.
pub(crate) fn said(line: &str) -> Option<&str> {
    line.strip_prefix(SAID)
}

const SAID: &str = "child: ";
