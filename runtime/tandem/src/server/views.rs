//! `GET /v1/views`, `GET /v1/views/{name}`, `GET /health`: what is served.

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

pub(super) async fn health() -> Response {
    let body = json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") });
    guard::ok(body.to_string().into_bytes(), JSON, 0)
}

pub(super) async fn list(State(server): State<Arc<Server>>) -> Response {
    let views: Vec<Value> = server.views.iter().map(|view| describe(&view.bound)).collect();
    guard::ok(json!({ "views": views }).to_string().into_bytes(), JSON, views.len())
}

pub(super) async fn one(
    State(server): State<Arc<Server>>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let Path(name) = name.map_err(|_| Problem::new(Kind::InvalidPath, "the view's name is not UTF-8"))?;
    let view = server.view(&name)?;
    Ok(guard::ok(describe(&view.bound).to_string().into_bytes(), JSON, 1))
}

/// A view as clients need it: what to send, what comes back, and what identifies it.
pub(super) fn describe(bound: &BoundView) -> Value {
    let view = &bound.view;
    json!({
        "name": view.name,
        "version": view.version,
        "digest": bound.digest.to_string(),
        "definition_hash": bound.definition_hash.to_string(),
        "description": view.description,
        "doc": bound.signature.doc,
        "owner": view.owner,
        "tags": view.tags,
        "ttl": view.ttl.map(|ttl| ttl.to_string()),
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
        let described = describe(&bound);
        assert_eq!((&described["name"], &described["version"]), (&json!("risk"), &json!(2)));
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
