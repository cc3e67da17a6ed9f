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
    let advised = match ty {
        Type::Reference(reference) if reference.lifetime.is_none() && role != Role::Parameters => {
            Some((ty, "what a row borrows has the lifetime of the row: `struct Name<'a>` and `&'a str`"))
        }
        Type::Reference(_) if role == Role::Parameters => {
            Some((ty, "parameters own their values: `String`, `Vec<i64>`, `Vec<f64>`, `Vec<String>`"))
        }
        ty => advice(ty, Place::Field, role),
    };
    match advised {
        None => Ok(()),
        Some((wrong, advice)) => {
            Err(Error::new(wrong.span(), format!("{} cannot hold `{}`\nhelp: {advice}", role.member(), shown(wrong))))
        }
    }
}

/// The type as an author writes it: tokens are parted by spaces, of which only that after a lifetime counts.
pub(crate) fn shown(ty: &Type) -> String {
    let mut text = String::new();
    for token in ty.to_token_stream().to_string().split_whitespace() {
        text.push_str(token);
        if token.starts_with('&') || token.starts_with('\'') || token == "," || token == ";" || token == "mut" {
            text.push(' ');
        }
    }
    text.replace("& ", "&").replace(" >", ">").replace(" ,", ",")
}

/// The type at fault within this one, and what to do about it.
fn advice(ty: &Type, place: Place, role: Role) -> Option<(&Type, &'static str)> {
    let path = match ty {
        Type::Reference(reference) => return advice(&reference.elem, place, role),
        Type::Slice(slice) => return advice(&slice.elem, Place::Items, role),
        Type::Array(array) => return advice(&array.elem, Place::Vector, role),
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
        ("Option", Some(inner), Place::Field) => return advice(inner, Place::Option, role),
        ("Vec", Some(inner), Place::Field | Place::Option) => return advice(inner, Place::Items, role),
        ("Vec", _, Place::Items | Place::Vector) => "sequences are not nested",
        ("u8", None, Place::Items) | ("f32", None, Place::Vector) => return None,
        (_, None, Place::Vector) => "a vector is an array of `f32`; use `Vec` for a sequence",
        ("i8" | "i16" | "i32" | "i128" | "isize" | "u8" | "u16" | "u32" | "u64" | "u128" | "usize", None, _) => {
            "integers are `i64`"
        }
        ("f32", None, Place::Items) => "floating-point numbers are `f64`; a vector is an array: `[f32; 8]`",
        ("f32", None, _) => "floating-point numbers are `f64`",
        ("char", None, _) => "text is `&str` or `String`",
        ("bool", None, Place::Items) => "a sequence holds `i64`, `f64` or text: write `Vec<i64>` of 0 and 1",
        ("Timestamp", None, Place::Items) if role != Role::Parameters => {
            "a sequence holds `i64`, `f64` or text: write `Vec<i64>` of microseconds (`Timestamp::micros`)"
        }
        ("HashMap" | "HashSet" | "BTreeMap" | "BTreeSet", _, _) => "a sequence is a `Vec`",
        _ => return None,
    };
    Some((ty, advice))
}

/// Whether the name alone says that the SDK's traits are implemented for a type that passed [`check`]. Any other may be an
/// alias of such a type, or one that no column can hold.
pub(crate) fn is_known(ty: &Type) -> bool {
    let path = match ty {
        Type::Reference(reference) => return is_known(&reference.elem),
        Type::Slice(slice) => return is_known(&slice.elem),
        Type::Array(array) => return is_known(&array.elem),
        Type::Path(path) if path.qself.is_none() => &path.path,
        _ => return false,
    };
    let Some(last) = path.segments.last() else { return false };
    let name = last.ident.to_string();
    match &last.arguments {
        PathArguments::None => {
            ["bool", "i64", "f64", "f32", "u8", "str", "String", "Timestamp", "Strings"].contains(&name.as_str())
        }
        PathArguments::AngleBracketed(arguments) => match name.as_str() {
            "Option" | "Vec" => arguments.args.iter().all(|argument| match argument {
                GenericArgument::Type(ty) => is_known(ty),
                _ => false,
            }),
            "Strings" => true,
            _ => false,
        },
        PathArguments::Parenthesized(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    #[test]
    fn what_is_allowed_passes() {
        let types: [Type; 11] = [
            parse_quote!(bool),
            parse_quote!(Option<i64>),
            parse_quote!(&'a str),
            parse_quote!(Option<&'a [u8]>),
            parse_quote!(Vec<u8>),
            parse_quote!(&'a [f32; 4]),
            parse_quote!(Option<[f32; WIDTH]>),
            parse_quote!(Vec<String>),
            parse_quote!(Strings<'a>),
            parse_quote!(tandem_sdk::Timestamp),
            parse_quote!(Amount),
        ];
        for ty in types {
            assert!(check(&ty, Role::Input).is_ok(), "{}", ty.to_token_stream());
        }
    }

    #[test]
    fn only_parameters_have_sequences_of_timestamps() {
        let ty = parse_quote!(Vec<Timestamp>);
        assert!(check(&ty, Role::Parameters).is_ok());
        assert!(check(&ty, Role::Input).is_err());
    }

    #[test]
    fn types_that_only_the_compiler_knows() {
        for (ty, known) in [
            (parse_quote!(Option<&'a [f32; 4]>), true),
            (parse_quote!(tandem_sdk::Timestamp), true),
            (parse_quote!(Vec<String>), true),
            (parse_quote!(Amount), false),
            (parse_quote!(Option<Vec<Amount>>), false),
            (parse_quote!((f64, f64)), false),
            (parse_quote!(f64<i64>), false),
        ] {
            let ty: Type = ty;
            assert_eq!(is_known(&ty), known, "{}", ty.to_token_stream());
        }
    }

    #[test]
    fn types_are_shown_as_they_are_written() {
        for text in ["&'a str", "&'a [u8]", "HashMap<String, f64>", "[f32; 8]", "Strings<'a>", "&mut f64"] {
            assert_eq!(syn::parse_str::<Type>(text).map(|ty| shown(&ty)).ok().as_deref(), Some(text));
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
                "an input cannot hold `HashMap<String, f64>`\nhelp: a sequence is a `Vec`",
            ),
        ];
        for (ty, message) in cases {
            let error = check(&ty, Role::Input).err().map(|error| error.to_string());
            assert_eq!(error.as_deref(), Some(message));
        }
    }
}
