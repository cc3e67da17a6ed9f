//! Parameters of a transform: what a view's definition sets (a threshold, bucket edges, a vocabulary).

use std::collections::BTreeMap;

use crate::time::Timestamp;

/// The value of a parameter, as the contract has it. Floats are never NaN.
#[derive(Debug, Clone, PartialEq)]
pub enum ParameterValue {
    /// True or false.
    Boolean(bool),
    /// Signed 64-bit integer.
    Int64(i64),
    /// IEEE 754 binary64.
    Float64(f64),
    /// UTF-8 string.
    Text(String),
    /// Integers.
    Int64s(Vec<i64>),
    /// Floating-point numbers.
    Float64s(Vec<f64>),
    /// Instants.
    Timestamps(Vec<Timestamp>),
    /// Strings.
    Texts(Vec<String>),
}

/// Parameters by name, sorted.
pub type Parameters = BTreeMap<String, ParameterValue>;
