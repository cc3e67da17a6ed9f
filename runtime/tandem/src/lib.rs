//! The program: a command line and an HTTP server, thin over the other crates.
//!
//! What the command line orchestrates lives here as library functions, so that other fronts can call them. In the order in which data flows:
//!
//! - [`scaffold`]: a new transform's folder, with the SDK in it
//! - [`project`]: definition files and components from disk, bound to each other
//! - [`registry`]: the definition files against what is registered; registering
//! - [`describe`]: what a component takes and gives, for people and programs
//! - [`rows`]: rows of a file (Parquet, CSV, JSON) as a transform's inputs
//! - [`import`](mod@import): rows of a file into a source, as Parquet
//! - [`bench`](mod@bench): what a transform costs a row
//! - [`mod@verify`]: what a proof found, for people and programs
//! - [`training`]: training sets: what is asked for, labels of any format, manifests
//! - [`materialize`]: published feature rows into the online store
//! - [`expiry`]: rows that are too old leave the online store, but for what orders them
//! - [`lookup`]: what the online store has for entities, as statuses and columns
//! - [`server`]: the HTTP server
//! - [`feature_log`]: what was served, as Parquet files
//! - [`following`]: a server's views, replaced when another registration is there
//! - [`tokens`]: the file of clients' tokens; [`watched`]: files that may be replaced meanwhile
//! - [`notify`]: what the service manager is told
//! - [`client`]: a running server, for commands that ask one
//! - [`parity`]: asks a server for rows of a batch and compares bits
//! - [`cli`], [`commands`], [`output`]: the command line; `output` alone prints
//! - [`error`]: what can go wrong, exit codes and hints

pub mod bench;
pub mod cli;
pub mod client;
pub mod commands;
pub mod describe;
pub mod error;
pub mod expiry;
pub mod feature_log;
pub mod following;
pub mod import;
pub mod ingest;
pub mod lookup;
pub mod materialize;
pub mod notify;
pub mod output;
pub mod parity;
pub mod project;
pub mod push;
pub mod registry;
pub mod roll;
pub mod rows;
pub mod scaffold;
pub mod server;
pub mod tokens;
pub mod training;
pub mod verify;
pub mod watched;

pub use error::Error;
