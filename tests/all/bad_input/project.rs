//! A project whose one view doubles an amount, and does what `misbehaving_guest::mode` says where the amount is one of its modes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, TimestampMicrosecondArray};
use parquet::arrow::ArrowWriter;
use tandem_core::time::Timestamp;

use crate::harness::guests::Guest;
use crate::harness::program::{tandem, told};
use crate::harness::project::files;

/// One partition after the other, so that it is known which of them are published when one fails.
const SETTINGS: &str = "[project]\nname = \"doubles\"\n\n[batch]\npartitions_in_flight = 1\n";

pub(crate) const FEATURES: &str = r#"[[entity]]
name = "user"
join_keys = [{ name = "user_id", type = "int64" }]

[[source]]
name = "events"
path = "data/events"
kind = "events"
event_time = "at"
partition = "date"

[[feature_view]]
name = "doubles"
version = 1
source = "events"
entities = ["user"]
component = "doubles.wasm"
as_of = "at_or_before"
on_error = "fail"
inputs = { mode = "amount" }

[feature_view.limits]
fuel_base = 50_000_000
fuel_per_row = 100_000
memory_bytes_max = 33_554_432
"#;

pub(crate) const DAYS: [&str; 2] = ["2024-03-01", "2024-03-02"];

pub(crate) struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    /// Two days with two rows each.
    pub(crate) fn new() -> Project {
        let project = Project { folder: tempfile::tempdir().expect("a temporary folder") };
        fs::create_dir(project.root().join("features")).expect("a folder");
        fs::write(project.root().join("tandem.toml"), SETTINGS).expect("a file");
        project.define(&[]);
        fs::copy(Guest::Misbehaving.path(), project.component()).expect("a file");
        project.day(DAYS[0], &rows(DAYS[0], &[(1, 100), (2, 200)]));
        project.day(DAYS[1], &rows(DAYS[1], &[(1, 300), (3, 400)]));
        project
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn component(&self) -> PathBuf {
        self.root().join("doubles.wasm")
    }

    /// Writes the definitions, with what is given replaced.
    pub(crate) fn define(&self, changes: &[(&str, &str)]) {
        fs::write(self.root().join("features/doubles.toml"), changed(FEATURES, changes)).expect("a file");
    }

    /// Adds to the settings.
    pub(crate) fn set(&self, settings: &str) {
        fs::write(self.root().join("tandem.toml"), format!("{SETTINGS}\n{settings}\n")).expect("a file");
    }

    /// The source file of a day.
    pub(crate) fn file(&self, day: &str) -> PathBuf {
        self.root().join(format!("data/events/date={day}/a.parquet"))
    }

    /// Writes the source file of a day.
    pub(crate) fn day(&self, day: &str, rows: &RecordBatch) {
        let path = self.file(day);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        write_parquet(&path, rows);
    }

    /// Runs a command that should end with `code`: data, and what is beside it.
    pub(crate) fn told(&self, arguments: &[&str], code: i32) -> (String, String) {
        told(tandem(self.root(), arguments), code)
    }

    /// What lies in the folder of published rows, but for locks: names and bytes.
    pub(crate) fn published(&self) -> Vec<(String, Vec<u8>)> {
        published(&self.root().join("data/features"))
    }
}

/// Names and bytes of the files in a folder of published rows, but for locks.
pub(crate) fn published(folder: &Path) -> Vec<(String, Vec<u8>)> {
    if !folder.is_dir() {
        return Vec::new();
    }
    files(folder).into_iter().filter(|(name, _)| !name.ends_with("/.lock")).collect()
}

/// A text with replacements, each of which must be possible.
pub(crate) fn changed(text: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    })
}

/// Rows of users and amounts, an hour apart.
pub(crate) fn rows(day: &str, rows: &[(i64, i64)]) -> RecordBatch {
    let midnight = Timestamp::parse(day).expect("a day").0;
    let times = (0..rows.len() as i64).map(|hour| midnight + (hour % 24) * 3_600_000_000);
    RecordBatch::try_from_iter([
        ("user_id", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0))) as ArrayRef),
        ("at", Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))),
        ("amount", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.1)))),
    ])
    .expect("columns of one length")
}

/// The same rows with another column in the place of `name`.
pub(crate) fn with_column(rows: &RecordBatch, name: &str, to: &str, column: ArrayRef) -> RecordBatch {
    let columns = std::iter::zip(rows.schema_ref().fields(), rows.columns()).map(|(field, array)| {
        if field.name() == name {
            (to.to_owned(), Arc::clone(&column))
        } else {
            (field.name().clone(), Arc::clone(array))
        }
    });
    RecordBatch::try_from_iter(columns.collect::<Vec<_>>()).expect("columns of one length")
}

pub(crate) fn write_parquet(path: &Path, rows: &RecordBatch) {
    let mut writer = ArrowWriter::try_new(File::create(path).expect("a file"), rows.schema(), None).expect("a writer");
    writer.write(rows).expect("rows");
    writer.close().expect("a file");
}
