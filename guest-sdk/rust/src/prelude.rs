//! What a transform needs: `use tandem_sdk::prelude::*;`.

pub use crate::{
    Aggregate, CallError, FailedRows, InField, Input, Output, Parameters, RowError, State, Timestamp, aggregate,
    columns::{BinaryColumn, Mask, NullableColumn, SequenceColumn, StringColumn, StringSequenceColumn},
    transform,
    views::{Binaries, Booleans, Nullable, Sequences, StringSequences, Strings, Timestamps, Validity},
};
