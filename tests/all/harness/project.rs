//! A project in a temporary folder: definitions, source files, and what batch, server and store make of them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow_select::concat::concat_batches;
use futures::TryStreamExt;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use tandem::project::{Opened, ViewTransform};
use tandem_core::time::{Day, Timestamp};
use tandem_core::types::AS_OF;
use tandem_engine::Workers;
use tandem_offline::{BatchOptions, BatchReport, BatchRequest, PublishedRows};

use super::guests::Guest;
use super::rows::{self, Dirt, Row};

pub(crate) const MICROS_PER_DAY: i64 = 86_400_000_000;

/// 2024-02-28: a day, and behind it two more, one of them a leap day.
pub(crate) const FIRST_DAY: i64 = 1_709_078_400_000_000 / MICROS_PER_DAY;

/// The clock of all tests: after every event, before none.
pub(crate) const NOW: Timestamp = Timestamp(1_900_000_000_000_000);

/// A row of the source.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) user: Option<i64>,
    /// Microseconds; on one of the days from [`FIRST_DAY`].
    pub(crate) event_time: i64,
    pub(crate) created_time: Option<i64>,
    /// The inputs of `every_type`; `as_of` is the event time.
    pub(crate) row: Row,
}

impl Event {
    pub(crate) fn day(&self) -> i64 {
        self.event_time.div_euclid(MICROS_PER_DAY)
    }
}

/// A project whose one view, `every`, is the guest `every_type` over events of users.
pub(crate) struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    /// Writes definitions and source files: a partition for each day with two files of several row groups. The sequence of an event is its
    /// index in `events`.
    pub(crate) fn new(events: &[Event]) -> Project {
        let project = Project { folder: tempfile::tempdir().expect("a temporary folder") };
        let root = project.root();
        fs::create_dir(root.join("features")).expect("a folder");
        fs::write(root.join("tandem.toml"), "[project]\nname = \"parity\"\n").expect("a file");
        fs::write(root.join("features/every.toml"), definitions(Guest::EveryType.path())).expect("a file");
        project.write_source(events);
        project
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn open(&self) -> Opened {
        Opened::open(self.root()).unwrap_or_else(|error| panic!("{error}"))
    }

    fn write_source(&self, events: &[Event]) {
        let mut days: Vec<i64> = events.iter().map(Event::day).collect();
        days.sort_unstable();
        days.dedup();
        for day in days {
            let folder = self.root().join(format!("data/events/date={}", Day(day as i32)));
            fs::create_dir_all(&folder).expect("a folder");
            let of_day: Vec<(usize, &Event)> =
                events.iter().enumerate().filter(|(_, event)| event.day() == day).collect();
            let (first, second) = of_day.split_at(of_day.len() / 3);
            for (part, events) in [first, second].into_iter().enumerate() {
                write_file(&folder.join(format!("part-{part}.parquet")), events);
            }
        }
    }

    /// Runs the batch into a folder of its own.
    pub(crate) fn batch(
        &self,
        view: &ViewTransform,
        name: &str,
        threads: usize,
        options: BatchOptions,
    ) -> (PathBuf, BatchReport) {
        let offline_root = self.root().join(name);
        let report = batch(view, &offline_root, threads, options);
        (offline_root, report)
    }
}

/// Runs the batch over all days, with a runtime and workers of its own.
pub(crate) fn batch(view: &ViewTransform, offline_root: &Path, threads: usize, options: BatchOptions) -> BatchReport {
    let request = BatchRequest {
        view: Arc::clone(&view.bound),
        transform: view.transform.clone().expect("a component"),
        range: None,
        offline_root: offline_root.to_owned(),
        now: NOW,
        contract: tandem_engine::CONTRACT.to_owned(),
        runtime_fingerprint: "test".to_owned(),
        options,
    };
    let workers = Workers::start(threads);
    runtime().block_on(tandem_offline::run(request, &workers, &())).unwrap_or_else(|error| panic!("{error}"))
}

/// A runtime for what is async.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// All published rows of a view.
pub(crate) fn published(view: &ViewTransform, offline_root: &Path) -> RecordBatch {
    runtime().block_on(async {
        let rows =
            PublishedRows::open(Arc::clone(&view.bound), offline_root, None, 1000).await.expect("it is published");
        let schema = Arc::clone(rows.schema());
        let batches: Vec<_> = rows.map_ok(|batch| batch.rows).try_collect().await.expect("published rows");
        concat_batches(&schema, &batches).expect("batches of one schema")
    })
}

/// All files below a folder, from it, with their bytes.
pub(crate) fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        for entry in fs::read_dir(&inner).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("below it").to_string_lossy().into_owned();
                files.push((name, fs::read(&path).expect("a file")));
            }
        }
    }
    files.sort();
    files
}

fn write_file(path: &Path, events: &[(usize, &Event)]) {
    let micros = |values: Vec<Option<i64>>| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC"))
    };
    let rows: Vec<Row> = events.iter().map(|(_, event)| event.row.clone()).collect();
    let mut columns: Vec<(String, ArrayRef)> = vec![
        (
            "user_id".to_owned(),
            Arc::new(Int64Array::from(events.iter().map(|(_, event)| event.user).collect::<Vec<_>>())),
        ),
        ("happened_at".to_owned(), micros(events.iter().map(|(_, event)| Some(event.event_time)).collect())),
        ("known_at".to_owned(), micros(events.iter().map(|(_, event)| event.created_time).collect())),
        ("position".to_owned(), Arc::new(Int64Array::from_iter_values(events.iter().map(|(index, _)| *index as i64)))),
    ];
    let transform = Guest::EveryType.bind(&tandem_core::limits::TransformLimits::default());
    let inputs = transform.signature().inputs.iter().filter(|field| field.name != AS_OF);
    columns.extend(
        inputs.map(|field| (field.name.clone(), rows::column(&field.name, field.data_type, &rows, Dirt::default()))),
    );
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)));
    let batch = batch.expect("columns of one length");
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(97)).build();
    let file = File::create(path).expect("a file");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).expect("a writer");
    writer.write(&batch).expect("rows");
    writer.close().expect("a file");
}

fn definitions(component: &Path) -> String {
    format!(
        r#"[[entity]]
name = "user"
join_keys = [{{ name = "user_id", type = "int64" }}]

[[source]]
name = "events"
path = "data/events"
kind = "events"
event_time = "happened_at"
created_time = "known_at"
sequence = "position"
partition = "date"

[[feature_view]]
name = "every"
version = 1
source = "events"
entities = ["user"]
component = {component:?}
as_of = "at_or_before"
on_error = "quarantine"
"#
    )
}
