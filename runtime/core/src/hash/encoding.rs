//! The canonical typed encoding that definition hashes are taken over.
//!
//! Every value is one tag byte and a payload of known length, numbers big-endian, lengths as u64. So no two different
//! values have the same bytes, and no value's bytes begin another's.
//!
//! | tag | value | payload |
//! | --- | --- | --- |
//! | 0 | absent | none |
//! | 1 | boolean | one byte, 0 or 1 |
//! | 2 | unsigned integer | 8 bytes |
//! | 3 | signed integer | 8 bytes, two's complement |
//! | 4 | float | 8 bytes, IEEE 754 binary64 |
//! | 5 | text | length, UTF-8 |
//! | 6 | bytes | length, bytes |
//! | 7 | list | count, the items |
//! | 8 | record | count, then name (length, UTF-8) and value of each field |

/// A value to encode.
pub(super) enum Item {
    Boolean(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Item>),
    /// Fields in the order in which they are hashed.
    Record(Vec<(String, Item)>),
    Absent,
}

impl Item {
    /// A text.
    pub(super) fn text(text: impl Into<String>) -> Item {
        Item::Text(text.into())
    }

    /// The item of a value that may be absent.
    pub(super) fn optional<T>(value: Option<T>, item: impl FnOnce(T) -> Item) -> Item {
        value.map_or(Item::Absent, item)
    }

    /// A list.
    pub(super) fn list<T>(values: impl IntoIterator<Item = T>, item: impl Fn(T) -> Item) -> Item {
        Item::List(values.into_iter().map(item).collect())
    }

    /// A record whose fields have these names.
    pub(super) fn record<const N: usize>(fields: [(&str, Item); N]) -> Item {
        Item::Record(Item::fields(fields))
    }

    /// The fields of a record.
    pub(super) fn fields<const N: usize>(fields: [(&str, Item); N]) -> Vec<(String, Item)> {
        fields.into_iter().map(|(name, item)| (name.to_owned(), item)).collect()
    }

    /// Appends the encoding.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let sized = |out: &mut Vec<u8>, bytes: &[u8]| {
            out.extend((bytes.len() as u64).to_be_bytes());
            out.extend(bytes);
        };
        match self {
            Item::Absent => out.push(0),
            Item::Boolean(boolean) => out.extend([1, u8::from(*boolean)]),
            Item::Unsigned(number) => {
                out.push(2);
                out.extend(number.to_be_bytes());
            }
            Item::Signed(number) => {
                out.push(3);
                out.extend(number.to_be_bytes());
            }
            Item::Float(number) => {
                out.push(4);
                out.extend(number.to_bits().to_be_bytes());
            }
            Item::Text(text) => {
                out.push(5);
                sized(out, text.as_bytes());
            }
            Item::Bytes(bytes) => {
                out.push(6);
                sized(out, bytes);
            }
            Item::List(items) => {
                out.push(7);
                out.extend((items.len() as u64).to_be_bytes());
                items.iter().for_each(|item| item.encode(out));
            }
            Item::Record(fields) => {
                out.push(8);
                out.extend((fields.len() as u64).to_be_bytes());
                for (name, item) in fields {
                    sized(out, name.as_bytes());
                    item.encode(out);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(item: Item) -> Vec<u8> {
        let mut out = Vec::new();
        item.encode(&mut out);
        out
    }

    #[test]
    fn the_bytes_are_those_of_the_table() {
        assert_eq!(bytes(Item::Absent), [0]);
        assert_eq!(bytes(Item::Boolean(true)), [1, 1]);
        assert_eq!(bytes(Item::Unsigned(258)), [2, 0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(bytes(Item::Signed(-2)), [3, 255, 255, 255, 255, 255, 255, 255, 254]);
        assert_eq!(bytes(Item::Float(-0.0)), [4, 0x80, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes(Item::text("é")), [5, 0, 0, 0, 0, 0, 0, 0, 2, 0xc3, 0xa9]);
        assert_eq!(bytes(Item::Bytes(vec![7])), [6, 0, 0, 0, 0, 0, 0, 0, 1, 7]);
        assert_eq!(bytes(Item::list([true], Item::Boolean)), [7, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1]);
        let record = Item::record([("a", Item::optional(None, Item::Boolean))]);
        assert_eq!(bytes(record), [8, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, b'a', 0]);
    }
}
