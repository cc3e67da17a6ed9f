//! Views of aggregates at the labels' times: the events of the labels' entities are read once, sorted by entity, and swept
//! ([`tandem_core::window::Sweep`]) for all windows and features together.
//!
//! What is held is the events that some label can see, and of these as many as memory allows: the rest lies in sorted runs in temporary files (`runs`). Of
//! a sweep's state there is that of one entity for each thread.

mod explain;
mod gather;
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
use arrow_select::concat::concat;
use tandem_core::feature_plan::StoredStep;
use tandem_core::model::FeatureView;
use tandem_core::time::Timestamp;
use tandem_core::types::DataType;
use tandem_core::window::{Aggregates, Counted, NotAnswered, Plan, Sweep};

use super::history::{Offered, on_threads};
use super::labels::LabelKeys;
use super::{Shared, TrainingError};
use crate::error::OfflineError;
pub(super) use explain::explain;
use gather::Gatherer;
use runs::{Chunks, FROM, GROUP, Run, UNTIL, VALUES};
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
    let units = history.units();
    let threads = options.threads.clamp(1, units.len().max(1));
    let next = AtomicUsize::new(0);
    let share = options.memory_bytes_max / 2 / threads as u64;
    let parts = on_threads(threads, || {
        let mut gatherer = Gatherer::new(index, shared, keys, &plan, aggregates.columns.len(), share);
        while let Some(unit) = units.get(next.fetch_add(1, Ordering::Relaxed)) {
            gatherer.read(unit)?;
        }
        gatherer.finish()
    })?;
    let mut offered = Offered::default();
    let mut counts = vec![0_u32; keys.instants.groups()];
    let mut all: Vec<Run> = Vec::new();
    let mut events = 0;
    for part in parts {
        offered += part.offered;
        for (mine, theirs) in counts.iter_mut().zip(&part.counts) {
            *mine += theirs;
            events += u64::from(*theirs);
        }
        all.extend(part.runs);
    }
    let gathering = started.elapsed();
    let started = Instant::now();
    let bounds = bounds(&counts, keys);
    let chunks = Mutex::new(Chunks::new(all, bounds.clone()));
    let threads = options.threads.clamp(1, bounds.len().max(1));
    let answered = on_threads(threads, || {
        let mut done = Vec::new();
        loop {
            let chunk = chunks.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((place, batches)) = chunk? else { return Ok(done) };
            let view = &history.view().view;
            done.push((place, sweep(&plan, (view, aggregates), keys, bounds[place], batches)?));
        }
    })?;
    let mut answered: Vec<(usize, Vec<ArrayRef>)> = answered.into_iter().flatten().collect();
    answered.sort_by_key(|(place, _)| *place);
    let outputs = aggregates.signature().outputs;
    let too_large = || TrainingError::TooLarge { view: history.view().view.id() };
    let columns = outputs.iter().enumerate().map(|(feature, output)| {
        let arrays: Vec<&dyn Array> = answered.iter().map(|(_, arrays)| arrays[feature].as_ref()).collect();
        match arrays.is_empty() {
            true => Ok(new_null_array(&output.data_type.to_arrow(), 0)),
            false => concat(&arrays).map_err(|_| too_large()),
        }
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
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

/// Groups that are swept together, each from a first one to before another.
fn bounds(counts: &[u32], keys: &LabelKeys) -> Vec<(u32, u32)> {
    let mut bounds = Vec::new();
    let (mut first, mut events) = (0_u32, 0_usize);
    for (group, count) in counts.iter().enumerate() {
        let weight = *count as usize + keys.instants.of_group(group as u32).len();
        if events > 0 && (events + weight > CHUNK_EVENTS || group as u32 - first >= CHUNK_GROUPS) {
            bounds.push((first, group as u32));
            (first, events) = (group as u32, 0);
        }
        events += weight;
    }
    if (first as usize) < counts.len() {
        bounds.push((first, counts.len() as u32));
    }
    bounds
}

/// The features' values for the slots of the groups in `bounds`, of the events in `batches`.
fn sweep(
    plan: &Plan,
    (view, aggregates): (&FeatureView, &Aggregates),
    keys: &LabelKeys,
    (first, end): (u32, u32),
    batches: Vec<RecordBatch>,
) -> Result<Vec<ArrayRef>, TrainingError> {
    let arrow = |error: arrow_schema::ArrowError| TrainingError::from(OfflineError::DataFusion(error.into()));
    let slots: usize = (first..end).map(|group| keys.instants.of_group(group).len()).sum();
    let batch = runs::merge(batches, first, end).map_err(arrow)?;
    let none =
        |data_type: &DataType| new_null_array(&data_type.to_arrow(), batch.as_ref().map_or(0, RecordBatch::num_rows));
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
    let mut sweep = Sweep::new(plan, &events, slots);
    let columns = batch.as_ref().map(|batch| {
        let groups = batch.column(GROUP).as_primitive::<UInt32Type>();
        (groups, batch.column(FROM).as_primitive::<Int64Type>(), batch.column(UNTIL).as_primitive_opt::<Int64Type>())
    });
    let mut at = 0;
    for group in first..end {
        let mut counted = Vec::new();
        if let Some((groups, from, until)) = &columns {
            while at < groups.len() && groups.value(at) == group {
                let until = until.filter(|until| until.is_valid(at)).map(|until| Timestamp(until.value(at)));
                counted.push(Counted { row: at, from: Timestamp(from.value(at)), until });
                at += 1;
            }
        }
        let instants = keys.instants.instants_of(group);
        sweep.entity(counted, instants).map_err(|error| match error {
            NotAnswered::TooLarge(_) => TrainingError::TooLarge { view: view.id() },
            NotAnswered::Failed { feature, reason } => TrainingError::Function { view: view.id(), feature, reason },
        })?;
    }
    Ok(sweep.finish())
}
