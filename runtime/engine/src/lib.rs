//! The one way to user code: components in, Arrow record batches through them.
//!
//! Batch and on demand both call [`Transform`]; neither has a way of its own. In the order in which data flows:
//!
//! - [`EngineOptions`]: limits of the process, with units and defaults
//! - [`Engine`]: wasmtime, one compile profile for each NaN mode, the cache of compiled code
//! - [`Component`]: a loaded component; [`Component::bind`] gives it its parameters
//! - [`Transform`], [`Session`]: record batches through it, rows at fault isolated
//! - [`AggregateComponent`], [`Aggregate`]: functions of aggregates that components compute
//! - [`Evaluation`]: on-demand views over stored ones, in the order of their plan
//! - [`convert`]: any Arrow array to the canonical type of an input, losslessly or not at all
//! - [`mod@verify`]: that a component computes row by row, and the same bits however it is called
//! - [`Workers`], [`OnDemand`]: threads for the blocking calls, and requests that share one
//!
//! No statics. Threads are started by [`Engine::new`] (one, which ticks the clock behind deadlines) and [`Workers::start`], and by nothing else
//! that lasts. A process is started for each component that is compiled, where [`EngineOptions::compiler`] names the program.
//! This is the only crate that names wasmtime.

mod aggregate;
mod bindings;
mod bits;
mod breaker;
mod cache;
mod call;
mod clean;
mod compile;
mod component;
pub mod convert;
mod engine;
mod error;
mod evaluation;
mod events;
mod instance;
mod lift;
mod lower;
mod on_demand;
mod options;
mod reuse;
mod signature;
mod transform;
mod trial;
pub mod verify;
mod workers;

pub use aggregate::{Aggregate, AggregateComponent, AggregateSession};
pub use breaker::BreakerOptions;
pub use cache::CacheEvent;
pub use call::{CallError, LimitName};
pub use compile::{COMPILE_ARGUMENT, CompileFault, compile_for_parent};
pub use component::Component;
pub use engine::{CONTRACT, Engine};
pub use error::EngineError;
pub use evaluation::{Evaluation, Inputs, StoredColumns, Unknown};
pub use on_demand::{OnDemand, OnDemandOptions};
pub use options::{Allocation, CORE_INSTANCES_MAX, EngineOptions, MEMORIES_MAX, TABLES_MAX};
pub use reuse::ReuseOptions;
pub use transform::{Fault, Outcome, RowFailure, Session, Transform};
pub use trial::TrialOptions;
pub use workers::{BEHIND_NICE, RunError, STACK_BYTES, WorkerPanic, Workers, WorkersLoad};
