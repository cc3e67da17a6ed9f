//! Window aggregates: what is computed of the events of an entity before an instant. The one kernel of both paths.
//!
//! - [`Aggregates`], [`AggregateFeature`], [`Function`]: what an aggregate view says
//! - [`Filter`]: which events count
//! - [`Window`], [`Spans`]: which events a window takes in at an instant
//! - [`State`]: what is kept of events; a function of their set, whatever their order and grouping. Tiles are made of them
//! - [`Plan`]: the states that features take together, and how features are finished from them
//! - [`Grid`]: instants at which a view is computed in batch
//! - [`Sweep`]: the windows of an entity at many instants, in one pass
//!
//! - [`AggregateFunction`]: a function that a component computes
//!
//! Sums are exact and rounded once (`exact`), distinct values and quantiles are sketched by what does not depend on order (`distinct`, `sketch`), hashes are
//! fixed (`hash`).

mod aggregates;
mod bytes;
mod custom;
mod distinct;
mod exact;
mod filter;
mod finish;
mod grid;
mod hash;
mod plan;
mod prefix;
mod sketch;
mod span;
mod state;
mod sweep;
#[cfg(test)]
mod tests;
mod value;

pub use aggregates::{
    AggregateFeature, Aggregates, COUNTED_DEFAULT, ComponentFunction, EXACT_DEFAULT, EXACT_MAX, Function,
    LATENESS_DEFAULT, VALUES_MAX,
};
pub use custom::{AggregateFunction, EVENT_TIME_INPUT, Given, STATE_BYTES_DEFAULT, STATE_BYTES_MAX};
pub use exact::Exact;
pub use filter::{EventColumn, Filter, FilterError};
pub use grid::Grid;
pub use plan::{Answers, Events, NotAState, NotAnswered, Plan, TooLarge};
pub use span::{Bounds, Precision, Span, Spans, Window, floor};
pub use state::{EventTimes, STATE_VERSION, State};
pub use sweep::{Counted, Sweep};
