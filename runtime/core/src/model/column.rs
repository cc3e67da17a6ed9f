//! Features that are columns of a source as they are.

use crate::types::{DataType, Field, Signature};

/// A feature of a view without a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnFeature {
    /// Its name.
    pub name: String,
    /// The source's column.
    pub column: String,
    /// Its type, to which the column is converted without loss.
    pub data_type: DataType,
    /// For people; may be empty.
    pub description: String,
}

impl ColumnFeature {
    /// What a component would declare that gives its inputs back: one input and one output for each feature, of its name, type and description,
    /// nullable.
    pub fn signature(features: &[ColumnFeature]) -> Signature {
        let field = |feature: &ColumnFeature| Field {
            doc: feature.description.clone(),
            ..Field::new(&feature.name, feature.data_type, true)
        };
        let fields: Vec<Field> = features.iter().map(field).collect();
        Signature { inputs: fields.clone(), outputs: fields, doc: String::new() }
    }
}
