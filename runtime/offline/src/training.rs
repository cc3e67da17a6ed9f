//! Training sets: for each label the feature values that were known at its time.
//!
//! Two passes over a view's published rows. The first reads join keys and times alone and lets the rows compete for the labels' instants
//! ([`tandem_core::point_in_time`]); the second reads the features of the rows that won, and no others. So rows are neither sorted nor kept,
//! and memory follows the labels: their keys, 4 bytes for each label and set of keys, 56 for each distinct instant of a key (and thread), and the values that
//! won. The labels' file is read twice too: its keys and times, then all of it beside the features, in its order.
//!
//! - `labels`: the labels' file, their instants, and their distinct keys, numbered
//! - `history`: the published files of a view as one sequence of numbered rows
//! - `joined`: one view's answers for all labels
//! - `output`: the columns of the training set
//! - `report`: what came of it

mod error;
mod history;
mod joined;
mod labels;
mod output;
mod report;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use tandem_core::model::BoundView;

pub use error::TrainingError;
pub use labels::Labels;
pub use report::{TrainingReport, ViewReport};

use joined::JoinedView;
use labels::{KeyColumn, LabelKeys};

/// A view whose features are wanted.
#[derive(Debug, Clone)]
pub struct JoinView {
    /// The view; a stored one.
    pub view: Arc<BoundView>,
    /// Its features, in the order of the output.
    pub features: Vec<String>,
    /// Join keys that have another name among the label's columns: join key to column.
    pub key_columns: BTreeMap<String, String>,
}

/// What a training set is made of.
#[derive(Debug, Clone)]
pub struct TrainingRequest {
    /// The labels.
    pub labels: Labels,
    /// The labels' column with T, the instant for which values are asked.
    pub event_time: String,
    /// IANA time zone in which label times without a zone are read; without it they are refused.
    pub timezone: Option<String>,
    /// The views, in the order of the output.
    pub views: Vec<JoinView>,
    /// Folder of the published rows.
    pub offline_root: PathBuf,
    /// Whether each view has a column with the status of its values.
    pub statuses: bool,
    /// How it is read.
    pub options: TrainingOptions,
}

/// How a training set is read. None of these can change a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainingOptions {
    /// `batch_rows`: rows that are read, joined and written at a time.
    pub batch_rows: usize,
    /// `threads`: files of a view that are read at the same time. Each has slots of its own for the labels' instants.
    pub threads: usize,
}

impl Default for TrainingOptions {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        TrainingOptions { batch_rows: 65_536, threads }
    }
}

/// A training set whose joins are decided, to be read in the order of the labels.
#[derive(Debug)]
pub struct TrainingSet {
    labels: Labels,
    schema: SchemaRef,
    views: Vec<JoinedView>,
    statuses: bool,
    batch_rows: usize,
    report: TrainingReport,
}

impl TrainingSet {
    /// Decides all joins. Blocking.
    ///
    /// # Errors
    ///
    /// Label columns that are not there or do not convert without loss, a label without a time, an unknown feature, a view of which nothing is
    /// published or whose files are not its own, and whatever the file system refuses.
    pub fn join(request: TrainingRequest) -> Result<Self, TrainingError> {
        let TrainingRequest { labels, event_time, timezone, views, offline_root, statuses, options } = request;
        let batch_rows = options.batch_rows.max(1);
        let schema = output::schema(&labels, &views, statuses)?;
        let times = labels.times(&event_time, timezone.as_deref(), batch_rows)?;
        let mut asked: Vec<Arc<LabelKeys>> = Vec::new();
        let mut joined = Vec::new();
        for view in &views {
            let columns = key_columns(view);
            // Views with the same keys share what is made of the labels.
            let known = asked.iter().find(|keys| keys.columns == columns).cloned();
            let keys = match known {
                Some(keys) => keys,
                None => {
                    let keys = Arc::new(LabelKeys::read(&labels, columns, &times, timezone.as_deref(), batch_rows)?);
                    asked.push(Arc::clone(&keys));
                    keys
                }
            };
            joined.push(JoinedView::decide(view, keys, &offline_root, &options)?);
        }
        let report = TrainingReport {
            labels: times.len() as u64,
            views: joined.iter().map(|view| view.report(&times)).collect(),
        };
        Ok(TrainingSet { labels, schema, views: joined, statuses, batch_rows, report })
    }

    /// The label's columns, then for each view its features and, if asked for, `VIEW__status`.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What came of the joins.
    pub fn report(&self) -> &TrainingReport {
        &self.report
    }

    /// The rows: one for each label, in their order. Blocking.
    pub fn batches(&self) -> Result<impl Iterator<Item = Result<RecordBatch, TrainingError>> + '_, TrainingError> {
        let mut at = 0;
        let labels = self.labels.batches(None, self.batch_rows)?;
        Ok(labels.map(move |labels| {
            let labels = labels?;
            let rows = at..at + labels.num_rows();
            at = rows.end;
            output::batch(&self.schema, &labels, &self.views, rows, self.statuses)
        }))
    }
}

/// The label columns of a view's join keys.
fn key_columns(view: &JoinView) -> Vec<KeyColumn> {
    let column = |name: &String| view.key_columns.get(name).unwrap_or(name).clone();
    let keys = view.view.view.join_keys();
    keys.map(|key| KeyColumn { column: column(&key.name), key: key.clone() }).collect()
}
