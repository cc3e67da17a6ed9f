//! Names that the runtime keeps for itself.

use proc_macro2::Span;
use syn::{Error, Result, Type, spanned::Spanned};

use crate::{fields::Role, types};

/// The input that the runtime binds to the instant for which a value is asked.
pub(crate) const AS_OF: &str = "as_of";

/// Columns that stand beside the features in a feature row; the runtime refuses outputs of these names (its `TIME_COLUMNS` and `HISTORY_COLUMNS`).
const BESIDE_FEATURES: [&str; 9] = [
    AS_OF,
    "event_time",
    "created_time",
    "published_time",
    "sequence",
    "corrected_time",
    "retracted_time",
    "superseded_time",
    "superseded_published_time",
];

/// Refuses an output that is called as a column of the runtime, and an `as_of` that is certainly no `Timestamp`. Of types that
/// only the compiler knows, `AsOf` of `tandem-sdk` decides.
pub(crate) fn check(name: &str, span: Span, ty: &Type, role: Role) -> Result<()> {
    match role {
        Role::Output if BESIDE_FEATURES.contains(&name) => Err(Error::new(
            span,
            format!(
                "an output cannot be called `{name}`: the runtime has a column of this name beside the features\n\
                 help: `#[tandem(name = \"feature_{name}\")]` gives the field another name"
            ),
        )),
        Role::Input
            if name == AS_OF && (types::is_known(ty) || types::check(ty, role).is_err()) && !is_timestamp(ty) =>
        {
            Err(Error::new(
                ty.span(),
                format!(
                    "the input `as_of` is a `Timestamp`, not `{}`: the runtime binds it to the instant for which a value is \
                     asked, and it is never null\nhelp: write `as_of: Timestamp`, or give a column of your own another name",
                    types::shown(ty)
                ),
            ))
        }
        _ => Ok(()),
    }
}

fn is_timestamp(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Timestamp"))
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn problem(name: &str, ty: Type, role: Role) -> Option<String> {
        check(name, Span::call_site(), &ty, role).err().map(|error| error.to_string())
    }

    #[test]
    fn as_of_is_a_timestamp() {
        for ty in [parse_quote!(Timestamp), parse_quote!(tandem_sdk::Timestamp), parse_quote!(Instant)] {
            assert_eq!(problem("as_of", ty, Role::Input), None);
        }
        for ty in [parse_quote!(i64), parse_quote!(u32), parse_quote!(Option<Timestamp>), parse_quote!(&'a str)] {
            assert!(problem("as_of", ty, Role::Input).is_some_and(|message| message.contains("is a `Timestamp`")));
        }
    }

    #[test]
    fn columns_beside_the_features_are_refused_as_outputs_alone() {
        for name in BESIDE_FEATURES {
            let message = problem(name, parse_quote!(Timestamp), Role::Output);
            assert!(message.is_some_and(|message| message.contains(&format!("`{name}`"))));
            assert_eq!(problem(name, parse_quote!(Timestamp), Role::Parameters), None);
            assert_eq!(problem(name, parse_quote!(Timestamp), Role::Input), None);
        }
    }
}
