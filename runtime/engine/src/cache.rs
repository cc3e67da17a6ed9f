//! Compiled code on disk: one file for each component, compile profile and engine.
//!
//! Loading compiled code equals running native code, so a file counts only if this user wrote it: the folder is private
//! (mode 0700, owned by this user) and each file carries an HMAC-SHA256 under a key that lives in the folder (mode 0600). Whatever does not fit — another engine, other flags, another
//! component, a damaged file — is compiled again and replaced.
//!
//! File: `TNDMCODE`, format version (u32, little-endian), HMAC (32 bytes) over the file's name and the code, code.

use std::fs::{self, File, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use tandem_core::hash::Digest;
use tandem_core::model::NanMode;
use wasmtime::component::Component;

use crate::error::EngineError;

const MAGIC: &[u8; 8] = b"TNDMCODE";
const FORMAT_VERSION: u32 = 1;
const HEADER_BYTES: usize = 8 + 4 + 32;
const KEY_BYTES: usize = 32;

/// What came of a look into the cache; logged, and seen by tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheEvent {
    /// The code was there and is ours.
    Hit,
    /// No file.
    Miss,
    /// A file that is not ours, damaged or of another format.
    Refused,
}

/// A folder of compiled code.
pub(crate) struct Cache {
    folder: PathBuf,
    key: [u8; KEY_BYTES],
    bytes_max: Option<u64>,
}

impl Cache {
    /// Opens the folder, making it and its key if they are not there. Refuses a folder that others can write to.
    pub(crate) fn open(folder: &Path, bytes_max: Option<u64>) -> Result<Cache, EngineError> {
        let refuse = |reason: String| EngineError::Cache { path: folder.to_owned(), reason, source: None };
        let io = |error: std::io::Error| EngineError::Cache {
            path: folder.to_owned(),
            reason: error.to_string(),
            source: Some(error),
        };
        if let Some(parent) = folder.parent() {
            fs::create_dir_all(parent).map_err(io)?;
        }
        match fs::DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(io(error)),
            _ => {}
        }
        let metadata = fs::metadata(folder).map_err(io)?;
        if !metadata.is_dir() {
            return Err(refuse("it is not a folder".to_owned()));
        }
        let key_path = folder.join("key");
        make_key(&key_path).map_err(io)?;
        let key_file = fs::metadata(&key_path).map_err(io)?;
        // What this process just made or could make belongs to its own effective user; /proc/self says which that is.
        let me = fs::metadata("/proc/self").map(|own| own.uid()).unwrap_or(metadata.uid());
        for (metadata, what) in [(&metadata, "the folder"), (&key_file, "its key")] {
            if metadata.uid() != me {
                return Err(refuse(format!("{what} belongs to another user (uid {}, not {me})", metadata.uid())));
            }
            if metadata.permissions().mode() & 0o077 != 0 {
                let mode = metadata.permissions().mode() & 0o777;
                return Err(refuse(format!(
                    "{what} is open to other users (mode {mode:o}); compiled code is trusted like a program. hint: chmod go-rwx it, or delete it"
                )));
            }
        }
        let mut key = [0; KEY_BYTES];
        let mut file = File::open(&key_path).map_err(io)?;
        file.read_exact(&mut key).map_err(|_| refuse("its key is cut short. hint: delete the folder".to_owned()))?;
        Ok(Cache { folder: folder.to_owned(), key, bytes_max })
    }

    /// The component under `digest`, loaded from the cache or compiled and kept. A cache that cannot be written costs time, not the result.
    /// `compile` gives the component, and its code where it has it already.
    pub(crate) fn get_or_compile(
        &self,
        engine: &wasmtime::Engine,
        digest: Digest,
        nan: NanMode,
        compile: impl FnOnce() -> Result<(Component, Option<Vec<u8>>), EngineError>,
    ) -> Result<(Component, CacheEvent), EngineError> {
        let name = file_name(engine, digest, nan);
        let path = self.folder.join(&name);
        let event = match self.read(&path, &name) {
            Ok(Some(code)) => {
                // The HMAC shows that this user's own process wrote these bytes, for an engine of the same version, flags and target (all three are
                // in the file's name).
                match load_own_code(engine, &code) {
                    Ok(component) => {
                        self.mark_used(&path);
                        return Ok((component, CacheEvent::Hit));
                    }
                    Err(error) => {
                        tracing::warn!(path = %path.display(), %error, "compiled code does not fit this engine; compiling again");
                        CacheEvent::Refused
                    }
                }
            }
            Ok(None) => CacheEvent::Miss,
            Err(reason) => {
                tracing::warn!(path = %path.display(), reason, "compiled code is refused; compiling again");
                CacheEvent::Refused
            }
        };
        let (component, code) = compile()?;
        let kept = code
            .map_or_else(|| component.serialize(), Ok)
            .map_err(|error| error.to_string())
            .and_then(|code| self.write(&path, &name, &code).map_err(|error| error.to_string()));
        match kept {
            Ok(()) => self.make_room(&name),
            Err(error) => tracing::warn!(path = %path.display(), error, "compiled code is not kept"),
        }
        Ok((component, event))
    }

    fn read(&self, path: &Path, name: &str) -> Result<Option<Vec<u8>>, String> {
        let mut bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        if bytes.len() < HEADER_BYTES || bytes[..8] != *MAGIC {
            return Err("it is not a file of this cache".to_owned());
        }
        if bytes[8..12] != FORMAT_VERSION.to_le_bytes() {
            return Err("it has another format version".to_owned());
        }
        let code = bytes.split_off(HEADER_BYTES);
        self.mac(name, &code)
            .verify_slice(&bytes[12..])
            .map_err(|_| "its authentication code does not match".to_owned())?;
        Ok(Some(code))
    }

    fn write(&self, path: &Path, name: &str, code: &[u8]) -> std::io::Result<()> {
        let mut nonce = [0; 8];
        getrandom::fill(&mut nonce).map_err(std::io::Error::other)?;
        let staged = self.folder.join(format!(".{name}.{:016x}", u64::from_le_bytes(nonce)));
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&staged)?;
            file.write_all(MAGIC)?;
            file.write_all(&FORMAT_VERSION.to_le_bytes())?;
            file.write_all(&self.mac(name, code).finalize().into_bytes())?;
            file.write_all(code)?;
            file.sync_all()?;
            fs::rename(&staged, path)
        })();
        if written.is_err() {
            let _ = fs::remove_file(&staged); // the first error is the one to tell
        }
        written
    }

    /// Remembers when a file was used, where that decides which files stay. A time that cannot be set costs a compilation one day.
    fn mark_used(&self, path: &Path) {
        if self.bytes_max.is_some() {
            let now = OpenOptions::new().write(true).open(path).and_then(|file| file.set_modified(SystemTime::now()));
            if let Err(error) = now {
                tracing::debug!(path = %path.display(), %error, "the use of compiled code is not noted");
            }
        }
    }

    /// Removes what was longest not used until the bound is kept; never what was just written. Other processes may do the same at the same time.
    fn make_room(&self, written: &str) {
        let Some(max) = self.bytes_max else { return };
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut files: Vec<(SystemTime, u64, PathBuf)> = entries
            .filter(|entry| entry.path().extension().is_some_and(|ending| ending == "code"))
            .filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b".") && entry.file_name() != written)
            .filter_map(|entry| entry.metadata().ok().map(|file| (file, entry.path())))
            .filter_map(|(file, path)| Some((file.modified().ok()?, file.len(), path)))
            .collect();
        files.sort();
        let own = fs::metadata(self.folder.join(written)).map_or(0, |file| file.len());
        let mut bytes = own + files.iter().map(|(_, bytes, _)| bytes).sum::<u64>();
        for (_, length, path) in files {
            if bytes <= max {
                return;
            }
            // Gone already: another process made room too.
            let _ = fs::remove_file(&path);
            bytes -= length;
        }
    }

    fn mac(&self, name: &str, code: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        mac.update(&(name.len() as u64).to_le_bytes());
        mac.update(name.as_bytes());
        mac.update(code);
        mac
    }
}

/// A component from code that this program made, in this process or in another one. Whoever calls this knows where the bytes come from.
pub(crate) fn load_own_code(engine: &wasmtime::Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the two callers have bytes that are the output of this very program's compiler, whole: from a file behind its HMAC, or from the
    // pipe of a child that it started. wasmtime checks version and flags once more.
    #[allow(unsafe_code)]
    unsafe {
        Component::deserialize(engine, code)
    }
}

/// `<component digest>-<profile>-<hash of engine version, flags and target>.code`
fn file_name(engine: &wasmtime::Engine, digest: Digest, nan: NanMode) -> String {
    let mut compatibility = Sha256Hasher::default();
    engine.precompile_compatibility_hash().hash(&mut compatibility);
    let profile = match nan {
        NanMode::Boundary => "plain",
        NanMode::Strict => "strict",
    };
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("{}-{profile}-{}.code", hex(&digest.0), hex(&compatibility.bytes()[..8]))
}

/// `std`'s own hasher may change between Rust versions; names of files should not.
#[derive(Default)]
struct Sha256Hasher(Sha256);

impl Sha256Hasher {
    fn bytes(self) -> [u8; 32] {
        use sha2::Digest as _;
        self.0.finalize().into()
    }
}

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        use sha2::Digest as _;
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        u64::from_le_bytes(Sha256Hasher(self.0.clone()).bytes()[..8].try_into().expect("eight bytes"))
    }
}

fn make_key(path: &Path) -> std::io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let mut key = [0; KEY_BYTES];
    getrandom::fill(&mut key).map_err(std::io::Error::other)?;
    let staged = path.with_extension(format!("{:02x}{:02x}{:02x}{:02x}", key[0], key[1], key[2], key[3]));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&staged)?;
    let written = (|| {
        getrandom::fill(&mut key).map_err(std::io::Error::other)?; // the name of the staged file says nothing about the key
        file.write_all(&key)?;
        file.sync_all()?;
        // A link fails if another process was first; then its key is the one.
        fs::hard_link(&staged, path)
    })();
    fs::remove_file(&staged)?;
    match written {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}
