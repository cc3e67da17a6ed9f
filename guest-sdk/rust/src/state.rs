//! What an aggregate keeps of events, as bytes.

use std::collections::{BTreeMap, BTreeSet};

use crate::Timestamp;

/// What can be kept as bytes, always the same bytes for the same value. Derived for a struct whose fields all are: `#[derive(State)]`.
///
/// There is none for `HashMap` and `HashSet`, whose order is another one each time: use `BTreeMap` and `BTreeSet`. A floating-point NaN has one form.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be kept in a state",
    label = "not the type of a field of a state",
    note = "a state is made of `bool`, `i64`, `u64`, `i128`, `f64`, `Timestamp`, `String`, `Option`, `Vec`, `[T; N]`, `BTreeMap`, \
            `BTreeSet`, and structs with `#[derive(State)]` of them"
)]
pub trait State: Sized {
    /// Appends its bytes.
    fn write(&self, out: &mut Vec<u8>);

    /// Reads what [`State::write`] wrote off the front of `bytes`; none for other bytes.
    fn read(bytes: &mut &[u8]) -> Option<Self>;

    /// Its bytes.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    /// What [`State::to_bytes`] gave; none for other bytes.
    fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        Self::read(&mut bytes).filter(|_| bytes.is_empty())
    }
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(head)
}

macro_rules! number {
    ($($type:ty),+) => {
        $(impl State for $type {
            #[inline]
            fn write(&self, out: &mut Vec<u8>) {
                out.extend(self.to_le_bytes());
            }

            #[inline]
            fn read(bytes: &mut &[u8]) -> Option<Self> {
                take(bytes, size_of::<Self>())?.try_into().ok().map(<$type>::from_le_bytes)
            }
        })+
    };
}

number!(i64, u64, i128);

impl State for f64 {
    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        let canonical = if self.is_nan() { f64::from_bits(0x7ff8_0000_0000_0000) } else { *self };
        out.extend(canonical.to_bits().to_le_bytes());
    }

    #[inline]
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        u64::read(bytes).map(f64::from_bits)
    }
}

impl State for bool {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        match take(bytes, 1)? {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }
}

impl State for Timestamp {
    fn write(&self, out: &mut Vec<u8>) {
        self.micros().write(out);
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        i64::read(bytes).map(Timestamp::from_micros)
    }
}

fn write_length(length: usize, out: &mut Vec<u8>) {
    // A component has 32-bit memory.
    out.extend((length as u32).to_le_bytes());
}

fn read_length(bytes: &mut &[u8]) -> Option<usize> {
    take(bytes, 4)?.try_into().ok().map(|length| u32::from_le_bytes(length) as usize)
}

impl State for String {
    fn write(&self, out: &mut Vec<u8>) {
        write_length(self.len(), out);
        out.extend(self.as_bytes());
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let length = read_length(bytes)?;
        String::from_utf8(take(bytes, length)?.to_vec()).ok()
    }
}

impl<T: State> State for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        self.is_some().write(out);
        self.iter().for_each(|value| value.write(out));
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        if bool::read(bytes)? { T::read(bytes).map(Some) } else { Some(None) }
    }
}

impl<T: State> State for Vec<T> {
    fn write(&self, out: &mut Vec<u8>) {
        write_length(self.len(), out);
        self.iter().for_each(|item| item.write(out));
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        // Nothing is reserved for a length that the bytes do not bear out.
        (0..read_length(bytes)?).map(|_| T::read(bytes)).collect()
    }
}

impl<T: State, const N: usize> State for [T; N] {
    fn write(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|item| item.write(out));
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let items: Option<Vec<T>> = (0..N).map(|_| T::read(bytes)).collect();
        items?.try_into().ok()
    }
}

impl<K: State + Ord, V: State> State for BTreeMap<K, V> {
    fn write(&self, out: &mut Vec<u8>) {
        write_length(self.len(), out);
        self.iter().for_each(|(key, value)| {
            key.write(out);
            value.write(out);
        });
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        (0..read_length(bytes)?).map(|_| Some((K::read(bytes)?, V::read(bytes)?))).collect()
    }
}

impl<T: State + Ord> State for BTreeSet<T> {
    fn write(&self, out: &mut Vec<u8>) {
        write_length(self.len(), out);
        self.iter().for_each(|item| item.write(out));
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        (0..read_length(bytes)?).map(|_| T::read(bytes)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_their_bytes() {
        fn holds<T: State + PartialEq + std::fmt::Debug>(value: T, bytes: &[u8]) {
            assert_eq!(value.to_bytes(), bytes);
            assert_eq!(T::from_bytes(bytes), Some(value));
            assert_eq!(T::from_bytes(&[bytes, &[0]].concat()), None, "more");
            assert!(bytes.is_empty() || T::from_bytes(&bytes[..bytes.len() - 1]).is_none(), "less");
        }
        holds(-2_i64, &[254, 255, 255, 255, 255, 255, 255, 255]);
        holds(true, &[1]);
        holds(Some("é".to_owned()), &[1, 2, 0, 0, 0, 0xc3, 0xa9]);
        holds(None::<i64>, &[0]);
        holds(vec![1_u64, 2], &[2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
        holds([false, true], &[0, 1]);
        holds(BTreeSet::from([true, false]), &[2, 0, 0, 0, 0, 1]);
        holds(BTreeMap::from([(Timestamp::from_micros(1), false)]), &[1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!((-f64::NAN).to_bytes(), f64::NAN.to_bytes());
        assert_eq!(bool::from_bytes(&[2]), None);
        assert_eq!(String::from_bytes(&[1, 0, 0, 0, 0xff]), None);
    }
}
