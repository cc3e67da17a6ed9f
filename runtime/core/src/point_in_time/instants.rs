//! The instants that labels ask for, by key.

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
        let count = u32::try_from(labels.len()).expect("labels are numbered in 32 bits");
        let mut order: Vec<u32> = (0..count).collect();
        order.sort_unstable_by_key(|label| labels[*label as usize]);

        let mut slots = vec![0; labels.len()];
        let mut instants: Vec<Timestamp> = Vec::new();
        let mut starts = Vec::with_capacity(groups + 1);
        let mut last = None;
        for label in order {
            let (group, instant) = labels[label as usize];
            assert!((group as usize) < groups, "group {group} of {groups}");
            if last != Some((group, instant)) {
                // Groups without a label are empty.
                starts.resize(group as usize + 1, instants.len());
                instants.push(instant);
                last = Some((group, instant));
            }
            slots[label as usize] = (instants.len() - 1) as u32;
        }
        starts.resize(groups + 1, instants.len());
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

    /// The instants of the slots from `start` to before `end`.
    pub(super) fn between(&self, start: usize, end: usize) -> &[Timestamp] {
        &self.instants[start..end]
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
