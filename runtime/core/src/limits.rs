//! Every limit of a transform: what it bounds, its unit and its default. They are part of a view's definition hash.

/// Limits of the calls into a transform. A call that crosses one ends in an error, never in a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransformLimits {
    /// `fuel_base`: fuel that every call gets, in units of about one WebAssembly instruction.
    pub fuel_base: u64,
    /// `fuel_per_row`: fuel that a call gets for each of its rows, on top of the base.
    pub fuel_per_row: u64,
    /// `call_seconds_max`: wall time of a call, in seconds; the safety net behind fuel.
    pub call_seconds_max: u64,
    /// `memory_bytes_max`: linear memory of an instance, in bytes. Growing past it traps.
    pub memory_bytes_max: u64,
    /// `table_elements_max`: elements of all tables of an instance.
    pub table_elements_max: u64,
    /// `output_bytes_max`: bytes that one call may return.
    pub output_bytes_max: u64,
    /// `message_bytes_max`: bytes of an author's error message that are kept; the rest is cut.
    pub message_bytes_max: u64,
    /// `failed_rows_max`: rows of one call that may fail by trap, fuel or a broken promise before the whole call counts as failed. Rows that the
    /// transform itself reports as failed do not count.
    pub failed_rows_max: u64,
    /// `fields_max`: inputs and outputs that a signature may have, counted together.
    pub fields_max: u64,
}

impl Default for TransformLimits {
    fn default() -> Self {
        TransformLimits {
            fuel_base: 100_000_000,
            fuel_per_row: 1_000_000,
            call_seconds_max: 30,
            memory_bytes_max: 256 << 20,
            table_elements_max: 100_000,
            output_bytes_max: 256 << 20,
            message_bytes_max: 2_048,
            failed_rows_max: 1_000,
            fields_max: 2_000,
        }
    }
}
