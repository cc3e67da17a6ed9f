//! The rows that are tried, and what each comes to alone in a fresh instance.

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use tandem_core::sample::{generate, vary};
use tandem_core::types::DataType;

use super::VerifyOptions;
use super::plan::{RowResult, results_of, taken};
use super::report::SampleRows;
use crate::error::EngineError;
use crate::transform::Transform;

/// Rows before they are computed: given ones, then generated ones.
pub(super) struct Gathered {
    pub(super) inputs: RecordBatch,
    pub(super) given: usize,
}

/// Given rows, and generated ones: from the signature, and where rows are given as many from those.
pub(super) fn gather(
    transform: &Transform,
    given: Option<&RecordBatch>,
    options: &VerifyOptions,
) -> Result<Gathered, EngineError> {
    let signature = transform.signature();
    let Some(given) = given.filter(|given| given.num_rows() > 0) else {
        let inputs = generate(signature, options.seed, options.generated_rows);
        return Ok(Gathered { inputs, given: 0 });
    };
    let fits = given.num_columns() == signature.inputs.len()
        && std::iter::zip(&signature.inputs, given.columns())
            .all(|(field, column)| DataType::from_arrow(column.data_type()) == Some(field.data_type));
    if !fits {
        return Err(EngineError::Inputs("sample rows need a column of its type for each input".to_owned()));
    }
    let given = given.slice(0, given.num_rows().min(options.given_rows_max));
    let varied = vary(signature, &given, options.seed, options.generated_rows / 2);
    let generated = generate(signature, options.seed, options.generated_rows - options.generated_rows / 2);
    let schema = generated.schema();
    let batches: Vec<RecordBatch> = [&given, &varied, &generated]
        .into_iter()
        .map(|batch| batch.clone().with_schema(schema.clone()))
        .collect::<Result<_, _>>()
        .map_err(|error| EngineError::Inputs(error.to_string()))?;
    let inputs = concat_batches(&schema, &batches).map_err(|error| EngineError::Arrow(error.to_string()))?;
    Ok(Gathered { inputs, given: given.num_rows() })
}

/// Rows, and what they come to.
pub(super) struct Sample {
    pub(super) inputs: RecordBatch,
    pub(super) given: usize,
    /// Of each row that was tried; rows beyond were left out.
    pub(super) alone: Vec<RowResult>,
}

impl Sample {
    /// Computes each row alone, in a fresh instance.
    pub(super) fn compute(
        transform: &Transform,
        gathered: Gathered,
        options: &VerifyOptions,
    ) -> Result<Sample, EngineError> {
        let Gathered { inputs, given } = gathered;
        let mut alone = Vec::new();
        let mut faulty = 0;
        for row in 0..inputs.num_rows() {
            if faulty > options.faulty_rows_max {
                break;
            }
            let result = compute_alone(transform, &inputs, row)?;
            faulty += usize::from(result.faulty);
            alone.push(result);
        }
        Ok(Sample { inputs, given, alone })
    }

    /// Rows whose call succeeds.
    pub(super) fn sound(&self) -> Vec<usize> {
        (0..self.alone.len()).filter(|row| !self.alone[*row].faulty).collect()
    }

    /// Rows whose call fails.
    pub(super) fn faulty(&self) -> Vec<usize> {
        (0..self.alone.len()).filter(|row| self.alone[*row].faulty).collect()
    }

    pub(super) fn counts(&self) -> SampleRows {
        let faulty = self.faulty().len();
        let failed = self.alone.iter().filter(|result| !result.faulty && result.failure.is_some()).count();
        SampleRows {
            given: self.given,
            generated: self.inputs.num_rows() - self.given,
            with_values: self.alone.len() - faulty - failed,
            failed,
            faulty,
            left_out: self.inputs.num_rows() - self.alone.len(),
        }
    }
}

/// What a row comes to alone, in a fresh instance.
pub(super) fn compute_alone(transform: &Transform, inputs: &RecordBatch, row: usize) -> Result<RowResult, EngineError> {
    let outcome = transform.apply(&taken(inputs, &[row])?)?;
    Ok(results_of(&outcome).remove(0))
}
