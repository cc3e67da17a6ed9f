//! Views of aggregates: what a training set gets of events against what the online store answers, for the same entities at the same instants.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, ArrayRef, RecordBatch, TimestampMicrosecondArray, UInt32Array};
use arrow_schema::{Field, Schema};
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use futures::TryStreamExt;
use tandem_core::canonical::RowEncoder;
use tandem_core::definition::{Fsync, ServiceColumn};
use tandem_core::feature_plan::FeaturePlan;
use tandem_core::json::encode_value;
use tandem_core::model::BoundView;
use tandem_core::time::Timestamp;
use tandem_core::types::DataType;
use tandem_engine::Workers;
use tandem_offline::training::{Labels, TrainingOptions, TrainingRequest, TrainingSet};
use tandem_offline::{PublishedRows, RowColumns};
use tandem_online::{OnlineError, Store, StoreOptions, ViewId};

use super::DIFFERENCES_SHOWN_MAX;
use crate::error::Error;
use crate::lookup::{Ask, At, LookupError, lookup};
use crate::materialize::{replay, store_view};

/// Rows that are read at a time.
const BATCH_ROWS: usize = 16_384;

/// Name of the labels' column with the instant.
const TIME: &str = "event_time";

/// What to compare.
pub struct Request {
    /// The view of aggregates.
    pub view: Arc<BoundView>,
    /// Where what was pushed into it lies.
    pub offline_root: PathBuf,
    /// The online store, and the view's number there.
    pub store: (Store, ViewId),
    /// Entities of about so many events, spread evenly over the history.
    pub sample: u64,
    /// The instants at which each entity is asked for; none: each at the time of its event.
    pub at: Vec<Timestamp>,
    /// Whether what the server had at each of the instants is made anew in a scratch store, and asked too.
    pub replay: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// Entities and instants.
    pub rows: u64,
    /// Of them those that the store cannot answer, since it has tiles alone of a tiled view there, and that were not replayed either.
    pub behind_horizon: u64,
    /// One for each feature, in the order of the view.
    pub features: Vec<FeatureReport>,
    /// The first differences.
    pub differences: Vec<Difference>,
    /// The first values that were served otherwise: `online` is what was served.
    pub skews: Vec<Difference>,
    /// Of each instant that was replayed, the events that had been published by then.
    pub replayed: Vec<(Timestamp, u64)>,
}

/// One feature's comparison, in values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FeatureReport {
    /// Its name.
    pub feature: String,
    /// Values with equal bits, or null on both sides.
    pub equal: u64,
    /// Values that differ.
    pub different: u64,
    /// Null offline, and a value online.
    pub missing_offline: u64,
    /// Null online, and a value offline.
    pub missing_online: u64,
    /// Values that the server gave otherwise at that instant, since something that counts was published later.
    pub skewed: u64,
}

/// A value that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The entity, as JSON.
    pub entity: String,
    /// The instant.
    pub at: Timestamp,
    /// The feature.
    pub feature: String,
    /// What a training set gets, as JSON.
    pub offline: String,
    /// What the store answers, as JSON.
    pub online: String,
}

impl Report {
    /// Values compared.
    pub fn compared(&self) -> u64 {
        self.features.iter().map(|one| one.equal + one.different + one.missing_offline + one.missing_online).sum()
    }

    /// Values that are not the same.
    pub fn different(&self) -> u64 {
        self.features.iter().map(|one| one.different + one.missing_offline + one.missing_online).sum()
    }
}

/// Compares.
///
/// # Errors
///
/// Events that cannot be read, a store that cannot.
pub async fn run(request: Request, workers: &Workers) -> Result<Report, Error> {
    let labels = labels(&request).await?;
    let rows = labels.num_rows();
    let keys = request.view.view.join_keys().count();
    let instants = labels.column(keys).as_primitive::<TimestampMicrosecondType>().clone();
    let offline = offline(&request, labels.clone(), workers).await?;
    let view = Arc::clone(&request.view);
    let (scratch, replayed) = match request.replay {
        true => scratch(&request, workers).await?,
        false => (Vec::new(), Vec::new()),
    };
    let per_instant = rows / request.at.len().max(1);
    let compare = move || {
        let outputs = &view.signature.outputs;
        let report = |name: &String| FeatureReport { feature: name.clone(), ..FeatureReport::default() };
        let mut report = Report {
            rows: rows as u64,
            features: outputs.iter().map(|output| report(&output.name)).collect(),
            replayed,
            ..Report::default()
        };
        let (store, id) = &request.store;
        for row in 0..rows {
            let of_row: Vec<ArrayRef> = labels.columns()[..keys].iter().map(|column| column.slice(row, 1)).collect();
            let at = Timestamp(instants.value(row));
            let ask = Ask::new(*id, &view, of_row);
            let found = lookup(store, &ask, At::replayed(at));
            let failed = |error| match error {
                LookupError::Online(error) => Error::Online(error),
                LookupError::Key(error) => Error::Data(error.to_string()),
            };
            let then = scratch
                .get(row / per_instant.max(1))
                .map(|scratch| (&scratch.store, Ask { id: scratch.id, keys: ask.keys.clone(), ..ask }))
                .map(|(store, ask)| lookup(store, &ask, At::replayed(at)).map_err(failed));
            let then = then.transpose()?;
            // What tiles alone tell now was told by events then.
            let found = match (found, &then) {
                (Err(LookupError::Online(OnlineError::BehindHorizon { .. })), Some(then)) => then.clone(),
                (Err(LookupError::Online(OnlineError::BehindHorizon { .. })), None) => {
                    report.behind_horizon += 1;
                    continue;
                }
                (found, _) => found.map_err(failed)?,
            };
            let entity = || {
                let keys = view.view.join_keys().zip(&ask.keys);
                let keys = keys.map(|(key, value)| format!("{}={}", key.name, encode_value(value, key.data_type, 0)));
                keys.collect::<Vec<_>>().join(",")
            };
            for (index, output) in outputs.iter().enumerate() {
                if let Some(then) = &then
                    && bits(&then.features[index])? != bits(&found.features[index])?
                {
                    report.features[index].skewed += 1;
                    if report.skews.len() < DIFFERENCES_SHOWN_MAX {
                        report.skews.push(Difference {
                            entity: entity(),
                            at,
                            feature: output.name.clone(),
                            offline: shown(&found.features[index], output.data_type)?,
                            online: shown(&then.features[index], output.data_type)?,
                        });
                    }
                }
                let (theirs, mine) = (offline.column(keys + 1 + index).slice(row, 1), &found.features[index]);
                let feature = &mut report.features[index];
                match (theirs.is_null(0), mine.is_null(0)) {
                    (false, true) => feature.missing_online += 1,
                    (true, false) => feature.missing_offline += 1,
                    _ if bits(&theirs)? == bits(mine)? => {
                        feature.equal += 1;
                        continue;
                    }
                    _ => feature.different += 1,
                }
                if report.differences.len() < DIFFERENCES_SHOWN_MAX {
                    report.differences.push(Difference {
                        entity: entity(),
                        at,
                        feature: output.name.clone(),
                        offline: shown(&theirs, output.data_type)?,
                        online: shown(mine, output.data_type)?,
                    });
                }
            }
        }
        Ok(report)
    };
    workers.run(compare).await.map_err(|panic| Error::Engine(panic.into()))?
}

/// A value as JSON, and its canonical bytes.
fn shown(array: &ArrayRef, data_type: DataType) -> Result<String, Error> {
    let hex: String = bits(array)?.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{} (bytes {hex})", encode_value(array, data_type, 0)))
}

/// A store with what had been published by an instant, gone with it.
struct Scratch {
    store: Store,
    id: ViewId,
    _folder: tempfile::TempDir,
}

/// One for each instant that is asked for, and how many events each has.
async fn scratch(request: &Request, workers: &Workers) -> Result<(Vec<Scratch>, Vec<(Timestamp, u64)>), Error> {
    let view = &request.view;
    let (live, number) = &request.store;
    let mut logged = Vec::new();
    let mut from = Some(0);
    while let Some(first) = from {
        let piece = live.log_piece(*number, first, BATCH_ROWS, usize::MAX)?;
        from = piece.next;
        logged.extend(piece.rows);
    }
    let (mut all, mut counts) = (Vec::new(), Vec::new());
    for at in &request.at {
        let folder = tempfile::tempdir().map_err(crate::error::io("make a folder in", std::env::temp_dir()))?;
        // Nothing of it is to survive.
        let options = StoreOptions { fsync: Fsync::Data, ..StoreOptions::default() };
        let store = Store::open(folder.path(), options)?;
        let id = store_view(&store, view)?;
        let Some(windows) = store.window_view(view) else {
            return Err(Error::Data("a view of aggregates has no events".to_owned()));
        };
        let put = replay(view, &request.offline_root, &logged, (&store, id, &windows), *at, workers).await?;
        counts.push((*at, put));
        all.push(Scratch { store, id, _folder: folder });
    }
    Ok((all, counts))
}

fn bits(array: &ArrayRef) -> Result<Vec<u8>, Error> {
    let encoder = RowEncoder::new(std::slice::from_ref(array)).map_err(|error| Error::Data(error.to_string()))?;
    let mut bytes = Vec::new();
    encoder.encode(0, &mut bytes);
    Ok(bytes)
}

/// The entities and instants that are asked for, as labels: join keys, and the instant.
async fn labels(request: &Request) -> Result<RecordBatch, Error> {
    let data = |error: arrow_schema::ArrowError| Error::Data(error.to_string());
    let Some(events) = request.view.events().map(Arc::new) else {
        return Err(Error::Data("a view of aggregates has no events".to_owned()));
    };
    let columns = RowColumns::of(&events);
    let mut rows = PublishedRows::open(Arc::clone(&events), &request.offline_root, None, BATCH_ROWS).await?;
    let step = rows.row_count().div_ceil(request.sample.max(1)).max(1);
    let mut fields: Vec<Field> =
        events.view.join_keys().map(|key| Field::new(&key.name, key.data_type.to_arrow(), true)).collect();
    fields.push(Field::new(TIME, tandem_core::types::timestamp_arrow_type(), false));
    let schema = Arc::new(Schema::new(fields));
    let mut sampled = Vec::new();
    let mut next = 0;
    let mut seen = 0_u64;
    while let Some(batch) = rows.try_next().await? {
        let count = batch.rows.num_rows() as u64;
        let wanted: Vec<u32> = std::iter::successors(Some(next), |row| Some(row + step))
            .take_while(|row| *row < seen + count)
            .map(|row| (row - seen) as u32)
            .collect();
        next += step * wanted.len() as u64;
        seen += count;
        let mut of_label: Vec<usize> = (0..columns.keys).collect();
        of_label.push(columns.times);
        let of_label = batch.rows.project(&of_label).map_err(data)?;
        let taken = take_record_batch(&of_label, &UInt32Array::from(wanted)).map_err(data)?;
        sampled.push(RecordBatch::try_new(Arc::clone(&schema), taken.columns().to_vec()).map_err(data)?);
    }
    let sampled = concat_batches(&schema, &sampled).map_err(data)?;
    if request.at.is_empty() {
        return Ok(sampled);
    }
    let each = request.at.iter().map(|at| {
        let times = TimestampMicrosecondArray::from(vec![at.0; sampled.num_rows()]).with_timezone("UTC");
        let mut columns = sampled.columns().to_vec();
        columns.pop();
        columns.push(Arc::new(times));
        RecordBatch::try_new(Arc::clone(&schema), columns)
    });
    let each = each.collect::<Result<Vec<_>, _>>().map_err(data)?;
    concat_batches(&schema, &each).map_err(data)
}

/// The labels with all features of the view.
async fn offline(request: &Request, labels: RecordBatch, workers: &Workers) -> Result<RecordBatch, Error> {
    let view = &request.view;
    let column = |output: &tandem_core::types::Field| ServiceColumn {
        name: output.name.clone(),
        view: view.view.id(),
        feature: output.name.clone(),
        data_type: output.data_type,
    };
    let columns: Vec<ServiceColumn> = view.signature.outputs.iter().map(column).collect();
    let plan = FeaturePlan::new(&columns, &BTreeMap::from([(view.view.id(), Arc::clone(view))]))?;
    let asked = TrainingRequest {
        labels: Labels::rows(labels)?,
        event_time: TIME.to_owned(),
        observed_time: None,
        timezone: None,
        plan,
        transforms: BTreeMap::new(),
        columns: BTreeMap::new(),
        ignore_created_time: false,
        offline_root: request.offline_root.clone(),
        only_files: None,
        statuses: false,
        options: TrainingOptions::default(),
    };
    let set = workers.run(move || TrainingSet::prepare(asked)).await.map_err(|panic| Error::Engine(panic.into()))??;
    let batches: Vec<RecordBatch> = set.stream(workers, |_| ()).try_collect().await?;
    concat_batches(set.schema(), &batches).map_err(|error| Error::Data(error.to_string()))
}
