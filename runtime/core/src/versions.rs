//! Versions of one event: a correction has the event's id and a later created time, and so has the retraction that takes it back.
//!
//! At an instant, of the versions of an event that are known, the greatest by (created time, sequence) counts, and if that is a retraction, none does. So each
//! version is superseded when the next one is created. A version without a created time is smaller than any that has one. Versions that tie supersede
//! each other never: they are rows beside each other, and [`crate::order`] decides between them; but a retraction takes back those that it ties with.

//!
//! For windows every event counts once at most, so there is one order more: versions that tie are ordered by their contents, and of rows that are the same
//! through and through one counts ([`ends`]).

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef};

use crate::hash::Digest;
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

/// A version of an event for windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Where it stands among the others.
    pub version: Version,
    /// What it says ([`content`]).
    pub content: [u8; 16],
    /// From when on it is known.
    pub known: Timestamp,
}

impl Placed {
    /// What orders it among the versions of its event. Those of one rank are the same.
    pub fn rank(&self) -> impl Ord + use<> {
        (self.version.rank(), self.content)
    }
}

/// For each version of one event the instant from which on it no longer counts, since a greater one is known; None if it is the greatest. Of versions that
/// are the same that counts which was known first, and the others never do: they end at [`Timestamp::MIN`]. A retraction counts at no instant, whatever its end.
pub fn ends(versions: &[Placed]) -> Vec<Option<Timestamp>> {
    let mut order: Vec<usize> = (0..versions.len()).collect();
    order.sort_by(|a, b| {
        let (a, b) = (&versions[*a], &versions[*b]);
        a.rank().cmp(&b.rank()).then(a.known.cmp(&b.known))
    });
    let mut ends = vec![None; versions.len()];
    let mut later: Option<Timestamp> = None;
    for same in order.chunk_by(|a, b| versions[*a].rank() == versions[*b].rank()).rev() {
        ends[same[0]] = later;
        same[1..].iter().for_each(|index| ends[*index] = Some(Timestamp::MIN));
        let known = versions[same[0]].known;
        later = Some(later.map_or(known, |later| later.min(known)));
    }
    ends
}

/// What a version says: half of the SHA-256 of its entity's key, its event time, and the canonical bytes of its columns. A row that is set aside may have
/// neither key nor time.
pub fn content(key: Option<&[u8]>, event_time: Option<Timestamp>, row: &[u8]) -> [u8; 16] {
    let mut bytes = Vec::with_capacity(18 + key.map_or(0, <[u8]>::len) + row.len());
    bytes.push(u8::from(event_time.is_some()) | u8::from(key.is_some()) << 1);
    bytes.extend(event_time.map_or(0, |time| time.0).to_be_bytes());
    bytes.extend((key.map_or(0, <[u8]>::len) as u64).to_be_bytes());
    bytes.extend(key.unwrap_or_default());
    bytes.extend(row);
    half(&bytes)
}

/// The ids of rows, each as half of the SHA-256 of its text: an integer's digits, a binary's hexadecimal ones. None where a row has none, and is an event by
/// itself; `ids` is a column of strings, int64 or binary.
pub fn event_ids(ids: &ArrayRef) -> Vec<Option<[u8; 16]>> {
    let text = |row: usize| {
        if let Some(strings) = ids.as_string_opt::<i32>() {
            return half(strings.value(row).as_bytes());
        }
        if let Some(integers) = ids.as_primitive_opt::<Int64Type>() {
            return half(integers.value(row).to_string().as_bytes());
        }
        let bytes = ids.as_binary_opt::<i32>().map(|bytes| bytes.value(row)).unwrap_or_default();
        half(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().as_bytes())
    };
    (0..ids.len()).map(|row| ids.is_valid(row).then(|| text(row))).collect()
}

fn half(bytes: &[u8]) -> [u8; 16] {
    let Digest(digest) = Digest::of(bytes);
    std::array::from_fn(|index| digest[index])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 100;

    #[test]
    fn ids_are_texts_whatever_their_type() {
        use arrow_array::{BinaryArray, Int64Array, StringArray};
        let of = |array: ArrayRef| event_ids(&array);
        let texts = of(std::sync::Arc::new(StringArray::from(vec![Some("-7"), None, Some("0aff")])));
        assert_eq!(of(std::sync::Arc::new(Int64Array::from(vec![-7])))[0], texts[0]);
        assert_eq!(of(std::sync::Arc::new(BinaryArray::from(vec![&[10_u8, 255][..]])))[0], texts[2]);
        assert!(texts[1].is_none() && texts[0] != texts[2]);
        // What is not there is not what is empty.
        let none = content(None, None, b"x");
        assert!(none != content(Some(b""), None, b"x") && none != content(None, Some(Timestamp(0)), b"x"));
    }

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
        fn one_version_counts_at_each_instant(
            rows in proptest::collection::vec((proptest::option::of(0..3_i64), proptest::option::of(0..2_i64), any::<bool>(), 0..2_u8, 0..5_i64), 0..7),
        ) {
            let versions: Vec<Placed> = rows
                .into_iter()
                .map(|(created, sequence, retracted, content, known)| Placed {
                    version: Version { created_time: created.map(Timestamp), sequence, retracted },
                    content: [content; 16],
                    known: Timestamp(known),
                })
                .collect();
            let ends = ends(&versions);
            for instant in -1..7_i64 {
                let counts = |index: &usize| {
                    let until = ends[*index].map_or(i64::MAX, |until| until.0);
                    versions[*index].known.0 <= instant && instant < until
                };
                let found: Vec<usize> = (0..versions.len()).filter(counts).collect();
                // Of those that are known the greatest, by a loop.
                let known = versions.iter().filter(|version| version.known.0 <= instant);
                let greatest = known.map(|one| (one.version.created_time, one.version.sequence, one.version.retracted, one.content)).max();
                prop_assert_eq!(found.len(), usize::from(greatest.is_some()), "{}", instant);
                for index in found {
                    let one = &versions[index];
                    prop_assert_eq!(Some((one.version.created_time, one.version.sequence, one.version.retracted, one.content)), greatest);
                }
            }
        }

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
