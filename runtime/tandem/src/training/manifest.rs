//! What a training set was made of, beside it and in its metadata. It has no time of the run and no place of the output, so that the same set has
//! the same manifest. `docs/reference/training-sets.md` has every field.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tandem_core::checks::CheckResult;
use tandem_core::model::{BoundView, ViewVersion};
use tandem_offline::training::leakage::Finding;
use tandem_offline::training::{SourceFile, TrainingReport, ViewReport, digest, metadata};

use super::Asked;
use crate::error::Error;

/// The version of the format.
pub const VERSION: u32 = 1;

/// The key of the manifest in a Parquet file's metadata.
pub const METADATA_KEY: &str = "tandem.training_set";

/// A manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the format.
    pub version: u32,
    /// What made it.
    pub tool: Tool,
    /// The registration whose views they are; None with `--dev`.
    pub registration: Option<u64>,
    /// The feature service that was asked for.
    pub service: Option<String>,
    /// How.
    pub options: Options,
    /// The labels.
    pub labels: LabelsFile,
    /// The features, in the order of their columns.
    pub features: Vec<Feature>,
    /// The views that were read or computed.
    pub views: Vec<View>,
    /// What is suspicious.
    pub leakage: Vec<Suspicion>,
    /// Rows.
    pub rows: u64,
    /// The file that was written. Not in the file's own metadata.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub output: Option<OutputFile>,
}

/// What made a training set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// This program's version.
    pub tandem: String,
    /// The contract of components.
    pub contract: String,
    /// What runs them.
    pub runtime_fingerprint: String,
}

/// How a training set was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The labels' column with T.
    pub time: String,
    /// The labels' column with the time at which the outcome was observed.
    pub observed: Option<String>,
    /// The zone of times without one.
    pub timezone: Option<String>,
    /// Join keys and inputs that have another name in the labels.
    pub columns: BTreeMap<String, String>,
    /// Whether there are columns with statuses.
    pub status: bool,
    /// Whether created times did not count.
    pub ignore_created_time: bool,
}

/// The labels' file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelsFile {
    /// As it was given.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256.
    pub digest: String,
    /// Its rows.
    pub rows: u64,
    /// The first of its times.
    pub first_time: Option<String>,
    /// The last of its times.
    pub last_time: Option<String>,
}

/// A feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// Its column.
    pub column: String,
    /// Its name in answers of a server.
    pub name: String,
    /// Its view, as `name@version`.
    pub view: String,
    /// Its name there.
    pub feature: String,
    /// Its type.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Labels with a value, or with the default.
    pub present: u64,
    /// Of them, labels with the default.
    pub defaulted: u64,
    /// Labels without one, for whatever reason.
    pub null: u64,
    /// Shares of the labels.
    pub rates: Rates,
}

/// Shares of the labels, from 0 to 1; 0 of nothing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// With a value, or with the default.
    pub present: f64,
    /// With the default.
    pub defaulted: f64,
    /// With a row whose value is null, and no default.
    pub null_value: f64,
    /// With a row that is too old, whether a default stands in or not.
    pub outside_max_age: f64,
    /// Without a row, whether a default stands in or not.
    pub not_found: f64,
    /// For which the transform failed.
    pub transform_error: f64,
    /// For which a row of a later event was not known yet.
    pub newer_unknown: f64,
}

/// A view.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// As `name@version`.
    pub view: String,
    /// `stored` or `on_demand`.
    pub kind: String,
    /// SHA-256 of its component.
    pub digest: String,
    /// Hash of its definition.
    pub definition_hash: String,
    /// How its rows are joined; None on demand.
    pub join: Option<Join>,
    /// Counts of labels.
    pub labels: BTreeMap<String, u64>,
    /// What came of the view's checks over the rows that labels got.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub checks: Vec<Checked>,
    /// The first label for which it failed, and why.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub first_failure: Option<Failure>,
    /// Rows that were read and set aside: without an event time, with a value that does not convert, or breaking the source's contract; None on demand.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rows_set_aside: Option<u64>,
    /// Of them, rows that break the contract.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rows_breaking_contract: Option<u64>,
    /// Of them, rows that the component which makes the view's events fails on; None where there were none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rows_failing_transform: Option<u64>,
    /// The files whose rows could be joined.
    pub files: Vec<File>,
}

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checked {
    /// Its name in messages.
    pub check: String,
    /// `warn` or `fail`.
    pub action: String,
    /// What was found instead of what was expected; None where all is well.
    pub broken: Option<String>,
}

impl From<&CheckResult> for Checked {
    fn from(result: &CheckResult) -> Self {
        let CheckResult { check, action, broken } = result;
        Checked { check: check.clone(), action: action.as_str().to_owned(), broken: broken.clone() }
    }
}

/// How a view's rows are joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// `before` or `at_or_before`.
    pub as_of: String,
    /// What counts as known.
    pub known_by: String,
    /// How long after its event a row counts as published, where that is declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish_delay: Option<String>,
    /// For how long a row is served; None for ever.
    pub ttl: Option<String>,
}

/// A label for which a view failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// Its row, from 0.
    pub row: u64,
    /// Why.
    pub message: String,
}

/// A file of published rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Where it is, below the folder of published rows.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Its rows.
    pub rows: u64,
    /// SHA-256 of its footer.
    pub footer: String,
}

/// Something suspicious.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suspicion {
    /// What it is.
    pub kind: String,
    /// The view.
    pub view: Option<String>,
    /// Labels that show it.
    pub labels: u64,
    /// Of so many.
    pub of: u64,
    /// In a sentence.
    pub message: String,
}

/// The file that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputFile {
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256.
    pub digest: String,
}

/// The manifest's file beside a training set.
pub fn path_beside(output: &Path) -> PathBuf {
    let mut name = output.file_name().unwrap_or_default().to_owned();
    name.push(".manifest.json");
    output.with_file_name(name)
}

impl Manifest {
    /// Reads a manifest, or that in the metadata of a training set.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, is no manifest, or one of a newer version.
    pub fn read(file: &Path) -> Result<Manifest, Error> {
        let fail = |reason: String| Error::Manifest { file: file.to_owned(), reason };
        let is_set = file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("parquet"));
        let text = if is_set {
            let text = metadata(file, METADATA_KEY)?;
            text.ok_or_else(|| fail(format!("it has no `{METADATA_KEY}` in its metadata: it is no training set")))?
        } else {
            std::fs::read_to_string(file).map_err(crate::error::io("read", file))?
        };
        let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| fail(error.to_string()))?;
        match value.get("version").and_then(serde_json::Value::as_u64) {
            Some(version) if version > u64::from(VERSION) => {
                return Err(fail(format!("its version is {version}, and this program reads up to {VERSION}")));
            }
            Some(_) => {}
            None => return Err(fail("it has no `version`".to_owned())),
        }
        let mut manifest: Manifest = serde_json::from_value(value).map_err(|error| fail(error.to_string()))?;
        if is_set {
            let (digest, bytes) = digest(file)?;
            manifest.output = Some(OutputFile { bytes, digest: digest.to_string() });
        }
        Ok(manifest)
    }

    /// Its text.
    pub fn text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a manifest has nothing that JSON has not");
        text.push('\n');
        text
    }
}

/// The features, with what came of them.
pub fn features(asked: &Asked, report: &TrainingReport) -> Vec<Feature> {
    let labels = report.labels;
    let share = |part: u64| if labels == 0 { 0.0 } else { part as f64 / labels as f64 };
    let columns = asked.plan.columns.iter().zip(&report.features);
    let feature =
        |(column, found): (&tandem_core::feature_plan::PlannedColumn, &tandem_offline::training::FeatureReport)| {
            let stored = report.stored(column.from.step);
            let (expired, missing, unknown) = stored.map_or((0, 0, 0), |view| {
                (
                    view.labels.outside_max_age,
                    view.labels.not_found + view.labels.labels_without_key,
                    view.labels.newer_unknown,
                )
            });
            let computed = report.computed.iter().find(|view| stored.is_none() && view.view == found.view);
            let failed = computed.map_or(0, |view| view.failed);
            Feature {
                column: found.column.clone(),
                name: column.name.clone(),
                view: found.view.to_string(),
                feature: found.feature.clone(),
                data_type: column.data_type.to_string(),
                present: labels - found.nulls,
                defaulted: found.defaulted,
                null: found.nulls,
                rates: Rates {
                    present: share(labels - found.nulls),
                    defaulted: share(found.defaulted),
                    null_value: share(if found.has_default {
                        0
                    } else {
                        found.nulls.saturating_sub(expired + missing + failed)
                    }),
                    outside_max_age: share(expired),
                    not_found: share(missing),
                    transform_error: share(failed),
                    newer_unknown: share(unknown),
                },
            }
        };
    columns.map(feature).collect()
}

/// The views, with what came of them. `files`: those of the stored views, in the order of the plan.
pub fn views(
    asked: &Asked,
    report: &TrainingReport,
    files: &[(ViewVersion, Vec<SourceFile>)],
    offline_root: &Path,
) -> Vec<View> {
    let stored = asked.plan.stored.iter().zip(&report.views).zip(files).map(|((step, found), (_, files))| {
        let file = |file: &SourceFile| File {
            path: file.path.strip_prefix(offline_root).unwrap_or(&file.path).to_owned(),
            bytes: file.bytes,
            rows: file.rows,
            footer: file.footer.to_string(),
        };
        let files = files.iter().map(file).collect();
        View {
            files,
            labels: counts(found),
            checks: found.checks.iter().map(Checked::from).collect(),
            join: Some(join(&step.view)),
            rows_set_aside: Some(found.rows_set_aside),
            rows_breaking_contract: Some(found.rows_breaking_contract),
            rows_failing_transform: Some(found.rows_failing_transform).filter(|count| *count > 0),
            ..view(&step.view, "stored")
        }
    });
    let computed = asked.plan.computed.iter().zip(&report.computed).map(|(step, found)| {
        let counts = [("present", found.present), ("null_value", found.null_value), ("transform_error", found.failed)];
        View {
            labels: counts.map(|(name, count)| (name.to_owned(), count)).into(),
            first_failure: found.first_failure.clone().map(|(row, message)| Failure { row, message }),
            ..view(&step.view, "on_demand")
        }
    });
    stored.chain(computed).collect()
}

fn view(bound: &BoundView, kind: &str) -> View {
    View {
        view: bound.view.id().to_string(),
        kind: kind.to_owned(),
        digest: bound.digest.to_string(),
        definition_hash: bound.definition_hash.to_string(),
        join: None,
        labels: BTreeMap::new(),
        checks: Vec::new(),
        first_failure: None,
        rows_set_aside: None,
        rows_breaking_contract: None,
        rows_failing_transform: None,
        files: Vec::new(),
    }
}

fn join(bound: &BoundView) -> Join {
    let view = &bound.view;
    Join {
        as_of: view.as_of.as_str().to_owned(),
        known_by: view.known_by.as_str().to_owned(),
        publish_delay: view.publish_delay.map(|delay| delay.to_string()),
        ttl: view.ttl.map(|ttl| ttl.to_string()),
    }
}

fn counts(view: &ViewReport) -> BTreeMap<String, u64> {
    let counts = [
        ("present", view.labels.present),
        ("null_value", view.labels.null_value),
        ("outside_max_age", view.labels.outside_max_age),
        ("not_found", view.labels.not_found),
        ("without_key", view.labels.labels_without_key),
        ("newer_unknown", view.labels.newer_unknown),
        ("only_later", view.labels.only_later),
        ("decided_by_bytes", view.labels.decided_by_bytes),
        ("at_label_time", view.labels.at_label_time),
        ("known_later", view.labels.known_later),
    ];
    counts.map(|(name, count)| (name.to_owned(), count)).into()
}

/// What is suspicious.
pub fn suspicion(finding: &Finding) -> Suspicion {
    Suspicion {
        kind: finding.kind.as_str().to_owned(),
        view: finding.view.as_ref().map(ToString::to_string),
        labels: finding.labels,
        of: finding.of,
        message: finding.message(),
    }
}
