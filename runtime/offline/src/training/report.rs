//! What came of a training set.

use tandem_core::checks::CheckResult;
use tandem_core::feature_plan::{FeaturePlan, Step};
use tandem_core::hash::Digest;
use tandem_core::model::{self, BoundView, KnownBy, ViewVersion};
use tandem_core::time::Timestamp;

use super::Phases;
use super::history::History;

/// What came of all views.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingReport {
    /// Labels, and so rows.
    pub labels: u64,
    /// The first and the last of the labels' times; None without labels.
    pub times: Option<(Timestamp, Timestamp)>,
    /// Labels whose outcome was observed before their own time.
    pub observed_before_time: u64,
    /// Parts in which the labels were joined.
    pub parts: u64,
    /// The stored views that were read, in the order of the plan.
    pub views: Vec<ViewReport>,
    /// The views that were computed, in the order of the plan.
    pub computed: Vec<ComputedReport>,
    /// The features, in their order.
    pub features: Vec<FeatureReport>,
    /// Where time went.
    pub phases: Phases,
}

/// What came of one stored view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewReport {
    /// The view.
    pub view: ViewVersion,
    /// Its component.
    pub digest: Digest,
    /// Its definition.
    pub definition_hash: Digest,
    /// What counts as known.
    pub known_by: KnownBy,
    /// What becomes of its rows when their partition is computed again.
    pub history: model::History,
    /// Published files.
    pub files: u64,
    /// Their row groups.
    pub row_groups: u64,
    /// Row groups that were read, over all parts; those whose events all lie after the last label are not.
    pub row_groups_read: u64,
    /// Published rows that were read, over all parts.
    pub rows_read: u64,
    /// Of them, rows that match nothing, because their key has a null or NaN.
    pub rows_without_key: u64,
    /// Of them, rows whose created time is null: they count as known from when their file was written.
    pub rows_without_created_time: u64,
    /// Rows of a view of columns that are set aside: without an event time, or with a value that does not convert.
    pub rows_set_aside: u64,
    /// Of them, rows that break the contract of the source.
    pub rows_breaking_contract: u64,
    /// Of them, rows that the component which makes the view's events fails on.
    pub rows_failing_transform: u64,
    /// Rows whose values were read, over all parts.
    pub rows_fetched: u64,
    /// Distinct keys and instants of the labels, over all parts.
    pub slots: u64,
    /// What came of the view's checks, over the rows that labels got: those that say something of such rows.
    pub checks: Vec<CheckResult>,
    /// What its labels got.
    pub labels: LabelCounts,
}

/// What labels got of a stored view. `present`, `null_value`, `outside_max_age`, `not_found` and `labels_without_key` add up to the labels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LabelCounts {
    /// Labels with a row, of which a feature that was asked for is not null.
    pub present: u64,
    /// Labels with a row, of which all features that were asked for are null.
    pub null_value: u64,
    /// Labels whose newest row is older than the ttl.
    pub outside_max_age: u64,
    /// Labels whose entity had no row.
    pub not_found: u64,
    /// Of them, labels whose entity had rows later: at least so many, since rows after the last label are not read.
    pub only_later: u64,
    /// Labels whose key has a null or NaN.
    pub labels_without_key: u64,
    /// Labels for which a row of a later event had happened and was not known yet.
    pub newer_unknown: u64,
    /// Labels for which rows with equal times and sequence and different values tied.
    pub decided_by_bytes: u64,
    /// Labels whose row has the label's own time as its event time.
    pub at_label_time: u64,
    /// Labels whose row was not known yet at their time: where created times are ignored.
    pub known_later: u64,
}

impl std::ops::AddAssign for LabelCounts {
    fn add_assign(&mut self, other: Self) {
        self.present += other.present;
        self.null_value += other.null_value;
        self.outside_max_age += other.outside_max_age;
        self.not_found += other.not_found;
        self.only_later += other.only_later;
        self.labels_without_key += other.labels_without_key;
        self.newer_unknown += other.newer_unknown;
        self.decided_by_bytes += other.decided_by_bytes;
        self.at_label_time += other.at_label_time;
        self.known_later += other.known_later;
    }
}

/// What came of one view that was computed. The counts add up to the labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComputedReport {
    /// The view.
    pub view: ViewVersion,
    /// Its component.
    pub digest: Digest,
    /// Its definition.
    pub definition_hash: Digest,
    /// Labels of which a feature that was asked for is not null.
    pub present: u64,
    /// Labels of which all features that were asked for are null.
    pub null_value: u64,
    /// Labels for which the transform failed.
    pub failed: u64,
    /// The first of them, counted from 0, and why.
    pub first_failure: Option<(u64, String)>,
}

/// What came of one feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureReport {
    /// Its column.
    pub column: String,
    /// Its view.
    pub view: ViewVersion,
    /// Its name there.
    pub feature: String,
    /// Labels without a value, for whatever reason; a default is a value.
    pub nulls: u64,
    /// Labels for which its default stands in.
    pub defaulted: u64,
    /// Whether it has one.
    pub has_default: bool,
}

/// What is counted in one batch of rows.
#[derive(Debug)]
pub(super) struct Counts {
    /// Null values of each feature.
    pub(super) nulls: Vec<u64>,
    /// Rows for which each feature's default stands in.
    pub(super) defaults: Vec<u64>,
    pub(super) computed: Vec<ComputedCounts>,
}

#[derive(Debug)]
pub(super) struct ComputedCounts {
    pub(super) present: u64,
    pub(super) null_value: u64,
    pub(super) failed: u64,
    pub(super) first_failure: Option<(u64, String)>,
}

impl TrainingReport {
    /// Without counts yet.
    pub(super) fn new(plan: &FeaturePlan, columns: &[String], histories: &[History], times: &[Timestamp]) -> Self {
        let span = times.iter().min().copied().zip(times.iter().max().copied());
        let features = plan.columns.iter().zip(columns).map(|(column, name)| FeatureReport {
            column: name.clone(),
            view: plan.view(column.from.step).view.id(),
            feature: column.feature.clone(),
            nulls: 0,
            defaulted: 0,
            has_default: plan.view(column.from.step).defaults.get(&column.feature).is_some(),
        });
        TrainingReport {
            labels: times.len() as u64,
            times: span,
            observed_before_time: 0,
            parts: 0,
            views: histories.iter().map(ViewReport::new).collect(),
            computed: plan.computed.iter().map(|step| ComputedReport::new(&step.view)).collect(),
            features: features.collect(),
            phases: Phases::default(),
        }
    }

    /// Adds what came of a batch of rows.
    pub(super) fn add(&mut self, counts: &Counts) {
        for (feature, nulls) in self.features.iter_mut().zip(&counts.nulls) {
            feature.nulls += nulls;
        }
        for (feature, defaults) in self.features.iter_mut().zip(&counts.defaults) {
            feature.defaulted += defaults;
        }
        for (report, counts) in self.computed.iter_mut().zip(&counts.computed) {
            report.present += counts.present;
            report.null_value += counts.null_value;
            report.failed += counts.failed;
            // Batches end in any order.
            let earlier = |first: &(u64, String)| report.first_failure.as_ref().is_none_or(|known| first.0 < known.0);
            if let Some(first) = counts.first_failure.as_ref().filter(|first| earlier(first)) {
                report.first_failure = Some(first.clone());
            }
        }
    }

    /// The report of a stored step's view, where the plan has the step.
    pub fn stored(&self, step: Step) -> Option<&ViewReport> {
        match step {
            Step::Stored(index) => self.views.get(index),
            Step::Computed(_) => None,
        }
    }
}

impl ViewReport {
    fn new(history: &History) -> Self {
        let BoundView { view, digest, definition_hash, .. } = &**history.view();
        ViewReport {
            view: view.id(),
            digest: *digest,
            definition_hash: *definition_hash,
            known_by: view.known_by,
            history: view.history,
            files: history.files().len() as u64,
            row_groups: history.row_groups(),
            row_groups_read: 0,
            rows_read: 0,
            rows_without_key: 0,
            rows_without_created_time: 0,
            checks: Vec::new(),
            rows_set_aside: 0,
            rows_breaking_contract: 0,
            rows_failing_transform: 0,
            rows_fetched: 0,
            slots: 0,
            labels: LabelCounts::default(),
        }
    }

    /// Labels with a row that is served.
    pub fn served(&self) -> u64 {
        self.labels.present + self.labels.null_value
    }
}

impl ComputedReport {
    fn new(bound: &BoundView) -> Self {
        ComputedReport {
            view: bound.view.id(),
            digest: bound.digest,
            definition_hash: bound.definition_hash,
            present: 0,
            null_value: 0,
            failed: 0,
            first_failure: None,
        }
    }
}
