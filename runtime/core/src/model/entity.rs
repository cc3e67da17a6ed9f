//! What features describe.

use crate::types::DataType;

/// A thing that features describe: a user, an airport, an order.
#[derive(Debug, Clone, PartialEq)]
pub struct Entity {
    /// Its name.
    pub name: String,
    /// The columns that identify it, at least one, in the order of the definition.
    pub join_keys: Vec<JoinKey>,
    /// For people; may be empty.
    pub description: String,
}

/// A column that identifies an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinKey {
    /// Name of the column in feature rows and requests.
    pub name: String,
    /// boolean, int64, float64, timestamp, string or binary.
    pub data_type: DataType,
}
