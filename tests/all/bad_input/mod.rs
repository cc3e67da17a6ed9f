//! What the program says, and what it leaves behind, where it is given what it cannot use: always as a process, always the message that a
//! person reads.
//!
//! - `source`: columns, files, partitions
//! - `component`: components that are none, and components that misbehave
//! - `http`: requests to a server that stays up
//! - `online`: commands around the online store
//! - `serve`, `parity`: addresses, stores, servers
//! - `places`: files where folders should be
//! - `disk`: no room
//! - `faults`: a server whose disk is full, cannot be written, or holds what is damaged or old

mod component;
mod disk;
mod faults;
mod http;
mod online;
mod parity;
mod places;
pub(crate) mod project;
mod serve;
mod source;
