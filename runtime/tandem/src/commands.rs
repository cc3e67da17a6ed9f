//! One file for each command.

pub mod apply;
pub mod batch;
pub mod bindings;
pub mod build;
pub mod catalog;
pub mod check;
pub mod describe;
pub mod explain;
pub mod get;
pub mod history;
pub mod import;
pub mod ingest;
pub mod lineage;
pub mod log;
pub mod materialize;
pub mod new;
pub mod online;
pub mod parity;
pub mod plan;
pub mod rollback;
pub mod serve;
pub mod show;
pub mod test;
pub mod token;
pub mod training_set;
pub mod verify;
