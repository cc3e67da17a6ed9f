//! How many labels are joined at once, and how many events of aggregates are held beside them, by an estimate of what both take under the one limit
//! ([`super::TrainingOptions::memory_bytes_max`]).

use std::ops::Range;

use tandem_core::types::DataType;

use super::labels::LabelKeys;
use super::{Prepared, Shared};

/// Bytes of the limit that are for what a process takes whatever it joins: its code, and what of files is read and written at a time.
const PROCESS: u64 = 64 << 20;

/// Bytes for each label: its time.
const TIME: u64 = 8;

/// Bytes for each label and set of keys: its slot, its instant, and where the instant is looked for.
const KEYS: u64 = 8 + 8 + 4;

/// Bytes for each label and set of keys while its instants are sorted: the instant before, the order of sorting.
const SORTING: u64 = 16 + 16;

/// Bytes for each label and set of keys: its share of the table of keys where all differ.
const KEY: u64 = 96;

/// The same for keys of eight bytes.
const KEY_OF_EIGHT: u64 = 56;

/// Bytes for each distinct key: where its instants lie.
const GROUP: u64 = 24 + 4;

/// Bytes for each distinct key and thread that gathers events: how many there are.
const COUNT: u64 = 4;

/// Bytes for each label, view and reading thread: the greatest row so far with all of its times, what happened, and a tie.
const SLOT: u64 = 16 + 32 + 16 + 16;

/// Bytes for each label and view: what it gets, with the numbers of rows to fetch.
const GIVEN: u64 = 8 + 16 + 16 + 2 + 16;

/// Bytes for each value that is not of fixed width.
const VARIABLE: u64 = 48;

/// Fewer labels are never joined at once, however small the limit is: a pass over a view costs more than they do.
const PART_LABELS_MIN: usize = 65_536;

/// Bytes for each thread that sweeps: the events of some entities as they were read and sorted, and their values.
const SWEEPING: u64 = 32 << 20;

/// Of the limit the share that is left to the events of views of aggregates where labels would take all of it.
const EVENTS_SHARE: u64 = 16;

/// Fewer bytes of events are never held, unless the limit is smaller: each time they are full they become a file that is open until the end.
const EVENTS_BYTES_MIN: u64 = 32 << 20;

/// The labels of each part. One part at least, so that views are read, and their files checked, without labels too.
pub(super) fn parts(labels: usize, request: &Prepared) -> Vec<Range<usize>> {
    let has_events = request.plan.stored.iter().any(|step| step.view.view.is_aggregates());
    let events = if has_events { request.options.memory_bytes_max / EVENTS_SHARE } else { 0 };
    let share = of_labels(request, labels).saturating_sub(events) / per_label(request).max(1);
    let size = usize::try_from(share).unwrap_or(usize::MAX).max(PART_LABELS_MIN);
    // Parts of one size: none is a remainder that costs a pass of its own.
    let count = labels.div_ceil(size).max(1);
    let size = labels.div_ceil(count);
    (0..count).map(|part| part * size..labels.min((part + 1) * size)).collect()
}

/// Bytes of events of the stored step at `index` that may be held beside the labels of a part, whose keys of this view are `keys`; before they are sorted, which takes
/// as much again, and is part of it.
pub(super) fn events(index: usize, shared: &Shared, keys: &LabelKeys) -> u64 {
    let request = &shared.request;
    let labels = keys.slots.len() as u64;
    // Keys of this view as they are, of others as they may be.
    let others = key_sets(request).into_iter().filter(|set| *set != &keys.keys[..]);
    let others = others.map(|set| (KEYS + table(request, set)) * labels).sum::<u64>();
    let groups = keys.groups.len() as u64;
    let held = keys.groups.bytes() + KEYS * labels + (GROUP + COUNT * request.options.threads as u64) * groups + others;
    let values = |steps: Range<usize>| steps.map(|step| of_view(request, step) * labels / 8).sum::<u64>();
    let held = held + SWEEPING * request.options.threads as u64;
    let left = of_labels(request, shared.times.len()).saturating_sub(held);
    // While they are gathered, there are the values of the views before. While values are made of them, half of them at most is in memory.
    let gathering = left.saturating_sub(values(0..index));
    let sweeping = left.saturating_sub(values(0..index + 1));
    let most = gathering.min(sweeping.saturating_mul(2));
    most.max(EVENTS_BYTES_MIN).min(request.options.memory_bytes_max)
}

/// What of the limit is there for the labels of a part, and what is joined to them.
fn of_labels(request: &Prepared, labels: usize) -> u64 {
    request.options.memory_bytes_max.saturating_sub(PROCESS + TIME * labels as u64)
}

/// The keys of the views, each set once.
fn key_sets(request: &Prepared) -> Vec<&[usize]> {
    let mut sets: Vec<&[usize]> = request.plan.stored.iter().map(|step| &step.keys[..]).collect();
    sets.sort_unstable();
    sets.dedup();
    sets
}

/// Estimated bytes for each label.
fn per_label(request: &Prepared) -> u64 {
    let sets = key_sets(request);
    let tables: u64 = sets.iter().map(|set| table(request, set)).sum();
    let views: u64 = (0..request.plan.stored.len()).map(|step| of_view(request, step)).sum();
    // What sorting takes is given back before there are values of the view.
    KEYS * sets.len() as u64 + tables + SORTING.max(views.div_ceil(8))
}

/// Estimated bytes for each label in the table of a set of keys.
fn table(request: &Prepared, set: &[usize]) -> u64 {
    match set {
        [key] => match request.plan.request[*key].data_type {
            DataType::Int64 | DataType::Float64 | DataType::Timestamp => KEY_OF_EIGHT,
            _ => KEY,
        },
        _ => KEY,
    }
}

/// Estimated bits for each label of the stored step at `index`: what decides, and the values.
fn of_view(request: &Prepared, index: usize) -> u64 {
    let step = &request.plan.stored[index];
    let outputs = step.outputs.iter().map(|output| width(step.view.signature.outputs[*output].data_type));
    if step.view.view.is_aggregates() {
        // Nothing competes, and each feature is put together alone.
        return outputs.clone().sum::<u64>() + outputs.max().unwrap_or_default();
    }
    // Values are held twice while they are gathered.
    8 * (SLOT * request.options.threads.max(1) as u64 + GIVEN) + 2 * outputs.sum::<u64>()
}

/// Bits of a value, one of them that it is no null.
fn width(data_type: DataType) -> u64 {
    1 + match data_type {
        DataType::Boolean => 1,
        DataType::Int64 | DataType::Float64 | DataType::Timestamp => 64,
        DataType::String | DataType::Binary | DataType::Sequence(_) => 8 * VARIABLE,
        DataType::Float32Vector(width) => 32 * u64::from(width),
    }
}
