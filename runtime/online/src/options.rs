//! Every limit of the store: what it bounds, its unit and its default.

use tandem_core::definition::Fsync;

/// Smallest map that an environment is opened with, in bytes; LMDB itself takes more where the data needs it.
pub const MAP_BYTES_MIN: usize = 1 << 20;

/// Limits of a store. The defaults suit a server; a limit that is crossed ends in an error that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOptions {
    /// `map_bytes`: address space that is reserved for the data at first, in bytes. It is sparse: neither memory nor disk
    /// until it is used. Where the system refuses so much, the store takes half, and half again. At least [`MAP_BYTES_MIN`].
    pub map_bytes: usize,
    /// `map_bytes_max`: how far the map may grow by itself when it is full, in bytes.
    pub map_bytes_max: usize,
    /// `readers_max`: read transactions open at one moment, over all processes that have the store open. The first process that opens it decides.
    pub readers_max: u32,
    /// `batch_rows_max`: rows in one batch, and rows that the writer commits at once.
    pub batch_rows_max: usize,
    /// `batch_bytes_max`: bytes of keys and rows in one batch, and bytes that the writer commits at once.
    pub batch_bytes_max: usize,
    /// `key_bytes_max`: bytes of one entity key.
    pub key_bytes_max: usize,
    /// `row_bytes_max`: canonical bytes of one row.
    pub row_bytes_max: usize,
    /// `fsync`: what a commit waits for.
    pub fsync: Fsync,
    /// `queue_batches_max`: batches that wait for the writer before a caller waits (or is refused, see [`crate::Writer::try_submit`]).
    pub queue_batches_max: usize,
}

impl Default for StoreOptions {
    fn default() -> Self {
        StoreOptions {
            map_bytes: 64 << 30,
            map_bytes_max: 16 << 40,
            readers_max: 1_024,
            batch_rows_max: 65_536,
            batch_bytes_max: 64 << 20,
            key_bytes_max: 64 << 10,
            row_bytes_max: 16 << 20,
            fsync: Fsync::Always,
            queue_batches_max: 64,
        }
    }
}
