//! The state of windows against the sweep that training sets take, bit by bit.

mod tiled;
mod versions;

use std::collections::BTreeMap;
use std::path::Path;

use arrow_array::{ArrayRef, Float64Array, StringArray};
use proptest::prelude::*;
use proptest::sample::Index;
use tandem_core::canonical::encode_row;
use tandem_core::definition::{File, Sources, bind, parse_project};
use tandem_core::window::{Counted, Sweep};

use super::*;
use crate::options::StoreOptions;
use crate::record::Record;
use crate::store::{Lookup, PushTo, RowOutcome, Store};
use crate::view::{ViewId, ViewIdentity};
use crate::writer::{Row, Writer};

const HOUR: i64 = 3_600_000_000;

/// An event of one of two cards.
#[derive(Debug, Clone)]
struct Event {
    card: u8,
    time: i64,
    created: i64,
    amount: Option<f64>,
    shop: Option<&'static str>,
    sequence: i64,
}

fn view(known_by: &str) -> BoundView {
    bound(&text(known_by))
}

fn text(known_by: &str) -> String {
    format!(
        r#"
[[entity]]
name = "card"
join_keys = [{{ name = "card_id", type = "int64" }}]
[[source]]
name = "payments"
path = "payments"
kind = "events"
event_time = "at"
created_time = "known_at"
[[feature_view]]
name = "activity"
version = 1
source = "payments"
entities = ["card"]
columns = {{ amount = "float64", shop = "string" }}
known_by = "{known_by}"
timezone = "Europe/Vienna"
where = "shop != 'c' or shop is null"
aggregates = [
    {{ function = "count", windows = ["2h", "1d", "3d", "lifetime", "today", {{ session = "90m" }}] }},
    {{ function = "sum", column = "amount", windows = ["2h", "1d", "lifetime", {{ session = "90m" }}] }},
    {{ function = "stddev", column = "amount", windows = ["3d"] }},
    {{ function = "quantile", column = "amount", q = 0.5, windows = ["1d", "lifetime"] }},
    {{ function = "last_n", column = "shop", n = 3, windows = ["1d", "today"] }},
    {{ function = "first", column = "amount", windows = ["3d", "lifetime"] }},
    {{ function = "distinct_count", column = "shop", windows = ["3d"] }},
]
"#
    )
}

fn bound(text: &str) -> BoundView {
    let settings = File { name: "tandem.toml".to_owned(), text: "[project]\nname = \"x\"".to_owned() };
    let features = vec![File { name: "f.toml".to_owned(), text: text.to_owned() }];
    let project =
        parse_project(&Sources { settings, features }, Path::new("")).unwrap_or_else(|error| panic!("{error}"));
    let view = project.views.into_iter().next().unwrap();
    let (signature, digest) = view.declared().unwrap();
    bind(view, signature, digest, &BTreeMap::new()).unwrap()
}

fn row(event: &Event, windows: &WindowView) -> Row {
    let columns: [ArrayRef; 2] =
        [Arc::new(Float64Array::from(vec![event.amount])), Arc::new(StringArray::from(vec![event.shop]))];
    let mut bytes = Vec::new();
    encode_row(&columns, 0, &mut bytes);
    let record = Record {
        event_time: Timestamp(event.time),
        created_time: Some(Timestamp(event.created)),
        sequence: Some(event.sequence),
        published_time: Timestamp::MIN,
        digest: Digest([7; 32]),
        schema_fingerprint: windows.fingerprint,
        row: bytes,
    };
    Row { key: vec![event.card], record }
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let amount = proptest::option::weighted(
        0.9,
        prop_oneof![9 => (-99..99_i64).prop_map(|n| n as f64 / 10.0), 1 => Just(f64::NAN)],
    );
    let shop = proptest::option::weighted(0.9, prop_oneof![Just("a"), Just("b"), Just("c")]);
    let late = prop_oneof![4 => Just(0_i64), 1 => 0..40 * HOUR];
    let time = prop_oneof![4 => (0..480_i64).prop_map(|quarters| quarters * HOUR / 4), 1 => 0..120 * HOUR];
    let event = (0..2_u8, time, late, amount, shop);
    proptest::collection::vec(event, 1..70).prop_map(|events| {
        let event = |(sequence, (card, time, late, amount, shop)): (usize, (u8, i64, i64, _, _))| Event {
            card,
            time,
            created: time + late,
            amount,
            shop,
            sequence: sequence as i64,
        };
        events.into_iter().enumerate().map(event).collect()
    })
}

/// Long before any event, so that nothing is dropped, and no published time is later than what is asked.
fn clock() -> Timestamp {
    Timestamp(0)
}

fn register(store: &Store, view: &BoundView) -> ViewId {
    let identity = ViewIdentity {
        name: "activity",
        version: 1,
        definition_hash: view.definition_hash,
        digest: view.digest,
        schema_fingerprint: schema_fingerprint(&view.stored_fields()),
    };
    store.view(&identity).unwrap()
}

/// What the sweep gives for a card at an instant.
fn swept(view: &BoundView, windows: &WindowView, events: &[Event], card: u8, at: i64) -> Vec<u8> {
    let of_card: Vec<Row> = events.iter().filter(|event| event.card == card).map(|event| row(event, windows)).collect();
    let records: Vec<RecordRef<'_>> = of_card.iter().map(|row| row.record.borrow()).collect();
    let looked_at = windows.look(&records).unwrap();
    let counted = |(row, record): (usize, &RecordRef<'_>)| {
        let known = match view.view.known_by {
            KnownBy::Created => record.created_time.unwrap(),
            _ => Timestamp::MIN,
        };
        Counted { row, from: Timestamp(record.event_time.0 + 1).max(known), until: None }
    };
    let counted = records.iter().enumerate().map(counted).collect();
    let mut sweep = Sweep::new(windows.plan(), &looked_at, 1);
    sweep.entity(counted, &[Timestamp(at)]).unwrap();
    let mut bytes = Vec::new();
    encode_row(&sweep.finish(), 0, &mut bytes);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn reads_are_what_a_sweep_gives(
        (events, arrived) in events().prop_flat_map(|events| (Just(events.clone()), Just(events).prop_shuffle())),
        cuts in proptest::collection::vec(any::<Index>(), 0..5),
        again in any::<Index>(),
        asked in proptest::collection::vec(0..130 * HOUR, 1..8),
        by_created: bool,
    ) {
        let view = view(if by_created { "created" } else { "event" });
        let windows = WindowView::new(&view).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(arrived.len() + 1)).chain([0, arrived.len()]).collect();
        cuts.sort_unstable();
        let mut batches: Vec<&[Event]> = cuts.windows(2).map(|cut| &arrived[cut[0]..cut[1]]).collect();
        // One comes twice, as after an answer that was lost.
        batches.push(batches[again.index(batches.len())]);
        for (index, batch) in batches.iter().enumerate() {
            // Opened anew each time, as after a restart.
            let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
            let id = register(&store, &view);
            let writer = Writer::start_with_clock(store, clock).unwrap();
            let rows = batch.iter().map(|event| row(event, &windows)).collect();
            let report = writer.try_push_events(id, &windows, rows, PushTo::ONLINE).unwrap().wait().unwrap();
            let expected = if index + 1 == batches.len() { RowOutcome::Unchanged } else { RowOutcome::Written };
            prop_assert!(report.outcomes.iter().all(|outcome| *outcome == expected), "{:?}", report);
        }
        let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
        let id = register(&store, &view);
        for at in asked {
            let features = (&view.signature.outputs[..], view.digest);
            let found = store.windows_of(id, &windows, features, &[[0_u8], [1], [2]], (Timestamp(at), false)).unwrap();
            for (card, lookup) in found.iter().enumerate() {
                let Lookup::Found(record) = lookup else { panic!("{lookup:?}") };
                prop_assert_eq!(&record.row, &swept(&view, &windows, &events, card as u8, at), "card {} at {}", card, at);
            }
        }
    }
}

/// All keys and values of a store's windows.
fn state(store: &Store) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut all = Vec::new();
    let read = store.environment().read(|snapshot| {
        all.clear();
        snapshot.for_each(crate::environment::Table::Windows, |key, value| {
            all.push((key.to_vec(), value.to_vec()));
            Ok(())
        })
    });
    read.unwrap();
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_division_into_pushes_gives_the_same_bytes(
        (events, shuffled) in events().prop_flat_map(|events| (Just(events.clone()), Just(events).prop_shuffle())),
        cuts in proptest::collection::vec(any::<Index>(), 0..9),
    ) {
        let view = view("created");
        let windows = WindowView::new(&view).unwrap();
        let of = |events: &[Event], mut cuts: Vec<usize>| {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
            let id = register(&store, &view);
            let writer = Writer::start_with_clock(store.clone(), clock).unwrap();
            cuts.extend([0, events.len()]);
            cuts.sort_unstable();
            // Some of them are committed together.
            let pushes: Vec<_> = cuts
                .windows(2)
                .map(|cut| {
                    let rows = events[cut[0]..cut[1]].iter().map(|event| row(event, &windows)).collect();
                    writer.try_push_events(id, &windows, rows, PushTo::ONLINE).unwrap()
                })
                .collect();
            pushes.into_iter().for_each(|push| drop(push.wait().unwrap()));
            state(&store)
        };
        let whole = of(&events, Vec::new());
        prop_assert!(whole.len() > events.len());
        let cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(events.len() + 1)).collect();
        prop_assert_eq!(&of(&events, cuts.clone()), &whole);
        prop_assert_eq!(&of(&shuffled, cuts), &whole);
        prop_assert_eq!(&of(&shuffled, (0..events.len().min(40)).collect()), &whole);
    }
}

#[test]
fn equal_events_count_as_often_as_they_come_together() {
    let view = view("event");
    let windows = WindowView::new(&view).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
    let id = register(&store, &view);
    let event = Event { card: 1, time: HOUR, created: HOUR, amount: Some(1.5), shop: None, sequence: 1 };
    let row = row(&event, &windows);
    let writer = Writer::start_with_clock(store.clone(), clock).unwrap();
    let push = |times: usize| {
        let ticket = writer.try_push_events(id, &windows, vec![row.clone(); times], PushTo::BOTH).unwrap();
        let report = ticket.wait().unwrap();
        (report.put.written, report.logged)
    };
    assert_eq!((push(2), push(2), push(1), push(3)), ((2, 2), (0, 0), (0, 0), (1, 1)));
    // From the history the same three, however often it is read.
    for _ in 0..2 {
        let mut equals = Equals::default();
        let puts = vec![crate::store::PutRow { key: &row.key, record: row.record.borrow() }; 3];
        let places: Vec<Place> = puts.iter().map(|put| equals.next(put.key, &put.record)).collect();
        assert_eq!(
            (
                store.put_events(id, &windows, &puts, &places).unwrap().written,
                places.iter().map(|place| place.equal).collect::<Vec<_>>()
            ),
            (0, vec![0, 1, 2])
        );
    }
}

#[test]
fn what_no_window_reaches_is_dropped() {
    fn later() -> Timestamp {
        Timestamp(1_000 * 24 * HOUR)
    }
    let mut view = view("event");
    let mut aggregates = tandem_core::window::Aggregates::clone(view.view.aggregates.as_ref().unwrap());
    aggregates.features.retain(|feature| feature.name == "count_2h" || feature.name == "count_1d");
    aggregates.retention = Some("2d".parse().unwrap());
    view.view.aggregates = Some(Arc::new(aggregates));
    (view.signature, view.digest) = view.view.declared().unwrap();
    let windows = WindowView::new(&view).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
    let id = register(&store, &view);
    let event =
        |time, sequence| row(&Event { card: 1, time, created: time, amount: None, shop: None, sequence }, &windows);
    let push = |clock, rows: Vec<Row>| {
        let writer = Writer::start_with_clock(store.clone(), clock).unwrap();
        writer.try_push_events(id, &windows, rows, PushTo::ONLINE).unwrap().wait().unwrap();
        store.window_entries().unwrap()
    };
    let old = (0..20).map(|sequence| event(sequence * HOUR, sequence)).collect();
    let before = push(clock, old);
    let last = later().0;
    // The events are gone, with all tiles that end before: what is left is the entity, the event and a tile of each level, and the wide tiles of old.
    let after = push(later, vec![event(last - HOUR, 100)]);
    assert!(before > 40 && after < 2 + 2 * windows.levels.len() + 3, "{before} {after}");
    let found = store
        .windows_of(id, &windows, (&view.signature.outputs, view.digest), &[[1_u8]], (Timestamp(last), false))
        .unwrap();
    let Lookup::Found(record) = &found[0] else { panic!("{found:?}") };
    assert_eq!(record.row, [&[1, 1, 0, 0, 0, 0, 0, 0, 0][..], &[1, 1, 0, 0, 0, 0, 0, 0, 0]].concat());
    // Nobody writes to it again, and it is looked for: at first there is nothing to drop, a week later nothing is left.
    assert_eq!(sweep(&store, id, &windows, Timestamp(last)), 0);
    assert!(store.window_entries().unwrap() >= 2 + windows.levels.len());
    assert_eq!(sweep(&store, id, &windows, Timestamp(last + 7 * 24 * HOUR)), 1);
    assert_eq!(store.window_entries().unwrap(), 0);
}

/// Drops all that no window reaches, two entities at a time; gives the events.
pub(super) fn sweep(store: &Store, id: ViewId, windows: &WindowView, now: Timestamp) -> u64 {
    let (mut removed, mut from) = (0, None);
    loop {
        let expired = store.drop_unreachable(id, windows, now, from.as_deref(), (3, 2)).unwrap();
        assert!(expired.looked <= 3);
        removed += expired.removed;
        from = expired.next;
        if from.is_none() {
            return removed;
        }
    }
}

#[test]
fn a_generation_of_events_is_built_beside_the_live_one_and_copies_have_them() {
    let view = view("event");
    let windows = WindowView::new(&view).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store"), StoreOptions::default()).unwrap();
    let id = register(&store, &view);
    let event = |sequence: i64| Event {
        card: 1,
        time: sequence * HOUR / 2,
        created: 0,
        amount: Some(sequence as f64 / 10.0),
        shop: Some("a"),
        sequence,
    };
    let writer = Writer::start_with_clock(store.clone(), clock).unwrap();
    let push = |sequences: &[i64], to| {
        let rows = sequences.iter().map(|sequence| row(&event(*sequence), &windows)).collect();
        writer.try_push_events(id, &windows, rows, to).unwrap().wait().unwrap()
    };
    let materialize = |target: crate::generation::Target, sequences: &[i64]| {
        let rows: Vec<Row> = sequences.iter().map(|sequence| row(&event(*sequence), &windows)).collect();
        let puts: Vec<_> =
            rows.iter().map(|row| crate::store::PutRow { key: &row.key, record: row.record.borrow() }).collect();
        let mut equals = Equals::default();
        let places: Vec<Place> = puts.iter().map(|put| equals.next(put.key, &put.record)).collect();
        store.put_events(target, &windows, &puts, &places).unwrap().written
    };
    let at = |store: &Store, id| {
        let found = store.windows_of(
            id,
            &windows,
            (&view.signature.outputs, view.digest),
            &[[1_u8]],
            (Timestamp(60 * HOUR), false),
        );
        let Lookup::Found(record) = found.unwrap().remove(0) else { panic!("no features") };
        record.row
    };
    let of = |sequences: &[i64]| {
        let events: Vec<Event> = sequences.iter().map(|sequence| event(*sequence)).collect();
        swept(&view, &windows, &events, 1, 60 * HOUR)
    };
    materialize(id.into(), &[1, 2, 3]);
    // Two of these are equal, and one event is online alone.
    push(&[10, 10, 11], PushTo::BOTH);
    push(&[20], PushTo::ONLINE);
    assert_eq!(at(&store, id), of(&[1, 2, 3, 10, 10, 11, 20]));

    // The history has lost 3 and found 4.
    let (target, _) = store.begin_rebuild(id).unwrap();
    assert_eq!(materialize(target, &[1, 2, 4]), 3);
    push(&[30], PushTo::BOTH);
    assert_eq!(store.carry_over(target, Some(&windows)).unwrap(), 4);
    assert_eq!(store.carry_over(target, Some(&windows)).unwrap(), 0, "once is enough");
    assert_eq!(at(&store, id), of(&[1, 2, 3, 10, 10, 11, 20, 30]));
    store.finish_rebuild(target).unwrap();
    assert_eq!(at(&store, id), of(&[1, 2, 4, 10, 10, 11, 20, 30]));
    push(&[40], PushTo::ONLINE);
    store.switch_generation(id, true).unwrap();
    assert_eq!(at(&store, id), of(&[1, 2, 3, 10, 10, 11, 20, 30, 40]));
    store.switch_generation(id, false).unwrap();

    store.backup(&folder.path().join("copy")).unwrap();
    let copy = Store::open_read_only(&folder.path().join("copy"), StoreOptions::default()).unwrap();
    assert_eq!(at(&copy, id), of(&[1, 2, 4, 10, 10, 11, 20, 30, 40]));
    let restored = Store::open(&folder.path().join("restored"), StoreOptions::default()).unwrap();
    let left_out = restored.restore(&copy, |_| None).unwrap()[0].left_out;
    assert_eq!(left_out, 9, "nobody says how they are kept");
    let report = &restored.restore(&copy, |_| Some(Arc::clone(&windows))).unwrap()[0];
    assert_eq!((report.put.written, report.left_out), (9, 0));
    assert_eq!(at(&restored, report.view.id), of(&[1, 2, 4, 10, 10, 11, 20, 30, 40]));

    store.drop_generation(id).unwrap();
    assert_eq!(at(&store, id), of(&[1, 2, 4, 10, 10, 11, 20, 30, 40]));
    let rest: u64 = store.view_stats(Timestamp(0)).unwrap().iter().map(|stats| stats.entries).sum();
    assert_eq!(rest, 9);

    // A kept generation whose tiles cannot be read is given up, and what is served takes the events.
    let (target, _) = store.begin_rebuild(id).unwrap();
    materialize(target, &[1, 2]);
    store.finish_rebuild(target).unwrap();
    let kept = store.generations(id).unwrap().other.unwrap();
    let environment = store.environment();
    let number = kept.number.get().to_be_bytes();
    environment
        .write(|txn| {
            let mut keys = Vec::new();
            txn.scan(crate::environment::Table::Windows, &number, |key, _| {
                keys.extend(key.starts_with(&number).then(|| key.to_vec()));
                Ok(std::ops::ControlFlow::Continue(()))
            })?;
            let damaged = keys.iter().filter(|key| keys::parse_event(key).is_none());
            damaged.into_iter().try_for_each(|key| txn.put(crate::environment::Table::Windows, key, b"other"))
        })
        .unwrap();
    assert_eq!(push(&[50], PushTo::ONLINE).outcomes, [RowOutcome::Written]);
    assert_eq!(at(&store, id), of(&[1, 2, 50]));
    let state = store.generations(id).unwrap().other.unwrap().state;
    assert_eq!(state, crate::generation::GenerationState::Dropping);
    assert!(store.finish_drop(id).unwrap() > 10 && store.generations(id).unwrap().other.is_none());
    assert_eq!(at(&store, id), of(&[1, 2, 50]));
}
