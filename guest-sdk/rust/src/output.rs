//! What a transform gives: types of the fields of an output row, and the traits that `#[derive(Output)]` implements.

use crate::{
    Timestamp,
    columns::{BinaryColumn, NullableColumn, OutputColumn, SequenceColumn, StringColumn, StringSequenceColumn},
    contract::{Column, Field},
    error::CallError,
    views::Strings,
};

/// The features of a row in the everyday form. Derived: `#[derive(Output)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an output row",
    label = "not an output row",
    note = "write `#[derive(Output)]` above the struct of the features that the transform gives"
)]
pub trait Output: Sized {
    /// The columns of these rows.
    type Columns: OutputColumns;

    /// Adds the row to the columns.
    fn push(self, columns: &mut Self::Columns);
}

/// The features of all rows in the columnar form. `#[derive(Output)]` on `Features` gives `FeaturesColumns`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a struct of output columns",
    label = "not output columns",
    note = "`#[derive(Output)] struct Features` gives `FeaturesColumns`"
)]
pub trait OutputColumns: Sized {
    /// Names, types and docs of the columns.
    fn fields() -> Vec<Field>;

    /// Columns without rows, with room for this many.
    fn with_capacity(rows: usize) -> Self;

    /// Adds a row without values, for one that failed.
    fn push_empty(&mut self);

    /// The columns in the contract's layout; says which does not have this many rows.
    fn into_columns(self, rows: usize) -> Result<Vec<Column>, CallError>;
}

/// The type of a field of an output row that is never null.
#[diagnostic::on_unimplemented(
    message = "an output cannot be a `{Self}`",
    label = "not the type of an output",
    note = "an output is a `bool`, `i64`, `f64`, `Timestamp`, `String`, `&str`, `Vec<u8>`, `&[u8]`, `[f32; N]` (a \
            vector), `Vec<i64>`, `&[i64]`, `Vec<f64>`, `&[f64]`, `Vec<String>` or `Strings<'_>` (a sequence), or an \
            `Option` of one of these if it may be null"
)]
pub trait OutputType: Sized {
    /// The column of such values.
    type Column: OutputColumn;

    /// Adds a row of this value.
    fn push(self, column: &mut Self::Column);
}

/// The type of a field of an output row: an [`OutputType`], or an `Option` of one for an output that may be null.
#[diagnostic::on_unimplemented(
    message = "an output cannot be a `{Self}`",
    label = "not the type of an output",
    note = "an output is a `bool`, `i64`, `f64`, `Timestamp`, `String`, `&str`, `Vec<u8>`, `&[u8]`, `[f32; N]` (a \
            vector), `Vec<i64>`, `&[i64]`, `Vec<f64>`, `&[f64]`, `Vec<String>` or `Strings<'_>` (a sequence), or an \
            `Option` of one of these if it may be null"
)]
pub trait OutputValue: Sized {
    /// The column of such values.
    type Column: OutputColumn;

    /// Adds a row of this value.
    fn push(self, column: &mut Self::Column);
}

impl<T: OutputType> OutputValue for T {
    type Column = T::Column;

    #[inline]
    fn push(self, column: &mut Self::Column) {
        OutputType::push(self, column);
    }
}

impl<T: OutputType> OutputValue for Option<T> {
    type Column = NullableColumn<T::Column>;

    #[inline]
    fn push(self, column: &mut Self::Column) {
        column.push(self);
    }
}

macro_rules! output_type {
    ($type:ty, $column:ty, |$value:ident| $row:expr $(, const $n:ident)?) => {
        impl $(<const $n: usize>)? OutputType for $type {
            type Column = $column;

            #[inline]
            fn push(self, column: &mut Self::Column) {
                let $value = self;
                column.push($row);
            }
        }
    };
}

output_type!(bool, Vec<bool>, |value| value);
output_type!(i64, Vec<i64>, |value| value);
output_type!(f64, Vec<f64>, |value| value);
output_type!(Timestamp, Vec<Timestamp>, |value| value);
output_type!(&str, StringColumn, |value| value);
output_type!(String, StringColumn, |value| &value);
output_type!(&[u8], BinaryColumn, |value| value);
output_type!(Vec<u8>, BinaryColumn, |value| &value);
output_type!([f32; N], Vec<[f32; N]>, |value| value, const N);
output_type!(&[f32; N], Vec<[f32; N]>, |value| *value, const N);
output_type!(&[i64], SequenceColumn<i64>, |value| value.iter().copied());
output_type!(Vec<i64>, SequenceColumn<i64>, |value| value);
output_type!(&[f64], SequenceColumn<f64>, |value| value.iter().copied());
output_type!(Vec<f64>, SequenceColumn<f64>, |value| value);
output_type!(Strings<'_>, StringSequenceColumn, |value| value.iter());
output_type!(Vec<&str>, StringSequenceColumn, |value| value);
output_type!(Vec<String>, StringSequenceColumn, |value| value);

#[doc(hidden)]
pub fn field<T: OutputValue>(name: &str, doc: &str) -> Field {
    Field {
        name: name.to_owned(),
        data_type: T::Column::data_type(),
        nullable: T::Column::NULLABLE,
        doc: doc.to_owned(),
    }
}

#[doc(hidden)]
pub fn into_column(name: &str, rows: usize, column: impl OutputColumn) -> Result<Column, CallError> {
    let given = column.rows();
    if given != rows {
        return Err(CallError::new(format!("output `{name}`: {given} rows in the column, {rows} in the call")));
    }
    column.into_column().map_err(|error| error.on(format_args!("output `{name}`")))
}

#[doc(hidden)]
pub fn assert_value<T: OutputValue>() {}
