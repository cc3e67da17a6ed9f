//! How many labels are joined at once, and how many events of aggregates are held beside them, by an estimate of what both take under the one limit
//! ([`super::TrainingOptions::memory_bytes_max`]).

use std::ops::Range;

use arrow_schema::DataType as ArrowType;
use tandem_core::point_in_time::Contest;
use tandem_core::types::DataType;

use super::groups::is_eight;
use super::history::History;
use super::joined::WINNER_BYTES;
use super::labels::LabelKeys;
use super::{Prepared, Shared};

/// Bytes of the limit that are for what a process takes whatever it joins: its code, and what of files is read and written at a time.
const PROCESS: u64 = 64 << 20;

/// Bytes for each label: its time.
const TIME: u64 = 8;

/// Bytes for each label and set of keys: its slot, its instant, and where the instant is looked for.
const KEYS: u64 = 8 + 8 + 4;

/// Bytes for each label and set of keys while its instants are sorted: the instants in the order of the labels and in their own, and where those of a key go.
const SORTING: u64 = 16 + 16 + 8;

/// Bytes for each distinct key in a table of keys.
const KEY: u64 = 96;

/// The same for keys of eight bytes.
const KEY_OF_EIGHT: u64 = 39;

/// Bytes for each distinct key: where its instants lie.
const GROUP: u64 = 24;

/// Bytes for each distinct key and thread that gathers events: how many there are.
const COUNT: u64 = 4;

/// Bytes for each distinct key, view and reading thread: whether there are rows, of all that were read and of what is being read.
const SEEN: u64 = 1 + 1;

/// Bytes for each label while the rows that won are put in their order: each with its slot, and what sorting takes.
const PLACING: u64 = 16 + 8;

/// Bytes for each row that won: its number.
const ROW: u64 = 8;

/// Bits for each row that won while its end is looked at: the end, twice as it is gathered.
const END: u64 = 2 * (64 + 1);

/// Bytes for each label that is shown to checks of aggregates: how often its values were given, and their number.
const CHECKING: u64 = 8 + 8;

/// Bytes for each value that is not of fixed width.
const VARIABLE: u64 = 48;

/// Fewer labels are never joined at once, however small the limit is: a pass over a view costs more than they do.
pub(super) const PART_LABELS_MIN: usize = 65_536;

/// Bytes for each thread that sweeps: the events of some entities as they were read and sorted, and their values.
const SWEEPING: u64 = 32 << 20;

/// Of the limit the share that is left to the events of views of aggregates where labels would take all of it.
const EVENTS_SHARE: u64 = 16;

/// Fewer bytes of events are never held, unless the limit is smaller: each time they are full they become a file that is open until the end.
const EVENTS_BYTES_MIN: u64 = 32 << 20;

/// Rows that wait to be written, as rows, as columns and as pages.
const WRITTEN_ROWS: u64 = 3 * 131_072;

/// Bits of a status.
const STATUS: u64 = 8 * (4 + 12);

/// The labels of each part. One part at least, so that views are read, and their files checked, without labels too.
pub(super) fn parts(labels: usize, request: &Prepared, histories: &[History]) -> Vec<Range<usize>> {
    let available = of_labels(request, labels);
    let (mut size, mut too_many) = (PART_LABELS_MIN.min(labels), labels + 1);
    // The largest that fits.
    while size + 1 < too_many {
        let middle = size + (too_many - size) / 2;
        match most(middle as u64, request, histories) <= available {
            true => size = middle,
            false => too_many = middle,
        }
    }
    // Parts of one size: none is a remainder that costs a pass of its own.
    let count = labels.div_ceil(size.max(1)).max(1);
    let size = labels.div_ceil(count);
    (0..count).map(|part| part * size..labels.min((part + 1) * size)).collect()
}

/// Estimated bytes of a part of so many labels where they are most: one view follows another, and what is kept of a view is less than what joining it takes.
pub(super) fn most(labels: u64, request: &Prepared, histories: &[History]) -> u64 {
    let (mut most, mut kept) = (0, 0);
    let mut known: Vec<&[usize]> = Vec::new();
    for (index, step) in request.plan.stored.iter().enumerate() {
        if !known.contains(&&step.keys[..]) {
            known.push(&step.keys);
            kept += of_keys(labels, request, &step.keys);
            most = most.max(kept + SORTING * labels);
        }
        let (joining, afterwards) = of_view(request, index, &histories[index]);
        let events = if step.view.view.is_aggregates() { request.options.memory_bytes_max / EVENTS_SHARE } else { 0 };
        most = most.max(kept + joining * labels + events);
        kept += afterwards * labels;
    }
    most
}

/// Bytes of events of the stored step at `index` that may be held beside the labels of a part, whose keys of this view are `keys`; before they are sorted, which takes
/// as much again, and is part of it.
pub(super) fn events(index: usize, shared: &Shared, keys: &LabelKeys) -> u64 {
    let request = &shared.request;
    let labels = keys.slots.len() as u64;
    let before = &request.plan.stored[..index];
    // Keys of this view as they are, of others as they may be.
    let mut others: Vec<&[usize]> = before.iter().map(|step| &step.keys[..]).filter(|set| *set != keys.keys).collect();
    others.sort_unstable();
    others.dedup();
    let others = others.into_iter().map(|set| of_keys(labels, request, set)).sum::<u64>();
    let views = (0..index).map(|step| of_view(request, step, &shared.histories[step]).1).sum::<u64>();
    let threads = request.options.threads as u64;
    let groups = keys.groups.len() as u64;
    let held = keys.groups.bytes() + (GROUP + COUNT * threads) * groups + others + (KEYS + views) * labels;
    let held = held + SWEEPING * threads;
    // While they are gathered, there are no values of theirs. While values are made of them, half of them at most is in memory.
    let gathering = of_labels(request, shared.times.len()).saturating_sub(held);
    let sweeping = gathering.saturating_sub(of_view(request, index, &shared.histories[index]).0 * labels);
    let most = gathering.min(sweeping.saturating_mul(2));
    most.max(EVENTS_BYTES_MIN).min(request.options.memory_bytes_max)
}

/// What of the limit is there for the labels of a part, and what is joined to them.
fn of_labels(request: &Prepared, labels: usize) -> u64 {
    let rows = request.options.batch_rows as u64 * (request.options.threads as u64 + 1) + WRITTEN_ROWS;
    let rows = rows.min(labels as u64) * of_row(request).div_ceil(8);
    request.options.memory_bytes_max.saturating_sub(PROCESS + TIME * labels as u64 + rows)
}

/// Estimated bits of a row of the training set.
fn of_row(request: &Prepared) -> u64 {
    let of_label = request.labels.schema().fields().iter().map(|field| match field.data_type() {
        ArrowType::Boolean => 1 + 1,
        other => 1 + 8 * other.primitive_width().map_or(VARIABLE, |bytes| bytes as u64),
    });
    let features = request.plan.columns.iter().map(|column| width(column.data_type));
    let views = request.plan.stored.len() + request.plan.computed.len();
    let statuses = if request.statuses { STATUS * views as u64 } else { 0 };
    of_label.sum::<u64>() + features.sum::<u64>() + statuses
}

/// Estimated bytes of what is made of a set of keys of so many labels.
fn of_keys(labels: u64, request: &Prepared, set: &[usize]) -> u64 {
    let columns = set.iter().map(|key| &request.plan.request[*key]);
    let table = match set {
        [key] if is_eight(request.plan.request[*key].data_type) => KEY_OF_EIGHT,
        _ => KEY,
    };
    let distinct = columns.map(|column| request.labels.distinct_max(request.label_column(&column.name)));
    let distinct = distinct.fold(1, u64::saturating_mul).min(labels);
    (table + GROUP) * distinct + KEYS * labels
}

/// Estimated bytes for each label of the stored step at `index`, while it is joined and afterwards: what decides, and the values.
fn of_view(request: &Prepared, index: usize, history: &History) -> (u64, u64) {
    let step = &request.plan.stored[index];
    let view = &step.view.view;
    let outputs = step.outputs.iter().map(|output| step.view.signature.outputs[*output].data_type);
    let values = outputs.clone().map(width).sum::<u64>();
    if view.is_aggregates() {
        // Nothing competes. Values of eight bytes are put where they stay; each other feature is put together alone.
        let pieces = outputs.filter(|output| !is_eight(*output)).map(width).max().unwrap_or_default();
        let checking = if view.checks.is_empty() { 0 } else { 8 * CHECKING };
        return ((values + pieces.max(checking)).div_ceil(8), values.div_ceil(8));
    }
    let has_later = view.source.has_created_time() || view.source.has_sequence();
    let slot = Contest::bytes_of_slot(request.rules(view), has_later) as u64;
    let threads = request.options.threads.clamp(1, history.units().len().max(1)) as u64;
    let winner = WINNER_BYTES as u64;
    let ending = if view.source.has_valid_to() { ROW + END.div_ceil(8) } else { 0 };
    let joining = [
        (slot + SEEN) * threads,
        slot + winner,
        winner + PLACING,
        winner + ending,
        // Values are held twice while they are gathered.
        winner + ROW + (2 * values).div_ceil(8),
    ];
    (SEEN + joining.into_iter().max().unwrap_or_default(), SEEN + winner + ROW + values.div_ceil(8))
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
