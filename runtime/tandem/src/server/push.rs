//! `POST /v1/push/{name}`: rows into a view, acknowledged once they are durable. `feast` has the same under the names of Feast's server.

mod answer;
mod arrow;
mod feast;
mod json;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::{ArrayRef, new_null_array};
use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use serde_json::{Value, json};
use tandem_core::definition::ServerSettings;
use tandem_core::model::OnError;
use tandem_online::{OnlineError, PushTo, ViewId};

use super::body::{self, Bounds, JSON, Media};
use super::deadline::Until;
use super::guard::{self, Deadline};
use super::limits;
use super::problem::{FAILURES_SHOWN_MAX, Kind, Problem};
use super::state::{Server, View};
use super::transforms::engine_problem;
use crate::materialize::store_view;
use crate::push::{Given, Push, PushError, PushPlan, Pushed, Pusher, Reason, Refused};

pub(super) use feast::{push as feast_push, write_to_online_store as feast_write};

/// How a request wants its rows to be taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Wanted {
    /// Where they go; both, where nothing is said.
    to: Option<PushTo>,
    /// What becomes of the others when one is refused; as the view says, where nothing is said.
    on_error: Option<OnError>,
}

impl Wanted {
    /// Sets what a key says.
    fn set(&mut self, key: &str, value: &str) -> Result<(), Problem> {
        let refused = |words: &str| {
            let problem =
                Problem::new(Kind::InvalidRequest, format!("`{key}` cannot be `{}`", super::names::cut(value)));
            Err(problem.with("input", key).hint(format!("write {words}")))
        };
        match (key, value) {
            ("to", "online") => self.to = Some(PushTo::ONLINE),
            ("to", "offline") => self.to = Some(PushTo::OFFLINE),
            ("to", "online_and_offline") => self.to = Some(PushTo::BOTH),
            ("to", _) => return refused("`online`, `offline` or `online_and_offline`"),
            (_, "fail") => self.on_error = Some(OnError::Fail),
            (_, "quarantine") => self.on_error = Some(OnError::Quarantine),
            _ => return refused("`fail` or `quarantine`"),
        }
        Ok(())
    }

    /// What the request's query says, for bodies that have no room for it.
    fn of_query(query: Option<&str>) -> Result<Wanted, Problem> {
        let mut wanted = Wanted::default();
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !["to", "on_error"].contains(&key) {
                let problem =
                    Problem::new(Kind::InvalidRequest, format!("unknown parameter `{}`", super::names::cut(key)));
                return Err(problem.hint("the parameters are `to` and `on_error`"));
            }
            wanted.set(key, value)?;
        }
        Ok(wanted)
    }
}

pub(super) async fn push(
    State(server): State<Arc<Server>>,
    Extension(deadline): Extension<Deadline>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let Path(name) = name.map_err(|_| Problem::new(Kind::InvalidPath, "the view's name is not UTF-8"))?;
    let view = server.view(&name)?;
    let plan = plan(&view)?;
    let wanted = Wanted::of_query(request.uri().query())?;
    let (head, body) = request.into_parts();
    let media = Media::of_body(&head.headers, &[Media::Json, Media::ArrowStream])?;
    let until = Until::of(&head.headers, deadline, server.settings.request_seconds_max, None)?;
    let body = body::read(&server, &head.headers, body, until.instant).await?;
    let bounds = Bounds::of(&server.settings);
    let pushed = async {
        let (given, wanted) = {
            let plan = Arc::clone(&plan);
            match media {
                Media::Json => server.compute(body.len(), move || json::decode(&body, &plan, wanted, bounds)).await??,
                // Arrow's reader may panic on hostile bytes, which must not unwind through the executor.
                Media::ArrowStream => {
                    let decode = move || arrow::decode(&body, &plan, bounds);
                    (server.on_worker(decode).await??, wanted)
                }
            }
        };
        take(&server, &view, &plan, given, wanted).await
    };
    let pushed = until.run(pushed).await?;
    let rows = pushed.outcomes.len();
    let mut response = guard::ok(answer::json(&view.bound, &pushed), JSON, rows);
    server.mark(&view, &mut response);
    Ok(response)
}

/// The rows of a body as [`push`] takes it, for other fronts: JSON, or an Arrow stream.
///
/// # Errors
///
/// What a client would be told.
pub(crate) fn given(body: &[u8], is_arrow: bool, plan: &PushPlan, settings: &ServerSettings) -> Result<Given, String> {
    // What bounds bodies of strangers does not bound this program's own.
    let bounds = Bounds { body_bytes_max: u64::MAX, ..Bounds::of(settings) };
    let given = match is_arrow {
        false => json::decode(body, plan, Wanted::default(), bounds).map(|(given, _)| given),
        true => arrow::decode(body, plan, bounds),
    };
    given.map_err(|problem| problem.detail)
}

/// As [`limits::check_vectors`], of the columns that may be pushed.
fn check_vectors(plan: &PushPlan, rows: usize, bounds: Bounds) -> Result<(), Problem> {
    limits::check_vectors(plan.columns().iter().map(|column| column.data_type), rows, bounds)
}

/// What may be pushed into a view.
fn plan(view: &View) -> Result<Arc<PushPlan>, Problem> {
    match &view.push {
        Ok(plan) => Ok(Arc::clone(plan)),
        Err(error) => Err(push_problem(error)),
    }
}

/// Pushes rows into a view.
async fn take(
    server: &Server,
    view: &View,
    plan: &Arc<PushPlan>,
    given: Given,
    wanted: Wanted,
) -> Result<Pushed, Problem> {
    let pusher = pusher(server)?;
    let id = number(server, view, pusher).await?;
    let push = Push {
        plan,
        id,
        on_demand: view.on_demand.as_ref(),
        to: wanted.to.unwrap_or(PushTo::BOTH),
        on_error: wanted.on_error.unwrap_or(view.bound.view.on_error),
    };
    let begin = Instant::now();
    let pushed = pusher.push(push, given).await;
    view.metrics.pushed(&pushed);
    let pushed = pushed.map_err(|error| push_problem(&error))?;
    server.live.metrics().pushed(begin.elapsed());
    if !pushed.refused.is_empty() {
        let (name, version) = view.name_and_version();
        tracing::warn!(view = name, version, rows = pushed.refused.len(), "pushed rows were set aside");
    }
    Ok(pushed)
}

fn pusher(server: &Server) -> Result<&Pusher, Problem> {
    server
        .pusher
        .as_ref()
        .ok_or_else(|| Problem::new(Kind::NotPushable, "this server has no online store that it may write"))
}

/// The view's number in the store, which registers it at its first use.
async fn number(server: &Server, view: &View, pusher: &Pusher) -> Result<ViewId, Problem> {
    if let Some(id) = view.store_view {
        return Ok(id);
    }
    let (store, bound) = (pusher.writer.store().clone(), Arc::clone(&view.bound));
    let id = server.on_worker(move || store_view(&store, &bound)).await?;
    id.map_err(|error| match error {
        crate::error::Error::Online(error) => online_problem(&error),
        error => Problem::internal("a view cannot be registered in the online store", &error),
    })
}

/// A column that was not given: null in every row, where that may be.
fn absent(plan: &PushPlan, column: usize, rows: usize) -> Result<ArrayRef, Problem> {
    let field = &plan.columns()[column];
    if !plan.is_required(column) || rows == 0 {
        return Ok(new_null_array(&field.data_type.to_arrow(), rows));
    }
    let detail = format!("the column `{}` ({}) is missing, which {} needs", field.name, field.data_type, field.doc);
    Err(Problem::new(Kind::MissingInput, detail).with("input", field.name.as_str()).hint("every row needs it"))
}

/// The problem of a column that is given under two names.
fn two_names(field: &str, other: &str) -> Problem {
    let detail = format!("`{field}` and `{other}` are two names of one column");
    Problem::new(Kind::InvalidRequest, detail).with("input", field).hint("leave one of them out")
}

/// What a client is told about an error of a push.
fn push_problem(error: &PushError) -> Problem {
    match error {
        PushError::NotPushable { hint, .. } => Problem::new(Kind::NotPushable, error.to_string()).hint(*hint),
        PushError::Refused(refused) => refused_rows(refused),
        PushError::Engine(error) => engine_problem(error),
        PushError::Online(error) => online_problem(error),
        PushError::Defect(_) => Problem::internal("rows cannot be pushed", error),
    }
}

fn refused_rows(refused: &BTreeMap<usize, Refused>) -> Problem {
    let shown: Vec<Value> =
        refused.iter().take(FAILURES_SHOWN_MAX).map(|(row, refused)| refused_row(*row, refused)).collect();
    let detail = match refused.iter().next() {
        Some((row, first)) if refused.len() == 1 => format!("row {row} cannot be stored: {}", first.message),
        Some((row, first)) => {
            format!("{} rows cannot be stored; the first is row {row}: {}", refused.len(), first.message)
        }
        None => "a row cannot be stored".to_owned(),
    };
    let hint = match refused.values().any(|one| one.reason == Reason::Contract) {
        true => "nothing was stored: correct the rows; the contract of the source says `on_violation = \"fail\"`",
        false => {
            "nothing was stored: correct the rows, or send `\"on_error\": \"quarantine\"` to have the others stored"
        }
    };
    Problem::new(Kind::RowsRefused, detail).with("rows", refused.len()).with("failed_rows", shown).hint(hint)
}

fn refused_row(row: usize, refused: &Refused) -> Value {
    json!({ "row": row, "reason": refused.reason.as_str(), "message": refused.message })
}

fn online_problem(error: &OnlineError) -> Problem {
    let with_hint = |kind| {
        let problem = Problem::new(kind, error.to_string());
        if let Some(hint) = error.hint() { problem.hint(hint) } else { problem }
    };
    match error {
        OnlineError::DiskFull { .. } | OnlineError::MapFull { .. } => {
            tracing::error!(%error, "the online store takes no writes");
            // Where it lies is not the client's.
            Problem::new(Kind::StorageFull, "the online store has no room for the rows; nothing of them was stored")
                .hint("what is stored is served; send the rows again once there is room")
        }
        OnlineError::QueueFull { .. } => Problem::new(Kind::Overloaded, error.to_string()).hint("try again later"),
        OnlineError::DefinitionChanged { .. } | OnlineError::SchemaChanged { .. } => with_hint(Kind::DefinitionChanged),
        OnlineError::ReadOnly { .. } => with_hint(Kind::NotPushable),
        error => Problem::internal("the online store cannot be written", error),
    }
}
