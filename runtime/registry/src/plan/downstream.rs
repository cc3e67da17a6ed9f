//! Who uses a view, directly or through others.

use std::collections::{BTreeMap, BTreeSet};

use tandem_core::model::ViewVersion;

use super::{Consumer, Definitions};

/// From each view to those that use it directly.
pub(super) struct Graph {
    consumers: BTreeMap<ViewVersion, BTreeSet<Consumer>>,
}

impl Graph {
    pub(super) fn new<const N: usize>(all: [&Definitions; N]) -> Graph {
        let mut consumers: BTreeMap<ViewVersion, BTreeSet<Consumer>> = BTreeMap::new();
        let mut add = |view: &ViewVersion, consumer: Consumer| {
            consumers.entry(view.clone()).or_default().insert(consumer);
        };
        for definitions in all {
            for (id, bound) in &definitions.views {
                bound.view.upstream().into_iter().for_each(|upstream| add(upstream, Consumer::View(id.clone())));
            }
            for (name, service) in &definitions.services {
                service.features.iter().for_each(|features| add(&features.view, Consumer::Service(name.clone())));
            }
            for alias in definitions.aliases.values() {
                add(&alias.target(), Consumer::Alias(alias.to_string()));
            }
        }
        Graph { consumers }
    }

    /// Those that use the view directly, sorted.
    pub(super) fn direct(&self, view: &ViewVersion) -> Vec<Consumer> {
        self.consumers.get(view).into_iter().flatten().cloned().collect()
    }

    /// Those that use the view directly or through others, sorted.
    pub(super) fn downstream(&self, view: &ViewVersion) -> Vec<Consumer> {
        let mut found: BTreeSet<Consumer> = BTreeSet::new();
        let mut waiting = vec![view];
        while let Some(view) = waiting.pop() {
            for consumer in self.consumers.get(view).into_iter().flatten() {
                if found.insert(consumer.clone())
                    && let Consumer::View(view) = consumer
                {
                    waiting.push(view);
                }
            }
        }
        found.into_iter().collect()
    }
}
