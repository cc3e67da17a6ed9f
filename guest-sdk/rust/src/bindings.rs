//! Rust types and the export macro, generated from the contract (`wit/feature.wit`).
#![allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    clippy::all,
    reason = "generated: what crosses the component boundary is read through raw pointers"
)]

wit_bindgen::generate!({
    path: "../../wit",
    world: "transform",
    pub_export_macro: true,
    default_bindings_module: "tandem_sdk::bindings",
    additional_derives: [PartialEq],
});

use crate::{Transform, error::CallError};

impl<T: Transform> Guest for T {
    fn describe(parameters: Vec<Parameter>) -> Result<Signature, Failure> {
        T::describe(&parameters).map_err(CallError::into_failure)
    }

    fn apply(parameters: Vec<Parameter>, rows: u32, inputs: Vec<Column>) -> Result<Outcome, Failure> {
        T::apply(&parameters, rows, &inputs).map_err(CallError::into_failure)
    }
}
