//! Why a view and its component do not go together.

use super::super::locate::{Key, Mistake};
use crate::model::ViewVersion;
use crate::types::{DataType, SignatureError};

/// Why a view and its component do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// What the component declares is refused.
    #[error("the component of feature view `{view}` declares a signature that is refused: {error}")]
    Signature {
        /// The view.
        view: String,
        /// Why.
        error: SignatureError,
    },
    /// The view maps an input that the component does not have.
    #[error("`inputs` of feature view `{view}` maps `{input}`, which its component does not have")]
    UnknownInput {
        /// The view.
        view: String,
        /// The mapped input.
        input: String,
        /// The nearest input, and all that there are.
        hint: String,
    },
    /// An input is bound to the time that is asked for and has another type.
    #[error("`inputs` of feature view `{view}` binds `{input}` to `as_of`, but the component declares it as {found}")]
    AsOfInput {
        /// The view.
        view: String,
        /// The input.
        input: String,
        /// What the component declares.
        found: String,
    },
    /// A feature has the name of a join key.
    #[error(
        "the component of feature view `{view}` has an output `{feature}`, which is the name of a join key of entity `{entity}`"
    )]
    FeatureIsJoinKey {
        /// The view.
        view: String,
        /// The output.
        feature: String,
        /// The entity.
        entity: String,
    },
    /// A check that does not go with the features.
    #[error("{message}")]
    Check {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: String,
    },
    /// A feature has the name of a column of the rows.
    #[error(
        "feature view `{view}` has a feature `valid_to`, and its source is a dimension, whose rows have a column of that name"
    )]
    FeatureIsValidTo {
        /// The view.
        view: String,
    },
    /// A default for a feature that the component does not give.
    #[error("`defaults` of feature view `{view}` has `{feature}`, which its component does not give")]
    UnknownDefault {
        /// The view.
        view: String,
        /// As it was written.
        feature: String,
        /// The nearest feature, and all that there are.
        hint: String,
    },
    /// A default that is no value of its feature's type.
    #[error("the default of `{feature}` of feature view `{view}` must be {expected}; found {found}")]
    DefaultType {
        /// The view.
        view: String,
        /// The feature.
        feature: String,
        /// Its type.
        expected: DataType,
        /// What was found.
        found: String,
        /// What to write.
        hint: String,
    },
    /// A view that this one reads was not given, because it was not bound itself.
    #[error("feature view `{view}` reads `{upstream}`, which is not bound")]
    UpstreamNotBound {
        /// The view.
        view: String,
        /// The view that it reads.
        upstream: ViewVersion,
    },
    /// An input reads a feature that the other view does not have.
    #[error(
        "input `{input}` of feature view `{view}` reads feature `{feature}` of `{upstream}`, which does not have it"
    )]
    UnknownFeature {
        /// The view.
        view: String,
        /// The input.
        input: String,
        /// The view that it reads.
        upstream: ViewVersion,
        /// The feature.
        feature: String,
        /// The nearest feature, and all that there are.
        hint: String,
    },
    /// An input and what it reads have two types.
    #[error(
        "input `{input}` of feature view `{view}` is declared by its component as {declared}, but {from} is {found}"
    )]
    InputType {
        /// The view.
        view: String,
        /// The input.
        input: String,
        /// What the component declares.
        declared: DataType,
        /// What it reads: "feature `mean` of `spend@1`", "the event time of `login@1`", "column `mean` of `spend@1`", "join key `user_id`".
        from: String,
        /// The type of that.
        found: DataType,
    },
    /// An input that is never null reads a stored row that may not be there.
    #[error(
        "input `{input}` of feature view `{view}` is declared by its component as not nullable, but {from} may be missing"
    )]
    InputNotNullable {
        /// The view.
        view: String,
        /// The input.
        input: String,
        /// What it reads, as in [`BindError::InputType`].
        from: String,
    },
    /// The rows of another view do not have a column.
    #[error("{what} of feature view `{view}` comes from column `{column}`, which the rows of `{upstream}` do not have")]
    UnknownColumn {
        /// The view.
        view: String,
        /// "input `amount`", "join key `user_id`".
        what: String,
        /// The key of the definition that names the column.
        key: Key,
        /// The column.
        column: String,
        /// The view whose rows they are.
        upstream: ViewVersion,
        /// The nearest column, and all that there are.
        hint: String,
    },
    /// A join key and the column of another view's rows have two types.
    #[error(
        "join key `{join_key}` of feature view `{view}` is {declared}, but column `{column}` of the rows of `{upstream}` is {found}"
    )]
    KeyType {
        /// The view.
        view: String,
        /// The join key.
        join_key: String,
        /// Its type.
        declared: DataType,
        /// The column.
        column: String,
        /// The view whose rows they are.
        upstream: ViewVersion,
        /// The column's type.
        found: DataType,
    },
    /// A column of an aggregate view names no output of the component that makes its events.
    #[error(
        "column `{column}` of feature view `{view}` is output `{output}` of its component, which the component does not have"
    )]
    UnknownOutput {
        /// The view.
        view: String,
        /// The column.
        column: String,
        /// The output.
        output: String,
        /// The nearest output, and all that there are.
        hint: String,
    },
    /// Such a column has another type than the output.
    #[error(
        "column `{column}` of feature view `{view}` is {declared}, but output `{output}` of its component is {found}"
    )]
    OutputType {
        /// The view.
        view: String,
        /// The column.
        column: String,
        /// Its type.
        declared: DataType,
        /// The output.
        output: String,
        /// The output's type.
        found: DataType,
    },
    /// A component that computes an aggregate does not fit it.
    #[error("{message}")]
    Function {
        /// What does not.
        message: String,
        /// What to do.
        hint: String,
    },
    /// Two inputs take one column of the request as two types.
    #[error(
        "inputs `{first}` and `{second}` of feature view `{view}` both come from `{column}` of the request, as {first_type} and as {second_type}"
    )]
    RequestType {
        /// The view.
        view: String,
        /// The column.
        column: String,
        /// An input.
        first: String,
        /// Its type.
        first_type: DataType,
        /// Another input.
        second: String,
        /// Its type.
        second_type: DataType,
    },
}

impl BindError {
    /// What to do.
    pub fn hint(&self) -> Option<&str> {
        match self {
            BindError::Signature { .. } => None,
            BindError::UnknownInput { hint, .. }
            | BindError::UnknownDefault { hint, .. }
            | BindError::DefaultType { hint, .. }
            | BindError::Check { hint, .. }
            | BindError::UnknownFeature { hint, .. }
            | BindError::UnknownOutput { hint, .. }
            | BindError::Function { hint, .. }
            | BindError::UnknownColumn { hint, .. } => Some(hint),
            BindError::OutputType { .. } => {
                Some("give the column the type of the output: nothing is converted on the way")
            }
            BindError::FeatureIsValidTo { .. } => Some("rename the feature"),
            BindError::AsOfInput { .. } => Some("such an input must be a timestamp that is not nullable"),
            BindError::FeatureIsJoinKey { .. } => Some("a row has both, so rename one of them"),
            BindError::UpstreamNotBound { .. } => Some("correct that view first"),
            BindError::InputType { .. } => Some("declare the input with that type: nothing is converted on the way"),
            BindError::InputNotNullable { .. } => Some(
                "declare it nullable, since an entity may have no row, or only one that is too old; or give the feature a default in its view",
            ),
            BindError::KeyType { .. } => Some("`key_columns` maps a join key to a column of another name"),
            BindError::RequestType { .. } => Some("give one of them a column of its own in `inputs`"),
        }
    }

    /// The key of the view's definition that the mistake is about.
    pub fn key(&self) -> Key {
        match self {
            BindError::Signature { .. } | BindError::FeatureIsJoinKey { .. } | BindError::FeatureIsValidTo { .. } => {
                Key::of("component")
            }
            BindError::Check { .. } => Key::of("checks"),
            BindError::UnknownDefault { feature, .. } | BindError::DefaultType { feature, .. } => {
                Key::default_of(feature)
            }
            BindError::UnknownInput { input, .. }
            | BindError::AsOfInput { input, .. }
            | BindError::UnknownFeature { input, .. }
            | BindError::InputType { input, .. }
            | BindError::InputNotNullable { input, .. } => Key::input(input),
            BindError::RequestType { second, .. } => Key::input(second),
            BindError::UnknownColumn { key, .. } => key.clone(),
            BindError::Function { .. } => Key::of("aggregates"),
            BindError::UnknownOutput { .. } | BindError::OutputType { .. } => Key::of("columns"),
            BindError::KeyType { join_key, .. } => Key::join_key(join_key),
            BindError::UpstreamNotBound { .. } => Key::of("source"),
        }
    }
}

impl From<&BindError> for Mistake {
    fn from(error: &BindError) -> Self {
        Mistake { key: error.key(), message: error.to_string(), hint: error.hint().map(str::to_owned) }
    }
}
