//! Several processes with one store, and processes with little address space.

use std::io::{BufRead as _, BufReader, Write as _};

use super::*;
use crate::children::{self, said, say};
use tandem_online::Writer;

#[test]
fn another_process_reads_what_is_committed() {
    if let Some(folder) = children::folder() {
        // The child: `tandem get` beside a server. Answers each line with the event time it sees.
        let store = Store::open_read_only(&folder, StoreOptions::default()).unwrap();
        let view = store.find_view("spend", 1).unwrap().unwrap().id;
        for line in std::io::stdin().lines() {
            line.unwrap();
            say(&event_time(&store.get_many(view, &["k"]).unwrap()[0]).to_string());
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (store, view) = open(folder.path());
    let writer = Writer::start(store.clone()).unwrap();
    writer.put(view, vec![row("k", 0, "")]).unwrap();
    let mut child = children::start("processes::another_process_reads_what_is_committed", folder.path());
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for time in 1..20 {
        writer.put(view, vec![row("k", time, "")]).unwrap();
        writeln!(stdin, "ask").unwrap();
        let seen = loop {
            let line = lines.next().unwrap().unwrap();
            if let Some(said) = said(&line) {
                break said.to_owned();
            }
        };
        assert_eq!(seen, time.to_string());
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn readers_that_die_free_their_slots() {
    const READERS_MAX: u32 = 6;
    let options = || StoreOptions { readers_max: READERS_MAX, ..Default::default() };
    if let Some(folder) = children::folder() {
        // The child: threads that are inside a read transaction nearly all the time.
        let store = Store::open_read_only(&folder, options()).unwrap();
        let view = store.find_view("spend", 1).unwrap().unwrap().id;
        let keys = vec!["k"; 2_000];
        return std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for times in 0.. {
                        assert_eq!(store.get_many(view, &keys).unwrap().len(), keys.len());
                        if times == 2 {
                            say("reading");
                        }
                    }
                });
            }
        });
    }
    let folder = tempfile::tempdir().unwrap();
    // Open throughout: with nobody there, the next process would start from an empty table of readers.
    let store = Store::open(folder.path(), options()).unwrap();
    let view = store.view(&identity("spend", 1)).unwrap();
    let stored = row("k", 1, "");
    store.put_if_newer(view, &[tandem_online::PutRow { key: &stored.key, record: stored.record.borrow() }]).unwrap();
    for _ in 0..8 {
        let mut child = children::start("processes::readers_that_die_free_their_slots", folder.path());
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.filter(|line| said(line.as_ref().unwrap()).is_some()).take(3).count(), 3);
        child.kill().unwrap();
        child.wait().unwrap();
        // At once as many as there are slots: none may still belong to the dead.
        let gate = std::sync::Barrier::new(READERS_MAX as usize);
        std::thread::scope(|scope| {
            for _ in 0..READERS_MAX {
                scope.spawn(|| {
                    gate.wait();
                    let lookups = store.get_many(view, &["k"; 2_000]).unwrap();
                    assert!(lookups.iter().all(|lookup| event_time(lookup) == 1));
                });
            }
        });
    }
    assert_eq!(store.stats().unwrap().readers_max, READERS_MAX);
}

#[test]
fn little_address_space_means_a_smaller_map() {
    if let Some(folder) = children::folder() {
        let (store, view) = open(&folder);
        Writer::start(store.clone()).unwrap().put(view, vec![row("k", 1, "")]).unwrap();
        say(&store.stats().unwrap().map_bytes.to_string());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // 4 GB (the unit is KiB) for a default map of 64 GiB.
    let test = "processes::little_address_space_means_a_smaller_map";
    let child = children::start_after("ulimit -v 4000000", test, folder.path());
    let output = child.wait_with_output().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let map_bytes: usize = output.lines().find_map(said).expect(&output).parse().unwrap();
    assert!((1 << 30..4_000_000 * 1_024).contains(&map_bytes), "{map_bytes}");
    let (store, view) = open(folder.path());
    assert_eq!(store.stats().unwrap().map_bytes, StoreOptions::default().map_bytes);
    assert_eq!(event_time(&store.get_many(view, &["k"]).unwrap()[0]), 1);
}
