//! Where things lie in a registry's folder, drawn in `docs/reference/registry.md`.

use std::path::{Path, PathBuf};

use tandem_core::hash::Digest;

/// The version of the layout, in the file `FORMAT`.
pub(crate) const FORMAT_VERSION: u32 = 1;

/// What `FORMAT` begins with.
pub(crate) const FORMAT_PREFIX: &str = "tandem-registry/";

/// Paths of a registry.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) folder: PathBuf,
}

impl Layout {
    /// Folders below the registry's own.
    pub(crate) const FOLDERS: [&str; 3] = ["components", "objects", "registrations"];

    pub(crate) fn format(&self) -> PathBuf {
        self.folder.join("FORMAT")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.folder.join("lock")
    }

    pub(crate) fn head(&self) -> PathBuf {
        self.folder.join("HEAD")
    }

    /// The one file that is being written: there is one writer at a time.
    pub(crate) fn staged(&self) -> PathBuf {
        self.folder.join(".staged")
    }

    pub(crate) fn component(&self, digest: Digest) -> PathBuf {
        self.folder.join("components").join(format!("{}.wasm", hex(digest)))
    }

    pub(crate) fn object(&self, digest: Digest) -> PathBuf {
        self.folder.join("objects").join(hex(digest))
    }

    pub(crate) fn registration(&self, number: u64) -> PathBuf {
        self.folder.join("registrations").join(number.to_string())
    }

    /// Whether the folder has nothing that some registry's beginning would not leave: a folder in which FORMAT is missing may be used only then.
    pub(crate) fn is_ours(name: &str) -> bool {
        Self::FOLDERS.contains(&name) || ["lock", "HEAD", ".staged"].contains(&name)
    }
}

/// The digits of a digest: the name of its file.
fn hex(digest: Digest) -> String {
    digest.to_string().trim_start_matches("sha256:").to_owned()
}

/// The number after `prefix` at the beginning of a file, if it is one.
pub(crate) fn format_number(line: &str, prefix: &str) -> Option<u32> {
    let digits = line.strip_prefix(prefix)?;
    let plain = !digits.is_empty() && !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

/// The folder's path for `starts_with`-free comparisons in messages.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}
