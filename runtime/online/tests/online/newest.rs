//! Writes never go back in time: any batches in any order leave what a loop over all rows would.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use tandem_online::{PushTo, PutRow};

/// Which of two rows of one entity wins, spelled out.
fn compare(a: &Record, b: &Record) -> Ordering {
    if a.event_time.0 != b.event_time.0 {
        return a.event_time.0.cmp(&b.event_time.0);
    }
    match (a.created_time, b.created_time) {
        (None, Some(_)) => return Ordering::Less,
        (Some(_), None) => return Ordering::Greater,
        (Some(a), Some(b)) if a.0 != b.0 => return a.0.cmp(&b.0),
        _ => (),
    }
    match (a.sequence, b.sequence) {
        (None, Some(_)) => return Ordering::Less,
        (Some(_), None) => return Ordering::Greater,
        (Some(a), Some(b)) if a != b => return a.cmp(&b),
        _ => (),
    }
    a.row.cmp(&b.row)
}

/// The published time of a row that ties in all else is the first one's, and takes no part in the comparison.
fn without_published(record: &Record) -> Record {
    Record { published_time: Timestamp(0), ..record.clone() }
}

const KEYS: usize = 7;

fn key(index: usize) -> Vec<u8> {
    match index {
        0 => vec![],
        1 => vec![0],
        2 => vec![0xff; 506],
        3 => vec![0xff; 507],
        4 => vec![b'k'; 4_000],
        _ => format!("entity {index}").into_bytes(),
    }
}

prop_compose! {
    /// Few entities and few values, so that ties of every kind are common.
    fn any_row()(
        entity in 0..KEYS, event_time in prop_oneof![-2i64..3, Just(i64::MIN), Just(i64::MAX)],
        created in prop_oneof![Just(None), (-1i64..2).prop_map(Some), Just(Some(i64::MIN))],
        sequence in prop_oneof![Just(None), (-1i64..2).prop_map(Some)],
        published in 0i64..100, bytes in vec(0u8..3, 0..3),
    ) -> Row {
        let record = Record {
            created_time: created.map(Timestamp), sequence, published_time: Timestamp(published), ..record(event_time, bytes)
        };
        Row { key: key(entity), record }
    }
}

fn put(store: &Store, view: ViewId, batch: &[Row]) -> usize {
    let puts: Vec<_> = batch.iter().map(|row| PutRow { key: &row.key, record: row.record.borrow() }).collect();
    let report = store.put_if_newer(view, &puts).unwrap();
    assert_eq!((report.written + report.kept, report.repaired), (batch.len(), 0));
    report.written
}

fn stored(store: &Store, view: ViewId) -> Vec<Lookup> {
    let keys: Vec<_> = (0..KEYS).map(key).collect();
    let lookups = store.get_many(view, &keys).unwrap();
    lookups
        .into_iter()
        .map(|lookup| match lookup {
            Lookup::Found(record) => Lookup::Found(without_published(&record)),
            other => other,
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..Default::default() })]

    #[test]
    fn the_greatest_row_stays(
        batches in vec(vec(any_row(), 0..12), 1..6), shuffle in vec(any::<prop::sample::Index>(), 80),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (store, view) = open(folder.path());

        // The oracle follows every batch, counts included.
        let mut greatest: HashMap<Vec<u8>, Record> = HashMap::new();
        for batch in &batches {
            let mut changed: HashMap<&[u8], ()> = HashMap::new();
            for row in batch {
                if greatest.get(&row.key).is_none_or(|best| compare(&row.record, best) == Ordering::Greater) {
                    greatest.insert(row.key.clone(), row.record.clone());
                    changed.insert(&row.key, ());
                }
            }
            prop_assert_eq!(put(&store, view, batch), changed.len());
        }
        let expected: Vec<_> = (0..KEYS)
            .map(|index| greatest.get(&key(index)).map_or(Lookup::NotFound, |best| Lookup::Found(without_published(best))))
            .collect();
        prop_assert_eq!(&stored(&store, view), &expected);

        // Again: a repeated write changes nothing.
        for batch in &batches {
            prop_assert_eq!(put(&store, view, batch), 0);
        }

        // In another order and cut into other batches, under another view.
        let mut rows: Vec<_> = batches.concat();
        for i in (1..rows.len()).rev() {
            rows.swap(i, shuffle[i].index(i + 1));
        }
        let shuffled = store.view(&identity("shuffled", 1)).unwrap();
        for batch in rows.chunks(5) {
            put(&store, shuffled, batch);
        }
        prop_assert_eq!(&stored(&store, shuffled), &expected);

        // The greatest of each piece, in the order of keys, before what other views have and behind it.
        for (view, piece) in [(store.view(&identity("sorted", 1)).unwrap(), 9), (shuffled, 7), (view, 3)] {
            for rows in rows.chunks(piece) {
                let mut greatest: BTreeMap<&[u8], &Row> = BTreeMap::new();
                for row in rows {
                    let best = greatest.entry(&row.key).or_insert(row);
                    if compare(&row.record, &best.record) == Ordering::Greater {
                        *best = row;
                    }
                }
                put_newest(&store, view, greatest.into_values());
            }
            prop_assert_eq!(&stored(&store, view), &expected);
        }
    }
}

/// Gives how many rows each transaction took, and how many rows were written.
fn put_newest<'a>(store: &Store, view: ViewId, rows: impl Iterator<Item = &'a Row>) -> (Vec<usize>, usize) {
    let puts: Vec<_> = rows.map(|row| PutRow { key: &row.key, record: row.record.borrow() }).collect();
    let (mut rest, mut taken, mut written) = (&puts[..], Vec::new(), 0);
    while !rest.is_empty() {
        let (done, report) = store.put_newest(view, rest).unwrap();
        assert_eq!((report.written + report.kept, report.repaired), (done, 0));
        rest = &rest[done..];
        taken.push(done);
        written += report.written;
    }
    (taken, written)
}

#[test]
fn many_rows_in_order_are_appended_or_put_among_others() {
    let folder = tempfile::tempdir().unwrap();
    let (store, view) = open(folder.path());
    let rows = |time: i64, step: usize| -> Vec<Row> {
        let keys = (0..40_000_u32).step_by(step).map(|key| key.to_be_bytes().to_vec());
        keys.map(|key| Row { record: record(time, key.repeat(20)), key }).collect()
    };
    // Behind all that there is: one transaction.
    assert_eq!(put_newest(&store, view, rows(5, 2).iter()), (vec![20_000], 20_000));
    let after_append = store.stats().unwrap().used_bytes;
    assert!(after_append < 20_000 * (4 + 5 + 84 + 80 + 10) * 11 / 10, "pages are filled: {after_append}");
    // Every other one is there, and the last is behind them.
    assert_eq!(put_newest(&store, view, rows(4, 1).iter()), (vec![16_384, 16_384, 7_232], 20_000));
    assert_eq!(put_newest(&store, view, rows(5, 1).iter()), (vec![16_384, 16_384, 7_232], 20_000));
    assert_eq!(put_newest(&store, view, rows(5, 1).iter()).1, 0);
    let other = store.view(&identity("behind", 1)).unwrap();
    assert_eq!(put_newest(&store, other, rows(1, 1).iter()), (vec![40_000], 40_000));
    // Before another view's, and not there yet: still transactions of few rows.
    for (view, time) in [(view, 5), (other, 1)] {
        for row in rows(time, 997) {
            assert_eq!(store.get_many(view, &[&row.key]).unwrap(), [Lookup::Found(row.record)]);
        }
    }
    assert_eq!(store.stats().unwrap().entries, 80_000);
}

#[test]
fn a_row_that_was_pushed_alone_is_known_to_be_in_the_history_once_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (store, view) = open(folder.path());
    let clock = || Timestamp(1);
    let rows = [row("a", 5, "a"), row("b", 5, "b"), row("c", 5, "c")];
    let puts: Vec<_> = rows.iter().map(|row| PutRow { key: &row.key, record: row.record.borrow() }).collect();
    store.push(view, &puts, PushTo::ONLINE, clock).unwrap();
    assert_eq!(put_newest(&store, view, rows[..2].iter()).1, 0);
    // What is in the history need not go into the log.
    let pushed = store.push(view, &puts, PushTo::BOTH, clock).unwrap();
    assert_eq!(pushed.logged, 1);
}

#[test]
fn the_published_time_does_not_decide() {
    let folder = tempfile::tempdir().unwrap();
    let (store, view) = open(folder.path());
    let published = |event_time, time| {
        let record = Record { published_time: Timestamp(time), ..record(event_time, "") };
        Row { key: b"k".to_vec(), record }
    };
    assert_eq!(put(&store, view, &[published(5, 10)]), 1);
    assert_eq!(put(&store, view, &[published(5, 99)]), 0, "an equal row");
    assert_eq!(put(&store, view, &[published(4, 99)]), 0, "an older row");
    assert_eq!(store.get_many(view, &["k"]).unwrap(), [Lookup::Found(published(5, 10).record)]);
    assert_eq!(put(&store, view, &[published(6, 1)]), 1, "a newer row");
}
