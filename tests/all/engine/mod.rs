//! Components through the engine.

mod attacks;
mod cache;
mod hostile;
mod hostile_aggregates;
mod on_demand;
mod refused;
mod values;
pub(crate) mod wat_guests;
