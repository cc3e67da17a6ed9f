//! Memory for large answers, used again: a worker fills it, the socket empties it on another thread, and the next worker gets it back.
//!
//! Left to the allocator, memory of this size goes back to the system when the other thread frees it, and each of its pages is a fault for the worker that
//! writes the next answer: at eight connections a seventh of the server's time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;

/// Smaller answers are left to the allocator, which keeps memory of their size by itself. In bytes.
const BYTES_MIN: usize = 64 << 10;

/// Larger memory is not kept. In bytes.
const BYTES_MAX: usize = 4 << 20;

/// Pieces of memory that are kept at most.
const KEPT_MAX: usize = 16;

/// Memory that no answer has now.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    free: Mutex<Vec<Vec<u8>>>,
}

impl Buffers {
    /// An empty buffer for an answer of about so many bytes; it may have room for less, and grow.
    pub(super) fn take(&self, bytes: usize) -> Vec<u8> {
        let used = if bytes < BYTES_MIN { None } else { self.free().pop() };
        used.unwrap_or_else(|| Vec::with_capacity(bytes))
    }

    /// The body of an answer, whose memory comes back when it was sent.
    pub(super) fn body(self: &Arc<Self>, answer: Vec<u8>) -> Bytes {
        if (BYTES_MIN..=BYTES_MAX).contains(&answer.capacity()) {
            Bytes::from_owner(Lent { answer, of: Arc::clone(self) })
        } else {
            Bytes::from(answer)
        }
    }

    fn give_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut free = self.free();
        if free.len() < KEPT_MAX {
            free.push(buffer);
        }
    }

    fn free(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Lent {
    answer: Vec<u8>,
    of: Arc<Buffers>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.answer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.of.give_back(std::mem::take(&mut self.answer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_large_answers_is_used_again_when_they_were_sent() {
        let buffers = Arc::new(Buffers::default());
        let mut answer = buffers.take(BYTES_MIN);
        answer.extend_from_slice(b"first");
        let place = answer.as_ptr();
        let body = buffers.body(answer);
        let part = body.slice(1..3);
        assert_eq!((&body[..], &part[..]), (&b"first"[..], &b"ir"[..]));
        drop(body);
        assert!(buffers.free().is_empty(), "a part is still to be sent");
        drop(part);
        let again = buffers.take(2 * BYTES_MIN);
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
    }

    #[test]
    fn small_and_very_large_memory_is_not_kept_nor_more_than_some() {
        let buffers = Arc::new(Buffers::default());
        for bytes in [0, BYTES_MIN - 1, BYTES_MAX + 1] {
            assert!(buffers.body(Vec::with_capacity(bytes)).is_empty());
            assert_eq!(buffers.free().len(), 0, "{bytes}");
        }
        let bodies: Vec<Bytes> = (0..KEPT_MAX + 3).map(|_| buffers.body(buffers.take(BYTES_MIN))).collect();
        drop(bodies);
        assert_eq!(buffers.free().len(), KEPT_MAX);
    }
}
