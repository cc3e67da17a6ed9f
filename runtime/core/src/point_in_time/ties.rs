//! Lists of rows that tie.

/// No list.
pub(super) const NONE: u32 = u32::MAX;

/// A row, and up to two lists that go on from it.
#[derive(Debug, Clone, Copy)]
struct Node {
    row: u64,
    first: u32,
    second: u32,
}

/// Lists of rows that share their ends: what ties in many slots is kept once, and two lists become one in one step.
#[derive(Debug, Default)]
pub(super) struct Ties(Vec<Node>);

impl Ties {
    /// Bytes of a row that ties.
    pub(super) const BYTES_OF_ROW: usize = size_of::<Node>();

    /// A row and the rows of two lists.
    pub(super) fn with(&mut self, row: u64, first: u32, second: u32) -> u32 {
        let index = u32::try_from(self.0.len()).ok().filter(|index| *index != NONE).expect("fewer than 2^32 - 1 ties");
        self.0.push(Node { row, first, second });
        index
    }

    /// Takes over another's lists; what they are called by from now on.
    pub(super) fn absorb(&mut self, other: Ties) -> impl Fn(u32) -> u32 + use<> {
        let offset = self.0.len();
        assert!(offset + other.0.len() < NONE as usize, "fewer than 2^32 - 1 ties");
        let moved = move |list: u32| if list == NONE { NONE } else { list + offset as u32 };
        let nodes = other.0.into_iter();
        self.0.extend(nodes.map(|node| Node { first: moved(node.first), second: moved(node.second), ..node }));
        moved
    }

    /// The rows of a list, in no order.
    pub(super) fn rows(&self, list: u32) -> Vec<u64> {
        let mut rows = Vec::new();
        let mut lists = vec![list];
        while let Some(list) = lists.pop() {
            if let Some(node) = self.0.get(list as usize) {
                rows.push(node.row);
                lists.extend([node.first, node.second]);
            }
        }
        rows
    }

    /// Rows that are kept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
