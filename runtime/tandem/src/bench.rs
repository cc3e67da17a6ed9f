//! What a transform costs a row: sample rows over and over, as many at once as batch takes.

use std::time::{Duration, Instant};

use arrow_array::{RecordBatch, UInt32Array};
use arrow_select::take::take_record_batch;
use tandem_engine::{EngineError, Outcome, Transform};

/// Rows of a call, as in batch.
pub const ROWS_PER_CALL: usize = 65_536;

/// Bytes of the inputs of a call at most; rows that are larger go into calls of fewer rows.
pub const INPUT_BYTES_MAX: usize = 64 << 20;

/// How long calls are measured, for each kind of instance; before that, a quarter as long unmeasured.
pub const SECONDS: Duration = Duration::from_secs(1);

/// Calls that are measured at least, however long they take.
const CALLS_MIN: usize = 3;

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// Rows of each call.
    pub rows_per_call: usize,
    /// Calls that were measured.
    pub calls: usize,
    /// Wall time of the median call, for each of its rows, in nanoseconds.
    pub nanoseconds_per_row: f64,
    /// Fuel for each row, about one an instruction; the same in every run.
    pub fuel_per_row: f64,
}

impl Figures {
    /// Rows in a second, at the median call.
    pub fn rows_per_second(&self) -> f64 {
        1e9 / self.nanoseconds_per_row
    }
}

/// With an instance that lives from call to call, and with a fresh one for each call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Report {
    /// One instance for all calls, as within a partition of a batch.
    pub used: Figures,
    /// A fresh instance for each call, as on demand.
    pub fresh: Figures,
}

/// Measures the transform over `rows`, repeated; they should not fail, since a call with traps is divided. Blocking, for about two and a half
/// seconds.
///
/// # Errors
///
/// What the engine says. No row at all is a mistake of the caller.
pub fn measure(transform: &Transform, rows: &RecordBatch) -> Result<Report, EngineError> {
    let call = repeated(rows)?;
    let mut session = transform.session();
    Ok(Report { used: figures(&call, || session.apply(&call))?, fresh: figures(&call, || transform.apply(&call))? })
}

/// The rows of one call: `rows` over and over.
fn repeated(rows: &RecordBatch) -> Result<RecordBatch, EngineError> {
    let count = rows.num_rows();
    if count == 0 {
        return Err(EngineError::Inputs("there is no row to measure".to_owned()));
    }
    let row_bytes = (rows.get_array_memory_size() / count).max(1);
    let wanted = ROWS_PER_CALL.min(INPUT_BYTES_MAX / row_bytes).max(1);
    let indices: UInt32Array = (0..wanted).map(|row| (row % count) as u32).collect();
    take_record_batch(rows, &indices).map_err(|error| EngineError::Arrow(error.to_string()))
}

fn figures(
    call: &RecordBatch,
    mut apply: impl FnMut() -> Result<Outcome, EngineError>,
) -> Result<Figures, EngineError> {
    let begin = Instant::now();
    while {
        apply()?;
        begin.elapsed() < SECONDS / 4
    } {}
    let mut times = Vec::new();
    let mut fuel = 0;
    let begin = Instant::now();
    while times.len() < CALLS_MIN || begin.elapsed() < SECONDS {
        let start = Instant::now();
        fuel = apply()?.fuel;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    let rows = call.num_rows() as f64;
    Ok(Figures {
        rows_per_call: call.num_rows(),
        calls: times.len(),
        nanoseconds_per_row: times[times.len() / 2].as_nanos() as f64 / rows,
        fuel_per_row: fuel as f64 / rows,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Array, ArrayRef, StringArray};

    use super::*;

    fn batch(texts: &[&str]) -> RecordBatch {
        RecordBatch::try_from_iter([("text", Arc::new(StringArray::from(texts.to_vec())) as ArrayRef)]).unwrap()
    }

    #[test]
    fn rows_are_repeated_in_their_order() {
        let call = repeated(&batch(&["a", "b", "c"])).unwrap();
        assert_eq!(call.num_rows(), ROWS_PER_CALL);
        let texts = call.column(0).as_any().downcast_ref::<StringArray>().unwrap();
        assert_eq!([texts.value(0), texts.value(4), texts.value(65_535)], ["a", "b", "a"]);
    }

    #[test]
    fn large_rows_go_into_smaller_calls() {
        let large = "x".repeat(1 << 20);
        let rows = repeated(&batch(&[&large])).unwrap().num_rows();
        assert!((16..=64).contains(&rows), "{rows}");
        assert!(repeated(&batch(&[])).unwrap_err().to_string().contains("no row to measure"));
    }
}
