//! The contract's types, generated from `wit/`. Inputs borrow the caller's columns, so that they cross as one copy.
#![allow(missing_docs, clippy::all, unreachable_pub, reason = "generated; the documentation is in wit/feature.wit")]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "tandem:feature/transform",
    ownership: Borrowing { duplicate_if_necessary: true },
});

/// The world of functions of aggregates, over the same types.
pub(crate) mod aggregate {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "tandem:feature/aggregate",
        ownership: Borrowing { duplicate_if_necessary: true },
        with: {
            "tandem:feature/columns": super::tandem::feature::columns,
            "tandem:feature/signatures": super::tandem::feature::signatures,
            "tandem:feature/outcomes": super::tandem::feature::outcomes,
        },
    });
}
