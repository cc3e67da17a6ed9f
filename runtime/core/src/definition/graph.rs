//! The graph of views that read views: an order in which each comes after those that it reads, and circles, where there is none.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::ViewVersion;

/// What each view reads; only views that are written.
pub(super) type Edges = BTreeMap<ViewVersion, Vec<ViewVersion>>;

/// The views in an order.
pub(super) struct Ordered {
    /// Every view, each after all that it reads; those in a circle, or behind one, at the end.
    pub(super) order: Vec<ViewVersion>,
    /// Circles: each view reads the next one, the last reads the first. None shares a view with another.
    pub(super) circles: Vec<Vec<ViewVersion>>,
}

/// Orders views (Kahn 1962). The same edges give the same order: of views that could come next, the first by name and
/// version does. No recursion, so a long chain costs no stack.
pub(super) fn order(edges: &Edges) -> Ordered {
    let mut readers: BTreeMap<&ViewVersion, Vec<&ViewVersion>> = BTreeMap::new();
    let mut missing: BTreeMap<&ViewVersion, usize> = BTreeMap::new();
    for (view, reads) in edges {
        missing.insert(view, reads.len());
        for upstream in reads {
            readers.entry(upstream).or_default().push(view);
        }
    }
    let mut ready: BTreeSet<&ViewVersion> = edges.keys().filter(|view| missing[view] == 0).collect();
    let mut order = Vec::with_capacity(edges.len());
    while let Some(view) = ready.pop_first() {
        order.push(view.clone());
        for reader in readers.get(view).into_iter().flatten() {
            if let Some(count) = missing.get_mut(reader) {
                *count -= 1;
                if *count == 0 {
                    ready.insert(reader);
                }
            }
        }
    }
    let left: BTreeSet<&ViewVersion> = edges.keys().filter(|view| missing[view] > 0).collect();
    let circles = circles(edges, &left);
    order.extend(left.into_iter().cloned());
    Ordered { order, circles }
}

/// Circles among views each of which reads one of them at least.
fn circles(edges: &Edges, left: &BTreeSet<&ViewVersion>) -> Vec<Vec<ViewVersion>> {
    let mut circles = Vec::new();
    let mut seen: BTreeSet<&ViewVersion> = BTreeSet::new();
    for start in left {
        let mut path: Vec<&ViewVersion> = Vec::new();
        let mut view = *start;
        while seen.insert(view) {
            path.push(view);
            match edges[view].iter().find(|upstream| left.contains(upstream)) {
                Some(upstream) => view = upstream,
                None => break,
            }
        }
        // Where the walk came back to its own path, it went in a circle; else it ran into what an earlier walk saw.
        if let Some(first) = path.iter().position(|one| *one == view) {
            let mut circle: Vec<ViewVersion> = path[first..].iter().map(|view| (*view).clone()).collect();
            let least = (0..circle.len()).min_by_key(|index| &circle[*index]).unwrap_or(0);
            circle.rotate_left(least);
            circles.push(circle);
        }
    }
    circles
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn edges(of: &[(u32, &[u32])]) -> Edges {
        let id = |number: u32| ViewVersion::new("v", number);
        of.iter().map(|(view, reads)| (id(*view), reads.iter().map(|read| id(*read)).collect())).collect()
    }

    fn numbers(views: &[ViewVersion]) -> Vec<u32> {
        views.iter().map(|view| view.version).collect()
    }

    #[test]
    fn views_come_after_what_they_read() {
        let ordered = order(&edges(&[(1, &[3, 4]), (2, &[]), (3, &[4]), (4, &[]), (5, &[1])]));
        assert_eq!((numbers(&ordered.order), ordered.circles.len()), (vec![2, 4, 3, 1, 5], 0));
    }

    #[test]
    fn every_circle_is_found_once() {
        let ordered = order(&edges(&[(1, &[2]), (2, &[5, 3]), (3, &[2]), (4, &[4]), (5, &[]), (6, &[1])]));
        let circles: Vec<_> = ordered.circles.iter().map(|circle| numbers(circle)).collect();
        assert_eq!(circles, [vec![2, 3], vec![4]]);
        assert_eq!(numbers(&ordered.order), [5, 1, 2, 3, 4, 6]);
    }

    #[test]
    fn a_long_chain_costs_no_stack() {
        let chain = (1..=100_000).map(|view| {
            let reads = if view == 1 { vec![] } else { vec![ViewVersion::new("v", view - 1)] };
            (ViewVersion::new("v", view), reads)
        });
        let ordered = order(&chain.collect());
        assert!(ordered.order.iter().map(|view| view.version).eq(1..=100_000));
    }

    proptest! {
        /// Against the definition: with no circle every view comes after what it reads; with one, the circle's edges are there.
        #[test]
        fn orders_and_circles_are_what_they_say(pairs in prop::collection::btree_set((0_u32..8, 0_u32..8), 0..20)) {
            let id = |number: u32| ViewVersion::new("v", number);
            let mut edges: Edges = (0..8).map(|view| (id(view), vec![])).collect();
            pairs.iter().for_each(|(view, read)| edges.get_mut(&id(*view)).unwrap().push(id(*read)));
            let Ordered { order, circles } = order(&edges);
            let mut sorted = order.clone();
            sorted.sort();
            prop_assert!(sorted.iter().eq(edges.keys()));
            let position = |view: &ViewVersion| order.iter().position(|one| one == view);
            let acyclic = edges.iter().all(|(view, reads)| reads.iter().all(|read| position(read) < position(view)));
            prop_assert_eq!(acyclic, circles.is_empty());
            for circle in &circles {
                for (index, view) in circle.iter().enumerate() {
                    prop_assert!(edges[view].contains(&circle[(index + 1) % circle.len()]));
                }
            }
        }
    }
}
