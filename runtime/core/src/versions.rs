//! Versions of one event: a correction has the event's id and a later created time, and so has the retraction that takes it back.
//!
//! At an instant, of the versions of an event that are known, the greatest by (created time, sequence) counts, and if that is a retraction, none does. So each
//! version is superseded when the next one is created. A version without a created time is smaller than any that has one. Versions that tie supersede
//! each other never: they are rows beside each other, and [`crate::order`] decides between them; but a retraction takes back those that it ties with.

use crate::time::Timestamp;

/// A version of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// When the producer came to know it.
    pub created_time: Option<Timestamp>,
    /// Position in the source's log.
    pub sequence: Option<i64>,
    /// Whether it takes the event back: it then has no values.
    pub retracted: bool,
}

impl Version {
    fn rank(&self) -> (Option<Timestamp>, Option<i64>, bool) {
        (self.created_time, self.sequence, self.retracted)
    }

    fn is_superseded_by(&self, other: &Version) -> bool {
        self.rank() < other.rank()
    }
}

/// For each version of one event the instant from which on a later one stands in its place; None if it is the last. `now` stands for the created
/// time of a later version that has none.
pub fn superseded(versions: &[Version], now: Timestamp) -> Vec<Option<Timestamp>> {
    let mut order: Vec<usize> = (0..versions.len()).collect();
    order.sort_unstable_by_key(|index| versions[*index].rank());
    let mut superseded = vec![None; versions.len()];
    // Created times ascend, so the first that is greater is the earliest; those without one come first.
    let mut next = versions.len();
    for at in (0..order.len()).rev() {
        let version = &versions[order[at]];
        if at + 1 < order.len() && version.is_superseded_by(&versions[order[at + 1]]) {
            next = at + 1;
        }
        let later = order.get(next).map(|index| versions[*index].created_time.unwrap_or(now));
        superseded[order[at]] = later;
    }
    superseded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 100;

    /// The versions that count at an instant: of those that are known, those that are not smaller than another; none if a retraction is among
    /// them.
    fn counting(versions: &[Version], instant: i64) -> Vec<usize> {
        let known_from = |version: &Version| version.created_time.map_or(NOW, |created| created.0);
        let known: Vec<usize> = (0..versions.len()).filter(|index| known_from(&versions[*index]) <= instant).collect();
        let rank = |index: &usize| (versions[*index].created_time, versions[*index].sequence);
        let Some(greatest) = known.iter().map(rank).max() else { return Vec::new() };
        let greatest: Vec<usize> = known.into_iter().filter(|index| rank(index) == greatest).collect();
        if greatest.iter().any(|index| versions[*index].retracted) { Vec::new() } else { greatest }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn the_greatest_known_version_counts(
            rows in proptest::collection::vec((proptest::option::of(0..5_i64), proptest::option::of(0..3_i64), any::<bool>()), 0..7),
        ) {
            let versions: Vec<Version> = rows
                .into_iter()
                .map(|(created, sequence, retracted)| Version { created_time: created.map(Timestamp), sequence, retracted })
                .collect();
            let superseded = superseded(&versions, Timestamp(NOW));
            for instant in [-1, 0, 1, 2, 3, 4, 5, NOW, NOW + 1] {
                let counts = |index: &usize| {
                    let version = &versions[*index];
                    let from = version.created_time.map_or(NOW, |created| created.0);
                    let until = superseded[*index].map_or(i64::MAX, |until| until.0);
                    !version.retracted && (from..until).contains(&instant)
                };
                let found: Vec<usize> = (0..versions.len()).filter(counts).collect();
                prop_assert_eq!(found, counting(&versions, instant), "{}", instant);
            }
        }
    }
}
