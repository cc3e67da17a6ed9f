//! Which events are read, of whom, and for which instants.

use tandem_core::model::JoinKey;
use tandem_core::point_in_time::{Instants, Rules};
use tandem_core::time::Timestamp;

use super::super::groups::Groups;
use super::super::history::History;
use super::super::labels::LabelKeys;
use super::Superseded;

/// The events of a view of aggregates.
#[derive(Clone, Copy)]
pub(super) struct EventsOf<'a> {
    pub(super) history: &'a History,
    pub(super) superseded: &'a Superseded,
    /// What decides when an event is known.
    pub(super) rules: Rules,
    /// Rows that are read at a time.
    pub(super) batch_rows: usize,
}

/// The entities that are asked about.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) join_keys: &'a [JoinKey],
    pub(super) groups: &'a Groups,
    at: At<'a>,
}

#[derive(Clone, Copy)]
enum At<'a> {
    /// Each at the instants of its labels.
    Labels(&'a Instants),
    /// All at the same instants, which ascend.
    Grid(&'a [Timestamp]),
}

impl<'a> Asked<'a> {
    pub(super) fn by_labels(keys: &'a LabelKeys) -> Self {
        Asked { join_keys: keys.join_keys(), groups: &keys.groups, at: At::Labels(&keys.instants) }
    }

    pub(super) fn on_grid(join_keys: &'a [JoinKey], groups: &'a Groups, instants: &'a [Timestamp]) -> Self {
        Asked { join_keys, groups, at: At::Grid(instants) }
    }

    /// How many entities there are.
    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    /// The instants at which an entity is asked about, ascending.
    pub(super) fn instants_of(&self, group: u32) -> &'a [Timestamp] {
        match self.at {
            At::Labels(instants) => instants.instants_of(group),
            At::Grid(instants) => instants,
        }
    }

    /// The first and the last instant of all; None where nothing is asked.
    pub(super) fn span(&self) -> Option<(Timestamp, Timestamp)> {
        match self.at {
            At::Labels(instants) => instants.span(),
            At::Grid(instants) => Some((*instants.first()?, *instants.last()?)),
        }
    }
}
