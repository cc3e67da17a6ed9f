//! `#[derive(Input)]`

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{DeriveInput, Lifetime, Result, spanned::Spanned};

use crate::{
    fields::{Role, Struct},
    lifetimes, reserved, types,
};

pub(crate) fn derive(item: DeriveInput) -> Result<TokenStream> {
    let row = Struct::parse(item, Role::Input)?;
    let (vis, ident, columns) = (&row.vis, &row.ident, row.columns());
    let arguments = row.lifetime.as_ref().map(|lifetime| quote!(<#lifetime>));
    let lifetime = match &row.lifetime {
        Some(lifetime) => lifetime.clone(),
        None => Lifetime::new("'tandem", Span::call_site()),
    };
    let title = format!("The columns of [`{ident}`] rows.");

    let names: Vec<_> = row.fields.iter().map(|field| &field.name).collect();
    let idents: Vec<_> = row.fields.iter().map(|field| &field.ident).collect();
    let indices = 0..row.fields.len();
    let declared = row.fields.iter().map(|field| {
        let (vis, ident, ty, doc) = (&field.vis, &field.ident, &field.ty, &field.doc);
        let column = quote_spanned!(ty.span()=> <#ty as ::tandem_sdk::input::InputValue<#lifetime>>::Column);
        quote!(#[doc = #doc] #vis #ident: #column)
    });
    let described = row.fields.iter().map(|field| {
        let (ty, name, doc) = (&field.ty, &field.name, &field.doc);
        quote_spanned!(ty.span()=> ::tandem_sdk::__private::input::field::<#ty>(#name, #doc))
    });
    let read = row.fields.iter().map(|field| {
        let (ident, ty) = (&field.ident, &field.ty);
        quote_spanned!(ty.span()=> #ident: ::tandem_sdk::__private::input::read::<#ty>(columns.#ident, row))
    });
    let as_of = row.fields.iter().filter(|field| field.name == reserved::AS_OF).map(|field| {
        let ty = lifetimes::replaced(&field.ty, "'static");
        quote_spanned!(ty.span()=> const _: fn() = ::tandem_sdk::__private::input::assert_as_of::<#ty>;)
    });

    // A type that only the compiler knows is asserted once, at its field. Everything else takes it as given: each use would
    // repeat the one error otherwise.
    let unknown: Vec<_> = row.fields.iter().map(|field| &field.ty).filter(|ty| !types::is_known(ty)).collect();
    let asserted = unknown.iter().map(|ty| {
        let ty = lifetimes::replaced(ty, "'static");
        quote_spanned!(ty.span()=> const _: fn() = ::tandem_sdk::__private::input::assert_value::<#ty>;)
    });
    let given = (!unknown.is_empty())
        .then(|| quote!(where #(for<'tandem_any> #unknown: ::tandem_sdk::input::InputValue<#lifetime>),*));
    let used = row.used();

    Ok(quote! {
        #[doc = #title]
        #[derive(Clone, Copy)]
        #[allow(missing_docs, missing_debug_implementations, dead_code, non_snake_case)]
        #vis struct #columns<#lifetime> #given {
            #(#declared,)*
        }

        #[automatically_derived]
        impl<#lifetime> ::tandem_sdk::input::InputColumns<#lifetime> for #columns<#lifetime> #given {
            fn fields() -> ::std::vec::Vec<::tandem_sdk::contract::Field> {
                ::std::vec![#(#described),*]
            }

            fn from_columns(
                rows: usize,
                columns: &#lifetime [::tandem_sdk::contract::Column],
            ) -> ::std::result::Result<Self, ::tandem_sdk::CallError> {
                let columns = ::tandem_sdk::__private::Columns::new(&[#(#names),*], columns, rows)?;
                ::std::result::Result::Ok(Self {
                    #(#idents: columns.view(#indices)?,)*
                })
            }
        }

        #[automatically_derived]
        impl<#lifetime> ::tandem_sdk::input::Input<#lifetime> for #ident #arguments #given {
            type Columns = #columns<#lifetime>;

            #[inline]
            fn read(columns: &Self::Columns, row: usize) -> Self {
                Self {
                    #(#read,)*
                }
            }
        }

        #(#as_of)*

        #(#asserted)*

        #used
    })
}
