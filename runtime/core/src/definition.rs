//! The files a user writes, parsed with spans and checked; what comes out is [`crate::model`].
//!
//! There are two kinds. `tandem.toml` says how a project runs ([`Settings`]); feature files say what features are
//! (entities, sources, feature views). Their reference is `docs/reference/definitions.md`. This module does no I/O:
//!
//! 1. read `tandem.toml` and ask [`features_folder`] where the feature files are;
//! 2. read its `*.toml` files, sorted by name, and give everything to [`parse_project`], which reports all mistakes of
//!    all files at once;
//! 3. load the component of a view and [`bind`] the view to what the component declares, after the views that it reads; what does
//!    not go together has its place in the files ([`locate`]). [`bind_service`] does the same for a feature service.
//!
//! [`render_view`] writes a checked view as text that [`parse_registered`] reads back, alone of its project's files.

mod aggregates;
mod bind;
mod bind_service;
mod checks;
mod columns;
mod contract;
mod defaults;
mod diagnostic;
mod entity;
mod graph;
mod locate;
mod names;
mod parameters;
mod project;
mod reader;
mod references;
mod registered;
mod render;
mod service;
mod settings;
mod source;
mod upstream;
mod view;

#[cfg(test)]
mod tests;

pub use bind::{BindError, bind, bind_with};
pub use bind_service::{ServiceColumn, ServiceError, bind_service};
pub use diagnostic::{DIAGNOSTICS_MAX, Diagnostic, Diagnostics};
pub use locate::{Defined, Key, Mistake, locate};
pub use project::{File, Sources, features_folder, parse_parameters, parse_project, parse_settings};
pub use reader::DURATION_DAYS_MAX;
pub use registered::{Registered, parse_registered};
pub use render::{render_alias, render_service, render_view};
pub use settings::{
    BatchSettings, EngineSettings, ExpirySettings, FeatureLogSettings, Fsync, PushSettings, ServerSettings, Settings,
    StorageSettings, TlsSettings,
};
