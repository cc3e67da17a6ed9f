//! The integration tests: components that are really built, through everything that Tandem is.
//!
//! - `harness`: guests, generated rows, projects, the program
//! - `edges`: who may use whom, read from manifests and sources
//! - `engine`: components through the engine, well-behaved and hostile ones
//! - `parity`: batch, HTTP and online store give the same bits
//! - `examples`, `flights`: the examples, one of them on real data
//! - `crash`: batches that are killed
//! - `cli`: what the program says
//! - `bad_input`: what it says and leaves behind where it is given what it cannot use
//! - `aggregates`: events over windows of time, in training sets
//! - `component_aggregates`: functions of aggregates that components compute
//! - `event_transforms`: the same of events that a component makes of the source's rows
//! - `authors`: `tandem new`, `tandem test`
//! - `operations`: what whoever runs a server relies on: readiness, signals, the service manager
//! - `other_languages`: transforms in JavaScript, TypeScript and C
//! - `registry`: versions, plan and apply, and what a killed apply leaves
//! - `serving`: features asked for over HTTP, in time and too late
//! - `training_sets`: labels and what was known at their times, against the server and against what was made before
//! - `tls`: encrypted connections, with OpenSSL as the client
//! - `verify`: proof before going live, against guests that cheat
//! - `verify_aggregates`: the same of functions of aggregates
//! - `pushing`: rows that are pushed into a running server, and the history that they become
//! - `python`: transforms in Python
//! - `rebuilt`: generations of views, rows whose values are removed, copies; restore and expire, killed
//! - `docs`: the book holds together
//! - `guide`: the guide and the README are run
//! - `history`: rows that are corrected or taken back, offline and online
//! - `import`: `tandem import`
//! - `limits`: the page of limits says what the code says
//! - `materialize`: incremental runs, killed runs and a limit of rows
//! - `metrics`: Prometheus, Debian's, scrapes a server and is asked what the reference asks

mod aggregates;
mod authors;
mod bad_input;
mod cli;
mod columns;
mod component_aggregates;
mod contracts;
mod crash;
mod docs;
mod edges;
mod engine;
mod event_transforms;
mod examples;
mod flights;
mod guide;
mod harness;
mod history;
mod import;
mod ingest;
mod limits;
mod materialize;
mod metrics;
mod operations;
mod other_languages;
mod parity;
mod pushing;
mod python;
mod queries;
mod rebuilt;
mod registry;
mod serving;
mod tls;
mod training_sets;
mod verify;
mod verify_aggregates;
