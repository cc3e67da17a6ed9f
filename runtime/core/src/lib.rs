//! What every number in Tandem means.
//!
//! This crate is pure: no I/O, no clock, no wasmtime, no async. It decides what a value is; every other crate only moves
//! values. In the order in which data flows:
//!
//! - [`definition`]: the files a user writes, parsed with spans and checked
//! - [`model`]: what they mean once checked: entities, sources, feature views
//! - [`types`], [`parameter`]: types of columns, signatures of transforms, parameters
//! - [`limits`]: every limit of a transform, with its unit and default
//! - [`time`]: timestamps, durations, ranges of days
//! - [`canonical`], [`key`], [`order`]: canonical bytes of values, entity keys, the total order of feature rows
//! - [`history`]: what becomes of published rows when their partition is computed again
//! - [`versions`]: corrections and retractions of events that have an id
//! - [`status`]: what an online value is served as
//! - [`checks`]: rows against what is expected of them
//! - [`point_in_time`]: which row of a view a label gets
//! - [`feature_plan`]: what features take: columns of the request, stored rows, on-demand views in their order
//! - [`window`]: aggregates of events over windows of time
//! - [`hash`]: digests of components and definition hashes
//! - [`suggest`]: near names for hints, everywhere the same
//! - [`json`]: the exact encoding of values in JSON
//! - [`sample`]: sample rows, generated from a signature

pub mod canonical;
pub mod checks;
pub mod contract;
pub mod defaults;
pub mod definition;
pub mod feature_plan;
pub mod hash;
pub mod history;
pub mod json;
pub mod key;
pub mod limits;
pub mod model;
pub mod order;
pub mod parameter;
pub mod point_in_time;
pub mod sample;
pub mod status;
pub mod suggest;
pub mod time;
pub mod types;
pub mod versions;
pub mod window;
