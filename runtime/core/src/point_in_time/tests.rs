//! The join against a double loop over all labels and rows.

use proptest::prelude::*;

use super::*;
use crate::model::{AsOf, KnownBy};
use crate::order::RowOrder;
use crate::status::{Qualification, is_known, qualifies};
use crate::time::{Duration, Timestamp};

/// A row of a key, with bytes for its values.
#[derive(Debug, Clone)]
struct Row {
    key: u32,
    event: i64,
    created: Option<i64>,
    published: i64,
    sequence: Option<i64>,
    corrected: Option<i64>,
    until: Option<i64>,
    bytes: Vec<u8>,
}

/// What the oracle says of a label.
#[derive(Debug, PartialEq)]
struct Expected {
    /// Bytes of the row that wins, whether it is expired, and whether bytes decided.
    winner: Option<(Vec<u8>, bool, bool)>,
    newer_unknown: bool,
}

/// The rules of the join as they stand in the text: for a label, every row.
fn oracle(label: (u32, i64), rows: &[Row], rules: Rules) -> Expected {
    let (key, instant) = (label.0, Timestamp(label.1));
    let mut best: Option<&Row> = None;
    let mut latest_happened: Option<i64> = None;
    for row in rows {
        if row.key != key || row.until.is_some_and(|until| until <= instant.0) {
            continue;
        }
        if row.corrected.is_some_and(|corrected| instant.0 < corrected) {
            continue;
        }
        if qualifies(Timestamp(row.event), instant, rules.as_of, None) == Qualification::Future {
            continue;
        }
        latest_happened = latest_happened.max(Some(row.event));
        if !known(row, instant, rules) {
            continue;
        }
        if best.is_none_or(|best| order(row) > order(best)) {
            best = Some(row);
        }
    }
    let winner = best.map(|best| {
        let expired = qualifies(Timestamp(best.event), instant, rules.as_of, rules.ttl) == Qualification::Expired;
        let there = |row: &&Row| {
            row.key == key
                && row.until.is_none_or(|until| instant.0 < until)
                && row.corrected.is_none_or(|corrected| corrected <= instant.0)
                && known(row, instant, rules)
                && (row.event, row.created, row.sequence) == (best.event, best.created, best.sequence)
        };
        let by_bytes = rows.iter().filter(there).any(|row| row.bytes != best.bytes);
        (best.bytes.clone(), expired, by_bytes)
    });
    let newer_unknown = latest_happened > best.map(|best| best.event);
    Expected { winner, newer_unknown }
}

/// Rule 2, with the delay in integers wide enough for every sum.
fn known(row: &Row, instant: Timestamp, rules: Rules) -> bool {
    match rules.publish_delay {
        Some(delay) if rules.known_by == KnownBy::Published => {
            i128::from(row.event) + i128::from(delay.as_micros()) <= i128::from(instant.0)
        }
        _ => is_known(rules.known_by, row.created.map(Timestamp), Timestamp(row.published), instant),
    }
}

fn order(row: &Row) -> RowOrder<'_> {
    RowOrder {
        event_time: Timestamp(row.event),
        created_time: row.created.map(Timestamp),
        sequence: row.sequence,
        row: &row.bytes,
    }
}

/// The rows at `chosen`, offered to the contest.
fn offer(contest: &mut Contest<'_>, rows: &[Row], chosen: impl IntoIterator<Item = usize>) {
    for index in chosen {
        let row = &rows[index];
        let offered = JoinRow {
            event_time: Timestamp(row.event),
            created_time: row.created.map(Timestamp),
            published_time: Timestamp(row.published),
            sequence: row.sequence,
            corrected_time: row.corrected.map(Timestamp),
            until: row.until.map(Timestamp),
            row: index as u64,
        };
        contest.offer(row.key, &offered);
    }
}

/// What a slot's labels get, in the oracle's words.
fn found(decided: &Decided<'_>, slot: u32, rows: &[Row]) -> Expected {
    let Answer { winner, newer_unknown } = decided.answer(slot as usize);
    let winner = winner.map(|winner| {
        let bytes = |row: &u64| rows[*row as usize].bytes.clone();
        let best = winner.tied.iter().map(bytes).max().unwrap_or_else(|| bytes(&winner.row));
        let by_bytes = winner.tied.iter().any(|row| bytes(row) != best);
        (best, winner.expired, by_bytes)
    });
    Expected { winner, newer_unknown }
}

const KEYS: u32 = 3;

fn instant() -> impl Strategy<Value = i64> {
    prop_oneof![8 => -4..5_i64, 1 => Just(i64::MIN), 1 => Just(i64::MAX), 1 => Just(i64::MAX - 1)]
}

/// Few keys, times and values: ties, duplicates, expired, future and late rows are the rule.
fn row() -> impl Strategy<Value = Row> {
    let some = || proptest::option::of(prop_oneof![6 => -4..5_i64, 1 => Just(i64::MAX)]);
    let bytes = proptest::collection::vec(0..2_u8, 0..2);
    let span = (proptest::option::of(instant()), proptest::option::of(instant()));
    (0..KEYS, instant(), some(), instant(), proptest::option::of(0..2_i64), span, bytes).prop_map(
        |(key, event, created, published, sequence, (corrected, until), bytes)| Row {
            key,
            event,
            created,
            published,
            sequence,
            corrected,
            until,
            bytes,
        },
    )
}

fn rules() -> impl Strategy<Value = Rules> {
    let known_by = prop_oneof![Just(KnownBy::Created), Just(KnownBy::Published), Just(KnownBy::Event)];
    let span = || proptest::option::of(prop_oneof![4 => 0..5_u64, 1 => Just(u64::MAX)]);
    (any::<bool>(), known_by, span(), span()).prop_map(|(before, known_by, delay, ttl)| Rules {
        as_of: if before { AsOf::Before } else { AsOf::AtOrBefore },
        known_by,
        publish_delay: delay.map(Duration::from_micros),
        ttl: ttl.map(Duration::from_micros),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn labels_get_what_a_double_loop_gives(
        labels in proptest::collection::vec((0..KEYS, instant()), 0..24),
        (rows, arrival) in proptest::collection::vec(row(), 0..24).prop_flat_map(|rows| {
            let arrival: Vec<usize> = (0..rows.len()).collect();
            (Just(rows), Just(arrival).prop_shuffle())
        }),
        split in any::<proptest::sample::Index>(),
        again in any::<bool>(),
        rules in rules(),
    ) {
        let asked: Vec<_> = labels.iter().map(|(key, instant)| (*key, Timestamp(*instant))).collect();
        let (instants, slots) = Instants::of(KEYS as usize, &asked);
        // In any order, in two parts, and maybe some twice.
        let (left, right) = arrival.split_at(split.index(arrival.len() + 1));
        let mut contest = Contest::new(&instants, rules);
        offer(&mut contest, &rows, left.iter().copied());
        let mut other = Contest::new(&instants, rules);
        offer(&mut other, &rows, right.iter().copied());
        if again {
            offer(&mut other, &rows, left.iter().copied());
        }
        contest.join(other);
        let decided = contest.decide();
        for (label, slot) in labels.iter().zip(&slots) {
            prop_assert_eq!(found(&decided, *slot, &rows), oracle(*label, &rows, rules), "{:?}", label);
        }
    }

    #[test]
    fn a_row_is_there_as_the_rules_say(row in row(), instant in instant(), rules in rules()) {
        let (event, created, published) = (Timestamp(row.event), row.created.map(Timestamp), Timestamp(row.published));
        let instant = Timestamp(instant);
        let happened = qualifies(event, instant, rules.as_of, None) != Qualification::Future;
        let there = rules.there_from(event, created, published).is_some_and(|from| from <= instant);
        prop_assert_eq!(there, happened && known(&row, instant, rules));
    }

    #[test]
    fn each_label_has_the_slot_of_its_key_and_instant(
        labels in proptest::collection::vec((0..KEYS, instant()), 0..24),
        from in instant(),
    ) {
        let asked: Vec<_> = labels.iter().map(|(key, instant)| (*key, Timestamp(*instant))).collect();
        let (instants, slots) = Instants::of(KEYS as usize, &asked);
        prop_assert_eq!(instants.groups(), KEYS as usize);
        prop_assert_eq!(instants.group_of(instants.slots()), None);
        for ((key, instant), slot) in asked.iter().zip(&slots) {
            prop_assert!(instants.of_group(*key).contains(&(*slot as usize)));
            prop_assert_eq!(instants.instant(*slot as usize), *instant);
            prop_assert_eq!(instants.group_of(*slot as usize), Some(*key));
        }
        for key in 0..KEYS {
            let mut own: Vec<_> = asked.iter().filter(|label| label.0 == key).map(|label| label.1).collect();
            own.sort();
            own.dedup();
            let found: Vec<_> = instants.of_group(key).map(|slot| instants.instant(slot)).collect();
            prop_assert_eq!(&found, &own);
            let first = own.iter().find(|instant| **instant >= Timestamp(from)).copied();
            prop_assert_eq!(instants.first_from(key, Timestamp(from)).map(|slot| instants.instant(slot)), first);
        }
        let all = || asked.iter().map(|label| label.1);
        prop_assert_eq!(instants.span(), all().min().zip(all().max()));
    }
}

proptest! {
    /// Instants that are spread evenly, lie together, or both, far apart and next to each other: each is found in its bucket.
    #[test]
    fn instants_are_found_however_they_lie(
        clusters in proptest::collection::vec((any::<i64>(), 0..40_u32, 1..200_usize), 0..4),
        other in any::<i64>(),
        extremes in any::<bool>(),
    ) {
        let mut asked: Vec<(u32, Timestamp)> = Vec::new();
        for (from, scale, count) in clusters {
            // Group 1 has none.
            let at = |step: usize| from.saturating_add(((step * step) as i64) << scale);
            asked.extend((0..count).map(|step| ((step % 2 * 2) as u32, Timestamp(at(step)))));
        }
        if extremes {
            asked.extend([(0, Timestamp::MIN), (0, Timestamp::MAX)]);
        }
        let (instants, _) = Instants::of(3, &asked);
        let near = |time: Timestamp| [time.0.saturating_sub(1), time.0, time.0.saturating_add(1)].map(Timestamp);
        let sought: Vec<Timestamp> = asked.iter().flat_map(|(_, time)| near(*time)).chain([Timestamp(other)]).collect();
        for group in 0..3 {
            for sought in sought.chunks(contest::CHUNK) {
                let mut from = [None; contest::CHUNK];
                from.iter_mut().zip(sought).for_each(|(from, sought)| *from = Some(*sought));
                let found = instants.first_of(sought.iter().map(|_| group), &from);
                for (sought, (first, end)) in sought.iter().zip(found) {
                    let own = instants.of_group(group);
                    let expected = own.start + instants.instants_of(group).partition_point(|instant| instant < sought);
                    prop_assert_eq!((first, end), (expected, own.end));
                    prop_assert_eq!(instants.first_from(group, *sought), (first < end).then_some(first));
                }
            }
        }
    }
}

/// Many rows that tie for many instants: what they cost does not multiply.
#[test]
fn ties_do_not_multiply() {
    let count = 2_000;
    let labels: Vec<_> = (0..count).map(|instant| (0, Timestamp(instant))).collect();
    let (instants, _) = Instants::of(1, &labels);
    let rules = Rules { as_of: AsOf::AtOrBefore, known_by: KnownBy::Published, publish_delay: None, ttl: None };
    let mut contest = Contest::new(&instants, rules);
    for published in 0..count {
        let row = JoinRow {
            event_time: Timestamp(0),
            created_time: None,
            published_time: Timestamp(published),
            sequence: None,
            corrected_time: None,
            until: None,
            row: published as u64,
        };
        contest.offer(0, &row);
    }
    let decided = contest.decide();
    assert!(decided.ties.len() < 2 * count as usize, "{}", decided.ties.len());
    assert!(decided.answer(0).winner.unwrap().tied.is_empty());
    assert_eq!(decided.answer(2).winner.unwrap().tied, [0, 1, 2]);
}

/// The same of rows that are taken back: what ties for a span and for ever costs a little for each instant, not for each tie of it.
#[test]
fn ties_of_spans_do_not_multiply() {
    let count = 2_000_u64;
    let labels: Vec<_> = (0..count as i64).map(|instant| (0, Timestamp(instant))).collect();
    let (instants, _) = Instants::of(1, &labels);
    let rules = Rules { as_of: AsOf::AtOrBefore, known_by: KnownBy::Event, publish_delay: None, ttl: None };
    let mut contest = Contest::new(&instants, rules);
    for row in 0..count {
        let until = (row % 2 == 0).then_some(Timestamp(count as i64 - 2));
        let (event_time, published_time) = (Timestamp(0), Timestamp(0));
        contest.offer(
            0,
            &JoinRow {
                event_time,
                created_time: None,
                published_time,
                sequence: None,
                corrected_time: None,
                until,
                row,
            },
        );
    }
    let decided = contest.decide();
    assert!(decided.ties.len() < 16 * count as usize, "{}", decided.ties.len());
    let all: Vec<u64> = (0..count).collect();
    let odd: Vec<u64> = (0..count).filter(|row| row % 2 == 1).collect();
    for (slot, tied) in [(0, &all), (count - 3, &all), (count - 2, &odd), (count - 1, &odd)] {
        assert_eq!(&decided.answer(slot as usize).winner.unwrap().tied, tied, "{slot}");
    }
}
