//! What a transform needs: `use tandem_sdk::prelude::*;`.

pub use crate::{
    CallError, FailedRows, InField, Input, Output, Parameters, RowError, Timestamp,
    columns::{BinaryColumn, Mask, NullableColumn, SequenceColumn, StringColumn, StringSequenceColumn},
    transform,
    views::{Binaries, Booleans, Nullable, Sequences, StringSequences, Strings, Timestamps, Validity},
};
