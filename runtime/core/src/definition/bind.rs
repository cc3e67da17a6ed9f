//! Binding a view to its component: what only both together can tell.

mod error;
mod events;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::locate::Key;
use crate::checks::{self, CheckMistake};
use crate::defaults::{DefaultError, Defaults};
use crate::hash::{Digest, definition_hash};
use crate::json::JsonError;
use crate::model::{BoundComponent, BoundView, FeatureView, InputSource, ViewSource, ViewVersion};
use crate::suggest;
use crate::types::{CREATED_TIME, DataType, EVENT_TIME, Field, SEQUENCE, Signature, VALID_TO};
pub use error::BindError;

/// Binds a view to what its component declares under the view's parameters, and computes the definition hash.
///
/// `digest` is the component's; `known` has, among others, the views that this one reads. All mistakes are returned.
pub fn bind(
    view: FeatureView,
    signature: Signature,
    digest: Digest,
    known: &BTreeMap<ViewVersion, Arc<BoundView>>,
) -> Result<BoundView, Vec<BindError>> {
    bind_with(view, signature, digest, Vec::new(), known)
}

/// The same of an aggregate view and its components, in the order of [`FeatureView::event_components`]; `signature` and `digest` are what
/// [`FeatureView::declared`] says of them.
///
/// # Errors
///
/// As [`bind`].
pub fn bind_with(
    view: FeatureView,
    signature: Signature,
    digest: Digest,
    components: Vec<BoundComponent>,
    known: &BTreeMap<ViewVersion, Arc<BoundView>>,
) -> Result<BoundView, Vec<BindError>> {
    let mut errors = Vec::new();
    if let Err(error) = signature.check() {
        errors.push(BindError::Signature { view: view.name.clone(), error });
    }
    events::check(&view, &components, &mut errors);
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
    if view.source.has_valid_to() && signature.outputs.iter().any(|output| output.name == VALID_TO) {
        errors.push(BindError::FeatureIsValidTo { view: view.name.clone() });
    }
    let (defaults, wrong) = Defaults::of(&view, &signature);
    errors.extend(wrong.into_iter().map(|error| default_error(&view, &signature, error)));
    let wrong = checks::mistakes(&view, &signature).into_iter();
    errors.extend(wrong.map(|CheckMistake { message, hint }| BindError::Check { message, hint }));
    let mut upstream = Vec::new();
    for id in view.upstream() {
        match known.get(id) {
            Some(bound) => upstream.push(Arc::clone(bound)),
            None => errors.push(BindError::UpstreamNotBound { view: view.name.clone(), upstream: id.clone() }),
        }
    }
    if errors.is_empty() {
        let check = Check { view: &view, signature: &signature, upstream: &upstream };
        match &view.source {
            ViewSource::Files(_) => {}
            ViewSource::View(rows) => check.rows(&rows.view, &mut errors),
            ViewSource::Request => check.request(&mut errors),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let definition_hash = definition_hash(&view, &signature, digest);
    Ok(BoundView { view, signature, digest, definition_hash, defaults, upstream, components })
}

fn default_error(view: &FeatureView, signature: &Signature, error: DefaultError) -> BindError {
    let view = view.name.clone();
    match error {
        DefaultError::Unknown { feature } => {
            let names: Vec<&str> = signature.outputs.iter().map(|output| output.name.as_str()).collect();
            let hint = suggest::hint(&feature, "features", &names);
            BindError::UnknownDefault { view, feature, hint }
        }
        DefaultError::Value { feature, error } => {
            let expected = signature.outputs.iter().find(|output| output.name == feature);
            let expected = expected.map_or(DataType::String, |output| output.data_type);
            let (found, hint) = match error {
                JsonError::Value { item, found, hint, .. } => {
                    let item = item.map(|item| format!("{found} as item {item}"));
                    (item.unwrap_or(found), hint)
                }
                other => (other.to_string(), "leave it out".to_owned()),
            };
            BindError::DefaultType { view, feature, expected, found, hint }
        }
    }
}

/// A view against the views that it reads.
struct Check<'a> {
    view: &'a FeatureView,
    signature: &'a Signature,
    upstream: &'a [Arc<BoundView>],
}

impl<'a> Check<'a> {
    fn upstream(&self, id: &ViewVersion) -> Option<&'a BoundView> {
        self.upstream.iter().find(|bound| bound.view.id() == *id).map(|bound| &**bound)
    }

    fn input_type(&self, input: &Field, from: String, found: DataType) -> Option<BindError> {
        (input.data_type != found).then(|| BindError::InputType {
            view: self.view.name.clone(),
            input: input.name.clone(),
            declared: input.data_type,
            from,
            found,
        })
    }

    /// A view over the published rows of `id`: keys and inputs are columns of them.
    fn rows(&self, id: &ViewVersion, errors: &mut Vec<BindError>) {
        let Some(upstream) = self.upstream(id) else { return };
        let columns = columns_of(upstream);
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let type_of = |column: &str| columns.iter().find(|(name, _)| *name == column).map(|(_, data_type)| *data_type);
        let unknown = |what: String, key: Key, column: &str| BindError::UnknownColumn {
            view: self.view.name.clone(),
            what,
            key,
            column: column.to_owned(),
            upstream: id.clone(),
            hint: suggest::hint(column, "columns", &names),
        };
        for join_key in self.view.join_keys() {
            let column = self.view.key_column(&join_key.name);
            match type_of(column) {
                None => {
                    errors.push(unknown(format!("join key `{}`", join_key.name), Key::join_key(&join_key.name), column))
                }
                Some(found) if found != join_key.data_type => errors.push(BindError::KeyType {
                    view: self.view.name.clone(),
                    join_key: join_key.name.clone(),
                    declared: join_key.data_type,
                    column: column.to_owned(),
                    upstream: id.clone(),
                    found,
                }),
                Some(_) => {}
            }
        }
        for input in &self.signature.inputs {
            let InputSource::Column(column) = self.view.input_source(&input.name) else { continue };
            match type_of(&column) {
                None => errors.push(unknown(format!("input `{}`", input.name), Key::input(&input.name), &column)),
                Some(found) => {
                    errors.extend(self.input_type(input, format!("column `{column}` of the rows of `{id}`"), found));
                }
            }
        }
    }

    /// An on-demand view: inputs are features of other views, event times of their rows, and columns of the request.
    fn request(&self, errors: &mut Vec<BindError>) {
        let mut columns: BTreeMap<String, &Field> = BTreeMap::new();
        for input in &self.signature.inputs {
            match self.view.input_source(&input.name) {
                InputSource::AsOf => {}
                InputSource::Column(column) => {
                    let join_key = self.view.join_keys().find(|key| key.name == column);
                    if let Some(key) = join_key {
                        errors.extend(self.input_type(input, format!("join key `{column}`"), key.data_type));
                    }
                    match columns.get(&column) {
                        Some(first) if first.data_type != input.data_type && join_key.is_none() => {
                            errors.push(BindError::RequestType {
                                view: self.view.name.clone(),
                                column,
                                first: first.name.clone(),
                                first_type: first.data_type,
                                second: input.name.clone(),
                                second_type: input.data_type,
                            });
                        }
                        Some(_) => {}
                        None => drop(columns.insert(column, input)),
                    }
                }
                InputSource::Feature { view, feature } => self.feature(input, &view, &feature, errors),
                InputSource::EventTime { view } => {
                    let from = format!("the event time of `{view}`");
                    errors.extend(self.input_type(input, from.clone(), DataType::Timestamp));
                    errors.extend(self.not_nullable(input, from));
                }
            }
        }
    }

    fn feature(&self, input: &Field, id: &ViewVersion, feature: &str, errors: &mut Vec<BindError>) {
        let Some(upstream) = self.upstream(id) else { return };
        let outputs = &upstream.signature.outputs;
        let Some(output) = outputs.iter().find(|output| output.name == feature) else {
            let names: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
            errors.push(BindError::UnknownFeature {
                view: self.view.name.clone(),
                input: input.name.clone(),
                upstream: id.clone(),
                feature: feature.to_owned(),
                hint: suggest::hint(feature, "features", &names),
            });
            return;
        };
        let from = format!("feature `{feature}` of `{id}`");
        errors.extend(self.input_type(input, from.clone(), output.data_type));
        // A stored row may be missing, if no default stands in; a computed one is there, with the nulls that its component promises.
        let may_be_missing = upstream.view.is_stored() && upstream.defaults.get(feature).is_none();
        if may_be_missing || !upstream.view.is_stored() && output.nullable {
            errors.extend(self.not_nullable(input, from));
        }
    }

    fn not_nullable(&self, input: &Field, from: String) -> Option<BindError> {
        (!input.nullable).then(|| BindError::InputNotNullable {
            view: self.view.name.clone(),
            input: input.name.clone(),
            from,
        })
    }
}

/// The columns of a stored view's rows that another view may read, with their types.
fn columns_of(bound: &BoundView) -> Vec<(&str, DataType)> {
    let keys = bound.view.join_keys().map(|key| (key.name.as_str(), key.data_type));
    let features = bound.signature.outputs.iter().map(|output| (output.name.as_str(), output.data_type));
    let mut columns: Vec<(&str, DataType)> = keys.chain(features).collect();
    columns.push((EVENT_TIME, DataType::Timestamp));
    if bound.view.source.has_valid_to() {
        columns.push((VALID_TO, DataType::Timestamp));
    }
    if bound.view.source.has_created_time() {
        columns.push((CREATED_TIME, DataType::Timestamp));
    }
    if bound.view.source.has_sequence() {
        columns.push((SEQUENCE, DataType::Int64));
    }
    columns
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{File, Sources, parse_project};
    use super::*;

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
        let bound = bind(view.clone(), signature(), digest, &BTreeMap::new()).unwrap();
        assert_eq!(bound.definition_hash, definition_hash(&view, &signature(), digest));
        assert_eq!((bound.view, bound.signature, bound.digest), (view, signature(), digest));
    }

    #[test]
    fn all_that_does_not_fit_is_said_at_once() {
        let view = view("inputs = { amuont = \"x\", paid_at = \"as_of\", amount = \"as_of\" }");
        let mut signature = signature();
        signature.outputs.extend(["bank", "card_id", "event_time"].map(|name| Field::new(name, DataType::Int64, true)));
        let errors = bind(view, signature, Digest::of(b""), &BTreeMap::new()).unwrap_err();
        let said: Vec<_> = errors.iter().map(|error| (error.to_string(), error.hint())).collect();
        let said: Vec<_> = said.iter().map(|(message, hint)| (message.as_str(), *hint)).collect();
        let timestamp = Some("such an input must be a timestamp that is not nullable");
        let both = Some("a row has both, so rename one of them");
        let refused = "the component of feature view `card_risk` declares a signature that is refused: output `event_time` has a name that is reserved for the time columns of a feature row (event_time, created_time, published_time, sequence, corrected_time, retracted_time, superseded_time, superseded_published_time, as_of)";
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
        let hash =
            |more: &str| bind(view(more), signature(), Digest::of(b""), &BTreeMap::new()).unwrap().definition_hash;
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
