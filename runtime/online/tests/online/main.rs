//! The online store from outside: what it promises to the batch path and to the server.

mod batches;
mod children;
mod copies;
mod disk_full;
mod durability;
mod generations;
mod map_growth;
mod newest;
mod processes;
mod push;
mod reference;
mod views;

use std::path::Path;

use tandem_core::hash::Digest;
use tandem_core::time::Timestamp;
use tandem_online::{Lookup, Record, Row, Store, StoreOptions, ViewId, ViewIdentity};

fn identity(name: &str, version: u32) -> ViewIdentity<'_> {
    ViewIdentity { name, version, definition_hash: Digest([1; 32]), digest: Digest([2; 32]), schema_fingerprint: 3 }
}

fn open(folder: &Path) -> (Store, ViewId) {
    let store = Store::open(folder, StoreOptions::default()).unwrap();
    let view = store.view(&identity("spend", 1)).unwrap();
    (store, view)
}

fn record(event_time: i64, row: impl Into<Vec<u8>>) -> Record {
    Record {
        event_time: Timestamp(event_time),
        created_time: None,
        sequence: None,
        published_time: Timestamp(event_time.saturating_add(1)),
        digest: Digest([2; 32]),
        schema_fingerprint: 3,
        row: row.into(),
    }
}

fn row(key: impl Into<Vec<u8>>, event_time: i64, row: impl Into<Vec<u8>>) -> Row {
    Row { key: key.into(), record: record(event_time, row) }
}

/// The event time of a row that must be there.
fn event_time(lookup: &Lookup) -> i64 {
    match lookup {
        Lookup::Found(record) => record.event_time.0,
        other => panic!("no row: {other:?}"),
    }
}
