//! What the producer of a source's rows promises of their columns.

use super::{Allowed, OnError};
use crate::types::DataType;

/// What is promised of a source's rows, wherever they are read.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceContract {
    /// The columns, in the order of the definition; none where nothing is promised.
    pub columns: Vec<ColumnContract>,
    /// What becomes of a row that breaks it. A column that is not there, or whose type is not taken, is refused either way.
    pub on_violation: OnError,
}

impl Default for SourceContract {
    fn default() -> Self {
        SourceContract { columns: Vec::new(), on_violation: OnError::Fail }
    }
}

/// What is promised of a column.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnContract {
    /// The column.
    pub name: String,
    /// Its values are of this type, or become it without loss.
    pub data_type: DataType,
    /// Whether it may be null.
    pub nullable: bool,
    /// The values that there may be, of a string or int64 column; nulls are not looked at.
    pub allowed: Option<Allowed>,
    /// The least value of an int64 or float64 column, included; NaN lies nowhere.
    pub min: Option<f64>,
    /// The greatest, included.
    pub max: Option<f64>,
}
