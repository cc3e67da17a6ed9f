//! `#[transform]`

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Error, FnArg, GenericParam, Ident, ItemFn, Result, ReturnType, Type, spanned::Spanned};

use crate::{doc, lifetimes};

/// How the function takes its input.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Rows,
    Columns,
}

/// The types of the function's arguments and result.
struct Arguments {
    input: Type,
    /// The struct behind `&Settings`.
    settings: Option<Type>,
    output: Type,
}

pub(crate) fn expand(form: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let form = Form::parse(form)?;
    let function: ItemFn = syn::parse2(item).map_err(|error| {
        Error::new(
            error.span(),
            "`#[transform]` stands above a function\nhelp: `fn features(row: Transaction<'_>) -> Features`",
        )
    })?;
    check(&function)?;
    let Arguments { input, settings, output } = form.arguments(&function)?;

    let (vis, ident) = (&function.vis, &function.sig.ident);
    let doc = doc::text(&function.attrs);
    // Locals are hygienic: the author's function may be called `rows` or `settings` too.
    let local = |name| Ident::new(name, Span::mixed_site());
    let (parameters, values, rows, inputs) = (local("parameters"), local("settings"), local("rows"), local("inputs"));
    let parse = match &settings {
        None => quote!(<() as ::tandem_sdk::parameters::Parameters>::from_parameters(#parameters)?;),
        Some(ty) => quote_spanned! {ty.span()=>
            let #values = <#ty as ::tandem_sdk::parameters::Parameters>::from_parameters(#parameters)?;
        },
    };
    let pass = settings.map(|_| quote!(, &#values));
    let (form, closure) = match form {
        Form::Rows => (quote!(rows), quote!(|#inputs| #ident(#inputs #pass))),
        Form::Columns => (quote!(columns), quote!(|#rows, #inputs| #ident(#rows, #inputs #pass))),
    };
    let call = quote!(::tandem_sdk::__private::#form::<#input, #output, _>);

    Ok(quote! {
        #function

        #[doc(hidden)]
        #[derive(Debug, Clone, Copy)]
        #[allow(non_camel_case_types, dead_code, missing_docs)]
        #vis struct #ident {}

        #[automatically_derived]
        impl ::tandem_sdk::Transform for #ident {
            fn describe(
                #parameters: &[::tandem_sdk::contract::Parameter],
            ) -> ::std::result::Result<::tandem_sdk::contract::Signature, ::tandem_sdk::CallError> {
                #parse
                ::std::result::Result::Ok(#call(::tandem_sdk::__private::Describe { doc: #doc }, #closure))
            }

            fn apply(
                #parameters: &[::tandem_sdk::contract::Parameter],
                #rows: u32,
                #inputs: &[::tandem_sdk::contract::Column],
            ) -> ::std::result::Result<::tandem_sdk::contract::Outcome, ::tandem_sdk::CallError> {
                #parse
                #call(::tandem_sdk::__private::Apply { rows: #rows, inputs: #inputs }, #closure)
            }
        }

        #[cfg(target_arch = "wasm32")]
        ::tandem_sdk::bindings::export!(#ident with_types_in ::tandem_sdk::bindings);
    })
}

impl Form {
    fn parse(form: TokenStream) -> Result<Self> {
        if form.is_empty() {
            return Ok(Self::Rows);
        }
        match syn::parse2::<Ident>(form.clone()) {
            Ok(ident) if ident == "columns" => Ok(Self::Columns),
            _ => Err(Error::new(
                form.span(),
                "unknown form\nhelp: `#[transform]` stands above a function over a row, `#[transform(columns)]` above one over columns",
            )),
        }
    }

    /// What the function should look like.
    fn example(self) -> &'static str {
        match self {
            Self::Rows => {
                "`fn features(row: Transaction<'_>) -> Features`, with `settings: &Settings` as second argument \
                           if it has parameters"
            }
            Self::Columns => {
                "`fn features(rows: usize, columns: TransactionColumns<'_>) -> FeaturesColumns`, with \
                              `settings: &Settings` as third argument if it has parameters"
            }
        }
    }

    fn arguments(self, function: &ItemFn) -> Result<Arguments> {
        let signature = &function.sig;
        let mut types = Vec::new();
        for argument in &signature.inputs {
            match argument {
                FnArg::Typed(argument) => types.push(&*argument.ty),
                FnArg::Receiver(receiver) => {
                    return Err(Error::new(
                        receiver.span(),
                        "a transform is a plain function, not a method: nothing lives on from one row to the next\nhelp: what is \
                         set for all rows comes as `settings: &Settings`, a struct with `#[derive(Parameters)]`",
                    ));
                }
            }
        }
        if self == Self::Columns
            && let Some((&first, rest)) = types.split_first()
        {
            if !matches!(first, Type::Path(path) if path.path.is_ident("usize")) {
                return Err(Error::new(
                    first.span(),
                    format!("the first argument is the number of rows, a `usize`\nhelp: {}", self.example()),
                ));
            }
            types = rest.to_vec();
        }
        let (input, settings) = match types[..] {
            [input] => (input, None),
            [input, settings] => (input, Some(settings)),
            _ => {
                return Err(Error::new(
                    signature.paren_token.span.join(),
                    format!("wrong number of arguments\nhelp: {}", self.example()),
                ));
            }
        };
        let settings = settings.map(referenced).transpose()?;
        let output = match &signature.output {
            ReturnType::Type(_, output) => output,
            ReturnType::Default => {
                return Err(Error::new(
                    signature.ident.span(),
                    format!("a transform returns its outputs\nhelp: {}", self.example()),
                ));
            }
        };
        Ok(Arguments { input: lifetimes::replaced(input, "'_"), settings, output: lifetimes::replaced(output, "'_") })
    }
}

/// `Settings` of `&Settings`.
fn referenced(ty: &Type) -> Result<Type> {
    match ty {
        Type::Reference(reference) if reference.mutability.is_none() => Ok((*reference.elem).clone()),
        _ => Err(Error::new(
            ty.span(),
            "parameters are taken by reference, as they are the same for all rows\nhelp: `settings: &Settings`",
        )),
    }
}

fn check(function: &ItemFn) -> Result<()> {
    let signature = &function.sig;
    if let Some(asyncness) = &signature.asyncness {
        return Err(Error::new(
            asyncness.span,
            "a transform is not `async`: it computes, and has nothing to wait for\nhelp: remove `async`",
        ));
    }
    if let Some(abi) = &signature.abi {
        return Err(Error::new(
            abi.span(),
            "a transform is a plain function, without `extern`\nhelp: remove it; the crate exports the transform by itself",
        ));
    }
    let generic = signature.generics.params.iter().find(|parameter| !matches!(parameter, GenericParam::Lifetime(_)));
    if let Some(generic) = generic {
        return Err(Error::new(
            generic.span(),
            "a transform is not generic: its types are the columns of its signature\nhelp: name the struct of the rows and \
             that of the features",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(form: TokenStream, item: TokenStream) -> String {
        match expand(form, item) {
            Ok(_) => "accepted".into(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn both_forms_are_accepted() {
        for item in [
            quote!(
                fn f(row: Row) -> Out {
                    todo()
                }
            ),
            quote!(
                pub fn f(Row { a, .. }: Row<'_>, s: &Settings) -> Result<Out, RowError> {
                    todo()
                }
            ),
            quote!(
                fn f<'a>(row: Row<'a>) -> Out<'a> {
                    todo()
                }
            ),
        ] {
            assert_eq!(problem(quote!(), item), "accepted");
        }
        let columns = quote!(
            fn f(rows: usize, columns: RowColumns<'_>) -> OutColumns {
                todo()
            }
        );
        assert_eq!(problem(quote!(columns), columns), "accepted");
    }

    #[test]
    fn what_is_no_transform_is_refused() {
        for (form, item, expected) in [
            (
                quote!(rows),
                quote!(
                    fn f(row: Row) -> Out {}
                ),
                "unknown form",
            ),
            (
                quote!(),
                quote!(
                    struct Row;
                ),
                "stands above a function",
            ),
            (
                quote!(),
                quote!(
                    fn f() -> Out {}
                ),
                "wrong number of arguments",
            ),
            (
                quote!(),
                quote!(
                    fn f(a: A, b: &B, c: C) -> Out {}
                ),
                "wrong number of arguments",
            ),
            (
                quote!(),
                quote!(
                    fn f(row: Row) {}
                ),
                "returns its outputs",
            ),
            (
                quote!(),
                quote!(
                    fn f(row: Row, s: Settings) -> Out {}
                ),
                "taken by reference",
            ),
            (
                quote!(),
                quote!(
                    fn f(row: Row, s: &mut Settings) -> Out {}
                ),
                "taken by reference",
            ),
            (
                quote!(),
                quote!(
                    fn f(&self, row: Row) -> Out {}
                ),
                "not a method",
            ),
            (
                quote!(),
                quote!(
                    async fn f(row: Row) -> Out {}
                ),
                "not `async`",
            ),
            (
                quote!(),
                quote!(
                    fn f<T>(row: T) -> Out {}
                ),
                "not generic",
            ),
            (
                quote!(),
                quote!(
                    extern "C" fn f(row: Row) -> Out {}
                ),
                "without `extern`",
            ),
            (
                quote!(columns),
                quote!(
                    fn f(columns: C<'_>, rows: usize) -> Out {}
                ),
                "number of rows",
            ),
            (
                quote!(columns),
                quote!(
                    fn f(rows: usize) -> Out {}
                ),
                "wrong number of arguments",
            ),
        ] {
            let problem = problem(form, item);
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
