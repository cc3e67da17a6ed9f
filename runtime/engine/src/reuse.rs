//! Instances that wait for another call.
//!
//! A component that carries a language's runtime starts slowly, and one row is soon computed. Where its caller says so, an instance whose
//! call succeeded is kept for the next one: for as many calls as `verify` tries with one instance, and no more. All transforms of an engine
//! share the room for those that wait; the one that waited longest makes place.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::instance::Instance;
use crate::transform::{Identity, Transform};

/// Bounds of reuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReuseOptions {
    /// Calls that one instance gets at most. Default: 256, as many as [`crate::verify::VerifyOptions::calls`] tries with one.
    pub calls_max: u32,
    /// Bytes of memory beyond which an instance is not kept. Default: 64 MiB.
    pub memory_bytes_max: u64,
}

impl Default for ReuseOptions {
    fn default() -> Self {
        ReuseOptions { calls_max: 256, memory_bytes_max: 64 << 20 }
    }
}

/// The instances of an engine that wait, the one that waits longest first.
pub(crate) struct Waiting {
    max: usize,
    instances: Mutex<VecDeque<(Identity, Instance)>>,
}

impl Waiting {
    /// Room for so many.
    pub(crate) fn new(max: usize) -> Waiting {
        Waiting { max, instances: Mutex::default() }
    }

    /// An instance of this transform, if one waits: the one that was used last.
    pub(crate) fn take(&self, transform: &Transform) -> Option<Instance> {
        let mut instances = self.lock();
        let place = instances.iter().rposition(|(of, _)| of.is(transform))?;
        instances.remove(place).map(|(_, instance)| instance)
    }

    /// Keeps an instance.
    pub(crate) fn put(&self, transform: &Transform, instance: Instance) {
        let mut instances = self.lock();
        instances.push_back((transform.identity(), instance));
        let longest = if instances.len() > self.max { instances.pop_front() } else { None };
        drop(instances);
        drop(longest); // outside the lock: its memory is given back, which takes its time
    }

    /// Ends those of a transform that nobody calls any more.
    pub(crate) fn forget(&self, transform: &Transform) {
        let mut instances = self.lock();
        let (forgotten, kept): (Vec<_>, Vec<_>) = instances.drain(..).partition(|(of, _)| of.is(transform));
        instances.extend(kept);
        drop(instances);
        drop(forgotten);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<(Identity, Instance)>> {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
