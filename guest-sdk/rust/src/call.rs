//! A transform as the runtime sees it, and how the two forms become one.

use crate::{
    contract::{Column, Outcome, Parameter, Signature},
    error::{CallError, RowError},
    failed_rows::FailedRows,
    input::{Input, InputColumns},
    output::{Output, OutputColumns},
};

/// A transform as the runtime sees it.
///
/// `#[transform] fn features` implements it for a type `features` beside the function; it is what
/// [`testing`](crate::testing) takes, and what the component exports.
pub trait Transform {
    /// Names, types and docs of what the transform takes and gives. Refuses wrong parameters.
    fn describe(parameters: &[Parameter]) -> Result<Signature, CallError>;

    /// Computes rows.
    fn apply(parameters: &[Parameter], rows: u32, inputs: &[Column]) -> Result<Outcome, CallError>;
}

/// What the everyday form may return: `Features` or `Result<Features, E>`.
#[diagnostic::on_unimplemented(
    message = "a transform cannot return `{Self}`",
    label = "neither an output row nor a `Result` of one",
    note = "a transform returns a struct with `#[derive(Output)]`, or a `Result` of one whose error is a `RowError` or \
            converts into it"
)]
pub trait RowResult {
    /// The output row.
    type Output: Output;

    /// The row, or why it has none.
    fn into_row(self) -> Result<Self::Output, RowError>;
}

impl<O: Output> RowResult for O {
    type Output = O;

    #[inline]
    fn into_row(self) -> Result<O, RowError> {
        Ok(self)
    }
}

impl<O: Output, E: Into<RowError>> RowResult for Result<O, E> {
    type Output = O;

    #[inline]
    fn into_row(self) -> Result<O, RowError> {
        self.map_err(Into::into)
    }
}

/// What the columnar form may return: `FeaturesColumns` or `(FeaturesColumns, FailedRows)`, or a `Result` of one.
#[diagnostic::on_unimplemented(
    message = "a columnar transform cannot return `{Self}`",
    label = "not output columns",
    note = "a columnar transform returns `FeaturesColumns` (made by `#[derive(Output)] struct Features`) or \
            `(FeaturesColumns, FailedRows)`, or a `Result` of one whose error is a `CallError` or converts into it"
)]
pub trait ColumnsResult {
    /// The output columns.
    type Columns: OutputColumns;

    /// The columns and the rows that failed, or why there are none.
    fn into_columns(self) -> Result<(Self::Columns, FailedRows), CallError>;
}

impl<C: OutputColumns> ColumnsResult for C {
    type Columns = C;

    fn into_columns(self) -> Result<(C, FailedRows), CallError> {
        Ok((self, FailedRows::new()))
    }
}

impl<C: OutputColumns> ColumnsResult for (C, FailedRows) {
    type Columns = C;

    fn into_columns(self) -> Result<(C, FailedRows), CallError> {
        Ok(self)
    }
}

impl<C: OutputColumns, E: Into<CallError>> ColumnsResult for Result<C, E> {
    type Columns = C;

    fn into_columns(self) -> Result<(C, FailedRows), CallError> {
        Ok((self.map_err(Into::into)?, FailedRows::new()))
    }
}

impl<C: OutputColumns, E: Into<CallError>> ColumnsResult for Result<(C, FailedRows), E> {
    type Columns = C;

    fn into_columns(self) -> Result<(C, FailedRows), CallError> {
        self.map_err(Into::into)
    }
}

/// What the runtime asks of a transform.
#[doc(hidden)]
pub trait Call<'a> {
    type Answer;

    fn rows<I: Input<'a>, R: RowResult>(self, transform: impl Fn(I) -> R) -> Self::Answer;
    fn columns<I: InputColumns<'a>, R: ColumnsResult>(self, transform: impl Fn(usize, I) -> R) -> Self::Answer;
}

/// Calls a function of the everyday form. `describe` and `apply` both come through here: two functions with these bounds would
/// have the compiler tell twice which type is wrong.
#[doc(hidden)]
pub fn rows<'a, I: Input<'a>, R: RowResult, C: Call<'a>>(call: C, transform: impl Fn(I) -> R) -> C::Answer {
    call.rows(transform)
}

/// Calls a function of the columnar form.
#[doc(hidden)]
pub fn columns<'a, I: InputColumns<'a>, R: ColumnsResult, C: Call<'a>>(
    call: C,
    transform: impl Fn(usize, I) -> R,
) -> C::Answer {
    call.columns(transform)
}

/// `describe`. The function is there for its types and is not called.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Describe {
    pub doc: &'static str,
}

impl<'a> Call<'a> for Describe {
    type Answer = Signature;

    fn rows<I: Input<'a>, R: RowResult>(self, _: impl Fn(I) -> R) -> Signature {
        signature::<I::Columns, <R::Output as Output>::Columns>(self.doc)
    }

    fn columns<I: InputColumns<'a>, R: ColumnsResult>(self, _: impl Fn(usize, I) -> R) -> Signature {
        signature::<I, R::Columns>(self.doc)
    }
}

/// `apply`.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Apply<'a> {
    pub rows: u32,
    pub inputs: &'a [Column],
}

impl<'a> Call<'a> for Apply<'a> {
    type Answer = Result<Outcome, CallError>;

    fn rows<I: Input<'a>, R: RowResult>(self, transform: impl Fn(I) -> R) -> Self::Answer {
        let rows = self.rows as usize;
        let inputs = I::Columns::from_columns(rows, self.inputs)?;
        let mut outputs = <R::Output as Output>::Columns::with_capacity(rows);
        let mut failed = FailedRows::new();
        for row in 0..rows {
            match transform(I::read(&inputs, row)).into_row() {
                Ok(output) => output.push(&mut outputs),
                Err(error) => {
                    outputs.push_empty();
                    failed.push(row, error);
                }
            }
        }
        outcome(rows, outputs, failed)
    }

    fn columns<I: InputColumns<'a>, R: ColumnsResult>(self, transform: impl Fn(usize, I) -> R) -> Self::Answer {
        let rows = self.rows as usize;
        let inputs = I::from_columns(rows, self.inputs)?;
        let (outputs, failed) = transform(rows, inputs).into_columns()?;
        outcome(rows, outputs, failed)
    }
}

fn signature<'a, I: InputColumns<'a>, O: OutputColumns>(doc: &str) -> Signature {
    Signature { inputs: I::fields(), outputs: O::fields(), doc: doc.to_owned() }
}

fn outcome(rows: usize, outputs: impl OutputColumns, failed: FailedRows) -> Result<Outcome, CallError> {
    Ok(Outcome { columns: outputs.into_columns(rows)?, failed_rows: failed.into_failures(rows)? })
}
