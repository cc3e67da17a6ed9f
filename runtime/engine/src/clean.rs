//! What both directions of the boundary owe: nothing under a null can be seen, and there is one NaN.

use arrow_array::{Array, ArrayRef, UInt32Array};
use arrow_buffer::{ArrowNativeType, Buffer, NullBuffer, ScalarBuffer};

/// A float that may be NaN.
pub(crate) trait Float: ArrowNativeType {
    /// Whether it is a NaN.
    fn is_nan(self) -> bool;
    /// Whether it is a NaN with other bits than the canonical one.
    fn is_stray_nan(self) -> bool;
    /// The canonical NaN: quiet, positive, no payload.
    const NAN: Self;
}

impl Float for f64 {
    fn is_nan(self) -> bool {
        f64::is_nan(self)
    }

    fn is_stray_nan(self) -> bool {
        self.is_nan() && self.to_bits() != Self::NAN.to_bits()
    }
    const NAN: f64 = f64::from_bits(0x7ff8_0000_0000_0000);
}

impl Float for f32 {
    fn is_nan(self) -> bool {
        f32::is_nan(self)
    }

    fn is_stray_nan(self) -> bool {
        self.is_nan() && self.to_bits() != <f32 as Float>::NAN.to_bits()
    }
    const NAN: f32 = f32::from_bits(0x7fc0_0000);
}

/// The values with canonical NaNs; copied only where one is not.
pub(crate) fn canonical_nans<T: Float>(values: ScalarBuffer<T>) -> ScalarBuffer<T> {
    // No early exit, and nothing but a comparison of each value with itself: so the loop vectorises. NaN is rare, a stray one more so.
    let any_nan = values.iter().fold(false, |nan, value| nan | value.is_nan());
    if !any_nan || !values.iter().any(|value| value.is_stray_nan()) {
        return values;
    }
    values.iter().map(|value| if value.is_stray_nan() { T::NAN } else { *value }).collect()
}

/// The values with zero in the `width` slots of each null row.
pub(crate) fn zeroed<T: ArrowNativeType>(
    values: ScalarBuffer<T>,
    width: usize,
    nulls: Option<&NullBuffer>,
) -> ScalarBuffer<T> {
    let Some(nulls) = nulls.filter(|nulls| nulls.null_count() > 0) else { return values };
    let mut values = Vec::from(&values[..]);
    for row in 0..nulls.len() {
        if nulls.is_null(row) {
            values[row * width..(row + 1) * width].fill(T::default());
        }
    }
    values.into()
}

/// Offsets that begin at 0, with null rows of zero length, and how to come by the items they now point to.
pub(crate) struct Compacted {
    pub(crate) offsets: ScalarBuffer<u32>,
    pub(crate) kept: Kept,
}

/// The items that offsets point to.
pub(crate) enum Kept {
    /// One run: from, length.
    Run(usize, usize),
    /// Several runs: (from, length) of each.
    Runs(Vec<(usize, usize)>),
}

/// Compacts offsets. They must be checked already: at least one, never decreasing.
pub(crate) fn compact(offsets: ScalarBuffer<u32>, nulls: Option<&NullBuffer>) -> Compacted {
    let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
    let hidden = nulls
        .filter(|nulls| nulls.null_count() > 0)
        .filter(|nulls| (0..nulls.len()).any(|row| nulls.is_null(row) && offsets[row] != offsets[row + 1]));
    let Some(nulls) = hidden else {
        let kept = Kept::Run(first as usize, (last - first) as usize);
        let offsets = if first == 0 { offsets } else { offsets.iter().map(|offset| offset - first).collect() };
        return Compacted { offsets, kept };
    };
    let mut compacted = Vec::with_capacity(offsets.len());
    let mut runs: Vec<(usize, usize)> = Vec::new();
    let mut end = 0;
    compacted.push(0);
    for row in 0..nulls.len() {
        let (from, length) = (offsets[row] as usize, (offsets[row + 1] - offsets[row]) as usize);
        if nulls.is_valid(row) && length > 0 {
            match runs.last_mut() {
                Some((start, run)) if *start + *run == from => *run += length,
                _ => runs.push((from, length)),
            }
            end += length as u32;
        }
        compacted.push(end);
    }
    Compacted { offsets: compacted.into(), kept: Kept::Runs(runs) }
}

impl Kept {
    /// The kept bytes of `data`.
    pub(crate) fn bytes(&self, data: &Buffer) -> Buffer {
        match self {
            Kept::Run(from, length) => data.slice_with_length(*from, *length),
            Kept::Runs(runs) => {
                let mut kept = Vec::with_capacity(runs.iter().map(|run| run.1).sum());
                runs.iter().for_each(|(from, length)| kept.extend_from_slice(&data[*from..from + length]));
                Buffer::from_vec(kept)
            }
        }
    }

    /// The kept items of `items`.
    pub(crate) fn items(&self, items: &ArrayRef) -> ArrayRef {
        match self {
            Kept::Run(from, length) => items.slice(*from, *length),
            Kept::Runs(runs) => {
                let indices: UInt32Array =
                    runs.iter().flat_map(|(from, length)| *from as u32..(from + length) as u32).collect();
                arrow_select::take::take(items, &indices, None).expect("the runs lie within the items")
            }
        }
    }
}

/// The buffer of i32 offsets as u32: Arrow's offsets are never negative.
pub(crate) fn unsigned(offsets: &ScalarBuffer<i32>) -> ScalarBuffer<u32> {
    ScalarBuffer::from(offsets.inner().clone())
}
