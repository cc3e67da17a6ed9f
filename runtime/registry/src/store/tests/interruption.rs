//! Writing that stops at any of its steps: the old registration or the new one is there, and the next writer goes on.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::*;
use crate::disk::Step;
use crate::layout::folder_of;

const FOLDER: &str = "TANDEM_REGISTRY_TEST_FOLDER";
const STEP: &str = "TANDEM_REGISTRY_TEST_STEP";

/// A registry that does something before its step number `at`.
fn stopping(folder: &Path, at: usize, stop: impl Fn() -> std::io::Result<()> + Send + Sync + 'static) -> Registry {
    let steps = AtomicUsize::new(0);
    let watch = move |_: Step<'_>| if steps.fetch_add(1, Ordering::Relaxed) == at { stop() } else { Ok(()) };
    Registry { disk: Disk::watched(Arc::new(watch)), ..Registry::new(folder) }
}

/// The steps of registering upon so many registrations, in order, as texts.
fn steps(before: u64) -> (tempfile::TempDir, Registry, Vec<String>) {
    let (folder, registry) = filled(before);
    let log: Arc<Mutex<Vec<String>>> = Arc::default();
    let watch = {
        let log = Arc::clone(&log);
        move |step: Step<'_>| {
            log.lock().unwrap().push(match step {
                Step::MakeFolder(path) => format!("make {}", path.display()),
                Step::Write(path) => format!("write {}", path.display()),
                Step::Rename(path) => format!("rename {}", path.display()),
                Step::Sync(path) | Step::SyncFolder(path) => format!("sync {}", path.display()),
            });
            Ok(())
        }
    };
    let registry = Registry { disk: Disk::watched(Arc::new(watch)), ..registry };
    registry.register(&change(before)).unwrap();
    let log = log.lock().unwrap().clone();
    (folder, registry, log)
}

/// What must hold after registering upon `before` registrations was interrupted.
fn check_and_go_on(folder: &Path, before: u64) -> u64 {
    let registry = Registry::new(folder);
    let found = read_all(&registry).unwrap();
    assert!(found == before || found == before + 1, "{found}");
    registry.register(&change(found)).unwrap();
    assert_eq!(read_all(&registry).unwrap(), found + 1);
    assert!(!registry.layout.staged().exists());
    found
}

#[test]
fn a_step_that_fails_changes_nothing() {
    for before in [0, 1] {
        let steps = steps(before).2.len();
        assert!(steps > 20, "{steps}");
        for at in 0..steps {
            let (_folder, registry) = filled(before);
            let full = || Err(std::io::Error::from(std::io::ErrorKind::StorageFull));
            let failing = stopping(registry.folder(), at, full);
            assert!(failing.register(&change(before)).is_err(), "step {at}");
            let found = check_and_go_on(registry.folder(), before);
            // The last step syncs the folder with HEAD: the new registration is there, and may be gone after a power cut.
            assert_eq!(found, if at + 1 == steps { before + 1 } else { before }, "step {at} of {steps}");
        }
    }
}

#[test]
fn a_process_killed_at_any_step_leaves_the_old_or_the_new() {
    if let (Some(folder), Ok(step)) = (std::env::var_os(FOLDER), std::env::var(STEP)) {
        // The child: kills itself before the step.
        let kill = || {
            let me = std::process::id().to_string();
            let _ = Command::new("kill").args(["-KILL", &me]).status();
            unreachable!("nobody survives it");
        };
        let registry = stopping(Path::new(&folder), step.parse().unwrap(), kill);
        let parent = registry.head().unwrap().map_or(0, |head| head.number);
        registry.register(&change(parent)).unwrap();
        return;
    }
    for before in [0, 1] {
        let steps = steps(before).2.len();
        for at in 0..=steps {
            let (_folder, registry) = filled(before);
            let mut child = Command::new(std::env::current_exe().unwrap());
            let name = "store::tests::interruption::a_process_killed_at_any_step_leaves_the_old_or_the_new";
            child.args([name, "--exact", "--test-threads", "1"]).env(FOLDER, registry.folder());
            let status = child.env(STEP, at.to_string()).stdout(Stdio::null()).status().unwrap();
            // Killed by the signal; behind the last step nothing kills it.
            assert_eq!(status.code(), (at == steps).then_some(0), "step {at} of {steps}: {status}");
            let found = check_and_go_on(registry.folder(), before);
            assert_eq!(found > before, at + 1 >= steps, "step {at} of {steps}");
        }
    }
}

/// A power cut keeps what was synced, and any of the rest. So before HEAD names a registration, each of its files must be synced, and the folder
/// that it was renamed into after it.
#[test]
fn everything_is_on_the_disk_before_head_names_it() {
    for before in [0, 1] {
        let (_folder, registry, log) = steps(before);
        let head = registry.layout.head();
        let last = log.iter().rposition(|step| *step == format!("rename {}", head.display())).unwrap();
        let mut renamed = 0;
        for (at, step) in log[..last].iter().enumerate() {
            let Some(path) = step.strip_prefix("rename ") else { continue };
            renamed += 1;
            assert!(log[..at].contains(&format!("sync {path}")), "{path} is renamed before it is synced");
            let folder = folder_of(Path::new(path));
            let synced = log[at..last].contains(&format!("sync {}", folder.display()));
            assert!(synced, "{} is not synced between {path} and HEAD", folder.display());
        }
        assert!(renamed > 5, "{log:#?}");
        assert_eq!(log.last(), Some(&format!("sync {}", registry.folder().display())));
    }
}
