//! Types with other lifetimes.

use proc_macro2::Span;
use syn::{Lifetime, Type, TypeReference, visit_mut::VisitMut};

/// The type with this lifetime in the place of each of its own, and of those left out of references.
pub(crate) fn replaced(ty: &Type, lifetime: &str) -> Type {
    let mut ty = ty.clone();
    Replace(lifetime).visit_type_mut(&mut ty);
    ty
}

struct Replace<'a>(&'a str);

impl VisitMut for Replace<'_> {
    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        if lifetime.ident != "static" {
            *lifetime = Lifetime::new(self.0, lifetime.span());
        }
    }

    fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
        reference.lifetime.get_or_insert_with(|| Lifetime::new(self.0, Span::call_site()));
        syn::visit_mut::visit_type_reference_mut(self, reference);
    }
}

#[cfg(test)]
mod tests {
    use quote::ToTokens;

    use super::*;

    #[test]
    fn every_lifetime_is_replaced() {
        let ty: Type = syn::parse_quote!(Result<Features<'a, '_>, Option<&str>>);
        let expected: Type = syn::parse_quote!(Result<Features<'x, 'x>, Option<&'x str>>);
        assert_eq!(replaced(&ty, "'x").to_token_stream().to_string(), expected.to_token_stream().to_string());
    }
}
