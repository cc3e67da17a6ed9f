//! What in a training set looks as if the future leaked into it, or as if chance had a say. Nothing here changes a value.

use tandem_core::model::{History, KnownBy, ViewVersion};

use super::report::{LabelCounts, TrainingReport};

/// `leakage_share_at_label_time`: share of the labels with a row from which on rows that happened at the label's very time are suspicious.
pub const SHARE_AT_LABEL_TIME: f64 = 0.05;

/// `leakage_share_decided_by_bytes`: share of the labels with a row from which on ties that only the rows' bytes decide are suspicious.
pub const SHARE_DECIDED_BY_BYTES: f64 = 0.01;

/// `leakage_share_newer_unknown`: share of all labels from which on rows that had happened and were not known yet are told: a reload that stamped
/// everything with its own time looks so.
pub const SHARE_NEWER_UNKNOWN: f64 = 0.2;

/// `leakage_share_only_later`: share of all labels from which on entities whose rows all came after the label are suspicious.
pub const SHARE_ONLY_LATER: f64 = 0.05;

/// What is suspicious.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Rows have the label's own time.
    AtLabelTime,
    /// Created times were ignored, and rows were joined that were not known yet.
    KnownLater,
    /// The source has no created time: late rows cannot be told from what was known.
    NoCreatedTime,
    /// The view replaces rows that are computed again: what was known before is gone.
    Replaced,
    /// Rows that had happened were not known yet for a large share of labels.
    NewerUnknown,
    /// Entities have rows only after their labels.
    OnlyLater,
    /// The view has rows, and none where a label looks.
    NoneInRange,
    /// Rows tie in time and differ in values.
    DecidedByBytes,
    /// The outcome of labels was observed before their time.
    ObservedBeforeTime,
}

impl Kind {
    /// Its name in manifests and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::AtLabelTime => "at_label_time",
            Kind::KnownLater => "known_later",
            Kind::NoCreatedTime => "no_created_time",
            Kind::Replaced => "replaced",
            Kind::NewerUnknown => "newer_unknown",
            Kind::OnlyLater => "only_later",
            Kind::NoneInRange => "none_in_range",
            Kind::DecidedByBytes => "decided_by_bytes",
            Kind::ObservedBeforeTime => "observed_before_time",
        }
    }

    /// Whether `--deny leakage` refuses the training set for it. What only may be, and what leaves rows out instead of letting them in, is told and
    /// not refused.
    pub fn is_denied(self) -> bool {
        !matches!(self, Kind::NoCreatedTime | Kind::Replaced | Kind::NewerUnknown | Kind::OnlyLater | Kind::NoneInRange)
    }
}

/// Something suspicious.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// The view; None where it is about the labels.
    pub view: Option<ViewVersion>,
    /// Labels that show it.
    pub labels: u64,
    /// Of so many.
    pub of: u64,
}

impl Finding {
    /// One sentence for people.
    pub fn message(&self) -> String {
        let view = self.view.as_ref().map(ViewVersion::to_string).unwrap_or_default();
        let (labels, of) = (self.labels, self.of);
        let share = share(labels, of) * 100.0;
        let count = format!("{labels} of {of} labels ({share:.1} %)");
        match self.kind {
            Kind::AtLabelTime => format!("`{view}`: the row of {count} has the label's own time"),
            Kind::KnownLater => format!("`{view}`: the row of {count} was not known yet at the label's time"),
            Kind::NoCreatedTime => {
                format!("`{view}`: its source has no created time, so late rows count from their event time on")
            }
            Kind::Replaced => {
                format!("`{view}`: its rows are replaced when they are computed again, so old labels see new values")
            }
            Kind::NewerUnknown => {
                format!("`{view}`: for {count} a row of a later event had happened and was not known yet")
            }
            Kind::OnlyLater => format!("`{view}`: the entity of {count} has rows only after the label"),
            Kind::NoneInRange => {
                format!("`{view}`: it has rows, and none in the range of time in which the labels ({of}) look")
            }
            Kind::DecidedByBytes => {
                format!(
                    "`{view}`: for {count} rows with equal times and different values tied, and their bytes decided"
                )
            }
            Kind::ObservedBeforeTime => format!("the outcome of {count} was observed before the label's time"),
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self.kind {
            Kind::AtLabelTime => {
                "if a row is the very thing that is predicted on, its view must say as_of = \"before\""
            }
            Kind::KnownLater => "leave --ignore-created-time out",
            Kind::NoCreatedTime => "name the source's created_time, or use known_by = \"published\"",
            Kind::Replaced => "leave `history = \"replace\"` out of the view, as a new version",
            Kind::NewerUnknown => {
                "look whether the source was loaded again and everything stamped with the time of the load"
            }
            Kind::OnlyLater => "look whether rows are written because of what the label tells",
            Kind::NoneInRange => "look whether times have another unit or zone, or days are missing",
            Kind::DecidedByBytes => "name a sequence of the source, so that the order of its rows is told",
            Kind::ObservedBeforeTime => "look whether the columns of the two times were swapped",
        }
    }
}

/// Everything suspicious, in the order of the views.
pub fn findings(report: &TrainingReport) -> Vec<Finding> {
    let mut found = Vec::new();
    if report.observed_before_time > 0 {
        let (labels, of) = (report.observed_before_time, report.labels);
        found.push(Finding { kind: Kind::ObservedBeforeTime, view: None, labels, of });
    }
    for view in &report.views {
        let LabelCounts { at_label_time, known_later, newer_unknown, only_later, decided_by_bytes, .. } = view.labels;
        let mut add = |suspicious: bool, kind, labels, of| {
            if suspicious {
                found.push(Finding { kind, view: Some(view.view.clone()), labels, of });
            }
        };
        let (served, all) = (view.served(), report.labels);
        add(share(at_label_time, served) >= SHARE_AT_LABEL_TIME, Kind::AtLabelTime, at_label_time, served);
        add(known_later > 0, Kind::KnownLater, known_later, served);
        add(view.known_by == KnownBy::Event, Kind::NoCreatedTime, served, all);
        add(view.history == History::Replace, Kind::Replaced, served, all);
        add(share(newer_unknown, all) >= SHARE_NEWER_UNKNOWN, Kind::NewerUnknown, newer_unknown, all);
        add(share(only_later, all) >= SHARE_ONLY_LATER, Kind::OnlyLater, only_later, all);
        // What lies outside of the range is not read: the statistics of the files tell.
        let is_passed_over = view.row_groups > 0 && view.row_groups_read == 0;
        add(is_passed_over && all > 0, Kind::NoneInRange, all, all);
        add(share(decided_by_bytes, served) >= SHARE_DECIDED_BY_BYTES, Kind::DecidedByBytes, decided_by_bytes, served);
    }
    found
}

/// 0 of nothing.
fn share(part: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { part as f64 / of as f64 }
}
