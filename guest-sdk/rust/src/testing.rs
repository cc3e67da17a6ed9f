//! Calls a transform as the runtime does, in a native test: columns in, columns out, parameters checked.
//!
//! A test of the function itself needs none of this: it is a plain function. What is tested here is what the function
//! does not show: names, docs and parameters, and both forms through the same door.
//!
//! ```
//! use tandem_sdk::{prelude::*, testing::Call};
//!
//! #[derive(Input)]
//! struct Reading {
//!     celsius: Option<f64>,
//! }
//!
//! #[derive(Output)]
//! struct Converted {
//!     /// Degrees Fahrenheit.
//!     fahrenheit: Option<f64>,
//! }
//!
//! #[transform]
//! fn convert(row: Reading) -> Result<Converted, RowError> {
//!     if row.celsius.is_some_and(|celsius| celsius < -273.15) {
//!         return Err(RowError::field("celsius", "below absolute zero"));
//!     }
//!     Ok(Converted { fahrenheit: row.celsius.map(|celsius| celsius * 1.8 + 32.0) })
//! }
//!
//! # fn main() -> Result<(), CallError> {
//! let results = Call::<convert>::new().input("celsius", [Some(100.0), None, Some(-300.0)]).apply()?;
//! assert_eq!(results.output::<f64>("fahrenheit"), [Some(212.0), None, None]);
//! assert_eq!(results.failures(), [(2, "celsius: below absolute zero")]);
//!
//! let signature = Call::<convert>::new().signature()?;
//! assert_eq!(signature.outputs[0].doc, "Degrees Fahrenheit.");
//! # Ok(())
//! # }
//! ```
//!
//! The result of a native run is not promised to be that of the component, bit for bit: natively the functions of the
//! mathematical library are other ones. Compare with a tolerance, or run the component.

use std::marker::PhantomData;

use crate::{
    Aggregate, CallError, Timestamp, Transform, aggregate,
    columns::OutputColumn,
    contract::{Column, Field, Outcome, Parameter, ParameterValue, Signature, VarBytes},
    input::InputType,
    output::OutputValue,
    views::{Nullable, View},
};

/// A call of the transform `T`: its parameters and its inputs.
#[derive(Debug, Clone)]
pub struct Call<T> {
    parameters: Vec<Parameter>,
    inputs: Vec<Input>,
    transform: PhantomData<T>,
}

#[derive(Debug, Clone)]
struct Input {
    name: String,
    rows: usize,
    column: Result<Column, CallError>,
}

/// What a call gave.
#[derive(Debug, Clone)]
pub struct Results {
    outputs: Vec<Field>,
    rows: usize,
    outcome: Outcome,
}

impl<T: Transform> Call<T> {
    /// A call without parameters and inputs.
    pub fn new() -> Self {
        Self { parameters: Vec::new(), inputs: Vec::new(), transform: PhantomData }
    }

    /// Gives a parameter.
    #[must_use]
    pub fn parameter(mut self, name: &str, value: impl Into<ParameterValue>) -> Self {
        self.parameters.push(Parameter { name: name.to_owned(), value: value.into() });
        self.parameters.sort_by(|a, b| a.name.cmp(&b.name));
        self
    }

    /// Gives an input column: values, or options of values. All have the same number of rows; the order does not matter.
    #[must_use]
    pub fn input<V: OutputValue>(mut self, name: &str, values: impl IntoIterator<Item = V>) -> Self {
        let mut column = V::Column::with_capacity(0);
        values.into_iter().for_each(|value| value.push(&mut column));
        self.inputs.push(Input { name: name.to_owned(), rows: column.rows(), column: column.into_column() });
        self
    }

    /// What the transform takes and gives.
    pub fn signature(&self) -> Result<Signature, CallError> {
        T::describe(&self.parameters)
    }

    /// Runs the transform. An input of the signature that is not given is an error, and so is one that is not in it.
    pub fn apply(self) -> Result<Results, CallError> {
        let signature = self.signature()?;
        let rows = self.inputs.first().map_or(0, |input| input.rows);
        if let Some(input) = self.inputs.iter().find(|input| !signature.inputs.iter().any(|f| f.name == input.name)) {
            return Err(CallError::new(format!("the transform has no input `{}`", input.name)));
        }
        let columns = signature
            .inputs
            .iter()
            .map(|field| match self.inputs.iter().find(|input| input.name == field.name) {
                Some(input) => input.column.clone(),
                None => Err(CallError::new(format!("no input `{}` is given", field.name))),
            })
            .collect::<Result<Vec<_>, _>>()?;
        let outcome = T::apply(&self.parameters, rows as u32, &columns)?;
        Ok(Results { outputs: signature.outputs, rows, outcome })
    }
}

impl<T: Transform> Default for Call<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl Results {
    /// The values of an output; none where null, and where the row failed. Panics if there is no such output of this type.
    pub fn output<'a, V: InputType<'a>>(&'a self, name: &str) -> Vec<Option<V>> {
        let index = self.outputs.iter().position(|field| field.name == name);
        let index = index.unwrap_or_else(|| panic!("the transform has no output `{name}`"));
        let column = Nullable::<V::Column>::from_column(&self.outcome.columns[index], self.rows)
            .unwrap_or_else(|error| panic!("output `{name}`: {error}"));
        let failed = |row| self.outcome.failed_rows.iter().any(|failure| failure.row as usize == row);
        (0..self.rows).map(|row| if failed(row) { None } else { column.value(row).map(V::from_item) }).collect()
    }

    /// The rows that failed, and why.
    pub fn failures(&self) -> Vec<(usize, &str)> {
        self.outcome.failed_rows.iter().map(|failure| (failure.row as usize, failure.message.as_str())).collect()
    }

    /// The outcome as it crosses the boundary.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }
}

/// Events for the function of aggregates `A`: its parameters and the columns of the events.
#[derive(Debug, Clone)]
pub struct Events<A> {
    parameters: Vec<Parameter>,
    inputs: Vec<Input>,
    aggregate: PhantomData<A>,
}

impl<A: Aggregate> Events<A> {
    /// No events, and no parameters.
    pub fn new() -> Self {
        Self { parameters: Vec::new(), inputs: Vec::new(), aggregate: PhantomData }
    }

    /// Gives a parameter.
    #[must_use]
    pub fn parameter(mut self, name: &str, value: impl Into<ParameterValue>) -> Self {
        self.parameters.push(Parameter { name: name.to_owned(), value: value.into() });
        self.parameters.sort_by(|a, b| a.name.cmp(&b.name));
        self
    }

    /// Gives a column of the events. All have the same number of events; the order does not matter.
    #[must_use]
    pub fn input<V: OutputValue>(mut self, name: &str, values: impl IntoIterator<Item = V>) -> Self {
        let mut column = V::Column::with_capacity(0);
        values.into_iter().for_each(|value| value.push(&mut column));
        self.inputs.push(Input { name: name.to_owned(), rows: column.rows(), column: column.into_column() });
        self
    }

    /// What the function takes and gives.
    pub fn signature(&self) -> Result<Signature, CallError> {
        aggregate::describe::<A>(&self.parameters)
    }

    /// The value of the events at an instant; none where it is null. The events are added to one state, and again half to one state and half to another, which
    /// are merged in both orders: states that differ are an error.
    pub fn value<V>(&self, as_of: Timestamp) -> Result<Option<V>, CallError>
    where
        V: for<'a> InputType<'a>,
    {
        let signature = self.signature()?;
        let events = self.inputs.first().map_or(0, |input| input.rows);
        let column = |field: &Field| match self.inputs.iter().find(|input| input.name == field.name) {
            Some(input) => input.column.clone(),
            None => Err(CallError::new(format!("no input `{}` is given", field.name))),
        };
        let columns = signature.inputs.iter().map(column).collect::<Result<Vec<_>, _>>()?;
        let empty = aggregate::empty::<A>(&self.parameters)?;
        let states = |count: u32| VarBytes {
            offsets: (0..=count).map(|state| state * empty.len() as u32).collect(),
            data: empty.repeat(count as usize),
        };
        let add =
            |count: u32, groups: Vec<u32>| aggregate::add::<A>(&self.parameters, &states(count), &groups, &columns);
        let whole = add(1, vec![0; events])?;
        let halves = add(2, (0..events as u32).map(|event| event % 2).collect())?;
        let middle = halves.offsets[1] as usize;
        let one = |bytes: &[u8]| VarBytes { offsets: vec![0, bytes.len() as u32], data: bytes.to_vec() };
        let (even, odd) = (one(&halves.data[..middle]), one(&halves.data[middle..]));
        for (state, other) in [(&even, &odd), (&odd, &even), (&whole, &states(1))] {
            if aggregate::merge::<A>(&self.parameters, state, other)?.data != whole.data {
                return Err(CallError::new("the state depends on how the events are divided or ordered"));
            }
        }
        let value = aggregate::finish::<A>(&self.parameters, &whole, &[as_of.micros()])?;
        let values = Nullable::<V::Column>::from_column(&value, 1)?;
        Ok(values.value(0).map(V::from_item))
    }
}

impl<A: Aggregate> Default for Events<A> {
    fn default() -> Self {
        Self::new()
    }
}
