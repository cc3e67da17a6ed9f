//! Which columns of the source a view needs, and the columns of its feature rows and of its quarantine.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_schema::{DataType as ArrowType, Field, Schema, SchemaRef};
use tandem_core::model::{BoundView, InputSource, Source, ViewSource};
use tandem_core::types::{
    CORRECTED_TIME, DataType, HISTORY_COLUMNS, RETRACTED_TIME, SUPERSEDED_TIME, TIME_COLUMNS, VALID_TO,
    timestamp_arrow_type,
};

use crate::error::OfflineError;

/// Prefix of the inputs among the columns of the quarantine; a dot is in no name, so it collides with nothing.
pub(crate) const INPUT_PREFIX: &str = "input.";

/// Columns of the quarantine behind keys, times and inputs.
pub(crate) const QUARANTINE_COLUMNS: [&str; 3] = ["source_file", "source_row", "error"];

/// A column of the source and what reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NeededColumn {
    pub(crate) name: String,
    /// For messages: "input `amount` and join key `user_id`".
    pub(crate) needed_by: String,
    /// Whether files may lack it; it then counts as null.
    pub(crate) optional: bool,
}

/// Columns of published rows that a view over them reads beside those that its definition names: from when on and until when a row counts.
pub(crate) const UPSTREAM_HISTORY: [&str; 3] = [CORRECTED_TIME, RETRACTED_TIME, SUPERSEDED_TIME];

/// The columns of `source` that `view` reads, each once, in the order: keys, times, inputs, those of the contract alone, history.
pub(crate) fn needed_columns(view: &BoundView, source: &Source) -> Vec<NeededColumn> {
    let definition = &view.view;
    let noun = input_noun(view);
    let keys = definition
        .join_keys()
        .map(|key| (definition.key_column(&key.name).to_owned(), format!("join key `{}`", key.name)));
    let times = [
        (Some(&source.event_time), "the event time"),
        (source.valid_to.as_ref(), "the end of validity"),
        (source.created_time.as_ref(), "the created time"),
        (source.sequence.as_ref(), "the sequence"),
        (source.retracted.as_ref(), "the retraction"),
    ];
    let times = times.into_iter().filter_map(|(column, what)| Some((column?.clone(), what.to_owned())));
    let inputs = view.signature.inputs.iter().filter_map(|input| match definition.input_source(&input.name) {
        InputSource::Column(column) => Some((column, format!("{noun} `{}`", input.name))),
        // Features of other views are inputs of on-demand views, which have no source.
        InputSource::AsOf | InputSource::Feature { .. } | InputSource::EventTime { .. } => None,
    });
    let mut needed: Vec<NeededColumn> = Vec::new();
    for (name, by) in keys.chain(times).chain(inputs) {
        match needed.iter_mut().find(|column| column.name == name) {
            Some(column) => column.needed_by = format!("{} and {by}", column.needed_by),
            None => needed.push(NeededColumn { name, needed_by: by, optional: false }),
        }
    }
    for column in &source.contract.columns {
        let by = format!("the contract of source `{}`", source.name);
        match needed.iter_mut().find(|known| known.name == column.name) {
            Some(known) => known.needed_by = format!("{} and {by}", known.needed_by),
            None => needed.push(NeededColumn { name: column.name.clone(), needed_by: by, optional: false }),
        }
    }
    if let ViewSource::View(_) = &definition.source {
        needed.extend(UPSTREAM_HISTORY.map(|name| NeededColumn {
            name: name.to_owned(),
            needed_by: "the history of the rows".to_owned(),
            // Files of format version 1 have none.
            optional: true,
        }));
    }
    needed
}

/// The columns of `source` that tell versions of its events apart: id, created time, sequence, retraction. None where it has no ids.
pub(crate) fn version_columns(source: &Source) -> Option<Vec<NeededColumn>> {
    source.event_id.as_ref()?;
    let columns = [
        (&source.event_id, "the event id"),
        (&source.created_time, "the created time"),
        (&source.sequence, "the sequence"),
        (&source.retracted, "the retraction"),
    ];
    let needed = columns.into_iter().filter_map(|(name, what)| {
        Some(NeededColumn { name: name.clone()?, needed_by: what.to_owned(), optional: false })
    });
    let mut columns: Vec<NeededColumn> = Vec::new();
    for column in needed {
        if !columns.iter().any(|other| other.name == column.name) {
            columns.push(column);
        }
    }
    Some(columns)
}

/// What a column is that is neither key nor time: an input of the transform, or the feature itself.
pub(crate) fn input_noun(view: &BoundView) -> &'static str {
    if view.view.has_component() { "input" } else { "feature" }
}

/// A column that a source's files must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceColumn {
    /// Its name.
    pub name: String,
    /// The type as which it is read.
    pub data_type: DataType,
    /// For messages: "input `amount`".
    pub needed_by: String,
}

/// The columns of `source` that `view` reads, for each of its uses, in the order: keys, times, inputs. The partition column is left out: it
/// lies in the names of folders.
pub fn source_columns(view: &BoundView, source: &Source) -> Vec<SourceColumn> {
    let definition = &view.view;
    let noun = input_noun(view);
    let column = |name: &str, data_type, needed_by| SourceColumn { name: name.to_owned(), data_type, needed_by };
    let keys = definition
        .join_keys()
        .map(|key| column(definition.key_column(&key.name), key.data_type, format!("join key `{}`", key.name)));
    let times = [
        (Some(&source.event_time), DataType::Timestamp, "the event time"),
        (source.valid_to.as_ref(), DataType::Timestamp, "the end of validity"),
        (source.created_time.as_ref(), DataType::Timestamp, "the created time"),
        (source.sequence.as_ref(), DataType::Int64, "the sequence"),
        (source.retracted.as_ref(), DataType::Boolean, "the retraction"),
    ];
    let times = times.into_iter().filter_map(|(name, data_type, what)| Some(column(name?, data_type, what.to_owned())));
    let inputs = view.signature.inputs.iter().filter_map(|input| match definition.input_source(&input.name) {
        InputSource::Column(name) => Some(column(&name, input.data_type, format!("{noun} `{}`", input.name))),
        InputSource::AsOf | InputSource::Feature { .. } | InputSource::EventTime { .. } => None,
    });
    keys.chain(times).chain(inputs).filter(|column| Some(&column.name) != source.partition.as_ref()).collect()
}

/// The columns of published feature rows of `view`: join keys (nullable), `event_time` (`timestamp[us, UTC]`, never null), `created_time`
/// and `published_time` (the same type, nullable), `sequence` (int64, nullable), the history's ([`HISTORY_COLUMNS`]: the same type as the times, nullable),
/// then the features (nullable), and over a dimension `valid_to` (`timestamp[us, UTC]`, nullable).
pub fn feature_schema(view: &BoundView) -> SchemaRef {
    let mut fields = key_fields(view);
    fields.extend(time_fields(false));
    fields.extend(HISTORY_COLUMNS.map(|name| Field::new(name, timestamp_arrow_type(), true)));
    fields
        .extend(view.stored_fields().iter().map(|output| Field::new(&output.name, output.data_type.to_arrow(), true)));
    Arc::new(Schema::new(fields))
}

/// Where the columns of a feature row lie in [`feature_schema`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowColumns {
    /// Join keys, from the first column on.
    pub keys: usize,
    /// `event_time`; `created_time`, `published_time` and `sequence` follow.
    pub times: usize,
    /// The first of the history's columns.
    pub history: usize,
    /// The first feature.
    pub features: usize,
}

impl RowColumns {
    /// Those of `view`.
    pub fn of(view: &BoundView) -> Self {
        let keys = view.view.join_keys().count();
        let history = keys + TIME_COLUMNS.len();
        RowColumns { keys, times: keys, history, features: history + HISTORY_COLUMNS.len() }
    }
}

/// The columns of quarantined rows: join keys, times, every input as `input.NAME`, file, row and error.
pub(crate) fn quarantine_schema(view: &BoundView) -> SchemaRef {
    let mut fields = key_fields(view);
    fields.extend(time_fields(true));
    fields.extend(
        view.signature
            .inputs
            .iter()
            .map(|input| Field::new(format!("{INPUT_PREFIX}{}", input.name), input.data_type.to_arrow(), true)),
    );
    if view.view.source.has_valid_to() {
        fields.push(Field::new(VALID_TO, timestamp_arrow_type(), true));
    }
    let [file, row, error] = QUARANTINE_COLUMNS;
    fields.push(Field::new(file, ArrowType::Utf8, false));
    fields.push(Field::new(row, ArrowType::Int64, false));
    fields.push(Field::new(error, ArrowType::Utf8, false));
    Arc::new(Schema::new(fields))
}

/// Refuses a view whose output would have two columns of one name.
pub(crate) fn check_names(view: &BoundView) -> Result<(), OfflineError> {
    for (schema, of) in [(feature_schema(view), "feature rows"), (quarantine_schema(view), "quarantine")] {
        let mut seen = HashSet::new();
        if let Some(twice) = schema.fields().iter().find(|field| !seen.insert(field.name().clone())) {
            return Err(OfflineError::DuplicateColumn { column: twice.name().clone(), of });
        }
    }
    Ok(())
}

fn key_fields(view: &BoundView) -> Vec<Field> {
    view.view.join_keys().map(|key| Field::new(&key.name, key.data_type.to_arrow(), true)).collect()
}

fn time_fields(event_time_nullable: bool) -> [Field; 4] {
    [
        Field::new("event_time", timestamp_arrow_type(), event_time_nullable),
        Field::new("created_time", timestamp_arrow_type(), true),
        Field::new("published_time", timestamp_arrow_type(), true),
        Field::new("sequence", ArrowType::Int64, true),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn every_column_is_needed_once_and_says_by_whom() {
        let needed = needed_columns(&testing::view("unused"), &testing::source("unused"));
        let names: Vec<_> = needed.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["user", "at", "known_at", "offset", "amount", "date"]);
        assert_eq!(needed[0].needed_by, "join key `user_id`");
        assert_eq!(needed[4].needed_by, "input `amount`");
    }

    #[test]
    fn files_need_a_column_for_each_use_but_that_of_the_partition() {
        let columns = source_columns(&testing::view("unused"), &testing::source("unused"));
        let names: Vec<_> = columns.iter().map(|column| (column.name.as_str(), column.data_type)).collect();
        let expected = [
            ("user", DataType::Int64),
            ("at", DataType::Timestamp),
            ("known_at", DataType::Timestamp),
            ("offset", DataType::Int64),
            ("amount", DataType::Float64),
        ];
        assert_eq!(names, expected);
        assert_eq!(columns[0].needed_by, "join key `user_id`");
    }

    #[test]
    fn output_columns_do_not_collide() {
        let mut view = testing::view("unused");
        assert!(check_names(&view).is_ok());
        view.signature.outputs[0].name = "user_id".to_owned();
        let error = check_names(&view).unwrap_err();
        assert_eq!(error.to_string(), "`user_id` would name two columns of the view's feature rows");
    }
}
