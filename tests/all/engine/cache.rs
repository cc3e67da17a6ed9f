//! Compiled code is taken from the cache only if this user's own process wrote it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tandem_core::model::NanMode;
use tandem_engine::{CacheEvent, Engine, EngineError, EngineOptions};

use crate::harness::guests::Guest;

fn open(cache: &Path) -> Result<Engine, EngineError> {
    Engine::new(EngineOptions { cache: Some(cache.to_owned()), instances_max: 2, ..EngineOptions::default() })
}

/// Loads the guest with a new engine, as another process would.
fn load(cache: &Path) -> CacheEvent {
    open(cache).unwrap().load(&Guest::Columnar.bytes(), NanMode::Boundary).unwrap().cache_event()
}

/// The one file of compiled code.
fn code(cache: &Path) -> PathBuf {
    let files = fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().path());
    let mut codes: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "code")).collect();
    assert_eq!(codes.len(), 1, "{codes:?}");
    codes.remove(0)
}

#[test]
fn code_is_compiled_once() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("deep/compiled");
    assert_eq!(load(&cache), CacheEvent::Miss);
    assert_eq!(load(&cache), CacheEvent::Hit);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&cache), 0o700);
    assert_eq!((mode(&cache.join("key")), mode(&code(&cache))), (0o600, 0o600));
    let left: Vec<_> = fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "the key and the code, nothing staged: {left:?}");
    // Another profile is other code.
    let strict = open(&cache).unwrap().load(&Guest::Columnar.bytes(), NanMode::Strict).unwrap();
    assert_eq!(strict.cache_event(), CacheEvent::Miss);
}

#[test]
fn a_bounded_cache_forgets_what_was_longest_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("compiled");
    let load = |guest: Guest, bytes_max: u64| {
        let options = EngineOptions { cache: Some(cache.clone()), instances_max: 2, ..EngineOptions::default() };
        let engine = Engine::new(EngineOptions { cache_bytes_max: Some(bytes_max), ..options }).unwrap();
        engine.load(&guest.bytes(), NanMode::Boundary).unwrap().cache_event()
    };
    let [one, two, three] = [Guest::Columnar, Guest::Parameters, Guest::EveryType];
    let codes = || fs::read_dir(&cache).unwrap().filter(|entry| entry.as_ref().unwrap().file_name() != "key").count();
    for guest in [one, two, three] {
        assert_eq!(load(guest, u64::MAX), CacheEvent::Miss);
    }
    let bytes: u64 = fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    fs::remove_dir_all(&cache).unwrap();
    // Room for all of it but for the key and a byte: one has to go for the last to be there.
    let bytes = bytes - 33;
    assert_eq!([load(one, bytes), load(two, bytes)], [CacheEvent::Miss; 2]);
    assert_eq!(load(one, bytes), CacheEvent::Hit, "used last, though made first");
    assert_eq!(load(three, bytes), CacheEvent::Miss);
    assert_eq!(codes(), 2, "the second made place");
    assert_eq!([load(one, bytes), load(three, bytes)], [CacheEvent::Hit; 2]);
    assert_eq!(load(two, 0), CacheEvent::Miss, "what is made is kept, however large");
    assert_eq!(codes(), 1);
    assert_eq!(load(two, 0), CacheEvent::Hit);
}

#[test]
fn changed_code_is_compiled_again() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("compiled");
    assert_eq!(load(&cache), CacheEvent::Miss);
    let code = code(&cache);
    let good = fs::read(&code).unwrap();
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    // Of the mark, the format's version, the authentication code, and the code.
    let mut wrong: Vec<Vec<u8>> = [0, 8, 12, 43, 44, good.len() / 2, good.len() - 1].into_iter().map(flipped).collect();
    wrong.extend([good[..good.len() - 1].to_vec(), good[..20].to_vec(), Vec::new(), [&good[..], b"x"].concat()]);
    for bytes in wrong {
        fs::write(&code, &bytes).unwrap();
        assert_eq!(load(&cache), CacheEvent::Refused);
        assert_eq!(load(&cache), CacheEvent::Hit, "it was replaced");
    }
    // Code of one component under the name of another.
    let other = open(&cache).unwrap().load(&Guest::Misbehaving.bytes(), NanMode::Boundary).unwrap();
    let digest: String = other.digest().0.iter().map(|byte| format!("{byte:02x}")).collect();
    let name = code.file_name().unwrap().to_str().unwrap();
    let other = cache.join(format!("{digest}{}", &name[64..]));
    fs::copy(&other, &code).unwrap();
    assert_eq!(load(&cache), CacheEvent::Refused);
}

#[test]
fn code_under_another_key_is_compiled_again() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("compiled");
    load(&cache);
    fs::remove_file(cache.join("key")).unwrap();
    assert_eq!(load(&cache), CacheEvent::Refused);
    assert_eq!(load(&cache), CacheEvent::Hit);
    fs::write(cache.join("key"), [7; 5]).unwrap();
    let error = open(&cache).err().expect("a key cut short").to_string();
    assert!(error.ends_with("its key is cut short. hint: delete the folder"), "{error}");
}

#[test]
fn a_folder_that_others_may_write_to_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("compiled");
    load(&cache);
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    for (path, mode, what) in [(cache.clone(), 0o770, "the folder"), (cache.join("key"), 0o604, "its key")] {
        let before = fs::metadata(&path).unwrap().permissions();
        set(&path, mode);
        let error = open(&cache).err().expect("it is open to others").to_string();
        assert!(error.contains(&format!("{what} is open to other users (mode {mode:o})")), "{error}");
        fs::set_permissions(&path, before).unwrap();
    }
    assert_eq!(load(&cache), CacheEvent::Hit);
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(open(&file).err().expect("no folder").to_string().ends_with("it is not a folder"));
}
