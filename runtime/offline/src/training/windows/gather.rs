//! The events of entities that may be seen at an instant that is asked for.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, UInt32Array};
use arrow_schema::{DataType as ArrowType, Field, Schema, SchemaRef};
use arrow_select::take::take;
use tandem_core::history::RowTimes;
use tandem_core::key::KeyEncoder;
use tandem_core::model::{BoundView, KnownBy};
use tandem_core::time::{CalendarUnit, Timestamp};
use tandem_core::types::{HISTORY_COLUMNS, RETRACTED, TIME_COLUMNS};
use tandem_core::window::{Plan, Precision, Window};

use super::super::TrainingError;
use super::super::groups::{Found, NONE};
use super::super::history::{Offered, Unit};
use super::asked::{Asked, EventsOf};
use super::runs::Run;
use crate::error::OfflineError;

/// Reads units of a source and keeps what may be seen.
pub(super) struct Gatherer<'a> {
    of: EventsOf<'a>,
    asked: Asked<'a>,
    columns: usize,
    orders_events: bool,
    /// How far back the longest window reaches; None if it has no end.
    reach: Option<i64>,
    /// Bytes that are held before they become a run of a file.
    bytes_max: u64,
    schema: SchemaRef,
    held: Vec<RecordBatch>,
    held_bytes: u64,
    gathered: Gathered,
    found: Found,
}

/// What one thread gathered.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) offered: Offered,
    /// Events by group.
    pub(super) counts: Vec<u32>,
    pub(super) runs: Vec<Run>,
}

impl<'a> Gatherer<'a> {
    pub(super) fn new(of: EventsOf<'a>, asked: Asked<'a>, plan: &Plan, columns: usize, bytes_max: u64) -> Self {
        let view = of.history.view();
        let mut fields = vec![
            Field::new("group", ArrowType::UInt32, false),
            Field::new("from", ArrowType::Int64, false),
            Field::new("until", ArrowType::Int64, true),
            time_field("event_time"),
        ];
        if plan.orders_events() {
            fields.extend([time_field("created_time"), Field::new("sequence", ArrowType::Int64, true)]);
        }
        let values = view.signature.outputs[..columns].iter();
        fields.extend(values.map(|output| output.to_arrow().with_nullable(true)));
        Gatherer {
            of,
            asked,
            columns,
            orders_events: plan.orders_events(),
            reach: reach(plan),
            bytes_max,
            schema: Arc::new(Schema::new(fields)),
            held: Vec::new(),
            held_bytes: 0,
            gathered: Gathered { counts: vec![0; asked.len()], ..Gathered::default() },
            found: Found::default(),
        }
    }

    /// Reads a unit. Blocking.
    pub(super) fn read(&mut self, unit: &Unit) -> Result<(), TrainingError> {
        let EventsOf { history, superseded, batch_rows, .. } = self.of;
        if !is_in_reach(history.day(unit)?, self.asked.span(), self.reach) {
            return Ok(());
        }
        self.gathered.offered.see_groups(self.asked.len());
        let view = Arc::clone(history.view());
        let times = view.view.join_keys().count();
        // Keys, times, values and the retraction; nothing of the history, which files of a source do not have.
        let behind = times + TIME_COLUMNS.len();
        let retracted = view.signature.outputs.iter().position(|output| output.name == RETRACTED);
        let values = (0..self.columns).chain(retracted);
        let wanted: Vec<usize> =
            (0..behind).chain(values.map(|value| behind + HISTORY_COLUMNS.len() + value)).collect();
        let superseded = superseded.of(history.path_of(unit));
        for group in unit.row_groups() {
            self.gathered.offered.row_groups += 1;
            let mut row = history.first_row(unit, group);
            let mut batches = history.read_group(unit, group, &wanted, batch_rows)?;
            for batch in batches.by_ref() {
                let batch = batch?;
                let rows = batch.num_rows() as u64;
                let since = |index: usize| superseded.and_then(|rows| rows.get(&(row + index as u64))).copied();
                let kept = self.keep(&view, unit, &batch, times, since)?;
                if let Some(kept) = kept {
                    self.hold(kept)?;
                }
                row += rows;
                self.gathered.offered.rows += rows;
            }
            self.gathered.offered.reasons += batches.set_aside();
        }
        self.gathered.offered.null_keys += std::mem::take(&mut self.found.null_keys);
        history.check_unit(unit)
    }

    /// What is kept of a batch.
    fn keep(
        &mut self,
        view: &BoundView,
        unit: &Unit,
        batch: &RecordBatch,
        times: usize,
        since: impl Fn(usize) -> Option<Timestamp>,
    ) -> Result<Option<RecordBatch>, TrainingError> {
        let time = |column: usize| batch.column(times + column).as_primitive::<TimestampMicrosecondType>();
        let (events, created, published) = (time(0), time(1), time(2));
        let encoder = KeyEncoder::new(self.asked.join_keys, &batch.columns()[..times])
            .map_err(|source| TrainingError::Key { view: view.view.id(), source })?;
        self.asked.groups.find(&encoder, &mut self.found);
        let Offered { set_aside, null_created, .. } = &mut self.gathered.offered;
        let last_column =
            batch.columns().last().filter(|_| view.signature.outputs.last().is_some_and(|one| one.name == RETRACTED));
        let retracted = last_column.and_then(|column| column.as_boolean_opt());
        let is_retraction = |row: usize| retracted.is_some_and(|column| column.is_valid(row) && column.value(row));
        // Of a retraction nothing is looked at but its id and created time.
        *set_aside += (0..events.len()).filter(|row| events.is_null(*row) && !is_retraction(*row)).count() as u64;
        if view.view.source.has_created_time() {
            *null_created += created.null_count() as u64;
        }
        let written = self.of.history.written(unit);
        let rules = self.of.rules;
        let (mut indices, mut groups, mut from, mut until) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (index, group) in self.found.groups.iter().enumerate().filter(|(_, group)| **group != NONE) {
            if events.is_null(index) || is_retraction(index) {
                continue;
            }
            self.gathered.offered.see(*group);
            let event_time = Timestamp(events.value(index));
            let asked = self.asked.instants_of(*group);
            let (Some(first), Some(last)) = (asked.first(), asked.last()) else { continue };
            if self.reach.is_some_and(|reach| event_time.0 < first.0.saturating_sub(reach)) {
                continue;
            }
            let value = |column: &arrow_array::TimestampMicrosecondArray| {
                column.is_valid(index).then(|| Timestamp(column.value(index)))
            };
            let superseded_time = since(index);
            let times = RowTimes {
                created_time: value(created),
                published_time: value(published).unwrap_or(written),
                corrected_time: None,
                retracted_time: None,
                superseded_time,
                superseded_published_time: superseded_time,
            };
            let there = rules.there_from(event_time, times.created_time, times.published_time);
            let Some(there) = there.filter(|there| there <= last) else { continue };
            let ends_by = if rules.publish_delay.is_some() { KnownBy::Created } else { rules.known_by };
            indices.push(index as u32);
            groups.push(*group);
            from.push(there.0);
            until.push(times.until(ends_by).map(|until| until.0));
            self.gathered.counts[*group as usize] += 1;
        }
        if indices.is_empty() {
            return Ok(None);
        }
        let indices = UInt32Array::from(indices);
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(UInt32Array::from(groups)),
            Arc::new(Int64Array::from(from)),
            Arc::new(Int64Array::from(until)),
        ];
        let sequences = batch.column(times + 3);
        debug_assert!(sequences.as_primitive_opt::<Int64Type>().is_some());
        let mut taken = vec![batch.column(times)];
        if self.orders_events {
            taken.extend([batch.column(times + 1), sequences]);
        }
        let behind = times + TIME_COLUMNS.len();
        taken.extend(&batch.columns()[behind..behind + self.columns]);
        let arrow = |error: arrow_schema::ArrowError| TrainingError::from(OfflineError::DataFusion(error.into()));
        for column in taken {
            columns.push(take(column, &indices, None).map_err(arrow)?);
        }
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map(Some).map_err(arrow)
    }

    fn hold(&mut self, batch: RecordBatch) -> Result<(), TrainingError> {
        self.held_bytes += batch.get_array_memory_size() as u64;
        self.held.push(batch);
        // Sorting takes as much again.
        if self.held_bytes > self.bytes_max / 2 {
            let run = Run::file(std::mem::take(&mut self.held), &self.schema)?;
            self.gathered.runs.push(run);
            self.held_bytes = 0;
        }
        Ok(())
    }

    /// The rest as a run in memory.
    pub(super) fn finish(mut self) -> Result<Gathered, TrainingError> {
        if !self.held.is_empty() {
            self.gathered.runs.push(Run::memory(self.held, &self.schema)?);
        }
        Ok(self.gathered)
    }
}

fn time_field(name: &str) -> Field {
    Field::new(name, tandem_core::types::timestamp_arrow_type(), true)
}

/// Whether the events of a day (its first instant, and the next one's) may be seen at an instant between two.
pub(super) fn is_in_reach(
    day: Option<(Timestamp, Timestamp)>,
    span: Option<(Timestamp, Timestamp)>,
    reach: Option<i64>,
) -> bool {
    let Some((first, last)) = span else { return false };
    let reached = reach.map_or(Timestamp::MIN, |reach| Timestamp(first.0.saturating_sub(reach)));
    day.is_none_or(|(start, end)| start <= last && end >= reached)
}

/// How far before an instant its windows reach, in microseconds, or a little further; None where there is no end to it.
pub(super) fn reach(plan: &Plan) -> Option<i64> {
    const HOUR: i64 = 3_600_000_000;
    let hop = match plan.spans().precision {
        Precision::Exact => 0,
        Precision::Tiled { hop } => i64::try_from(hop.as_micros()).ok()?,
    };
    let reaches = (0..plan.windows()).map(|window| match plan.window(window) {
        Window::Lifetime | Window::Session(_) => None,
        Window::Sliding(length) => i64::try_from(length.as_micros()).ok()?.checked_add(hop),
        // Clocks that are set back make it longer.
        Window::Calendar(unit) => Some(match unit {
            CalendarUnit::Day => 50 * HOUR,
            CalendarUnit::Week => 8 * 24 * HOUR,
            CalendarUnit::Month => 33 * 24 * HOUR,
            CalendarUnit::Year => 368 * 24 * HOUR,
        }),
    });
    reaches.collect::<Option<Vec<i64>>>()?.into_iter().max()
}
