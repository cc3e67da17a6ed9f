//! The contract's types, generated from `wit/`. Inputs borrow the caller's columns, so that they cross as one copy.
#![allow(missing_docs, clippy::all, unreachable_pub, reason = "generated; the documentation is in wit/feature.wit")]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "tandem:feature/transform",
    ownership: Borrowing { duplicate_if_necessary: true },
});
