//! Tiled views, of which old events are folded, against a loop over all events that were taken, bit by bit: late, corrected, moved, taken back, sent again, in any
//! batches; and rebuilt, copied and restored.

use super::versions::{CLOCKS, Row, counting, same, swept};
use super::*;
use crate::environment::Table;

const LATENESS: i64 = 4 * HOUR;

/// What is known when all is over.
const END: i64 = 300 * HOUR;

fn tiled(known_by: &str, lateness: &str) -> BoundView {
    let text = text(known_by).replace("created_time = ", "event_id = \"id\"\nretracted = \"gone\"\ncreated_time = ");
    let text = text.replace(", { session = \"90m\" }", "");
    let precision = format!("precision = \"tiled\"\nhop = \"1h\"\nlateness = \"{lateness}\"\ntimezone =");
    bound(&text.replace("timezone =", &precision))
}

/// Rows in the order in which they arrive, all known by then: versions of an event come within the lateness, and other events up to a day late.
fn arriving() -> impl Strategy<Value = Vec<Row>> {
    let amount = proptest::option::weighted(0.9, (-99..99_i64).prop_map(|n| n as f64 / 10.0));
    let shop = proptest::option::weighted(0.9, prop_oneof![Just("a"), Just("b"), Just("c")]);
    let minutes = prop_oneof![3 => (0..4_i64).prop_map(|quarters| quarters * 15), 1 => 0..60_i64];
    let of_id =
        (0..9_u8, proptest::bool::weighted(0.15), 0..6 * 60_i64).prop_map(|(id, gone, late)| (Some(id), gone, late));
    let alone = prop_oneof![6 => 0..3 * 60_i64, 1 => 0..24 * 60_i64].prop_map(|late| (None, false, late));
    let row = (prop_oneof![of_id, alone], 0..2_u8, 0..96_i64, minutes, proptest::option::of(0..2_i64), amount, shop);
    proptest::collection::vec(row, 1..90).prop_map(|rows| {
        let row = |(index, ((id, gone, late), card, hour, minute, sequence, amount, shop)): (usize, Drawn)| {
            // All versions of an event lie within an hour.
            let hour = id.map_or(hour, |id: u8| 10 * i64::from(id));
            let time = hour * HOUR + minute * HOUR / 60;
            let arrives = time + late * HOUR / 60;
            let sequence = if id.is_some() { sequence } else { Some(index as i64) };
            (arrives, Row { id, gone, card, time, created: Some(arrives), sequence, amount, shop })
        };
        let mut rows: Vec<(i64, Row)> = rows.into_iter().enumerate().map(row).collect();
        rows.sort_by_key(|(arrives, _)| *arrives);
        rows.into_iter().map(|(_, row)| row).collect()
    })
}

/// A row as it is drawn: id, whether it takes back and how late it is; card, hour, minute, sequence, amount, shop.
type Drawn = ((Option<u8>, bool, i64), u8, i64, i64, Option<i64>, Option<f64>, Option<&'static str>);

/// What the store knows of a card.
fn entity(store: &Store, windows: &WindowView, id: ViewId, card: u8) -> entity::Entity {
    let read = store.environment().read(|snapshot| {
        let number = store.live_number(snapshot, id)?;
        windows.entity(snapshot, &Prefix::new(number, &[card], store.hash()))
    });
    read.unwrap()
}

/// What the store answers for a card; None where it has tiles alone of what it would need.
fn answered(store: &Store, view: &BoundView, windows: &WindowView, id: ViewId, card: u8, at: i64) -> Option<Vec<u8>> {
    let features = (&view.signature.outputs[..], view.digest);
    match store.windows_of(id, windows, features, &[[card]], (Timestamp(at), false)) {
        Ok(mut found) => match found.remove(0) {
            Lookup::Found(record) => Some(record.row),
            other => panic!("{other:?}"),
        },
        Err(OnlineError::BehindHorizon { horizon }) => {
            assert!(horizon.0 > at, "{horizon} {at}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Events that are kept one by one, and ids of others.
fn kept(store: &Store) -> (usize, usize) {
    let count = |of: fn(&[u8]) -> bool| {
        let mut count = 0;
        let read = store.environment().read(|snapshot| {
            count = 0;
            snapshot.for_each(Table::Windows, |key, _| {
                count += usize::from(of(key));
                Ok(())
            })
        });
        read.unwrap();
        count
    };
    (count(|key| parse_event(key).is_some()), count(is_id))
}

/// Writes all that was taken into a target, as a run over the history does.
fn materialize(
    store: &Store,
    target: impl Into<crate::generation::Target>,
    windows: &WindowView,
    taken: &[(Row, i64)],
) {
    let rows: Vec<(crate::writer::Row, i64)> =
        taken.iter().map(|(row, published)| (row.row(windows), *published)).collect();
    let puts: Vec<crate::store::PutRow<'_>> = rows
        .iter()
        .map(|(row, published)| crate::store::PutRow {
            key: &row.key,
            record: RecordRef { published_time: Timestamp(*published), ..row.record.borrow() },
        })
        .collect();
    let mut equals = Equals::default();
    let places: Vec<Place> = puts.iter().map(|put| equals.next(put.key, &put.record)).collect();
    store.put_events_at(target, windows, &puts, &places, Timestamp(END)).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_was_taken_counts_once_whatever_was_folded(
        rows in arriving(),
        cuts in proptest::collection::vec(any::<Index>(), 0..12),
        again in proptest::collection::vec((any::<Index>(), any::<Index>()), 0..8),
        asked in proptest::collection::vec(0..130 * HOUR, 1..8),
        known_by in prop_oneof![Just("created"), Just("published")],
        early: bool,
    ) {
        let view = tiled(known_by, "4h");
        let windows = WindowView::new(&view).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(rows.len() + 1)).chain([0, rows.len()]).collect();
        cuts.sort_unstable();
        let mut batches: Vec<Vec<Row>> = cuts.windows(2).map(|cut| rows[cut[0]..cut[1]].to_vec()).filter(|rows| !rows.is_empty()).collect();
        for (row, batch) in &again {
            // Sent again, some time after it was sent.
            let row = row.index(rows.len());
            let first = batches.iter().scan(0, |sent, batch| { *sent += batch.len(); Some(*sent) }).position(|sent| sent > row).unwrap();
            let batch = first + batch.index(batches.len() - first);
            // What comes together without an id counts each.
            if !batches[batch].iter().any(|other| same(other, &rows[row])) {
                batches[batch].push(rows[row].clone());
            }
        }
        let mut taken: Vec<(Row, i64)> = Vec::new();
        let mut late = 0;
        for (index, batch) in batches.iter().enumerate() {
            // Opened anew each time, as after a restart; by a clock that may be behind the events.
            let clock: fn() -> Timestamp = if early { CLOCKS[index.min(3)] } else { || Timestamp(END) };
            let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
            let id = register(&store, &view);
            let horizons = [0, 1].map(|card| entity(&store, &windows, id, card).horizon.0);
            let writer = Writer::start_with_clock(store.clone(), clock).unwrap();
            let stored = batch.iter().map(|row| row.row(&windows)).collect();
            let report = writer.try_push_events(id, &windows, stored, PushTo::BOTH).unwrap().wait().unwrap();
            let before = taken.len();
            for (row, outcome) in batch.iter().zip(report.outcomes) {
                let is_behind = |row: &Row| row.time < horizons[usize::from(row.card)];
                match outcome {
                    RowOutcome::Written | RowOutcome::Older => {
                        prop_assert!(!is_behind(row), "{row:?} {horizons:?}");
                        // What has an id is taken once.
                        prop_assert!(row.id.is_none() || !taken.iter().any(|(other, _)| same(other, row)));
                        prop_assert!(!taken[..before].iter().any(|(other, _)| same(other, row)));
                        taken.push((row.clone(), clock().0));
                    }
                    RowOutcome::Unchanged => prop_assert!(taken.iter().any(|(other, _)| same(other, row)), "{row:?}"),
                    RowOutcome::TooLate => {
                        late += 1;
                        let of_event = taken[..before].iter().any(|(other, _)| other.id.is_some() && other.id == row.id && is_behind(other));
                        prop_assert!(is_behind(row) || of_event, "{row:?} {horizons:?}");
                    }
                    RowOutcome::Logged => prop_assert!(false),
                }
            }
            prop_assert_eq!(report.logged, taken.len() - before);
            let newest = |card| batches[..=index].iter().flatten().filter(|row| row.card == card).map(|row| row.time).max();
            for card in 0..2 {
                let horizon = entity(&store, &windows, id, card).horizon.0;
                let most = newest(card).map(|newest| (newest.min(clock().0) - LATENESS).div_euclid(HOUR) * HOUR);
                prop_assert!(horizon == i64::MIN || most.is_some_and(|most| horizon <= most));
                // All is known where the clock is late, so nothing holds the horizon back.
                prop_assert!(early || late > 0 || most.is_none_or(|most| horizon == most), "{horizon} {most:?}");
            }
        }
        let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
        let id = register(&store, &view);
        let by_created = known_by == "created";
        let expected = |card, at| swept(&windows, &counting(&taken, &windows, by_created, card, at), at);
        for card in 0..3 {
            for at in asked.iter().copied().chain([END]) {
                let entity = entity(&store, &windows, id, card);
                let Some(found) = answered(&store, &view, &windows, id, card, at) else {
                    prop_assert!(at < entity.horizon.0.max(entity.folded_known.0), "{entity:?} {at}");
                    continue;
                };
                prop_assert_eq!(found, expected(card, at), "card {} at {}", card, at);
            }
        }
        // What lies behind the horizon is kept by no event, and by ids for as long again.
        let horizon = |card: u8| entity(&store, &windows, id, card).horizon.0;
        let is_kept = |(row, _): &&(Row, i64)| row.time >= horizon(row.card);
        let is_id = |(row, _): &&(Row, i64)| {
            let horizon = horizon(row.card);
            row.time < horizon && row.time >= horizon.saturating_sub(LATENESS)
        };
        prop_assert_eq!(kept(&store), (taken.iter().filter(is_kept).count(), taken.iter().filter(is_id).count()));

        // The history in another order, into a generation beside it: the same bits before and after it is folded.
        let (target, _) = store.begin_rebuild(id).unwrap();
        let mut history = taken.clone();
        history.sort_by_key(|(row, _)| (row.time % HOUR, row.card));
        materialize(&store, target, &windows, &history);
        store.carry_over(target, Some(&windows)).unwrap();
        store.finish_rebuild(target).unwrap();
        let all = |store: &Store, id| [0, 1].map(|card| answered(store, &view, &windows, id, card, END).unwrap());
        let last = [0, 1].map(|card| expected(card, END));
        prop_assert_eq!(&all(&store, id), &last);
        for at in &asked {
            prop_assert_eq!(answered(&store, &view, &windows, id, 0, *at), Some(expected(0, *at)));
        }
        let folded = store.fold(id, &windows, Timestamp(END)).unwrap();
        prop_assert_eq!(store.fold(id, &windows, Timestamp(END)).unwrap(), 0);
        prop_assert_eq!(&all(&store, id), &last);
        let left = kept(&store).0;
        // Again into what is served: nothing is new, nothing counts twice.
        materialize(&store, id, &windows, &history);
        prop_assert_eq!((&all(&store, id), kept(&store).0), (&last, left));
        let stats = store.view_stats(Timestamp(END)).unwrap();
        let of_live = stats.iter().find(|stats| stats.generation.state == crate::generation::GenerationState::Live).unwrap();
        prop_assert_eq!((of_live.folded, of_live.entries + of_live.folded), (folded, taken.len() as u64));

        // A copy has all of it, and an empty store takes all of the copy.
        store.backup(&folder.path().join("copy")).unwrap();
        let copy = Store::open_read_only(&folder.path().join("copy"), StoreOptions::default()).unwrap();
        let other = Store::open(&folder.path().join("other"), StoreOptions::default()).unwrap();
        for _ in 0..2 {
            let restored = other.restore(&copy, |_| Some(Arc::clone(&windows))).unwrap();
            prop_assert_eq!(restored[0].left_out, 0);
        }
        let of_other = register(&other, &view);
        prop_assert_eq!(all(&other, of_other), last);
        // What comes again there is known by what is left of it.
        let writer = Writer::start_with_clock(other.clone(), || Timestamp(END)).unwrap();
        for (row, _) in taken.iter().step_by(3) {
            let ticket = writer.try_push_events(of_other, &windows, vec![row.row(&windows)], PushTo::BOTH).unwrap();
            let outcome = ticket.wait().unwrap().outcomes[0];
            let horizon = entity(&other, &windows, of_other, row.card).horizon.0;
            let expected = if row.time >= horizon - LATENESS { RowOutcome::Unchanged } else { RowOutcome::TooLate };
            prop_assert_eq!(outcome, expected, "{:?}", row);
        }
    }
}

/// A restore ends after the entities (the copy has a broken entry behind them), events are corrected in what is there, and the restore is repeated.
#[test]
fn entities_of_a_copy_that_was_restored_in_part_take_corrections() {
    let view = tiled("created", "4h");
    let windows = WindowView::new(&view).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| Store::open(&folder.path().join(name), StoreOptions::default()).unwrap();
    let row = |id: u8, card: u8, minute: i64, created: i64, amount: f64| Row {
        id: Some(id),
        gone: false,
        card,
        time: 10 * HOUR + minute * HOUR / 60,
        created: Some(10 * HOUR + created),
        sequence: None,
        amount: Some(amount),
        shop: Some("a"),
    };
    let push = |store: &Store, rows: &[&Row]| {
        let id = register(store, &view);
        let writer = Writer::start_with_clock(store.clone(), || Timestamp(END)).unwrap();
        let rows: Vec<crate::writer::Row> = rows.iter().map(|row| row.row(&windows)).collect();
        writer.try_push_events(id, &windows, rows, PushTo::BOTH).unwrap().wait().unwrap().outcomes
    };
    // One is corrected, one moved to another card, one stays; of a third card one lies far back.
    let before = [
        row(1, 0, 0, 0, 1.0),
        row(1, 0, 0, 1, 2.0),
        row(2, 0, 30, 0, 4.0),
        row(2, 1, 30, 1, 8.0),
        row(3, 1, 45, 0, 16.0),
        row(5, 2, 0, 0, 128.0),
        row(6, 2, 20 * 60, 0, 256.0),
    ];
    let after = [row(1, 0, 0, 2, 32.0), row(2, 1, 30, 2, 64.0)];
    let copy = open("copy");
    push(&copy, &before.each_ref());
    assert_eq!(entity(&copy, &windows, register(&copy, &view), 2).folded, 1);
    let broken = keys::of_id(register(&copy, &view), &[u8::MAX; 12]);
    copy.environment().write(|txn| txn.put(Table::Windows, &broken, b"broken")).unwrap();

    let store = open("store");
    // A generation that is kept is written to as well.
    let id = register(&store, &view);
    push(&store, &[&row(4, 3, 0, 0, 0.5)]);
    let (target, _) = store.begin_rebuild(id).unwrap();
    store.carry_over(target, Some(&windows)).unwrap();
    store.finish_rebuild(target).unwrap();
    let restore = || store.restore(&copy, |_| Some(Arc::clone(&windows)));
    assert!(restore().unwrap_err().to_string().contains("where an event lies is damaged"));
    assert_eq!(push(&store, &after.each_ref()), [RowOutcome::Written; 2]);
    copy.environment().write(|txn| txn.delete(Table::Windows, &broken).map(drop)).unwrap();
    let all: Vec<(Row, i64)> = before.iter().chain(&after).map(|row| (row.clone(), END)).collect();
    let answers = |store: &Store| {
        for card in 0..3 {
            let expected = swept(&windows, &counting(&all, &windows, true, card, END), END);
            assert_eq!(answered(store, &view, &windows, id, card, END), Some(expected), "card {card}");
        }
    };
    answers(&store);
    for _ in 0..2 {
        assert_eq!(restore().unwrap()[0].left_out, 0);
        answers(&store);
    }
    store.switch_generation(id, true).unwrap();
    answers(&store);
}
