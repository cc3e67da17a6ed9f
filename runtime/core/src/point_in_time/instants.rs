//! The instants that labels ask for, by key.

use super::contest::CHUNK;
use crate::time::Timestamp;

/// For each group (a distinct key of the labels) its distinct instants, ascending. Each has a slot, and the slots of a group lie one after
/// another.
///
/// An instant is found by interpolation: the time from a group's first instant to its last is divided into as many buckets as the group has instants, and a table
/// says where each bucket begins. Where instants are spread evenly a search reads three places, however many there are; where they lie
/// together in few buckets, it halves what is in one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instants {
    /// All groups' instants, one group after another.
    instants: Vec<Timestamp>,
    groups: Vec<Group>,
    /// At the first slot of a group and as many further places as it has slots: the first slot that lies in no bucket before this one. At the end the
    /// number of slots, so that what is behind a bucket's place is where the bucket ends.
    buckets: Vec<u32>,
}

/// Where a group's slots lie, and how its time is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Group {
    first: Timestamp,
    /// Buckets a microsecond, in units of 2^-63: at most one.
    scale: u64,
    start: u32,
    end: u32,
}

impl Group {
    /// Of these instants, ascending and each once, of which the first has the slot `start`.
    fn new(instants: &[Timestamp], start: usize) -> Self {
        let (first, last) = match instants {
            [] => (Timestamp::MIN, Timestamp::MIN),
            [first, ..] => (*first, instants[instants.len() - 1]),
        };
        let span = 1 + u128::from(first.0.abs_diff(last.0));
        // Instants that differ are no more than the microseconds that they span.
        let scale = ((instants.len() as u128) << 63) / span;
        Group { first, scale: scale as u64, start: start as u32, end: (start + instants.len()) as u32 }
    }

    /// The bucket of a time that is not before the first instant: later ones have no lesser bucket. Times behind the last instant may lie behind the last bucket.
    fn bucket(&self, time: Timestamp) -> u64 {
        ((u128::from(time.0.abs_diff(self.first.0)) * u128::from(self.scale)) >> 63) as u64
    }

    /// The place of the bucket that a time lies in; the end, if that is behind all, or there is none.
    fn place(&self, time: Timestamp) -> u32 {
        let bucket = if time > self.first { self.bucket(time) } else { 0 };
        // A time far behind the last instant lies beyond all buckets that have a number.
        self.start.saturating_add(u32::try_from(bucket).unwrap_or(u32::MAX)).min(self.end)
    }
}

impl Instants {
    /// Indexes labels, each of a group below `groups` and an instant. The second part has the slot of each label, in their order.
    ///
    /// # Panics
    ///
    /// If a label's group is not below `groups`, or there are more than `u32::MAX` labels: the caller numbers them.
    pub fn of(groups: usize, labels: &[(u32, Timestamp)]) -> (Self, Vec<u32>) {
        assert!(u32::try_from(labels.len()).is_ok(), "labels are numbered in 32 bits");
        // Labels to their groups first: what is left to be sorted is short.
        let mut ends = vec![0; groups];
        for (group, _) in labels {
            assert!((*group as usize) < groups, "group {group} of {groups}");
            ends[*group as usize] += 1;
        }
        let mut end = 0;
        for place in &mut ends {
            end += std::mem::replace(place, end);
        }
        // From here on each is where the group's next label goes, and in the end where the group ends.
        let mut order = vec![(Timestamp::MIN, 0_u32); labels.len()];
        for (label, (group, instant)) in labels.iter().enumerate() {
            let place = &mut ends[*group as usize];
            order[*place] = (*instant, label as u32);
            *place += 1;
        }

        let mut slots = vec![0; labels.len()];
        let mut instants: Vec<Timestamp> = Vec::with_capacity(labels.len());
        let mut known = Vec::with_capacity(groups);
        let mut begin = 0;
        for end in ends {
            let start = instants.len();
            let of_group = &mut order[begin..end];
            of_group.sort_unstable();
            for (instant, label) in of_group {
                if instants[start..].last() != Some(instant) {
                    instants.push(*instant);
                }
                slots[*label as usize] = (instants.len() - 1) as u32;
            }
            known.push(Group::new(&instants[start..], start));
            begin = end;
        }
        instants.shrink_to_fit();
        let buckets = buckets(&instants, &known);
        (Instants { instants, groups: known, buckets }, slots)
    }

    /// Groups.
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Slots.
    pub fn slots(&self) -> usize {
        self.instants.len()
    }

    /// The instant of a slot.
    pub fn instant(&self, slot: usize) -> Timestamp {
        self.instants[slot]
    }

    /// The group of a slot; None if there is no such slot.
    pub fn group_of(&self, slot: usize) -> Option<u32> {
        if slot >= self.slots() {
            return None;
        }
        // The last group that begins at or before it; groups without a slot begin where the next one does.
        Some((self.groups.partition_point(|group| group.start as usize <= slot) - 1) as u32)
    }

    /// The slots of a group.
    pub fn of_group(&self, group: u32) -> std::ops::Range<usize> {
        let Group { start, end, .. } = self.groups[group as usize];
        start as usize..end as usize
    }

    /// The instants of a group, ascending.
    pub fn instants_of(&self, group: u32) -> &[Timestamp] {
        &self.instants[self.of_group(group)]
    }

    /// For each of at most [`CHUNK`] groups the slot of the first instant that is not before `from`, and the slot after the group's last; the latter for both,
    /// where all are before it or there is no `from`. Each step is taken for all of them before the next, so that their waits for memory overlap.
    pub(super) fn first_of(
        &self,
        groups: impl Iterator<Item = u32>,
        from: &[Option<Timestamp>; CHUNK],
    ) -> [(usize, usize); CHUNK] {
        let mut found = [(0, 0); CHUNK];
        let mut bounds = [(0_u32, 0_u32); CHUNK];
        let mut chunk = 0;
        for (((found, bounds), from), group) in found.iter_mut().zip(&mut bounds).zip(from).zip(groups) {
            let group = &self.groups[group as usize];
            found.1 = group.end as usize;
            // A place in the table, or none.
            *bounds = match from {
                Some(from) => (group.place(*from), group.end),
                None => (group.end, group.end),
            };
            chunk += 1;
        }
        for bounds in &mut bounds[..chunk] {
            *bounds = self.bucket(bounds.0, bounds.1);
        }
        let sought = from.map(|from| from.unwrap_or(Timestamp::MAX));
        for ((first, end), sought) in bounds[..chunk].iter_mut().zip(&sought) {
            // No branch: it would be mispredicted every other time.
            *first += u32::from(*first < *end && self.is_before(*first, *sought));
        }
        for ((found, (first, end)), sought) in found.iter_mut().zip(&bounds[..chunk]).zip(&sought) {
            found.0 = *first as usize;
            if first < end {
                let rest = &self.instants[*first as usize..*end as usize];
                found.0 += rest.partition_point(|instant| instant < sought);
            }
        }
        found
    }

    /// The slots of the bucket at a place of the table, of a group that ends at `end`; none behind its last bucket.
    fn bucket(&self, place: u32, end: u32) -> (u32, u32) {
        if place < end { (self.buckets[place as usize], self.buckets[place as usize + 1]) } else { (end, end) }
    }

    fn is_before(&self, slot: u32, time: Timestamp) -> bool {
        self.instants.get(slot as usize).is_some_and(|instant| *instant < time)
    }

    /// The slot of the first instant of a group that is not before `from`; None if all are.
    pub fn first_from(&self, group: u32, from: Timestamp) -> Option<usize> {
        let group = &self.groups[group as usize];
        let (first, end) = self.bucket(group.place(from), group.end);
        let of_bucket = &self.instants[first as usize..end as usize];
        let found = first as usize + of_bucket.partition_point(|instant| *instant < from);
        (found < group.end as usize).then_some(found)
    }

    /// The first and the last instant of all; None without labels.
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        let first = self.instants.iter().min()?;
        Some((*first, *self.instants.iter().max()?))
    }
}

/// The first slot of each bucket of the groups, and at the end the number of slots.
fn buckets(instants: &[Timestamp], groups: &[Group]) -> Vec<u32> {
    let mut buckets = Vec::with_capacity(instants.len() + 1);
    for group in groups {
        for slot in group.start..group.end {
            // What was not reached yet begins here.
            let place = group.place(instants[slot as usize]) as usize;
            while buckets.len() <= place {
                buckets.push(slot);
            }
        }
        buckets.resize(group.end as usize, group.end);
    }
    buckets.push(instants.len() as u32);
    buckets
}
