//! Pieces of an answer that stand in it several times: written once, and copied.

use tandem_core::feature_plan::Step;
use tandem_core::time::Timestamp;

use super::vectors::Vectors;

/// Texts by position.
pub(in crate::server) struct Texts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Texts {
    /// So many, each as it is written.
    pub(in crate::server) fn new(count: usize, write: impl Fn(usize, &mut Vec<u8>)) -> Texts {
        let (mut bytes, mut ends) = (Vec::new(), Vec::with_capacity(count));
        for index in 0..count {
            write(index, &mut bytes);
            ends.push(bytes.len());
        }
        Texts { bytes, ends }
    }

    /// How many there are.
    pub(in crate::server) fn len(&self) -> usize {
        self.ends.len()
    }

    /// # Panics
    ///
    /// If there are not so many.
    pub(in crate::server) fn get(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start..self.ends[index]]
    }
}

/// The event times of stored rows as texts, each written once however many features the row has.
pub(in crate::server) struct EventTimes {
    steps: Vec<Texts>,
    none: &'static [u8],
}

impl EventTimes {
    /// As `write` has them; `none` stands where there is none.
    pub(in crate::server) fn new(
        vectors: &Vectors,
        none: &'static [u8],
        write: impl Fn(Timestamp, &mut Vec<u8>),
    ) -> EventTimes {
        let steps = (0..vectors.service.plan.stored.len()).map(|step| {
            let rows = vectors.found(step);
            Texts::new(rows.len(), |row, out| match &rows[row].record {
                Some(record) => write(record.event_time, out),
                None => out.extend_from_slice(none),
            })
        });
        EventTimes { steps: steps.collect(), none }
    }

    /// That of a feature of a row.
    pub(in crate::server) fn get(&self, vectors: &Vectors, column: usize, row: usize) -> &[u8] {
        match vectors.service.plan.columns[column].from.step {
            Step::Stored(step) => self.steps[step].get(vectors.place(column, row)),
            Step::Computed(_) => self.none,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_where_they_were_written() {
        let texts = Texts::new(4, |index, out| out.extend_from_slice(&b"abc"[..index]));
        assert_eq!((0..4).map(|index| texts.get(index)).collect::<Vec<_>>(), [&b""[..], b"a", b"ab", b"abc"]);
    }
}
