//! The edges of docs/architecture.md, read from manifests and sources: who may use whom, and what is absent where.
//!
//! Each rule gives the places that break it, and is tried on text that does.

mod code;
mod manifests;
mod places;
mod source;
