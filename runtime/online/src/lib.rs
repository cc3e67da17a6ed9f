//! The online store: the newest feature row of every entity, in LMDB, for point lookups.
//!
//! The store moves bytes; what a value means is decided in [`tandem_core`]. A row is a [`Record`]: what orders it among
//! the rows of its entity, which component computed it, and the canonical bytes of its values. A row is written only if
//! it is greater than the stored one in the total order of [`tandem_core::order`], so late data and replays never move a
//! value back. The format is drawn byte by byte in `docs/reference/online-store.md`.
//!
//! In the order in which data flows:
//!
//! - [`options`]: every limit of the store, with its unit and default
//! - [`record`]: a stored value and its bytes
//! - [`view`]: the views in a store and their numbers
//! - [`store`]: open, `get_many`, `put_if_newer`
//! - [`generation`]: what is served, and what is rebuilt beside it
//! - [`windows`]: events of views of aggregates, and tiles over them
//! - [`log`](mod@log): rows that were pushed, on their way into the offline history
//! - [`taken`]: which files of the offline history were materialized
//! - [`writer`], [`ticket`]: one thread that commits many batches at once, and what its callers hold
//! - [`error`]: what can go wrong
//!
//! An LMDB environment does not survive a fork: open the store in the process that uses it.

pub mod error;
pub mod generation;
pub mod log;
pub mod options;
pub mod record;
pub mod store;
pub mod taken;
pub mod ticket;
pub mod view;
pub mod windows;
pub mod writer;

mod environment;
mod exclusive;
mod format;
mod key;

pub use error::OnlineError;
pub use generation::{Generation, GenerationState, Generations, Target};
pub use log::{LogPiece, LogRow, LogStats};
pub use options::StoreOptions;
pub use record::{Corruption, Record, RecordHead, RecordOf, RecordRef};
pub use store::{AGE_BOUNDS_SECONDS, CopyReport, Expired, RestoredView, ViewStats};
pub use store::{
    EventsPut, Lookup, LookupOf, LookupRef, PushReport, PushTo, PutReport, PutRow, RowOutcome, Stats, Store, TakenBack,
};
pub use taken::{Taken, TakenFile};
pub use ticket::Ticket;
pub use view::{View, ViewId, ViewIdentity};
pub use windows::{DROPPED_MAX, Equals, FOLDED_MAX, Place, WindowView};
pub use writer::{Row, Writer};
