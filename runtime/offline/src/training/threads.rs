//! Work on several threads at once.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use tandem_engine::STACK_BYTES;

use super::TrainingError;
use crate::error::OfflineError;

/// What `work` gives on each of so many threads, one of them this one.
pub(crate) fn on_threads<T: Send>(
    threads: usize,
    work: impl Fn() -> Result<T, TrainingError> + Sync,
) -> Result<Vec<T>, TrainingError> {
    let done: Vec<Result<T, TrainingError>> = std::thread::scope(|scope| {
        // With room for calls of components: one may make the events that are read.
        let start = |_| std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, &work);
        let running: Vec<_> = (1..threads).map(start).collect();
        let first = work();
        let rest = running.into_iter().map(|thread| {
            let thread = thread.map_err(|error| OfflineError::Task(format!("the system gives no thread: {error}")))?;
            thread.join().unwrap_or_else(|_| Err(OfflineError::Task("a reader panicked".to_owned()).into()))
        });
        std::iter::once(first).chain(rest).collect()
    });
    done.into_iter().collect()
}

/// What `work` gives for each index below `count`, in their order, with so many threads.
pub(super) fn in_parallel<T: Send>(
    threads: usize,
    count: usize,
    work: impl Fn(usize) -> Result<T, TrainingError> + Sync,
) -> Result<Vec<T>, TrainingError> {
    let next = AtomicUsize::new(0);
    let parts = on_threads(threads.clamp(1, count.max(1)), || {
        let indices =
            std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed)).take_while(|index| *index < count);
        indices.map(|index| Ok((index, work(index)?))).collect::<Result<Vec<_>, TrainingError>>()
    })?;
    let mut all: Vec<(usize, T)> = parts.into_iter().flatten().collect();
    all.sort_by_key(|(index, _)| *index);
    Ok(all.into_iter().map(|(_, done)| done).collect())
}

/// So many things in as many pieces as there are threads; fewer, where there are fewer of them.
pub(super) fn pieces(threads: usize, count: usize) -> Vec<Range<usize>> {
    let size = count.div_ceil(threads.max(1)).max(1);
    (0..count).step_by(size).map(|start| start..count.min(start + size)).collect()
}

/// What `work` gives for each of the [`pieces`] of `values`, in their order; it is told where its piece begins.
pub(super) fn over_pieces<V: Send, T: Send>(
    threads: usize,
    values: &mut [V],
    work: impl Fn(usize, &mut [V]) -> T + Sync,
) -> Result<Vec<T>, TrainingError> {
    let ranges = pieces(threads, values.len());
    let mut rest = values;
    let cut = |piece: Range<usize>| {
        let values;
        (values, rest) = std::mem::take(&mut rest).split_at_mut(piece.len());
        Mutex::new(Some((piece.start, values)))
    };
    let pieces: Vec<_> = ranges.into_iter().map(cut).collect();
    in_parallel(threads, pieces.len(), |index| {
        let piece = pieces[index].lock().unwrap_or_else(PoisonError::into_inner).take();
        let (start, piece) = piece.expect("each piece is taken once");
        Ok(work(start, piece))
    })
}
