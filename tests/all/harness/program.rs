//! The program as a process.

use std::path::Path;
use std::process::{Command, Stdio};

/// A call of `tandem` in the project at `root`, with nothing of this process's settings.
pub(crate) fn tandem(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tandem-under-test"));
    command.args(arguments).current_dir(root).stdin(Stdio::null()).env_remove("TANDEM_LOG").env("COLUMNS", "100");
    command
}
