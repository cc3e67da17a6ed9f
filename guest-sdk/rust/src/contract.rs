//! The types of the contract (`tandem:feature@0.1.0`) as they cross the boundary.
//!
//! Transforms seldom need them; they are what [`Transform`](crate::Transform) and [`testing`](crate::testing) speak.

pub use crate::bindings::tandem::feature::{
    columns::{Column, Items, Sequences, Values, VarBytes, Vectors},
    outcomes::{Failure, Outcome, RowFailure},
    signatures::{DataType, Field, ItemType, Parameter, ParameterValue, Signature},
};
