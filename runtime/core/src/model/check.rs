//! What is expected of the rows that a view publishes.

/// An expectation, and what becomes of rows that break it.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// What is expected.
    pub expected: Expected,
    /// What becomes of rows that break it.
    pub action: CheckAction,
}

/// What is expected of the rows of a partition.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// At most this share of a feature's values is null.
    NullRate {
        /// The feature.
        feature: String,
        /// From 0 to 1.
        max: f64,
    },
    /// Values of an int64 or float64 feature lie between these, both included; nulls are not looked at, and NaN lies nowhere.
    Range {
        /// The feature.
        feature: String,
        /// The least.
        min: Option<f64>,
        /// The greatest.
        max: Option<f64>,
    },
    /// Values of a feature are among these; nulls are not looked at.
    Values {
        /// The feature.
        feature: String,
        /// Those that may be.
        allowed: Allowed,
    },
    /// No two rows have equal keys and event time.
    Unique,
    /// At most this share of the rows has a key that is null or NaN.
    CompleteKeys {
        /// From 0 to 1.
        missing: f64,
    },
    /// The number of rows is so many times the mean of the partitions before.
    RowCount {
        /// At least.
        min: Option<f64>,
        /// At most.
        max: Option<f64>,
        /// So many partitions before are looked at.
        partitions: u32,
    },
}

/// Values that a feature may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// Of a string feature.
    Texts(Vec<String>),
    /// Of an int64 feature.
    Integers(Vec<i64>),
}

/// What becomes of rows that break a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckAction {
    /// They are published, and the run says so.
    Warn,
    /// Their partition is kept aside and not published.
    Fail,
}

impl CheckAction {
    /// Every variant.
    pub const ALL: [CheckAction; 2] = [CheckAction::Warn, CheckAction::Fail];

    /// Its word in definition files. Never part of the definition hash.
    pub fn as_str(self) -> &'static str {
        match self {
            CheckAction::Warn => "warn",
            CheckAction::Fail => "fail",
        }
    }
}

impl Expected {
    /// The words of all kinds in definition files.
    pub const KINDS: [&'static str; 6] = ["null_rate", "range", "values", "unique", "complete_keys", "row_count"];

    /// Its word in definition files.
    pub fn kind(&self) -> &'static str {
        match self {
            Expected::NullRate { .. } => "null_rate",
            Expected::Range { .. } => "range",
            Expected::Values { .. } => "values",
            Expected::Unique => "unique",
            Expected::CompleteKeys { .. } => "complete_keys",
            Expected::RowCount { .. } => "row_count",
        }
    }

    /// The feature that it is about.
    pub fn feature(&self) -> Option<&str> {
        match self {
            Expected::NullRate { feature, .. } | Expected::Range { feature, .. } | Expected::Values { feature, .. } => {
                Some(feature)
            }
            Expected::Unique | Expected::CompleteKeys { .. } | Expected::RowCount { .. } => None,
        }
    }

    /// Its name in messages: "`null_rate` of `mean_30d`", "`unique`".
    pub fn name(&self) -> String {
        match self.feature() {
            Some(feature) => format!("`{}` of `{feature}`", self.kind()),
            None => format!("`{}`", self.kind()),
        }
    }
}
