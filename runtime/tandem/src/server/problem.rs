//! What a client is told when a request fails: problem details (RFC 9457). Internal details go to the log instead.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use super::access;

/// Media type of a problem.
pub(super) const PROBLEM_JSON: &str = "application/problem+json";

/// Seconds after which a client that was refused for load may try again.
pub(super) const RETRY_AFTER_SECONDS: u64 = 1;

/// Member that says the same, where it is known better.
pub(super) const RETRY_AFTER_MEMBER: &str = "retry_after_seconds";

/// Failed rows that a problem lists.
pub(super) const FAILURES_SHOWN_MAX: usize = 10;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident, $slug:literal, $status:ident, $title:literal;)*) => {
        /// The problem types; `docs/reference/http.md` lists them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Kind { $($(#[$doc])* $kind,)* }

        impl Kind {
            /// Every kind.
            #[cfg(test)]
            pub(super) const ALL: &[Kind] = &[$(Kind::$kind,)*];

            /// The end of its type URN.
            pub(super) const fn slug(self) -> &'static str {
                match self { $(Kind::$kind => $slug,)* }
            }

            /// Its HTTP status.
            pub(super) const fn status(self) -> StatusCode {
                match self { $(Kind::$kind => StatusCode::$status,)* }
            }

            /// What it is, for people.
            pub(super) const fn title(self) -> &'static str {
                match self { $(Kind::$kind => $title,)* }
            }
        }
    };
}

kinds! {
    /// The body is not JSON.
    InvalidJson, "invalid-json", BAD_REQUEST, "The body is not valid JSON";
    /// The body is not an Arrow IPC stream that is taken.
    InvalidArrow, "invalid-arrow", BAD_REQUEST, "The body is not a valid Arrow IPC stream";
    /// The body is not compressed as it says.
    InvalidCoding, "invalid-coding", BAD_REQUEST, "The body is not compressed as it says";
    /// The body ended early.
    IncompleteBody, "incomplete-body", BAD_REQUEST, "The body ended too early";
    /// A path that is not UTF-8.
    InvalidPath, "invalid-path", BAD_REQUEST, "The path is not valid";
    /// JSON of another shape.
    InvalidRequest, "invalid-request", UNPROCESSABLE_ENTITY, "The request has another form than the route takes";
    /// A name that is no input, join key or feature of the view.
    UnknownName, "unknown-name", UNPROCESSABLE_ENTITY, "The view does not have what was named";
    /// A required column is absent.
    MissingInput, "missing-input", UNPROCESSABLE_ENTITY, "A required input is missing";
    /// A value of another type, out of range, or null where none may be.
    InvalidValue, "invalid-value", UNPROCESSABLE_ENTITY, "A value is not of its declared type";
    /// A feature without which the answer is of no use.
    RequiredFeature, "required-feature", UNPROCESSABLE_ENTITY, "A required feature is not known";
    /// An instant of the past, of which tiles alone are left.
    BehindHorizon, "behind-horizon", UNPROCESSABLE_ENTITY, "The instant lies too far back for a tiled view";
    /// Rows at fault beyond the view's limit.
    TooManyFailures, "too-many-failures", UNPROCESSABLE_ENTITY, "Too many rows failed";
    /// No token, where one is needed.
    Unauthenticated, "unauthenticated", UNAUTHORIZED, "A token is needed";
    /// A token that nobody has.
    InvalidToken, "invalid-token", UNAUTHORIZED, "The token is not valid";
    /// A token without the role.
    Forbidden, "forbidden", FORBIDDEN, "The token does not allow this";
    /// `as_of` from a caller without the right to it.
    ReplayNotAllowed, "replay-not-allowed", FORBIDDEN, "The caller may not set as_of";
    /// No such view or version.
    ViewNotFound, "view-not-found", NOT_FOUND, "There is no such feature view";
    /// No such feature service.
    ServiceNotFound, "service-not-found", NOT_FOUND, "There is no such feature service";
    /// No such source.
    SourceNotFound, "source-not-found", NOT_FOUND, "There is no such source";
    /// No such route.
    RouteNotFound, "route-not-found", NOT_FOUND, "There is no such route";
    /// A view of columns, of which nothing is computed.
    NoTransform, "no-transform", CONFLICT, "The feature view has no transform";
    /// A view that takes no rows.
    NotPushable, "not-pushable", CONFLICT, "Rows cannot be pushed into the feature view";
    /// The store has the version under another definition.
    DefinitionChanged, "definition-changed", CONFLICT, "The online store has another definition of this version";
    /// Rows of a push at fault.
    RowsRefused, "rows-refused", UNPROCESSABLE_ENTITY, "Rows cannot be stored";
    /// No room for writes.
    StorageFull, "storage-full", INSUFFICIENT_STORAGE, "There is no room to store the rows";
    /// The view has no online values.
    NotMaterialized, "not-materialized", CONFLICT, "The feature view is not materialized";
    /// The route has other methods.
    MethodNotAllowed, "method-not-allowed", METHOD_NOT_ALLOWED, "The route does not take this method";
    /// No media type of `Accept` can be given.
    NotAcceptable, "not-acceptable", NOT_ACCEPTABLE, "No accepted media type can be given";
    /// The body was not there in time.
    RequestTimeout, "request-timeout", REQUEST_TIMEOUT, "The request was not sent in time";
    /// More bytes than the limit.
    BodyTooLarge, "body-too-large", PAYLOAD_TOO_LARGE, "The body is too large";
    /// More rows than the limit.
    TooManyRows, "too-many-rows", PAYLOAD_TOO_LARGE, "The request has too many rows";
    /// More entities, features or values than the limit.
    TooMuchAsked, "too-much-asked", PAYLOAD_TOO_LARGE, "The request asks for too much";
    /// A media type that the route does not take.
    UnsupportedMediaType, "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE, "The media type of the body is not taken";
    /// Something broke here.
    Internal, "internal", INTERNAL_SERVER_ERROR, "The server failed";
    /// Too much at once.
    Overloaded, "overloaded", SERVICE_UNAVAILABLE, "The server is busy";
    /// A transform that is left alone for a while.
    CircuitOpen, "circuit-open", SERVICE_UNAVAILABLE, "The transform keeps failing";
    /// Requests should be sent elsewhere.
    NotReady, "not-ready", SERVICE_UNAVAILABLE, "The server is not ready";
    /// The answer was not there in time.
    DeadlineExceeded, "deadline-exceeded", GATEWAY_TIMEOUT, "The answer took too long";
}

/// A failed request: a kind, what happened, and members that programs can read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Problem {
    pub(super) kind: Kind,
    pub(super) detail: String,
    members: Map<String, Value>,
}

impl Problem {
    pub(super) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Problem { kind, detail: detail.into(), members: Map::new() }
    }

    /// A failure of the server. The client is told nothing but that; the log has the error.
    pub(super) fn internal(what: &'static str, error: &dyn std::fmt::Display) -> Self {
        tracing::error!(what, %error, "internal error");
        Problem::new(Kind::Internal, "an internal error; the server's log has it under the request id")
    }

    /// Adds a member beside those of the RFC.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// The text of a member.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.members.get(name).and_then(Value::as_str)
    }

    /// Adds what to do.
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        self.with("hint", hint.into())
    }

    /// Leaves the row out, where the value is not of a row.
    pub(super) fn without_row(mut self) -> Self {
        self.members.shift_remove("row");
        self
    }

    /// Adds where in the columns it lies.
    pub(super) fn at(self, input: &str, row: usize) -> Self {
        self.with("input", input).with("row", row)
    }

    /// The body: the members of the RFC first.
    pub(super) fn to_json(&self, instance: &str) -> Value {
        let mut body = Map::new();
        body.insert("type".to_owned(), format!("urn:tandem:problem:{}", self.kind.slug()).into());
        body.insert("title".to_owned(), self.kind.title().into());
        body.insert("status".to_owned(), self.kind.status().as_u16().into());
        body.insert("detail".to_owned(), self.detail.clone().into());
        body.insert("instance".to_owned(), instance.into());
        body.extend(self.members.clone());
        Value::Object(body)
    }

    /// What a client needs to be let in (RFC 6750).
    fn challenge(&self) -> Option<HeaderValue> {
        let text = match self.kind {
            Kind::Unauthenticated => "Bearer realm=\"tandem\"".to_owned(),
            Kind::InvalidToken => "Bearer realm=\"tandem\", error=\"invalid_token\"".to_owned(),
            Kind::Forbidden => {
                let role = self.text(access::ROLE).unwrap_or_default();
                format!("Bearer realm=\"tandem\", error=\"insufficient_scope\", scope=\"{role}\"")
            }
            _ => return None,
        };
        HeaderValue::from_str(&text).ok()
    }

    /// The answer, for the request of this id.
    pub(super) fn to_response(&self, instance: &str) -> Response {
        let mut response = Response::new(Body::from(self.to_json(instance).to_string()));
        *response.status_mut() = self.kind.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if matches!(self.kind, Kind::Overloaded | Kind::CircuitOpen | Kind::NotReady) {
            let seconds = self.members.get(RETRY_AFTER_MEMBER).and_then(Value::as_u64);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.unwrap_or(RETRY_AFTER_SECONDS)));
        }
        if let Some(challenge) = self.challenge() {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        // What is left of the body is not read, so the connection cannot serve another request.
        if matches!(self.kind, Kind::RequestTimeout | Kind::BodyTooLarge | Kind::IncompleteBody) {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// The status of an answer or a problem.
pub(super) fn status_of(answered: &Result<Response, Problem>) -> StatusCode {
    answered.as_ref().map_or_else(|problem| problem.kind.status(), Response::status)
}

/// The problem travels inside the response to the guard, which knows the request's id and writes the body.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.kind.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_the_members_of_the_rfc_first() {
        let problem = Problem::new(Kind::InvalidValue, "`a`, row 3: no").at("a", 3).hint("do");
        assert_eq!(
            problem.to_json("r1").to_string(),
            r#"{"type":"urn:tandem:problem:invalid-value","title":"A value is not of its declared type","status":422,"detail":"`a`, row 3: no","instance":"r1","input":"a","row":3,"hint":"do"}"#
        );
    }

    #[test]
    fn every_kind_is_in_the_reference() {
        let reference = include_str!("../../../../docs/reference/http.md");
        for kind in Kind::ALL {
            let row = format!("| `{}` | {} |", kind.slug(), kind.status().as_u16());
            assert!(reference.contains(&row), "docs/reference/http.md lacks {row}");
        }
    }

    #[test]
    fn only_failures_of_the_server_are_5xx() {
        let server: Vec<&str> =
            Kind::ALL.iter().filter(|kind| kind.status().is_server_error()).map(|kind| kind.slug()).collect();
        assert_eq!(
            server,
            ["storage-full", "internal", "overloaded", "circuit-open", "not-ready", "deadline-exceeded"]
        );
    }

    #[test]
    fn load_says_when_to_come_back_and_unread_bodies_close_the_connection() {
        let overloaded = Problem::new(Kind::Overloaded, "x").to_response("r");
        assert_eq!(overloaded.headers()[header::RETRY_AFTER], "1");
        assert!(!overloaded.headers().contains_key(header::CONNECTION));
        let large = Problem::new(Kind::BodyTooLarge, "x").to_response("r");
        assert_eq!(large.headers()[header::CONNECTION], "close");
    }
}
