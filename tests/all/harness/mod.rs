//! What tests share.

pub(crate) mod componentize;
pub(crate) mod guests;
pub(crate) mod killing;
pub(crate) mod native;
pub(crate) mod numbers;
pub(crate) mod program;
pub(crate) mod project;
pub(crate) mod rows;
pub(crate) mod server;
pub(crate) mod tools;
pub(crate) mod transcript;
