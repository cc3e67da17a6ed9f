//! What the tests of the server share: a view without a component.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tandem_core::definition::{File, Sources, bind, parse_project};
use tandem_core::hash::Digest;
use tandem_core::model::BoundView;
use tandem_core::time::Timestamp;
use tandem_core::types::{DataType, Field, ItemType, Signature};

use super::as_of::Clock;

/// The clock of the tests: 2026-01-01T00:00:00Z.
pub(super) const NOW: Timestamp = Timestamp(1_767_225_600_000_000);

pub(super) const LIVE: Clock = Clock { now: NOW, allow_replay: false };
pub(super) const REPLAY: Clock = Clock { now: NOW, allow_replay: true };

/// Version 2 of `risk`, keyed by `card_id` (int64) and `bank` (string), with a ttl of a day and these further lines.
pub(super) fn bound_with(more: &str, inputs: Vec<Field>) -> Arc<BoundView> {
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
created_time = "known_at"
[[feature_view]]
name = "risk"
version = 2
source = "transactions"
entities = ["card"]
component = "risk.wasm"
ttl = "1d"
{more}"#
    );
    let settings = File { name: "tandem.toml".to_owned(), text: "[project]\nname = \"x\"".to_owned() };
    let features = vec![File { name: "f.toml".to_owned(), text }];
    let project = parse_project(&Sources { settings, features }, Path::new("")).unwrap_or_else(|e| panic!("{e}"));
    let signature = Signature { inputs, outputs: outputs(), doc: "How risky it is.".to_owned() };
    let view = project.views.into_iter().next().unwrap();
    Arc::new(bind(view, signature, Digest([7; 32]), &BTreeMap::new()).unwrap_or_else(|errors| panic!("{errors:?}")))
}

/// `risk` with inputs of several types; `seen` is bound to `as_of`, as is `as_of` itself.
pub(super) fn bound() -> Arc<BoundView> {
    let inputs = vec![
        Field::new("amount", DataType::Float64, false),
        Field::new("seen", DataType::Timestamp, false),
        Field::new("merchant", DataType::String, true),
        Field::new("count", DataType::Int64, true),
        Field::new("as_of", DataType::Timestamp, false),
        Field::new("history", DataType::Sequence(ItemType::Int64), true),
    ];
    bound_with("inputs = { seen = \"as_of\" }", inputs)
}

/// `score` (float64) and `label` (string).
pub(super) fn outputs() -> Vec<Field> {
    vec![Field::new("score", DataType::Float64, false), Field::new("label", DataType::String, true)]
}
