//! The total order of the rows of one entity: which of two feature rows wins.
//!
//! The greatest `(event_time, created_time, sequence, row bytes)` wins, offline and online alike. An absent created time
//! or sequence is smaller than any that is there. The row's canonical bytes ([`crate::canonical`]) decide what still ties, so that the winner
//! depends on the data alone: not on file names, compaction, arrival or parallelism.

use crate::time::Timestamp;

/// What orders a row among the rows of its entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowOrder<'a> {
    // The order of the fields is the order of comparison.
    /// When the thing happened.
    pub event_time: Timestamp,
    /// When the producer came to know it.
    pub created_time: Option<Timestamp>,
    /// Position in the source's log, where it declares one.
    pub sequence: Option<i64>,
    /// Canonical bytes of the row's values.
    pub row: &'a [u8],
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cmp::Ordering;

    type Row = (i64, Option<i64>, Option<i64>, Vec<u8>);

    fn order(row: &Row) -> RowOrder<'_> {
        RowOrder { event_time: Timestamp(row.0), created_time: row.1.map(Timestamp), sequence: row.2, row: &row.3 }
    }

    /// Whether `a` beats `b`, spelled out: the later event; then the later creation, any before none; then the
    /// greater sequence, any before none; then the first byte that differs, and the longer of two that begin alike.
    fn beats(a: &Row, b: &Row) -> bool {
        if a.0 != b.0 {
            return a.0 > b.0;
        }
        for (x, y) in [(a.1, b.1), (a.2, b.2)] {
            match (x, y) {
                (Some(x), Some(y)) if x != y => return x > y,
                (Some(_), None) => return true,
                (None, Some(_)) => return false,
                _ => {}
            }
        }
        for i in 0..a.3.len().min(b.3.len()) {
            if a.3[i] != b.3[i] {
                return a.3[i] > b.3[i];
            }
        }
        a.3.len() > b.3.len()
    }

    /// Few distinct values, so that ties are the rule.
    fn rows() -> impl Strategy<Value = Vec<Row>> {
        let time = prop_oneof![Just(i64::MIN), -1..=1_i64, Just(i64::MAX)];
        let some = || proptest::option::of(prop_oneof![Just(i64::MIN), 0..=1_i64, Just(i64::MAX)]);
        let bytes = proptest::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(127), Just(128), Just(255)], 0..3);
        proptest::collection::vec((time, some(), some(), bytes), 1..24)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn the_winner_is_the_naive_one(rows in rows(), others in rows()) {
            let mut best = &rows[0];
            for row in &rows {
                if beats(row, best) {
                    best = row;
                }
            }
            prop_assert_eq!(rows.iter().map(order).max().unwrap(), order(best));

            // Any pair compares as the oracle says, also with rows of another set.
            for a in &rows {
                for b in rows.iter().chain(&others) {
                    let expected = if beats(a, b) {
                        Ordering::Greater
                    } else if beats(b, a) {
                        Ordering::Less
                    } else {
                        Ordering::Equal
                    };
                    prop_assert_eq!(order(a).cmp(&order(b)), expected);
                    prop_assert_eq!(expected == Ordering::Equal, a == b);
                }
            }
        }

        #[test]
        fn arrival_does_not_matter(
            (rows, arrived) in rows().prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
            split in any::<proptest::sample::Index>(),
        ) {
            let winner = rows.iter().map(order).max().unwrap();
            prop_assert_eq!(arrived.iter().map(order).max().unwrap(), winner);
            // As two partitions whose winners meet.
            let (left, right) = arrived.split_at(split.index(arrived.len()));
            let halves = left.iter().map(order).max().into_iter().chain(right.iter().map(order).max());
            prop_assert_eq!(halves.max().unwrap(), winner);
        }
    }

    #[test]
    fn what_is_there_beats_what_is_absent() {
        let none = (0, None, None, vec![255]);
        assert!(order(&(0, Some(i64::MIN), None, vec![])) > order(&none));
        assert!(order(&(0, None, Some(i64::MIN), vec![])) > order(&none));
        assert!(order(&(1, None, None, vec![])) > order(&(0, Some(i64::MAX), Some(i64::MAX), vec![255])));
    }
}
