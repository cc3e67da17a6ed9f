//! Training sets against DuckDB's ASOF JOIN and pandas' merge_asof, over the same files, where those can be asked the same.
//!
//! What they cannot be asked, and is left out for that: which of two rows of one key and one event time wins (DuckDB takes any, pandas the last of the
//! file), so all event times of a key differ, but for the question that names all that decides; a created time beside the event time, which an as-of join
//! does not take (DuckDB answers that one by a join and an aggregate); statuses, corrections and retractions. NaN is left out, since pandas takes it for null.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_select::concat::concat_batches;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;

use crate::harness::program::{tandem, told};
use crate::harness::tools::{python_with, run};

const LABELS: usize = 3_000;
const ROWS: usize = 20_000;

/// Seconds for which a row is served, where the question says so.
const TTL: u64 = 20_000;

/// Instants of rows and labels: 2026-01-01 and two days more, in whole seconds, so that many are equal.
const FIRST: i64 = 1_767_225_600;
const SPAN: i64 = 2 * 86_400;

const DEFINITIONS: &str = r#"[[entity]]
name = "user"
join_keys = [{ name = "user_id", type = "int64" }, { name = "region", type = "string" }]

[[source]]
name = "events"
path = "data/events.parquet"
kind = "events"
event_time = "at"
created_time = "known_at"
sequence = "sequence"

"#;

struct Question {
    name: &'static str,
    /// Keys of the view that ask it.
    asks: &'static str,
    /// Whether it is of rows whose event times tie.
    ties: bool,
    tools: &'static [&'static str],
}

const QUESTIONS: [Question; 4] = [
    Question {
        name: "at_or_before",
        asks: "as_of = \"at_or_before\"\nknown_by = \"event\"",
        ties: false,
        tools: &["duckdb", "pandas"],
    },
    Question {
        name: "before",
        asks: "as_of = \"before\"\nknown_by = \"event\"",
        ties: false,
        tools: &["duckdb", "pandas"],
    },
    Question {
        name: "ttl",
        asks: "as_of = \"at_or_before\"\nknown_by = \"event\"\nttl = \"20000s\"",
        ties: false,
        tools: &["duckdb", "pandas"],
    },
    Question {
        name: "known",
        asks: "as_of = \"at_or_before\"\nknown_by = \"created\"",
        ties: true,
        tools: &["duckdb"],
    },
];

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, end: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end as u64) as i64
    }

    /// Few keys have most of the rows; the last ones only labels.
    fn key(&mut self, users: i64) -> (Option<i64>, Option<&'static str>) {
        let user = self.below(users) * self.below(users) / users;
        let region = ["AT", "DE", "US"][self.below(3) as usize];
        ((self.below(50) > 0).then_some(user), (self.below(50) > 0).then_some(region))
    }
}

fn write(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let rows = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)));
    let rows = rows.expect("columns of one length");
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(1_500)).build();
    let file = File::create(path).expect("a file");
    let mut writer = ArrowWriter::try_new(file, rows.schema(), Some(properties)).expect("a writer");
    writer.write(&rows).expect("rows");
    writer.close().expect("a file");
}

fn times(seconds: &[i64]) -> ArrayRef {
    let micros = seconds.iter().map(|seconds| (FIRST + seconds) * 1_000_000);
    Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC"))
}

/// `ties`: several rows of a key have one event time, and differ in created time or sequence.
fn rows(path: &Path, ties: bool) {
    let mut random = Random(7);
    let mut seen = std::collections::HashSet::new();
    let (mut keys, mut at, mut known_at) = (Vec::new(), Vec::new(), Vec::new());
    while keys.len() < ROWS {
        let (key, mut second) = (random.key(60), random.below(SPAN));
        if ties {
            second -= second % 600;
        } else if !seen.insert((key, second)) {
            continue;
        }
        keys.push(key);
        at.push(second);
        known_at.push(second + random.below(20) * 300);
    }
    let amounts: Float64Array =
        (0..ROWS).map(|row| (random.below(9) > 0).then(|| row as f64 + random.below(1_000) as f64 / 1_000.0)).collect();
    let countries: StringArray = (0..ROWS).map(|row| (random.below(9) > 0).then(|| format!("c{row}"))).collect();
    // Not in the order of rows, so that nothing but it decides where the times do not.
    let sequence = Int64Array::from_iter_values((0..ROWS as i64).map(|row| (row * 7_919) % ROWS as i64));
    write(
        path,
        vec![
            ("user_id", Arc::new(keys.iter().map(|key| key.0).collect::<Int64Array>())),
            ("region", Arc::new(keys.iter().map(|key| key.1).collect::<StringArray>())),
            ("at", times(&at)),
            ("known_at", times(&known_at)),
            ("sequence", Arc::new(sequence)),
            ("amount", Arc::new(amounts)),
            ("country", Arc::new(countries)),
        ],
    );
}

/// In no order, some of them equal, some at the very instant of a row.
fn labels(path: &Path) {
    let mut random = Random(11);
    let keys: Vec<_> = (0..LABELS).map(|_| random.key(80)).collect();
    let seconds: Vec<i64> = (0..LABELS).map(|_| random.below(SPAN + 40_000) / 60 * 60).collect();
    write(
        path,
        vec![
            ("user_id", Arc::new(keys.iter().map(|key| key.0).collect::<Int64Array>())),
            ("region", Arc::new(keys.iter().map(|key| key.1).collect::<StringArray>())),
            ("event_time", times(&seconds)),
            ("label", Arc::new(Int64Array::from_iter_values(0..LABELS as i64))),
        ],
    );
}

/// The features of a set, or of an answer.
fn features(path: &Path) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).expect("a file")).expect("Parquet");
    let batches: Vec<_> = reader.build().expect("a reader").collect::<Result<_, _>>().expect("rows");
    let whole = concat_batches(&batches[0].schema(), &batches).expect("batches of one schema");
    let columns = ["amount", "country"].map(|name| (name, Arc::clone(whole.column_by_name(name).expect(name)), true));
    RecordBatch::try_from_iter_with_nullable(columns).expect("two columns")
}

#[test]
fn duckdb_and_pandas_give_the_same_values() {
    let project = tempfile::tempdir().expect("a temporary folder");
    let root = project.path();
    fs::create_dir(root.join("features")).expect("a folder");
    fs::create_dir(root.join("data")).expect("a folder");
    fs::write(root.join("tandem.toml"), "[project]\nname = \"compared\"\n").expect("a file");
    labels(&root.join("labels.parquet"));
    let python = python_with("asof", "requirements-asof.txt");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/all/training_sets/asof.py");
    for Question { name, asks, ties, tools } in QUESTIONS {
        rows(&root.join("data/events.parquet"), ties);
        let view = format!(
            "[[feature_view]]\nname = \"spend\"\nversion = 1\nsource = \"events\"\nentities = [\"user\"]\n{asks}\n\
             features = [{{ name = \"amount\", type = \"float64\" }}, {{ name = \"country\", type = \"string\" }}]\n"
        );
        fs::write(root.join("features/all.toml"), format!("{DEFINITIONS}{view}")).expect("a file");
        let set = ["training-set", "--labels", "labels.parquet", "--features", "spend", "--out", "train.parquet"];
        told(tandem(root, &set), 0);
        let ours = features(&root.join("train.parquet"));
        assert_eq!(ours.num_rows(), LABELS);
        // The question is worth asking: there are labels with a value, without one, and rows whose value is null.
        let nulls = ours.column(0).null_count();
        assert!((LABELS / 10..LABELS * 9 / 10).contains(&nulls), "{name}: {nulls} labels have no amount");
        for tool in tools {
            let out = root.join(format!("{tool}.parquet"));
            let mut command = Command::new(&python);
            command.args(["-W", "ignore", script, tool, name]).arg(root.join("labels.parquet"));
            command.arg(root.join("data/events.parquet")).arg(&out).arg(TTL.to_string());
            run(&mut command);
            let theirs = features(&out);
            let differ: Vec<usize> =
                (0..LABELS).filter(|row| ours.slice(*row, 1).columns() != theirs.slice(*row, 1).columns()).collect();
            assert!(
                theirs.num_rows() == LABELS && differ.is_empty(),
                "{name}, {tool}: {} labels differ; label {:?}: {:?} and {:?}",
                differ.len(),
                differ.first(),
                differ.first().map(|row| ours.slice(*row, 1)),
                differ.first().map(|row| theirs.slice(*row, 1)),
            );
        }
    }
}
