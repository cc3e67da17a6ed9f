//! `tandem training-set`: for each label the features that were known at its time.

mod shown;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use arrow_ipc::writer::StreamWriter;
use clap::ValueEnum;
use futures::TryStreamExt;
use tandem_core::checks::CheckResult;
use tandem_core::model::ViewVersion;
use tandem_core::types::DataType;
use tandem_offline::training::leakage::{Finding, findings};
use tandem_offline::training::{
    SourceFile, TrainingError, TrainingFile, TrainingOptions, TrainingReport, TrainingRequest, TrainingSet, ViewReport,
    Written, digest,
};

use crate::cli::{Context, RunArguments};
use crate::error::Error;
use crate::output::{counted, grouped};
use crate::project::Opened;
use crate::training::manifest::{self, LabelsFile, Manifest, Options, OutputFile, Tool};
use crate::training::{Asked, labels, reproduce};

/// Arguments of the command.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The labels: Parquet, CSV or Arrow IPC, with a row for each prediction
    #[arg(long, value_name = "FILE", required_unless_present = "from_manifest")]
    labels: Option<PathBuf>,
    /// The feature service whose features are wanted
    #[arg(long, value_name = "NAME", required_unless_present_any = ["features", "from_manifest"])]
    service: Option<String>,
    /// The features that are wanted: VIEW:FEATURE, or VIEW for all of its features; VIEW is NAME, NAME@VERSION or NAME@ALIAS
    #[arg(long, value_name = "FEATURES", value_delimiter = ',', conflicts_with = "service")]
    features: Vec<String>,
    /// Where the training set goes: a Parquet file, or - for an Arrow IPC stream on stdout
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Make a training set again, as its manifest has it: the file beside it, or the set itself
    #[arg(long, value_name = "FILE", conflicts_with_all = ["service", "features", "time", "observed", "timezone", "column", "no_status", "ignore_created_time"])]
    from_manifest: Option<PathBuf>,
    /// Column of the labels with the time of the prediction [default: event_time]
    #[arg(long, value_name = "COLUMN")]
    time: Option<String>,
    /// Column of the labels with the time at which the outcome was observed; checked to be no earlier
    #[arg(long, value_name = "COLUMN")]
    observed: Option<String>,
    /// IANA time zone of label times that have none
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// A join key or input that has another name in the labels
    #[arg(long, value_name = "NAME=COLUMN", value_parser = column)]
    column: Vec<(String, String)>,
    /// Leave out the columns with statuses
    #[arg(long)]
    no_status: bool,
    /// Join rows that were not known yet at the label's time. For comparisons: such a set tells the future
    #[arg(long)]
    ignore_created_time: bool,
    /// Refuse to write a set in which this is found
    #[arg(long, value_enum, value_name = "WHAT")]
    deny: Vec<Deny>,
    /// Memory for joining, such as 512MiB; labels beyond it are joined in parts [default: 1GiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory: Option<u64>,
    /// Show how the set is come by, and where time goes
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    run: RunArguments,
}

/// What may be denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Deny {
    /// Signs that the future leaked into features
    Leakage,
    /// Rows whose transform failed
    Failures,
}

pub(super) fn column(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, column)) if !name.is_empty() && !column.is_empty() => Ok((name.to_owned(), column.to_owned())),
        _ => Err("write NAME=COLUMN".to_owned()),
    }
}

/// Bytes: a whole number, with B, KiB, MiB or GiB behind it.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let factor = match text[digits..].trim() {
        "" | "B" => 1_u64,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err("write a whole number with KiB, MiB or GiB".to_owned()),
    };
    let number = text[..digits].parse::<u64>().map_err(|_| "write a whole number with KiB, MiB or GiB".to_owned())?;
    number.checked_mul(factor).ok_or_else(|| "that is more than can be".to_owned())
}

/// Makes the training set.
pub fn run(context: &Context, arguments: &Arguments) -> Result<(), Error> {
    let started = Instant::now();
    let opened = context.open_to_run(&arguments.run)?;
    let earlier = match &arguments.from_manifest {
        Some(file) => Some((file, Manifest::read(file)?)),
        None => None,
    };
    let asked = match (&earlier, &arguments.service) {
        (Some((file, manifest)), _) => reproduce::ask(&opened, manifest, file)?,
        (None, Some(service)) => Asked::service(&opened, service)?,
        (None, None) => Asked::list(&opened, &arguments.features)?,
    };
    for bound in asked.views() {
        context.warn_deprecated(&bound.view);
    }
    let options = match &earlier {
        Some((_, manifest)) => manifest.options.clone(),
        None => options(arguments),
    };
    let label_path = match (&arguments.labels, &earlier) {
        (Some(path), _) => path.clone(),
        (None, Some((_, manifest))) => manifest.labels.path.clone(),
        (None, None) => return Err(Error::Argument { what: "--labels".to_owned(), reason: "is missing".to_owned() }),
    };
    let offline_root = &opened.project.settings.storage.offline;
    // As the files' paths have it; where it is not there yet, nothing is published, which is told below.
    let offline_root = offline_root.canonicalize().unwrap_or_else(|_| offline_root.clone());
    let request = TrainingRequest {
        labels: labels::read(&label_path, &label_types(&asked, &options))?,
        event_time: options.time.clone(),
        observed_time: options.observed.clone(),
        timezone: options.timezone.clone(),
        plan: asked.plan.clone(),
        transforms: asked.transforms.clone(),
        columns: options.columns.clone(),
        ignore_created_time: options.ignore_created_time,
        offline_root: offline_root.clone(),
        only_files: earlier.as_ref().map(|(file, manifest)| reproduce::files(manifest, file)).transpose()?,
        statuses: options.status,
        options: TrainingOptions {
            memory_bytes_max: arguments.memory.unwrap_or(TrainingOptions::default().memory_bytes_max),
            ..TrainingOptions::default()
        },
    };
    let set = TrainingSet::prepare(request)?;
    if let Some((_, manifest)) = &earlier {
        let differences = reproduce::differences(manifest, &label_path, &set.source_files()?, &offline_root)?;
        if !differences.is_empty() {
            return Err(Error::NotReproduced { differences });
        }
    }
    let earlier = earlier.map(|(_, manifest)| manifest);
    let making =
        Making { context, arguments, opened: &opened, asked, options, label_path, offline_root, earlier, set, started };
    if arguments.out == Path::new("-") { making.to_stdout() } else { making.to_file() }
}

/// A training set that is ready to be made.
struct Making<'a> {
    context: &'a Context,
    arguments: &'a Arguments,
    opened: &'a Opened,
    asked: Asked,
    options: Options,
    label_path: PathBuf,
    offline_root: PathBuf,
    /// Where it is made again.
    earlier: Option<Manifest>,
    set: TrainingSet,
    started: Instant,
}

impl Making<'_> {
    fn to_stdout(&self) -> Result<(), Error> {
        let mut stream =
            StreamWriter::try_new(self.context.output.binary()?, self.set.schema()).map_err(stream_error)?;
        let (report, _) = self.make(|rows| stream.write(&rows).map_err(stream_error))?;
        let checks = failing_checks(&report);
        if !checks.is_empty() {
            return Err(Error::SetRejected { checks, kept: None });
        }
        // Only a whole set has its end mark: a reader of one that was denied is told by its absence.
        stream.finish().and_then(|()| Ok(stream.get_mut().flush()?)).map_err(stream_error)?;
        if self.arguments.explain {
            self.context.output.note(shown::explain(&report, self.started.elapsed()));
        }
        Ok(())
    }

    fn to_file(&self) -> Result<(), Error> {
        let out = &self.arguments.out;
        // Before the join, which refuses files that change after they were listed: so these are the files that it reads.
        let files = self.set.source_files()?;
        let row_group_rows = self.opened.project.settings.batch.row_group_rows;
        let mut file = TrainingFile::create(out, self.set.schema().clone(), row_group_rows)?;
        let (report, found) = self.make(|rows| Ok(file.write(rows)?))?;
        let mut manifest = self.manifest(&files, &report, &found)?;
        let finished = file.finish(&[(manifest::METADATA_KEY, &manifest.text())])?;
        let written = finished.written();
        let then = self.earlier.as_ref().and_then(|earlier| earlier.output.as_ref());
        if let Some(earlier) = &self.earlier {
            let differences = reproduce::other_checks(earlier, &manifest);
            if !differences.is_empty() {
                return Err(Error::NotReproduced { differences });
            }
        }
        if let Some(then) = then.filter(|then| then.digest != written.digest.to_string()) {
            let differences = vec![format!("the training set was {}, and is {}", then.digest, written.digest)];
            return Err(Error::NotReproduced { differences });
        }
        manifest.output = Some(OutputFile { bytes: written.bytes, digest: written.digest.to_string() });
        let (beside, text) = (manifest::path_beside(out), manifest.text());
        let failing = failing_checks(&report);
        if !failing.is_empty() {
            let kept = finished.keep_aside(&beside, &text)?;
            return Err(Error::SetRejected { checks: failing, kept: Some(kept) });
        }
        finished.publish(&beside, &text)?;
        print(self.context, self.arguments, &manifest, &report, &written, self.started.elapsed());
        Ok(())
    }

    /// Joins, gives the rows to `write` in their order, tells what came of it, and refuses what is denied.
    fn make(
        &self,
        mut write: impl FnMut(arrow_array::RecordBatch) -> Result<(), Error>,
    ) -> Result<(TrainingReport, Vec<Finding>), Error> {
        let progress = self.context.output.progress("training-set");
        progress.total(self.set.rows());
        let bar = progress.clone();
        let mut rows = std::pin::pin!(self.set.stream(&self.opened.workers, move |rows| bar.add(rows)));
        futures::executor::block_on(async {
            while let Some(batch) = rows.try_next().await? {
                write(batch)?;
            }
            Ok::<_, Error>(())
        })?;
        progress.finish();
        let report = self.set.report();
        let found = findings(&report);
        tell(self.context, &report, &found);
        deny(self.arguments, &report, &found)?;
        Ok((report, found))
    }

    /// `files`: those of the stored views, in the order of the plan.
    fn manifest(
        &self,
        files: &[(ViewVersion, Vec<SourceFile>)],
        report: &TrainingReport,
        found: &[Finding],
    ) -> Result<Manifest, Error> {
        let (label_digest, bytes) = digest(&self.label_path)?;
        let time = |time: Option<tandem_core::time::Timestamp>| time.map(|time| time.to_string());
        let (tool, registration, path) = match &self.earlier {
            // What made it first is told by the first manifest; the same set has the same manifest.
            Some(manifest) => (manifest.tool.clone(), manifest.registration, manifest.labels.path.clone()),
            None => (tool(self.opened), self.opened.registration(), self.label_path.clone()),
        };
        Ok(Manifest {
            version: manifest::VERSION,
            tool,
            registration,
            service: self.asked.service.clone(),
            options: self.options.clone(),
            labels: LabelsFile {
                path,
                bytes,
                digest: label_digest.to_string(),
                rows: report.labels,
                first_time: time(report.times.map(|times| times.0)),
                last_time: time(report.times.map(|times| times.1)),
            },
            features: manifest::features(&self.asked, report),
            views: manifest::views(&self.asked, report, files, &self.offline_root),
            leakage: found.iter().map(manifest::suspicion).collect(),
            rows: report.labels,
            output: None,
        })
    }
}

fn options(arguments: &Arguments) -> Options {
    Options {
        time: arguments.time.clone().unwrap_or_else(|| "event_time".to_owned()),
        observed: arguments.observed.clone(),
        timezone: arguments.timezone.clone(),
        columns: arguments.column.iter().cloned().collect(),
        status: !arguments.no_status,
        ignore_created_time: arguments.ignore_created_time,
    }
}

/// Columns of the labels whose type is known, by their names there. Times are left to what reads them: it knows the zone.
pub(super) fn label_types(asked: &Asked, options: &Options) -> BTreeMap<String, DataType> {
    let columns = asked.plan.request.iter().filter(|column| column.data_type != DataType::Timestamp);
    let name = |name: &String| options.columns.get(name).unwrap_or(name).clone();
    columns.map(|column| (name(&column.name), column.data_type)).collect()
}

fn tool(opened: &Opened) -> Tool {
    Tool {
        tandem: env!("CARGO_PKG_VERSION").to_owned(),
        contract: tandem_engine::CONTRACT.to_owned(),
        runtime_fingerprint: opened.engine.fingerprint(),
    }
}

fn tell(context: &Context, report: &TrainingReport, found: &[Finding]) {
    for finding in found {
        if finding.kind.is_denied() {
            context.output.warning(format!("{}; {}", finding.message(), finding.hint()));
        } else {
            context.output.note(format!("note: {}; {}", finding.message(), finding.hint()));
        }
    }
    for view in report.views.iter().filter(|view| view.rows_set_aside > 0) {
        let broken = match view.rows_breaking_contract {
            0 => String::new(),
            count => format!(", of them rows that break the contract of the source: {}", grouped(count)),
        };
        let failing = match view.rows_failing_transform {
            0 => String::new(),
            count => format!(", of them rows that its component fails on: {}", grouped(count)),
        };
        let count = grouped(view.rows_set_aside);
        context.output.warning(format!("`{}`: rows set aside: {count}{broken}{failing}", view.view));
    }
    for view in &report.views {
        for check in view.checks.iter().filter(|check| !check.fails()) {
            if let Some(broken) = &check.broken {
                context.output.warning(format!("`{}`: check {}: {broken}", view.view, check.check));
            }
        }
    }
    for view in report.computed.iter().filter(|view| view.failed > 0) {
        let first = view.first_failure.as_ref().map(|(row, message)| format!("; labels row {row}: {message}"));
        let (id, failed) = (&view.view, grouped(view.failed));
        context.output.warning(format!(
            "`{id}` failed for {failed} of {}{}",
            counted(report.labels, "label"),
            first.unwrap_or_default()
        ));
    }
}

/// The checks that keep the set from being used: "`null_rate` of `mean` of `spend@1`: ...".
fn failing_checks(report: &TrainingReport) -> Vec<String> {
    let checks = report.views.iter().flat_map(|view| view.checks.iter().map(move |check| (view, check)));
    let told = |(view, check): (&ViewReport, &CheckResult)| {
        let broken = check.broken.as_ref().filter(|_| check.fails())?;
        Some(format!("{} of `{}`: {broken}", check.check, view.view))
    };
    checks.filter_map(told).collect()
}

fn deny(arguments: &Arguments, report: &TrainingReport, found: &[Finding]) -> Result<(), Error> {
    let mut reasons = Vec::new();
    if arguments.deny.contains(&Deny::Leakage) {
        reasons.extend(found.iter().filter(|finding| finding.kind.is_denied()).map(Finding::message));
    }
    if arguments.deny.contains(&Deny::Failures) {
        let failed = report.computed.iter().filter(|view| view.failed > 0);
        reasons.extend(failed.map(|view| format!("`{}` failed for {}", view.view, counted(view.failed, "label"))));
    }
    if reasons.is_empty() { Ok(()) } else { Err(Error::Denied { reason: reasons.join("; ") }) }
}

fn print(
    context: &Context,
    arguments: &Arguments,
    manifest: &Manifest,
    report: &TrainingReport,
    written: &Written,
    elapsed: Duration,
) {
    context.output.data(
        || {
            let text = shown::text(manifest, &arguments.out, written, elapsed);
            if arguments.explain { text + &shown::explain(report, elapsed) } else { text }
        },
        || shown::json(manifest, &arguments.out, report, elapsed),
    );
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn stream_error(error: arrow_schema::ArrowError) -> Error {
    Error::Training(TrainingError::Stream { reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("512MiB"), Ok(512 << 20));
        assert_eq!(size("2 GiB"), Ok(2 << 30));
        assert_eq!((size("7"), size("7B"), size("7KiB")), (Ok(7), Ok(7), Ok(7 << 10)));
        for wrong in ["", "MiB", "1MB", "1.5GiB", "-1", "99999999999GiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn columns_have_two_names() {
        assert_eq!(column("user_id=customer"), Ok(("user_id".to_owned(), "customer".to_owned())));
        for wrong in ["user_id", "=customer", "user_id="] {
            assert!(column(wrong).is_err(), "{wrong}");
        }
    }
}
