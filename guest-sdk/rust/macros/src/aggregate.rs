//! `#[aggregate]` and `#[derive(State)]`

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{Data, DeriveInput, Error, Fields, ImplItem, ItemImpl, Result, Type, spanned::Spanned};

use crate::doc;

const EXAMPLE: &str = "`impl Aggregate for Streak`, where `Streak` is a struct with `#[derive(State)]`";

pub(crate) fn expand(form: TokenStream, item: TokenStream) -> Result<TokenStream> {
    if !form.is_empty() {
        return Err(Error::new(form.span(), "`#[aggregate]` takes nothing in parentheses"));
    }
    let mut item: ItemImpl = syn::parse2(item).map_err(|error| {
        Error::new(error.span(), format!("`#[aggregate]` stands above an implementation\nhelp: {EXAMPLE}"))
    })?;
    let is_aggregate = |path: &syn::Path| path.segments.last().is_some_and(|last| last.ident == "Aggregate");
    if !item.trait_.as_ref().is_some_and(|(path, _)| is_aggregate(path)) {
        let at = item.self_ty.span();
        return Err(Error::new(
            at,
            format!("`#[aggregate]` stands above an implementation of `Aggregate`\nhelp: {EXAMPLE}"),
        ));
    }
    if let Some(generic) = item.generics.params.first() {
        let message = "a function of aggregates is not generic: its state is bytes of one kind\nhelp: name the types";
        return Err(Error::new(generic.span(), message));
    }
    let Type::Path(ty) = &*item.self_ty else {
        return Err(Error::new(item.self_ty.span(), format!("the state is a struct of this crate\nhelp: {EXAMPLE}")));
    };
    let ty = ty.clone();
    let says_doc = item.items.iter().any(|item| matches!(item, ImplItem::Const(item) if item.ident == "DOC"));
    if !says_doc {
        let doc = doc::text(&item.attrs);
        item.items.push(syn::parse_quote!(const DOC: &'static str = #doc;));
    }
    Ok(quote! {
        #item

        #[cfg(target_arch = "wasm32")]
        ::tandem_sdk::bindings::aggregate::export!(#ty with_types_in ::tandem_sdk::bindings::aggregate);
    })
}

pub(crate) fn derive_state(item: DeriveInput) -> Result<TokenStream> {
    let Data::Struct(data) = &item.data else {
        return Err(Error::new(item.ident.span(), "a state is a struct\nhelp: keep what an enum says in a number"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new(item.ident.span(), "a state is a struct with named fields"));
    };
    if let Some(generic) = item.generics.params.first() {
        return Err(Error::new(generic.span(), "a state is not generic, and borrows nothing: it is kept as bytes"));
    }
    let ident = &item.ident;
    let names: Vec<_> = fields.named.iter().filter_map(|field| field.ident.as_ref()).collect();
    let types = || fields.named.iter().map(|field| &field.ty);
    // With the place of the field, so that its type is what is told.
    let write = names
        .iter()
        .zip(types())
        .map(|(name, ty)| quote_spanned!(ty.span()=> <#ty as ::tandem_sdk::State>::write(&self.#name, out);));
    let read = types().map(|ty| quote_spanned!(ty.span()=> <#ty as ::tandem_sdk::State>::read(bytes)?));
    Ok(quote! {
        #[automatically_derived]
        impl ::tandem_sdk::State for #ident {
            fn write(&self, out: &mut ::std::vec::Vec<u8>) {
                #(#write)*
            }

            fn read(bytes: &mut &[u8]) -> ::std::option::Option<Self> {
                ::std::option::Option::Some(Self { #(#names: #read),* })
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_aggregate_is_refused() {
        let problem = |form, item| expand(form, item).map_or_else(|error| error.to_string(), |_| "accepted".to_owned());
        assert_eq!(problem(quote!(), quote!(impl Aggregate for Streak {})), "accepted");
        assert_eq!(problem(quote!(), quote!(impl tandem_sdk::Aggregate for Streak {})), "accepted");
        for (form, item, expected) in [
            (quote!(columns), quote!(impl Aggregate for Streak {}), "takes nothing"),
            (
                quote!(),
                quote!(
                    fn streak() {}
                ),
                "stands above an implementation",
            ),
            (quote!(), quote!(impl Streak {}), "an implementation of `Aggregate`"),
            (quote!(), quote!(impl State for Streak {}), "an implementation of `Aggregate`"),
            (
                quote!(),
                quote!(
                    impl<T> Aggregate for Streak<T> {}
                ),
                "is not generic",
            ),
            (quote!(), quote!(impl Aggregate for (i64, i64) {}), "is a struct of this crate"),
        ] {
            let problem = problem(form, item);
            assert!(problem.contains(expected), "{problem}");
        }
    }

    #[test]
    fn what_is_no_state_is_refused() {
        let problem = |item: TokenStream| {
            let item: DeriveInput = syn::parse2(item).unwrap();
            derive_state(item).map_or_else(|error| error.to_string(), |_| "accepted".to_owned())
        };
        assert_eq!(
            problem(quote!(
                struct S {
                    a: i64,
                    b: Vec<f64>,
                }
            )),
            "accepted"
        );
        assert!(
            problem(quote!(
                enum S {
                    A,
                }
            ))
            .contains("is a struct")
        );
        assert!(
            problem(quote!(
                struct S(i64);
            ))
            .contains("named fields")
        );
        assert!(
            problem(quote!(
                struct S<'a> {
                    a: &'a str,
                }
            ))
            .contains("borrows nothing")
        );
    }
}
