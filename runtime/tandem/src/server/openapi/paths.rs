//! What each route takes and gives.

use serde_json::{Map, Value, json};
use tandem_core::feature_plan::{FeaturePlan, Step};
use tandem_core::model::{BoundView, InputSource};
use tandem_core::types::Field;

use super::schema::{Given, columns, object, row, value};
use crate::push::PushPlan;
use crate::server::body::{ARROW_STREAM, JSON};
use crate::server::feast::{GET_ONLINE_FEATURES, PUSH, WRITE_TO_ONLINE_STORE};
use crate::server::guard::{HEALTH, METRICS, READY};

/// An operation that posts a body and is answered with JSON; `problem` is what it is refused with.
fn posted(id: String, words: (&str, String), body: Value, answer: Value, arrow: bool) -> Value {
    let (summary, description) = words;
    let mut request = json!({ JSON: { "schema": body } });
    let mut answers = json!({ JSON: { "schema": answer } });
    if arrow {
        request[ARROW_STREAM] = json!({ "schema": { "type": "string", "contentMediaType": ARROW_STREAM } });
        answers[ARROW_STREAM] = json!({ "schema": { "type": "string", "contentMediaType": ARROW_STREAM } });
    }
    let timeout = json!({
        "name": "tandem-timeout-ms", "in": "header", "required": false,
        "description": "milliseconds that the request is given",
        "schema": { "type": "integer", "minimum": 1, "maximum": u32::MAX },
    });
    json!({ "post": {
        "operationId": id,
        "summary": summary,
        "description": description,
        "parameters": [timeout],
        "requestBody": { "required": true, "content": request },
        "responses": {
            "200": { "description": "One answer for each row, in the order of the request", "content": answers },
            "4XX": { "$ref": "#/components/responses/Problem" },
            "5XX": { "$ref": "#/components/responses/Problem" },
        },
    } })
}

/// An operation that gets JSON.
fn got(id: &str, summary: &str, answer: Value) -> Value {
    json!({ "get": {
        "operationId": id,
        "summary": summary,
        "responses": {
            "200": { "description": summary, "content": { JSON: { "schema": answer } } },
            "4XX": { "$ref": "#/components/responses/Problem" },
            "5XX": { "$ref": "#/components/responses/Problem" },
        },
    } })
}

/// `rows` or `columns`, and `beside`.
fn forms(given: &[Given], beside: &Value) -> Value {
    let with = |form: &str, schema: Value| {
        let mut properties = beside.clone();
        properties[form] = schema;
        object(properties, &[form])
    };
    json!({ "oneOf": [
        with("rows", json!({ "type": "array", "items": row(given) })),
        with("columns", columns(given)),
    ] })
}

/// An id of letters, digits and `_`.
fn id(verb: &str, name: &str) -> String {
    format!("{verb}_{}", name.replace('@', "_version_"))
}

/// `as_of`, for callers that may replay.
fn as_of() -> Value {
    json!({ "description": "for replay, where the server allows it", "$ref": "#/components/schemas/Timestamp" })
}

/// `POST /v1/transforms/{name}`.
pub(super) fn transform(bound: &BoundView, name: &str) -> Value {
    let is_sent = |field: &&Field| bound.view.input_source(&field.name) != InputSource::AsOf;
    let given: Vec<Given> = bound.signature.inputs.iter().filter(is_sent).map(Given::input).collect();
    let features: Map<String, Value> =
        bound.signature.outputs.iter().map(|output| (output.name.clone(), value(output.data_type, true))).collect();
    let lists: Map<String, Value> = features.iter().map(|(name, value)| (name.clone(), list(value))).collect();
    let answer = json!({
        "type": "object",
        "properties": {
            "view": { "const": bound.view.name }, "version": { "const": bound.view.version },
            "digest": { "$ref": "#/components/schemas/Digest" },
            "rows": { "type": "array", "items": { "anyOf": [object(Value::Object(features), &[]), { "type": "null" }] } },
            "columns": object(Value::Object(lists), &[]),
            "failed_rows": { "type": "array", "items": { "$ref": "#/components/schemas/FailedRow" } },
        },
        "required": ["view", "version", "digest", "failed_rows"],
    });
    let words = ("Runs the view's transform over inputs that the request brings", bound.signature.doc.clone());
    posted(id("transform", name), words, forms(&given, &json!({ "as_of": as_of() })), answer, true)
}

/// `POST /v1/services/{name}`.
pub(super) fn service(name: &str, plan: &FeaturePlan) -> Value {
    let given: Vec<Given> = plan.request.iter().map(Given::requested).collect();
    let words = format!("The features of {name}, stored ones and those computed on demand");
    posted(id("service", name), (&words, String::new()), asked(&given), vectors(plan), true)
}

/// Rows, columns, or one row of `common` values alone. What is common may be left out of the rows, which a schema cannot say of each column.
fn asked(given: &[Given]) -> Value {
    let mut forms = forms(given, &json!({ "as_of": as_of() }));
    let one = object(json!({ "common": row(given), "as_of": as_of() }), &["common"]);
    if let Some(all) = forms["oneOf"].as_array_mut() {
        all.push(one);
    }
    forms
}

fn vectors(plan: &FeaturePlan) -> Value {
    let values: Map<String, Value> =
        plan.columns.iter().map(|column| (column.name.clone(), value(column.data_type, true))).collect();
    let each = |schema: Value| -> Value {
        Value::Object(plan.columns.iter().map(|column| (column.name.clone(), schema.clone())).collect())
    };
    let status = json!({ "$ref": "#/components/schemas/Status" });
    let time = json!({ "type": ["string", "null"], "format": "date-time" });
    let of_row = json!({
        "type": "object",
        "properties": {
            "values": object(Value::Object(values.clone()), &[]), "statuses": object(each(status.clone()), &[]),
            "reasons": { "type": "object" }, "event_times": object(each(time.clone()), &[]),
        },
        "required": ["values", "statuses", "event_times"],
    });
    let column = |name: &str| {
        let stored =
            plan.columns.iter().any(|column| column.name == *name && matches!(column.from.step, Step::Stored(_)));
        json!({
            "type": "object",
            "description": if stored { "stored" } else { "computed on demand" },
            "properties": { "values": list(&values[name]), "statuses": list(&status), "event_times": list(&time) },
            "required": ["values", "statuses", "event_times"],
        })
    };
    let columns: Map<String, Value> = values.keys().map(|name| (name.clone(), column(name))).collect();
    json!({
        "type": "object",
        "properties": {
            "service": { "type": "string" },
            "as_of": { "type": "string", "format": "date-time" },
            "features": { "type": "array", "items": {
                "type": "object",
                "properties": {
                    "name": { "type": "string" }, "view": { "type": "string" }, "version": { "type": "integer" },
                    "digest": { "$ref": "#/components/schemas/Digest" },
                },
                "required": ["name", "view", "version", "digest"],
            } },
            "rows": { "type": "array", "items": of_row },
            "columns": object(Value::Object(columns), &[]),
            "failed_rows": { "type": "array", "items": { "$ref": "#/components/schemas/FailedRow" } },
        },
        "required": ["as_of", "features", "failed_rows"],
    })
}

/// `POST /v1/push/{name}`.
pub(super) fn push(plan: &PushPlan, name: &str) -> Value {
    let given = plan.columns().iter().enumerate();
    let given: Vec<Given> = given.map(|(index, column)| Given::pushed(column, plan.is_required(index))).collect();
    let beside = json!({
        "to": { "enum": ["online", "offline", "online_and_offline"] },
        "on_error": { "enum": ["fail", "quarantine"] },
    });
    let count = json!({ "type": "integer", "minimum": 0 });
    let answer = json!({
        "type": "object",
        "properties": {
            "view": { "type": "string" }, "version": { "type": "integer" }, "digest": { "$ref": "#/components/schemas/Digest" },
            "rows": count, "accepted": count, "written": count, "older": count, "unchanged": count, "logged": count,
            "outcomes": { "type": "array", "items": { "enum": ["written", "older", "unchanged", "logged", "quarantined"] } },
            "quarantined": { "type": "array", "items": { "type": "object" } },
        },
        "required": ["view", "version", "digest", "rows", "accepted", "outcomes", "quarantined"],
    });
    let words = ("Writes rows into the view", "Acknowledged once they are durable".to_owned());
    let mut path = posted(id("push", name), words, forms(&given, &beside), answer, false);
    let body = &mut path["post"]["requestBody"]["content"];
    body[ARROW_STREAM] = json!({ "schema": { "type": "string", "contentMediaType": ARROW_STREAM } });
    path
}

/// The routes that are there whatever is served.
pub(super) fn fixed() -> Vec<(String, Value)> {
    let any = json!({ "type": "object" });
    let names = json!({ "type": "array", "items": { "type": "string" } });
    let lists = json!({ "type": "object", "additionalProperties": { "type": "array" } });
    let of_view = object(
        json!({
            "view": { "type": "string" }, "features": names, "as_of": as_of(),
            "entities": { "anyOf": [lists, { "type": "array", "items": any }] },
        }),
        &["view", "entities"],
    );
    let of_list = |form: &str, schema: Value| {
        let properties = json!({ "features": names, "prefix": { "type": "boolean" }, form: schema, "common": any, "as_of": as_of() });
        object(properties, &["features", form])
    };
    let of_list =
        json!([of_list("rows", json!({ "type": "array", "items": any })), of_list("columns", lists.clone()), of_view]);
    let words = ("Features of entities of one view, or of a list of features", String::new());
    let mut all = vec![(
        "/v1/features".to_owned(),
        posted("features".to_owned(), words, json!({ "oneOf": of_list }), any.clone(), false),
    )];
    all.push((
        "/v1/views".to_owned(),
        got(
            "views",
            "What is served",
            object(
                json!({ "registration": { "type": ["integer", "null"] }, "views": { "type": "array", "items": any } }),
                &["registration", "views"],
            ),
        ),
    ));
    all.push((HEALTH.to_owned(), got("health", "The server is up", any.clone())));
    all.push((READY.to_owned(), got("ready", "The server can do its work", any.clone())));
    let mut metrics = got("metrics", "Metrics for Prometheus", any.clone());
    metrics["get"]["responses"]["200"]["content"] = json!({ "text/plain": { "schema": { "type": "string" } } });
    all.push((METRICS.to_owned(), metrics));
    let feast = [
        (
            GET_ONLINE_FEATURES,
            "feast_get_online_features",
            json!({
                "type": "object",
                "properties": {
                    "features": names, "feature_service": { "type": "string" }, "full_feature_names": { "type": "boolean" },
                    "entities": lists,
                },
                "required": ["entities"],
                "anyOf": [{ "required": ["features"] }, { "required": ["feature_service"] }],
            }),
        ),
        (
            PUSH,
            "feast_push",
            json!({
                "type": "object",
                "properties": { "push_source_name": { "type": "string" }, "df": lists, "to": { "enum": ["online", "offline", "online_and_offline"] } },
                "required": ["push_source_name", "df"],
            }),
        ),
        (
            WRITE_TO_ONLINE_STORE,
            "feast_write_to_online_store",
            json!({
                "type": "object", "properties": { "feature_view_name": { "type": "string" }, "df": lists }, "required": ["feature_view_name", "df"],
            }),
        ),
    ];
    for (route, id, body) in feast {
        let words = ("As Feast's feature server has it", "For clients with Feast's SDK".to_owned());
        let mut path = posted(id.to_owned(), words, body, json!({}), false);
        for range in ["4XX", "5XX"] {
            path["post"]["responses"][range] = json!({ "$ref": "#/components/responses/FeastError" });
        }
        all.push((route.to_owned(), path));
    }
    all
}

fn list(schema: &Value) -> Value {
    json!({ "type": "array", "items": schema })
}
