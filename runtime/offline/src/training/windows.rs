//! Views of aggregates at the labels' times, or at the instants of a grid (`grid`): the events of the entities are read once, sorted by entity, and swept
//! ([`tandem_core::window::Sweep`]) for all windows and features together.
//!
//! What is held is the events that can be seen, and of these as many as memory allows: the rest lies in sorted runs in temporary files (`runs`). Of
//! a sweep's state there is that of one entity for each thread.

mod answers;
mod asked;
mod explain;
mod gather;
pub(crate) mod grid;
mod runs;
mod superseded;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType, UInt32Type};
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_schema::{Field, Schema};
use tandem_core::feature_plan::StoredStep;
use tandem_core::model::FeatureView;
use tandem_core::time::Timestamp;
use tandem_core::types::DataType;
use tandem_core::window::{Aggregates, Counted, Events, NotAnswered, Plan, Sweep};

use super::history::Offered;
use super::labels::LabelKeys;
use super::threads::on_threads;
use super::trim::trim;
use super::{Shared, TrainingError, memory};
use crate::error::OfflineError;
use answers::Answers;
use asked::{Asked, EventsOf};
pub(super) use explain::explain;
use gather::{Gathered, Gatherer};
use runs::{Chunks, FROM, GROUP, UNTIL, VALUES};
pub(super) use superseded::Superseded;

/// Events that are swept at a time by a thread, unless one entity has more.
const CHUNK_EVENTS: usize = 131_072;

/// Entities that are swept at a time by a thread.
const CHUNK_GROUPS: u32 = 65_536;

/// The features of a stored step that are needed, of its aggregates.
pub(super) fn needed(step: &StoredStep) -> Option<Aggregates> {
    let aggregates = step.view.view.aggregates.as_ref()?;
    let features = step.outputs.iter().map(|output| aggregates.features[*output].clone());
    Some(Aggregates { features: features.collect(), ..Aggregates::clone(aggregates) })
}

/// The values of the needed features of the stored step at `index`, one row for each slot of `keys`, and what was read for them. Blocking.
pub(super) fn answer(
    index: usize,
    aggregates: &Aggregates,
    shared: &Shared,
    keys: &LabelKeys,
) -> Result<(RecordBatch, Offered), TrainingError> {
    let started = Instant::now();
    let history = &shared.histories[index];
    let functions = shared.request.plan.stored[index].view.functions();
    let plan = Plan::with_functions(aggregates, &functions);
    let options = &shared.request.options;
    let view = &history.view().view;
    let of = EventsOf {
        history,
        superseded: &shared.superseded[index],
        rules: shared.request.rules(view),
        batch_rows: options.batch_rows,
    };
    let asked = Asked::by_labels(keys);
    let memory = memory::events(index, shared, keys);
    let events = gather(of, asked, &plan, aggregates, (options.threads, memory), |_| ())?;
    let Gathered { offered, counts, runs: all } = events;
    let events: u64 = counts.iter().map(|count| u64::from(*count)).sum();
    trim();
    let gathering = started.elapsed();
    let started = Instant::now();
    let weight = |group: u32| counts[group as usize] as usize + keys.instants.of_group(group).len();
    let bounds = bounds(counts.len(), weight);
    let outputs = aggregates.signature().outputs;
    let chunks = Mutex::new(Chunks::new(all, bounds.clone()));
    let answers = Mutex::new(Answers::new(&outputs, keys.instants.slots()));
    let threads = options.threads.clamp(1, bounds.len().max(1));
    on_threads(threads, || {
        loop {
            let chunk = chunks.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((place, batches)) = chunk? else { return Ok(()) };
            let values = sweep(&plan, (view, aggregates), keys, bounds[place], batches)?;
            let first = keys.instants.of_group(bounds[place].0).start;
            answers.lock().unwrap_or_else(PoisonError::into_inner).put(first, values);
        }
    })?;
    drop(chunks);
    let answers = answers.into_inner().unwrap_or_else(PoisonError::into_inner);
    let columns = answers.finish().map_err(|_| TrainingError::TooLarge { view: history.view().view.id() })?;
    let fields: Vec<Field> = outputs.iter().map(|output| output.to_arrow().with_nullable(true)).collect();
    let rows = RecordBatchOptions::new().with_row_count(Some(keys.instants.slots()));
    let values = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &rows);
    let values = values.map_err(|error| OfflineError::DataFusion(error.into()))?;
    let sweeping = started.elapsed();
    shared.report(|report| {
        report.phases.offer += gathering;
        report.phases.fetch += sweeping;
        report.views[index].slots += keys.instants.slots() as u64;
        report.views[index].rows_fetched += events;
    });
    Ok((values, offered))
}

/// The events that may be seen, by `threads` threads that hold `memory_bytes_max` bytes of them; the rest lies in files. `read` is told of rows that were read.
/// Blocking.
fn gather(
    of: EventsOf<'_>,
    asked: Asked<'_>,
    plan: &Plan,
    aggregates: &Aggregates,
    (threads, memory_bytes_max): (usize, u64),
    read: impl Fn(u64) + Sync,
) -> Result<Gathered, TrainingError> {
    let units = of.history.units();
    let threads = threads.clamp(1, units.len().max(1));
    let next = AtomicUsize::new(0);
    let share = memory_bytes_max / threads as u64;
    let parts = on_threads(threads, || {
        let mut gatherer = Gatherer::new(of, asked, plan, aggregates.columns.len(), share);
        while let Some(unit) = units.get(next.fetch_add(1, Ordering::Relaxed)) {
            gatherer.read(unit)?;
            read(unit.len());
        }
        gatherer.finish()
    })?;
    let mut all = Gathered { counts: vec![0_u32; asked.len()], ..Gathered::default() };
    for part in parts {
        all.offered += part.offered;
        all.counts.iter_mut().zip(&part.counts).for_each(|(mine, theirs)| *mine += theirs);
        all.runs.extend(part.runs);
    }
    Ok(all)
}

/// Groups that are swept together, each from a first one to before another.
fn bounds(groups: usize, weight: impl Fn(u32) -> usize) -> Vec<(u32, u32)> {
    let mut bounds = Vec::new();
    let (mut first, mut events) = (0_u32, 0_usize);
    for group in 0..groups as u32 {
        let weight = weight(group);
        if events > 0 && (events + weight > CHUNK_EVENTS || group - first >= CHUNK_GROUPS) {
            bounds.push((first, group));
            (first, events) = (group, 0);
        }
        events += weight;
    }
    if (first as usize) < groups {
        bounds.push((first, groups as u32));
    }
    bounds
}

/// The events of some entities, by entity.
struct Chunk {
    batch: Option<RecordBatch>,
    /// The first event that was not taken yet.
    at: usize,
}

impl Chunk {
    /// The events in `batches`, of the groups in `bounds`.
    fn of(
        plan: &Plan,
        aggregates: &Aggregates,
        (first, end): (u32, u32),
        batches: Vec<RecordBatch>,
    ) -> Result<(Self, Events), TrainingError> {
        let arrow = |error: arrow_schema::ArrowError| TrainingError::from(OfflineError::DataFusion(error.into()));
        let batch = runs::merge(batches, first, end).map_err(arrow)?;
        let none = |data_type: &DataType| {
            new_null_array(&data_type.to_arrow(), batch.as_ref().map_or(0, RecordBatch::num_rows))
        };
        let mut values: Vec<ArrayRef> = match &batch {
            Some(batch) => batch.columns()[VALUES..].to_vec(),
            None => aggregates.columns.iter().map(|column| none(&column.data_type)).collect(),
        };
        let times = match &batch {
            Some(batch) => batch.column(runs::EVENT_TIME).clone(),
            None => none(&DataType::Timestamp),
        };
        let (created, sequences) = match &batch {
            Some(_) if plan.orders_events() => (values.remove(0), values.remove(0)),
            _ => (none(&DataType::Timestamp), none(&DataType::Int64)),
        };
        values.truncate(aggregates.columns.len());
        let events = plan.events(
            &values,
            times.as_primitive::<TimestampMicrosecondType>().clone(),
            created.as_primitive::<TimestampMicrosecondType>().clone(),
            sequences.as_primitive::<Int64Type>().clone(),
        );
        let events = events.map_err(|error| OfflineError::Task(error.to_string()))?;
        Ok((Chunk { batch, at: 0 }, events))
    }

    /// The events of a group; groups are asked for in their order.
    fn counted(&mut self, group: u32) -> Vec<Counted> {
        let mut counted = Vec::new();
        let Some(batch) = &self.batch else { return counted };
        let groups = batch.column(GROUP).as_primitive::<UInt32Type>().values();
        let from = batch.column(FROM).as_primitive::<Int64Type>();
        let until = batch.column(UNTIL).as_primitive::<Int64Type>();
        while groups.get(self.at) == Some(&group) {
            let until = until.is_valid(self.at).then(|| Timestamp(until.value(self.at)));
            counted.push(Counted { row: self.at, from: Timestamp(from.value(self.at)), until });
            self.at += 1;
        }
        counted
    }
}

/// Why entities of a view have no answers.
fn not_answered(view: &FeatureView, error: NotAnswered) -> TrainingError {
    match error {
        NotAnswered::TooLarge(_) => TrainingError::TooLarge { view: view.id() },
        NotAnswered::Failed { feature, reason } => TrainingError::Function { view: view.id(), feature, reason },
    }
}

/// The features' values for the slots of the groups in `bounds`, of the events in `batches`.
fn sweep(
    plan: &Plan,
    (view, aggregates): (&FeatureView, &Aggregates),
    keys: &LabelKeys,
    (first, end): (u32, u32),
    batches: Vec<RecordBatch>,
) -> Result<Vec<ArrayRef>, TrainingError> {
    let slots: usize = (first..end).map(|group| keys.instants.of_group(group).len()).sum();
    let (mut chunk, events) = Chunk::of(plan, aggregates, (first, end), batches)?;
    let mut sweep = Sweep::new(plan, &events, slots);
    for group in first..end {
        let instants = keys.instants.instants_of(group);
        sweep.entity(chunk.counted(group), instants).map_err(|error| not_answered(view, error))?;
    }
    Ok(sweep.finish())
}
