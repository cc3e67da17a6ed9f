//! What can go wrong, as the command line tells it: a message, a hint, an exit code.

use std::path::PathBuf;

use tandem_build::BuildError;
use tandem_core::definition::Diagnostics;
use tandem_core::feature_plan::PlanError;
use tandem_core::model::ViewVersion;
use tandem_core::suggest::{hint, view_hint};
use tandem_engine::verify::Verdict;
use tandem_engine::{CompileFault, EngineError};
use tandem_offline::OfflineError;
use tandem_offline::training::TrainingError;
use tandem_online::OnlineError;
use tandem_registry::RegistryError;

use crate::rows::RowsFault;

/// An error of a command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No `tandem.toml` here or above.
    #[error("no tandem.toml in {} or above it", .from.display())]
    NoProject {
        /// Where the search began.
        from: PathBuf,
    },
    /// Definition files with mistakes.
    #[error("{0}")]
    Definitions(Diagnostics),
    /// A view that is not defined.
    #[error("there is no feature view `{reference}`")]
    UnknownView {
        /// As it was asked for.
        reference: String,
        /// The views that there are.
        known: Vec<String>,
    },
    /// A feature service that is not defined.
    #[error("there is no feature service `{name}`")]
    UnknownService {
        /// As it was asked for.
        name: String,
        /// The nearest, and those that there are.
        hint: String,
    },
    /// A feature that its view does not have.
    #[error("feature view `{view}` has no feature `{feature}`")]
    UnknownFeature {
        /// The view.
        view: ViewVersion,
        /// As it was asked for.
        feature: String,
        /// The nearest, and those that there are.
        hint: String,
    },
    /// Features that cannot be answered for together.
    #[error(transparent)]
    FeaturePlan(#[from] PlanError),
    /// A training set that cannot be made.
    #[error(transparent)]
    Training(#[from] TrainingError),
    /// A training set that was denied.
    #[error("denied: {reason}")]
    Denied {
        /// What was found.
        reason: String,
    },
    /// Rows that break checks of their view, and were not published.
    #[error("checks of feature view `{view}` fail; kept aside and not published: {}", .kept.join(", "))]
    ChecksFailed {
        /// The view.
        view: String,
        /// Files, or partitions.
        kept: Vec<String>,
    },
    /// A training set that breaks checks of its views, and was not put in its place.
    #[error("checks of the training set's views fail: {}{}", .checks.join("; "), .kept.as_ref().map(|kept| format!("; it is kept aside in {}", kept.display())).unwrap_or_default())]
    SetRejected {
        /// The checks, with what was found.
        checks: Vec<String>,
        /// Where it is; None for a stream.
        kept: Option<PathBuf>,
    },
    /// A training set that cannot be made again as it was.
    #[error("not as the manifest has it:\n{}", .differences.iter().map(|difference| format!("  {difference}")).collect::<Vec<_>>().join("\n"))]
    NotReproduced {
        /// What is missing, or another.
        differences: Vec<String>,
    },
    /// A manifest that cannot be read.
    #[error("{} is no manifest of a training set: {reason}", .file.display())]
    Manifest {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// A source that is not defined.
    #[error("there is no source `{name}`")]
    UnknownSource {
        /// As it was asked for.
        name: String,
        /// The sources that there are.
        known: Vec<String>,
    },
    /// A source whose columns nobody gives types.
    #[error("no feature view reads source `{name}`, and its columns have the types with which views read them")]
    SourceUnread {
        /// The source.
        name: String,
    },
    /// A column that is read as two types.
    #[error("column `{column}` is {first}, and {second}")]
    TwoTypes {
        /// The column.
        column: String,
        /// A type, and who reads it so.
        first: String,
        /// The other.
        second: String,
    },
    /// An argument that cannot be read.
    #[error("{what}: {reason}")]
    Argument {
        /// The argument.
        what: String,
        /// Why.
        reason: String,
    },
    /// A component that cannot be used.
    #[error("{}: {source}", .component.display())]
    Component {
        /// Its file.
        component: PathBuf,
        /// Why.
        source: EngineError,
    },
    /// The engine does not start.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A call that only this program itself makes.
    #[error(transparent)]
    Compile(#[from] CompileFault),
    /// A build failed.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A batch failed, or published rows cannot be read.
    #[error(transparent)]
    Offline(#[from] OfflineError),
    /// The online store.
    #[error(transparent)]
    Online(#[from] OnlineError),
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A plan with changes that are not made as they are.
    #[error("{}", not_made(*.breaking, *.refused))]
    Plan {
        /// How many are made only where that is allowed.
        breaking: usize,
        /// How many are never made.
        refused: usize,
        /// Whether they were to be made.
        applying: bool,
    },
    /// No registration to go back to.
    #[error("there is no registration to go back to")]
    NothingBefore {
        /// The newest; 0: nothing is registered.
        newest: u64,
    },
    /// Nothing of this name is registered.
    #[error("nothing named `{name}` is registered")]
    NotRegistered {
        /// As it was asked for.
        name: String,
        /// The nearest, and all of them where they are few.
        hint: String,
    },
    /// Nothing is registered, where what is registered was to be run.
    #[error("nothing is registered in {}", .registry.display())]
    NothingRegistered {
        /// The registry.
        registry: PathBuf,
    },
    /// A file or folder.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A file of tokens that is none.
    #[error("{} is no file of tokens: {reason}", .path.display())]
    Tokens {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// No file of tokens, where one is needed.
    #[error("tandem.toml names no file of tokens")]
    NoTokensFile,
    /// A server that anybody could ask.
    #[error("{address} can be reached from other machines, and clients need no token")]
    Unauthenticated {
        /// Where it should listen.
        address: std::net::SocketAddr,
    },
    /// A certificate or key that cannot be used.
    #[error("{}: {reason}", .path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Rows that memory does not hold could not be written to a temporary file, or read from it.
    #[error("rows that do not fit into memory cannot be kept in a temporary file: {source}")]
    Spill {
        /// Why.
        source: std::io::Error,
    },
    /// The server's address.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A server that does not answer as it should.
    #[error("{url}: {reason}")]
    Http {
        /// What was asked.
        url: String,
        /// What came of it.
        reason: String,
        /// What to do.
        hint: Option<String>,
    },
    /// Rows that cannot be ingested.
    #[error("{what}: {reason}")]
    Ingest {
        /// The file, or the lines.
        what: String,
        /// Why.
        reason: String,
        /// What to do.
        hint: String,
    },
    /// A row that breaks the contract of its source, which says that this stops whoever takes its rows.
    #[error("{what}: {message} ({broken} of the rows that were sent with it do)")]
    ContractRow {
        /// Which one: "line 7".
        what: String,
        /// Its position among the rows that were sent together.
        row: usize,
        /// What is broken.
        message: String,
        /// Rows that were sent together and break it.
        broken: u64,
    },
    /// Rows that were refused while the others were taken.
    #[error("rows that were refused: {rows}; they are in {}, the others were taken", .file.display())]
    RowsRejected {
        /// How many.
        rows: u64,
        /// Where they are.
        file: std::path::PathBuf,
    },
    /// A view of columns, where a transform is needed.
    #[error(
        "feature view `{view}` has no component: its features are columns or aggregates of its source's rows, and there is nothing to be {what}"
    )]
    NoTransform {
        /// The view.
        view: ViewVersion,
        /// What was to be done with the transform: "computed in batch".
        what: &'static str,
    },
    /// A view that the online store does not have, as it is defined now.
    #[error("the online store in {} has nothing of `{view}` as it is defined now", .store.display())]
    NotMaterialized {
        /// The view and version.
        view: String,
        /// The store.
        store: PathBuf,
    },
    /// Offline and online differ.
    #[error("offline and online differ in {differences} of {compared} values")]
    Parity {
        /// How many values differ.
        differences: u64,
        /// How many were compared.
        compared: u64,
    },
    /// Values that do not fit each other, of published files or of answers.
    #[error("{0}")]
    Data(String),
    /// A name that no transform can have.
    #[error("`{name}` cannot name a transform: {reason}")]
    TransformName {
        /// The name.
        name: String,
        /// Why.
        reason: &'static str,
        /// One like it that can.
        suggestion: Option<String>,
    },
    /// A folder that cannot be made, because something is there.
    #[error("{} {by}", .folder.display())]
    FolderTaken {
        /// The folder.
        folder: PathBuf,
        /// What is there, as the rest of a sentence.
        by: &'static str,
    },
    /// A folder that is not an SDK.
    #[error("{} is not the SDK: {reason}", .folder.display())]
    NotAnSdk {
        /// The folder.
        folder: PathBuf,
        /// Why.
        reason: String,
        /// Where the SDK of this language lies in a checkout.
        home: &'static str,
    },
    /// No rows to run a transform over.
    #[error("no sample rows in {}", .folder.display())]
    NoSamples {
        /// Where they were looked for.
        folder: PathBuf,
    },
    /// A file of rows that cannot be taken.
    #[error("{}: {fault}", .file.display())]
    Rows {
        /// The file.
        file: PathBuf,
        /// Why.
        fault: Box<RowsFault>,
    },
    /// A transform that is no function of its row.
    #[error("not proved: a row does not always come to the same, or the signature does not")]
    NotProved,
    /// A view whose component is not proved, and so is not registered.
    #[error("{view} is not proved, and nothing was registered\n{}", crate::verify::text(.report).trim_end())]
    Unproved {
        /// The view.
        view: tandem_core::model::ViewVersion,
        /// What was found.
        report: Box<tandem_engine::verify::Report>,
    },
    /// A view of which the component of an aggregate is not proved, and so is not registered.
    #[error("{view} is not proved, and nothing was registered\n{}", crate::verify::aggregates::text(.report).trim_end())]
    UnprovedAggregate {
        /// The view.
        view: tandem_core::model::ViewVersion,
        /// What was found.
        report: Box<tandem_engine::verify::AggregateReport>,
    },
    /// The component of an aggregate that is not proved.
    #[error("not proved: states or values differ")]
    AggregateNotProved,
    /// The component of an aggregate of which nothing was seen.
    #[error("not proved: no list of generated events has a state, so nothing could be compared")]
    NoStates,
    /// A transform of which nothing was seen.
    #[error("not proved: none of {rows} sample rows has a value, so nothing could be compared")]
    NothingProved {
        /// How many rows were tried.
        rows: usize,
    },
    /// Golden vectors that come to something else.
    #[error("{different} of {rows} recorded rows come to something else")]
    Golden {
        /// How many differ.
        different: u64,
        /// Of how many.
        rows: u64,
    },
    /// Rows that the transform failed, where none should.
    #[error("{failed} of {rows} rows failed")]
    RowsFailed {
        /// How many failed.
        failed: u64,
        /// Of how many.
        rows: u64,
    },
}

impl Error {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        self.own_hint().or_else(|| file_system_hint(self).map(str::to_owned))
    }

    fn own_hint(&self) -> Option<String> {
        match self {
            Error::NoProject { .. } => Some("run it in a project's folder, or name one with --project".to_owned()),
            Error::UnknownView { known, .. } if known.is_empty() => {
                Some("the project defines no feature view; define one in its features folder".to_owned())
            }
            Error::UnknownView { reference, known } => Some(view_hint(reference, "feature views", known)),
            Error::UnknownSource { known, .. } if known.is_empty() => {
                Some("the project defines no source; define one in its features folder".to_owned())
            }
            Error::UnknownSource { name, known } => {
                Some(hint(name, "sources", &known.iter().map(String::as_str).collect::<Vec<_>>()))
            }
            Error::UnknownService { hint, .. } | Error::UnknownFeature { hint, .. } => Some(hint.clone()),
            Error::FeaturePlan(PlanError::ConflictingTypes { .. }) => {
                Some("ask for them in two training sets, or give one of the inputs another column".to_owned())
            }
            Error::Training(error) => error.hint().map(str::to_owned),
            Error::Denied { .. } => Some("nothing was written; look into it, or leave --deny out".to_owned()),
            Error::ChecksFailed { .. } | Error::SetRejected { .. } => Some(
                "look at the rows; then mend the source, or the check (`action = \"warn\"` only tells)".to_owned(),
            ),
            Error::NotReproduced { .. } => Some(
                "nothing was written; bring back what is missing, or make another training set of what there is now".to_owned(),
            ),
            Error::SourceUnread { name } => Some(format!("define a view with `source = {name:?}` first")),
            Error::TwoTypes { .. } => Some("such a source is written by other tools, with a type that converts to both".to_owned()),
            Error::Component { source: EngineError::Describe(_), .. } => Some(
                "parameters come from [feature_view.parameters] of the view, or from --param name=value".to_owned(),
            ),
            Error::Component { source, .. } => source.hint().map(str::to_owned),
            Error::Build(error) => error.hint().map(|hint| hint.to_string()),
            Error::Offline(error) => error.hint().map(str::to_owned),
            Error::Online(error) => error.hint().map(str::to_owned),
            Error::Registry(error) => error.hint(),
            Error::Plan { refused: 1.., .. } => {
                Some("what a registered version means never changes: undo the change, or make it a new version".to_owned())
            }
            Error::Plan { applying: true, .. } => Some("nothing was registered; --allow-breaking makes them".to_owned()),
            Error::Plan { .. } => Some("`tandem apply --allow-breaking` makes them".to_owned()),
            Error::NothingBefore { newest: 0 } => Some("nothing is registered yet; `tandem apply` registers".to_owned()),
            Error::NothingBefore { .. } => Some("the newest registration is the first".to_owned()),
            Error::NothingRegistered { .. } => {
                Some("`tandem apply` registers what the definition files say; `--dev` runs them as they are".to_owned())
            }
            Error::NotRegistered { hint, .. } => Some(hint.clone()),
            Error::Io { action: "read the component", path, .. } => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
                Some(format!("build it: tandem build {}", folder.map_or(".".into(), |folder| folder.display().to_string())))
            }
            Error::Tokens { .. } => {
                Some("`tandem token new` and `tandem token revoke` write it; a removed line is a revoked token".to_owned())
            }
            Error::Tls { .. } => Some(
                "`[server.tls]` of tandem.toml names PEM files: the certificate with those that lead to its authority, and its private key".to_owned(),
            ),
            Error::NoTokensFile => Some("add `tokens = \"tokens\"` under `[server]`".to_owned()),
            Error::Unauthenticated { .. } => Some(
                "name a file of tokens under `[server]` and make one with `tandem token new`, listen on 127.0.0.1, or allow it on purpose: --allow-unauthenticated"
                    .to_owned(),
            ),
            Error::Io { action: "read the tokens", source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                Some("make the first token: tandem token new --role read --name NAME".to_owned())
            }
            Error::Listen { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse => {
                Some("another program has the port; choose one with --listen".to_owned())
            }
            Error::Listen { source, .. } if source.kind() == std::io::ErrorKind::AddrNotAvailable => {
                Some("no network interface of this machine has the address; 127.0.0.1 is this machine alone, 0.0.0.0 all its interfaces".to_owned())
            }
            Error::Listen { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                Some("ports below 1024 are the system's; choose another one with --listen".to_owned())
            }
            Error::Engine(EngineError::Cache { source, .. }) if !source.as_ref().is_some_and(is_full) => {
                Some("`storage.cache` in tandem.toml names the folder; it must be this user's own and writable".to_owned())
            }
            Error::Spill { .. } => Some("TMPDIR names the folder for it; what was written of the view stays, and the next run goes on".to_owned()),
            Error::Http { hint, .. } => hint.clone(),
            Error::Ingest { hint, .. } => Some(hint.clone()),
            Error::ContractRow { .. } => Some(
                "rows before the batch are taken, and none of it; correct the row, or say `on_violation = \"quarantine\"` at the source to have such rows set aside".to_owned(),
            ),
            Error::RowsRejected { .. } => Some("each line there has the row's line and why; correct the rows and ingest them".to_owned()),
            Error::NoTransform { view, .. } => Some(format!(
                "training sets and `tandem materialize {view}` read its source's files themselves"
            )),
            Error::NotMaterialized { view, .. } => Some(format!("tandem materialize {view}")),
            Error::Parity { .. } => Some(
                "has the definition, the component or the source changed since the batch? re-run `tandem batch`, and restart the server"
                    .to_owned(),
            ),
            Error::TransformName { suggestion, .. } => suggestion.as_ref().map(|name| format!("name it {name}")),
            Error::FolderTaken { .. } => Some("name a folder that is not there yet: --path DIR".to_owned()),
            Error::NotAnSdk { home, .. } => {
                Some(format!("the SDK is {home} of a checkout; without --sdk the new folder gets its own"))
            }
            Error::NoSamples { .. } => {
                Some(format!("name a file with --rows, or put one there: {}", crate::rows::SAMPLE_FILES.join(", ")))
            }
            Error::Rows { fault, .. } => fault.hint().map(str::to_owned),
            Error::Unproved { report, .. } if report.verdict() == Verdict::NoValues => {
                Some(format!("put rows that the transform takes beside the component: {}", crate::rows::SAMPLE_FILES.join(", ")))
            }
            Error::NotProved | Error::Unproved { .. } => {
                Some("the result of a row may depend on that row and on the parameters alone: no statics, no neighbours, no order of a hash map, no bits of a NaN".to_owned())
            }
            Error::AggregateNotProved | Error::UnprovedAggregate { .. } => {
                Some("a state may depend on the set of the events and on the parameters alone: not on their order, nor on how they were divided".to_owned())
            }
            Error::NoStates => Some("it fails on every list of generated events: parameters are given with --param, or by the view that uses it".to_owned()),
            Error::NothingProved { .. } => Some("give rows that the transform takes: --rows FILE".to_owned()),
            Error::Golden { .. } => Some("an engine that gives other bits is no upgrade but a new version of the view".to_owned()),
            Error::RowsFailed { .. } => Some("if they should fail: --allow-failures".to_owned()),
            _ => None,
        }
    }

    /// The exit code: 2 for what was asked or defined wrongly, 3 for a difference found, 4 for a plan that breaks something, 1 for everything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::NoProject { .. }
            | Error::NoTransform { .. }
            | Error::Definitions(_)
            | Error::UnknownView { .. }
            | Error::UnknownSource { .. }
            | Error::UnknownService { .. }
            | Error::UnknownFeature { .. }
            | Error::FeaturePlan(_)
            | Error::Training(
                TrainingError::MissingColumn { .. }
                | TrainingError::UnknownRequestColumn { .. }
                | TrainingError::DuplicateColumn { .. }
                | TrainingError::NoSuchLabel { .. }
                | TrainingError::Output { .. },
            )
            | Error::Offline(OfflineError::NoGrid { .. } | OfflineError::OnDemand { .. })
            | Error::Training(TrainingError::Offline(
                OfflineError::NoInstants { .. } | OfflineError::TooManyInstants { .. },
            ))
            | Error::SourceUnread { .. }
            | Error::TwoTypes { .. }
            | Error::Argument { .. }
            | Error::NoTokensFile
            | Error::Unauthenticated { .. }
            | Error::Compile(_)
            | Error::TransformName { .. }
            | Error::FolderTaken { .. }
            | Error::NotAnSdk { .. }
            | Error::NoSamples { .. }
            | Error::NothingBefore { .. }
            | Error::NotRegistered { .. }
            | Error::NothingRegistered { .. }
            | Error::Registry(RegistryError::NoSuchRegistration { .. }) => 2,
            Error::Parity { .. }
            | Error::RowsRejected { .. }
            | Error::ContractRow { .. }
            | Error::Denied { .. }
            | Error::NotReproduced { .. }
            | Error::ChecksFailed { .. }
            | Error::SetRejected { .. }
            | Error::Offline(OfflineError::ContractBroken { .. } | OfflineError::ContractType { .. })
            | Error::Training(TrainingError::Offline(
                OfflineError::ContractBroken { .. } | OfflineError::ContractType { .. },
            )) => 3,
            Error::Plan { .. } => 4,
            _ => 1,
        }
    }
}

/// "1 change is refused, 2 changes are breaking".
fn not_made(breaking: usize, refused: usize) -> String {
    let are = |number: usize, what: &str| match number {
        0 => None,
        1 => Some(format!("1 change is {what}")),
        _ => Some(format!("{number} changes are {what}")),
    };
    let parts: Vec<String> = [are(refused, "refused"), are(breaking, "breaking")].into_iter().flatten().collect();
    parts.join(", ")
}

/// What to do about an error of the file system, wherever in the chain of causes it lies.
fn file_system_hint(error: &Error) -> Option<&'static str> {
    use std::io::ErrorKind;
    let first: &(dyn std::error::Error + 'static) = error;
    let mut causes = std::iter::successors(Some(first), |cause| cause.source());
    let cause = causes.find_map(|cause| cause.downcast_ref::<std::io::Error>())?;
    Some(match cause.kind() {
        _ if is_full(cause) => "make room on the disk, and run it again; nothing half-written is left",
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            "a file is where a folder should be: move it away, or name another folder"
        }
        ErrorKind::IsADirectory => "a folder is where a file should be: move it away, or name another file",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "this user may not do that there: name another place, or change its owner or mode"
        }
        _ => return None,
    })
}

/// No room on the disk, in the quota, or in the largest file that a process may write.
fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

/// For `map_err`: names what was done, and to what.
pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.into();
    move |source| Error::Io { action, path, source }
}
