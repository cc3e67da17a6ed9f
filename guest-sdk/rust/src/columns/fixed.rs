//! Columns whose rows all have one size: `Vec`s.

use super::OutputColumn;
use crate::{
    Timestamp,
    contract::{DataType, Values, Vectors},
    error::CallError,
};

/// What a `Vec` that is an output column may hold: `bool`, `i64`, `f64`, [`Timestamp`], `[f32; N]`.
#[diagnostic::on_unimplemented(
    message = "`Vec<{Self}>` is not a column",
    note = "columns are `Vec`s of `bool`, `i64`, `f64`, `Timestamp` or `[f32; N]`, `StringColumn`, `BinaryColumn`, \
            `SequenceColumn<i64>`, `SequenceColumn<f64>`, `StringSequenceColumn`, and `NullableColumn` of each"
)]
pub trait Slot: Copy {
    /// What lies under a null.
    const ZERO: Self;

    /// The type of the column in the contract.
    fn data_type() -> DataType;

    /// The values in the contract's layout.
    fn into_values(rows: Vec<Self>) -> Values;
}

impl<T: Slot> OutputColumn for Vec<T> {
    fn data_type() -> DataType {
        T::data_type()
    }

    fn with_capacity(rows: usize) -> Self {
        Vec::with_capacity(rows)
    }

    fn rows(&self) -> usize {
        self.len()
    }

    #[inline]
    fn push_empty(&mut self) {
        self.push(T::ZERO);
    }

    fn into_values(self) -> Result<Values, CallError> {
        Ok(T::into_values(self))
    }
}

macro_rules! slot {
    ($item:ty, $zero:expr, $data_type:ident, |$rows:ident| $values:expr) => {
        impl Slot for $item {
            const ZERO: Self = $zero;

            fn data_type() -> DataType {
                DataType::$data_type
            }

            fn into_values($rows: Vec<Self>) -> Values {
                $values
            }
        }
    };
}

// The standard library collects a mapped `Vec` of items of one size in place.
slot!(bool, false, Boolean, |rows| Values::Booleans(rows.into_iter().map(u8::from).collect()));
slot!(i64, 0, Int64, |rows| Values::Int64s(rows));
slot!(f64, 0.0, Float64, |rows| Values::Float64s(rows));
slot!(Timestamp, Timestamp::UNIX_EPOCH, Timestamp, |rows| {
    Values::Timestamps(rows.into_iter().map(Timestamp::micros).collect())
});

impl<const N: usize> Slot for [f32; N] {
    const ZERO: Self = [0.0; N];

    fn data_type() -> DataType {
        const { assert!(N > 0, "a vector has at least one value: [f32; 1] or more") };
        DataType::Float32Vector(N as u32)
    }

    fn into_values(rows: Vec<Self>) -> Values {
        Values::Float32Vectors(Vectors { width: N as u32, data: rows.into_flattened() })
    }
}
