//! The entities that are asked for, as the bytes of their keys.

use std::ops::Range;

use arrow_array::ArrayRef;
use hashbrown::HashMap;
use tandem_core::key::{KeyEncoder, KeyError};
use tandem_core::model::{BoundView, JoinKey};

/// Keys by position, all in one piece of memory.
#[derive(Debug, Default)]
pub(super) struct Keys {
    bytes: Vec<u8>,
    /// Where each lies; None is what has a null or NaN.
    spans: Vec<Option<Range<usize>>>,
}

impl Keys {
    /// Those of rows: one column for each join key of the view.
    pub(super) fn of_rows(view: &BoundView, columns: &[ArrayRef]) -> Result<Keys, KeyError> {
        let join_keys: Vec<JoinKey> = view.view.join_keys().cloned().collect();
        let encoder = KeyEncoder::new(&join_keys, columns)?;
        let mut keys = Keys { bytes: Vec::new(), spans: Vec::with_capacity(encoder.rows()) };
        for row in 0..encoder.rows() {
            let start = keys.bytes.len();
            let is_key = encoder.encode_into(row, &mut keys.bytes);
            keys.spans.push(is_key.then_some(start..keys.bytes.len()));
        }
        Ok(keys)
    }

    /// Each of them once, in the order in which they first stand, and for each position that of its key among those; None where all differ.
    pub(super) fn distinct(mut self) -> (Keys, Option<Vec<u32>>) {
        if self.spans.len() <= 1 {
            return (self, None);
        }
        let (firsts, places) = self.firsts();
        if firsts.len() == places.len() {
            return (self, None);
        }
        self.spans = firsts.iter().map(|position| self.spans[*position].clone()).collect();
        (self, Some(places))
    }

    /// The positions at which a key stands first, and for each position which of these has its key.
    fn firsts(&self) -> (Vec<usize>, Vec<u32>) {
        let mut known = HashMap::with_capacity(self.spans.len());
        let mut firsts = Vec::with_capacity(self.spans.len());
        let places = self.iter().enumerate().map(|(position, key)| {
            *known.entry(key).or_insert_with(|| {
                firsts.push(position);
                firsts.len() as u32 - 1
            })
        });
        let places = places.collect();
        (firsts, places)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Option<&[u8]>> {
        self.spans.iter().map(|span| Some(&self.bytes[span.clone()?]))
    }

    /// Those that are keys.
    pub(super) fn whole(&self) -> impl Iterator<Item = &[u8]> {
        self.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(of: &[Option<&str>]) -> Keys {
        let mut keys = Keys::default();
        for key in of {
            let start = keys.bytes.len();
            keys.bytes.extend_from_slice(key.unwrap_or_default().as_bytes());
            keys.spans.push(key.map(|_| start..keys.bytes.len()));
        }
        keys
    }

    #[test]
    fn each_key_stands_once_where_it_stands_first() {
        let all = [Some("b"), None, Some("a"), Some("b"), Some(""), None, Some("a")];
        let (distinct, places) = keys(&all).distinct();
        let distinct: Vec<_> = distinct.iter().collect();
        assert_eq!(distinct, [Some(&b"b"[..]), None, Some(b"a"), Some(b"")]);
        assert_eq!(places.as_deref(), Some(&[0, 1, 2, 0, 3, 1, 2][..]));

        for different in [&[Some("a"), None, Some("")][..], &[Some("a")], &[None], &[]] {
            let (distinct, places) = keys(different).distinct();
            let expected = different.iter().map(|key| key.map(str::as_bytes));
            assert!(distinct.iter().eq(expected) && places.is_none(), "{different:?}");
            assert_eq!(distinct.whole().count(), different.iter().flatten().count());
        }
    }
}
