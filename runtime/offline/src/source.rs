//! Where the rows of a stored view lie: the files of its source, or what another view published.

use std::path::Path;
use std::sync::Arc;

use tandem_core::model::{BoundView, Source, SourceContract, SourceKind, ViewSource};
use tandem_core::types::{CREATED_TIME, EVENT_TIME, SEQUENCE, VALID_TO};

use crate::error::OfflineError;
use crate::listing::FileEntry;
use crate::publish::{check_published, view_folder};
use crate::query::{self, QueryRows};

/// Where a stored view's rows lie.
#[derive(Debug, Clone)]
pub(crate) struct Resolved {
    /// A source of files.
    pub(crate) source: Arc<Source>,
    /// Those of a query, as long as they are needed.
    pub(crate) query: Option<Arc<QueryRows>>,
}

/// The source of a stored view's rows, with its folder. For a view over another's rows that is the folder in which those are published
/// below `offline_root`; every file there is checked to be of that view as it is defined now. A query is run, over the files of its tables that are
/// `only` wanted. Blocking.
pub(crate) fn resolve(
    view: &BoundView,
    offline_root: &Path,
    only: Option<&dyn Fn(&FileEntry) -> bool>,
) -> Result<Resolved, OfflineError> {
    let source = source_of(view, offline_root)?;
    if let Some(query) = &source.query {
        let (source, rows) = query::run(&source, query, offline_root, only)?;
        return Ok(Resolved { source, query: Some(rows) });
    }
    if let ViewSource::View(rows) = &view.view.source {
        let upstream = view.upstream.iter().find(|upstream| upstream.view.id() == rows.view);
        let upstream = upstream
            .ok_or_else(|| OfflineError::UpstreamMissing { view: view.view.id(), upstream: rows.view.clone() })?;
        let folder = source.path.clone();
        let there = folder.try_exists().map_err(OfflineError::io("read", &folder))?;
        if !there || check_published(upstream, &folder)?.is_empty() {
            let (view, version) = (rows.view.name.clone(), rows.view.version);
            return Err(OfflineError::NotPublished { view, version, folder, range: None });
        }
    }
    Ok(Resolved { source, query: None })
}

/// [`resolve`] without looking at what is there.
pub(crate) fn source_of(view: &BoundView, offline_root: &Path) -> Result<Arc<Source>, OfflineError> {
    let column = |there: bool, name: &str| there.then(|| name.to_owned());
    match &view.view.source {
        ViewSource::Files(source) => Ok(Arc::clone(source)),
        ViewSource::View(rows) => Ok(Arc::new(Source {
            name: rows.view.to_string(),
            path: view_folder(offline_root, &rows.view.name, rows.view.version),
            query: None,
            kind: rows.kind,
            event_time: EVENT_TIME.to_owned(),
            valid_to: column(rows.kind == SourceKind::Dimension, VALID_TO),
            created_time: column(rows.created_time, CREATED_TIME),
            sequence: column(rows.sequence, SEQUENCE),
            // Its history tells which of its rows are superseded.
            event_id: None,
            retracted: None,
            timezone: rows.timezone.clone(),
            partition: rows.partition.clone(),
            // The rows were computed of such as kept what their source promises.
            contract: SourceContract::default(),
            description: String::new(),
        })),
        ViewSource::Request => Err(OfflineError::OnDemand { view: view.view.id() }),
    }
}
