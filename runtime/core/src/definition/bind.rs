//! Binding a view to its component: what only both together can tell.

use crate::hash::{Digest, definition_hash};
use crate::model::{BoundView, FeatureView, InputSource};
use crate::suggest;
use crate::types::{DataType, Signature, SignatureError};

/// Why a view and its component do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// What the component declares is refused.
    #[error("the component of feature view `{view}` declares a signature that is refused: {error}")]
    Signature {
        /// The view.
        view: String,
        /// Why.
        error: SignatureError,
    },
    /// The view maps an input that the component does not have.
    #[error("`inputs` of feature view `{view}` maps `{input}`, which its component does not have")]
    UnknownInput {
        /// The view.
        view: String,
        /// The mapped input.
        input: String,
        /// The nearest input, and all that there are.
        hint: String,
    },
    /// An input is bound to the time that is asked for and has another type.
    #[error("`inputs` of feature view `{view}` binds `{input}` to `as_of`, but the component declares it as {found}")]
    AsOfInput {
        /// The view.
        view: String,
        /// The input.
        input: String,
        /// What the component declares.
        found: String,
    },
    /// A feature has the name of a join key.
    #[error(
        "the component of feature view `{view}` has an output `{feature}`, which is the name of a join key of entity `{entity}`"
    )]
    FeatureIsJoinKey {
        /// The view.
        view: String,
        /// The output.
        feature: String,
        /// The entity.
        entity: String,
    },
}

impl BindError {
    /// What to do.
    pub fn hint(&self) -> Option<&str> {
        match self {
            BindError::Signature { .. } => None,
            BindError::UnknownInput { hint, .. } => Some(hint),
            BindError::AsOfInput { .. } => Some("such an input must be a timestamp that is not nullable"),
            BindError::FeatureIsJoinKey { .. } => Some("a row has both, so rename one of them"),
        }
    }
}

/// Binds a view to what its component declares under the view's parameters, and computes the definition hash.
///
/// `digest` is the component's. All mistakes are returned.
pub fn bind(view: FeatureView, signature: Signature, digest: Digest) -> Result<BoundView, Vec<BindError>> {
    let mut errors = Vec::new();
    if let Err(error) = signature.check() {
        errors.push(BindError::Signature { view: view.name.clone(), error });
    }
    let inputs: Vec<&str> = signature.inputs.iter().map(|input| input.name.as_str()).collect();
    for (name, source) in &view.inputs {
        match signature.inputs.iter().find(|input| input.name == *name) {
            None => errors.push(BindError::UnknownInput {
                view: view.name.clone(),
                input: name.clone(),
                hint: suggest::hint(name, "inputs", &inputs),
            }),
            Some(input)
                if *source == InputSource::AsOf && (input.data_type != DataType::Timestamp || input.nullable) =>
            {
                let nullable = if input.nullable { "nullable " } else { "" };
                let found = format!("{nullable}{}", input.data_type);
                errors.push(BindError::AsOfInput { view: view.name.clone(), input: name.clone(), found });
            }
            Some(_) => {}
        }
    }
    for entity in &view.entities {
        for join_key in &entity.join_keys {
            if signature.outputs.iter().any(|output| output.name == join_key.name) {
                errors.push(BindError::FeatureIsJoinKey {
                    view: view.name.clone(),
                    feature: join_key.name.clone(),
                    entity: entity.name.clone(),
                });
            }
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let definition_hash = definition_hash(&view, &signature, digest);
    Ok(BoundView { view, signature, digest, definition_hash })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{File, Sources, parse_project};
    use super::*;
    use crate::types::Field;

    fn view(more: &str) -> FeatureView {
        let text = format!(
            r#"
[[entity]]
name = "card"
join_keys = [{{ name = "card_id", type = "int64" }}, {{ name = "bank", type = "string" }}]
[[source]]
name = "transactions"
path = "data"
kind = "state"
event_time = "at"
[[feature_view]]
name = "card_risk"
version = 1
source = "transactions"
entities = ["card"]
component = "card.wasm"
{more}"#
        );
        let settings = File { name: "tandem.toml".to_owned(), text: "[project]\nname = \"x\"".to_owned() };
        let features = vec![File { name: "f.toml".to_owned(), text }];
        let project = parse_project(&Sources { settings, features }, Path::new("")).unwrap_or_else(|e| panic!("{e}"));
        project.views.into_iter().next().unwrap()
    }

    fn signature() -> Signature {
        Signature {
            inputs: vec![
                Field::new("amount", DataType::Float64, true),
                Field::new("scored_at", DataType::Timestamp, false),
                Field::new("paid_at", DataType::Timestamp, true),
                Field::new("as_of", DataType::Timestamp, false),
            ],
            outputs: vec![Field::new("risk", DataType::Float64, true)],
            doc: String::new(),
        }
    }

    #[test]
    fn what_fits_is_bound_with_its_hash() {
        let view = view("inputs = { amount = \"amount_eur\", scored_at = \"as_of\" }");
        let digest = Digest::of(b"component");
        let bound = bind(view.clone(), signature(), digest).unwrap();
        assert_eq!(bound.definition_hash, definition_hash(&view, &signature(), digest));
        assert_eq!((bound.view, bound.signature, bound.digest), (view, signature(), digest));
    }

    #[test]
    fn all_that_does_not_fit_is_said_at_once() {
        let view = view("inputs = { amuont = \"x\", paid_at = \"as_of\", amount = \"as_of\" }");
        let mut signature = signature();
        signature.outputs.extend(["bank", "card_id", "event_time"].map(|name| Field::new(name, DataType::Int64, true)));
        let errors = bind(view, signature, Digest::of(b"")).unwrap_err();
        let said: Vec<_> = errors.iter().map(|error| (error.to_string(), error.hint())).collect();
        let said: Vec<_> = said.iter().map(|(message, hint)| (message.as_str(), *hint)).collect();
        let timestamp = Some("such an input must be a timestamp that is not nullable");
        let both = Some("a row has both, so rename one of them");
        let refused = "the component of feature view `card_risk` declares a signature that is refused: output `event_time` has a name that is reserved for the time columns of a feature row (event_time, created_time, published_time, sequence, as_of)";
        assert_eq!(
            said,
            [
                (refused, None),
                (
                    "`inputs` of feature view `card_risk` binds `amount` to `as_of`, but the component declares it as nullable float64",
                    timestamp
                ),
                (
                    "`inputs` of feature view `card_risk` maps `amuont`, which its component does not have",
                    Some("did you mean `amount`? the inputs are `amount`, `scored_at`, `paid_at` and `as_of`")
                ),
                (
                    "`inputs` of feature view `card_risk` binds `paid_at` to `as_of`, but the component declares it as nullable timestamp",
                    timestamp
                ),
                (
                    "the component of feature view `card_risk` has an output `card_id`, which is the name of a join key of entity `card`",
                    both
                ),
                (
                    "the component of feature view `card_risk` has an output `bank`, which is the name of a join key of entity `card`",
                    both
                ),
            ]
        );
    }

    #[test]
    fn the_spelling_of_a_file_does_not_reach_the_hash() {
        let hash = |more: &str| bind(view(more), signature(), Digest::of(b"")).unwrap().definition_hash;
        let first = hash(
            "ttl = \"1d12h\"\ninputs = { amount = \"a\", paid_at = \"b\" }\nparameters = { x = 255, y = [1.0] }\nowner = \"a\"",
        );
        let second = hash(
            "description = \"b\"\nttl = \"36h\"\n# a comment\n[feature_view.parameters]\ny = [1e0]\nx = 0xff\n[feature_view.inputs]\npaid_at = \"b\"\namount = 'a'",
        );
        assert_eq!(first, second);
        assert_ne!(first, hash(""));
    }
}
