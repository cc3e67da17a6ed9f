//! How many labels are joined at once, by an estimate of what their index takes.

use std::ops::Range;

use tandem_core::types::DataType;

use super::Prepared;

/// Bytes for each label: its time.
const TIME: u64 = 8;

/// Bytes for each label and set of keys: its slot and instant, and the order of sorting.
const KEYS: u64 = 8 + 16 + 16;

/// Bytes for each label and set of keys: its share of the table of keys where all differ.
const KEY: u64 = 96;

/// The same for keys of eight bytes.
const KEY_OF_EIGHT: u64 = 56;

/// Bytes for each label, view and reading thread: the greatest row so far with all of its times, what happened, and a tie.
const SLOT: u64 = 24 + 32 + 16 + 16;

/// Bytes for each label and view: what it gets, with the numbers of rows to fetch.
const GIVEN: u64 = 8 + 16 + 16 + 2 + 16;

/// Bytes for each value that is not of fixed width.
const VARIABLE: u64 = 48;

/// Fewer labels are never joined at once, however small the limit is: a pass over a view costs more than they do.
const PART_LABELS_MIN: usize = 65_536;

/// The labels of each part. One part at least, so that views are read, and their files checked, without labels too.
pub(super) fn parts(labels: usize, request: &Prepared) -> Vec<Range<usize>> {
    let share = request.options.memory_bytes_max.saturating_sub(TIME * labels as u64) / per_label(request).max(1);
    let size = usize::try_from(share).unwrap_or(usize::MAX).max(PART_LABELS_MIN);
    // Parts of one size: none is a remainder that costs a pass of its own.
    let count = labels.div_ceil(size).max(1);
    let size = labels.div_ceil(count);
    (0..count).map(|part| part * size..labels.min((part + 1) * size)).collect()
}

/// Estimated bytes for each label.
fn per_label(request: &Prepared) -> u64 {
    let mut sets: Vec<&[usize]> = request.plan.stored.iter().map(|step| &step.keys[..]).collect();
    sets.sort_unstable();
    sets.dedup();
    let table = |keys: &&[usize]| match keys {
        [key] => match request.plan.request[*key].data_type {
            DataType::Int64 | DataType::Float64 | DataType::Timestamp => KEY_OF_EIGHT,
            _ => KEY,
        },
        _ => KEY,
    };
    let tables: u64 = sets.iter().map(table).sum();
    let views = request.plan.stored.iter().map(|step| {
        let outputs = step.outputs.iter().map(|output| width(step.view.signature.outputs[*output].data_type));
        if step.view.view.is_aggregates() {
            // Nothing competes, and each feature is put together alone.
            return outputs.clone().sum::<u64>() + outputs.max().unwrap_or_default();
        }
        // Values are held twice while they are gathered.
        SLOT * request.options.threads.max(1) as u64 + GIVEN + 2 * outputs.sum::<u64>()
    });
    KEYS * sets.len() as u64 + tables + views.sum::<u64>()
}

fn width(data_type: DataType) -> u64 {
    match data_type {
        DataType::Boolean => 1,
        DataType::Int64 | DataType::Float64 | DataType::Timestamp => 9,
        DataType::String | DataType::Binary | DataType::Sequence(_) => VARIABLE,
        DataType::Float32Vector(width) => 4 * u64::from(width) + 1,
    }
}
