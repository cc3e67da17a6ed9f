//! `GET /openapi.json`: what is served now, as an OpenAPI 3.1 document, with the types of each view's inputs and features.
//!
//! Views and services are paths of their own, so that a client that is generated of the document has functions with their columns. What is
//! served under other names too (`name@2`, aliases) is told in words.

mod paths;
mod schema;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::body::JSON;
use super::guard;
use super::live::Served;
use super::state::Server;

/// The route.
pub(super) const OPENAPI: &str = "/openapi.json";

pub(super) async fn openapi(State(server): State<Arc<Server>>) -> Response {
    let served = server.live.served();
    guard::ok(document(&served).to_string().into_bytes(), JSON, 0)
}

/// The document of what is served.
fn document(served: &Served) -> Value {
    let mut paths = Map::new();
    // The greatest version of a view is what its bare name means.
    for (index, view) in served.views.iter().enumerate() {
        let (name, version) = view.name_and_version();
        let newest = served.views.get(index + 1).is_none_or(|next| next.name_and_version().0 != name);
        let names = newest.then(|| name.to_owned()).into_iter().chain([format!("{name}@{version}")]);
        for called in names {
            if view.on_demand.is_some() {
                paths.insert(format!("/v1/transforms/{called}"), paths::transform(&view.bound, &called));
            }
            if let Ok(plan) = &view.push {
                paths.insert(format!("/v1/push/{called}"), paths::push(plan, &called));
            }
        }
    }
    for (name, service) in &served.services {
        paths.insert(format!("/v1/services/{name}"), paths::service(name, &service.plan));
    }
    paths.extend(paths::fixed());
    json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Tandem",
            "summary": "Features, the same bits as in training",
            "description": "Views and services as they are served now; `name` is the greatest version of a view, `name@2` that version, `name@champion` the one that the alias stands for.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": { "schemas": schema::shared(), "responses": schema::responses() },
    })
}
