//! A full disk: the error says so, nothing is half-written, the store stays readable.

use super::*;
use crate::children::{self, said, say};
use tandem_online::{OnlineError, Writer};

/// The largest size of a file stands in for the disk: it needs neither rights nor room.
#[test]
fn a_full_disk_is_named_and_the_store_stays_readable() {
    if let Some(folder) = children::folder() {
        let (store, view) = open(&folder);
        let writer = Writer::start(store.clone()).unwrap();
        let put = |time: u8| {
            let rows = (0..20u8).map(|i| row([time, i], i64::from(time), [time; 5_000]));
            writer.put(view, rows.collect())
        };
        let mut stored = 0;
        let error = loop {
            match put(stored) {
                Ok(report) => assert_eq!(report.written, 20),
                Err(error) => break error,
            }
            stored += 1;
        };
        assert!(matches!(error, OnlineError::DiskFull { .. }), "{error}");
        assert!(error.hint().is_some());
        assert!(matches!(put(stored), Err(OnlineError::DiskFull { .. })));
        for time in 0..=stored {
            let keys: Vec<_> = (0..20u8).map(|i| [time, i]).collect();
            for lookup in store.get_many(view, &keys).unwrap() {
                assert_eq!(matches!(lookup, Lookup::Found(_)), time < stored, "batch {time}: {lookup:?}");
            }
        }
        return say(&stored.to_string());
    }
    // At several sizes, because where in a commit the end comes decides which error the system gives. The unit is 512 bytes.
    for blocks in [4_000, 4_004, 4_007, 4_016, 4_321] {
        let folder = tempfile::tempdir().unwrap();
        let test = "disk_full::a_full_disk_is_named_and_the_store_stays_readable";
        let prelude = format!("trap '' XFSZ; ulimit -f {blocks}");
        let output = children::start_after(&prelude, test, folder.path()).wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{blocks} blocks: {text}");
        let stored: u8 = text.lines().find_map(said).expect(&text).parse().unwrap();
        assert!(stored > 5, "{blocks} blocks: {stored} batches");
        assert!(!folder.path().join("probe.tmp").exists());

        // With room again, what was refused goes in.
        let (store, view) = open(folder.path());
        assert_eq!(store.stats().unwrap().entries, usize::from(stored) * 20);
        let report = Writer::start(store).unwrap().put(view, vec![row([stored, 0], 1, [0; 5_000])]).unwrap();
        assert_eq!(report.written, 1);
    }
}
