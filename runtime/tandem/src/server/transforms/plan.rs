//! What a request may give a view's transform, and how the columns that it gives become the transform's inputs.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, TimestampMicrosecondArray, new_null_array};
use arrow_schema::SchemaRef;
use tandem_core::model::{BoundView, InputSource};
use tandem_core::time::Timestamp;
use tandem_core::types::{AS_OF, Field};

use crate::server::as_of;
use crate::server::body::Bounds;
use crate::server::limits;
use crate::server::problem::{Kind, Problem};

/// The inputs of a view's transform, and which columns a request may give for them.
#[derive(Debug)]
pub(in crate::server) struct InputPlan {
    /// Columns that a request may give: the inputs that are not bound to `as_of`, and at the end `as_of` itself.
    pub(super) given: Vec<Field>,
    /// For each input its column in `given`; those bound to `as_of` have the last.
    sources: Vec<usize>,
    inputs: Vec<Field>,
    schema: SchemaRef,
}

/// `as_of` of a request.
pub(super) enum AsOf {
    /// One for all rows.
    Instant(Timestamp),
    /// Each row's own.
    Column(ArrayRef),
}

impl InputPlan {
    pub(in crate::server) fn new(bound: &BoundView) -> Self {
        let inputs = bound.signature.inputs.clone();
        let is_as_of = |field: &Field| bound.view.input_source(&field.name) == InputSource::AsOf;
        let mut given: Vec<Field> = inputs.iter().filter(|field| !is_as_of(field)).cloned().collect();
        given.push(as_of::field());
        let mut next = 0;
        let sources = inputs
            .iter()
            .map(|field| {
                if is_as_of(field) {
                    return given.len() - 1;
                }
                next += 1;
                next - 1
            })
            .collect();
        InputPlan { given, sources, inputs, schema: bound.signature.input_schema() }
    }

    /// Names of the columns that a request may give, with `as_of` at the end.
    pub(super) fn names(&self) -> Vec<&str> {
        self.given.iter().map(|field| field.name.as_str()).collect()
    }

    /// The given columns without `as_of`.
    pub(super) fn columns(&self) -> &[Field] {
        &self.given[..self.given.len() - 1]
    }

    /// The problem of a column that is not there and must be.
    pub(super) fn missing(field: &Field) -> Problem {
        Problem::new(Kind::MissingInput, format!("the input `{}` ({}) is missing", field.name, field.data_type))
            .with("input", field.name.as_str())
            .hint("the input is not nullable")
    }

    /// A column that was not given: nulls where they may be.
    pub(super) fn absent(field: &Field, rows: usize) -> Result<ArrayRef, Problem> {
        if field.nullable { Ok(new_null_array(&field.data_type.to_arrow(), rows)) } else { Err(Self::missing(field)) }
    }

    /// As [`limits::check_vectors`], of the inputs.
    pub(super) fn check_vectors(&self, rows: usize, bounds: Bounds) -> Result<(), Problem> {
        limits::check_vectors(self.inputs.iter().map(|input| input.data_type), rows, bounds)
    }

    /// The transform's inputs from `columns`, which has one for each of [`InputPlan::columns`].
    pub(super) fn batch(&self, columns: Vec<ArrayRef>, as_of: &AsOf, rows: usize) -> Result<RecordBatch, Problem> {
        let mut columns = columns;
        columns.push(match as_of {
            AsOf::Instant(instant) => {
                Arc::new(TimestampMicrosecondArray::from_value(instant.0, rows).with_timezone("UTC"))
            }
            AsOf::Column(column) => Arc::clone(column),
        });
        let inputs = self.sources.iter().map(|source| Arc::clone(&columns[*source])).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), inputs, &options)
            .map_err(|error| Problem::internal("decoded inputs make no batch", &error))
    }

    /// The problem of an `as_of` for all rows beside one for each.
    pub(super) fn two_instants() -> Problem {
        Problem::new(Kind::InvalidRequest, "`as_of` is given for the whole request and for each row")
            .with("input", AS_OF)
            .hint("leave one of them out")
    }
}
