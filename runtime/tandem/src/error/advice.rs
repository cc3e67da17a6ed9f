//! What to do about an error.

use tandem_core::feature_plan::PlanError;
use tandem_core::suggest::{hint, view_hint};
use tandem_engine::EngineError;
use tandem_engine::verify::Verdict;

use super::Error;

impl Error {
    /// What goes with this error alone.
    pub(super) fn own_hint(&self) -> Option<String> {
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
}

/// What to do about an error of the file system, wherever in the chain of causes it lies.
pub(super) fn file_system_hint(error: &Error) -> Option<&'static str> {
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
