//! What can go wrong, as the command line tells it: a message, a hint, an exit code.

mod advice;

use std::path::PathBuf;

use tandem_build::BuildError;
use tandem_core::definition::Diagnostics;
use tandem_core::feature_plan::PlanError;
use tandem_core::model::ViewVersion;
use tandem_engine::{CompileFault, EngineError};
use tandem_offline::OfflineError;
use tandem_offline::training::TrainingError;
use tandem_online::OnlineError;
use tandem_registry::RegistryError;

use crate::rows::RowsFault;
use advice::file_system_hint;

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

/// For `map_err`: names what was done, and to what.
pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.into();
    move |source| Error::Io { action, path, source }
}
