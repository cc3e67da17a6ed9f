//! What a transform takes: types of the fields of an input row, and the traits that `#[derive(Input)]` implements.

use crate::{
    Timestamp,
    contract::{Column, Field},
    error::CallError,
    views::{Binaries, Booleans, Nullable, Sequences, StringSequences, Strings, Timestamps, View},
};

/// The row of a transform in its everyday form. Derived: `#[derive(Input)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an input row",
    label = "not an input row",
    note = "write `#[derive(Input)]` above the struct of the rows that the transform takes"
)]
pub trait Input<'a>: Sized {
    /// The columns of these rows.
    type Columns: InputColumns<'a>;

    /// Reads a row. Panics beyond the last.
    fn read(columns: &Self::Columns, row: usize) -> Self;
}

/// The columns of a transform in its columnar form. `#[derive(Input)]` on `Transaction` gives `TransactionColumns<'a>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a struct of input columns",
    label = "not input columns",
    note = "`#[derive(Input)] struct Transaction` gives `TransactionColumns<'_>`; the everyday form, which takes a \
            row, is `#[transform]` without `columns`"
)]
pub trait InputColumns<'a>: Sized {
    /// Names, types and docs of the columns.
    fn fields() -> Vec<Field>;

    /// Views the columns of a call; says which is wrong and why.
    fn from_columns(rows: usize, columns: &'a [Column]) -> Result<Self, CallError>;
}

/// The type of a field of an input row that may not be null.
#[diagnostic::on_unimplemented(
    message = "an input cannot be a `{Self}`",
    label = "not the type of an input",
    note = "an input is a `bool`, `i64`, `f64`, `Timestamp`, `&str`, `String`, `&[u8]`, `Vec<u8>`, `[f32; N]` or \
            `&[f32; N]` (a vector), `&[i64]`, `Vec<i64>`, `&[f64]`, `Vec<f64>`, `Strings<'_>` or `Vec<String>` (a \
            sequence), or an `Option` of one of these if it may be null"
)]
pub trait InputType<'a>: Sized {
    /// The column of such values.
    type Column: View<'a>;

    /// The value of a row.
    fn from_item(item: <Self::Column as View<'a>>::Item) -> Self;
}

/// The type of a field of an input row: an [`InputType`], or an `Option` of one for an input that may be null.
#[diagnostic::on_unimplemented(
    message = "an input cannot be a `{Self}`",
    label = "not the type of an input",
    note = "an input is a `bool`, `i64`, `f64`, `Timestamp`, `&str`, `String`, `&[u8]`, `Vec<u8>`, `[f32; N]` or \
            `&[f32; N]` (a vector), `&[i64]`, `Vec<i64>`, `&[f64]`, `Vec<f64>`, `Strings<'_>` or `Vec<String>` (a \
            sequence), or an `Option` of one of these if it may be null"
)]
pub trait InputValue<'a>: Sized {
    /// The column of such values.
    type Column: View<'a>;

    /// The value of a row.
    fn from_item(item: <Self::Column as View<'a>>::Item) -> Self;
}

impl<'a, T: InputType<'a>> InputValue<'a> for T {
    type Column = T::Column;

    #[inline]
    fn from_item(item: <T::Column as View<'a>>::Item) -> Self {
        T::from_item(item)
    }
}

impl<'a, T: InputType<'a>> InputValue<'a> for Option<T> {
    type Column = Nullable<'a, T::Column>;

    #[inline]
    fn from_item(item: Option<<T::Column as View<'a>>::Item>) -> Self {
        item.map(T::from_item)
    }
}

macro_rules! input_type {
    ($type:ty, $column:ty, |$item:ident| $value:expr $(, const $n:ident)?) => {
        impl<'a $(, const $n: usize)?> InputType<'a> for $type {
            type Column = $column;

            #[inline]
            fn from_item($item: <$column as View<'a>>::Item) -> Self {
                $value
            }
        }
    };
}

input_type!(bool, Booleans<'a>, |item| item);
input_type!(i64, &'a [i64], |item| item);
input_type!(f64, &'a [f64], |item| item);
input_type!(Timestamp, Timestamps<'a>, |item| item);
input_type!(&'a str, Strings<'a>, |item| item);
input_type!(String, Strings<'a>, |item| item.to_owned());
input_type!(&'a [u8], Binaries<'a>, |item| item);
input_type!(Vec<u8>, Binaries<'a>, |item| item.to_vec());
input_type!([f32; N], &'a [[f32; N]], |item| *item, const N);
input_type!(&'a [f32; N], &'a [[f32; N]], |item| item, const N);
input_type!(&'a [i64], Sequences<'a, i64>, |item| item);
input_type!(Vec<i64>, Sequences<'a, i64>, |item| item.to_vec());
input_type!(&'a [f64], Sequences<'a, f64>, |item| item);
input_type!(Vec<f64>, Sequences<'a, f64>, |item| item.to_vec());
input_type!(Strings<'a>, StringSequences<'a>, |item| item);
input_type!(Vec<&'a str>, StringSequences<'a>, |item| item.iter().collect());
input_type!(Vec<String>, StringSequences<'a>, |item| item.iter().map(str::to_owned).collect());

/// Only a [`Timestamp`] may be called `as_of`.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "the input `as_of` is a `Timestamp`, not a `{Self}`",
    label = "must be `Timestamp`",
    note = "the runtime binds `as_of` to the instant for which a value is asked, and it is never null; give another \
            input another name, or rename its column with `#[tandem(name = \"...\")]`"
)]
pub trait AsOf {}

impl AsOf for Timestamp {}

/// The columns of a call, as the derived [`InputColumns::from_columns`] takes them apart.
#[doc(hidden)]
#[derive(Debug)]
pub struct Columns<'a> {
    names: &'static [&'static str],
    columns: &'a [Column],
    rows: usize,
}

impl<'a> Columns<'a> {
    pub fn new(names: &'static [&'static str], columns: &'a [Column], rows: usize) -> Result<Self, CallError> {
        if names.len() != columns.len() {
            return Err(CallError::new(format!(
                "{} input columns given, {} expected: {}",
                columns.len(),
                names.len(),
                names.join(", ")
            )));
        }
        Ok(Self { names, columns, rows })
    }

    pub fn view<V: View<'a>>(&self, index: usize) -> Result<V, CallError> {
        V::from_column(&self.columns[index], self.rows)
            .map_err(|error| error.on(format_args!("input `{}`", self.names[index])))
    }
}

#[doc(hidden)]
pub fn field<'a, T: InputValue<'a>>(name: &str, doc: &str) -> Field {
    Field {
        name: name.to_owned(),
        data_type: T::Column::data_type(),
        nullable: T::Column::NULLABLE,
        doc: doc.to_owned(),
    }
}

#[doc(hidden)]
#[inline]
pub fn read<'a, T: InputValue<'a>>(column: T::Column, row: usize) -> T {
    T::from_item(column.value(row))
}

#[doc(hidden)]
pub fn assert_as_of<T: AsOf>() {}

#[doc(hidden)]
pub fn assert_value<T: InputValue<'static>>() {}
