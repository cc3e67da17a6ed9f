//! A view, its source files and a native stand-in for its transform, for unit tests. Components are the subject of the workspace's tests.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampMicrosecondType};
use arrow_array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use parquet::arrow::ArrowWriter;
use tandem_core::defaults::Defaults;
use tandem_core::hash::Digest;
use tandem_core::limits::TransformLimits;
use tandem_core::model::*;
use tandem_core::time::{Day, DayRange, Timestamp};
use tandem_core::types::{DataType, Field, Signature};
use tandem_engine::{EngineError, Fault, Outcome, RowFailure, Workers};

use crate::batch::{Job, run_with};
use crate::bind::{RowFunction, RowSession};
use crate::error::OfflineError;
use crate::options::BatchOptions;
use crate::report::{BatchReport, Progress};

/// An amount that the stand-in fails on.
pub(crate) const UNLUCKY: f64 = 13.0;

/// 2026-01-01T00:00:00Z in milliseconds.
pub(crate) const NEW_YEAR: i64 = 1_767_225_600_000;

/// The source of [`view`].
pub(crate) fn source(path: impl Into<PathBuf>) -> Source {
    Source {
        name: "spendings".to_owned(),
        path: path.into(),
        query: None,
        kind: SourceKind::Events,
        event_time: "at".to_owned(),
        valid_to: None,
        created_time: Some("known_at".to_owned()),
        sequence: Some("offset".to_owned()),
        event_id: None,
        retracted: None,
        timezone: Some("UTC".to_owned()),
        partition: Some("date".to_owned()),
        contract: SourceContract::default(),
        description: String::new(),
    }
}

/// A view over a source at `path`, partitioned by `date`. Key `user_id` from column `user`; inputs `amount`, `date`, `as_of`; features
/// `doubled` (float64) and `day` (string).
pub(crate) fn view(path: impl Into<PathBuf>) -> BoundView {
    let join_keys = vec![JoinKey { name: "user_id".to_owned(), data_type: DataType::Int64 }];
    let entity = Entity { name: "user".to_owned(), join_keys, description: String::new() };
    BoundView {
        view: FeatureView {
            name: "spend".to_owned(),
            version: 1,
            stage: Stage::Experimental,
            deprecation: None,
            source: ViewSource::Files(Arc::new(source(path))),
            entities: vec![Arc::new(entity)],
            component: PathBuf::from("spend.wasm"),
            columns: Vec::new(),
            aggregates: None,
            parameters: BTreeMap::new(),
            inputs: BTreeMap::new(),
            key_columns: BTreeMap::from([("user_id".to_owned(), "user".to_owned())]),
            ttl: None,
            freshness: None,
            as_of: AsOf::Before,
            known_by: KnownBy::Created,
            history: History::Append,
            publish_delay: None,
            defaults: BTreeMap::new(),
            checks: Vec::new(),
            on_error: OnError::Quarantine,
            nan: NanMode::Boundary,
            instance: InstanceMode::PerCall,
            limits: TransformLimits::default(),
            owner: String::new(),
            description: String::new(),
            tags: BTreeMap::new(),
        },
        signature: Signature {
            inputs: vec![
                Field::new("amount", DataType::Float64, true),
                Field::new("date", DataType::String, false),
                Field::new("as_of", DataType::Timestamp, false),
            ],
            outputs: vec![Field::new("doubled", DataType::Float64, true), Field::new("day", DataType::String, false)],
            doc: String::new(),
        },
        digest: Digest([1; 32]),
        definition_hash: Digest([2; 32]),
        defaults: Defaults::default(),
        upstream: Vec::new(),
        components: Vec::new(),
    }
}

/// `doubled` = 2 × amount, `day` = date and hour of as_of; fails on [`UNLUCKY`].
pub(crate) struct Native;

impl RowFunction for Native {
    fn session(&self) -> Box<dyn RowSession> {
        Box::new(Native)
    }
}

impl RowSession for Native {
    fn apply(&mut self, inputs: &RecordBatch) -> Result<Outcome, EngineError> {
        let amounts = inputs.column(0).as_primitive::<Float64Type>();
        let dates = inputs.column(1).as_string::<i32>();
        let as_of = inputs.column(2).as_primitive::<TimestampMicrosecondType>();
        let failed = |row: usize| amounts.iter().nth(row).flatten() == Some(UNLUCKY);
        let doubled: Float64Array =
            amounts.iter().map(|amount| Some(amount? * 2.0).filter(|_| amount != Some(UNLUCKY))).collect();
        let day: StringArray = (0..inputs.num_rows())
            .map(|row| {
                let hour = as_of.value(row).div_euclid(3_600_000_000).rem_euclid(24);
                (!failed(row)).then(|| format!("{}T{hour:02}", dates.value(row)))
            })
            .collect();
        let columns: [(&str, ArrayRef); 2] = [("doubled", Arc::new(doubled)), ("day", Arc::new(day))];
        let failures = (0..inputs.num_rows()).filter(|row| failed(*row));
        Ok(Outcome {
            outputs: RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true)))
                .unwrap(),
            failures: failures
                .map(|row| RowFailure { row, message: "amount is unlucky".to_owned(), fault: Fault::Row })
                .collect(),
            fuel: 0,
        })
    }
}

/// A row of the source: user, event time in milliseconds, amount.
pub(crate) type Row = (i64, Option<i64>, Option<f64>);

/// `count` rows of distinct users and amounts, a second apart from `start` (milliseconds).
pub(crate) fn rows(start: i64, count: i64) -> Vec<Row> {
    (0..count).map(|row| (row * 7 % 1_000, Some(start + row * 1_000), Some(row as f64 / 8.0 + 100.0))).collect()
}

/// Columns of source rows; users are int32 and times milliseconds without a zone, so that they need converting.
pub(crate) fn source_batch(rows: &[Row]) -> RecordBatch {
    let times = || rows.iter().map(|row| row.1).collect::<TimestampMillisecondArray>();
    let columns: [(&str, ArrayRef); 6] = [
        ("at", Arc::new(times())),
        ("user", Arc::new(rows.iter().map(|row| Some(row.0 as i32)).collect::<Int32Array>())),
        ("unused", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| format!("é{}", row.0))))),
        ("amount", Arc::new(rows.iter().map(|row| row.2).collect::<Float64Array>())),
        ("known_at", Arc::new(times())),
        ("offset", Arc::new((0..rows.len() as i64).collect::<Int64Array>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
}

/// Writes a Parquet file, with its folders.
pub(crate) fn write(path: &Path, batch: &RecordBatch) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

/// A source with 3,000 rows in two files on 2026-01-01, and 500 rows on 2026-01-02.
pub(crate) fn two_days(root: &Path) {
    write(&root.join("date=2026-01-01/a.parquet"), &source_batch(&rows(NEW_YEAR, 2_000)));
    write(&root.join("date=2026-01-01/b.parquet"), &source_batch(&rows(NEW_YEAR + 2_000_000, 1_000)));
    write(&root.join("date=2026-01-02/a.parquet"), &source_batch(&rows(NEW_YEAR + 86_400_000, 500)));
}

/// Days from `from` (included) to `to` (excluded).
pub(crate) fn days(from: &str, to: &str) -> DayRange {
    DayRange { from: Day::parse(from).unwrap(), to: Day::parse(to).unwrap() }
}

/// Runs `view` with `function` over `range` into `output`; now is 2026-02-01.
pub(crate) async fn run_function(
    view: &BoundView,
    output: &Path,
    range: Option<DayRange>,
    options: BatchOptions,
    (function, threads): (impl RowFunction + 'static, usize),
    progress: &dyn Progress,
) -> Result<BatchReport, OfflineError> {
    let job = Job {
        view: Arc::new(view.clone()),
        range,
        offline_root: output.to_owned(),
        now: Timestamp((NEW_YEAR + 31 * 86_400_000) * 1_000),
        contract: "tandem:feature@0.1.0".to_owned(),
        runtime_fingerprint: "test".to_owned(),
        options: options.resolved(threads),
    };
    run_with(job, Arc::new(function), &Workers::start(threads), progress).await
}

/// [`run`] at another instant, in microseconds.
pub(crate) async fn run_at(view: &BoundView, output: &Path, now: i64) -> Result<BatchReport, OfflineError> {
    run_range(view, output, None, now).await
}

/// [`run_at`] over some days.
pub(crate) async fn run_range(
    view: &BoundView,
    output: &Path,
    range: Option<DayRange>,
    now: i64,
) -> Result<BatchReport, OfflineError> {
    let job = Job {
        view: Arc::new(view.clone()),
        range,
        offline_root: output.to_owned(),
        now: Timestamp(now),
        contract: "tandem:feature@0.1.0".to_owned(),
        runtime_fingerprint: "test".to_owned(),
        options: BatchOptions::default().resolved(1),
    };
    run_with(job, Arc::new(Native), &Workers::start(1), &()).await
}

/// [`run_function`] with the stand-in, two threads and default options.
pub(crate) async fn run(view: &BoundView, output: &Path, range: Option<DayRange>) -> Result<BatchReport, OfflineError> {
    run_function(view, output, range, BatchOptions::default(), (Native, 2), &()).await
}
