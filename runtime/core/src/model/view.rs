//! A feature view as it is defined.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::{
    AsOf, BoundComponent, Check, ColumnFeature, Deprecation, Entity, GRID_PARTITION, History, InstanceMode, JoinKey,
    KnownBy, NanMode, OnError, Source, Stage, ViewSource, ViewVersion,
};
use crate::hash::{Digest, aggregates_digest, columns_digest};
use crate::limits::TransformLimits;
use crate::parameter::Parameters;
use crate::time::Duration;
use crate::types::{DataType, Signature};
use crate::window::{Aggregates, EventColumn, Grid};

/// Where an input of a transform comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputSource {
    /// A column of the source; of an on-demand view: of the request.
    Column(String),
    /// The instant for which the value is asked: the row's event time in batch, the clock online.
    AsOf,
    /// A feature of another view, for the same entities at the same instant. On-demand views only.
    Feature {
        /// The view.
        view: ViewVersion,
        /// The feature.
        feature: String,
    },
    /// The event time of the row of a stored view that is served for the same entities at the same instant. On-demand views only.
    EventTime {
        /// The view.
        view: ViewVersion,
    },
}

impl InputSource {
    /// The view that it reads.
    pub fn view(&self) -> Option<&ViewVersion> {
        match self {
            InputSource::Column(_) | InputSource::AsOf => None,
            InputSource::Feature { view, .. } | InputSource::EventTime { view } => Some(view),
        }
    }
}

/// A feature view: a transform over a source, keyed by entities, as defined (not yet bound to its component).
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureView {
    /// Its name.
    pub name: String,
    /// Its version, from 1; what a version means never changes.
    pub version: u32,
    /// How far it may be relied on.
    pub stage: Stage,
    /// What its users are told; there if, and only if, the stage is [`Stage::Deprecated`].
    pub deprecation: Option<Deprecation>,
    /// Where its rows come from.
    pub source: ViewSource,
    /// The entities that key it: at least one for a stored view; those of all upstream views, and maybe more, for an on-demand view.
    pub entities: Vec<Arc<Entity>>,
    /// The component file; empty for a view of columns. Of an aggregate view the one that makes its events of the source's rows, if it is not empty.
    pub component: PathBuf,
    /// Its features, where they are columns of its source as they are; empty for a view with a component. A view of columns has a source of files, no
    /// parameters, the limits' defaults, and an input for each feature.
    pub columns: Vec<ColumnFeature>,
    /// Its features, where they are aggregates of the events of its source; None for every other view. An aggregate view has a source of events in files, no
    /// ttl, an input for each column of the events (or, with a component, that one's inputs), and an `as_of` that follows from the bounds.
    pub aggregates: Option<Arc<Aggregates>>,
    /// Parameters of the transform.
    pub parameters: Parameters,
    /// Inputs that do not come from the column of their own name. An input `as_of` is always [`InputSource::AsOf`].
    pub inputs: BTreeMap<String, InputSource>,
    /// Join keys whose column in the source has another name: join key to column.
    pub key_columns: BTreeMap<String, String>,
    /// How long after its event time a row is served and joined.
    pub ttl: Option<Duration>,
    /// How long after its event time a row is as fresh as it should be; it is served past that, and told as stale. Less than the ttl. It changes no value.
    pub freshness: Option<Duration>,
    /// Whether a row at exactly T counts.
    pub as_of: AsOf,
    /// What "known by T" means.
    pub known_by: KnownBy,
    /// What becomes of published rows when their partition is computed again.
    pub history: History,
    /// Under [`KnownBy::Published`]: a row counts offline as published so long after its event time, whenever it really was.
    pub publish_delay: Option<Duration>,
    /// Values that stand in for features that have none, in the form of [`crate::json`]: feature to value. Never null, never an object.
    pub defaults: BTreeMap<String, serde_json::Value>,
    /// What becomes of rows that fail in batch.
    pub on_error: OnError,
    /// NaN inside the transform.
    pub nan: NanMode,
    /// How long an instance lives that answers requests.
    pub instance: InstanceMode,
    /// Limits of calls into the transform.
    pub limits: TransformLimits,
    /// What is expected of the rows that it publishes. None of an on-demand view.
    pub checks: Vec<Check>,
    /// Who answers for it; may be empty.
    pub owner: String,
    /// For people; may be empty.
    pub description: String,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
}

impl FeatureView {
    /// Its name and version.
    pub fn id(&self) -> ViewVersion {
        ViewVersion::new(&self.name, self.version)
    }

    /// Whether its rows are computed in batch and stored, and not made of requests.
    pub fn is_stored(&self) -> bool {
        !matches!(self.source, ViewSource::Request)
    }

    /// Whether its features are columns of its source: it has no component, and nothing is computed or published in batch.
    pub fn is_columns(&self) -> bool {
        !self.columns.is_empty()
    }

    /// Whether its features are aggregates of events over windows.
    pub fn is_aggregates(&self) -> bool {
        self.aggregates.is_some()
    }

    /// The instants at which batch publishes rows of an aggregate view; None of one that publishes none, and of every other view.
    pub fn grid(&self) -> Option<Grid> {
        self.aggregates.as_ref()?.every
    }

    /// Hive column of its published rows with the day of the event time.
    pub fn published_partition(&self) -> Option<&str> {
        if self.grid().is_some() { Some(GRID_PARTITION) } else { self.source.partition() }
    }

    /// Whether a component computes its features, row by row.
    pub fn has_component(&self) -> bool {
        !self.is_columns() && !self.is_aggregates()
    }

    /// Whether its features are aggregates of events that a component makes of the rows of its source.
    pub fn has_event_transform(&self) -> bool {
        self.is_aggregates() && !self.component.as_os_str().is_empty()
    }

    /// The files of the components that an aggregate view runs; none of every other view.
    pub fn event_components(&self) -> Vec<&PathBuf> {
        let functions = self.aggregates.iter().flat_map(|aggregates| &aggregates.functions);
        let functions = functions.map(|function| &function.component);
        self.has_event_transform().then_some(&self.component).into_iter().chain(functions).collect()
    }

    /// Puts other files in the place of [`FeatureView::event_components`], in their order.
    pub fn set_event_components(&mut self, files: Vec<PathBuf>) {
        let mut files = files.into_iter();
        if self.has_event_transform()
            && let Some(file) = files.next()
        {
            self.component = file;
        }
        if let Some(aggregates) = &mut self.aggregates
            && !aggregates.functions.is_empty()
        {
            let functions = &mut Arc::make_mut(aggregates).functions;
            functions.iter_mut().zip(files).for_each(|(function, file)| function.component = file);
        }
    }

    /// Whether it calls components with its limits.
    pub fn runs_components(&self) -> bool {
        self.has_component() || !self.event_components().is_empty()
    }

    /// What stands for the declaration of a component, and for its digest, in a view of columns or of aggregates: the digest of what the view says of them.
    /// None for a view with a component.
    pub fn declared(&self) -> Option<(Signature, Digest)> {
        self.declared_with(&[])
    }

    /// The same of an aggregate view and its components, in the order of [`FeatureView::event_components`].
    pub fn declared_with(&self, components: &[BoundComponent]) -> Option<(Signature, Digest)> {
        if let Some(aggregates) = &self.aggregates {
            let mut signature = aggregates.signature();
            if self.has_event_transform() {
                signature.inputs = components.first().map_or_else(Vec::new, |one| one.signature.inputs.clone());
            }
            let digests: Vec<Digest> = components.iter().map(|component| component.digest).collect();
            return Some((signature, aggregates_digest(aggregates, &digests)));
        }
        self.is_columns().then(|| (ColumnFeature::signature(&self.columns), columns_digest(&self.columns)))
    }

    /// The events of an aggregate view as the rows of a view of columns, with a feature for each column, or, where there is none, one with the event time.
    /// Behind them stand, where the source has them, the event's id ([`crate::types::EVENT_ID`]) and its retraction ([`crate::types::RETRACTED`]): rows are
    /// versions of events, of which [`crate::versions::ends`] says when each counts. Where a component makes the events, the inputs are that one's, and these two,
    /// and the other columns name its outputs. None for every other view.
    pub fn events(&self) -> Option<FeatureView> {
        let aggregates = self.aggregates.as_ref()?;
        let source = self.source.files()?;
        let feature = |column: &EventColumn| ColumnFeature {
            name: column.name.clone(),
            column: column.column.clone(),
            data_type: column.data_type,
            description: String::new(),
        };
        let mut columns: Vec<ColumnFeature> = aggregates.columns.iter().map(feature).collect();
        if columns.is_empty() {
            columns.push(ColumnFeature {
                name: crate::types::EVENT_TIME.to_owned(),
                column: source.event_time.clone(),
                data_type: DataType::Timestamp,
                description: String::new(),
            });
        }
        let mut inputs = match self.has_event_transform() {
            true => self.inputs.clone(),
            false => columns
                .iter()
                .map(|feature| (feature.name.clone(), InputSource::Column(feature.column.clone())))
                .collect(),
        };
        let mut source = Source::clone(source);
        let id_type = source.event_id.as_ref().map(|column| self.event_id_type(&source, column, &columns));
        let of_source = [
            (crate::types::EVENT_ID, source.event_id.take(), id_type),
            (crate::types::RETRACTED, source.retracted.take(), Some(DataType::Boolean)),
        ];
        for (name, column, data_type) in of_source {
            let (Some(column), Some(data_type)) = (column, data_type) else { continue };
            inputs.insert(name.to_owned(), InputSource::Column(column.clone()));
            columns.push(ColumnFeature { name: name.to_owned(), column, data_type, description: String::new() });
        }
        let source = ViewSource::Files(Arc::new(source));
        Some(FeatureView { source, columns, inputs, aggregates: None, defaults: BTreeMap::new(), ..self.clone() })
    }

    /// As what an event's id is read: as the column is read otherwise, or promised; else as text, to which integers and bytes are written.
    fn event_id_type(&self, source: &Source, column: &str, columns: &[ColumnFeature]) -> DataType {
        // The columns of a component's events are its outputs.
        let columns = if self.has_event_transform() { &[] } else { columns };
        let of_view = columns.iter().find(|feature| feature.column == column).map(|feature| feature.data_type);
        let of_key = || self.join_keys().find(|key| self.key_column(&key.name) == column).map(|key| key.data_type);
        let promised = || source.contract.columns.iter().find(|one| one.name == column).map(|one| one.data_type);
        of_view.or_else(of_key).or_else(promised).unwrap_or(DataType::String)
    }

    /// The views that it reads, each once: the one whose rows are its source, then those of its inputs in the order of the inputs' names.
    pub fn upstream(&self) -> Vec<&ViewVersion> {
        let source = match &self.source {
            ViewSource::View(rows) => Some(&rows.view),
            ViewSource::Files(_) | ViewSource::Request => None,
        };
        let mut found: Vec<&ViewVersion> = Vec::new();
        for view in source.into_iter().chain(self.inputs.values().filter_map(InputSource::view)) {
            if !found.contains(&view) {
                found.push(view);
            }
        }
        found
    }

    /// The join keys of all entities, in order.
    pub fn join_keys(&self) -> impl Iterator<Item = &JoinKey> {
        self.entities.iter().flat_map(|entity| &entity.join_keys)
    }

    /// The source's column for a join key.
    pub fn key_column<'a>(&'a self, join_key: &'a str) -> &'a str {
        self.key_columns.get(join_key).map_or(join_key, String::as_str)
    }

    /// Where the input `name` comes from.
    pub fn input_source(&self, name: &str) -> InputSource {
        if name == crate::types::AS_OF {
            return InputSource::AsOf;
        }
        self.inputs.get(name).cloned().unwrap_or_else(|| InputSource::Column(name.to_owned()))
    }
}
