//! What is in a store, copies of it, and back from them.

use super::*;
use tandem_online::{AGE_BOUNDS_SECONDS, PushTo, PutRow, RestoredView};

const NOW: i64 = 2_000_000_000_000_000;

fn put(store: &Store, view: ViewId, rows: &[Row]) {
    let rows: Vec<_> = rows.iter().map(|row| PutRow { key: &row.key, record: row.record.borrow() }).collect();
    for rows in rows.chunks(10_000) {
        store.put_if_newer(view, rows).unwrap();
    }
}

#[test]
fn rows_are_counted_by_age() {
    let folder = tempfile::tempdir().unwrap();
    let (store, view) = open(folder.path());
    let ages = [-5, 0, 59, 60, 3_599, 3_600, 86_400, 604_799, 31_536_000, 90_000_000];
    let rows: Vec<Row> =
        ages.iter().enumerate().map(|(key, age)| row([key as u8], NOW - age * 1_000_000, "x")).collect();
    put(&store, view, &rows);
    let stats = store.view_stats(Timestamp(NOW)).unwrap();
    assert_eq!((stats.len(), stats[0].view.name.as_str(), stats[0].entries, stats[0].corrupt), (1, "spend", 10, 0));
    assert_eq!(stats[0].ages, [3, 2, 1, 2, 0, 0, 2]);
    assert_eq!(stats[0].ages.len(), AGE_BOUNDS_SECONDS.len() + 1);
    assert!(stats[0].bytes > 10 * 84, "{}", stats[0].bytes);
}

#[test]
fn a_copy_of_one_moment_is_a_store_and_fills_another_without_moving_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let (store, view) = open(&folder.path().join("store"));
    // More than one piece, and a key that is hashed.
    let mut rows: Vec<Row> = (0..20_000_u32).map(|key| row(key.to_be_bytes(), i64::from(key), "first")).collect();
    rows.push(row(vec![7; 600], 5, "long"));
    put(&store, view, &rows);
    let pushed = row("pushed", 9, "p");
    let pushed = [PutRow { key: &pushed.key, record: pushed.record.borrow() }];
    store.push(view, &pushed, PushTo::BOTH, || Timestamp(NOW)).unwrap();
    let target = folder.path().join("copy");
    let report = store.backup(&target).unwrap();
    assert_eq!((report.entries, report.logged, report.corrupt), (20_002, 1, 0));
    let again = store.backup(&target).unwrap_err();
    assert!(again.to_string().contains("copy"), "{again}");
    // What comes later is not in it.
    put(&store, view, &[row(0_u32.to_be_bytes(), 99, "later")]);

    let (copy, of_copy) = open(&target);
    assert_eq!(event_time(&copy.get_many(of_copy, &[0_u32.to_be_bytes()]).unwrap()[0]), 0);
    assert_eq!(copy.log_piece(of_copy, 0, 10, 1 << 20).unwrap().rows.len(), 1);

    let restored = store.restore(&copy, |_| None).unwrap();
    let RestoredView { put, left_out, .. } = restored[0];
    assert_eq!((restored.len(), put.written, put.kept, left_out), (1, 0, 20_002, 0));
    assert_eq!(event_time(&store.get_many(view, &[0_u32.to_be_bytes()]).unwrap()[0]), 99, "nothing goes back");
    let (empty, of_empty) = open(&folder.path().join("empty"));
    assert_eq!(empty.restore(&copy, |_| None).unwrap()[0].put.written, 20_002);
    let found = empty.get_many(of_empty, &[vec![7; 600], 19_999_u32.to_be_bytes().to_vec()]).unwrap();
    assert_eq!(found.iter().map(event_time).collect::<Vec<_>>(), [5, 19_999]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3, "nothing unfinished is left");
}
