//! Types that columns and parameters cannot have, found by their names.
//!
//! The traits of `tandem-sdk` decide; but they report a wrong type at each of its uses. The usual mistakes are therefore
//! told here, once, and with what to write instead.

use quote::ToTokens;
use syn::{Error, GenericArgument, PathArguments, Result, Type, spanned::Spanned};

use crate::fields::Role;

/// Where a type stands.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Field,
    Option,
    /// In a `Vec` or slice.
    Items,
    /// In an array.
    Vector,
}

/// Refuses what cannot be the type of a field.
pub(crate) fn check(ty: &Type, role: Role) -> Result<()> {
    match advice(ty, Place::Field) {
        None => Ok(()),
        Some((wrong, advice)) => Err(Error::new(
            wrong.span(),
            format!(
                "{} cannot hold `{}`\nhelp: {advice}",
                role.member(),
                wrong.to_token_stream().to_string().replace(" ", "")
            ),
        )),
    }
}

/// The type at fault within this one, and what to do about it.
fn advice(ty: &Type, place: Place) -> Option<(&Type, &'static str)> {
    let path = match ty {
        Type::Reference(reference) => return advice(&reference.elem, place),
        Type::Slice(slice) => return advice(&slice.elem, Place::Items),
        Type::Array(array) => return advice(&array.elem, Place::Vector),
        Type::Path(path) => &path.path,
        _ => return None,
    };
    let last = path.segments.last()?;
    let inner = match &last.arguments {
        PathArguments::AngleBracketed(arguments) => arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::Type(ty) => Some(ty),
            _ => None,
        }),
        _ => None,
    };
    let advice = match (last.ident.to_string().as_str(), inner, place) {
        ("Option", _, Place::Option) => "an `Option` in an `Option` is one `Option`: there is one kind of null",
        ("Option", _, Place::Items | Place::Vector) => "items are never null; the whole sequence may be an `Option`",
        ("Option", Some(inner), Place::Field) => return advice(inner, Place::Option),
        ("Vec", Some(inner), Place::Field | Place::Option) => return advice(inner, Place::Items),
        ("Vec", _, Place::Items | Place::Vector) => "sequences are not nested",
        ("u8", None, Place::Items) | ("f32", None, Place::Vector) => return None,
        (_, None, Place::Vector) => "a vector is an array of `f32`; use `Vec` for a sequence",
        ("i8" | "i16" | "i32" | "i128" | "isize" | "u8" | "u16" | "u32" | "u64" | "u128" | "usize", None, _) => {
            "integers are `i64`"
        }
        ("f32", None, Place::Items) => "floating-point numbers are `f64`; a vector is an array: `[f32; 8]`",
        ("f32", None, _) => "floating-point numbers are `f64`",
        ("char", None, _) => "text is `&str` or `String`",
        ("bool" | "Timestamp", None, Place::Items) => return None,
        ("HashMap" | "HashSet" | "BTreeMap" | "BTreeSet", _, _) => "a sequence is a `Vec`",
        _ => return None,
    };
    Some((ty, advice))
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    #[test]
    fn what_is_allowed_passes() {
        let types: [Type; 12] = [
            parse_quote!(bool),
            parse_quote!(Option<i64>),
            parse_quote!(&'a str),
            parse_quote!(Option<&'a [u8]>),
            parse_quote!(Vec<u8>),
            parse_quote!(&'a [f32; 4]),
            parse_quote!(Option<[f32; WIDTH]>),
            parse_quote!(Vec<String>),
            parse_quote!(Vec<Timestamp>),
            parse_quote!(Strings<'a>),
            parse_quote!(tandem_sdk::Timestamp),
            parse_quote!(Amount),
        ];
        for ty in types {
            assert!(check(&ty, Role::Input).is_ok(), "{}", ty.to_token_stream());
        }
    }

    #[test]
    fn usual_mistakes_are_told_what_to_write() {
        let cases: [(Type, &str); 9] = [
            (parse_quote!(u32), "an input cannot hold `u32`\nhelp: integers are `i64`"),
            (parse_quote!(Option<f32>), "an input cannot hold `f32`\nhelp: floating-point numbers are `f64`"),
            (
                parse_quote!(&'a [f32]),
                "an input cannot hold `f32`\nhelp: floating-point numbers are `f64`; a vector is an array: `[f32; 8]`",
            ),
            (
                parse_quote!([f64; 3]),
                "an input cannot hold `f64`\nhelp: a vector is an array of `f32`; use `Vec` for a sequence",
            ),
            (
                parse_quote!(Option<Option<i64>>),
                "an input cannot hold `Option<i64>`\nhelp: an `Option` in an `Option` is one `Option`: there is one kind of null",
            ),
            (
                parse_quote!(Vec<Option<i64>>),
                "an input cannot hold `Option<i64>`\nhelp: items are never null; the whole sequence may be an `Option`",
            ),
            (parse_quote!(Vec<Vec<i64>>), "an input cannot hold `Vec<i64>`\nhelp: sequences are not nested"),
            (parse_quote!(char), "an input cannot hold `char`\nhelp: text is `&str` or `String`"),
            (
                parse_quote!(HashMap<String, f64>),
                "an input cannot hold `HashMap<String,f64>`\nhelp: a sequence is a `Vec`",
            ),
        ];
        for (ty, message) in cases {
            let error = check(&ty, Role::Input).err().map(|error| error.to_string());
            assert_eq!(error.as_deref(), Some(message));
        }
    }
}
