//! What was served, as Parquet files: `LOG/SERVICE/dt=YYYY-MM-DD/log-….parquet`, the day being that of the instant that was asked for, in UTC.
//!
//! Whoever serves gives rows away and goes on: a thread makes columns of them, holds them until enough are there or the oldest is old, and writes
//! a file. What waits is bounded ([`FeatureLogSettings::waiting_values_max`]); what does not fit is dropped and counted, never waited for. Files
//! appear whole or not at all. A process that is killed loses what it had not written: this is a sample of what was served, not its record.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};
use tandem_core::definition::FeatureLogSettings;
use tandem_core::model::{Source, SourceContract, SourceKind};
use tandem_core::time::Timestamp;
use tandem_offline::import_rows;

/// The hive column of the log's folders.
pub const PARTITION: &str = "dt";

/// The column with the instant that was asked for. `as_of` cannot name a column: definitions mean something else by it.
pub const EVENT_TIME: &str = "event_time";

/// What became of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// They are in a file.
    Written,
    /// There was no room for them to wait.
    Dropped,
    /// They could not be written.
    Failed,
}

impl Fate {
    /// Every variant.
    pub const ALL: [Fate; 3] = [Fate::Written, Fate::Dropped, Fate::Failed];

    /// Its label in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Fate::Written => "written",
            Fate::Dropped => "dropped",
            Fate::Failed => "failed",
        }
    }
}

/// The log of one service, as it is defined now.
pub struct Stream {
    /// The service.
    pub service: String,
    /// The columns of its files; [`EVENT_TIME`] is among them.
    pub schema: SchemaRef,
    /// Is told what became of how many rows.
    pub counted: Box<dyn Fn(Fate, u64) + Send + Sync>,
}

/// Rows that were served.
pub struct Entry {
    /// Whose they are.
    pub stream: Arc<Stream>,
    /// How many.
    pub rows: u64,
    /// Makes their columns, in the order of the stream's schema.
    pub columns: Box<dyn FnOnce() -> Result<RecordBatch, ArrowError> + Send>,
}

impl Entry {
    fn values(&self) -> u64 {
        self.rows * self.stream.schema.fields().len() as u64
    }
}

/// Takes what was served. Cheap to clone: all clones are the same.
#[derive(Clone)]
pub struct FeatureLog {
    sender: Sender<Option<Entry>>,
    waiting: Arc<AtomicU64>,
    values_max: u64,
}

/// The thread that writes. Dropped, it writes what waits and ends.
pub struct FeatureLogWriter {
    log: FeatureLog,
    thread: Option<JoinHandle<()>>,
}

impl FeatureLogWriter {
    /// Starts it over a folder, which is made when something is written; `clock` names files.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub fn start(folder: PathBuf, options: FeatureLogSettings, clock: fn() -> Timestamp) -> std::io::Result<Self> {
        let (sender, receiver) = channel();
        let waiting = Arc::new(AtomicU64::new(0));
        let log = FeatureLog { sender, waiting: Arc::clone(&waiting), values_max: options.waiting_values_max };
        let held = Held { folder, options, clock, waiting, streams: BTreeMap::new(), files: 0 };
        let run = move || held.run(&receiver);
        let thread = std::thread::Builder::new().name("tandem-feature-log".to_owned()).spawn(run)?;
        Ok(FeatureLogWriter { log, thread: Some(thread) })
    }

    /// What takes rows.
    pub fn log(&self) -> FeatureLog {
        self.log.clone()
    }
}

impl Drop for FeatureLogWriter {
    fn drop(&mut self) {
        let _ = self.log.sender.send(None); // it has ended only if it panicked, which was told
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl FeatureLog {
    /// Gives rows away, or drops them where too much waits. Never waits.
    pub fn offer(&self, entry: Entry) {
        let values = entry.values();
        let fits = |waiting: u64| Some(waiting.saturating_add(values)).filter(|sum| *sum <= self.values_max);
        let taken = self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok();
        let (stream, rows) = (Arc::clone(&entry.stream), entry.rows);
        if !taken || self.sender.send(Some(entry)).is_err() {
            (stream.counted)(Fate::Dropped, rows);
        }
    }

    /// Values that wait to be written.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }
}

/// What the thread holds.
struct Held {
    folder: PathBuf,
    options: FeatureLogSettings,
    clock: fn() -> Timestamp,
    waiting: Arc<AtomicU64>,
    /// By where the stream lies in memory: a service that is defined anew is another stream.
    streams: BTreeMap<usize, HeldStream>,
    files: u64,
}

struct HeldStream {
    stream: Arc<Stream>,
    batches: Vec<RecordBatch>,
    rows: u64,
    values: u64,
    oldest: Instant,
}

impl Held {
    fn run(mut self, receiver: &Receiver<Option<Entry>>) {
        loop {
            match receiver.recv_timeout(self.until_due()) {
                Ok(Some(entry)) => self.take(entry),
                Ok(None) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.write_due();
        }
        // What was given before the end was asked for lies before it in the queue, and is taken.
        let all: Vec<usize> = self.streams.keys().copied().collect();
        all.into_iter().for_each(|key| self.write(key));
    }

    fn age_max(&self) -> Duration {
        Duration::from_secs(self.options.file_seconds)
    }

    fn until_due(&self) -> Duration {
        let ages = self.streams.values().map(|held| held.oldest.elapsed());
        self.age_max().saturating_sub(ages.max().unwrap_or_default()).max(Duration::from_millis(10))
    }

    fn take(&mut self, entry: Entry) {
        let (rows, values) = (entry.rows, entry.values());
        let Entry { stream, columns, .. } = entry;
        match columns() {
            Ok(batch) => {
                let held = self.streams.entry(Arc::as_ptr(&stream) as usize).or_insert_with(|| HeldStream {
                    stream,
                    batches: Vec::new(),
                    rows: 0,
                    values: 0,
                    oldest: Instant::now(),
                });
                held.rows += rows;
                held.values += values;
                held.batches.push(batch);
            }
            Err(error) => {
                tracing::error!(service = stream.service, %error, "what was served does not fit the feature log");
                self.waiting.fetch_sub(values, Ordering::Relaxed);
                (stream.counted)(Fate::Failed, rows);
            }
        }
    }

    fn write_due(&mut self) {
        let age_max = self.age_max();
        let due = |held: &HeldStream| held.rows >= self.options.file_rows || held.oldest.elapsed() >= age_max;
        let mut due: Vec<usize> = self.streams.iter().filter(|(_, held)| due(held)).map(|(key, _)| *key).collect();
        // Room is made before there is none.
        if due.is_empty() && self.waiting.load(Ordering::Relaxed) > self.options.waiting_values_max / 2 {
            due.extend(self.streams.iter().max_by_key(|(_, held)| held.values).map(|(key, _)| *key));
        }
        due.into_iter().for_each(|key| self.write(key));
    }

    /// One file for each day of [`EVENT_TIME`].
    fn write(&mut self, key: usize) {
        let Some(HeldStream { stream, batches, rows, values, .. }) = self.streams.remove(&key) else { return };
        self.files += 1;
        // Several servers may write into one folder.
        let name = format!("log-{}-{}-{}.parquet", (self.clock)().0, std::process::id(), self.files);
        let source = source(&stream.service, self.folder.join(&stream.service));
        let written = arrow_select::concat::concat_batches(&stream.schema, &batches)
            .map_err(|error| error.to_string())
            .and_then(|rows| import_rows(&source, &name, &rows, false).map_err(|error| error.to_string()));
        let fate = match written {
            Ok(_) => Fate::Written,
            Err(reason) => {
                tracing::error!(service = stream.service, rows, reason, "the feature log cannot be written");
                Fate::Failed
            }
        };
        self.waiting.fetch_sub(values, Ordering::Relaxed);
        (stream.counted)(fate, rows);
    }
}

/// A service's log as a source of rows, which is what definition files make of it too.
fn source(service: &str, path: PathBuf) -> Source {
    Source {
        name: service.to_owned(),
        path,
        query: None,
        kind: SourceKind::Events,
        event_time: EVENT_TIME.to_owned(),
        valid_to: None,
        created_time: None,
        sequence: None,
        event_id: None,
        retracted: None,
        timezone: None,
        partition: Some(PARTITION.to_owned()),
        contract: SourceContract::default(),
        description: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Mutex;

    use arrow_array::{ArrayRef, Int64Array, TimestampMicrosecondArray};

    use super::*;

    type Counted = Arc<Mutex<Vec<(Fate, u64)>>>;

    fn batch(as_of: i64, numbers: &[i64]) -> RecordBatch {
        let times = TimestampMicrosecondArray::from_value(as_of, numbers.len()).with_timezone("UTC");
        RecordBatch::try_from_iter([
            (EVENT_TIME, Arc::new(times) as ArrayRef),
            ("n", Arc::new(Int64Array::from(numbers.to_vec()))),
        ])
        .unwrap()
    }

    fn stream(counted: &Counted) -> Arc<Stream> {
        let counted = Arc::clone(counted);
        Arc::new(Stream {
            service: "scores".to_owned(),
            schema: batch(0, &[]).schema(),
            counted: Box::new(move |fate, rows| counted.lock().unwrap().push((fate, rows))),
        })
    }

    fn entry(stream: &Arc<Stream>, as_of: i64, numbers: &'static [i64]) -> Entry {
        let columns = Box::new(move || Ok(batch(as_of, numbers)));
        Entry { stream: Arc::clone(stream), rows: numbers.len() as u64, columns }
    }

    fn files(folder: &Path) -> Vec<(String, u64)> {
        let mut found = Vec::new();
        for day in std::fs::read_dir(folder.join("scores")).into_iter().flatten() {
            let day = day.unwrap();
            let name = day.file_name().into_string().unwrap();
            for file in std::fs::read_dir(day.path()).unwrap() {
                let rows = tandem_offline::read_rows(&file.unwrap().path(), usize::MAX, |_| true).unwrap().rows;
                found.push((name.clone(), rows.num_rows() as u64));
            }
        }
        found.sort();
        found
    }

    #[test]
    fn what_waits_at_the_end_is_written_by_day() {
        let folder = tempfile::tempdir().unwrap();
        let counted = Counted::default();
        let stream = stream(&counted);
        let writer =
            FeatureLogWriter::start(folder.path().to_owned(), FeatureLogSettings::default(), || Timestamp(7)).unwrap();
        let log = writer.log();
        log.offer(entry(&stream, 0, &[1, 2]));
        log.offer(entry(&stream, 86_400_000_000, &[3]));
        log.offer(entry(&stream, 0, &[4]));
        drop(writer);
        let day = |day: &str, rows| (format!("dt=1970-01-{day}"), rows);
        assert_eq!(files(folder.path()), [day("01", 3), day("02", 1)]);
        assert_eq!(*counted.lock().unwrap(), [(Fate::Written, 4)]);
        assert_eq!(log.waiting(), 0);
        // After the end nothing is taken.
        log.offer(entry(&stream, 0, &[5]));
        assert_eq!(counted.lock().unwrap()[1..], [(Fate::Dropped, 1)]);
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let counted = Counted::default();
        let stream = stream(&counted);
        let options = FeatureLogSettings { waiting_values_max: 5, ..FeatureLogSettings::default() };
        let writer = FeatureLogWriter::start(folder.path().to_owned(), options, || Timestamp(7)).unwrap();
        // Three rows of two columns are six values.
        writer.log().offer(entry(&stream, 0, &[1, 2, 3]));
        assert_eq!(*counted.lock().unwrap(), [(Fate::Dropped, 3)]);
        writer.log().offer(entry(&stream, 0, &[1, 2]));
        drop(writer);
        assert_eq!(counted.lock().unwrap()[1..], [(Fate::Written, 2)]);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("scores"), "a file").unwrap();
        let counted = Counted::default();
        let stream = stream(&counted);
        let options = FeatureLogSettings { file_rows: 1, ..FeatureLogSettings::default() };
        let writer = FeatureLogWriter::start(folder.path().to_owned(), options, || Timestamp(7)).unwrap();
        writer.log().offer(entry(&stream, 0, &[1]));
        drop(writer);
        assert_eq!(*counted.lock().unwrap(), [(Fate::Failed, 1)]);
    }
}
