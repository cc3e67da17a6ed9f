//! What is served, and what is rebuilt beside it; rows whose values are removed.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use tandem_online::{
    Generation, GenerationState, OnlineError, PushTo, PutRow, RowOutcome, TakenBack, TakenFile, Target,
};

const NOW: Timestamp = Timestamp(1_000_000);

fn clock() -> Timestamp {
    NOW
}

fn puts(rows: &[Row]) -> Vec<PutRow<'_>> {
    rows.iter().map(|row| PutRow { key: &row.key, record: row.record.borrow() }).collect()
}

fn values(store: &Store, view: ViewId, keys: &[&str]) -> Vec<String> {
    let value = |lookup: Lookup| match lookup {
        Lookup::Found(record) => String::from_utf8(record.row).unwrap(),
        other => format!("{other:?}"),
    };
    store.get_many(view, keys).unwrap().into_iter().map(value).collect()
}

/// Ordinals and states.
fn generations(store: &Store, view: ViewId) -> Vec<(u32, &'static str)> {
    let all = store.generations(view).unwrap();
    all.all().map(|Generation { ordinal, state, .. }| (ordinal, state.as_str())).collect()
}

#[test]
fn a_generation_is_built_beside_the_live_one_and_has_all_that_came_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let (store, view) = open(folder.path());
    store.put_if_newer(view, &puts(&[row("a", 5, "old a"), row("gone", 5, "gone")])).unwrap();
    store.take_files(view, &[("f".to_owned(), TakenFile { size: 1, modified_nanos: 1 })]).unwrap();
    store.push(view, &puts(&[row("only online", 6, "o")]), PushTo::ONLINE, clock).unwrap();
    store.push(view, &puts(&[row("logged", 7, "l")]), PushTo::BOTH, clock).unwrap();
    assert_eq!(generations(&store, view), [(0, "live")]);

    let (target, resumed) = store.begin_rebuild(view).unwrap();
    assert_eq!((resumed, target.is_building(), target.view()), (false, true, view));
    assert_eq!(generations(&store, view), [(0, "live"), (1, "building")]);
    assert_eq!(store.carry_over(target, None).unwrap(), 2);
    store.put_if_newer(target, &puts(&[row("a", 4, "new a")])).unwrap();
    // Of other processes: into both.
    store.push(view, &puts(&[row("meanwhile", 8, "m")]), PushTo::ONLINE, clock).unwrap();
    store.put_if_newer(view, &puts(&[row("b", 9, "b")])).unwrap();
    let file = ("g".to_owned(), TakenFile { size: 2, modified_nanos: 2 });
    store.take_files(target, std::slice::from_ref(&file)).unwrap();
    assert!(store.taken(target).unwrap().has("g", file.1) && !store.taken(view).unwrap().has("g", file.1));

    let keys = ["a", "gone", "only online", "logged", "meanwhile", "b"];
    let before = ["old a", "gone", "o", "l", "m", "b"];
    assert_eq!(values(&store, view, &keys), before, "nothing of what is built is seen");
    // One that was stopped is gone on with.
    assert_eq!(store.begin_rebuild(view).unwrap(), (target, true));
    store.finish_rebuild(target).unwrap();
    assert_eq!(generations(&store, view), [(1, "live"), (0, "kept")]);
    let after = ["new a", "NotFound", "o", "l", "m", "b"];
    assert_eq!(values(&store, view, &keys), after);
    assert!(store.taken(view).unwrap().has("g", file.1));
    assert!(matches!(store.finish_rebuild(target).unwrap_err(), OnlineError::GenerationGone));
    let late = store.put_if_newer(target, &puts(&[row("a", 6, "x")])).unwrap_err();
    assert!(matches!(late, OnlineError::GenerationGone), "{late}");
    assert!(matches!(store.begin_rebuild(view).unwrap_err(), OnlineError::GenerationKept));

    // There and back, with what comes meanwhile in both.
    store.push(view, &puts(&[row("b", 10, "newer b")]), PushTo::BOTH, clock).unwrap();
    assert!(!store.switch_generation(view, false).unwrap().1, "it is the newest");
    assert!(store.switch_generation(view, true).unwrap().1);
    assert_eq!(generations(&store, view), [(0, "live"), (1, "kept")]);
    assert_eq!(values(&store, view, &keys), ["old a", "gone", "o", "l", "m", "newer b"]);
    store.push(view, &puts(&[row("b", 11, "newest b")]), PushTo::BOTH, clock).unwrap();
    assert!(store.switch_generation(view, false).unwrap().1);
    assert_eq!(values(&store, view, &keys), ["new a", "NotFound", "o", "l", "m", "newest b"]);

    let stats = store.view_stats(NOW).unwrap();
    let sizes: Vec<_> = stats.iter().map(|found| (found.generation.ordinal, found.entries)).collect();
    assert_eq!(sizes, [(1, 5), (0, 6)]);
    let (dropped, keys_removed) = store.drop_generation(view).unwrap();
    assert_eq!((dropped.ordinal, dropped.state, keys_removed), (0, GenerationState::Dropping, 7));
    assert_eq!((generations(&store, view), store.stats().unwrap().entries), (vec![(1, "live")], 5));
    assert_eq!(values(&store, view, &keys), ["new a", "NotFound", "o", "l", "m", "newest b"]);
    for error in [store.drop_generation(view).unwrap_err(), store.switch_generation(view, true).unwrap_err()] {
        assert!(matches!(error, OnlineError::NoOtherGeneration) && error.hint().is_some(), "{error}");
    }
    // The number of the dropped one is not given again.
    let (target, _) = store.begin_rebuild(view).unwrap();
    assert_eq!(generations(&store, view), [(1, "live"), (2, "building")]);
    store.drop_generation(view).unwrap();
    assert_eq!(store.finish_drop(view).unwrap(), 0, "nothing is left to be dropped");
    assert!(matches!(store.put_if_newer(target, &[]).unwrap_err(), OnlineError::GenerationGone));
}

#[test]
fn what_is_taken_back_is_gone_from_both_generations() {
    let folder = tempfile::tempdir().unwrap();
    let (store, view) = open(folder.path());
    let wrong = row("a", 9, "wrong");
    store.put_if_newer(view, &puts(&[wrong.clone(), row("b", 9, "b")])).unwrap();
    let (target, _) = store.begin_rebuild(view).unwrap();
    store.put_if_newer(target, &puts(&[row("b", 9, "b")])).unwrap();
    store.finish_rebuild(target).unwrap();
    // The kept one alone has it.
    assert_eq!(store.are_stored(view, &puts(&[wrong.clone(), row("b", 8, "b")])).unwrap(), [true, false]);
    let instead = row("a", 3, "right");
    let back = TakenBack { key: b"a", stored: wrong.record.borrow(), instead: Some(instead.record.borrow()) };
    assert_eq!(store.take_back(view, &[back]).unwrap(), 1);
    assert_eq!(values(&store, view, &["a"]), ["NotFound"]);
    store.switch_generation(view, true).unwrap();
    assert_eq!(values(&store, view, &["a"]), ["right"]);
}

#[test]
fn a_copy_has_all_generations_and_gives_back_the_live_one() {
    let folder = tempfile::tempdir().unwrap();
    let (store, view) = open(&folder.path().join("store"));
    store.put_if_newer(view, &puts(&[row("a", 5, "old")])).unwrap();
    let (target, _) = store.begin_rebuild(view).unwrap();
    store.put_if_newer(target, &puts(&[row("a", 4, "new")])).unwrap();
    store.finish_rebuild(target).unwrap();
    store.backup(&folder.path().join("copy")).unwrap();
    let (copy, of_copy) = open(&folder.path().join("copy"));
    assert_eq!(
        (generations(&copy, of_copy), values(&copy, of_copy, &["a"])),
        (generations(&store, view), vec!["new".into()])
    );
    let (other, of_other) = open(&folder.path().join("other"));
    other.restore(&copy, |_| None).unwrap();
    assert_eq!(
        (generations(&other, of_other), values(&other, of_other, &["a"])),
        (vec![(0, "live")], vec!["new".into()])
    );
}

#[test]
fn values_of_expired_rows_are_removed_and_what_orders_them_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (store, view) = open(folder.path());
    let rows: Vec<Row> = (0..10_u8).map(|key| row([key], i64::from(key), "v")).collect();
    store.put_if_newer(view, &puts(&rows)).unwrap();
    let (target, _) = store.begin_rebuild(view).unwrap();
    store.put_if_newer(target, &puts(&rows)).unwrap();

    // Small steps, until all of both generations were looked at.
    let (mut from, mut steps, mut looked, mut removed) = (None, 0, 0, 0);
    loop {
        let step = store.remove_expired(view, Timestamp(5), from.as_deref(), (4, 2)).unwrap();
        assert!(step.looked <= 4 && step.removed <= 2, "{step:?}");
        (steps, looked, removed) = (steps + 1, looked + step.looked, removed + step.removed);
        from = step.next;
        if from.is_none() {
            break;
        }
    }
    assert!(steps >= 6, "{steps}");
    assert_eq!((looked, removed), (20, 10));
    let keys: Vec<[u8; 1]> = (0..10).map(|key| [key]).collect();
    let found = store.get_many(view, &keys).unwrap();
    for (key, lookup) in found.iter().enumerate() {
        match lookup {
            Lookup::Removed(record) => assert_eq!((record.event_time.0, &record.row[..]), (key as i64, &b""[..])),
            Lookup::Found(record) => assert_eq!((key >= 5, &record.row[..]), (true, &b"v"[..]), "{key}"),
            other => panic!("{key}: {other:?}"),
        }
    }
    assert!(matches!(found[4], Lookup::Removed(_)));
    assert_eq!(store.view_stats(NOW).unwrap().iter().map(|found| found.removed).collect::<Vec<_>>(), [5, 5]);

    // A replay changes nothing, an older row neither, also one of another process's push; a newer one is served.
    let outcomes = |row: Row| store.push(view, &puts(&[row]), PushTo::ONLINE, clock).unwrap().outcomes[0];
    assert_eq!(outcomes(row([3], 3, "v")), RowOutcome::Unchanged);
    assert_eq!(outcomes(row([3], 3, "other")), RowOutcome::Unchanged, "of one time, and too old as well");
    assert_eq!(outcomes(row([3], 2, "v")), RowOutcome::Older);
    assert!(matches!(store.get_many(view, &[[3]]).unwrap()[0], Lookup::Removed(_)));
    assert_eq!(outcomes(row([3], 7, "back")), RowOutcome::Written);
    assert_eq!(event_time(&store.get_many(view, &[[3]]).unwrap()[0]), 7);

    // It is taken back as any row is, and a copy has it.
    let copy = folder.path().join("copy");
    store.backup(&copy).unwrap();
    let (restored, of_restored) = open(&folder.path().join("restored"));
    restored.restore(&open(&copy).0, |_| None).unwrap();
    assert!(matches!(restored.get_many(of_restored, &[[4]]).unwrap()[0], Lookup::Removed(_)));
    let stored = row([4], 4, "v");
    let back = TakenBack { key: &stored.key, stored: stored.record.borrow(), instead: None };
    assert_eq!(store.take_back(view, &[back]).unwrap(), 1);
    assert_eq!(store.get_many(view, &[[4]]).unwrap(), [Lookup::NotFound]);
}

/// What is done with a store, in any order.
#[derive(Debug, Clone)]
enum Step {
    Push {
        key: u8,
        time: i64,
        online: bool,
    },
    Materialize {
        key: u8,
        time: i64,
    },
    Begin,
    /// The history into what is built, and the switch.
    Finish,
    Switch {
        back: bool,
    },
    Drop,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..6_u8, 0..50_i64, any::<bool>()).prop_map(|(key, time, online)| Step::Push { key, time, online }),
        3 => (0..6_u8, 0..50_i64).prop_map(|(key, time)| Step::Materialize { key, time }),
        2 => Just(Step::Begin),
        2 => Just(Step::Finish),
        1 => any::<bool>().prop_map(|back| Step::Switch { back }),
        1 => Just(Step::Drop),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever generation is served: each entity has the greatest row that was acknowledged, since nothing leaves the history.
    #[test]
    fn no_generation_lacks_what_was_acknowledged(steps in steps()) {
        let folder = tempfile::tempdir().unwrap();
        let (mut store, mut view) = open(folder.path());
        let mut greatest: BTreeMap<u8, i64> = BTreeMap::new();
        let mut history: Vec<Row> = Vec::new();
        let mut building: Option<Target> = None;
        for step in steps {
            match step {
                Step::Push { key, time, online } => {
                    let to = if online { PushTo::ONLINE } else { PushTo::BOTH };
                    store.push(view, &puts(&[row([key], time, "p")]), to, clock).unwrap();
                    greatest.entry(key).and_modify(|best| *best = time.max(*best)).or_insert(time);
                }
                Step::Materialize { key, time } => {
                    history.push(row([key], time, "h"));
                    store.put_if_newer(view, &puts(&history[history.len() - 1..])).unwrap();
                    greatest.entry(key).and_modify(|best| *best = time.max(*best)).or_insert(time);
                }
                Step::Begin => {
                    if let Ok((target, resumed)) = store.begin_rebuild(view) {
                        prop_assert_eq!(resumed, building.is_some());
                        building = Some(target);
                    }
                }
                Step::Finish => {
                    let Some(target) = building.take() else { continue };
                    store.carry_over(target, None).unwrap();
                    store.put_if_newer(target, &puts(&history)).unwrap();
                    store.finish_rebuild(target).unwrap();
                }
                Step::Switch { back } => drop(store.switch_generation(view, back)),
                Step::Drop => {
                    building = None;
                    drop(store.drop_generation(view));
                }
                Step::Reopen => {
                    drop(store);
                    (store, view) = open(folder.path());
                }
            }
            for (key, best) in &greatest {
                prop_assert_eq!(event_time(&store.get_many(view, &[[*key]]).unwrap()[0]), *best, "{}", key);
            }
        }
    }
}
