//! What became of each event of a label's entity.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, new_null_array};
use tandem_core::history::RowTimes;
use tandem_core::key::KeyEncoder;
use tandem_core::model::KnownBy;
use tandem_core::status::Status;
use tandem_core::time::Timestamp;
use tandem_core::types::{DataType, HISTORY_COLUMNS, RETRACTED, TIME_COLUMNS};
use tandem_core::window::{Plan, Window};

use super::super::explain::{Candidate, Verdict, ViewExplanation};
use super::super::groups::{Found, NONE};
use super::super::history::History;
use super::super::joined::JoinedView;
use super::super::{Shared, TrainingError};
use crate::error::OfflineError;

/// The events of the label's entity that were read, the latest first. `instant` is the label's.
pub(in super::super) fn explain(
    index: usize,
    shared: &Shared,
    joined: &JoinedView,
    instant: Timestamp,
) -> Result<ViewExplanation, TrainingError> {
    let history: &History = &shared.histories[index];
    let view = history.view();
    let rules = shared.request.rules(&view.view);
    let keys = joined.keys();
    let aggregates = shared.request.plan.stored[index].view.view.aggregates.as_ref();
    let plan = aggregates.map(|aggregates| Plan::new(aggregates));
    let columns = aggregates.map_or(0, |aggregates| aggregates.columns.len());
    let times = view.view.join_keys().count();
    let behind = times + TIME_COLUMNS.len();
    let values = view.signature.outputs.len();
    let wanted: Vec<usize> =
        (0..behind).chain((0..values).map(|value| behind + HISTORY_COLUMNS.len() + value)).collect();
    let mut rows = Vec::new();
    for unit in history.units() {
        let written = history.written(&unit);
        let superseded = shared.superseded[index].of(history.path_of(&unit));
        for group in unit.row_groups() {
            let mut first = history.first_row(&unit, group);
            for batch in history.read_group(&unit, group, &wanted, shared.request.options.batch_rows)? {
                let batch = batch?;
                let encoder = KeyEncoder::new(keys.join_keys(), &batch.columns()[..times])
                    .map_err(|source| TrainingError::Key { view: view.view.id(), source })?;
                let mut found = Found::default();
                keys.groups.find(&encoder, &mut found);
                let time = |column: usize| batch.column(times + column).as_primitive::<TimestampMicrosecondType>();
                let (events, created, published) = (time(0), time(1), time(2));
                let sequences = batch.column(times + 3).as_primitive::<Int64Type>();
                let looked_at = plan.as_ref().map(|plan| {
                    let none = |data_type: DataType| new_null_array(&data_type.to_arrow(), batch.num_rows());
                    plan.events(
                        &batch.columns()[behind..behind + columns],
                        events.clone(),
                        none(DataType::Timestamp).as_primitive::<TimestampMicrosecondType>().clone(),
                        none(DataType::Int64).as_primitive::<Int64Type>().clone(),
                    )
                });
                let looked_at = looked_at.transpose().map_err(|error| OfflineError::Task(error.to_string()))?;
                let retracted = view.signature.outputs.iter().position(|output| output.name == RETRACTED);
                let retracted = retracted.and_then(|place| batch.column(behind + place).as_boolean_opt());
                for (row, _) in found.groups.iter().enumerate().filter(|(_, group)| **group != NONE) {
                    if events.is_null(row) {
                        continue;
                    }
                    let at = first + row as u64;
                    let event_time = Timestamp(events.value(row));
                    let value = |column: &arrow_array::TimestampMicrosecondArray| {
                        column.is_valid(row).then(|| Timestamp(column.value(row)))
                    };
                    let since = superseded.and_then(|rows| rows.get(&at)).copied();
                    let times = RowTimes {
                        created_time: value(created),
                        published_time: value(published).unwrap_or(written),
                        corrected_time: None,
                        retracted_time: None,
                        superseded_time: since,
                        superseded_published_time: since,
                    };
                    let by = if rules.publish_delay.is_some() { KnownBy::Created } else { rules.known_by };
                    let until = times.until(by);
                    let happened = rules.happened_from(event_time);
                    let there = rules.there_from(event_time, times.created_time, times.published_time);
                    let inside = || {
                        let mut windows = plan.iter().flat_map(|plan| {
                            (0..plan.windows())
                                .map(move |window| (plan.window(window), plan.spans().of(plan.window(window), instant)))
                        });
                        // Where a session begins the others decide.
                        windows.any(|(window, span)| {
                            matches!(window, Window::Session(_)) || span.is_some_and(|span| span.first <= event_time)
                        })
                    };
                    let verdict = if happened.is_none_or(|happened| happened > instant) {
                        Verdict::Future
                    } else if let Some(there) = there.filter(|there| *there > instant) {
                        Verdict::NotKnown(there)
                    } else if let Some(until) = until.filter(|until| *until <= instant) {
                        Verdict::Ended(until)
                    } else if retracted.is_some_and(|column| column.is_valid(row) && column.value(row)) {
                        Verdict::Retraction
                    } else if looked_at.as_ref().is_some_and(|events| !events.counts(row)) {
                        Verdict::Filtered
                    } else if inside() {
                        Verdict::Counted
                    } else {
                        Verdict::OutsideWindows
                    };
                    rows.push(Candidate {
                        origin: history.origin_of(&unit),
                        row: at,
                        event_time,
                        created_time: times.created_time,
                        published_time: times.published_time,
                        sequence: sequences.is_valid(row).then(|| sequences.value(row)),
                        until,
                        verdict,
                    });
                }
                first += batch.num_rows() as u64;
            }
        }
    }
    rows.sort_by(|a, b| {
        let key = |row: &Candidate| (row.event_time, row.created_time, row.sequence, row.origin.clone(), row.row);
        key(b).cmp(&key(a))
    });
    Ok(ViewExplanation {
        view: view.view.id(),
        as_of: rules.as_of,
        known_by: rules.known_by,
        ttl: None,
        status: if keys.slots[0].is_some() { Status::Present } else { Status::NotFound },
        has_key: keys.slots[0].is_some(),
        rows,
    })
}
