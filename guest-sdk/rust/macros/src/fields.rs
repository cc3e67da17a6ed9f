//! A struct whose fields are columns or parameters, as all derives read it.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{
    Attribute, Data, DeriveInput, Error, Fields, GenericParam, Generics, Ident, Lifetime, LitStr, Meta, Result, Type,
    Visibility, ext::IdentExt, spanned::Spanned,
};

use crate::{doc, reserved, types};

/// Most bytes of a name; the runtime's `FIELD_NAME_BYTES_MAX`.
const NAME_BYTES_MAX: usize = 128;

/// What the struct stands for, for messages.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Role {
    Input,
    Output,
    Parameters,
}

pub(crate) struct Struct {
    pub(crate) vis: Visibility,
    pub(crate) ident: Ident,
    pub(crate) lifetime: Option<Lifetime>,
    pub(crate) fields: Vec<Field>,
}

pub(crate) struct Field {
    pub(crate) vis: Visibility,
    pub(crate) ident: Ident,
    pub(crate) ty: Type,
    /// The name in the contract.
    pub(crate) name: String,
    pub(crate) doc: String,
}

impl Role {
    fn subject(self) -> &'static str {
        match self {
            Self::Input => "an input row",
            Self::Output => "an output row",
            Self::Parameters => "a parameters struct",
        }
    }

    pub(crate) fn member(self) -> &'static str {
        match self {
            Self::Input => "an input",
            Self::Output => "an output",
            Self::Parameters => "a parameter",
        }
    }
}

impl Struct {
    pub(crate) fn parse(item: DeriveInput, role: Role) -> Result<Self> {
        let fields = match item.data {
            Data::Struct(data) => data.fields,
            Data::Enum(data) => return Err(not_a_struct(data.enum_token.span, role)),
            Data::Union(data) => return Err(not_a_struct(data.union_token.span, role)),
        };
        let mut problems = Problems(None);
        if let Some(attribute) = item.attrs.iter().find(|attribute| attribute.path().is_ident("tandem")) {
            problems.add(Error::new(
                attribute.span(),
                "the struct itself has no name in the contract\nhelp: `#[tandem(name = \"...\")]` stands above a field",
            ));
        }
        let lifetime = problems.take(lifetime(&item.generics, role)).flatten();
        let fields = match fields {
            Fields::Named(fields) => fields.named,
            Fields::Unit if role == Role::Parameters => Default::default(),
            other => {
                let span = if other.is_empty() { item.ident.span() } else { other.span() };
                return Err(not_a_struct(span, role));
            }
        };
        if fields.is_empty() && role != Role::Parameters {
            problems.add(Error::new(
                item.ident.span(),
                format!("{} has at least one field\nhelp: `struct Name {{ amount: f64 }}`", role.subject()),
            ));
        }
        let fields: Vec<Field> =
            fields.into_iter().filter_map(|field| problems.take(Field::parse(field, role))).collect();
        for (index, field) in fields.iter().enumerate() {
            if fields[..index].iter().any(|before| before.name == field.name) {
                problems.add(Error::new(
                    field.ident.span(),
                    format!(
                        "there is {} `{}` already\nhelp: names are unique; `#[tandem(name = \"...\")]` gives the field another \
                         one",
                        role.member(),
                        field.name
                    ),
                ));
            }
        }
        match problems.0 {
            Some(error) => Err(error),
            None => Ok(Self { vis: item.vis, ident: item.ident, lifetime, fields }),
        }
    }

    /// Reads and makes every field, so that the compiler does not call a row unused whose columns alone are used.
    pub(crate) fn used(&self) -> TokenStream {
        let ident = &self.ident;
        let generics = self.lifetime.as_ref().map(|lifetime| quote!(<#lifetime>));
        let fields: Vec<_> = self.fields.iter().map(|field| &field.ident).collect();
        quote! {
            const _: () = {
                #[allow(dead_code)]
                fn used #generics(row: #ident #generics) -> #ident #generics {
                    let #ident { #(#fields),* } = row;
                    #ident { #(#fields),* }
                }
            };
        }
    }

    /// The name of the struct of the columns.
    pub(crate) fn columns(&self) -> Ident {
        Ident::new(&format!("{}Columns", self.ident.unraw()), self.ident.span())
    }
}

impl Field {
    fn parse(field: syn::Field, role: Role) -> Result<Self> {
        let Some(ident) = field.ident else {
            return Err(not_a_struct(field.ty.span(), role));
        };
        let renamed = rename(&field.attrs)?;
        let (name, span) = match &renamed {
            Some(name) => (name.value(), name.span()),
            None => (ident.unraw().to_string(), ident.span()),
        };
        if !is_name(&name) {
            return Err(Error::new(
                span,
                format!(
                    "`{name}` cannot be the name of {}: lower-case letters, digits and underscores, not starting with a \
                     digit, at most {NAME_BYTES_MAX} bytes\nhelp: `#[tandem(name = \"{}\")]` gives the field another name",
                    role.member(),
                    suggestion(&name)
                ),
            ));
        }
        reserved::check(&name, span, &field.ty, role)?;
        types::check(&field.ty, role)?;
        let doc = doc::text(&field.attrs);
        Ok(Self { vis: field.vis, ident, ty: field.ty, name, doc })
    }
}

/// `[a-z_][a-z0-9_]*`, at most 128 bytes: what the runtime takes for a name.
fn is_name(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// A name like it: `merchantName` becomes `merchant_name`.
fn suggestion(name: &str) -> String {
    let mut suggested = String::new();
    let mut previous_lower = false;
    for character in name.chars() {
        if character.is_ascii_uppercase() && previous_lower {
            suggested.push('_');
        }
        previous_lower = character.is_ascii_lowercase() || character.is_ascii_digit();
        match character.to_ascii_lowercase() {
            lower @ ('a'..='z' | '0'..='9' | '_') => suggested.push(lower),
            _ => suggested.push('_'),
        }
    }
    suggested.truncate(NAME_BYTES_MAX);
    if !is_name(&suggested) {
        suggested.insert(0, '_');
        suggested.truncate(NAME_BYTES_MAX);
    }
    suggested
}

/// `#[tandem(name = "...")]`
fn rename(attributes: &[Attribute]) -> Result<Option<LitStr>> {
    let mut name = None;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("tandem")) {
        if !matches!(attribute.meta, Meta::List(_)) {
            return Err(Error::new(attribute.span(), "nothing is said here\nhelp: `#[tandem(name = \"...\")]`"));
        }
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("name") {
                return Err(meta.error(
                    "unknown attribute\nhelp: there is `#[tandem(name = \"...\")]`, which gives the field another name",
                ));
            }
            let given: LitStr = meta
                .value()
                .and_then(|value| value.parse())
                .map_err(|error| Error::new(error.span(), "a name is a text\nhelp: `#[tandem(name = \"...\")]`"))?;
            match name.replace(given) {
                None => Ok(()),
                Some(_) => Err(meta.error("the name is given twice\nhelp: leave one of them")),
            }
        })?;
    }
    Ok(name)
}

fn lifetime(generics: &Generics, role: Role) -> Result<Option<Lifetime>> {
    if let Some(clause) = &generics.where_clause {
        return Err(Error::new(clause.span(), format!("{} has no `where` clause\nhelp: remove it", role.subject())));
    }
    let mut parameters = generics.params.iter();
    match (parameters.next(), parameters.next(), role) {
        (None, _, _) => Ok(None),
        (Some(GenericParam::Lifetime(lifetime)), None, Role::Input | Role::Output) => {
            Ok(Some(lifetime.lifetime.clone()))
        }
        (Some(_), _, Role::Parameters) => Err(Error::new(
            generics.span(),
            "a parameters struct is not generic\nhelp: it owns its values (`String`, `Vec<f64>`): `struct Settings`",
        )),
        (Some(_), _, Role::Input | Role::Output) => Err(Error::new(
            generics.span(),
            format!(
                "{} has no generic parameter but one lifetime\nhelp: `struct Name<'a>`, with `'a` in all that it borrows",
                role.subject()
            ),
        )),
    }
}

fn not_a_struct(span: Span, role: Role) -> Error {
    Error::new(
        span,
        format!(
            "{} is a struct with named fields, each of which is {}\nhelp: `struct Name {{ amount: f64 }}`",
            role.subject(),
            role.member()
        ),
    )
}

/// All that is wrong, for one report.
struct Problems(Option<Error>);

impl Problems {
    fn add(&mut self, error: Error) {
        match &mut self.0 {
            Some(first) => first.combine(error),
            None => self.0 = Some(error),
        }
    }

    fn take<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.add(error)).ok()
    }
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn problems(item: DeriveInput, role: Role) -> Vec<String> {
        match Struct::parse(item, role) {
            Ok(_) => Vec::new(),
            Err(error) => error.into_iter().map(|problem| problem.to_string()).collect(),
        }
    }

    #[test]
    fn names_and_docs_are_read() {
        let parsed = Struct::parse(
            parse_quote! {
                struct Row<'r> {
                    /// The kind.
                    r#type: &'r str,
                    #[tandem(name = "merchant_name")]
                    merchantName: f64,
                }
            },
            Role::Input,
        );
        let parsed = parsed.unwrap_or_else(|error| panic!("{error}"));
        let fields: Vec<_> = parsed.fields.iter().map(|f| (f.name.as_str(), f.doc.as_str())).collect();
        assert_eq!(fields, [("type", "The kind."), ("merchant_name", "")]);
        assert_eq!(parsed.columns(), "RowColumns");
        assert_eq!(parsed.lifetime.map(|lifetime| lifetime.to_string()), Some("'r".into()));
    }

    #[test]
    fn what_is_no_row_is_refused() {
        let named = "an input row is a struct with named fields, each of which is an input\nhelp: `struct Name { amount: f64 }`";
        assert_eq!(
            problems(
                parse_quote!(
                    struct Row(f64);
                ),
                Role::Input
            ),
            [named]
        );
        assert_eq!(
            problems(
                parse_quote!(
                    struct Row;
                ),
                Role::Input
            ),
            [named]
        );
        assert_eq!(
            problems(
                parse_quote!(
                    enum Row {
                        A,
                    }
                ),
                Role::Input
            ),
            [named]
        );
        assert_eq!(
            problems(
                parse_quote!(
                    struct Row {}
                ),
                Role::Output
            ),
            ["an output row has at least one field\nhelp: `struct Name { amount: f64 }`"]
        );
        let generic = "an input row has no generic parameter but one lifetime\nhelp: `struct Name<'a>`, with `'a` in all that it borrows";
        assert_eq!(
            problems(
                parse_quote!(
                    struct Row<T> {
                        a: T,
                    }
                ),
                Role::Input
            ),
            [generic]
        );
        assert_eq!(
            problems(
                parse_quote!(
                    struct Row<'a, 'b> {
                        a: &'a str,
                        b: &'b str,
                    }
                ),
                Role::Input
            ),
            [generic]
        );
        assert_eq!(
            problems(
                parse_quote!(
                    struct Row<'a> {
                        a: &'a str,
                    }
                ),
                Role::Parameters
            ),
            [
                "a parameters struct is not generic\nhelp: it owns its values (`String`, `Vec<f64>`): `struct Settings`",
                "a parameter cannot hold `&'a str`\nhelp: parameters own their values: `String`, `Vec<i64>`, `Vec<f64>`, `Vec<String>`",
            ]
        );
        assert!(
            problems(
                parse_quote!(
                    struct None;
                ),
                Role::Parameters
            )
            .is_empty()
        );
    }

    #[test]
    fn all_wrong_names_are_reported_at_once() {
        let item: DeriveInput = parse_quote! {
            struct Row {
                merchantName: f64,
                #[tandem(name = "2nd")]
                second: f64,
                #[tandem(nam = "x")]
                third: f64,
                amount: f64,
                #[tandem(name = "amount")]
                other: f64,
            }
        };
        assert_eq!(
            problems(item, Role::Input),
            [
                "`merchantName` cannot be the name of an input: lower-case letters, digits and underscores, not starting \
                 with a digit, at most 128 bytes\nhelp: `#[tandem(name = \"merchant_name\")]` gives the field another name",
                "`2nd` cannot be the name of an input: lower-case letters, digits and underscores, not starting with a \
                 digit, at most 128 bytes\nhelp: `#[tandem(name = \"_2nd\")]` gives the field another name",
                "unknown attribute\nhelp: there is `#[tandem(name = \"...\")]`, which gives the field another name",
                "there is an input `amount` already\nhelp: names are unique; `#[tandem(name = \"...\")]` gives the field another one",
            ]
        );
    }
}
