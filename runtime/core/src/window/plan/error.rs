//! What can go wrong with states and answers.

use super::STATE_VERSION;

/// Bytes that are no states of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAState {
    /// Of another version of the encoding.
    #[error(
        "the window state has version {found}, and this program reads version {STATE_VERSION}; hint: remove the folder of the online store and run `tandem materialize`"
    )]
    Version {
        /// The version.
        found: u8,
    },
    /// Of a component that is not the view's.
    #[error(
        "the window state is of another component, or of another version of it, than the one that computes the feature now; hint: remove the folder of the online store and run `tandem materialize`, which makes it again of the events"
    )]
    OtherFunction,
    /// Of no version.
    #[error(
        "the window state is damaged or of another view; hint: remove the folder of the online store and run `tandem materialize`"
    )]
    Malformed,
}

/// Why windows have no answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAnswered {
    /// Too many values.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// The component of a feature failed.
    #[error("the component of feature `{feature}` failed: {reason}")]
    Failed {
        /// The feature.
        feature: String,
        /// Why.
        reason: String,
    },
}

/// More bytes or items than an array of 32-bit offsets can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the values of a feature have more than 2147483647 bytes or items; hint: ask for fewer rows at once")]
pub struct TooLarge;
