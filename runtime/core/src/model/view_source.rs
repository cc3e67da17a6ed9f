//! Where the rows of a view come from: files, another view, or a request.

use std::sync::Arc;

use super::{FeatureView, Source, SourceKind, ViewVersion};

/// Hive column of the rows that an aggregate view publishes on its grid: their day, in UTC.
pub const GRID_PARTITION: &str = "date";

/// Where the rows of a view come from.
#[derive(Debug, Clone, PartialEq)]
pub enum ViewSource {
    /// A `[[source]]`.
    Files(Arc<Source>),
    /// What another stored view published.
    View(Arc<PublishedRows>),
    /// The request, or the label row: an on-demand view. It has no `ttl`, no `known_by`, no `as_of` and no key columns; those
    /// fields have the values [`None`], [`KnownBy::Event`](super::KnownBy::Event), [`AsOf::AtOrBefore`](super::AsOf::AtOrBefore) and empty; its `history` is
    /// [`History::Append`](super::History::Append).
    Request,
}

/// The published rows of a stored view, as the source of another. Its columns are the view's join keys, its features,
/// `event_time` and, where there are any, `created_time` and `sequence`. All that is here follows from the view.
#[derive(Debug, Clone, PartialEq)]
pub struct PublishedRows {
    /// The view.
    pub view: ViewVersion,
    /// What a row is.
    pub kind: SourceKind,
    /// Whether rows have a created time.
    pub created_time: bool,
    /// Whether rows have a sequence.
    pub sequence: bool,
    /// Whether its source has event ids, so that its rows may be superseded.
    pub event_ids: bool,
    /// The zone of the partitions' days; timestamps are UTC all the same.
    pub timezone: Option<String>,
    /// Hive column with the day of the event time. Without it every file is read.
    pub partition: Option<String>,
}

impl PublishedRows {
    /// The rows that `view` publishes; None if it is computed on demand. Those of an aggregate view on its grid are the states of its entities: each has what was
    /// known at its time, so none has a time at which it became known.
    pub fn of(view: &FeatureView) -> Option<Self> {
        if view.grid().is_some() {
            return Some(PublishedRows {
                view: view.id(),
                kind: SourceKind::State,
                created_time: false,
                sequence: false,
                event_ids: false,
                timezone: None,
                partition: Some(GRID_PARTITION.to_owned()),
            });
        }
        let timezone = match &view.source {
            ViewSource::Files(source) => source.timezone.clone(),
            ViewSource::View(rows) => rows.timezone.clone(),
            ViewSource::Request => None,
        };
        Some(PublishedRows {
            view: view.id(),
            kind: view.source.kind()?,
            created_time: view.source.has_created_time(),
            sequence: view.source.has_sequence(),
            event_ids: view.source.has_event_ids(),
            timezone,
            partition: view.source.partition().map(str::to_owned),
        })
    }
}

impl ViewSource {
    /// The files, if it is files.
    pub fn files(&self) -> Option<&Arc<Source>> {
        match self {
            ViewSource::Files(source) => Some(source),
            ViewSource::View(_) | ViewSource::Request => None,
        }
    }

    /// What a row is; None for a request.
    pub fn kind(&self) -> Option<SourceKind> {
        match self {
            ViewSource::Files(source) => Some(source.kind),
            ViewSource::View(rows) => Some(rows.kind),
            ViewSource::Request => None,
        }
    }

    /// Whether rows tell when they end.
    pub fn has_valid_to(&self) -> bool {
        self.kind() == Some(SourceKind::Dimension)
    }

    /// Hive column with the day of the event time.
    pub fn partition(&self) -> Option<&str> {
        match self {
            ViewSource::Files(source) => source.partition.as_deref(),
            ViewSource::View(rows) => rows.partition.as_deref(),
            ViewSource::Request => None,
        }
    }

    /// Whether rows have a created time.
    pub fn has_created_time(&self) -> bool {
        match self {
            ViewSource::Files(source) => source.created_time.is_some(),
            ViewSource::View(rows) => rows.created_time,
            ViewSource::Request => false,
        }
    }

    /// Whether rows have a sequence.
    pub fn has_sequence(&self) -> bool {
        match self {
            ViewSource::Files(source) => source.sequence.is_some(),
            ViewSource::View(rows) => rows.sequence,
            ViewSource::Request => false,
        }
    }

    /// Whether rows may be superseded by later versions of their event.
    pub fn has_event_ids(&self) -> bool {
        match self {
            ViewSource::Files(source) => source.event_id.is_some(),
            ViewSource::View(rows) => rows.event_ids,
            ViewSource::Request => false,
        }
    }

    /// Its name in messages: "source `transactions`", "feature view `spend@1`", "the request".
    pub fn what(&self) -> String {
        match self {
            ViewSource::Files(source) => format!("source `{}`", source.name),
            ViewSource::View(rows) => format!("feature view `{}`", rows.view),
            ViewSource::Request => "the request".to_owned(),
        }
    }
}
