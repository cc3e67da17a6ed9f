//! Re-runs against a loop that remembers every run's rows, and is asked what was known at each instant.

use proptest::prelude::*;

use super::*;
use crate::order::RowOrder;

/// A row of one event, as its source has it: created time, and bytes for its values.
type Fact = (Option<i64>, u8);

/// A run: its instant, and the rows that the source had.
type Run = (i64, Vec<Fact>);

/// What is published after these runs.
fn publish(runs: &[Run], history: History) -> Vec<EventRow<Fact>> {
    let mut published: Vec<EventRow<Fact>> = Vec::new();
    for (now, facts) in runs {
        let now = Timestamp(*now);
        let row =
            |fact: &Fact| EventRow { content: *fact, times: RowTimes::first(fact.0.map(Timestamp), None, None, now) };
        let computed: Vec<_> = facts.iter().map(row).collect();
        let rerun = rerun(&published, &computed, now, history);
        let again = computed.iter().zip(&rerun.computed).map(|(row, times)| EventRow { times: *times, ..*row });
        let stay = published.iter().zip(&rerun.published);
        let stay = stay.filter_map(|(row, times)| Some(EventRow { times: (*times)?, ..*row }));
        published = again.chain(stay).collect();
    }
    published
}

fn greatest(facts: impl Iterator<Item = Fact>) -> Option<Fact> {
    let order = |fact: &Fact| (fact.0, fact.1);
    facts.max_by_key(order)
}

/// What a label at `instant` gets of the published rows.
fn winner(published: &[EventRow<Fact>], instant: i64, known_by: KnownBy) -> Option<Fact> {
    let instant = Timestamp(instant);
    let counts = |row: &&EventRow<Fact>| {
        row.times.counts_from(known_by) <= instant && row.times.until(known_by).is_none_or(|until| instant < until)
    };
    greatest(published.iter().filter(counts).map(|row| row.content))
}

/// Without created times: what the last run up to the instant had, and before the first that had any, what that one had.
fn oracle_event(runs: &[Run], instant: i64) -> Option<Fact> {
    let first = runs.iter().position(|(_, facts)| !facts.is_empty())?;
    let last = runs.iter().rposition(|(now, _)| *now <= instant).unwrap_or(first).max(first);
    greatest(runs[last].1.iter().copied())
}

/// By published times: what the last run up to the instant had.
fn oracle_published(runs: &[Run], instant: i64) -> Option<Fact> {
    let (_, facts) = runs.iter().rfind(|(now, _)| *now <= instant)?;
    greatest(facts.iter().copied())
}

/// With created times: a row of a run counts from its created time until the first later run without it; in place of one that went with a created time
/// that is not earlier, from its run on.
fn oracle_created(runs: &[Run], instant: i64) -> Option<Fact> {
    let mut there: Vec<(Fact, i64, i64)> = Vec::new();
    for (now, facts) in runs {
        let mut rest = facts.clone();
        for (fact, _, until) in there.iter_mut().filter(|(_, _, until)| *until == i64::MAX) {
            match rest.iter().position(|other| other == fact) {
                Some(index) => drop(rest.swap_remove(index)),
                None => *until = *now,
            }
        }
        let gone: Vec<Fact> = there.iter().filter(|(_, _, until)| *until != i64::MAX).map(|row| row.0).collect();
        for fact in rest {
            let from = match fact.0 {
                None => *now,
                Some(created) if gone.iter().any(|gone| gone.0 >= Some(created)) => created.max(*now),
                Some(created) => created,
            };
            there.push((fact, from, i64::MAX));
        }
    }
    greatest(there.iter().filter(|(_, from, until)| (*from..*until).contains(&instant)).map(|row| row.0))
}

fn runs(created: impl Strategy<Value = Option<i64>> + Clone + 'static) -> impl Strategy<Value = Vec<Run>> {
    let facts = proptest::collection::vec((created, 0..3_u8), 0..4);
    proptest::collection::vec((1..4_i64, facts), 1..6).prop_map(|steps| {
        let mut now = 0;
        let run = |(step, facts)| {
            now += step;
            (now, facts)
        };
        steps.into_iter().map(run).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn without_created_times_a_label_sees_the_run_before_it(runs in runs(Just(None))) {
        let published = publish(&runs, History::Append);
        for instant in -1..20 {
            let (by_event, by_published) = (oracle_event(&runs, instant), oracle_published(&runs, instant));
            prop_assert_eq!(winner(&published, instant, KnownBy::Event), by_event, "{}", instant);
            prop_assert_eq!(winner(&published, instant, KnownBy::Published), by_published, "{}", instant);
        }
    }

    #[test]
    fn with_created_times_a_label_sees_what_was_known(runs in runs(proptest::option::of(-1..16_i64))) {
        let published = publish(&runs, History::Append);
        for instant in -1..20 {
            let (by_created, by_published) = (oracle_created(&runs, instant), oracle_published(&runs, instant));
            prop_assert_eq!(winner(&published, instant, KnownBy::Created), by_created, "{}", instant);
            prop_assert_eq!(winner(&published, instant, KnownBy::Published), by_published, "{}", instant);
        }
    }

    /// A run changes nothing of the past of an event that was published, and the same rows change nothing at all.
    #[test]
    fn the_past_stays(runs in runs(Just(None)), again in any::<bool>()) {
        let mut runs = runs;
        if again {
            let (now, facts) = runs.last().unwrap().clone();
            runs.push((now + 3, facts));
        }
        let before = publish(&runs[..runs.len() - 1], History::Append);
        let after = publish(&runs, History::Append);
        if again {
            prop_assert_eq!(&before, &after);
        }
        let now = runs.last().unwrap().0;
        for instant in (-1..now).filter(|_| !before.is_empty()) {
            let (before, after) = (winner(&before, instant, KnownBy::Event), winner(&after, instant, KnownBy::Event));
            prop_assert_eq!(before, after, "{}", instant);
        }
    }

    /// Once the last run is past, its rows alone count, as if it had been the first.
    #[test]
    fn the_present_is_the_last_run(runs in runs(proptest::option::of(-1..16_i64)), replace in any::<bool>()) {
        let history = if replace { History::Replace } else { History::Append };
        let published = publish(&runs, history);
        let last = &runs.last().unwrap().1;
        for known_by in KnownBy::ALL {
            prop_assert_eq!(winner(&published, 100, known_by), greatest(last.iter().copied()));
        }
        let standing = published.iter().filter(|row| row.times.stands()).count();
        prop_assert_eq!(standing, last.len());
        if replace {
            prop_assert_eq!(published.len(), last.len());
        }
    }
}

#[test]
fn what_a_source_with_a_history_says_is_taken_over() {
    let time = |micros| Some(Timestamp(micros));
    let first = RowTimes::first(time(1), None, None, Timestamp(10));
    let published = [EventRow { content: 1, times: first }];
    let computed = [
        EventRow { content: 1, times: RowTimes::first(time(1), None, time(7), Timestamp(20)) },
        EventRow { content: 2, times: RowTimes::first(time(7), time(8), None, Timestamp(20)) },
    ];
    let rerun = rerun(&published, &computed, Timestamp(20), History::Append);
    let (old, new) = (rerun.computed[0], rerun.computed[1]);
    assert_eq!((rerun.added, rerun.gone), (1, 0));
    assert_eq!(rerun.published, [None]);
    assert_eq!(old.published_time, Timestamp(10));
    // The producer took it back at 7, and who asks for what was published learns it at 20.
    assert_eq!(KnownBy::ALL.map(|known_by| old.until(known_by)), [time(7), time(20), time(7)]);
    let from = KnownBy::ALL.map(|known_by| new.counts_from(known_by));
    assert_eq!(from, [Timestamp(8), Timestamp(20), Timestamp(8)]);
    let order = |row: &'static [u8]| RowOrder { event_time: Timestamp(0), created_time: time(1), sequence: None, row };
    assert!(order(&[2]) > order(&[1]), "the order of rows is not theirs to change");
}
