//! Rows of a source that a later version of their event stands in the place of, wherever in the source that lies.
//!
//! The ids of all partitions are read twice: first 8 bytes of a digest of each are held, to find the ids that there is more than one row of; then the
//! versions of those alone.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType as ArrowType;
use datafusion::execution::TaskContext;
use futures::StreamExt;
use tandem_core::canonical::RowEncoder;
use tandem_core::hash::Digest;
use tandem_core::model::Source;
use tandem_core::time::Timestamp;
use tandem_core::types::DataType;
use tandem_core::versions::{Version, superseded};
use tandem_engine::Workers;
use tandem_engine::convert::to_declared;

use crate::bind::Superseded;
use crate::columns::version_columns;
use crate::error::OfflineError;
use crate::footers::CheckedPartition;
use crate::listing::{self, PartitionFiles, PartitionId};
use crate::scan;

/// Rows that are read at a time.
const BATCH_ROWS: usize = 65_536;

/// What the versions of a source's events say of its rows.
#[derive(Default)]
pub(crate) struct Versions {
    superseded: HashMap<PartitionId, Arc<Superseded>>,
    /// Partitions with a row that a version in the other partition supersedes: (the row's, the version's).
    pairs: BTreeSet<(PartitionId, PartitionId)>,
}

impl Versions {
    /// The rows of a partition that are superseded.
    pub(crate) fn of(&self, partition: &PartitionId) -> Arc<Superseded> {
        self.superseded.get(partition).cloned().unwrap_or_default()
    }

    /// Partitions with rows that those of `partitions` supersede, without these.
    pub(crate) fn superseded_by(&self, partitions: &BTreeSet<PartitionId>) -> BTreeSet<PartitionId> {
        let by = self.pairs.iter().filter(|(row, by)| partitions.contains(by) && !partitions.contains(row));
        by.map(|(row, _)| row.clone()).collect()
    }

    /// Reads the versions of all events of `source`; none are there where it has no event ids. `now` stands for the created time of a later version
    /// that has none.
    pub(crate) async fn read(source: &Arc<Source>, now: Timestamp, workers: &Workers) -> Result<Self, OfflineError> {
        let Some(columns) = version_columns(source) else { return Ok(Versions::default()) };
        let partitions = {
            let source = Arc::clone(source);
            let check = move || -> Result<Vec<CheckedPartition>, OfflineError> {
                let listed = listing::list(&source, None)?.partitions;
                listed
                    .into_iter()
                    .map(|partition: PartitionFiles| CheckedPartition::check(partition, &columns))
                    .collect()
            };
            Arc::new(workers.run(check).await??)
        };
        let mut hashes: Vec<u64> = Vec::new();
        for partition in partitions.iter() {
            let batches =
                read(partition, source, workers, |rows, _| Ok(rows.ids.iter().flatten().map(short).collect()));
            hashes.extend(batches.await?.into_iter().flat_map(|part: Vec<u64>| part));
        }
        hashes.sort_unstable();
        let repeated: HashSet<u64> = hashes.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
        drop(hashes);
        let repeated = Arc::new(repeated);
        let mut events: HashMap<u128, Vec<(usize, u64, Version)>> = HashMap::new();
        if !repeated.is_empty() {
            for (index, partition) in partitions.iter().enumerate() {
                let repeated = Arc::clone(&repeated);
                let batches = read(partition, source, workers, move |rows, first_row| {
                    let wanted = rows.ids.iter().enumerate().filter_map(|(row, id)| {
                        let id = id.filter(|id| repeated.contains(&short(id)))?;
                        Some((id, first_row + row as u64, rows.version(row)))
                    });
                    Ok(wanted.collect::<Vec<_>>())
                });
                for (id, row, version) in batches.await?.into_iter().flatten() {
                    events.entry(id).or_default().push((index, row, version));
                }
            }
        }
        Ok(Versions::of_events(events, &partitions, now))
    }

    fn of_events(
        events: HashMap<u128, Vec<(usize, u64, Version)>>,
        partitions: &[CheckedPartition],
        now: Timestamp,
    ) -> Self {
        let mut found: HashMap<usize, Superseded> = HashMap::new();
        let mut pairs = BTreeSet::new();
        for rows in events.into_values() {
            let versions: Vec<Version> = rows.iter().map(|(_, _, version)| *version).collect();
            for ((partition, row, _), since) in rows.iter().zip(superseded(&versions, now)) {
                let Some(since) = since else { continue };
                found.entry(*partition).or_default().insert(*row, since);
                // By which of the later versions does not matter: one that is computed now is reason enough to look again.
                pairs.extend(rows.iter().filter(|other| other.0 != *partition).map(|other| (*partition, other.0)));
            }
        }
        let id = |index: &usize| partitions[*index].partition.id.clone();
        let superseded = found.into_iter().map(|(index, rows)| (id(&index), Arc::new(rows))).collect();
        Versions { superseded, pairs: pairs.iter().map(|(row, by)| (id(row), id(by))).collect() }
    }
}

/// The part of an id's digest by which repeated ids are found.
fn short(id: &u128) -> u64 {
    *id as u64
}

/// What a batch says of its rows' versions.
struct VersionRows {
    /// None: without an id, an event of its own.
    ids: Vec<Option<u128>>,
    created: ArrayRef,
    sequence: Option<ArrayRef>,
    retracted: Option<ArrayRef>,
}

impl VersionRows {
    fn version(&self, row: usize) -> Version {
        let created = self.created.as_primitive::<TimestampMicrosecondType>();
        let sequence = self.sequence.as_ref().map(|array| array.as_primitive::<Int64Type>());
        let retracted = self.retracted.as_ref().map(|array| array.as_boolean());
        Version {
            created_time: created.is_valid(row).then(|| Timestamp(created.value(row))),
            sequence: sequence.filter(|array| array.is_valid(row)).map(|array| array.value(row)),
            retracted: retracted.is_some_and(|array| array.is_valid(row) && array.value(row)),
        }
    }
}

/// What `look` makes of each batch of a partition and the number of its first row.
async fn read<T: Send + 'static>(
    partition: &CheckedPartition,
    source: &Arc<Source>,
    workers: &Workers,
    look: impl Fn(&VersionRows, u64) -> Result<T, OfflineError> + Send + Sync + 'static,
) -> Result<Vec<T>, OfflineError> {
    let look = Arc::new(look);
    let plan = scan::plan(partition, BATCH_ROWS)?;
    let mut batches = plan.execute(0, Arc::new(TaskContext::default())).map_err(OfflineError::from_stream)?;
    let (mut first_row, mut found) = (0, Vec::new());
    while let Some(batch) = batches.next().await {
        let (file, row) = partition.locate(first_row);
        let batch = batch.map_err(|error| file.unreadable(row, error))?;
        let rows = batch.num_rows() as u64;
        let (look, source, file, first) = (Arc::clone(&look), Arc::clone(source), file.path.clone(), first_row);
        let part = workers.run(move || {
            let rows = version_rows(&batch, &source).map_err(|source| OfflineError::Convert { file, source })?;
            look(&rows, first)
        });
        found.push(part.await??);
        first_row += rows;
    }
    Ok(found)
}

fn version_rows(batch: &RecordBatch, source: &Source) -> Result<VersionRows, tandem_engine::convert::ConvertError> {
    let column = |name: &str, to: DataType| {
        // The footers were checked.
        let array = batch.column_by_name(name).expect("the scan has the columns that it was asked for");
        to_declared(array, name, to, source.timezone.as_deref())
    };
    let optional = |name: &Option<String>, to| name.as_deref().map(|name| column(name, to)).transpose();
    let name = source.event_id.as_deref().unwrap_or_default();
    let id = column(name, id_type(batch.column_by_name(name).map(|array| array.data_type())))?;
    let created = column(source.created_time.as_deref().unwrap_or_default(), DataType::Timestamp)?;
    let encoder = RowEncoder::new(std::slice::from_ref(&id)).expect("it was converted");
    let mut bytes = Vec::new();
    let ids = (0..id.len()).map(|row| {
        id.is_valid(row).then(|| {
            bytes.clear();
            encoder.encode(row, &mut bytes);
            let Digest(digest) = Digest::of(&bytes);
            u128::from_be_bytes(digest[..16].try_into().expect("half of a digest"))
        })
    });
    Ok(VersionRows {
        ids: ids.collect(),
        created,
        sequence: optional(&source.sequence, DataType::Int64)?,
        retracted: optional(&source.retracted, DataType::Boolean)?,
    })
}

/// As what ids of an Arrow type are read: integers, bytes, or else strings.
fn id_type(arrow: Option<&ArrowType>) -> DataType {
    match arrow {
        Some(ArrowType::Dictionary(_, values)) => id_type(Some(values)),
        Some(arrow) if arrow.is_integer() => DataType::Int64,
        Some(ArrowType::Binary | ArrowType::LargeBinary | ArrowType::BinaryView | ArrowType::FixedSizeBinary(_)) => {
            DataType::Binary
        }
        _ => DataType::String,
    }
}
