//! Several processes with one registry.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::*;

const FOLDER: &str = "TANDEM_REGISTRY_TEST_SHARED";
const WRITERS: usize = 4;
const EACH: usize = 8;

#[test]
fn processes_that_register_at_once_all_get_their_turn() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        // The child: plans again where another was first.
        let registry = Registry::new(folder);
        for _ in 0..EACH {
            loop {
                let parent = registry.head().unwrap().map_or(0, |head| head.number);
                match registry.register(&change(parent)) {
                    Ok(header) => break assert_eq!(header.number, parent + 1),
                    Err(RegistryError::Moved { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::new(folder.path().join("registry"));
    let children: Vec<_> = (0..WRITERS)
        .map(|_| {
            let mut child = Command::new(std::env::current_exe().unwrap());
            let name = "store::tests::concurrency::processes_that_register_at_once_all_get_their_turn";
            child.args([name, "--exact", "--test-threads", "1"]).env(FOLDER, registry.folder());
            child.stdout(Stdio::null()).spawn().unwrap()
        })
        .collect();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Who reads meanwhile sees whole registrations, and never goes back.
        let reader = scope.spawn(|| {
            let mut last = 0;
            while !done.load(Ordering::Relaxed) {
                let number = registry.state().unwrap().number();
                assert!(number >= last);
                if number > 0 {
                    assert_eq!(registry.state_at(number).unwrap().content, change(number - 1).content);
                }
                last = number;
            }
            last
        });
        let all: Vec<bool> = children.into_iter().map(|mut child| child.wait().unwrap().success()).collect();
        done.store(true, Ordering::Relaxed);
        assert_eq!(all, [true; WRITERS]);
        assert!(reader.join().unwrap() > 0);
    });
    assert_eq!(read_all(&registry).unwrap(), (WRITERS * EACH) as u64);
    let mut writers: Vec<String> = registry.history().unwrap().into_iter().map(|header| header.by).collect();
    writers.sort();
    assert!(writers.chunks(EACH).all(|one| one.iter().all(|by| *by == one[0])), "{writers:?}");
}

#[test]
fn a_writer_that_waits_too_long_says_for_whom() {
    let (_folder, registry) = filled(1);
    let lock = registry.lock().unwrap();
    let waiting = Registry { lock_wait: Duration::from_millis(100), ..registry.clone() };
    let before = files(&registry);
    let start = Instant::now();
    let error = waiting.register(&change(1)).unwrap_err();
    assert!(start.elapsed() >= Duration::from_millis(100));
    let me = std::process::id();
    assert!(matches!(&error, RegistryError::Busy { pid: Some(pid), .. } if *pid == me), "{error}");
    assert_eq!(files(&registry), before);
    assert_eq!(read_all(&waiting).unwrap(), 1); // reading takes no lock
    drop(lock);
    assert_eq!(waiting.register(&change(1)).unwrap().number, 2);
}

#[test]
fn who_reads_while_a_registry_begins_sees_nothing_or_the_first_registration() {
    const BEGINNINGS: usize = 50;
    for _ in 0..BEGINNINGS {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::new(folder.path().join("registry"));
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                loop {
                    match registry.state().unwrap().number() {
                        0 => {}
                        number => break number,
                    }
                }
            });
            registry.register(&change(0)).unwrap();
            assert_eq!(reader.join().unwrap(), 1);
        });
    }
}
