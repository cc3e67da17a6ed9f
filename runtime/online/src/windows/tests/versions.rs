//! Events with ids against a loop over all versions, bit by bit: corrected, moved, taken back, sent twice, in any order and any batches.

use arrow_array::BooleanArray;
use tandem_core::versions::content;

use super::*;

/// A version of an event of one of two cards; without an id an event by itself.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) id: Option<u8>,
    pub(super) gone: bool,
    pub(super) card: u8,
    pub(super) time: i64,
    pub(super) created: Option<i64>,
    pub(super) sequence: Option<i64>,
    pub(super) amount: Option<f64>,
    pub(super) shop: Option<&'static str>,
}

/// A row as it is drawn: id, whether it takes back, card, time, how late, sequence, amount, shop.
type Drawn = (Option<u8>, bool, u8, i64, Option<i64>, Option<i64>, Option<f64>, Option<&'static str>);

pub(super) const CLOCKS: [fn() -> Timestamp; 4] =
    [|| Timestamp(0), || Timestamp(30 * HOUR), || Timestamp(60 * HOUR), || Timestamp(90 * HOUR)];

fn with_ids(known_by: &str, more: &str) -> BoundView {
    let text = text(known_by).replace("created_time = ", "event_id = \"id\"\nretracted = \"gone\"\ncreated_time = ");
    bound(&text.replace("timezone =", &format!("{more}\ntimezone =")))
}

impl Row {
    pub(super) fn row(&self, windows: &WindowView) -> crate::writer::Row {
        let columns: [ArrayRef; 4] = [
            Arc::new(Float64Array::from(vec![self.amount])),
            Arc::new(StringArray::from(vec![self.shop])),
            Arc::new(StringArray::from(vec![self.id.map(|id| id.to_string())])),
            Arc::new(BooleanArray::from(vec![self.gone])),
        ];
        let mut bytes = Vec::new();
        encode_row(&columns, 0, &mut bytes);
        let record = Record {
            event_time: Timestamp(self.time),
            created_time: self.created.map(Timestamp),
            sequence: self.sequence,
            published_time: Timestamp::MIN,
            digest: Digest([7; 32]),
            schema_fingerprint: windows.fingerprint,
            row: bytes,
        };
        crate::writer::Row { key: vec![self.card], record }
    }

    fn known(&self, by_created: bool, published: i64) -> i64 {
        self.created.filter(|_| by_created).unwrap_or(published)
    }
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let amount = proptest::option::weighted(0.9, (-99..99_i64).prop_map(|n| n as f64 / 10.0));
    let shop = proptest::option::weighted(0.9, prop_oneof![Just("a"), Just("b"), Just("c")]);
    let time = prop_oneof![4 => (0..480_i64).prop_map(|quarters| quarters * HOUR / 4), 1 => 0..120 * HOUR];
    let late = proptest::option::weighted(0.9, prop_oneof![2 => Just(0_i64), 1 => (0..40_i64).prop_map(|h| h * HOUR)]);
    let id = proptest::option::weighted(0.85, 0..9_u8);
    let row = (id, proptest::bool::weighted(0.15), 0..2_u8, time, late, proptest::option::of(0..2_i64), amount, shop);
    proptest::collection::vec(row, 1..50).prop_map(|rows| {
        let row = |(index, (id, gone, card, time, late, sequence, amount, shop)): (usize, Drawn)| Row {
            id,
            gone,
            card,
            time,
            created: late.map(|late| time + late),
            // Events without ids differ, so that it does not matter which come together.
            sequence: if id.is_some() { sequence } else { Some(index as i64) },
            amount,
            shop,
        };
        rows.into_iter().enumerate().map(row).collect()
    })
}

/// The rows that count for a card at an instant: of those of an id that are known the greatest, if it is no retraction. Each has the time at which it was
/// first published.
pub(super) fn counting<'a>(
    rows: &'a [(Row, i64)],
    windows: &WindowView,
    by_created: bool,
    card: u8,
    at: i64,
) -> Vec<&'a Row> {
    let known = |(row, published): &&(Row, i64)| row.known(by_created, *published) <= at;
    let rank = |row: &Row| {
        let stored = row.row(windows);
        (row.created, row.sequence, row.gone, content(Some(&stored.key), Some(Timestamp(row.time)), &stored.record.row))
    };
    let of_id = |id: u8| {
        let versions = rows.iter().filter(known).map(|(row, _)| row).filter(|row| row.id == Some(id));
        versions.max_by_key(|row| rank(row))
    };
    let greatest = (0..9).filter_map(of_id);
    let single = rows.iter().filter(known).map(|(row, _)| row).filter(|row| row.id.is_none());
    greatest.chain(single).filter(|row| !row.gone && row.card == card && row.time < at).collect()
}

/// What a sweep over these rows gives at an instant.
pub(super) fn swept(windows: &WindowView, rows: &[&Row], at: i64) -> Vec<u8> {
    let rows: Vec<crate::writer::Row> = rows.iter().map(|row| row.row(windows)).collect();
    let records: Vec<RecordRef<'_>> = rows.iter().map(|row| row.record.borrow()).collect();
    let events = windows.look(&records).unwrap();
    let counted = (0..records.len()).map(|row| Counted { row, from: Timestamp(i64::MIN), until: None }).collect();
    let mut sweep = Sweep::new(windows.plan(), &events, 1);
    sweep.entity(counted, &[Timestamp(at)]).unwrap();
    let mut bytes = Vec::new();
    encode_row(&sweep.finish(), 0, &mut bytes);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn of_each_event_the_version_counts_that_is_known(
        (arrived, mut cuts) in rows().prop_flat_map(|rows| {
            let again = proptest::collection::vec(any::<Index>(), 0..6);
            (Just(rows), again).prop_flat_map(|(rows, again)| {
                let mut all = rows.clone();
                all.extend(again.iter().map(|index| index.get(&rows).clone()));
                let count = all.len();
                (Just(all).prop_shuffle(), proptest::collection::vec(0..=count, 0..4))
            })
        }),
        asked in proptest::collection::vec(0..130 * HOUR, 1..8),
        by_created: bool,
    ) {
        let view = with_ids(if by_created { "created" } else { "published" }, "");
        let windows = WindowView::new(&view).unwrap();
        prop_assert!(windows.has_ids());
        let folder = tempfile::tempdir().unwrap();
        cuts.extend([0, arrived.len()]);
        cuts.sort_unstable();
        let mut published: Vec<(Row, i64)> = Vec::new();
        for (batch, cut) in cuts.windows(2).enumerate() {
            let rows = &arrived[cut[0]..cut[1]];
            let clock = CLOCKS[batch.min(3)];
            // Opened anew each time, as after a restart.
            let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
            let id = register(&store, &view);
            let writer = Writer::start_with_clock(store, clock).unwrap();
            let push = || {
                let stored = rows.iter().map(|row| row.row(&windows)).collect();
                writer.try_push_events(id, &windows, stored, PushTo::BOTH).unwrap().wait().unwrap()
            };
            push();
            // As after an answer that was lost.
            let again = push();
            prop_assert!(again.outcomes.iter().all(|outcome| *outcome == RowOutcome::Unchanged) && again.logged == 0);
            let before = published.len();
            for (index, row) in rows.iter().enumerate() {
                // What has no id counts as often as it ever came together; what comes again is the same.
                let together = rows[..=index].iter().filter(|other| same(other, row)).count();
                let known = published[..before].iter().filter(|(other, _)| same(other, row)).count();
                if row.id.is_some() || together > known {
                    published.push((row.clone(), clock().0));
                }
            }
        }
        let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
        let id = register(&store, &view);
        for at in asked {
            let features = (&view.signature.outputs[..], view.digest);
            let found = store.windows_of(id, &windows, features, &[[0_u8], [1]], (Timestamp(at), false)).unwrap();
            for (card, lookup) in found.iter().enumerate() {
                let Lookup::Found(record) = lookup else { panic!("{lookup:?}") };
                let counting = counting(&published, &windows, by_created, card as u8, at);
                prop_assert_eq!(&record.row, &swept(&windows, &counting, at), "card {} at {}: {:?}", card, at, counting);
            }
        }
    }
}

#[test]
fn what_no_window_reaches_is_dropped_with_its_ids() {
    const DAY: i64 = 24 * HOUR;
    let mut view = with_ids("created", "");
    let mut aggregates = tandem_core::window::Aggregates::clone(view.view.aggregates.as_ref().unwrap());
    aggregates.features.retain(|feature| feature.name == "count_1d");
    aggregates.retention = Some("2d".parse().unwrap());
    view.view.aggregates = Some(Arc::new(aggregates));
    (view.signature, view.digest) = view.view.declared().unwrap();
    let windows = WindowView::new(&view).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
    let id = register(&store, &view);
    let writer = Writer::start_with_clock(store.clone(), CLOCKS[0]).unwrap();
    let version = |event: u8, card: u8, time: i64, created: i64, gone: bool| Row {
        id: Some(event),
        gone,
        card,
        time,
        created: Some(created),
        sequence: None,
        amount: None,
        shop: None,
    };
    // Of seven cards one event each; one is moved to another day, one is taken back, and one is corrected in its place.
    let mut rows: Vec<Row> = (0..7).map(|card| version(card, card, 0, 0, false)).collect();
    rows.extend([version(1, 1, 20 * DAY, HOUR, false), version(2, 2, 0, HOUR, true), version(3, 3, 0, HOUR, false)]);
    let push = |rows: &[Row]| {
        let rows = rows.iter().map(|row| row.row(&windows)).collect();
        writer.try_push_events(id, &windows, rows, PushTo::ONLINE).unwrap().wait().unwrap()
    };
    push(&rows);
    // An event costs itself and where its versions are; an entity what is known of it, and a tile of each level for each time.
    let levels = windows.levels.len();
    let tiles = (store.window_entries().unwrap() - 10 - 7 - 7) / levels;
    assert!((6..=7).contains(&tiles), "{} entries, {levels} levels", store.window_entries().unwrap());
    assert_eq!(sweep(&store, id, &windows, Timestamp(2 * DAY)), 0);
    // The one that was moved keeps its old place, as long as windows reach the new one: else the old one would count again.
    assert_eq!(sweep(&store, id, &windows, Timestamp(10 * DAY)), 8);
    let outcomes = push(&[version(1, 1, 0, 0, false)]).outcomes;
    assert_eq!(outcomes, [RowOutcome::Unchanged]);
    assert_eq!(sweep(&store, id, &windows, Timestamp(30 * DAY)), 2);
    assert_eq!(store.window_entries().unwrap(), 0);
}

pub(super) fn same(a: &Row, b: &Row) -> bool {
    format!("{a:?}") == format!("{b:?}")
}
