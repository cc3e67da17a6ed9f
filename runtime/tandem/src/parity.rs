//! Offline against online: rows of a batch are asked for on demand, from a running server, and compared bit by bit.
//!
//! The inputs are read from the source again, exactly as the batch read them, with each row's event time as `as_of`. So the server must
//! allow replay.

mod ask;
pub mod windows;

use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use arrow_select::take::take_record_batch;
use futures::TryStreamExt;
use tandem_core::canonical::RowEncoder;
use tandem_core::json::encode_value;
use tandem_core::model::BoundView;
use tandem_core::time::{DayRange, Timestamp};
use tandem_core::types::DataType;
use tandem_engine::Workers;
use tandem_offline::{InputRows, PartitionId, PublishedRows, RowColumns, published_partitions};

pub use ask::{Format, Server};

use crate::error::Error;

/// Differences that are kept to be shown; all are counted.
const DIFFERENCES_SHOWN_MAX: usize = 20;

/// Rows that are read and asked for at once.
const BATCH_ROWS: usize = 4_096;

/// What to compare.
pub struct Request {
    /// The view.
    pub view: Arc<BoundView>,
    /// Where its rows are published.
    pub offline_root: PathBuf,
    /// Days; none: all that are published.
    pub range: Option<DayRange>,
    /// About so many rows, spread evenly; none: all.
    pub sample: Option<u64>,
    /// As the batch had it: later event times were set aside.
    pub event_time_max: Timestamp,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// Rows compared.
    pub rows: u64,
    /// Rows that failed on both sides.
    pub failed_rows: u64,
    /// One for each feature, in the order of the signature.
    pub features: Vec<FeatureReport>,
    /// The first differences.
    pub differences: Vec<Difference>,
    /// Partitions whose row count differs: published, then online.
    pub missing_rows: Vec<(PartitionId, u64, u64)>,
}

/// One feature's comparison, in values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FeatureReport {
    /// Its name.
    pub feature: String,
    /// Values with equal bits.
    pub equal: u64,
    /// Values that differ.
    pub different: u64,
}

/// A value that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Where the row is published.
    pub partition: PartitionId,
    /// Its position there.
    pub row: u64,
    /// The feature.
    pub feature: String,
    /// Value and bits in the batch.
    pub offline: String,
    /// Value and bits of the answer.
    pub online: String,
}

impl Report {
    /// Values compared.
    pub fn compared(&self) -> u64 {
        self.features.iter().map(|feature| feature.equal + feature.different).sum()
    }

    /// Values that differ, and rows that only one side has.
    pub fn different(&self) -> u64 {
        let rows: u64 = self.missing_rows.iter().map(|(_, offline, online)| offline.abs_diff(*online)).sum();
        self.features.iter().map(|feature| feature.different).sum::<u64>() + rows
    }
}

/// Compares what is published with what `server` answers now.
pub async fn run(
    request: Request,
    server: Arc<Server>,
    workers: &Workers,
    mut progress: impl FnMut(u64),
) -> Result<Report, Error> {
    let view = &request.view;
    let feature = |name: &String| FeatureReport { feature: name.clone(), ..FeatureReport::default() };
    let mut report = Report {
        features: view.signature.outputs.iter().map(|output| feature(&output.name)).collect(),
        ..Report::default()
    };
    let partitions = published_partitions(Arc::clone(view), &request.offline_root, request.range, workers).await?;
    let total: u64 = partitions.iter().map(|partition| partition.rows).sum();
    let stride = request.sample.map_or(1, |sample| total.div_ceil(sample.max(1))).max(1);
    let mut published = Published::open(&request).await?;
    for partition in &partitions {
        let (root, event_time_max) = (&request.offline_root, request.event_time_max);
        let mut inputs =
            InputRows::open(Arc::clone(view), root, &partition.id, event_time_max, BATCH_ROWS, workers).await?;
        // Rows that were set aside are not published: only asking for every row tells which ones they are.
        let stride = if partition.has_quarantine { 1 } else { stride };
        let (mut first, mut online_rows) = (0_u64, 0_u64);
        while let Some(batch) = inputs.try_next().await? {
            let rows = batch.inputs.num_rows();
            let chosen: UInt32Array =
                (0..rows as u32).filter(|row| (first + u64::from(*row)).is_multiple_of(stride)).collect();
            let asked = take_record_batch(&batch.inputs, &chosen).map_err(data)?;
            let event_times = arrow_select::take::take(&batch.event_times, &chosen, None).map_err(data)?;
            let answer = {
                let (server, view) = (Arc::clone(&server), Arc::clone(view));
                // Blocking I/O has no place on the async executor, nor on the engine's workers.
                let ask = tokio::task::spawn_blocking(move || server.ask(&view, &asked, &event_times));
                ask.await.map_err(|error| Error::Data(error.to_string()))??
            };
            let kept: UInt32Array =
                (0..chosen.len() as u32).filter(|row| answer.failed.binary_search(row).is_err()).collect();
            let online = take_record_batch(&answer.outputs, &kept).map_err(data)?;
            let (offline, positions) = if partition.has_quarantine {
                let positions: Vec<u64> = (online_rows..).take(kept.len()).collect();
                (published.take(&partition.id, kept.len()).await?, positions)
            } else {
                let offline = published.take(&partition.id, rows).await?;
                let there = |row: &u32| (*row as usize) < offline.num_rows();
                let rows: UInt32Array =
                    kept.values().iter().map(|row| chosen.value(*row as usize)).filter(there).collect();
                let positions = rows.values().iter().map(|row| first + u64::from(*row)).collect();
                (take_record_batch(&offline, &rows).map_err(data)?, positions)
            };
            compare(&mut report, &partition.id, &positions, &offline, &online)?;
            report.failed_rows += answer.failed.len() as u64;
            first += rows as u64;
            online_rows += if partition.has_quarantine { kept.len() as u64 } else { rows as u64 };
            progress(report.rows);
        }
        if online_rows != partition.rows {
            report.missing_rows.push((partition.id.clone(), partition.rows, online_rows));
        }
    }
    Ok(report)
}

fn data(error: arrow_schema::ArrowError) -> Error {
    Error::Data(error.to_string())
}

fn compare(
    report: &mut Report,
    partition: &PartitionId,
    positions: &[u64],
    offline: &RecordBatch,
    online: &RecordBatch,
) -> Result<(), Error> {
    let rows = offline.num_rows().min(online.num_rows());
    report.rows += rows as u64;
    for column in 0..report.features.len() {
        let sides: [&ArrayRef; 2] = [offline.column(column), online.column(column)];
        let encoder = |array: &ArrayRef| {
            RowEncoder::new(std::slice::from_ref(array)).map_err(|error| Error::Data(error.to_string()))
        };
        let encoders = [encoder(sides[0])?, encoder(sides[1])?];
        let mut bytes = [Vec::new(), Vec::new()];
        for (row, position) in positions.iter().enumerate().take(rows) {
            for (encoder, bytes) in std::iter::zip(&encoders, &mut bytes) {
                bytes.clear();
                encoder.encode(row, bytes);
            }
            let feature = &mut report.features[column];
            if bytes[0] == bytes[1] {
                feature.equal += 1;
                continue;
            }
            feature.different += 1;
            if report.differences.len() < DIFFERENCES_SHOWN_MAX {
                let shown = |side: usize| {
                    let data_type = DataType::from_arrow(sides[side].data_type());
                    let value = data_type.map(|data_type| encode_value(sides[side], data_type, row).to_string());
                    let hex: String = bytes[side].iter().take(32).map(|byte| format!("{byte:02x}")).collect();
                    format!("{} (bytes {hex})", value.unwrap_or_default())
                };
                report.differences.push(Difference {
                    partition: partition.clone(),
                    row: *position,
                    feature: feature.feature.clone(),
                    offline: shown(0),
                    online: shown(1),
                });
            }
        }
    }
    Ok(())
}

/// The features of published rows, in order, by so many as are asked for.
struct Published {
    rows: PublishedRows,
    features: Vec<usize>,
    buffered: Vec<(PartitionId, RecordBatch)>,
}

impl Published {
    async fn open(request: &Request) -> Result<Published, Error> {
        let rows =
            PublishedRows::open(Arc::clone(&request.view), &request.offline_root, request.range, BATCH_ROWS).await?;
        let first = RowColumns::of(&request.view).features;
        let features = first..first + request.view.signature.outputs.len();
        Ok(Published { features: features.collect(), rows, buffered: Vec::new() })
    }

    /// The next `count` rows of `partition`, or fewer where it ends.
    async fn take(&mut self, partition: &PartitionId, count: usize) -> Result<RecordBatch, Error> {
        let mut parts = Vec::new();
        let mut missing = count;
        while missing > 0 {
            if self.buffered.is_empty() {
                let Some(batch) = self.rows.try_next().await? else { break };
                let rows = filter_record_batch(&batch.rows, &batch.standing()).map_err(data)?;
                let features = rows.project(&self.features).map_err(data)?;
                self.buffered.push((batch.partition, features));
            }
            let (of, batch) = self.buffered.remove(0);
            if of < *partition {
                continue; // rows that the other side does not have; counted by the caller
            }
            if of > *partition {
                self.buffered.push((of, batch));
                break;
            }
            let taken = missing.min(batch.num_rows());
            parts.push(batch.slice(0, taken));
            missing -= taken;
            if taken < batch.num_rows() {
                self.buffered.push((of, batch.slice(taken, batch.num_rows() - taken)));
            }
        }
        let schema = Arc::new(self.rows.schema().project(&self.features).map_err(data)?);
        concat_batches(&schema, &parts).map_err(data)
    }
}
