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

/// The world of functions of aggregates, over the same types.
pub mod aggregate {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "aggregate",
        pub_export_macro: true,
        default_bindings_module: "tandem_sdk::bindings::aggregate",
        with: {
            "tandem:feature/columns@0.1.0": super::tandem::feature::columns,
            "tandem:feature/signatures@0.1.0": super::tandem::feature::signatures,
            "tandem:feature/outcomes@0.1.0": super::tandem::feature::outcomes,
        },
    });
}

use aggregate::exports::tandem::feature::aggregation;

use crate::{Aggregate, Transform, error::CallError};

impl<A: Aggregate> aggregation::Guest for A {
    fn describe(parameters: Vec<Parameter>) -> Result<Signature, Failure> {
        crate::aggregate::describe::<A>(&parameters).map_err(CallError::into_failure)
    }

    fn empty(parameters: Vec<Parameter>) -> Result<Vec<u8>, Failure> {
        crate::aggregate::empty::<A>(&parameters).map_err(CallError::into_failure)
    }

    fn add(
        parameters: Vec<Parameter>,
        states: VarBytes,
        groups: Vec<u32>,
        inputs: Vec<Column>,
    ) -> Result<VarBytes, Failure> {
        crate::aggregate::add::<A>(&parameters, &states, &groups, &inputs).map_err(CallError::into_failure)
    }

    fn merge(parameters: Vec<Parameter>, states: VarBytes, others: VarBytes) -> Result<VarBytes, Failure> {
        crate::aggregate::merge::<A>(&parameters, &states, &others).map_err(CallError::into_failure)
    }

    fn finish(parameters: Vec<Parameter>, states: VarBytes, as_of: Vec<i64>) -> Result<Column, Failure> {
        crate::aggregate::finish::<A>(&parameters, &states, &as_of).map_err(CallError::into_failure)
    }
}

use tandem::feature::columns::VarBytes;

impl<T: Transform> Guest for T {
    fn describe(parameters: Vec<Parameter>) -> Result<Signature, Failure> {
        T::describe(&parameters).map_err(CallError::into_failure)
    }

    fn apply(parameters: Vec<Parameter>, rows: u32, inputs: Vec<Column>) -> Result<Outcome, Failure> {
        T::apply(&parameters, rows, &inputs).map_err(CallError::into_failure)
    }
}
