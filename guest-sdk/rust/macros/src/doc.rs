//! Doc comments as text for a catalogue.

use syn::{Attribute, Expr, ExprLit, Lit, Meta};

/// The text of doc comments: the lines of a paragraph joined by spaces, paragraphs parted by an empty line.
pub(crate) fn text(attributes: &[Attribute]) -> String {
    paragraphs(&attributes.iter().filter_map(comment).collect::<Vec<_>>().join("\n"))
}

fn comment(attribute: &Attribute) -> Option<String> {
    match &attribute.meta {
        Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

fn paragraphs(comment: &str) -> String {
    let mut text = String::new();
    let mut ended = false;
    for line in comment.lines().map(str::trim) {
        if line.is_empty() {
            ended = true;
            continue;
        }
        if !text.is_empty() {
            text.push_str(if ended { "\n\n" } else { " " });
        }
        ended = false;
        text.push_str(line);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_joined_and_paragraphs_kept() {
        let item: syn::ItemStruct = syn::parse_quote! {
            /// Amount of the purchase,
            ///   in the account's currency.
            #[doc(hidden)]
            #[allow(dead_code)]
            ///
            ///
            /// Never negative.
            ///
            struct S;
        };
        assert_eq!(text(&item.attrs), "Amount of the purchase, in the account's currency.\n\nNever negative.");
        let item: syn::ItemStruct = syn::parse_quote!(
            struct S;
        );
        assert_eq!(text(&item.attrs), "");
    }
}
