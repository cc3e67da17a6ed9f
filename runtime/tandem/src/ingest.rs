//! Rows of a file or of stdin pushed into a view: into the online store of this project, or through a running server.
//!
//! Newline JSON is read as it grows, Parquet once. A batch is acknowledged when it is durable, and only then is the place in the file recorded
//! (`state`), so a run that is killed sends at most its last batches again: rows that are there already change nothing. A row that is refused is written
//! aside with its line, and the others are taken.

mod lines;
mod rejected;
mod sink;
mod state;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::push::PushPlan;
pub use lines::LINE_BYTES_MAX;
use lines::{Lines, Next};
use rejected::Rejected;
use sink::{Body, Sent};
pub use sink::{Local, Remote, Sink};
use state::{Place, State};

/// Bytes of one batch, about.
const BATCH_BYTES: usize = 4 << 20;

/// How often a file that grows is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Rejections that a report shows.
const REJECTIONS_SHOWN_MAX: usize = 10;

/// Where rows come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Newline JSON from stdin.
    Stdin,
    /// A file: of Parquet, if its name ends so, else of newline JSON.
    File(PathBuf),
}

/// What to read, and how.
pub struct Request {
    /// What may be pushed.
    pub plan: Arc<PushPlan>,
    /// Where from.
    pub input: Input,
    /// To go on as the file grows, for ever, from where the last run that followed it stopped: the file that says where that is.
    pub follow: Option<PathBuf>,
    /// Whether to begin at the first line all the same.
    pub from_start: bool,
    /// Rows of one batch.
    pub batch_rows: usize,
    /// Where rows that are refused go.
    pub rejected: PathBuf,
}

/// A row that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Its line, or of Parquet its row, both from 1.
    pub line: u64,
    /// Why.
    pub message: String,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Lines that an earlier run had taken.
    pub lines_before: u64,
    /// Rows that were read.
    pub rows: u64,
    /// Rows that were taken.
    pub accepted: u64,
    /// Of them, rows that are new and count.
    pub written: u64,
    /// Rows behind a later one of their entity or event.
    pub older: u64,
    /// Rows that were there already.
    pub unchanged: u64,
    /// Rows that went into the push log.
    pub logged: u64,
    /// Rows that were refused.
    pub rejected: u64,
    /// The first of them.
    pub rejections: Vec<Rejection>,
    /// Names that rows have and no column of the view: they are left out.
    pub left_out: BTreeSet<String>,
}

/// Pushes all rows; with [`Request::follow`] it does not end but by an error. Blocking.
///
/// # Errors
///
/// What cannot be read, what cannot be sent, and where rows that are refused cannot be written.
pub fn run(request: &Request, sink: &dyn Sink, mut progress: impl FnMut(&Report)) -> Result<Report, Error> {
    let mut ingest = Ingest { request, sink, report: Report::default(), rejected: Rejected::new(&request.rejected) };
    match &request.input {
        Input::File(path) if is_parquet(path) => {
            if request.follow.is_some() {
                let reason = "a Parquet file does not grow: --follow goes with newline JSON".to_owned();
                return Err(Error::Argument { what: path.display().to_string(), reason });
            }
            ingest.parquet(path, &mut progress)?;
        }
        Input::File(path) => ingest.lines(Lines::open(path)?, &mut progress)?,
        Input::Stdin => {
            if request.follow.is_some() {
                let reason = "stdin has no place to go on from: --follow goes with a file".to_owned();
                return Err(Error::Argument { what: "-".to_owned(), reason });
            }
            ingest.lines(Lines::stdin(), &mut progress)?;
        }
    }
    Ok(ingest.report)
}

fn is_parquet(path: &std::path::Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("parquet"))
}

struct Ingest<'a> {
    request: &'a Request,
    sink: &'a dyn Sink,
    report: Report,
    rejected: Rejected,
}

/// Rows that are sent together, with the lines that they are from.
#[derive(Default)]
struct Batch {
    rows: Vec<Value>,
    lines: Vec<(u64, String)>,
    bytes: usize,
}

impl Ingest<'_> {
    fn lines(&mut self, mut lines: Lines, progress: &mut impl FnMut(&Report)) -> Result<(), Error> {
        let state = self.request.follow.as_deref().map(State::new);
        if let (Some(state), false) = (&state, self.request.from_start)
            && let Some(place) = state.read()?
        {
            lines.resume(&place)?;
            self.rejected.resume(place.rejected_bytes)?;
            self.report.lines_before = place.lines;
        }
        let mut batch = Batch::default();
        loop {
            let next = lines.next()?;
            let is_full = batch.rows.len() >= self.request.batch_rows || batch.bytes >= BATCH_BYTES;
            if let Next::Line(number, text) = &next {
                self.line(*number, text, &mut batch)?;
                if !is_full {
                    continue;
                }
            }
            let last = match (&next, &state) {
                (Next::End, None) => lines.rest(),
                _ => None,
            };
            if let Some((number, text)) = &last {
                self.line(*number, text, &mut batch)?;
            }
            let is_empty = batch.rows.is_empty();
            self.send(&mut batch)?;
            progress(&self.report);
            if let Some(state) = &state
                && (!is_empty || lines.has_moved())
            {
                let place = Place { rejected_bytes: self.rejected.sync()?, ..lines.place()? };
                state.write(&place)?;
                lines.recorded();
            }
            match (next, &state) {
                (Next::End, None) => return self.rejected.sync().map(drop),
                (Next::End, Some(_)) => {
                    std::thread::sleep(LOOK);
                    lines.check()?;
                }
                (Next::Line(..), _) => {}
            }
        }
    }

    /// A line into the batch, or aside.
    fn line(&mut self, number: u64, text: &[u8], batch: &mut Batch) -> Result<(), Error> {
        if text.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        self.report.rows += 1;
        match self.row(text) {
            Ok(row) => {
                batch.bytes += text.len();
                batch.rows.push(Value::Object(row));
                batch.lines.push((number, String::from_utf8_lossy(text).into_owned()));
                Ok(())
            }
            Err(message) => self.reject(number, Some(&String::from_utf8_lossy(text)), "invalid_row", message),
        }
    }

    /// The columns of a line under their own names.
    fn row(&mut self, text: &[u8]) -> Result<Map<String, Value>, String> {
        let row: Value = serde_json::from_slice(text).map_err(|error| format!("it is no JSON: {error}"))?;
        let Value::Object(members) = row else { return Err("it is no JSON object".to_owned()) };
        let columns = self.request.plan.columns();
        let mut row = Map::new();
        for (name, value) in members {
            let own = columns.iter().position(|column| column.name == name);
            let alias =
                || self.request.plan.aliases().iter().find(|(alias, _)| *alias == name).map(|(_, column)| *column);
            match own.or_else(alias) {
                None => drop(self.report.left_out.insert(name)),
                Some(column) => {
                    if row.insert(columns[column].name.clone(), value).is_some() {
                        return Err(format!("`{}` and `{name}` are two names of one column", columns[column].name));
                    }
                }
            }
        }
        // What is missing in every row of a batch is missing in each row.
        for (index, column) in columns.iter().enumerate().filter(|(index, _)| self.request.plan.is_required(*index)) {
            debug_assert!(index < columns.len());
            row.entry(column.name.clone()).or_insert(Value::Null);
        }
        Ok(row)
    }

    fn reject(&mut self, line: u64, text: Option<&str>, reason: &str, message: String) -> Result<(), Error> {
        self.rejected.write(line, text, reason, &message)?;
        self.report.rejected += 1;
        if self.report.rejections.len() < REJECTIONS_SHOWN_MAX {
            self.report.rejections.push(Rejection { line, message });
        }
        Ok(())
    }

    fn send(&mut self, batch: &mut Batch) -> Result<(), Error> {
        if batch.rows.is_empty() {
            return Ok(());
        }
        let Batch { rows, lines, .. } = std::mem::take(batch);
        let count = rows.len();
        let bytes = json!({ "on_error": "quarantine", "rows": rows }).to_string().into_bytes();
        let sent =
            self.sink.send(&Body { bytes, is_arrow: false, rows: count }).map_err(|error| self.at(error, &lines))?;
        self.count(count, &sent);
        for (row, reason, message) in sent.refused {
            let Some((number, text)) = lines.get(row) else { continue };
            self.reject(*number, Some(text), &reason, message)?;
        }
        Ok(())
    }

    fn count(&mut self, rows: usize, sent: &Sent) {
        let report = &mut self.report;
        report.accepted += (rows - sent.refused.len()) as u64;
        report.written += sent.written;
        report.older += sent.older;
        report.unchanged += sent.unchanged;
        report.logged += sent.logged;
    }

    /// An error with the lines that it is about: what lies before them is taken.
    fn at(&self, error: Error, lines: &[(u64, String)]) -> Error {
        if let Error::ContractRow { row, message, broken, .. } = error {
            return Error::ContractRow { what: format!("line {}", line_of(row, lines)), row, message, broken };
        }
        let (first, last) = (lines.first().map_or(0, |line| line.0), lines.last().map_or(0, |line| line.0));
        let hint = "rows before them are taken; run the same again once this is mended: rows that are there already change nothing";
        Error::Ingest {
            what: format!("lines {first} to {last}"),
            reason: error.to_string(),
            hint: error.hint().unwrap_or_else(|| hint.to_owned()),
        }
    }

    fn parquet(&mut self, path: &std::path::Path, progress: &mut impl FnMut(&Report)) -> Result<(), Error> {
        let plan = Arc::clone(&self.request.plan);
        let known = |name: &str| {
            plan.columns().iter().any(|column| column.name == name)
                || plan.aliases().iter().any(|(alias, _)| alias == name)
        };
        let batches = tandem_offline::row_batches(path, self.request.batch_rows, known)?;
        self.report.left_out.extend(batches.columns().iter().filter(|name| !known(name)).cloned());
        let mut first = 1;
        for batch in batches {
            let batch = batch?;
            let count = batch.num_rows();
            self.report.rows += count as u64;
            let bytes = sink::arrow(&batch)?;
            let sent = self.sink.send(&Body { bytes, is_arrow: true, rows: count }).map_err(|error| {
                let rows = [(first, String::new()), (first + count as u64 - 1, String::new())];
                self.at(error, &rows)
            })?;
            self.count(count, &sent);
            for (row, reason, message) in sent.refused {
                self.reject(first + row as u64, None, &reason, message)?;
            }
            first += count as u64;
            progress(&self.report);
        }
        self.rejected.sync().map(drop)
    }
}

/// The line of a row of a batch; of Parquet, of whose batches the first and the last are named, its row.
fn line_of(row: usize, lines: &[(u64, String)]) -> u64 {
    match lines {
        [(first, text), ..] if text.is_empty() => first + row as u64,
        lines => lines.get(row).map_or(0, |line| line.0),
    }
}
