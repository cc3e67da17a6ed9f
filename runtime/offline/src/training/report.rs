//! What came of a training set.

use tandem_core::hash::Digest;
use tandem_core::model::ViewVersion;

/// What came of all views.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainingReport {
    /// Labels, and so rows.
    pub labels: u64,
    /// In the order of the request.
    pub views: Vec<ViewReport>,
}

/// What came of one view. The counts of labels `present`, `null_value`, `outside_max_age`, `not_found` and `labels_without_key` add up to the labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewReport {
    /// The view.
    pub view: ViewVersion,
    /// Its component.
    pub digest: Digest,
    /// Its definition.
    pub definition_hash: Digest,
    /// Published rows that were read; row groups whose events all lie after the last label are not.
    pub rows_read: u64,
    /// Of them, rows that match nothing, because their key has a null or NaN.
    pub rows_without_key: u64,
    /// Of them, rows whose created time is null: they count as known from when their file was written.
    pub rows_without_created_time: u64,
    /// Labels with a row, of which a feature that was asked for is not null.
    pub present: u64,
    /// Labels with a row, of which all features that were asked for are null.
    pub null_value: u64,
    /// Labels whose newest row is older than the ttl.
    pub outside_max_age: u64,
    /// Labels whose entity had no row.
    pub not_found: u64,
    /// Labels whose key has a null or NaN.
    pub labels_without_key: u64,
    /// Labels for which a row of a later event had happened and was not known yet.
    pub newer_unknown: u64,
    /// Labels for which rows with equal times and sequence and different values tied.
    pub decided_by_bytes: u64,
    /// Labels whose row has the label's own time as its event time.
    pub at_label_time: u64,
}

impl ViewReport {
    /// Without counts yet.
    pub(super) fn new(view: ViewVersion, digest: Digest, definition_hash: Digest) -> Self {
        ViewReport {
            view,
            digest,
            definition_hash,
            rows_read: 0,
            rows_without_key: 0,
            rows_without_created_time: 0,
            present: 0,
            null_value: 0,
            outside_max_age: 0,
            not_found: 0,
            labels_without_key: 0,
            newer_unknown: 0,
            decided_by_bytes: 0,
            at_label_time: 0,
        }
    }
}
