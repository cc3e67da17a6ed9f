//! A view of aggregates at the instants of a grid, for all entities that have events: what batch publishes.
//!
//! Keys are read first, and numbered in their order. Then the events are gathered and swept as for labels, each entity at the instants from its first event
//! on, as far as a window reaches. Rows come entity by entity and are wanted day by day: those of a chunk of entities are divided into days and kept, in memory
//! up to a quarter of the limit and beyond that in one temporary file.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{ArrayRef, RecordBatch, TimestampMicrosecondArray, UInt32Array};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType as ArrowType, Field, Schema, SchemaRef};
use arrow_select::take::{take, take_record_batch};
use tandem_core::key::{KeyEncoder, decode_many};
use tandem_core::model::{BoundView, JoinKey};
use tandem_core::point_in_time::Rules;
use tandem_core::time::{Day, Timestamp};
use tandem_core::types::timestamp_arrow_type;
use tandem_core::window::{Aggregates, Counted, Plan, Sweep};

use super::super::TrainingError;
use super::super::groups::{Groups, Numbering};
use super::super::history::History;
use super::super::threads::on_threads;
use super::asked::{Asked, EventsOf};
use super::gather::{Gathered, is_in_reach, reach};
use super::runs::{Chunks, arrow, spill};
use super::{Chunk, Superseded, bounds, gather, not_answered};
use crate::error::OfflineError;
use crate::listing::FileEntry;

/// How a grid is computed. Changes no value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GridOptions {
    pub(crate) threads: usize,
    pub(crate) batch_rows: usize,
    pub(crate) memory_bytes_max: u64,
}

/// The events of a view, opened.
pub(crate) struct GridEvents {
    view: Arc<BoundView>,
    history: History,
    superseded: Superseded,
    options: GridOptions,
}

/// What was read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct GridRead {
    pub(crate) rows: u64,
    pub(crate) set_aside: u64,
    pub(crate) broken: u64,
    pub(crate) null_keys: u64,
    pub(crate) null_created: u64,
}

/// Entities, numbered in the order of their keys, and the keys.
type Entities = (Groups, Vec<Box<[u8]>>);

/// Rows by day.
pub(crate) struct GridRows {
    /// The values of the join keys, by number of the entity.
    keys: Vec<ArrayRef>,
    spool: Spool,
    pub(crate) read: GridRead,
}

impl GridEvents {
    /// Lists the events' files. Blocking.
    pub(crate) fn open(
        view: &Arc<BoundView>,
        offline_root: &Path,
        options: GridOptions,
    ) -> Result<Self, TrainingError> {
        let events = view.events().ok_or_else(|| OfflineError::OnDemand { view: view.view.id() })?;
        let history = History::open(&Arc::new(events), offline_root, None, options.threads)?;
        let superseded = Superseded::read(&history, Rules::of(&view.view), options.threads)?;
        Ok(GridEvents { view: Arc::clone(view), history, superseded, options })
    }

    /// How far before an instant its windows reach; None where there is no end to it.
    fn reach(&self) -> Option<i64> {
        self.view.view.aggregates.as_ref().and_then(|aggregates| reach(&Plan::new(aggregates)))
    }

    /// The files whose events may be seen between two instants, and the rows of all of them.
    pub(crate) fn files(&self, span: (Timestamp, Timestamp)) -> Result<(Vec<FileEntry>, u64), TrainingError> {
        let (mut files, mut rows): (Vec<FileEntry>, u64) = (Vec::new(), 0);
        for unit in self.history.units() {
            if !is_in_reach(self.history.day(&unit)?, Some(span), self.reach()) {
                continue;
            }
            rows += unit.len();
            let entry = self.history.entry_of(&unit);
            if files.last() != Some(entry) {
                files.push(entry.clone());
            }
        }
        Ok((files, rows))
    }

    /// The rows at `instants` but the first, which is the one before them; they ascend, and there are two at least. `read` is told of rows that were read.
    /// Blocking; runs user code.
    pub(crate) fn compute(&self, instants: &[Timestamp], read: impl Fn(u64) + Sync) -> Result<GridRows, TrainingError> {
        let GridEvents { view, history, superseded, options } = self;
        let Some(aggregates) = &view.view.aggregates else {
            return Err(OfflineError::OnDemand { view: view.view.id() }.into());
        };
        let join_keys: Vec<JoinKey> = view.view.join_keys().cloned().collect();
        let (groups, keys) = self.entities(&join_keys, instants)?;
        let key_error = |source| TrainingError::Key { view: view.view.id(), source };
        let count = keys.len();
        let arrays = decode_many(&join_keys, keys.iter().map(|key| &key[..])).map_err(key_error)?;
        drop(keys);
        let aggregates = aggregates.with_presence();
        let plan = Plan::with_functions(&aggregates, &view.functions());
        let of = EventsOf { history, superseded, rules: Rules::of(&view.view), batch_rows: options.batch_rows };
        let asked = Asked::on_grid(&join_keys, &groups, instants);
        let memory = options.memory_bytes_max / 2;
        let Gathered { offered, counts, runs } =
            gather(of, asked, &plan, &aggregates, (options.threads, memory), read)?;
        let reach = reach(&plan);
        let every = instants.get(1).map_or(1, |second| second.0.saturating_sub(instants[0].0)).max(1);
        // An event is seen so often at most, and once more where its entity's last row is.
        let most = reach.map_or(instants.len(), |reach| usize::try_from(reach / every).unwrap_or(usize::MAX));
        let weight = |group: u32| {
            let events = counts[group as usize] as usize;
            events + instants.len().min(events.saturating_mul(most.saturating_add(2)))
        };
        let bounds = bounds(count, weight);
        let sweeper = Sweeper { plan: &plan, aggregates: &aggregates, view, reach, every, instants };
        let days = match (instants.get(1), instants.last()) {
            (Some(first), Some(last)) => (Day::of(*first), Day::of(*last)),
            _ => (Day(0), Day(0)),
        };
        let spool = Mutex::new(Spool::new(sweeper.schema(), days, options.memory_bytes_max / 4));
        let chunks = Mutex::new(Chunks::new(runs, bounds.clone()));
        let threads = options.threads.clamp(1, bounds.len().max(1));
        on_threads(threads, || {
            loop {
                let chunk = chunks.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((place, batches)) = chunk? else { return Ok(()) };
                let Some(rows) = sweeper.rows(bounds[place], batches)? else { continue };
                spool.lock().unwrap_or_else(PoisonError::into_inner).put(place, &rows)?;
            }
        })?;
        let mut spool = spool.into_inner().unwrap_or_else(PoisonError::into_inner);
        spool.settle();
        let read = GridRead {
            rows: offered.rows,
            set_aside: offered.set_aside,
            broken: offered.reasons.broken,
            null_keys: offered.null_keys,
            null_created: offered.null_created,
        };
        Ok(GridRows { keys: arrays, spool, read })
    }

    /// The keys of all events that may be seen.
    fn entities(&self, join_keys: &[JoinKey], instants: &[Timestamp]) -> Result<Entities, TrainingError> {
        let GridEvents { view, history, options, .. } = self;
        let span = instants.first().copied().zip(instants.last().copied());
        let (units, next, reach) = (history.units(), AtomicUsize::new(0), self.reach());
        let columns: Vec<usize> = (0..join_keys.len()).collect();
        let all = on_threads(options.threads.clamp(1, units.len().max(1)), || {
            let (mut numbering, mut bytes) = (Numbering::new(join_keys), Vec::new());
            while let Some(unit) = units.get(next.fetch_add(1, Ordering::Relaxed)) {
                if !is_in_reach(history.day(unit)?, span, reach) {
                    continue;
                }
                for group in unit.row_groups() {
                    for batch in history.read_group(unit, group, &columns, options.batch_rows)? {
                        let batch = batch?;
                        let encoder = KeyEncoder::new(join_keys, batch.columns())
                            .map_err(|source| TrainingError::Key { view: view.view.id(), source })?;
                        for row in 0..batch.num_rows() {
                            numbering.add(&encoder, row, &mut bytes);
                        }
                    }
                }
            }
            Ok(numbering)
        })?;
        Ok(Groups::in_order(join_keys, all))
    }
}

/// What rows of a chunk are made with.
struct Sweeper<'a> {
    plan: &'a Plan,
    /// With the presence of each window behind the features.
    aggregates: &'a Aggregates,
    view: &'a BoundView,
    reach: Option<i64>,
    every: i64,
    instants: &'a [Timestamp],
}

impl Sweeper<'_> {
    /// Number of the entity, instant, features.
    fn schema(&self) -> SchemaRef {
        let features = self.view.signature.outputs.iter().map(|output| output.to_arrow().with_nullable(true));
        let own =
            [Field::new("entity", ArrowType::UInt32, false), Field::new("event_time", timestamp_arrow_type(), false)];
        Arc::new(Schema::new(own.into_iter().chain(features).collect::<Vec<_>>()))
    }

    /// The instants at which some window may have one of these events, and the one after.
    fn asked(&self, counted: &[Counted], event_time: impl Fn(usize) -> Timestamp) -> &[Timestamp] {
        let first = counted.iter().map(|event| event.from).min().unwrap_or(Timestamp::MAX);
        let start = self.instants.partition_point(|at| *at < first);
        let last = counted.iter().map(|event| event_time(event.row)).max().unwrap_or(Timestamp::MIN);
        let end = self.reach.map_or(self.instants.len(), |reach| {
            let last = last.0.saturating_add(reach).saturating_add(self.every);
            self.instants.partition_point(|at| at.0 <= last)
        });
        &self.instants[start..end.max(start)]
    }

    /// The rows of the entities in `bounds`, by entity and instant; None if there are none.
    fn rows(&self, (first, end): (u32, u32), batches: Vec<RecordBatch>) -> Result<Option<RecordBatch>, TrainingError> {
        let (mut chunk, events) = Chunk::of(self.plan, self.aggregates, (first, end), batches)?;
        let mut sweep = Sweep::new(self.plan, &events, 0);
        let (mut entities, mut times): (Vec<u32>, Vec<i64>) = (Vec::new(), Vec::new());
        for group in first..end {
            let counted = chunk.counted(group);
            let instants = self.asked(&counted, |row| events.event_time(row));
            entities.extend(std::iter::repeat_n(group, instants.len()));
            times.extend(instants.iter().map(|at| at.0));
            sweep.entity(counted, instants).map_err(|error| not_answered(&self.view.view, error))?;
        }
        let mut columns = sweep.finish();
        let counts = columns.split_off(self.view.signature.outputs.len());
        let is_there = |row: usize| counts.iter().any(|count| count.as_primitive::<Int64Type>().value(row) > 0);
        let mut kept = Vec::new();
        let mut was_there = false;
        for row in 0..times.len() {
            let begins = row == 0 || entities[row - 1] != entities[row];
            let there = is_there(row);
            // The instant before the first is looked at, and has no row.
            if (there || was_there && !begins) && times[row] > self.instants[0].0 {
                kept.push(row as u32);
            }
            was_there = there;
        }
        if kept.is_empty() {
            return Ok(None);
        }
        let times = TimestampMicrosecondArray::from(times).with_timezone("UTC");
        let own: [ArrayRef; 2] = [Arc::new(UInt32Array::from(entities)), Arc::new(times)];
        let rows = RecordBatch::try_new(self.schema(), own.into_iter().chain(columns).collect()).map_err(arrow)?;
        take_record_batch(&rows, &UInt32Array::from(kept)).map(Some).map_err(arrow)
    }
}

impl GridRows {
    /// The rows of a day, batch after batch, by entity and instant: columns of the join keys, the event time, the features. Blocking.
    pub(crate) fn day(&self, day: Day) -> impl Iterator<Item = Result<Vec<ArrayRef>, TrainingError>> + '_ {
        self.spool.pieces(day).iter().map(|piece| {
            let batch = self.spool.read(piece)?;
            let keys = self.keys.iter().map(|key| take(key, batch.column(0), None));
            let mut columns = keys.collect::<Result<Vec<_>, _>>().map_err(arrow)?;
            columns.extend(batch.columns()[1..].iter().cloned());
            Ok(columns)
        })
    }
}

/// Rows by day, in memory as many as it may take, the rest in a file without a name.
struct Spool {
    schema: SchemaRef,
    first: Day,
    days: Vec<Vec<Piece>>,
    held: u64,
    bytes_max: u64,
    file: Mutex<Option<File>>,
    /// The file's length.
    end: u64,
}

/// The rows of a chunk on a day.
struct Piece {
    chunk: usize,
    rows: Place,
}

enum Place {
    Memory(RecordBatch),
    File { at: u64, bytes: usize },
}

impl Spool {
    fn new(schema: SchemaRef, (first, last): (Day, Day), bytes_max: u64) -> Self {
        let days = last.0.saturating_sub(first.0).max(0) as usize + 1;
        let days = std::iter::repeat_with(Vec::new).take(days).collect();
        Spool { schema, first, days, held: 0, bytes_max, file: Mutex::new(None), end: 0 }
    }

    /// Takes the rows of a chunk.
    fn put(&mut self, chunk: usize, rows: &RecordBatch) -> Result<(), TrainingError> {
        let times = rows.column(1).as_primitive::<TimestampMicrosecondType>().values();
        let day_of = |row: &u32| Day::of(Timestamp(times[*row as usize])).0 - self.first.0;
        let mut order: Vec<u32> = (0..rows.num_rows() as u32).collect();
        order.sort_by_key(day_of);
        let starts: Vec<(i32, usize)> =
            order.chunk_by(|a, b| day_of(a) == day_of(b)).map(|rows| (day_of(&rows[0]), rows.len())).collect();
        let by_day = take_record_batch(rows, &UInt32Array::from(order)).map_err(arrow)?;
        let bytes = by_day.get_array_memory_size() as u64;
        let in_memory = self.held + bytes <= self.bytes_max;
        if in_memory {
            self.held += bytes;
        }
        let mut at = 0;
        for (day, count) in starts {
            let rows = by_day.slice(at, count);
            let rows = if in_memory { Place::Memory(rows) } else { self.write(&rows)? };
            self.days[day as usize].push(Piece { chunk, rows });
            at += count;
        }
        Ok(())
    }

    fn write(&mut self, rows: &RecordBatch) -> Result<Place, TrainingError> {
        let mut writer = StreamWriter::try_new(Vec::new(), &self.schema).map_err(arrow)?;
        writer.write(rows).map_err(arrow)?;
        let bytes = writer.into_inner().map_err(arrow)?;
        let file = self.file.get_mut().unwrap_or_else(PoisonError::into_inner);
        if file.is_none() {
            *file = Some(tempfile::tempfile().map_err(spill)?);
        }
        if let Some(file) = file {
            file.write_all(&bytes).map_err(spill)?;
        }
        let at = self.end;
        self.end += bytes.len() as u64;
        Ok(Place::File { at, bytes: bytes.len() })
    }

    /// Puts pieces into the order of their entities.
    fn settle(&mut self) {
        self.days.iter_mut().for_each(|pieces| pieces.sort_by_key(|piece| piece.chunk));
    }

    fn pieces(&self, day: Day) -> &[Piece] {
        let place = usize::try_from(i64::from(day.0) - i64::from(self.first.0)).ok();
        place.and_then(|place| self.days.get(place)).map_or(&[], Vec::as_slice)
    }

    fn read(&self, piece: &Piece) -> Result<RecordBatch, TrainingError> {
        let (at, bytes) = match &piece.rows {
            Place::Memory(rows) => return Ok(rows.clone()),
            Place::File { at, bytes } => (*at, *bytes),
        };
        let mut read = vec![0; bytes];
        if let Some(file) = self.file.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(&mut read)).map_err(spill)?;
        }
        let mut batches = StreamReader::try_new(&read[..], None).map_err(arrow)?;
        let batch = batches.next().transpose().map_err(arrow)?;
        Ok(batch.unwrap_or_else(|| RecordBatch::new_empty(Arc::clone(&self.schema))))
    }
}
