//! `GET /v1/views`, `GET /v1/views/{name}`, `GET /health`: what is served.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use serde_json::{Value, json};
use tandem_core::model::{BoundView, Entity, InputSource};
use tandem_core::types::Field;

use super::body::JSON;
use super::guard;
use super::problem::{Kind, Problem};
use super::state::Server;

pub(super) async fn health(State(server): State<Arc<Server>>) -> Response {
    guard::ok(server.live.health().to_string().into_bytes(), JSON, 0)
}

pub(super) async fn list(State(server): State<Arc<Server>>) -> Response {
    let served = server.live.served();
    let views: Vec<Value> = served.views.iter().map(|view| describe(&view.bound, &served.aliases)).collect();
    guard::ok(
        json!({ "registration": served.registration, "views": views }).to_string().into_bytes(),
        JSON,
        views.len(),
    )
}

pub(super) async fn one(
    State(server): State<Arc<Server>>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let Path(name) = name.map_err(|_| Problem::new(Kind::InvalidPath, "the view's name is not UTF-8"))?;
    let view = server.view(&name)?;
    let aliases = &server.live.served().aliases;
    let mut response = guard::ok(describe(&view.bound, aliases).to_string().into_bytes(), JSON, 1);
    server.mark(&view, &mut response);
    Ok(response)
}

/// A view as clients need it: what to send, what comes back, and what identifies it.
pub(super) fn describe(bound: &BoundView, aliases: &BTreeMap<(String, String), u32>) -> Value {
    let view = &bound.view;
    let own = aliases.iter().filter(|((of, _), version)| *of == view.name && **version == view.version);
    json!({
        "name": view.name,
        "version": view.version,
        "stage": view.stage.as_str(),
        "deprecated": view.deprecation.as_ref().map(|deprecation| json!({
            "since": deprecation.since.to_string(),
            "replacement": deprecation.replacement.as_ref().map(ToString::to_string),
        })),
        "aliases": own.map(|((_, alias), _)| alias.as_str()).collect::<Vec<_>>(),
        "digest": bound.digest.to_string(),
        "definition_hash": bound.definition_hash.to_string(),
        "description": view.description,
        "doc": bound.signature.doc,
        "owner": view.owner,
        "tags": view.tags,
        "ttl": view.ttl.map(|ttl| ttl.to_string()),
        "freshness": view.freshness.map(|freshness| freshness.to_string()),
        "entities": view.entities.iter().map(|entity| describe_entity(entity)).collect::<Vec<_>>(),
        "inputs": bound.signature.inputs.iter().map(|input| {
            let mut described = describe_field(input);
            // Bound by the server: not to be sent.
            if view.input_source(&input.name) == InputSource::AsOf {
                described["bound_to"] = "as_of".into();
            }
            described
        }).collect::<Vec<_>>(),
        "outputs": bound.signature.outputs.iter().map(describe_field).collect::<Vec<_>>(),
    })
}

fn describe_entity(entity: &Entity) -> Value {
    let key = |key: &tandem_core::model::JoinKey| json!({ "name": key.name, "type": key.data_type.to_string() });
    json!({
        "name": entity.name,
        "description": entity.description,
        "join_keys": entity.join_keys.iter().map(key).collect::<Vec<_>>(),
    })
}

fn describe_field(field: &Field) -> Value {
    json!({
        "name": field.name,
        "type": field.data_type.to_string(),
        "nullable": field.nullable,
        "doc": field.doc,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::testing::bound;

    #[test]
    fn a_view_says_what_to_send_and_what_comes_back() {
        let bound = bound();
        let aliases = [("risk", "champion", 2), ("risk", "old", 1), ("spend", "champion", 2)];
        let aliases = aliases.map(|(view, alias, version)| ((view.to_owned(), alias.to_owned()), version));
        let described = describe(&bound, &BTreeMap::from(aliases));
        assert_eq!(described["aliases"], json!(["champion"]));
        assert_eq!((&described["stage"], &described["deprecated"]), (&json!("experimental"), &Value::Null));
        assert_eq!((&described["name"], &described["version"]), (&json!("risk"), &json!(2)));
        assert_eq!(described["freshness"], json!(null));
        assert_eq!((&described["ttl"], &described["doc"]), (&json!("1d"), &json!("How risky it is.")));
        assert_eq!(described["digest"], bound.digest.to_string());
        assert_eq!(described["definition_hash"], bound.definition_hash.to_string());
        let keys = json!([{"name": "card_id", "type": "int64"}, {"name": "bank", "type": "string"}]);
        assert_eq!(described["entities"], json!([{"name": "card", "description": "", "join_keys": keys}]));
        let amount = json!({"name": "amount", "type": "float64", "nullable": false, "doc": ""});
        assert_eq!(described["inputs"][0], amount);
        assert_eq!(described["inputs"][1]["bound_to"], "as_of");
        assert_eq!(described["inputs"][5]["type"], "sequence[int64]");
        assert_eq!(described["outputs"].as_array().unwrap().len(), 2);
    }
}
