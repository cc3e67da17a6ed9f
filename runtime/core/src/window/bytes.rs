//! Reading encoded states.

/// The next `N` bytes, which `bytes` loses.
pub(super) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_at_checked(N)?;
    *bytes = rest;
    head.try_into().ok()
}

/// The next eight bytes.
pub(super) fn eight(bytes: &mut &[u8]) -> Option<[u8; 8]> {
    take(bytes)
}

/// A length of four bytes, little-endian.
pub(super) fn length(bytes: &mut &[u8]) -> Option<usize> {
    take(bytes).map(|four| u32::from_le_bytes(four) as usize)
}

/// A length, and as many bytes.
pub(super) fn sized<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = length(bytes)?;
    let (head, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(head)
}

/// Appends a length and the bytes.
pub(super) fn push_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u32).to_le_bytes());
    out.extend(bytes);
}
