//! Programs of a language's own registry: found where the language's tools install them, and held to the version that is known to work.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::BuildError;

/// Most bytes of what a failed tool said that go into an error: its end, where tools say why.
pub(crate) const SAID_BYTES_MAX: usize = 8 * 1024;

/// A program that a build needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tool {
    /// Its name, as a shell calls it.
    pub(crate) program: &'static str,
    /// The version that is known to work.
    pub(crate) version: &'static str,
    /// What makes it say its version.
    pub(crate) ask: &'static [&'static str],
    /// Where the language's own package manager puts programs, from the transform's folder.
    pub(crate) beside: &'static str,
    /// The command that installs it there.
    pub(crate) install: &'static str,
}

impl Tool {
    /// The program of the transform in `folder`: that of the folder, else that of PATH.
    pub(crate) fn find(&self, folder: &Path) -> Result<PathBuf, BuildError> {
        self.find_in(folder, std::env::var_os("PATH"))
    }

    fn find_in(&self, folder: &Path, path: Option<OsString>) -> Result<PathBuf, BuildError> {
        let places = std::iter::once(folder.join(self.beside));
        let places = places.chain(path.iter().flat_map(std::env::split_paths).filter(|place| place.is_absolute()));
        let names = [self.program.to_owned(), format!("{}{}", self.program, std::env::consts::EXE_SUFFIX)];
        let mut files = places.flat_map(|place| names.each_ref().map(|name| place.join(name)));
        let Some(file) = files.find(|file| is_program(file)) else {
            return Err(BuildError::NoTool {
                program: self.program,
                version: self.version,
                beside: folder.join(self.beside),
                install: self.install,
            });
        };
        let said = self.said_version(&file)?;
        // A word of its own: `0.25.1` is not in `0.25.10`.
        let words = said.split(|c: char| c.is_whitespace() || c == ',');
        if !words.into_iter().any(|word| word.trim_start_matches('v') == self.version) {
            let found = said.lines().next().unwrap_or_default().trim().to_owned();
            return Err(BuildError::OtherTool { program: file, found, version: self.version, install: self.install });
        }
        Ok(file)
    }

    fn said_version(&self, file: &Path) -> Result<String, BuildError> {
        let output = output(Command::new(file).args(self.ask))?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

#[cfg(unix)]
fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(file: &Path) -> bool {
    file.is_file()
}

/// What a command said.
pub(crate) struct Said {
    /// Whether it succeeded.
    pub(crate) succeeded: bool,
    /// How it ended.
    pub(crate) status: std::process::ExitStatus,
    /// Its data.
    pub(crate) stdout: Vec<u8>,
    /// All that it said, stdout before stderr, bounded: the end of it.
    pub(crate) text: String,
}

/// Runs a command to its end; what it says is captured.
pub(crate) fn output(command: &mut Command) -> Result<Said, BuildError> {
    output_of_text(command, "")
}

/// Runs a command to its end, with `text` to read; what it says is captured.
pub(crate) fn output_of_text(command: &mut Command, text: &str) -> Result<Said, BuildError> {
    tracing::debug!(?command, "running");
    let program = PathBuf::from(command.get_program());
    let mut run = || {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        // A text is small: it fits into the pipe. A program that ends without reading it has said why.
        if let Some(mut stdin) = child.stdin.take() {
            let _ = stdin.write_all(text.as_bytes());
        }
        child.wait_with_output()
    };
    let output = run().map_err(|source| BuildError::Program { program, source })?;
    let all = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat();
    let text = end_of(all.trim(), SAID_BYTES_MAX).to_owned();
    Ok(Said { succeeded: output.status.success(), status: output.status, stdout: output.stdout, text })
}

/// The last lines of a text, at most so many bytes; of a line that is longer, its end.
fn end_of(text: &str, bytes_max: usize) -> &str {
    if text.len() <= bytes_max {
        return text;
    }
    let tail = &text[text.ceil_char_boundary(text.len() - bytes_max)..];
    tail.split_once('\n').map_or(tail, |(_, whole_lines)| whole_lines)
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const TOOL: Tool = Tool {
        program: "loom",
        version: "1.2.0",
        ask: &["--version"],
        beside: ".venv/bin",
        install: "pip install loom==1.2.0",
    };

    fn script(path: &Path, version: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("#!/bin/sh\necho loom {version}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn the_folders_own_comes_first() {
        let root = tempfile::tempdir().unwrap();
        let (folder, other) = (root.path().join("folder"), root.path().join("bin"));
        let path = Some(other.clone().into_os_string());
        let error = TOOL.find_in(&folder, path.clone()).unwrap_err();
        assert!(matches!(error, BuildError::NoTool { .. }), "{error}");
        assert_eq!(error.hint().as_deref(), Some("pip install loom==1.2.0"));

        script(&other.join("loom"), "1.2.0");
        assert_eq!(TOOL.find_in(&folder, path.clone()).unwrap(), other.join("loom"));
        script(&folder.join(".venv/bin/loom"), "v1.2.0");
        assert_eq!(TOOL.find_in(&folder, path.clone()).unwrap(), folder.join(".venv/bin/loom"));
        script(&folder.join(".venv/bin/loom"), "1.2.01");
        let error = TOOL.find_in(&folder, path).unwrap_err();
        assert!(error.to_string().ends_with("loom` is `loom 1.2.01`, and 1.2.0 is needed"), "{error}");
        assert_eq!(error.hint().as_deref(), Some("pip install loom==1.2.0"));
    }

    #[test]
    fn what_is_said_is_bounded() {
        assert_eq!(end_of("a\nbc\nde", 4), "de");
        assert_eq!(end_of("a\nbc\nde", 8), "a\nbc\nde");
        assert_eq!(end_of("ééé", 3), "é");
        let said = output(Command::new("sh").args(["-c", "echo data; echo why >&2; exit 3"])).unwrap();
        assert_eq!((said.succeeded, said.stdout.as_slice(), said.text.as_str()), (false, &b"data\n"[..], "data\nwhy"));
        assert_eq!(said.status.code(), Some(3));
    }
}
