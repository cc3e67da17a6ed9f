//! The map grows by itself, under readers and writers, in this process and in others.

use std::io::{BufRead as _, BufReader, Write as _};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use crate::children::{self, said, say};
use tandem_online::options::MAP_BYTES_MIN;
use tandem_online::{OnlineError, Writer};

fn tiny() -> StoreOptions {
    StoreOptions { map_bytes: MAP_BYTES_MIN, ..Default::default() }
}

#[test]
fn the_map_grows_while_readers_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), tiny()).unwrap();
    let view = store.view(&identity("spend", 1)).unwrap();
    let writer = Writer::start(store.clone()).unwrap();
    assert_eq!(store.stats().unwrap().map_bytes, MAP_BYTES_MIN);
    writer.put(view, vec![row("watched", 0, [0; 100])]).unwrap();
    let (done, reads) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut newest = 0;
                while !done.load(Ordering::Relaxed) {
                    let time = event_time(&store.get_many(view, &["absent", "watched"]).unwrap()[1]);
                    assert!(time >= newest, "a reader never goes back in time");
                    newest = time;
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for time in 1..=40 {
            let mut rows: Vec<_> = (0..100).map(|i| row(format!("{time} {i}"), time, [7; 4_000])).collect();
            rows.push(row("watched", time, [0; 100]));
            assert_eq!(writer.put(view, rows).unwrap().written, 101);
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(reads.into_inner() > 40);
    let stats = store.stats().unwrap();
    assert_eq!((stats.entries, stats.views, stats.readers_max), (4_001, 1, 1_024));
    assert!(stats.used_bytes > 16_000_000 && stats.map_bytes >= stats.used_bytes, "{stats:?}");
    for time in 1..=40 {
        let keys: Vec<_> = (0..100).map(|i| format!("{time} {i}")).collect();
        assert!(store.get_many(view, &keys).unwrap().iter().all(|lookup| event_time(lookup) == time));
    }
}

#[test]
fn one_batch_may_need_several_growths() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), tiny()).unwrap();
    let view = store.view(&identity("spend", 1)).unwrap();
    let writer = Writer::start(store.clone()).unwrap();
    let rows: Vec<_> = (0..10u8).map(|i| row([i], 1, vec![i; 1 << 20])).collect();
    assert_eq!(writer.put(view, rows.clone()).unwrap().written, 10);
    let keys: Vec<_> = rows.iter().map(|row| row.key.clone()).collect();
    let expected: Vec<_> = rows.into_iter().map(|row| Lookup::Found(row.record)).collect();
    assert!(store.get_many(view, &keys).unwrap() == expected);
}

#[test]
fn the_largest_map_is_a_limit_and_the_store_stays_readable() {
    let folder = tempfile::tempdir().unwrap();
    let options = StoreOptions { map_bytes_max: 2 * MAP_BYTES_MIN, ..tiny() };
    let store = Store::open(folder.path(), options).unwrap();
    let view = store.view(&identity("spend", 1)).unwrap();
    let writer = Writer::start(store.clone()).unwrap();
    let mut stored = 0;
    let error = loop {
        match writer.put(view, vec![row([stored], 1, [stored; 100_000])]) {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(
        matches!(error, OnlineError::MapFull { map_bytes, map_bytes_max, .. } if (map_bytes, map_bytes_max) == (2 << 20, 2 << 20)),
        "{error}"
    );
    assert!(stored >= 10, "only {stored} rows fit");
    let keys: Vec<_> = (0..stored).map(|key| [key]).collect();
    assert!(store.get_many(view, &keys).unwrap().iter().all(|lookup| event_time(lookup) == 1));
    // What fits still goes in.
    assert_eq!(writer.put(view, vec![row("small", 1, "")]).unwrap().written, 1);
}

#[test]
fn a_reader_follows_the_growth_of_another_process() {
    if let Some(folder) = children::folder() {
        // The child: grows the store far beyond the parent's map, whenever it is told to.
        let store = Store::open(&folder, tiny()).unwrap();
        let view = store.view(&identity("spend", 1)).unwrap();
        for (time, line) in std::io::stdin().lines().enumerate() {
            line.unwrap();
            let rows: Vec<_> = (0..100).map(|i| row(format!("{time} {i}"), time as i64, [7; 40_000])).collect();
            Writer::start(store.clone()).unwrap().put(view, rows).unwrap();
            say(&time.to_string());
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    Store::open(folder.path(), tiny()).unwrap().view(&identity("spend", 1)).unwrap();
    for (open, writes) in [(Store::open_read_only as fn(&Path, _) -> _, false), (Store::open, true)] {
        let store = open(folder.path(), tiny()).unwrap();
        let view = store.view(&identity("spend", 1)).unwrap();
        let before = store.stats().unwrap().map_bytes;
        let mut child = children::start("map_growth::a_reader_follows_the_growth_of_another_process", folder.path());
        let mut stdin = child.stdin.take().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for time in 0..4 {
            writeln!(stdin, "go").unwrap();
            while said(&lines.next().unwrap().unwrap()) != Some(&time.to_string()) {}
            let keys: Vec<_> = (0..100).map(|i| format!("{time} {i}")).collect();
            assert!(store.get_many(view, &keys).unwrap().iter().all(|lookup| event_time(lookup) == time));
            if writes {
                let writer = Writer::start(store.clone()).unwrap();
                assert_eq!(writer.put(view, vec![row(format!("own {time}"), time, [1; 100_000])]).unwrap().written, 1);
            }
        }
        drop(stdin);
        assert!(child.wait().unwrap().success());
        assert!(writes || store.stats().unwrap().map_bytes > before);
    }
}
