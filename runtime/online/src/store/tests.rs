//! What needs the inside: records that are damaged, and keys that collide.

use super::*;
use crate::environment::WriteTransaction;

const IDENTITY: ViewIdentity<'static> = ViewIdentity {
    name: "spend",
    version: 1,
    definition_hash: Digest([1; 32]),
    digest: Digest([2; 32]),
    schema_fingerprint: 3,
};

fn record(event_time: i64, row: &[u8]) -> RecordRef<'_> {
    RecordRef {
        event_time: Timestamp(event_time),
        created_time: None,
        sequence: None,
        published_time: Timestamp(0),
        digest: Digest([2; 32]),
        schema_fingerprint: 3,
        row,
    }
}

fn overwrite(store: &Store, view: ViewId, key: &[u8], value: &[u8]) {
    let record_key = RecordKey::new(view, key, store.inner.hash);
    store.inner.environment.write(|txn| txn.put(Table::Records, record_key.as_bytes(), value)).unwrap();
}

#[test]
fn a_damaged_record_is_the_error_of_its_entity_and_is_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
    let view = store.view(&IDENTITY).unwrap();
    let rows = [b"a", b"b", b"c"].map(|key| PutRow { key, record: record(10, b"value") });
    store.put_if_newer(view, &rows).unwrap();

    let mut bytes = Vec::new();
    Stored { record: record(10, b"value"), full_key: None, in_history: false, removed: false, until: None }
        .encode(&mut bytes);
    *bytes.last_mut().unwrap() ^= 1;
    overwrite(&store, view, b"b", &bytes);

    let found = || Lookup::Found(record(10, b"value").to_owned());
    let lookups = store.get_many(view, &["a", "b", "c"]).unwrap();
    assert_eq!((&lookups[0], &lookups[2]), (&found(), &found()));
    assert!(matches!(lookups[1], Lookup::Corrupt(Corruption::Checksum { .. })), "{:?}", lookups[1]);

    // Older than what was there: what cannot be read has no order.
    let report = store.put_if_newer(view, &[PutRow { key: b"b", record: record(9, b"older") }]).unwrap();
    assert_eq!(report, PutReport { written: 1, kept: 0, repaired: 1 });
    assert_eq!(store.get_many(view, &["b"]).unwrap(), [Lookup::Found(record(9, b"older").to_owned())]);
}

#[test]
fn a_record_with_a_key_where_none_belongs_is_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
    let view = store.view(&IDENTITY).unwrap();
    let long = vec![b'k'; 600];
    let mut bytes = Vec::new();
    Stored { record: record(1, b""), full_key: Some(b"a"), in_history: false, removed: false, until: None }
        .encode(&mut bytes);
    overwrite(&store, view, b"a", &bytes);
    Stored { record: record(1, b""), full_key: None, in_history: false, removed: false, until: None }
        .encode(&mut bytes);
    overwrite(&store, view, &long, &bytes);
    for lookup in store.get_many(view, &[b"a", &long[..]]).unwrap() {
        assert!(matches!(lookup, Lookup::Corrupt(Corruption::Layout { .. })), "{lookup:?}");
    }
}

#[test]
fn keys_with_one_hash_are_never_mistaken_for_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let collide: KeyHash = |_| Digest([0; 32]);
    let store = Store::open_as(folder.path(), Access::ReadWrite, StoreOptions::default(), collide).unwrap();
    let view = store.view(&IDENTITY).unwrap();
    let (stored, other) = (vec![b'x'; 600], vec![b'y'; 600]);
    let put = |key, event_time| store.put_if_newer(view, &[PutRow { key, record: record(event_time, b"v") }]);
    put(&stored, 1).unwrap();
    assert_eq!(
        store.get_many(view, &[&stored, &other]).unwrap(),
        [Lookup::Found(record(1, b"v").to_owned()), Lookup::NotFound]
    );
    assert!(matches!(put(&other, 2), Err(OnlineError::KeyCollision { row: 0 })));
    assert_eq!(put(&stored, 2).unwrap(), PutReport { written: 1, kept: 0, repaired: 0 });
    assert_eq!(store.get_many(view, &[&stored]).unwrap(), [Lookup::Found(record(2, b"v").to_owned())]);
}

#[test]
fn a_damaged_view_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
    store.view(&IDENTITY).unwrap();
    let write = |txn: &mut WriteTransaction<'_, '_>| txn.put(Table::Views, &entry_key("spend", 1), b"nonsense");
    store.inner.environment.write(write).unwrap();
    assert!(matches!(store.view(&IDENTITY), Err(OnlineError::ViewCorrupt { reason: "length", .. })));
    assert!(matches!(store.views(), Err(OnlineError::ViewCorrupt { .. })));
}

#[test]
fn a_row_that_is_taken_back_gives_way_to_a_smaller_one_or_to_none() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
    let view = store.view(&IDENTITY).unwrap();
    let long = vec![b'k'; 600];
    let keys: [&[u8]; 4] = [b"a", b"b", b"c", &long];
    store.put_if_newer(view, &keys.map(|key| PutRow { key, record: record(10, b"wrong") })).unwrap();
    store.put_if_newer(view, &[PutRow { key: b"c", record: record(11, b"newer") }]).unwrap();
    let instead = |key: &[u8]| match key {
        b"a" => None,
        _ => Some(record(9, b"before")),
    };
    let rows = keys.map(|key| TakenBack { key, stored: record(10, b"wrong"), instead: instead(key) });
    let missing = TakenBack { key: b"d", stored: record(10, b"wrong"), instead: Some(record(9, b"before")) };
    assert_eq!(store.take_back(view, &[&rows[..], &[missing]].concat()).unwrap(), 3);
    let before = || Lookup::Found(record(9, b"before").to_owned());
    let newer = Lookup::Found(record(11, b"newer").to_owned());
    let found = store.get_many(view, &[keys[0], keys[1], keys[2], keys[3], b"d"]).unwrap();
    assert_eq!(found, [Lookup::NotFound, before(), newer, before(), Lookup::NotFound]);
    assert_eq!(store.take_back(view, &rows).unwrap(), 0, "once is enough");
}
