//! `POST /materialize` and `POST /materialize-incremental`, as Feast's feature server has them: published rows into the online store, from the
//! process that serves it.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use serde::Deserialize;
use tandem_core::time::{Day, DayRange, Timestamp};
use tandem_offline::OfflineError;

use super::body::{self, JSON, Media};
use super::deadline::Until;
use super::feast::{MATERIALIZE_INCREMENTAL, naive_utc};
use super::guard::{self, Deadline};
use super::json::whole;
use super::problem::{Kind, Problem};
use super::state::{Server, View};
use crate::error::Error;
use crate::materialize::{self, Report};

/// The body. Other members are options of Feast that have no meaning here.
#[derive(Debug, Deserialize)]
struct Body {
    /// RFC 3339, or without an offset, which is UTC.
    start_ts: Option<String>,
    end_ts: Option<String>,
    /// None, or none of them: all stored views.
    feature_views: Option<Vec<String>>,
}

pub(super) async fn materialize(
    State(server): State<Arc<Server>>,
    Extension(deadline): Extension<Deadline>,
    request: Request,
) -> Result<Response, Problem> {
    let incremental = request.uri().path() == MATERIALIZE_INCREMENTAL;
    let (head, body) = request.into_parts();
    Media::of_body(&head.headers, &[Media::Json])?;
    let until = Until::of(&head.headers, deadline, server.settings.request_seconds_max, None)?;
    let body = body::read(&server, &head.headers, body, until.instant).await?;
    let body: Body = whole(&body)?;
    let (start, end) = (instant("start_ts", body.start_ts.as_deref())?, instant("end_ts", body.end_ts.as_deref())?);
    // What is new is taken whatever its event time: a late row belongs to the present too.
    let range = match (incremental, start, end) {
        (false, Some(start), Some(end)) => Some(DayRange { from: Day::of(start), to: Day::of(end).next() }),
        _ => None,
    };
    if range.is_some_and(|range| range.is_empty()) {
        return Err(Problem::new(Kind::InvalidRequest, "`end_ts` lies before `start_ts`"));
    }
    let views = views(&server, body.feature_views.unwrap_or_default())?;
    let mut rows = 0;
    for view in views {
        // It may take longer than a request may: it goes on, and a repeated request finds it done.
        let report = until.run(one(Arc::clone(&server), view, range, incremental)).await?;
        rows += report.rows as usize;
    }
    Ok(guard::ok(b"null".to_vec(), JSON, rows))
}

fn views(server: &Server, names: Vec<String>) -> Result<Vec<Arc<View>>, Problem> {
    if names.is_empty() {
        let served = server.live.served();
        return Ok(served.views.iter().filter(|view| view.bound.view.is_stored()).map(Arc::clone).collect());
    }
    let stored = |name: &String| {
        let view = server.view(name)?;
        match view.bound.view.is_stored() {
            true => Ok(view),
            false => Err(Problem::new(Kind::InvalidRequest, format!("feature view `{name}` is computed on demand"))
                .hint("it has nothing to materialize")),
        }
    };
    names.iter().map(stored).collect()
}

/// An instant as Feast writes it.
fn instant(member: &str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = text else { return Ok(None) };
    naive_utc(text).map(Some).map_err(|error| {
        Problem::new(Kind::InvalidRequest, format!("`{member}`: {error}"))
            .with("input", member)
            .hint("write an instant, such as 2026-01-02T10:00:00")
    })
}

/// Materializes one view on a thread of its own: its rows are decoded and encoded, which would hold up requests.
async fn one(
    server: Arc<Server>,
    view: Arc<View>,
    range: Option<DayRange>,
    incremental: bool,
) -> Result<Report, Problem> {
    let (Some(store), Some(pusher), Some(offline_root)) = (&server.store, &server.pusher, &server.offline_root) else {
        return Err(Problem::new(Kind::NotMaterialized, "nothing may be written here").hint(hint(&view)));
    };
    let request = materialize::Request {
        view: Arc::clone(&view.bound),
        offline_root: offline_root.clone(),
        range,
        now: (pusher.clock)(),
        max_future: pusher.max_future,
        incremental,
        rebuild: false,
        rows_per_second_max: None,
        bounds: materialize::Bounds::default(),
    };
    let (store, workers) = (Arc::clone(store), server.workers.clone());
    let (told, outcome) = tokio::sync::oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| Problem::internal("no executor to materialize on", &error))?;
    let run = move || {
        let report = runtime.block_on(materialize::run(request, &store, &workers, |_| ()));
        let _ = told.send(report); // the client may be gone
    };
    let thread = std::thread::Builder::new().name("tandem-materialize".to_owned()).spawn(run);
    thread.map_err(|error| Problem::internal("no thread to materialize on", &error))?;
    match outcome.await {
        Ok(Ok(report)) => {
            let (name, version) = view.name_and_version();
            tracing::info!(view = name, version, rows = report.rows, written = report.written, "materialized");
            Ok(report)
        }
        // Nothing is published there: nothing is to be done.
        Ok(Err(Error::Offline(OfflineError::NotPublished { .. } | OfflineError::NoPartitions { .. }))) => {
            Ok(Report::default())
        }
        // What is in the way lies in data and folders of this machine: the log has it.
        Ok(Err(error)) => {
            let id = view.bound.view.id();
            tracing::error!(view = %id, %error, "a view cannot be materialized");
            Err(Problem::new(
                Kind::NotMaterialized,
                format!("feature view `{id}` cannot be materialized; the server's log says why"),
            )
            .hint(hint(&view)))
        }
        Err(_) => Err(Problem::internal("a thread that materializes ended", &"no report")),
    }
}

fn hint(view: &View) -> String {
    format!("run `tandem materialize {}` where the project is", view.bound.view.name)
}
