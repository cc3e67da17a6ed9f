//! Defaults of features: values that stand in where there is none ([`crate::status::FeatureStatus`]).

use std::collections::BTreeMap;

use arrow_array::ArrayRef;

use crate::canonical::encode_row;
use crate::json::{JsonError, decode_column};
use crate::model::FeatureView;
use crate::types::{Field, Signature};

/// The default of each feature that has one, typed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Defaults(BTreeMap<String, ArrayRef>);

/// Why a default is none for its feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DefaultError {
    /// The view has no such feature.
    Unknown {
        /// As it was written.
        feature: String,
    },
    /// Not a value of the feature's type.
    Value {
        /// The feature.
        feature: String,
        /// What is wrong with it.
        error: JsonError,
    },
}

impl Defaults {
    /// The defaults that `view` declares, in the types of `signature`, and what is wrong with the others.
    pub fn of(view: &FeatureView, signature: &Signature) -> (Self, Vec<DefaultError>) {
        let (mut defaults, mut errors) = (BTreeMap::new(), Vec::new());
        for (feature, value) in &view.defaults {
            let Some(output) = signature.outputs.iter().find(|output| output.name == *feature) else {
                errors.push(DefaultError::Unknown { feature: feature.clone() });
                continue;
            };
            let field = Field::new(feature, output.data_type, false);
            match decode_column(&field, [Some(value)].into_iter()) {
                Ok(array) => drop(defaults.insert(feature.clone(), array)),
                Err(error) => errors.push(DefaultError::Value { feature: feature.clone(), error }),
            }
        }
        (Defaults(defaults), errors)
    }

    /// The default of a feature: an array of one value, of the feature's canonical Arrow type.
    pub fn get(&self, feature: &str) -> Option<&ArrayRef> {
        self.0.get(feature)
    }

    /// Whether no feature has one.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Features with the canonical bytes of their defaults.
    pub(crate) fn bytes(&self) -> impl Iterator<Item = (&str, Vec<u8>)> {
        self.0.iter().map(|(feature, value)| {
            let mut bytes = Vec::new();
            encode_row(std::slice::from_ref(value), 0, &mut bytes);
            (feature.as_str(), bytes)
        })
    }
}
