//! Running the programs that a sysroot needs.

use std::process::{Command, Output};

use crate::SysrootError;

/// Runs `command` to its end; its output is captured.
pub(super) fn output(command: &mut Command) -> Result<Output, SysrootError> {
    tracing::debug!(?command, "running");
    command.output().map_err(|source| SysrootError::Program {
        program: command.get_program().to_string_lossy().into_owned(),
        source,
    })
}

/// The last lines of what a program said on stderr.
pub(super) fn last_lines(output: &Output, lines: usize) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let all: Vec<&str> = text.trim_end().lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
