//! Events sorted by their group, in memory or in temporary files, and merged chunk by chunk.

use std::fs::File;
use std::io::{BufReader, BufWriter, Seek};

use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use arrow_array::{RecordBatch, UInt32Array};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;

use super::super::TrainingError;
use super::super::trim::trim;
use crate::error::OfflineError;

/// Columns of a run: the group, when an event counts from, and until when; its time; where they are needed, created time and sequence; then the values.
pub(super) const GROUP: usize = 0;
pub(super) const FROM: usize = 1;
pub(super) const UNTIL: usize = 2;
pub(super) const EVENT_TIME: usize = 3;
/// What is behind the event time.
pub(super) const VALUES: usize = 4;

/// Rows of a batch in a file.
const FILE_BATCH_ROWS: usize = 16_384;

/// Memory that so many bytes of events took goes back to the system before they are sorted, which takes as much again.
const TRIMMED_BYTES: usize = 8 << 20;

/// Events sorted by their group.
pub(super) enum Run {
    Memory(RecordBatch),
    /// Without a name, so that it is gone with the process.
    File(File),
}

impl Run {
    pub(super) fn memory(batches: Vec<RecordBatch>, schema: &SchemaRef) -> Result<Run, TrainingError> {
        sorted(batches, schema).map(Run::Memory).map_err(arrow)
    }

    /// Blocking.
    pub(super) fn file(batches: Vec<RecordBatch>, schema: &SchemaRef) -> Result<Run, TrainingError> {
        let batch = sorted(batches, schema).map_err(arrow)?;
        let file = tempfile::tempfile().map_err(spill)?;
        let mut writer = StreamWriter::try_new(BufWriter::new(file), schema).map_err(arrow)?;
        for start in (0..batch.num_rows()).step_by(FILE_BATCH_ROWS) {
            let rows = FILE_BATCH_ROWS.min(batch.num_rows() - start);
            writer.write(&batch.slice(start, rows)).map_err(arrow)?;
        }
        let file = writer.into_inner().map_err(arrow)?;
        let mut file = file.into_inner().map_err(|error| spill(error.into_error()))?;
        file.rewind().map_err(spill)?;
        Ok(Run::File(file))
    }
}

fn sorted(batches: Vec<RecordBatch>, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let batch = concat_batches(schema, &batches)?;
    drop(batches);
    if batch.get_array_memory_size() >= TRIMMED_BYTES {
        trim();
    }
    by_group(batch)
}

/// The rows by their group, those of one in the order in which they are.
fn by_group(batch: RecordBatch) -> Result<RecordBatch, ArrowError> {
    let groups = batch.column(GROUP).as_primitive::<UInt32Type>().values();
    if groups.is_sorted() {
        return Ok(batch);
    }
    let (least, most) = groups.iter().fold((u32::MAX, 0), |(least, most), group| (least.min(*group), most.max(*group)));
    let span = (most - least) as usize + 1;
    let order: Vec<u32> = if span <= 4 * groups.len() {
        // Counted, since groups are numbered.
        let mut places = vec![0_u32; span + 1];
        groups.iter().for_each(|group| places[(group - least) as usize + 1] += 1);
        (0..span).for_each(|group| places[group + 1] += places[group]);
        let mut order = vec![0; groups.len()];
        for (row, group) in groups.iter().enumerate() {
            let place = &mut places[(group - least) as usize];
            order[*place as usize] = row as u32;
            *place += 1;
        }
        order
    } else {
        let mut order: Vec<u32> = (0..groups.len() as u32).collect();
        order.sort_by_key(|row| groups[*row as usize]);
        order
    };
    take_record_batch(&batch, &UInt32Array::from(order))
}

/// The events of a chunk, by their group; None if there are none.
pub(super) fn merge(batches: Vec<RecordBatch>, first: u32, end: u32) -> Result<Option<RecordBatch>, ArrowError> {
    let Some(schema) = batches.first().map(RecordBatch::schema) else { return Ok(None) };
    let merged = by_group(concat_batches(&schema, &batches)?)?;
    let groups = merged.column(GROUP).as_primitive::<UInt32Type>().values();
    debug_assert!(groups.iter().all(|group| (first..end).contains(group)));
    Ok(Some(merged))
}

/// What lies in the runs, chunk by chunk.
pub(super) struct Chunks {
    runs: Vec<Cursor>,
    bounds: Vec<(u32, u32)>,
    next: usize,
}

enum Cursor {
    Memory(RecordBatch),
    File(Box<StreamReader<BufReader<File>>>, Option<RecordBatch>),
    /// Not opened yet.
    Closed(Option<File>),
}

impl Chunks {
    /// `bounds`: the groups of each chunk, ascending.
    pub(super) fn new(runs: Vec<Run>, bounds: Vec<(u32, u32)>) -> Self {
        let cursor = |run| match run {
            Run::Memory(batch) => Cursor::Memory(batch),
            Run::File(file) => Cursor::Closed(Some(file)),
        };
        Chunks { runs: runs.into_iter().map(cursor).collect(), bounds, next: 0 }
    }

    /// The next chunk's number and events; None at the end. Blocking.
    pub(super) fn next(&mut self) -> Result<Option<(usize, Vec<RecordBatch>)>, TrainingError> {
        let Some((_, end)) = self.bounds.get(self.next).copied() else { return Ok(None) };
        let mut batches = Vec::new();
        for cursor in &mut self.runs {
            cursor.take_before(end, &mut batches)?;
        }
        self.next += 1;
        Ok(Some((self.next - 1, batches)))
    }
}

impl Cursor {
    fn take_before(&mut self, end: u32, out: &mut Vec<RecordBatch>) -> Result<(), TrainingError> {
        if let Cursor::Closed(file) = self {
            let Some(file) = file.take() else { return Ok(()) };
            let reader = StreamReader::try_new(BufReader::new(file), None).map_err(arrow)?;
            *self = Cursor::File(Box::new(reader), None);
        }
        match self {
            Cursor::Memory(batch) => *batch = split(batch, end, out),
            Cursor::File(reader, rest) => loop {
                let batch = match rest.take() {
                    Some(batch) => batch,
                    None => match reader.next() {
                        None => break,
                        Some(batch) => batch.map_err(arrow)?,
                    },
                };
                let after = split(&batch, end, out);
                if after.num_rows() > 0 {
                    *rest = Some(after);
                    break;
                }
            },
            Cursor::Closed(_) => {}
        }
        Ok(())
    }
}

/// Puts the rows of groups before `end` out, and gives the rest.
fn split(batch: &RecordBatch, end: u32, out: &mut Vec<RecordBatch>) -> RecordBatch {
    let groups = batch.column(GROUP).as_primitive::<UInt32Type>();
    let rows = groups.values().partition_point(|group| *group < end);
    if rows > 0 {
        out.push(batch.slice(0, rows));
    }
    batch.slice(rows, groups.len() - rows)
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn arrow(error: ArrowError) -> TrainingError {
    match error {
        ArrowError::IoError(_, source) => spill(source),
        error => OfflineError::DataFusion(error.into()).into(),
    }
}

pub(super) fn spill(source: std::io::Error) -> TrainingError {
    TrainingError::Spill { folder: std::env::temp_dir(), source }
}
