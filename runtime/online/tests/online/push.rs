//! Rows that are pushed: into the records if they are newer, and into the log.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use tandem_online::{PushTo, PutRow, RowOutcome, Writer};

const NOW: Timestamp = Timestamp(1_000_000);

fn clock() -> Timestamp {
    NOW
}

fn puts(rows: &[Row]) -> Vec<PutRow<'_>> {
    rows.iter().map(|row| PutRow { key: &row.key, record: row.record.borrow() }).collect()
}

/// Sequence, key and event time of what is in the log.
fn logged(store: &Store, view: ViewId) -> Vec<(u64, Vec<u8>, i64)> {
    let piece = store.log_piece(view, 0, usize::MAX, usize::MAX).unwrap();
    assert_eq!((piece.next, piece.corrupt.len()), (None, 0));
    piece.rows.into_iter().map(|row| (row.sequence, row.key, row.record.event_time.0)).collect()
}

#[test]
fn a_push_is_online_and_in_the_log_and_says_what_became_of_each_row() {
    use RowOutcome::*;
    let folder = tempfile::tempdir().unwrap();
    let (store, view) = open(folder.path());
    let rows = [row("a", 5, "x"), row("b", 5, "x"), row("a", 4, "late"), row("a", 5, "x"), row("a", 4, "late")];
    let report = store.push(view, &puts(&rows), PushTo::BOTH, clock).unwrap();
    assert_eq!(report.outcomes, [Written, Written, Older, Unchanged, Older]);
    assert_eq!((report.put.written, report.put.kept, report.logged), (2, 3, 3));
    assert_eq!((report.sequences, report.published_time), (Some((1, 3)), NOW));
    let expected = [(1, "a", 5), (2, "b", 5), (3, "a", 4)];
    let expected = expected.map(|(sequence, key, time)| (sequence, key.as_bytes().to_vec(), time));
    assert_eq!(logged(&store, view), expected);
    let Lookup::Found(found) = &store.get_many(view, &["a"]).unwrap()[0] else { panic!("a row") };
    assert_eq!((found.event_time.0, found.published_time), (5, NOW), "what the caller gave is no published time");

    // The same once more: what is stored and in the log stays the only one.
    let again = store.push(view, &puts(&rows[..2]), PushTo::BOTH, clock).unwrap();
    assert_eq!((again.outcomes, again.logged, again.sequences), (vec![Unchanged, Unchanged], 0, None));
    assert_eq!(logged(&store, view).len(), 3);
}

#[test]
fn rows_go_where_they_are_sent() {
    use RowOutcome::*;
    let folder = tempfile::tempdir().unwrap();
    let (store, view) = open(folder.path());
    let push = |key: &str, to| store.push(view, &puts(&[row(key, 1, "")]), to, clock).unwrap();
    let offline = push("a", PushTo::OFFLINE);
    assert_eq!((offline.outcomes, offline.logged), (vec![Logged], 1));
    assert_eq!(store.get_many(view, &["a"]).unwrap(), [Lookup::NotFound]);
    let online = push("b", PushTo::ONLINE);
    assert_eq!((online.outcomes, online.logged), (vec![Written], 0));
    assert_eq!(event_time(&store.get_many(view, &["b"]).unwrap()[0]), 1);
    // It is stored, and the history does not have it yet.
    let both = push("b", PushTo::BOTH);
    assert_eq!((both.outcomes, both.sequences), (vec![Unchanged], Some((2, 2))));
    assert_eq!(push("b", PushTo::BOTH).logged, 0);
    // What was materialized came from the history.
    store.put_if_newer(view, &puts(&[row("c", 1, "")])).unwrap();
    assert_eq!(push("c", PushTo::BOTH).logged, 0);
    assert_eq!(push("c", PushTo::OFFLINE).outcomes, [Unchanged]);
    assert_eq!(logged(&store, view).len(), 2);
}

#[test]
fn sequences_are_never_given_twice_and_each_view_has_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (store, view) = open(folder.path());
    let other = store.view(&identity("other", 1)).unwrap();
    for round in 0..3 {
        for view in [view, other] {
            store.push(view, &puts(&[row("a", round, "")]), PushTo::BOTH, clock).unwrap();
        }
    }
    assert_eq!(store.forget_logged(view, &[1, 2, 3, 9]).unwrap(), 3);
    assert_eq!((logged(&store, view).len(), logged(&store, other).len()), (0, 3));
    drop(store);
    let (store, view) = open(folder.path());
    let report = store.push(view, &puts(&[row("a", 9, "")]), PushTo::BOTH, || Timestamp(5)).unwrap();
    assert_eq!(report.sequences, Some((4, 4)));
    assert_eq!(report.published_time, NOW, "a clock that was set back publishes nothing before what is published");
    let logs = store.logs().unwrap();
    let told: Vec<_> = logs.iter().map(|log| (log.view, log.rows, log.next_sequence, log.oldest)).collect();
    assert_eq!(told, [(view, 1, 5, Some(NOW)), (other, 3, 4, Some(NOW))]);
    let bytes = logs[1].bytes;
    assert_eq!(store.forget_logged(other, &[1, 2, 3]).unwrap(), 3);
    assert!(bytes > 0);
    assert_eq!(store.logs().unwrap()[1].bytes, 0);
}

#[test]
fn a_log_is_read_piece_by_piece() {
    let folder = tempfile::tempdir().unwrap();
    let (store, view) = open(folder.path());
    let rows: Vec<Row> = (0..10).map(|time| row([time as u8], time, [7; 100])).collect();
    store.push(view, &puts(&rows), PushTo::BOTH, clock).unwrap();
    let pieces = |rows_max: usize, bytes_max: usize| {
        let (mut from, mut sizes) = (0, Vec::new());
        loop {
            let piece = store.log_piece(view, from, rows_max, bytes_max).unwrap();
            sizes.push(piece.rows.len());
            match piece.next {
                Some(next) => from = next,
                None => return sizes,
            }
        }
    };
    assert_eq!(pieces(4, usize::MAX), [4, 4, 2]);
    assert_eq!(pieces(usize::MAX, 400), [2, 2, 2, 2, 2]);
    assert_eq!(pieces(usize::MAX, 1), [1; 10], "one row at least");
}

#[test]
fn pushes_of_many_share_commits() {
    let folder = tempfile::tempdir().unwrap();
    let (store, view) = open(folder.path());
    let writer = Writer::start_with_clock(store.clone(), clock).unwrap();
    std::thread::scope(|scope| {
        for caller in 0..6_i64 {
            let writer = writer.clone();
            scope.spawn(move || {
                for round in 0..20 {
                    let rows = vec![row("common", round * 6 + caller, ""), row(format!("own {caller}"), round, "")];
                    let report = writer.try_push(view, rows, PushTo::BOTH).unwrap().wait().unwrap();
                    assert_eq!((report.logged, report.outcomes[1]), (2, RowOutcome::Written));
                }
            });
        }
    });
    let log = logged(&store, view);
    let sequences: Vec<u64> = log.iter().map(|(sequence, ..)| *sequence).collect();
    assert_eq!(sequences, (1..=240).collect::<Vec<u64>>());
    assert_eq!(event_time(&store.get_many(view, &["common"]).unwrap()[0]), 19 * 6 + 5);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Against a naive one: the greatest row of each entity is online, and the log has every row once, but those that were told as unchanged.
    #[test]
    fn every_row_is_logged_and_the_newest_is_online(
        pushes in proptest::collection::vec(proptest::collection::vec((0..3_u8, 0..4_i64, 0..2_u8), 1..6), 1..8),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (store, view) = open(folder.path());
        let mut newest: BTreeMap<u8, (i64, u8)> = BTreeMap::new();
        let mut expected = Vec::new();
        for push in &pushes {
            let rows: Vec<Row> = push.iter().map(|(key, time, value)| row([*key], *time, [*value])).collect();
            let before = newest.clone();
            for (key, time, value) in push {
                let best = newest.entry(*key).or_insert((*time, *value));
                *best = (*best).max((*time, *value));
            }
            let report = store.push(view, &puts(&rows), PushTo::BOTH, clock).unwrap();
            for (index, ((key, time, value), outcome)) in push.iter().zip(&report.outcomes).enumerate() {
                let is_first = !push[..index].contains(&(*key, *time, *value));
                let is_newest = newest[key] == (*time, *value);
                let was_there = before.get(key) == Some(&(*time, *value));
                let is_unchanged = *outcome == RowOutcome::Unchanged;
                if is_newest && was_there {
                    prop_assert!(is_unchanged);
                } else if !is_newest && !was_there && is_first {
                    prop_assert_eq!(*outcome, RowOutcome::Older);
                }
                if is_first && !was_there {
                    expected.push((vec![*key], *time));
                }
            }
        }
        let found: Vec<(Vec<u8>, i64)> = logged(&store, view).into_iter().map(|(_, key, time)| (key, time)).collect();
        prop_assert_eq!(found, expected);
        for (key, (time, value)) in newest {
            let found = store.get_many(view, &[[key]]).unwrap().remove(0);
            let Lookup::Found(found) = found else { panic!("a row") };
            prop_assert_eq!((found.event_time.0, found.row), (time, vec![value]));
        }
    }
}
