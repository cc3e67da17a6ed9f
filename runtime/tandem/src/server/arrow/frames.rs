//! The messages of an Arrow IPC stream, walked over without believing any length.
//!
//! The format is Arrow's "Encapsulated message format" (docs/source/format/IPC.rst): `0xffffffff`, the length of the
//! metadata (u32, little-endian), the metadata (a flatbuffer), the body, whose length the metadata says; a length of zero ends
//! the stream. Streams from before Arrow 0.15 lack the `0xffffffff`.

use arrow_ipc::{Message, MessageHeader, RecordBatch, root_as_message};

use super::malformed;
use crate::server::json::too_many_rows;
use crate::server::problem::Problem;

const CONTINUATION: u32 = u32::MAX;

/// Refuses a stream whose lengths reach beyond the body, whose buffers are compressed, or that has too many rows.
pub(super) fn check(body: &[u8], rows_max: usize) -> Result<(), Problem> {
    let mut rest = body;
    let mut rows: u64 = 0;
    let mut schemas = 0;
    loop {
        if rest.is_empty() {
            break; // the end mark is optional
        }
        let mut size = length(&mut rest)?;
        if size == CONTINUATION {
            size = length(&mut rest)?;
        }
        if size == 0 {
            if rest.is_empty() {
                break;
            }
            return Err(malformed("bytes follow its end"));
        }
        // A copy, because the flatbuffer must be aligned.
        let metadata = take(&mut rest, u64::from(size))?.to_vec();
        let message = root_as_message(&metadata).map_err(|error| malformed(&error.to_string()))?;
        let body_length = u64::try_from(message.bodyLength()).map_err(|_| malformed("a body has a negative length"))?;
        take(&mut rest, body_length)?;
        match message.header_type() {
            MessageHeader::Schema => schemas += 1,
            MessageHeader::DictionaryBatch => {
                let dictionary = message.header_as_dictionary_batch().and_then(|dictionary| dictionary.data());
                rows_of(dictionary)?;
            }
            MessageHeader::RecordBatch => rows = rows.saturating_add(rows_of(message.header_as_record_batch())?),
            _ => return Err(unknown(&message)),
        }
    }
    if schemas != 1 {
        return Err(malformed(if schemas == 0 { "it has no schema" } else { "it has more than one schema" }));
    }
    if rows > rows_max as u64 { Err(too_many_rows(rows_max)) } else { Ok(()) }
}

fn rows_of(batch: Option<RecordBatch<'_>>) -> Result<u64, Problem> {
    let batch = batch.ok_or_else(|| malformed("a message has no header"))?;
    if batch.compression().is_some() {
        return Err(malformed("its buffers are compressed, which is not taken"));
    }
    u64::try_from(batch.length()).map_err(|_| malformed("a batch has a negative length"))
}

fn unknown(message: &Message<'_>) -> Problem {
    malformed(&format!("a message of type {:?}", message.header_type()))
}

fn length(rest: &mut &[u8]) -> Result<u32, Problem> {
    let bytes = take(rest, 4)?;
    Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

fn take<'a>(rest: &mut &'a [u8], count: u64) -> Result<&'a [u8], Problem> {
    let taken = usize::try_from(count).ok().and_then(|count| rest.split_at_checked(count));
    let (taken, tail) = taken.ok_or_else(|| malformed("it ends too early"))?;
    *rest = tail;
    Ok(taken)
}
