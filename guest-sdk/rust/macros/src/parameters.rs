//! `#[derive(Parameters)]`

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{DeriveInput, Result, spanned::Spanned};

use crate::fields::{Role, Struct};

pub(crate) fn derive(item: DeriveInput) -> Result<TokenStream> {
    let parameters = Struct::parse(item, Role::Parameters)?;
    let ident = &parameters.ident;
    let names = parameters.fields.iter().map(|field| &field.name);
    let taken = parameters.fields.iter().map(|field| {
        let (ident, ty, name, doc) = (&field.ident, &field.ty, &field.name, &field.doc);
        quote_spanned!(ty.span()=> #ident: given.take::<#ty>(#name, #doc)?)
    });
    Ok(quote! {
        #[automatically_derived]
        impl ::tandem_sdk::parameters::Parameters for #ident {
            fn from_parameters(
                given: &[::tandem_sdk::contract::Parameter],
            ) -> ::std::result::Result<Self, ::tandem_sdk::CallError> {
                #[allow(unused_variables)]
                let given = ::tandem_sdk::__private::Given::new(given, &[#(#names),*])?;
                ::std::result::Result::Ok(Self {
                    #(#taken,)*
                })
            }
        }
    })
}
