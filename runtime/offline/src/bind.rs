//! A batch of source rows to a batch of feature rows: columns converted and bound to inputs, one call into the transform, rows at fault
//! set aside.

mod aside;
mod function;
mod rows;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, TimestampMicrosecondArray, UInt32Array, new_null_array};
use arrow_schema::{Field, Schema, SchemaRef};
use arrow_select::filter::filter_record_batch;
use arrow_select::nullif::nullif;
use arrow_select::take::take;
use datafusion::error::DataFusionError;
use tandem_core::model::{BoundView, ColumnContract, InputSource, OnError, Source, ViewSource};
use tandem_core::time::{Timestamp, Zone};
use tandem_core::types::{DataType, EVENT_ID, HISTORY_COLUMNS, RETRACTED, TIME_COLUMNS, is_of_source};
use tandem_engine::convert::{ConvertError, to_declared, to_event_id};
use tandem_engine::{EngineError, Outcome};

pub(crate) use aside::SetAside;
use aside::{Reject, Rejects, take_back};
pub(crate) use function::{RowFunction, RowSession};
use rows::{arrow, is_null_or_nan, keep, one_nan, record_batch};

use crate::columns::{QUARANTINE_COLUMNS, UPSTREAM_HISTORY, feature_schema, quarantine_schema};
use crate::direct::aligned_schema;
use crate::error::OfflineError;
use crate::footers::CheckedPartition;
use crate::inputs::InputBatch;
use crate::promised::{broken_rows, convert_values};
use crate::report::RowCounts;
use crate::rerun::standing;

/// How the columns of one partition's scan become inputs and feature rows.
pub(crate) struct Binding {
    view: Arc<BoundView>,
    source: Arc<Source>,
    checked: Arc<CheckedPartition>,
    /// Keys, event time, created time, published time, sequence, inputs, and the end of validity where there is one: what a row is before its features
    /// are known. Behind them, of a view over published rows, the history of those, or of a source the retraction.
    bound: Vec<BoundColumn>,
    bound_schema: SchemaRef,
    feature_schema: SchemaRef,
    quarantine_schema: SchemaRef,
    keys: usize,
    /// Start of the partition's day (included) and of the next (excluded), in microseconds.
    day: Option<(i64, i64)>,
    event_time_max: i64,
    /// The published time of its rows.
    published: Timestamp,
    /// Rows of the partition that a later version of their event stands in the place of, and since when.
    superseded: Arc<Superseded>,
    /// The columns of the source's contract.
    promised: Vec<(ColumnSource, ColumnContract)>,
}

/// Rows of a partition that are superseded, by their number, and since when.
pub(crate) type Superseded = HashMap<u64, Timestamp>;

struct BoundColumn {
    from: ColumnSource,
    data_type: DataType,
    /// Whether it is the id of an event.
    is_id: bool,
}

impl BoundColumn {
    fn new(from: ColumnSource, data_type: DataType) -> Self {
        BoundColumn { from, data_type, is_id: false }
    }
}

enum ColumnSource {
    /// Position and name in the scan.
    Scan(usize, String),
    /// The converted event time.
    EventTime,
    /// No such column: all null.
    Absent,
}

/// The published time among a row's times.
const PUBLISHED: usize = 2;

/// What came of one batch.
pub(crate) struct Computed {
    /// Published rows, in order.
    pub(crate) features: RecordBatch,
    /// Rows set aside, in order.
    pub(crate) quarantine: Option<RecordBatch>,
    pub(crate) rows: RowCounts,
}

impl Binding {
    /// `source` is what `checked` is a partition of; `event_time_max`: rows with a later event time are set aside; `published`: the published
    /// time of all others.
    pub(crate) fn new(
        view: Arc<BoundView>,
        source: Arc<Source>,
        checked: Arc<CheckedPartition>,
        event_time_max: Timestamp,
        published: Timestamp,
        superseded: Arc<Superseded>,
    ) -> Result<Self, OfflineError> {
        let definition = &view.view;
        let scan = |column: &str| {
            let names = checked.file_schema.fields().iter().map(|field| field.name().as_str());
            let position =
                names.chain(checked.hive.iter().map(|(name, _)| name.as_str())).position(|name| name == column);
            // Every column that is asked for here was found by the check of the footers.
            position.map_or(ColumnSource::Absent, |position| ColumnSource::Scan(position, column.to_owned()))
        };
        let optional = |column: &Option<String>| column.as_deref().map_or(ColumnSource::Absent, scan);
        let mut bound: Vec<BoundColumn> = definition
            .join_keys()
            .map(|key| BoundColumn::new(scan(definition.key_column(&key.name)), key.data_type))
            .collect();
        let keys = bound.len();
        bound.push(BoundColumn::new(scan(&source.event_time), DataType::Timestamp));
        bound.push(BoundColumn::new(optional(&source.created_time), DataType::Timestamp));
        bound.push(BoundColumn::new(ColumnSource::Absent, DataType::Timestamp));
        bound.push(BoundColumn::new(optional(&source.sequence), DataType::Int64));
        bound.extend(view.signature.inputs.iter().map(|input| {
            let from = match definition.input_source(&input.name) {
                InputSource::Column(column) => scan(&column),
                InputSource::AsOf => ColumnSource::EventTime,
                // Inputs of on-demand views, which have no source.
                InputSource::Feature { .. } | InputSource::EventTime { .. } => ColumnSource::Absent,
            };
            BoundColumn { from, data_type: input.data_type, is_id: input.name == EVENT_ID }
        }));
        if source.valid_to.is_some() {
            bound.push(BoundColumn::new(optional(&source.valid_to), DataType::Timestamp));
        }
        let quarantine_schema = quarantine_schema(&view);
        let mut bound_fields = quarantine_schema.fields()[..bound.len()].to_vec();
        if let ViewSource::View(_) = &definition.source {
            for name in UPSTREAM_HISTORY {
                bound.push(BoundColumn::new(scan(name), DataType::Timestamp));
                bound_fields.push(Arc::new(Field::new(name, DataType::Timestamp.to_arrow(), true)));
            }
        }
        if let Some(column) = &source.retracted {
            bound.push(BoundColumn::new(scan(column), DataType::Boolean));
            bound_fields.push(Arc::new(Field::new(RETRACTED, DataType::Boolean.to_arrow(), true)));
        }
        let bound_schema = Arc::new(Schema::new(bound_fields));
        let day = match checked.partition.day {
            Some(day) => Some(local_day(day, source.timezone.as_deref())?),
            None => None,
        };
        let columns = source.contract.columns.iter();
        let promised = columns.map(|column| (scan(&column.name), column.clone())).collect();
        Ok(Binding {
            promised,
            feature_schema: feature_schema(&view),
            quarantine_schema,
            bound_schema,
            bound,
            keys,
            day,
            event_time_max: event_time_max.0,
            published,
            superseded,
            checked,
            source,
            view,
        })
    }

    pub(crate) fn feature_schema(&self) -> &SchemaRef {
        &self.feature_schema
    }

    pub(crate) fn quarantine_schema(&self) -> &SchemaRef {
        &self.quarantine_schema
    }

    /// The view's name and version, for EXPLAIN.
    pub(crate) fn name(&self) -> String {
        format!("{} v{}", self.view.view.name, self.view.view.version)
    }

    pub(crate) fn checked(&self) -> &CheckedPartition {
        &self.checked
    }

    /// Converts, calls and assembles. `batch` begins at row `first_row` of the partition and lies in one file. Blocking.
    pub(crate) fn compute(
        &self,
        session: &mut dyn RowSession,
        batch: &RecordBatch,
        first_row: u64,
    ) -> Result<Computed, OfflineError> {
        let (bound, mut rejects) = self.bind(batch, first_row)?;
        self.reject(&bound, &mut rejects);
        let taken_back =
            bound.column_by_name(RETRACTED).map(|column| take_back(column, &mut rejects)).unwrap_or_default();
        let is_kept = |row: usize| !rejects.contains_key(&row) && !taken_back.contains(&row);
        let mut kept_rows: Vec<usize> = (0..bound.num_rows()).filter(|row| is_kept(*row)).collect();
        let kept = keep(&bound, is_kept, rejects.is_empty() && taken_back.is_empty())?;
        let outcome = if kept.num_rows() == 0 {
            let outputs = RecordBatch::new_empty(self.view.signature.output_schema());
            Outcome { outputs, failures: Vec::new(), fuel: 0 }
        } else {
            session.apply(&self.inputs_of(&kept)?).map_err(|source| {
                let (file, row) = self.checked.locate(first_row);
                let partition = self.checked.partition.id.clone();
                OfflineError::Engine { partition, file: file.path.clone(), first_row: row, source: Box::new(source) }
            })?
        };
        let failed: BTreeMap<usize, String> =
            outcome.failures.into_iter().map(|failure| (failure.row, failure.message)).collect();
        rejects.extend(failed.iter().map(|(row, message)| (kept_rows[*row], Reject::Failed(message.clone()))));
        self.refuse(&rejects, bound.num_rows(), first_row)?;

        let kept = keep(&kept, |row| !failed.contains_key(&row), failed.is_empty())?;
        let mut at = 0..;
        kept_rows.retain(|_| at.next().is_some_and(|row| !failed.contains_key(&row)));
        let outputs = keep(&outcome.outputs, |row| !failed.contains_key(&row), failed.is_empty())?;
        let mut columns = kept.columns()[..self.keys + TIME_COLUMNS.len()].to_vec();
        columns[self.keys + PUBLISHED] = self.published_times(kept.num_rows(), |_| true);
        columns.extend(self.history(&kept, |row| first_row + kept_rows[row] as u64));
        columns.extend(outputs.columns().iter().cloned());
        columns.extend(kept.columns()[self.inputs_end()..self.stored_end()].iter().cloned());
        let features = record_batch(&self.feature_schema, columns, kept.num_rows())?;
        let rows = self.count(&features, &rejects, taken_back.len());
        Ok(Computed { features, quarantine: self.quarantine(&bound, &rejects, first_row)?, rows })
    }

    /// The published time where `there` holds, else null.
    fn published_times(&self, rows: usize, there: impl Fn(usize) -> bool) -> ArrayRef {
        let times = (0..rows).map(|row| there(row).then_some(self.published.0));
        Arc::new(times.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
    }

    /// The history of rows that are published first: what that of the rows says that they are computed from.
    fn history(&self, bound: &RecordBatch, place: impl Fn(usize) -> u64) -> [ArrayRef; HISTORY_COLUMNS.len()] {
        let rows = bound.num_rows();
        let none = || new_null_array(&DataType::Timestamp.to_arrow(), rows);
        let upstream = self.upstream_history(bound);
        let until = |row: usize| {
            let at = |column: &ArrayRef| {
                let times = column.as_primitive::<TimestampMicrosecondType>();
                times.is_valid(row).then(|| times.value(row))
            };
            match upstream {
                Some([_, retracted, superseded]) => at(retracted).into_iter().chain(at(superseded)).min(),
                None => self.superseded.get(&place(row)).map(|since| since.0),
            }
        };
        if upstream.is_none() && self.superseded.is_empty() {
            return std::array::from_fn(|_| none());
        }
        let until: TimestampMicrosecondArray = (0..rows).map(until).collect();
        let published = self.published_times(rows, |row| until.is_valid(row));
        let corrected = upstream.map_or_else(none, |[corrected, ..]| Arc::clone(corrected));
        [corrected, none(), Arc::new(until.with_timezone("UTC")), published]
    }

    /// Of a view over published rows: when they were corrected, retracted and superseded.
    fn upstream_history<'a>(&self, bound: &'a RecordBatch) -> Option<&'a [ArrayRef; UPSTREAM_HISTORY.len()]> {
        match &self.view.view.source {
            ViewSource::View(_) => {
                bound.columns()[self.quarantine_schema.fields().len() - QUARANTINE_COLUMNS.len()..].try_into().ok()
            }
            _ => None,
        }
    }

    /// The feature rows of a view of columns, for every row of the scan's columns: what is bound is what the view gives, or what a component makes of it
    /// where one makes the events. A row that is set aside has no event time. Blocking.
    pub(crate) fn aligned(
        &self,
        columns: Vec<ArrayRef>,
        rows: usize,
        first_row: u64,
    ) -> Result<(RecordBatch, SetAside), OfflineError> {
        let fields = columns.iter().map(|column| Field::new("", column.data_type().clone(), true));
        let scanned = record_batch(&Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns, rows)?;
        let (bound, mut rejects) = self.bind(&scanned, first_row)?;
        self.reject(&bound, &mut rejects);
        let place = |name: &str| self.view.signature.inputs.iter().position(|input| input.name == name);
        let bound_at = |place: usize| bound.column(self.keys + TIME_COLUMNS.len() + place);
        let taken_back = place(RETRACTED).map(|place| take_back(bound_at(place), &mut rejects)).unwrap_or_default();
        let mut columns = bound.columns().to_vec();
        if self.view.maps_events() {
            let events = self.events(&bound, &taken_back, &mut rejects, first_row)?;
            columns.splice(self.keys + TIME_COLUMNS.len().., events);
        }
        self.refuse(&rejects, rows, first_row)?;
        if !rejects.is_empty() {
            let rejected: BooleanArray = (0..rows).map(|row| Some(rejects.contains_key(&row))).collect();
            columns[self.keys] = nullif(&columns[self.keys], &rejected).map_err(arrow)?;
        }
        for (column, output) in columns[self.keys + TIME_COLUMNS.len()..].iter_mut().zip(&self.view.signature.outputs) {
            *column = one_nan(column, output)?;
        }
        let none = new_null_array(&DataType::Timestamp.to_arrow(), rows);
        let history = self.keys + TIME_COLUMNS.len();
        columns.splice(history..history, std::iter::repeat_n(none, HISTORY_COLUMNS.len()));
        let count = |is: fn(&Reject) -> bool| rejects.values().filter(|reject| is(reject)).count() as u64;
        let set_aside = SetAside {
            broken: count(|reject| matches!(reject, Reject::Contract(_))),
            failed: count(|reject| matches!(reject, Reject::Failed(_))),
        };
        Ok((record_batch(&aligned_schema(&self.view), columns, rows)?, set_aside))
    }

    /// What the view's component makes of the rows that are neither rejected nor retractions, null for the others; rows that it fails on are rejected. The
    /// event's id and its retraction are there of all.
    fn events(
        &self,
        bound: &RecordBatch,
        taken_back: &BTreeSet<usize>,
        rejects: &mut Rejects,
        first_row: u64,
    ) -> Result<Vec<ArrayRef>, OfflineError> {
        let is_kept = |row: usize| !rejects.contains_key(&row) && !taken_back.contains(&row);
        let kept_rows: Vec<usize> = (0..bound.num_rows()).filter(|row| is_kept(*row)).collect();
        let kept = keep(bound, is_kept, kept_rows.len() == bound.num_rows())?;
        let mapped = self.view.map_events(&self.inputs_of(&kept)?).map_err(|error| {
            let (file, row) = self.checked.locate(first_row);
            match error.0.downcast::<EngineError>() {
                Ok(source) => {
                    let partition = self.checked.partition.id.clone();
                    OfflineError::Engine { partition, file: file.path.clone(), first_row: row, source }
                }
                Err(error) => OfflineError::Task(error.to_string()),
            }
        })?;
        rejects.extend(mapped.failures.into_iter().map(|(row, message)| (kept_rows[row], Reject::Failed(message))));
        if kept_rows.len() == bound.num_rows() {
            return Ok(mapped.outputs);
        }
        let mut places = vec![None; bound.num_rows()];
        kept_rows.iter().enumerate().for_each(|(place, row)| places[*row] = Some(place as u32));
        let places = UInt32Array::from(places);
        let signature = &self.view.signature;
        let columns = mapped.outputs.iter().zip(&signature.outputs).map(|(column, output)| {
            let passed = Some(&output.name).filter(|name| is_of_source(name));
            let passed = passed.and_then(|name| signature.inputs.iter().position(|input| input.name == *name));
            match passed {
                Some(place) => Ok(Arc::clone(bound.column(self.keys + TIME_COLUMNS.len() + place))),
                None => take(column, &places, None).map_err(arrow),
            }
        });
        columns.collect()
    }

    /// What [`Binding::compute`] would give to the transform: inputs and event times of the rows that reach it and stand. Blocking.
    pub(crate) fn inputs(&self, batch: &RecordBatch, first_row: u64) -> Result<InputBatch, OfflineError> {
        let (bound, mut rejects) = self.bind(batch, first_row)?;
        self.reject(&bound, &mut rejects);
        let taken_back =
            bound.column_by_name(RETRACTED).map(|column| take_back(column, &mut rejects)).unwrap_or_default();
        let stands = |row: usize| !self.superseded.contains_key(&(first_row + row as u64));
        let is_kept = |row: usize| !rejects.contains_key(&row) && !taken_back.contains(&row) && stands(row);
        let mut kept = keep(&bound, is_kept, false)?;
        if let Some([_, retracted, superseded]) = self.upstream_history(&kept) {
            kept = filter_record_batch(&kept, &standing(retracted, superseded)).map_err(arrow)?;
        }
        let event_times = Arc::clone(kept.column(self.keys));
        Ok(InputBatch { inputs: self.inputs_of(&kept)?, event_times })
    }

    /// Behind the end of validity, where there is one.
    fn stored_end(&self) -> usize {
        self.inputs_end() + usize::from(self.source.valid_to.is_some())
    }

    fn inputs_end(&self) -> usize {
        self.keys + TIME_COLUMNS.len() + self.view.signature.inputs.len()
    }

    /// The inputs among the bound columns.
    fn inputs_of(&self, bound: &RecordBatch) -> Result<RecordBatch, OfflineError> {
        let inputs: Vec<usize> = (self.keys + TIME_COLUMNS.len()..self.inputs_end()).collect();
        bound.project(&inputs).map_err(arrow)
    }

    /// The rows that break the source's contract, where it has one.
    fn broken(&self, batch: &RecordBatch, first_row: u64) -> Result<Rejects, OfflineError> {
        let mut rejects = Rejects::new();
        for (from, column) in &self.promised {
            let ColumnSource::Scan(position, name) = from else { continue };
            let broken = broken_rows(column, name, batch.column(*position), self.source.timezone.as_deref());
            let broken = broken.map_err(|source| {
                let (file, _) = self.checked.locate(first_row);
                OfflineError::ContractType {
                    source_name: self.source.name.clone(),
                    file: file.path.clone(),
                    source: Box::new(source),
                }
            })?;
            for (row, why) in broken {
                rejects.entry(row).or_insert(Reject::Contract(why));
            }
        }
        Ok(rejects)
    }

    /// Every column in its declared type, all rows; a value that does not convert is null and its row among the rejects, if the view
    /// says that it may be set aside, or if it breaks the source's contract.
    fn bind(&self, batch: &RecordBatch, first_row: u64) -> Result<(RecordBatch, Rejects), OfflineError> {
        let event_time = self.keys;
        let mut rejects = self.broken(batch, first_row)?;
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.bound.len());
        for column in &self.bound {
            columns.push(match &column.from {
                ColumnSource::Scan(position, name) => {
                    self.convert(batch.column(*position), name, column, first_row, &mut rejects)?
                }
                ColumnSource::EventTime => Arc::clone(&columns[event_time]),
                ColumnSource::Absent => new_null_array(&column.data_type.to_arrow(), batch.num_rows()),
            });
        }
        Ok((record_batch(&self.bound_schema, columns, batch.num_rows())?, rejects))
    }

    fn convert(
        &self,
        array: &ArrayRef,
        name: &str,
        column: &BoundColumn,
        first_row: u64,
        rejects: &mut Rejects,
    ) -> Result<ArrayRef, OfflineError> {
        let to = |array: &ArrayRef| match column.is_id {
            true => to_event_id(array, name, column.data_type),
            false => to_declared(array, name, column.data_type, self.source.timezone.as_deref()),
        };
        let converted = convert_values(array, name, column.data_type, &to);
        let (values, lossy) = converted.map_err(|source| {
            let (file, _) = self.checked.locate(first_row);
            OfflineError::Convert { file: file.path.clone(), source }
        })?;
        for (row, value, reason) in lossy {
            if self.view.view.on_error == OnError::Fail && !rejects.contains_key(&row) {
                // The row counted in its file.
                let (file, row) = self.checked.locate(first_row + row as u64);
                let source = ConvertError::Value { column: name.to_owned(), row: row as usize, value, reason };
                return Err(OfflineError::Convert { file: file.path.clone(), source });
            }
            rejects.entry(row).or_insert_with(|| Reject::Failed(format!("column `{name}`: {value} {reason}")));
        }
        Ok(values)
    }

    fn count(&self, features: &RecordBatch, rejects: &Rejects, retractions: usize) -> RowCounts {
        let rows_out = features.num_rows();
        let event_times = features.column(self.keys).as_primitive::<TimestampMicrosecondType>().values();
        let misplaced =
            self.day.map_or(0, |(start, end)| event_times.iter().filter(|time| !(start..end).contains(time)).count());
        let null_created_times = match self.source.created_time {
            Some(_) => features.column(self.keys + 1).null_count(),
            None => 0,
        };
        let keys = &features.columns()[..self.keys];
        let null_keys = (0..rows_out).filter(|row| keys.iter().any(|key| is_null_or_nan(key, *row))).count();
        RowCounts {
            rows_in: (rows_out + rejects.len() + retractions) as u64,
            retractions: retractions as u64,
            rows_out: rows_out as u64,
            quarantined: rejects.len() as u64,
            quarantined_contract: rejects.values().filter(|reject| matches!(reject, Reject::Contract(_))).count()
                as u64,
            quarantined_future: rejects.values().filter(|reject| matches!(reject, Reject::Future(_))).count() as u64,
            // Known once the rows are put beside what is published.
            added: 0,
            retracted: 0,
            misplaced: misplaced as u64,
            null_created_times: null_created_times as u64,
            null_keys: null_keys as u64,
        }
    }
}

/// Start of the day (included) and of the next (excluded) on the clocks of `timezone`, in microseconds since the epoch.
pub(crate) fn local_day(day: tandem_core::time::Day, timezone: Option<&str>) -> Result<(i64, i64), OfflineError> {
    let external = |error| DataFusionError::External(Box::new(error));
    let zone = timezone.map_or_else(|| Ok(Zone::utc()), Zone::parse).map_err(external)?;
    let start = |day: tandem_core::time::Day| zone.local_time(day.start().0).map(|time| time.timestamp().0);
    Ok((start(day).map_err(external)?, start(day.next()).map_err(external)?))
}

#[cfg(test)]
mod tests {
    use tandem_core::time::Day;

    use super::*;

    #[test]
    fn a_day_has_the_hours_of_its_clocks() {
        const HOUR: i64 = 3_600_000_000;
        let length = |day: &str, zone| {
            let (start, end) = local_day(Day::parse(day).unwrap(), zone).unwrap();
            (start.rem_euclid(24 * HOUR) / HOUR, (end - start) / HOUR)
        };
        assert_eq!(length("2013-03-10", None), (0, 24));
        assert_eq!(length("2013-03-10", Some("America/New_York")), (5, 23));
        assert_eq!(length("2013-11-03", Some("America/New_York")), (4, 25));
        assert!(local_day(Day::parse("2013-03-10").unwrap(), Some("Europe/Atlantis")).is_err());
    }
}
