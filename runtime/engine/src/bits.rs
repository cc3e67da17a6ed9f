//! Booleans: a bit each in Arrow, a byte each in the contract. Eight at a time, since one at a time costs more than most transforms.

use arrow_buffer::{BooleanBuffer, Buffer};

/// A byte of 0 or 1 for each bit.
pub(crate) fn unpack(bits: &BooleanBuffer) -> Vec<u8> {
    let rows = bits.len();
    // Starts at bit 0 whatever the slice; copied only where that is not so already.
    let packed = bits.sliced();
    let mut bytes = Vec::with_capacity(rows.next_multiple_of(8));
    for byte in &packed.as_slice()[..rows.div_ceil(8)] {
        bytes.extend_from_slice(&spread(*byte).to_le_bytes());
    }
    bytes.truncate(rows);
    bytes
}

/// A bit for each byte, which are all 0 or 1.
pub(crate) fn pack(bytes: &[u8]) -> BooleanBuffer {
    let (eights, rest) = bytes.as_chunks::<8>();
    let mut packed = Vec::with_capacity(bytes.len().div_ceil(8));
    packed.extend(eights.iter().map(|eight| gather(u64::from_le_bytes(*eight))));
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        packed.push(gather(u64::from_le_bytes(last)));
    }
    BooleanBuffer::new(Buffer::from_vec(packed), 0, bytes.len())
}

/// Bit i to the lowest bit of byte i.
fn spread(bits: u8) -> u64 {
    // Each byte gets a copy of all bits and keeps its own, which is then moved down to the lowest place: adding 0x7f carries any bit
    // into the highest.
    let own = (u64::from(bits) * 0x0101_0101_0101_0101) & 0x8040_2010_0804_0201;
    ((own + 0x7f7f_7f7f_7f7f_7f7f) >> 7) & 0x0101_0101_0101_0101
}

/// The lowest bit of byte i, which is 0 or 1, to bit i.
fn gather(bytes: u64) -> u8 {
    // The product has byte i's bit at place 56 + i, and nothing else reaches the highest byte: Hacker's Delight, 2nd edition, 7-5.
    (bytes.wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_spread_and_gathered() {
        for bits in 0..=u8::MAX {
            let bytes = spread(bits).to_le_bytes();
            for (index, byte) in bytes.iter().enumerate() {
                assert_eq!(*byte, bits >> index & 1, "bit {index} of {bits:#010b}");
            }
            assert_eq!(gather(u64::from_le_bytes(bytes)), bits);
        }
    }

    #[test]
    fn slices_of_any_length_come_back() {
        let bits: Vec<bool> = (0..67).map(|i| i * 7 % 3 == 0).collect();
        let whole = BooleanBuffer::from(bits.clone());
        for start in 0..20 {
            for end in start..bits.len() {
                let bytes = unpack(&whole.slice(start, end - start));
                assert_eq!(bytes, bits[start..end].iter().map(|bit| u8::from(*bit)).collect::<Vec<_>>());
                assert_eq!(pack(&bytes).iter().collect::<Vec<_>>(), bits[start..end]);
            }
        }
    }
}
