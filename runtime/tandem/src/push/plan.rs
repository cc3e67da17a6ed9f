//! What a push into a view may give, and how the columns that it gives become rows of the view.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, StringArray, TimestampMicrosecondArray,
    new_empty_array,
};
use arrow_select::filter::{filter, filter_record_batch};
use tandem_core::canonical::{RowEncoder, schema_fingerprint};
use tandem_core::key::KeyEncoder;
use tandem_core::model::{BoundView, ColumnContract, InputSource, JoinKey, OnError, Source};
use tandem_core::status::{is_never_valid, too_far_in_future};
use tandem_core::time::{Day, Duration, Timestamp, Zone};
use tandem_core::types::{CREATED_TIME, DataType, EVENT_ID, EVENT_TIME, Field, RETRACTED, SEQUENCE, VALID_TO};
use tandem_offline::{broken_rows, source_columns};
use tandem_online::{Record, Row, StoreOptions, WindowView};

use super::{PushError, Reason, Refused};

/// A view that rows can be pushed into.
#[derive(Debug)]
pub struct PushPlan {
    view: Arc<BoundView>,
    source: Arc<Source>,
    zone: Zone,
    /// What a push may give, each once: the source's columns that the view reads.
    columns: Vec<Field>,
    /// Other names of columns: join keys, times and features by the names that they have in the view.
    aliases: Vec<(String, usize)>,
    keys: Vec<usize>,
    event_time: usize,
    created_time: Option<usize>,
    sequence: Option<usize>,
    valid_to: Option<usize>,
    inputs: Vec<Input>,
    required: Vec<bool>,
    event_id: Option<usize>,
    retracted: Option<usize>,
    /// What the source's contract promises of columns.
    promised: Vec<(usize, ColumnContract)>,
    /// Of a view of aggregates, how the events are kept; what is pushed is events, as the view of columns that they are.
    windows: Option<Arc<WindowView>>,
}

#[derive(Debug, Clone, Copy)]
enum Input {
    Column(usize),
    EventTime,
    /// The day of the event time, as the source's folders name it.
    Day,
}

/// Rows as they were given: a column for each of [`PushPlan::columns`], in its canonical type, all of one length.
#[derive(Debug)]
pub struct Given {
    /// The columns; a value that was refused is null.
    pub columns: Vec<ArrayRef>,
    /// Rows of which a value was refused: the column, and why.
    pub refused: BTreeMap<usize, (usize, String)>,
    /// How many rows.
    pub rows: usize,
}

/// Rows that may be stored once their features are known.
#[derive(Debug)]
pub struct Rows {
    /// Positions in the request of the rows that are left.
    pub(super) kept: Vec<usize>,
    pub(super) refused: BTreeMap<usize, Refused>,
    /// What is in the way of rows whatever they hold; the others of the future may follow.
    columns: Vec<ArrayRef>,
    /// The inputs of the transform, or of a view of columns its features.
    pub(super) inputs: RecordBatch,
}

impl PushPlan {
    /// # Errors
    ///
    /// [`PushError::NotPushable`].
    pub fn new(view: &Arc<BoundView>) -> Result<PushPlan, PushError> {
        let windows = WindowView::new(view);
        let events = view.events().map(Arc::new);
        let view = events.as_ref().unwrap_or(view);
        let definition = &view.view;
        let refuse = |reason: &str, hint: &'static str| {
            Err(PushError::NotPushable { view: definition.id(), reason: reason.to_owned(), hint })
        };
        let Some(source) = definition.source.files() else {
            return match definition.is_stored() {
                true => refuse("its rows are those of another view", "push into the view that it reads"),
                false => refuse("it is computed on demand", "push into the stored views that it reads"),
            };
        };
        if source.query.is_some() {
            return refuse(
                "its source is a SQL query, which is for batch alone",
                "push into a view over the query's tables",
            );
        }
        // Events of a view of aggregates have theirs among their columns.
        if source.event_id.is_some() {
            let hint =
                "write the rows into the source (`tandem import`), then run `tandem batch` and `tandem materialize`";
            return refuse("its source has event ids, and corrections of events come with the source's files", hint);
        }
        let mut columns: Vec<Field> = Vec::new();
        for column in source_columns(view, source) {
            match columns.iter().find(|other| other.name == column.name) {
                Some(other) if other.data_type != column.data_type => {
                    let reason = format!(
                        "its column `{}` is read as {} and as {}",
                        other.name, other.data_type, column.data_type
                    );
                    return refuse(&reason, "read the column as one type");
                }
                Some(_) => {}
                None => {
                    columns.push(Field { doc: column.needed_by, ..Field::new(column.name, column.data_type, true) })
                }
            }
        }
        let mut promised = Vec::new();
        // The partition lies in the names of folders, and follows from the event time.
        for contract in source.contract.columns.iter().filter(|column| Some(&column.name) != source.partition.as_ref())
        {
            let (name, data_type) = (&contract.name, contract.data_type);
            let Some(column) = columns.iter().position(|column| column.name == *name) else {
                // The view does not read it: it may be left out.
                let doc = "column of the source's contract".to_owned();
                columns.push(Field { doc, ..Field::new(name.clone(), data_type, true) });
                promised.push((columns.len() - 1, ColumnContract { nullable: true, ..contract.clone() }));
                continue;
            };
            let read = columns[column].data_type;
            let none = new_empty_array(&read.to_arrow());
            if broken_rows(contract, name, &none, source.timezone.as_deref()).is_err() {
                let reason =
                    format!("its column `{name}` is read as {read}, and the contract of its source says {data_type}");
                return refuse(&reason, "promise the type as which the view reads the column");
            }
            promised.push((column, contract.clone()));
        }
        let find = |name: &str| columns.iter().position(|column| column.name == name);
        let place = |name: &str| find(name).ok_or_else(|| PushError::Defect(format!("no column `{name}`")));
        let optional = |name: &Option<String>| name.as_deref().and_then(find);
        // A column of days lies in the names of folders, and follows from the event time.
        let is_day = |name: &str| Some(name) == source.partition.as_deref();
        let mut keys = Vec::new();
        for key in definition.join_keys() {
            let name = definition.key_column(&key.name);
            if is_day(name) {
                return refuse("the source's partition is one of its keys", "key the view by columns of the files");
            }
            keys.push(place(name)?);
        }
        let event_time = place(&source.event_time)?;
        let (created_time, sequence) = (optional(&source.created_time), optional(&source.sequence));
        let valid_to = optional(&source.valid_to);
        let mut inputs = Vec::new();
        let mut required = vec![false; columns.len()];
        keys.iter().chain([&event_time]).for_each(|column| required[*column] = true);
        let mut aliases: Vec<(String, usize)> = Vec::new();
        for input in &view.signature.inputs {
            inputs.push(match definition.input_source(&input.name) {
                InputSource::Column(name) if is_day(&name) => Input::Day,
                InputSource::Column(name) => {
                    let column = place(&name)?;
                    required[column] |= !input.nullable;
                    aliases.push((input.name.clone(), column));
                    Input::Column(column)
                }
                InputSource::AsOf => Input::EventTime,
                InputSource::Feature { .. } | InputSource::EventTime { .. } => {
                    return refuse("it reads other views", "push into the views that it reads");
                }
            });
        }
        aliases.extend(definition.join_keys().zip(&keys).map(|(key, column)| (key.name.clone(), *column)));
        for (name, column) in
            [(EVENT_TIME, Some(event_time)), (CREATED_TIME, created_time), (SEQUENCE, sequence), (VALID_TO, valid_to)]
        {
            aliases.extend(column.map(|column| (name.to_owned(), column)));
        }
        aliases.retain(|(name, _)| find(name).is_none() && name != EVENT_ID && name != RETRACTED);
        aliases.sort();
        aliases.dedup_by(|a, b| a.0 == b.0);
        let zone = source.timezone.as_deref().map_or_else(|| Ok(Zone::utc()), Zone::parse);
        let zone = zone.map_err(|error| PushError::Defect(error.to_string()))?;
        let of_input = |name: &str| {
            let input = view.signature.inputs.iter().position(|input| input.name == name)?;
            match inputs[input] {
                Input::Column(column) => Some(column),
                Input::EventTime | Input::Day => None,
            }
        };
        let (event_id, retracted) = (of_input(EVENT_ID), of_input(RETRACTED));
        for (column, doc) in [(event_id, "the event id"), (retracted, "the retraction")] {
            column.into_iter().for_each(|column| doc.clone_into(&mut columns[column].doc));
        }
        Ok(PushPlan {
            event_id,
            retracted,
            promised,
            view: Arc::clone(view),
            source: Arc::clone(source),
            zone,
            keys,
            event_time,
            created_time,
            sequence,
            valid_to,
            inputs,
            required,
            aliases,
            columns,
            windows,
        })
    }

    /// Of a view of aggregates, how its events are kept.
    pub fn windows(&self) -> Option<&Arc<WindowView>> {
        self.windows.as_ref()
    }

    /// The view; of a view of aggregates that of its events.
    pub fn view(&self) -> &Arc<BoundView> {
        &self.view
    }

    /// What a push may give: nullable fields, whose docs say what reads them.
    pub fn columns(&self) -> &[Field] {
        &self.columns
    }

    /// Names under which columns may be given beside their own, with their positions.
    pub fn aliases(&self) -> &[(String, usize)] {
        &self.aliases
    }

    /// Whether the column must be given.
    pub fn is_required(&self, column: usize) -> bool {
        self.required[column]
    }

    /// The column with the event time.
    pub fn event_time(&self) -> usize {
        self.event_time
    }

    /// The column with the event's id, if the source names one: as text it may be given as an integer.
    pub fn event_id(&self) -> Option<usize> {
        self.event_id
    }

    /// The column with the created time, if the source has one.
    pub fn created_time(&self) -> Option<usize> {
        self.created_time
    }

    /// What becomes of a push with a row that breaks the contract of the source.
    pub fn on_violation(&self) -> OnError {
        self.source.contract.on_violation
    }

    /// The zone in which timestamps without one are read, if the source says one.
    pub fn timezone(&self) -> Option<&str> {
        self.source.timezone.as_deref()
    }

    /// Which rows may be stored, by what they hold themselves, and what the transform takes of them.
    pub(super) fn bind(&self, given: Given, now: Timestamp, max_future: Duration) -> Result<Rows, PushError> {
        let Given { columns, refused, rows } = given;
        let mut refused = self.refused(&columns, refused)?;
        let mut refuse = |row, reason, message: &str| {
            refused.entry(row).or_insert_with(|| Refused { reason, message: message.to_owned() });
        };
        let join_keys: Vec<JoinKey> = self.view.view.join_keys().cloned().collect();
        let keys: Vec<ArrayRef> = self.keys.iter().map(|column| Arc::clone(&columns[*column])).collect();
        let encoder = KeyEncoder::new(&join_keys, &keys).map_err(|error| PushError::Defect(error.to_string()))?;
        let times = columns[self.event_time].as_primitive::<TimestampMicrosecondType>();
        let created_times = self.created_time.map(|column| columns[column].as_primitive::<TimestampMicrosecondType>());
        let ends = self.valid_to.map(|column| columns[column].as_primitive::<TimestampMicrosecondType>());
        let retracted = self.retracted.and_then(|column| columns[column].as_boolean_opt());
        let takes_back_nothing = |row: usize| {
            retracted.is_some_and(|column| column.is_valid(row) && column.value(row))
                && self.event_id.is_none_or(|column| columns[column].is_null(row))
        };
        let mut key = Vec::new();
        let mut days = Vec::with_capacity(if self.has_days() { rows } else { 0 });
        for row in 0..rows {
            key.clear();
            let at = |times: &TimestampMicrosecondArray| times.is_valid(row).then(|| Timestamp(times.value(row)));
            let (time, created, end) = (at(times), created_times.and_then(at), ends.and_then(at));
            let is_ahead = |time: Option<Timestamp>| time.is_some_and(|time| too_far_in_future(time, now, max_future));
            let ahead = [("event", time), ("created", created)].into_iter().find(|(_, time)| is_ahead(*time));
            let day = time.and_then(|time| Day::of_local(time, &self.zone).ok());
            match time {
                None => refuse(row, Reason::NullEventTime, "the event time is null"),
                // Stored, it would stand in the place of what is known, and be known to nobody itself.
                Some(_) if let Some((kind, Some(time))) = ahead => {
                    let message = format!(
                        "the {kind} time {time} lies in the future: it is {now}, and max_future is {max_future}"
                    );
                    refuse(row, Reason::Future, &message);
                }
                Some(time) if is_never_valid(time, end) => {
                    refuse(row, Reason::NeverValid, "the row ends where it begins, or before");
                }
                Some(time) if self.source.partition.is_some() && day.is_none() => {
                    refuse(
                        row,
                        Reason::InvalidValue,
                        &format!("the event time {time} has no day in the source's time zone"),
                    );
                }
                Some(_) if takes_back_nothing(row) => {
                    refuse(row, Reason::InvalidValue, "it takes an event back, and has no event id");
                }
                Some(_) if !encoder.encode_into(row, &mut key) => {
                    refuse(row, Reason::NullKey, "a key is null or NaN, and matches nothing");
                }
                Some(_) => {}
            }
            if self.has_days() {
                days.push(day.map(|day| day.to_string()));
            }
        }
        let days: ArrayRef = Arc::new(days.into_iter().collect::<StringArray>());
        let inputs = self.inputs.iter().map(|input| match input {
            Input::Column(column) => Arc::clone(&columns[*column]),
            Input::EventTime => Arc::clone(&columns[self.event_time]),
            Input::Day => Arc::clone(&days),
        });
        let arrow = |error: arrow_schema::ArrowError| PushError::Defect(error.to_string());
        // Nulls in inputs that take none are the engine's to refuse; the schema of the batch says that there may be some.
        let fields =
            self.view.signature.inputs.iter().map(|input| Field { nullable: true, ..input.clone() }.to_arrow());
        let schema = Arc::new(arrow_schema::Schema::new(fields.collect::<Vec<_>>()));
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let inputs = RecordBatch::try_new_with_options(schema, inputs.collect(), &options).map_err(arrow)?;
        let kept: Vec<usize> = (0..rows).filter(|row| !refused.contains_key(row)).collect();
        if kept.len() == rows {
            return Ok(Rows { kept, refused, columns, inputs });
        }
        let mask: BooleanArray = (0..rows).map(|row| Some(!refused.contains_key(&row))).collect();
        let columns = columns.iter().map(|column| filter(column, &mask)).collect::<Result<_, _>>().map_err(arrow)?;
        Ok(Rows { kept, refused, columns, inputs: filter_record_batch(&inputs, &mask).map_err(arrow)? })
    }

    /// Rows with a value that was refused, or that breaks the contract of the source: that comes first, whatever else is wrong with a row.
    fn refused(
        &self,
        columns: &[ArrayRef],
        given: BTreeMap<usize, (usize, String)>,
    ) -> Result<BTreeMap<usize, Refused>, PushError> {
        let retracted = self.retracted.and_then(|column| columns[column].as_boolean_opt());
        // What takes an event back has no values.
        let is_held = |row: usize| retracted.is_none_or(|column| column.is_null(row) || !column.value(row));
        let contract = |why: &str| format!("the contract of source `{}`: {why}", self.source.name);
        let is_promised = |column: &usize| self.promised.iter().any(|(promised, _)| promised == column);
        let mut refused = BTreeMap::new();
        for (row, (column, message)) in given {
            let one = match is_promised(&column) && is_held(row) {
                true => Refused { reason: Reason::Contract, message: contract(&message) },
                false => Refused { reason: Reason::InvalidValue, message },
            };
            refused.insert(row, one);
        }
        for (column, promised) in &self.promised {
            let broken = broken_rows(promised, &promised.name, &columns[*column], self.timezone());
            for (row, why) in broken.map_err(|error| PushError::Defect(error.to_string()))? {
                // What was refused is null here, and told by what it was.
                let is_told = refused.get(&row).is_some_and(|one: &Refused| one.reason == Reason::Contract);
                if is_held(row) && !is_told {
                    refused.insert(row, Refused { reason: Reason::Contract, message: contract(&why) });
                }
            }
        }
        Ok(refused)
    }

    fn has_days(&self) -> bool {
        self.source.partition.is_some()
    }

    /// The rows as they are stored, each with its position in the request; `failures` are those of the transform, by their positions among the kept rows.
    /// Published times are not known yet.
    pub(super) fn rows(
        &self,
        rows: &mut Rows,
        outputs: &RecordBatch,
        failures: &BTreeMap<usize, String>,
        limits: &StoreOptions,
    ) -> Result<Vec<(usize, Row)>, PushError> {
        let Rows { kept, refused, columns, .. } = rows;
        let defect = |error: &dyn std::fmt::Display| PushError::Defect(error.to_string());
        let join_keys: Vec<JoinKey> = self.view.view.join_keys().cloned().collect();
        let keys: Vec<ArrayRef> = self.keys.iter().map(|column| Arc::clone(&columns[*column])).collect();
        let keys = KeyEncoder::new(&join_keys, &keys).map_err(|error| defect(&error))?;
        let mut values = outputs.columns().to_vec();
        values.extend(self.valid_to.map(|column| Arc::clone(&columns[column])));
        let values = RowEncoder::new(&values).map_err(|error| defect(&error))?;
        let time = |column: usize| columns[column].as_primitive::<TimestampMicrosecondType>();
        let event_times = time(self.event_time);
        let created_times = self.created_time.map(time);
        let sequences = self.sequence.map(|column| columns[column].as_primitive::<Int64Type>());
        let fingerprint = schema_fingerprint(&self.view.stored_fields());
        let mut stored = Vec::with_capacity(kept.len());
        for (index, row) in kept.iter().enumerate() {
            if let Some(message) = failures.get(&index) {
                refused.insert(*row, Refused { reason: Reason::TransformError, message: message.clone() });
                continue;
            }
            let (mut key, mut bytes) = (Vec::new(), Vec::new());
            keys.encode_into(index, &mut key);
            values.encode(index, &mut bytes);
            let sizes = [
                ("its entity key has", key.len(), "key_bytes_max", limits.key_bytes_max),
                ("its values have", bytes.len(), "row_bytes_max", limits.row_bytes_max),
            ];
            if let Some((what, size, limit, max)) = sizes.into_iter().find(|(_, size, _, max)| size > max) {
                let message = format!("{what} {size} bytes; {limit} is {max}");
                refused.insert(*row, Refused { reason: Reason::TooLarge, message });
                continue;
            }
            let record = Record {
                event_time: Timestamp(event_times.value(index)),
                created_time: created_times
                    .and_then(|times| times.is_valid(index).then(|| Timestamp(times.value(index)))),
                sequence: sequences.and_then(|array| array.is_valid(index).then(|| array.value(index))),
                published_time: Timestamp::MIN,
                digest: self.view.digest,
                schema_fingerprint: fingerprint,
                row: bytes,
            };
            stored.push((*row, Row { key, record }));
        }
        Ok(stored)
    }
}

/// Whether a type is a timestamp's.
pub fn is_timestamp(field: &Field) -> bool {
    field.data_type == DataType::Timestamp
}
