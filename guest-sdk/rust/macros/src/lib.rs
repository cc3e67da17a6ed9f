//! The macros of `tandem-sdk`, which exports and documents them.

mod aggregate;
mod doc;
mod fields;
mod input;
mod lifetimes;
mod output;
mod parameters;
mod reserved;
mod transform;
mod types;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a struct the row that a transform takes, and gives the struct of its columns (`Transaction`:
/// `TransactionColumns<'a>`).
///
/// Each field is an input column of the same name: `#[tandem(name = "...")]` gives it another one. Doc comments of the
/// fields are the docs of the columns. The struct may have one lifetime, for what it borrows from the columns.
#[proc_macro_derive(Input, attributes(tandem))]
pub fn derive_input(item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as DeriveInput);
    input::derive(item).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a struct the features that a transform gives for a row, and gives the struct of their columns (`Features`:
/// `FeaturesColumns`).
///
/// Each field is an output column of the same name: `#[tandem(name = "...")]` gives it another one. Doc comments of the
/// fields are the docs of the features. The struct may have one lifetime, for what it borrows from the row.
#[proc_macro_derive(Output, attributes(tandem))]
pub fn derive_output(item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as DeriveInput);
    output::derive(item).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a struct the parameters of a transform: each field is a parameter of the same name (or that of
/// `#[tandem(name = "...")]`), an `Option` one that may be left out.
#[proc_macro_derive(Parameters, attributes(tandem))]
pub fn derive_parameters(item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as DeriveInput);
    parameters::derive(item).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a struct what an aggregate keeps of events, as bytes: those of its fields, one after another.
#[proc_macro_derive(State)]
pub fn derive_state(item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as DeriveInput);
    aggregate::derive_state(item).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes an implementation of `Aggregate` the function of its crate: built for `wasm32`, the crate exports it. Its doc comment is the doc of the signature.
#[proc_macro_attribute]
pub fn aggregate(form: TokenStream, item: TokenStream) -> TokenStream {
    let implementation: proc_macro2::TokenStream = item.clone().into();
    match aggregate::expand(form.into(), item.into()) {
        Ok(expanded) => expanded.into(),
        Err(error) => {
            let error = error.into_compile_error();
            quote::quote!(#implementation #error).into()
        }
    }
}

/// Makes a function the transform of its crate: `#[transform]` on a function over a row, `#[transform(columns)]` on one
/// over columns.
///
/// The function stays as it is. Beside it stands a type of the same name that implements `Transform`, for tests; built
/// for `wasm32`, the crate exports the transform, so there is one in a crate. The function's doc comment is the doc of
/// the signature.
#[proc_macro_attribute]
pub fn transform(form: TokenStream, item: TokenStream) -> TokenStream {
    let function: proc_macro2::TokenStream = item.clone().into();
    match transform::expand(form.into(), item.into()) {
        Ok(expanded) => expanded.into(),
        // The function stays, so that the one error is not followed by those of its callers.
        Err(error) => {
            let error = error.into_compile_error();
            quote::quote!(#function #error).into()
        }
    }
}
