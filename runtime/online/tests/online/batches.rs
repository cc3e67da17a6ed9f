//! Lookups of many entities, the writer, and the limits of both.

use std::task::{Context, Poll, Waker};

use super::*;
use tandem_online::{OnlineError, PutReport, PutRow, Writer};

#[test]
fn answers_come_in_the_order_asked() {
    let folder = tempfile::tempdir().unwrap();
    let (store, view) = open(folder.path());
    let long = |byte: u8, bytes: usize| vec![byte; bytes];
    let binary: Vec<u8> = (0..=255).collect();
    // Both sides of the longest key that LMDB takes, the empty key, all bytes, keys that are prefixes of each other.
    let keys = [
        long(b'x', 507),
        long(b'x', 506),
        long(b'x', 508),
        vec![],
        binary,
        vec![0],
        vec![0, 0],
        long(0, 600),
        long(1, 60_000),
        b"z".to_vec(),
        b"a".to_vec(),
    ];
    let rows: Vec<_> = keys.iter().enumerate().map(|(i, key)| row(key.clone(), i as i64, vec![i as u8])).collect();
    let puts: Vec<_> = rows.iter().map(|row| PutRow { key: &row.key, record: row.record.borrow() }).collect();
    let written = PutReport { written: keys.len(), kept: 0, repaired: 0 };
    assert_eq!(store.put_if_newer(view, &puts).unwrap(), written);

    // Each key twice, and between them keys that are not there.
    let (absent, absent_long) = (b"absent".to_vec(), long(b'q', 600));
    let mut asked = Vec::new();
    let mut expected = Vec::new();
    for row in rows.iter().chain(rows.iter().rev()) {
        asked.extend([&row.key, &absent, &absent_long]);
        expected.extend([Lookup::Found(row.record.clone()), Lookup::NotFound, Lookup::NotFound]);
    }
    assert_eq!(store.get_many(view, &asked).unwrap(), expected);
    assert_eq!(store.get_many::<&[u8]>(view, &[]).unwrap(), []);
    assert_eq!(store.stats().unwrap().entries, keys.len());
}

#[test]
fn limits_are_named_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        batch_rows_max: 3,
        batch_bytes_max: 20,
        key_bytes_max: 8,
        row_bytes_max: 10,
        ..Default::default()
    };
    let store = Store::open(folder.path(), options).unwrap();
    let view = store.view(&identity("spend", 1)).unwrap();
    let writer = Writer::start(store.clone()).unwrap();
    let both = |rows: Vec<Row>| {
        let puts: Vec<_> = rows.iter().map(|row| PutRow { key: &row.key, record: row.record.borrow() }).collect();
        let direct = store.put_if_newer(view, &puts).unwrap_err();
        let queued = writer.put(view, rows).unwrap_err();
        assert_eq!(direct.to_string(), queued.to_string());
        direct
    };
    assert!(matches!(
        both(vec![row("a", 1, ""), row("b", 1, ""), row("c", 1, ""), row("d", 1, "")]),
        OnlineError::BatchTooLarge { rows: 4, rows_max: 3, .. }
    ));
    assert!(matches!(
        both(vec![row("a", 1, [0; 10]), row("b", 1, [0; 10])]),
        OnlineError::BatchTooLarge { bytes: 22, bytes_max: 20, .. }
    ));
    assert!(matches!(
        both(vec![row("a", 1, ""), row("123456789", 1, "")]),
        OnlineError::RowTooLarge { what: "entity key", row: 1, bytes: 9, limit: "key_bytes_max", bytes_max: 8 }
    ));
    assert!(matches!(
        both(vec![row("a", 1, [0; 11])]),
        OnlineError::RowTooLarge { what: "values", row: 0, bytes: 11, limit: "row_bytes_max", bytes_max: 10 }
    ));
    assert_eq!(store.stats().unwrap().entries, 0);
}

#[test]
fn many_callers_share_commits_and_each_gets_its_own_report() {
    let folder = tempfile::tempdir().unwrap();
    let (store, view) = open(folder.path());
    let writer = Writer::start(store.clone()).unwrap();
    std::thread::scope(|scope| {
        for caller in 0..8 {
            let writer = writer.clone();
            scope.spawn(move || {
                for round in 0..20 {
                    // Entity `common` is everybody's, the others are the caller's own; each row stands twice.
                    let own = row(format!("caller {caller}"), round, "");
                    let report = writer.put(view, vec![own.clone(), own]).unwrap();
                    assert_eq!(report, PutReport { written: 1, kept: 1, repaired: 0 });
                    writer.put(view, vec![row("common", round * 8 + caller, "")]).unwrap();
                }
            });
        }
    });
    let mut keys: Vec<_> = (0..8).map(|caller| format!("caller {caller}")).collect();
    keys.push("common".to_owned());
    let times: Vec<_> = store.get_many(view, &keys).unwrap().iter().map(event_time).collect();
    assert_eq!(times, [19, 19, 19, 19, 19, 19, 19, 19, 19 * 8 + 7]);
}

#[test]
fn dropping_the_writer_commits_what_was_submitted() {
    let folder = tempfile::tempdir().unwrap();
    let (store, view) = open(folder.path());
    let writer = Writer::start(store.clone()).unwrap();
    for entity in 0..50u8 {
        drop(writer.submit(view, vec![row([entity], 1, "")]).unwrap());
    }
    drop(writer);
    assert_eq!(store.stats().unwrap().entries, 50);
    // The thread is gone and with it its handle: the store can be closed.
    drop(store);
    open(folder.path());
}

#[test]
fn a_ticket_is_a_future_and_a_full_queue_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let options = StoreOptions { queue_batches_max: 1, ..Default::default() };
    let store = Store::open(folder.path(), options).unwrap();
    let view = store.view(&identity("spend", 1)).unwrap();
    let writer = Writer::start(store).unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let mut ticket = Box::pin(writer.submit(view, vec![row("a", 1, "")]).unwrap());
    let report = loop {
        match ticket.as_mut().poll(&mut context) {
            Poll::Ready(report) => break report.unwrap().put,
            Poll::Pending => std::thread::yield_now(),
        }
    };
    assert_eq!(report, PutReport { written: 1, kept: 0, repaired: 0 });

    let mut tickets = Vec::new();
    let error = loop {
        // Far quicker than a commit, so the queue of one is soon full.
        match writer.try_submit(view, vec![row("b", tickets.len() as i64, "")]) {
            Ok(ticket) => tickets.push(ticket),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, OnlineError::QueueFull { queue_batches_max: 1 }), "{error}");
    for ticket in tickets {
        assert_eq!(ticket.wait().unwrap().put.written, 1);
    }
}
