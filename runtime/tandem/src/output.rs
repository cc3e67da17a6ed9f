//! The only module that prints. Data goes to stdout; progress, notes, warnings and errors go to stderr.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is the one place")]

mod paint;
mod progress;
mod table;

use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write};

use serde_json::Value;
use tandem_engine::{CompileFault, compile_for_parent};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

pub use paint::{Paint, Paints};
pub use progress::ProgressBar;
pub use table::{Column, Table, plain, width};

use crate::error::Error;

/// Bytes of binary data that are handed over at a time.
const BINARY_BUFFER: usize = 1 << 20;

/// Where a command's words go.
pub struct Output {
    json: bool,
}

impl Output {
    /// `json`: data as JSON.
    pub fn new(json: bool) -> Output {
        Output { json }
    }

    /// Whether data is wanted as JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Data, as text or as JSON, whichever was asked for.
    pub fn data(&self, text: impl FnOnce() -> String, json: impl FnOnce() -> Value) {
        let mut text = if self.json { format!("{:#}", json()) } else { text() };
        if !text.ends_with('\n') {
            text.push('\n');
        }
        let mut stdout = std::io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            // The reader has seen enough (`| head`): not an error of ours.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
            Err(error) => {
                tell(format_args!("error: cannot write to stdout: {error}"));
                std::process::exit(1);
            }
            Ok(()) => {}
        }
    }

    /// Colours for data; none where stdout is no terminal, with `NO_COLOR` or as JSON.
    pub fn paints(&self) -> Paints {
        Paints::new(!self.json && std::io::stdout().is_terminal() && colour_wanted())
    }

    /// For the process that called this one: a component by stdin, its code by stdout.
    pub fn compile(&self, arguments: &[String]) -> Result<(), CompileFault> {
        compile_for_parent(arguments, std::io::stdin().lock(), std::io::stdout().lock())
    }

    /// Stdout for data that is no text.
    ///
    /// # Errors
    ///
    /// A terminal, which such data would garble.
    pub fn binary(&self) -> Result<impl Write + use<>, Error> {
        if std::io::stdout().is_terminal() {
            let reason = "an Arrow stream is not for a terminal; pipe it, or name a file".to_owned();
            return Err(Error::Argument { what: "--out -".to_owned(), reason });
        }
        Ok(std::io::BufWriter::with_capacity(BINARY_BUFFER, std::io::stdout()))
    }

    /// A line for people, beside the data.
    pub fn note(&self, text: impl Display) {
        tell(format_args!("{text}"));
    }

    /// Something that should be looked at.
    pub fn warning(&self, text: impl Display) {
        let label = if colour() { "\x1b[1;33mwarning\x1b[0m" } else { "warning" };
        tell(format_args!("{label}: {text}"));
    }

    /// What went wrong, and what to do.
    pub fn error(&self, error: &Error) {
        // Diagnostics of definition files begin with their own `error:`, with file and line.
        if let Error::Definitions(diagnostics) = error {
            tell(format_args!("{diagnostics}"));
            return;
        }
        let (label, hint) =
            if colour() { ("\x1b[1;31merror\x1b[0m", "\x1b[1;36mhint\x1b[0m") } else { ("error", "hint") };
        tell(format_args!("{label}: {error}"));
        if let Some(text) = error.hint() {
            tell(format_args!("{hint}: {text}"));
        }
    }

    /// A progress display on stderr; silent where that is no terminal.
    pub fn progress(&self, what: &str) -> ProgressBar {
        ProgressBar::new(what)
    }
}

/// A line on stderr. Where that takes none (a full disk, a reader that is gone) nobody is left to be told, and the work goes on.
fn tell(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

fn colour() -> bool {
    std::io::stderr().is_terminal() && colour_wanted()
}

fn colour_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A filter of the log, as it was given.
///
/// # Errors
///
/// It is none; or it names a level that there is not, which would be taken for a part of the program of which everything is told.
pub fn log_filter(text: &str) -> Result<String, String> {
    EnvFilter::builder().parse(text).map_err(|error| error.to_string())?;
    let is_known = |part: &str| part.is_empty() || part.contains(['=', '[']) || part.parse::<LevelFilter>().is_ok();
    match text.split(',').map(str::trim).find(|part| !is_known(part)) {
        Some(part) => Err(format!(
            "`{part}` is no level; the levels are off, error, warn, info, debug and trace, and that of a part of the program is written as tandem=debug"
        )),
        None => Ok(text.to_owned()),
    }
}

/// Starts the log on stderr: warnings, and for a server what it does.
pub fn start_log(filter: Option<&str>, json: bool, server: bool) {
    // The build of the standard library takes a minute: silence would look like a hang.
    let default = if server { "warn,tandem=info" } else { "warn,tandem_build=info" };
    let filter = EnvFilter::builder().parse_lossy(filter.unwrap_or(default));
    // Its words on a log that cannot be written would go to the same stderr, and panic there: a full disk would end every request.
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false);
    if json {
        builder.json().flatten_event(true).init();
    } else {
        builder.with_ansi(colour()).with_target(false).init();
    }
}

/// `1234567` as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// So many things, by the name of one: `1 row`, `1,234 rows`, `2 tries`.
pub fn counted(count: u64, thing: &str) -> String {
    let number = grouped(count);
    match thing.strip_suffix('y') {
        _ if count == 1 => format!("{number} {thing}"),
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{number} {stem}ies"),
        _ => format!("{number} {thing}s"),
    }
}

/// `31744` as `31.0 KiB`.
pub fn bytes(number: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut value = number as f64 / 1024.0;
    let mut unit = 0;
    if number < 1024 {
        return format!("{number} B");
    }
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", units[unit])
}

/// Rows in a second, for people.
pub fn rate(rows: u64, elapsed: std::time::Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(1e-9);
    format!("{} rows/s", grouped((rows as f64 / seconds) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!([0, 1, 1_234].map(|count| counted(count, "row")), ["0 rows", "1 row", "1,234 rows"]);
        assert_eq!(["try", "key"].map(|thing| counted(2, thing)), ["2 tries", "2 keys"]);
        assert_eq!(["try", "key"].map(|thing| counted(1, thing)), ["1 try", "1 key"]);
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(31_744), "31.0 KiB");
        assert_eq!(bytes(3 << 20), "3.0 MiB");
        assert_eq!(rate(10, std::time::Duration::from_secs(2)), "5 rows/s");
    }
}
