//! Record batches through a transform; rows at fault isolated.

use std::sync::{Arc, Weak};

use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array};
use arrow_schema::{Field as ArrowField, Schema, SchemaRef};
use arrow_select::concat::concat;
use arrow_select::filter::filter_record_batch;
use arrow_select::take::take;
use tandem_core::hash::Digest;
use tandem_core::limits::TransformLimits;
use tandem_core::types::{DataType, Signature};

use crate::call::CallError;
use crate::component::{Component, LoweredParameters};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::instance::Instance;
use crate::lift::lift;
use crate::lower::{LoweredColumn, lower};
use crate::reuse::ReuseOptions;
use crate::signature;

/// A component with its parameters: the function from input columns to features. Cheap to clone.
#[derive(Clone)]
pub struct Transform {
    shared: Arc<Bound>,
}

struct Bound {
    component: Component,
    parameters: Arc<LoweredParameters>,
    signature: Signature,
    output_schema: SchemaRef,
    limits: TransformLimits,
}

/// A row without a value, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFailure {
    /// Index in the batch that was given.
    pub row: usize,
    /// Why: the author's message, or what the runtime found.
    pub message: String,
    /// Whose fault it is.
    pub fault: Fault,
}

/// Whose fault a failed row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The row's: the transform refused it and said why, or takes no null where it has one.
    Row,
    /// The transform's: a trap, a limit, a broken contract.
    Transform,
}

/// What comes of a batch.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The features, in the schema [`Transform::output_schema`], as many rows as were given; null where a row failed.
    pub outputs: RecordBatch,
    /// The rows that failed, by increasing row.
    pub failures: Vec<RowFailure>,
    /// Fuel used by the calls that succeeded, about one unit an instruction.
    pub fuel: u64,
}

impl Transform {
    pub(crate) fn new(
        component: Component,
        parameters: LoweredParameters,
        signature: Signature,
        limits: TransformLimits,
    ) -> Transform {
        // Nullable whatever the signature says: a failed row is null.
        let fields =
            signature.outputs.iter().map(|field| ArrowField::new(&field.name, field.data_type.to_arrow(), true));
        let output_schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let parameters = Arc::new(parameters);
        Transform { shared: Arc::new(Bound { component, parameters, signature, output_schema, limits }) }
    }

    /// The same function under other limits.
    pub(crate) fn limited(&self, limits: TransformLimits) -> Transform {
        let Bound { component, parameters, signature, output_schema, limits: _ } = &*self.shared;
        Transform {
            shared: Arc::new(Bound {
                component: component.clone(),
                parameters: Arc::clone(parameters),
                signature: signature.clone(),
                output_schema: Arc::clone(output_schema),
                limits,
            }),
        }
    }

    /// What it takes and gives.
    pub fn signature(&self) -> &Signature {
        &self.shared.signature
    }

    /// SHA-256 of the component.
    pub fn digest(&self) -> Digest {
        self.shared.component.digest()
    }

    /// What runs it: see [`crate::Engine::fingerprint`].
    pub fn fingerprint(&self) -> String {
        self.shared.component.shared.engine.fingerprint()
    }

    /// The features as Arrow has them, all nullable.
    pub fn output_schema(&self) -> SchemaRef {
        Arc::clone(&self.shared.output_schema)
    }

    /// The limits of its calls.
    pub fn limits(&self) -> &TransformLimits {
        &self.shared.limits
    }

    /// A fresh instance, to ask it for its signature more than once.
    pub(crate) fn instance(&self) -> Result<Described<'_>, EngineError> {
        Ok(Described {
            bound: &self.shared,
            instance: Instance::new(&self.shared.component.shared, &self.shared.limits)?,
        })
    }

    /// What tells it from every other.
    pub(crate) fn identity(&self) -> Identity {
        Identity(Arc::downgrade(&self.shared))
    }

    /// The engine that runs it.
    pub(crate) fn engine(&self) -> &Engine {
        &self.shared.component.shared.engine
    }

    /// As [`Transform::apply`], in an instance that waits for a call, where one does; it waits again afterwards, within the bounds.
    pub(crate) fn apply_reusing(&self, inputs: &RecordBatch, bounds: ReuseOptions) -> Result<Outcome, EngineError> {
        let waiting = self.engine().waiting();
        let mut session = Session { transform: self.clone(), instance: waiting.take(self) };
        let outcome = session.apply(inputs);
        // There only if its last call succeeded.
        let again = |instance: &Instance| {
            instance.calls() < bounds.calls_max && instance.memory_bytes() <= bounds.memory_bytes_max
        };
        if let Some(instance) = session.instance.take().filter(again) {
            waiting.put(self, instance);
        }
        outcome
    }

    /// A session: its instance lives from call to call. One partition at most should go through it.
    pub fn session(&self) -> Session {
        Session { transform: self.clone(), instance: None }
    }

    /// One batch through a fresh instance. Blocking.
    ///
    /// # Errors
    ///
    /// See [`Session::apply`].
    pub fn apply(&self, inputs: &RecordBatch) -> Result<Outcome, EngineError> {
        self.session().apply(inputs)
    }
}

/// A transform's identity, which does not keep it alive.
pub(crate) struct Identity(Weak<Bound>);

impl Identity {
    /// Whether it is this one's.
    pub(crate) fn is(&self, transform: &Transform) -> bool {
        std::ptr::eq(self.0.as_ptr(), Arc::as_ptr(&transform.shared))
    }
}

/// An instance that is asked for its signature.
pub(crate) struct Described<'a> {
    bound: &'a Bound,
    instance: Instance,
}

impl Described<'_> {
    /// The signature, as at binding.
    pub(crate) fn describe(&mut self) -> Result<Signature, EngineError> {
        let limits = &self.bound.limits;
        let described =
            self.instance.describe(&self.bound.parameters.borrow(), limits).map_err(EngineError::Describe)?;
        signature::lift(described, limits)
    }

    /// A call whose answer nobody needs; whether it fails does not matter.
    pub(crate) fn apply(mut self, inputs: &RecordBatch) -> Result<Option<Self>, EngineError> {
        let columns = lower_all(self.bound, inputs)?;
        let columns: Vec<_> = columns.iter().map(LoweredColumn::borrow).collect();
        let (parameters, limits) = (self.bound.parameters.borrow(), &self.bound.limits);
        let done = self.instance.apply(&parameters, inputs.num_rows() as u32, &columns, limits);
        Ok(done.is_ok().then_some(self))
    }
}

fn lower_all(bound: &Bound, inputs: &RecordBatch) -> Result<Vec<LoweredColumn>, EngineError> {
    std::iter::zip(&bound.signature.inputs, inputs.columns()).map(|(field, array)| lower(field, array)).collect()
}

/// Calls that may share an instance.
pub struct Session {
    transform: Transform,
    instance: Option<Instance>,
}

impl Session {
    /// One batch: a column for each input of the signature, by position, in its canonical Arrow type. Blocking.
    ///
    /// A call that fails is divided until the rows at fault stand alone; they come back as failures, the others with their values. So does a
    /// row that is null where the signature takes no null.
    ///
    /// # Errors
    ///
    /// Columns that are not the signature's, more rows at fault than `failed_rows_max`, no instance to be had. No row is at fault then.
    pub fn apply(&mut self, inputs: &RecordBatch) -> Result<Outcome, EngineError> {
        self.check(inputs)?;
        let (kept, refused) = self.refuse_nulls(inputs)?;
        let Some(kept) = kept else {
            return self.divide(inputs);
        };
        // Rows that were refused are not shown to the transform; the others keep their order.
        let outcome = self.divide(&filter_record_batch(inputs, &kept).map_err(arrow_error)?)?;
        let mut position = 0;
        let indices: UInt32Array = kept
            .values()
            .iter()
            .map(|kept| {
                position += u32::from(kept);
                kept.then(|| position - 1)
            })
            .collect();
        let rows: Vec<usize> = kept.values().set_indices().collect();
        let columns = outcome.outputs.columns().iter().map(|column| take(column, &indices, None).map_err(arrow_error));
        let outputs = self.batch(columns.collect::<Result<_, _>>()?, inputs.num_rows())?;
        let failures = outcome.failures.into_iter().map(|failure| RowFailure { row: rows[failure.row], ..failure });
        let mut failures: Vec<_> = failures.chain(refused).collect();
        failures.sort_by_key(|failure| failure.row);
        Ok(Outcome { outputs, failures, fuel: outcome.fuel })
    }

    /// As [`Session::apply`], but with one call at most: None where anything is wrong with it, be it a row's fault or not.
    pub(crate) fn apply_once(&mut self, inputs: &RecordBatch) -> Option<Outcome> {
        self.check(inputs).ok()?;
        let (kept, _) = self.refuse_nulls(inputs).ok()?;
        if kept.is_some() {
            return None;
        }
        let (columns, failures, fuel) = self.call(inputs).ok()?.ok()?;
        Some(Outcome { outputs: self.batch(columns, inputs.num_rows()).ok()?, failures, fuel })
    }

    fn check(&self, inputs: &RecordBatch) -> Result<(), EngineError> {
        let fields = &self.transform.signature().inputs;
        if inputs.num_columns() != fields.len() {
            return Err(EngineError::Inputs(format!(
                "the signature has {} inputs, {} columns were given",
                fields.len(),
                inputs.num_columns()
            )));
        }
        if u32::try_from(inputs.num_rows()).is_err() {
            return Err(EngineError::Inputs(format!("{} rows in one batch", inputs.num_rows())));
        }
        for (field, array) in std::iter::zip(fields, inputs.columns()) {
            if DataType::from_arrow(array.data_type()) != Some(field.data_type) {
                return Err(EngineError::Inputs(format!(
                    "input `{}` is a {}, the column has Arrow's {}",
                    field.name,
                    field.data_type,
                    array.data_type()
                )));
            }
        }
        Ok(())
    }

    /// The rows without a null where none may be, if any has one, and a failure for each of the others.
    fn refuse_nulls(&self, inputs: &RecordBatch) -> Result<(Option<BooleanArray>, Vec<RowFailure>), EngineError> {
        let required: Vec<_> = std::iter::zip(&self.transform.signature().inputs, inputs.columns())
            .filter(|(field, array)| !field.nullable && array.null_count() > 0)
            .collect();
        if required.is_empty() {
            return Ok((None, Vec::new()));
        }
        let mut failures = Vec::new();
        let kept: Vec<bool> = (0..inputs.num_rows())
            .map(|row| match required.iter().find(|(_, array)| array.is_null(row)) {
                None => true,
                Some((field, _)) => {
                    let message = format!("input `{}` is null, and the transform takes no null there", field.name);
                    failures.push(RowFailure { row, message, fault: Fault::Row });
                    false
                }
            })
            .collect();
        Ok((Some(BooleanArray::from(kept)), failures))
    }

    fn divide(&mut self, inputs: &RecordBatch) -> Result<Outcome, EngineError> {
        let mut division = Division { pieces: Vec::new(), failures: Vec::new(), isolated: 0, fuel: 0 };
        if inputs.num_rows() > 0 {
            self.divide_from(inputs, 0, &mut division)?;
        }
        let Division { mut pieces, failures, fuel, .. } = division;
        let columns = match pieces.len() {
            0 => self.null_columns(0),
            1 => pieces.swap_remove(0),
            _ => (0..self.transform.signature().outputs.len())
                .map(|column| {
                    let parts: Vec<&dyn Array> = pieces.iter().map(|piece| &*piece[column]).collect();
                    concat(&parts).map_err(arrow_error)
                })
                .collect::<Result<_, _>>()?,
        };
        Ok(Outcome { outputs: self.batch(columns, inputs.num_rows())?, failures, fuel })
    }

    fn divide_from(&mut self, inputs: &RecordBatch, first: usize, division: &mut Division) -> Result<(), EngineError> {
        let rows = inputs.num_rows();
        let used = self.instance.is_some();
        let mut called = self.call(inputs)?;
        if rows == 1 && used && called.is_err() {
            // Whether a row fails may depend on nothing but the row: what the instance went through before has no say.
            called = self.call(inputs)?;
        }
        let error = match called {
            Ok((columns, failures, fuel)) => {
                division.pieces.push(columns);
                division
                    .failures
                    .extend(failures.into_iter().map(|failure| RowFailure { row: first + failure.row, ..failure }));
                division.fuel += fuel;
                return Ok(());
            }
            Err(error) => error,
        };
        if rows > 1 {
            let half = rows / 2;
            self.divide_from(&inputs.slice(0, half), first, division)?;
            return self.divide_from(&inputs.slice(half, rows - half), first + half, division);
        }
        let fault = if matches!(error, CallError::Failure(_)) { Fault::Row } else { Fault::Transform };
        division.failures.push(RowFailure { row: first, message: error.to_string(), fault });
        division.isolated += 1;
        let max = self.transform.limits().failed_rows_max;
        if division.isolated > max {
            let failures = std::mem::take(&mut division.failures);
            return Err(EngineError::TooManyFailures { failures, max });
        }
        division.pieces.push(self.null_columns(1));
        Ok(())
    }

    /// One call. The outer error is nobody's row's.
    #[allow(clippy::type_complexity, reason = "columns, failed rows and fuel of one call")]
    fn call(
        &mut self,
        inputs: &RecordBatch,
    ) -> Result<Result<(Vec<ArrayRef>, Vec<RowFailure>, u64), CallError>, EngineError> {
        let bound = &*self.transform.shared;
        let rows = inputs.num_rows();
        let lowered = lower_all(bound, inputs)?;
        let columns: Vec<_> = lowered.iter().map(LoweredColumn::borrow).collect();
        // Taken out: only an instance whose call succeeded is put back.
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => Instance::new(&bound.component.shared, &bound.limits)?,
        };
        let result = instance.apply(&bound.parameters.borrow(), rows as u32, &columns, &bound.limits).and_then(
            |(outcome, fuel)| {
                let (columns, failures) = lift(outcome, &bound.signature.outputs, rows, &bound.limits)?;
                Ok((columns, failures, fuel))
            },
        );
        if result.is_ok() {
            self.instance = Some(instance);
        }
        Ok(result)
    }

    fn null_columns(&self, rows: usize) -> Vec<ArrayRef> {
        let fields = &self.transform.shared.output_schema.fields;
        fields.iter().map(|field| new_null_array(field.data_type(), rows)).collect()
    }

    fn batch(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, EngineError> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.transform.output_schema(), columns, &options).map_err(arrow_error)
    }
}

struct Division {
    pieces: Vec<Vec<ArrayRef>>,
    failures: Vec<RowFailure>,
    isolated: u64,
    fuel: u64,
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn arrow_error(error: arrow_schema::ArrowError) -> EngineError {
    EngineError::Arrow(error.to_string())
}
