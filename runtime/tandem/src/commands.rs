//! One file for each command.

pub mod batch;
pub mod build;
pub mod check;
pub mod describe;
pub mod get;
pub mod import;
pub mod materialize;
pub mod new;
pub mod parity;
pub mod serve;
pub mod test;
pub mod verify;
