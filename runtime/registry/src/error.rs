//! What can go wrong.

use std::io;
use std::path::{Path, PathBuf};

use tandem_core::definition::Diagnostics;

/// Why the registry cannot do what was asked. Nothing was changed, whichever it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// Something else is there.
    #[error("{} is not a registry: {found}", .folder.display())]
    NotARegistry {
        /// The folder.
        folder: PathBuf,
        /// What was found.
        found: String,
    },
    /// Written by a newer program.
    #[error("{} has format {found}; this program knows formats up to {known}", .path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that this program knows.
        known: u32,
    },
    /// A file that is not as it was written.
    #[error("the registry is damaged: {} {reason}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, as the rest of a sentence.
        reason: String,
    },
    /// What is registered cannot be read as definitions.
    #[error("registration {number} in {} cannot be read as definitions:\n{diagnostics}", .folder.display())]
    Definitions {
        /// The registry.
        folder: PathBuf,
        /// The registration.
        number: u64,
        /// The mistakes.
        diagnostics: Diagnostics,
    },
    /// The folder cannot be written.
    #[error("the registry {} cannot be written: {source}", .folder.display())]
    NotWritable {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process is registering.
    #[error("the registry {} is being written by {}, for longer than {seconds} seconds", .folder.display(), .pid.map_or("another process".to_owned(), |pid| format!("process {pid}")))]
    Busy {
        /// The folder.
        folder: PathBuf,
        /// Who, as far as it is known.
        pid: Option<u32>,
        /// How long was waited: `lock_seconds_max`.
        seconds: u64,
    },
    /// Something was registered since the plan was made.
    #[error("registration {head} was made since this was planned (against {planned})")]
    Moved {
        /// What the plan was made against; 0 is the empty registry.
        planned: u64,
        /// What is registered now.
        head: u64,
    },
    /// A number that no registration has.
    #[error("there is no registration {number} in {}", .folder.display())]
    NoSuchRegistration {
        /// The registry.
        folder: PathBuf,
        /// The number.
        number: u64,
        /// The newest; 0: nothing is registered.
        head: u64,
    },
    /// A file or folder.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl RegistryError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            RegistryError::NotARegistry { .. } => {
                Some("`storage.registry` in tandem.toml names a folder of its own, new or empty".to_owned())
            }
            RegistryError::NewerFormat { .. } => Some("use the newer program; nothing was changed".to_owned()),
            RegistryError::Damaged { .. } => Some(
                "nothing was changed; put the file back from a backup: what is written once never changes".to_owned(),
            ),
            RegistryError::Definitions { .. } => {
                Some("were they registered by a newer program? nothing was changed".to_owned())
            }
            RegistryError::NotWritable { .. } => Some("nothing was changed; reading it works all the same".to_owned()),
            RegistryError::Busy { .. } => Some("try again when it is done; nothing was changed".to_owned()),
            RegistryError::Moved { .. } => Some("nothing was changed; plan and apply again".to_owned()),
            RegistryError::NoSuchRegistration { head: 0, .. } => Some("nothing is registered yet".to_owned()),
            RegistryError::NoSuchRegistration { head, .. } => {
                Some(format!("the newest is {head}; `tandem history` lists them"))
            }
            RegistryError::Io { .. } => None,
        }
    }

    pub(crate) fn damaged(path: &Path, reason: impl Into<String>) -> RegistryError {
        RegistryError::Damaged { path: path.to_owned(), reason: reason.into() }
    }
}

/// For `map_err`: names what was done, and to what.
pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RegistryError {
    let path = path.to_owned();
    move |source| RegistryError::Io { action, path, source }
}
