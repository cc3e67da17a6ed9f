//! `POST /push` and `POST /write-to-online-store`, as Feast's feature server has them: for clients that have its SDK.
//!
//! A push source is a `[[source]]`: its rows go into every view over it that is served. Columns that no view reads are passed over, as there. Timestamps
//! without a zone are UTC, and whole numbers are seconds.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use serde_json::{Map, Value};
use tandem_core::types::Field;
use tandem_online::PushTo;

use super::json::{given, names};
use super::{Wanted, check_vectors, plan, take};
use crate::push::{Given, PushPlan, is_timestamp};
use crate::server::body::{self, Bounds, JSON, Media};
use crate::server::deadline::Until;
use crate::server::feast::naive_utc;
use crate::server::guard::{Deadline, Rows};
use crate::server::json::{Cells, Column, Form, too_many_rows};
use crate::server::names as given_names;
use crate::server::problem::{Kind, Problem};
use crate::server::state::{Server, View};

/// Header with the number of rows that were set aside; Feast's answer has no room for it.
const QUARANTINED: HeaderName = HeaderName::from_static("tandem-quarantined");

/// Columns whose names Feast's SDK knows alone.
const EVENT_TIMESTAMP: &str = "event_timestamp";
const CREATED: &str = "created";

/// What a request of either route says.
struct Asked {
    views: Vec<Arc<View>>,
    to: PushTo,
    columns: Map<String, Value>,
    rows: usize,
}

pub(in crate::server) async fn push(
    State(server): State<Arc<Server>>,
    Extension(deadline): Extension<Deadline>,
    request: Request,
) -> Result<Response, Problem> {
    let (rows, quarantined) = answer(&server, deadline, request, pushed_into).await?;
    Ok(done(Body::empty(), rows, quarantined))
}

pub(in crate::server) async fn write_to_online_store(
    State(server): State<Arc<Server>>,
    Extension(deadline): Extension<Deadline>,
    request: Request,
) -> Result<Response, Problem> {
    let (rows, quarantined) = answer(&server, deadline, request, written_into).await?;
    Ok(done(Body::from("null"), rows, quarantined))
}

fn done(body: Body, rows: usize, quarantined: usize) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    if quarantined > 0 {
        response.headers_mut().insert(QUARANTINED, HeaderValue::from(quarantined));
    }
    response.extensions_mut().insert(Rows(rows));
    response
}

type Read = fn(&Server, Map<String, Value>) -> Result<(Vec<Arc<View>>, PushTo, Value), Problem>;

/// Pushes the rows; gives how many there were, and how many of them were set aside.
async fn answer(server: &Server, deadline: Deadline, request: Request, read: Read) -> Result<(usize, usize), Problem> {
    let (head, body) = request.into_parts();
    Media::of_body(&head.headers, &[Media::Json])?;
    let until = Until::of(&head.headers, deadline, server.settings.request_seconds_max, None)?;
    let body = body::read(server, &head.headers, body, until.instant).await?;
    until
        .run(async {
            let bounds = Bounds::of(&server.settings);
            let object = server.compute(body.len(), move || object(&body)).await??;
            let (views, to, df) = read(server, object)?;
            let (columns, rows) = columns(df, bounds)?;
            let asked = Asked { views, to, columns, rows };
            let mut quarantined = 0;
            for view in &asked.views {
                let plan = plan(view)?;
                let given = rows_of(&plan, &asked, bounds)?;
                let wanted = Wanted { to: Some(asked.to), on_error: None };
                quarantined += take(server, view, &plan, given, wanted).await?.refused.len();
            }
            Ok((asked.rows, quarantined))
        })
        .await
}

fn object(body: &Bytes) -> Result<Map<String, Value>, Problem> {
    let value: Value =
        serde_json::from_slice(body).map_err(|error| Problem::new(Kind::InvalidJson, error.to_string()))?;
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(malformed("the body is not an object")),
    }
}

fn malformed(detail: impl Into<String>) -> Problem {
    Problem::new(Kind::InvalidRequest, detail)
}

/// A member that must be a text.
fn text(object: &mut Map<String, Value>, key: &str) -> Result<String, Problem> {
    match object.remove(key) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(malformed(format!("`{key}` is not a string"))),
        None => Err(malformed(format!("`{key}` is missing"))),
    }
}

fn df(object: &mut Map<String, Value>) -> Result<Value, Problem> {
    object.remove("df").ok_or_else(|| malformed("`df` is missing"))
}

/// What `/push` says.
fn pushed_into(server: &Server, mut object: Map<String, Value>) -> Result<(Vec<Arc<View>>, PushTo, Value), Problem> {
    let name = text(&mut object, "push_source_name")?;
    let to = match object.get("to").map(Value::as_str) {
        None | Some(Some("online")) => PushTo::ONLINE,
        Some(Some("offline")) => PushTo::OFFLINE,
        Some(Some("online_and_offline")) => PushTo::BOTH,
        Some(_) => return Err(malformed("`to` is none of `online`, `offline` and `online_and_offline`")),
    };
    let views = server.live.views_over(&name);
    if views.is_empty() {
        let detail = format!("no feature view that is served reads a source `{}`", given_names::cut(&name));
        return Err(Problem::new(Kind::SourceNotFound, detail));
    }
    Ok((views, to, df(&mut object)?))
}

/// What `/write-to-online-store` says.
fn written_into(server: &Server, mut object: Map<String, Value>) -> Result<(Vec<Arc<View>>, PushTo, Value), Problem> {
    let view = server.view(&text(&mut object, "feature_view_name")?)?;
    Ok((vec![view], PushTo::ONLINE, df(&mut object)?))
}

/// The columns of a data frame, all of one length.
fn columns(df: Value, bounds: Bounds) -> Result<(Map<String, Value>, usize), Problem> {
    let Value::Object(columns) = df else {
        return Err(malformed("`df` is not an object with one array for each column"));
    };
    let mut rows = None;
    for (name, values) in &columns {
        let Some(values) = values.as_array() else {
            return Err(malformed(format!("the column `{}` of `df` is not an array", given_names::cut(name))));
        };
        if values.len() > bounds.rows_max {
            return Err(too_many_rows(bounds.rows_max));
        }
        if *rows.get_or_insert(values.len()) != values.len() {
            return Err(malformed("the columns of `df` have different lengths"));
        }
    }
    let rows = rows.unwrap_or(0);
    Ok((columns, rows))
}

/// The columns that a view reads.
fn rows_of(plan: &PushPlan, asked: &Asked, bounds: Bounds) -> Result<Given, Problem> {
    check_vectors(plan, asked.rows, bounds)?;
    let column = |name: &str| match asked.columns.get(name) {
        Some(Value::Array(values)) => Some(Column::of(values)),
        _ => None,
    };
    let mut columns: Vec<Option<Column>> = names(plan).into_iter().map(column).collect();
    for (place, name) in [(Some(plan.event_time()), EVENT_TIMESTAMP), (plan.created_time(), CREATED)] {
        let Some(place) = place else { continue };
        let is_given = names(plan).iter().enumerate().any(|(index, _)| {
            let of = if index < plan.columns().len() { index } else { plan.aliases()[index - plan.columns().len()].1 };
            of == place && columns[index].is_some()
        });
        if !is_given {
            columns[place] = column(name);
        }
    }
    let cells = Cells { columns, rows: asked.rows, form: Form::Columns };
    // For Feast what is missing of request data is not found; a column of a data frame is no request data.
    given(plan, &cells, &value).map_err(|problem| match problem.kind {
        Kind::MissingInput => Problem::new(Kind::InvalidRequest, problem.detail),
        _ => problem,
    })
}

/// A value as this server writes it.
fn value<'v>(field: &Field, value: &'v Value) -> Cow<'v, Value> {
    let written = match value {
        _ if !is_timestamp(field) => None,
        // What is no instant is refused as it was written.
        Value::String(text) => naive_utc(text).ok().map(|time| Value::from(time.to_string())),
        Value::Number(number) => number.as_i64().and_then(|seconds| seconds.checked_mul(1_000_000)).map(Value::from),
        _ => None,
    };
    written.map_or(Cow::Borrowed(value), Cow::Owned)
}
