//! Problems as Feast's clients read them: a JSON string that holds JSON, with the class of the exception to raise.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

use super::{GET_ONLINE_FEATURES, MATERIALIZE, MATERIALIZE_INCREMENTAL, PUSH, WRITE_TO_ONLINE_STORE};
use crate::server::body::JSON;
use crate::server::problem::{Kind, Problem};

/// Whether who asks this route speaks Feast.
pub(in crate::server) fn is_feast(route: &str) -> bool {
    [GET_ONLINE_FEATURES, PUSH, WRITE_TO_ONLINE_STORE, MATERIALIZE, MATERIALIZE_INCREMENTAL].contains(&route)
}

/// The answer: 404 for what is not there, where features are asked for also request data; 422 for what is malformed; other statuses as they are. Clients try again at
/// 429 and 5xx, so a client's mistake is neither.
pub(in crate::server) fn response(route: &str, problem: &Problem, request_id: &str) -> Response {
    let asks = route == GET_ONLINE_FEATURES;
    let (status, class) = match problem.kind {
        Kind::ViewNotFound => (StatusCode::NOT_FOUND, "FeatureViewNotFoundException"),
        Kind::ServiceNotFound => (StatusCode::NOT_FOUND, "FeatureServiceNotFoundException"),
        Kind::SourceNotFound => (StatusCode::NOT_FOUND, "PushSourceNotFoundException"),
        Kind::UnknownName if asks => (StatusCode::NOT_FOUND, "FeastObjectNotFoundException"),
        Kind::MissingInput if asks => (StatusCode::NOT_FOUND, "RequestDataNotFoundInEntityRowsException"),
        Kind::NotMaterialized if asks => (StatusCode::NOT_FOUND, "FeatureViewNotFoundException"),
        kind if kind.status() == StatusCode::BAD_REQUEST => (StatusCode::UNPROCESSABLE_ENTITY, "FeastError"),
        kind => (kind.status(), "FeastError"),
    };
    let hint = match problem.to_json(request_id).get("hint") {
        Some(Value::String(hint)) => format!("; hint: {hint}"),
        _ => String::new(),
    };
    let message = format!("{}{hint} (request {request_id})", problem.detail);
    let detail = json!({ "module": "feast.errors", "class": class, "message": message }).to_string();
    // What else the problem says in headers holds here too.
    let mut response = problem.to_response(request_id);
    *response.status_mut() = status;
    *response.body_mut() = Body::from(Value::String(detail).to_string());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    response
}
