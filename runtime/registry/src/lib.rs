//! What is registered: definitions, components and what was proved of them, in one folder that several processes may share.
//!
//! A registry is a list of registrations. Each says all that holds from one moment on; its parts are immutable files, named by the digest of their
//! bytes. One small file names the newest, and is replaced by renaming: whoever reads sees one registration or the next, never a mixture. The
//! format is in `docs/reference/registry.md`.
//!
//! In the order in which data flows:
//!
//! - [`store`]: [`Registry`], reading and registering
//! - [`registration`]: one registration: who, when, why, and what
//! - [`record`]: a version of a view as it was registered
//! - [`state`]: [`State`], all that one registration holds, and the definitions of it
//! - [`mod@plan`]: what differs between what is registered and what the definition files say; pure
//! - [`lineage`]: where values come from and where they go
//! - [`error`]: what can go wrong

mod disk;
mod layout;
mod lock;

pub mod error;
pub mod lineage;
pub mod plan;
pub mod record;
pub mod registration;
pub mod state;
pub mod store;

pub use error::RegistryError;
pub use lineage::Lineage;
pub use lock::LOCK_SECONDS_MAX;
pub use plan::{Definitions, Plan, Severity, plan};
pub use record::ViewRecord;
pub use registration::{Header, Kind, RecordedChange};
pub use state::{Content, Registered, State};
pub use store::{Change, Head, Registry};
