//! `#[derive(Output)]`

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{DeriveInput, Result, spanned::Spanned};

use crate::{
    fields::{Role, Struct},
    lifetimes, types,
};

pub(crate) fn derive(item: DeriveInput) -> Result<TokenStream> {
    let row = Struct::parse(item, Role::Output)?;
    let (vis, ident, columns) = (&row.vis, &row.ident, row.columns());
    let generics = row.lifetime.as_ref().map(|lifetime| quote!(<#lifetime>));
    let title = format!("The columns of [`{ident}`] rows.");

    let names: Vec<_> = row.fields.iter().map(|field| &field.name).collect();
    let idents: Vec<_> = row.fields.iter().map(|field| &field.ident).collect();
    // The columns own what a row may borrow, whatever its lifetime.
    let types: Vec<_> = row.fields.iter().map(|field| lifetimes::replaced(&field.ty, "'static")).collect();
    let declared = row.fields.iter().zip(&types).map(|(field, ty)| {
        let (vis, ident, doc) = (&field.vis, &field.ident, &field.doc);
        let column = quote_spanned!(field.ty.span()=> <#ty as ::tandem_sdk::output::OutputValue>::Column);
        quote!(#[doc = #doc] #vis #ident: #column)
    });
    let described = row.fields.iter().zip(&types).map(|(field, ty)| {
        let (name, doc) = (&field.name, &field.doc);
        quote_spanned!(ty.span()=> ::tandem_sdk::__private::output::field::<#ty>(#name, #doc))
    });

    // As for inputs: one error at the field, none at the uses.
    let unknown: Vec<_> = types.iter().filter(|ty| !types::is_known(ty)).collect();
    let asserted = unknown
        .iter()
        .map(|ty| quote_spanned!(ty.span()=> const _: fn() = ::tandem_sdk::__private::output::assert_value::<#ty>;));
    // Bound to a lifetime, or the compiler would report a bound that does not hold at each of these items.
    let given =
        (!unknown.is_empty()).then(|| quote!(where #(for<'tandem_any> #unknown: ::tandem_sdk::output::OutputValue),*));
    let used = row.used();

    Ok(quote! {
        #[doc = #title]
        #[allow(missing_docs, missing_debug_implementations, non_snake_case)]
        #vis struct #columns #given {
            #(#declared,)*
        }

        #[automatically_derived]
        impl ::tandem_sdk::output::OutputColumns for #columns #given {
            fn fields() -> ::std::vec::Vec<::tandem_sdk::contract::Field> {
                ::std::vec![#(#described),*]
            }

            fn with_capacity(rows: usize) -> Self {
                Self {
                    #(#idents: ::tandem_sdk::columns::OutputColumn::with_capacity(rows),)*
                }
            }

            fn push_empty(&mut self) {
                #(::tandem_sdk::columns::OutputColumn::push_empty(&mut self.#idents);)*
            }

            fn into_columns(
                self,
                rows: usize,
            ) -> ::std::result::Result<::std::vec::Vec<::tandem_sdk::contract::Column>, ::tandem_sdk::CallError> {
                ::std::result::Result::Ok(::std::vec![
                    #(::tandem_sdk::__private::output::into_column(#names, rows, self.#idents)?),*
                ])
            }
        }

        #[automatically_derived]
        impl #generics ::tandem_sdk::output::Output for #ident #generics #given {
            type Columns = #columns;

            #[inline]
            fn push(self, columns: &mut Self::Columns) {
                #(::tandem_sdk::output::OutputValue::push(self.#idents, &mut columns.#idents);)*
            }
        }

        #(#asserted)*

        #used
    })
}
