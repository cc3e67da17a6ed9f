//! Offsets of rows into what lies behind them.

use crate::error::CallError;

/// Checks the contract's promise: the first offset is 0, none is smaller than the one before, the last is the end.
pub(super) fn check(offsets: &[u32], end: usize, things: &str) -> Result<(), CallError> {
    let (Some(&first), Some(&last)) = (offsets.first(), offsets.last()) else {
        return Err(CallError::new("no offsets, at least one expected"));
    };
    if first != 0 || last as usize != end {
        return Err(CallError::new(format!("offsets from {first} to {last}, expected from 0 to {end} ({things})")));
    }
    // No early exit, so that the loop is vectorised.
    let ordered = offsets.iter().zip(&offsets[1..]).fold(true, |ordered, (start, end)| ordered & (start <= end));
    if !ordered {
        return Err(CallError::new("an offset is smaller than the one before"));
    }
    Ok(())
}

/// Where a row lies.
#[inline]
pub(super) fn range(offsets: &[u32], row: usize) -> std::ops::Range<usize> {
    offsets[row] as usize..offsets[row + 1] as usize
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn wrong_offsets_are_named() {
        assert!(check(&[0], 0, "bytes").is_ok());
        assert!(check(&[0, 0, 3, 3, 7], 7, "bytes").is_ok());
        for (offsets, end, message) in [
            (&[][..], 0, "no offsets, at least one expected"),
            (&[1, 3], 3, "offsets from 1 to 3, expected from 0 to 3 (bytes)"),
            (&[0, 2], 3, "offsets from 0 to 2, expected from 0 to 3 (bytes)"),
            (&[0, 2, 1, 3], 3, "an offset is smaller than the one before"),
        ] {
            assert_eq!(check(offsets, end, "bytes").unwrap_err().to_string(), message);
        }
    }
}
