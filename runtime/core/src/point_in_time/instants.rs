//! The instants that labels ask for, by key.

use super::contest::CHUNK;
use crate::time::Timestamp;

/// For each group (a distinct key of the labels) its distinct instants, ascending. Each has a slot, and the slots of a group lie one after
/// another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instants {
    /// All groups' instants, one group after another.
    instants: Vec<Timestamp>,
    /// Where each group begins in `instants`, and at the end their number.
    starts: Vec<usize>,
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
        let mut starts = Vec::with_capacity(groups + 1);
        let mut begin = 0;
        for end in ends {
            let start = instants.len();
            starts.push(start);
            let of_group = &mut order[begin..end];
            of_group.sort_unstable();
            for (instant, label) in of_group {
                if instants[start..].last() != Some(instant) {
                    instants.push(*instant);
                }
                slots[*label as usize] = (instants.len() - 1) as u32;
            }
            begin = end;
        }
        starts.push(instants.len());
        instants.shrink_to_fit();
        (Instants { instants, starts }, slots)
    }

    /// Groups.
    pub fn groups(&self) -> usize {
        self.starts.len() - 1
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
        Some((self.starts.partition_point(|start| *start <= slot) - 1) as u32)
    }

    /// The slots of a group.
    pub fn of_group(&self, group: u32) -> std::ops::Range<usize> {
        self.starts[group as usize]..self.starts[group as usize + 1]
    }

    /// The instants of a group, ascending.
    pub fn instants_of(&self, group: u32) -> &[Timestamp] {
        &self.instants[self.of_group(group)]
    }

    /// The first slot of a group, and the one after its last.
    pub(super) fn bounds(&self, group: u32) -> (usize, usize) {
        (self.starts[group as usize], self.starts[group as usize + 1])
    }

    /// For each of at most [`CHUNK`] pairs of bounds the slot of the first instant that is not before `from`; the end, where all
    /// are or there is no `from`. The searches go step by step, all of them together, so that their waits for memory overlap.
    pub(super) fn first_of(&self, bounds: &[(usize, usize)], from: &[Option<Timestamp>; CHUNK]) -> [usize; CHUNK] {
        let mut found = [0; CHUNK];
        let mut sizes = [1; CHUNK];
        let mut largest = 1;
        for ((found, size), (start, end)) in found.iter_mut().zip(&mut sizes).zip(bounds) {
            (*found, *size) = (*start, (end - start).max(1));
            largest = largest.max(*size);
        }
        let sought = from.map(|from| from.unwrap_or(Timestamp::MAX));
        // A search that has come down to one instant stays at it.
        while largest > 1 {
            for ((found, size), sought) in found.iter_mut().zip(&mut sizes).zip(&sought).take(bounds.len()) {
                let half = *size / 2;
                let is_before = self.is_before(*found + half, *sought);
                // No branch: it would be mispredicted every other time.
                *found += half & usize::from(is_before).wrapping_neg();
                *size -= half;
            }
            largest -= largest / 2;
        }
        for (((found, (_, end)), sought), from) in found.iter_mut().zip(bounds).zip(&sought).zip(from) {
            *found = match from {
                // A group without a slot ends where it begins.
                Some(_) => (*found + usize::from(self.is_before(*found, *sought))).min(*end),
                None => *end,
            };
        }
        found
    }

    fn is_before(&self, slot: usize, time: Timestamp) -> bool {
        self.instants.get(slot).is_some_and(|instant| *instant < time)
    }

    /// The slot of the first instant of a group that is not before `from`; None if all are.
    pub fn first_from(&self, group: u32, from: Timestamp) -> Option<usize> {
        let slots = self.of_group(group);
        let before = self.instants[slots.clone()].partition_point(|instant| *instant < from);
        (before < slots.len()).then_some(slots.start + before)
    }

    /// The first and the last instant of all; None without labels.
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        let first = self.instants.iter().min()?;
        Some((*first, *self.instants.iter().max()?))
    }
}
