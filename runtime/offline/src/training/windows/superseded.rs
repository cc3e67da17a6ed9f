//! Which versions of events count, and until when: of all rows of one id at each instant one at most ([`tandem_core::versions::ends`]).
//!
//! The ids are read twice: first 8 bytes of a digest of each are held, to find the ids that there is more than one row of; then the versions of those alone.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use tandem_core::canonical::RowEncoder;
use tandem_core::key::KeyEncoder;
use tandem_core::model::{JoinKey, KnownBy};
use tandem_core::point_in_time::Rules;
use tandem_core::time::Timestamp;
use tandem_core::types::{EVENT_ID, HISTORY_COLUMNS, RETRACTED, TIME_COLUMNS};
use tandem_core::versions::{Placed, Version, content, ends, event_ids};

use super::super::TrainingError;
use super::super::history::{History, Unit};
use super::super::threads::on_threads;
use crate::error::OfflineError;

/// Rows that are read at a time.
const BATCH_ROWS: usize = 65_536;

/// Rows of an aggregate view's events that a later version of their event takes the place of, and since when: by file.
#[derive(Debug, Default)]
pub(in super::super) struct Superseded(HashMap<PathBuf, HashMap<u64, Timestamp>>);

/// A row of an event of which there are several.
struct Found {
    file: PathBuf,
    row: u64,
    placed: Placed,
}

impl Superseded {
    /// Reads the ids of all events; nothing where they have none. `history` is that of [`tandem_core::model::BoundView::events`]. Blocking.
    pub(in super::super) fn read(history: &History, rules: Rules, threads: usize) -> Result<Self, TrainingError> {
        let outputs = &history.view().signature.outputs;
        let Some(id) = outputs.iter().position(|output| output.name == EVENT_ID) else {
            return Ok(Superseded::default());
        };
        let id = history.output_columns(&[id]);
        let hashes = each_unit(history, threads, |unit, hashes: &mut Vec<u64>| {
            for group in unit.row_groups() {
                for batch in history.read_group(unit, group, &id, BATCH_ROWS)? {
                    hashes.extend(event_ids(batch?.column(0)).iter().flatten().map(short));
                }
            }
            Ok(())
        })?;
        let mut hashes: Vec<u64> = hashes.into_iter().flatten().collect();
        hashes.sort_unstable();
        let repeated: HashSet<u64> = hashes.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
        drop(hashes);
        if repeated.is_empty() {
            return Ok(Superseded::default());
        }
        let reader = Reader::new(history, rules, &repeated);
        let events = each_unit(history, threads, |unit, found: &mut Vec<([u8; 16], Found)>| reader.read(unit, found))?;
        let mut by_id: HashMap<[u8; 16], Vec<Found>> = HashMap::new();
        for (id, found) in events.into_iter().flatten() {
            by_id.entry(id).or_default().push(found);
        }
        let mut superseded = Superseded::default();
        for mut rows in by_id.into_values() {
            // Threads read in any order: of versions that are the same one counts, whichever comes first here.
            rows.sort_unstable_by(|a, b| (&a.file, a.row).cmp(&(&b.file, b.row)));
            let placed: Vec<Placed> = rows.iter().map(|row| row.placed).collect();
            for (row, end) in rows.into_iter().zip(ends(&placed)) {
                if let Some(end) = end {
                    superseded.0.entry(row.file).or_default().insert(row.row, end);
                }
            }
        }
        Ok(superseded)
    }

    /// Those of a file, by their row there.
    pub(in super::super) fn of(&self, file: &Path) -> Option<&HashMap<u64, Timestamp>> {
        self.0.get(file)
    }
}

/// Reads the versions of repeated events.
struct Reader<'a> {
    history: &'a History,
    rules: Rules,
    repeated: &'a HashSet<u64>,
    join_keys: Vec<JoinKey>,
    /// Keys, times and values among the columns of the feature rows.
    wanted: Vec<usize>,
    id: usize,
    retracted: Option<usize>,
}

impl<'a> Reader<'a> {
    fn new(history: &'a History, rules: Rules, repeated: &'a HashSet<u64>) -> Self {
        let view = history.view();
        let join_keys: Vec<JoinKey> = view.view.join_keys().cloned().collect();
        let behind = join_keys.len() + TIME_COLUMNS.len();
        let outputs = &view.signature.outputs;
        let values = (0..outputs.len()).map(|value| behind + HISTORY_COLUMNS.len() + value);
        let place = |name: &str| outputs.iter().position(|output| output.name == name).map(|place| behind + place);
        Reader {
            history,
            rules,
            repeated,
            wanted: (0..behind).chain(values).collect(),
            id: place(EVENT_ID).unwrap_or(behind),
            retracted: place(RETRACTED),
            join_keys,
        }
    }

    fn read(&self, unit: &Unit, found: &mut Vec<([u8; 16], Found)>) -> Result<(), TrainingError> {
        for group in unit.row_groups() {
            let mut first = self.history.first_row(unit, group);
            for batch in self.history.read_group(unit, group, &self.wanted, BATCH_ROWS)? {
                let batch = batch?;
                self.look(unit, first, &batch, found)?;
                first += batch.num_rows() as u64;
            }
        }
        self.history.check_unit(unit)
    }

    fn look(
        &self,
        unit: &Unit,
        first: u64,
        batch: &RecordBatch,
        found: &mut Vec<([u8; 16], Found)>,
    ) -> Result<(), TrainingError> {
        let keys = self.join_keys.len();
        let behind = keys + TIME_COLUMNS.len();
        let view = self.history.view().view.id();
        let key_error = |source| TrainingError::Key { view: view.clone(), source };
        let encoder = KeyEncoder::new(&self.join_keys, &batch.columns()[..keys]).map_err(key_error)?;
        let rows =
            RowEncoder::new(&batch.columns()[behind..]).map_err(|error| OfflineError::Task(error.to_string()))?;
        let time = |column: usize| batch.column(keys + column).as_primitive::<TimestampMicrosecondType>();
        let sequences = batch.column(keys + 3).as_primitive::<Int64Type>();
        let retracted = self.retracted.and_then(|column| batch.column(column).as_boolean_opt());
        let written = self.history.written(unit);
        let (mut key, mut bytes) = (Vec::new(), Vec::new());
        for (row, id) in event_ids(batch.column(self.id)).into_iter().enumerate() {
            let Some(id) = id.filter(|id| self.repeated.contains(&short(id))) else { continue };
            let at = |column: usize| {
                let column = time(column);
                column.is_valid(row).then(|| Timestamp(column.value(row)))
            };
            let (event_time, created_time, published_time) = (at(0), at(1), at(2).unwrap_or(written));
            key.clear();
            bytes.clear();
            let has_key = encoder.encode_into(row, &mut key);
            rows.encode(row, &mut bytes);
            let is_true = |column: &arrow_array::BooleanArray| column.is_valid(row) && column.value(row);
            let placed = Placed {
                version: Version {
                    created_time,
                    sequence: sequences.is_valid(row).then(|| sequences.value(row)),
                    retracted: retracted.is_some_and(is_true),
                },
                content: content(has_key.then_some(&key[..]), event_time, &bytes),
                known: match self.rules.known_by {
                    // Where published times are made up, what is known of an event's end is the producer's word.
                    KnownBy::Published if self.rules.publish_delay.is_none() => published_time,
                    _ => created_time.unwrap_or(published_time),
                },
            };
            let file = self.history.path_of(unit).to_owned();
            found.push((id, Found { file, row: first + row as u64, placed }));
        }
        Ok(())
    }
}

/// What is made of all units, by several threads, each with one of its own.
fn each_unit<T: Default + Send>(
    history: &History,
    threads: usize,
    work: impl Fn(&Unit, &mut T) -> Result<(), TrainingError> + Sync,
) -> Result<Vec<T>, TrainingError> {
    let units = history.units();
    let next = AtomicUsize::new(0);
    on_threads(threads.clamp(1, units.len().max(1)), || {
        let mut made = T::default();
        while let Some(unit) = units.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(unit, &mut made)?;
        }
        Ok(made)
    })
}

/// The part of an id's digest by which repeated ids are found.
fn short(id: &[u8; 16]) -> u64 {
    let (first, _) = id.split_first_chunk::<8>().expect("it has 16 bytes");
    u64::from_be_bytes(*first)
}
