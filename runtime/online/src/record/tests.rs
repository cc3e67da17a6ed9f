use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

/// A record with every field, as format 1 writes it. A change of these bytes is a new format: add a fixture, keep this one readable.
const FIXTURE_WHOLE_KEY: &str = "\
    01030000 f8002147 \
    0080bf8b1fe20500 0180bf8b1fe20500 feffffffffffffff 80e4fe8b1fe20500 \
    8877665544332211 \
    000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f \
    00000000 \
    636166c3a9";

/// Neither created time nor sequence, an event time before 1970, the full entity key, an empty row.
const FIXTURE_FULL_KEY: &str = "\
    01040000 8c50f761 \
    ffffffffffffffff 0000000000000000 0000000000000000 0000000000000000 \
    0100000000000000 \
    abababababababababababababababababababababababababababababababab \
    03000000 6b6579";

fn whole() -> Stored<'static> {
    let record = RecordRef {
        event_time: Timestamp(1_656_000_000_000_000),
        created_time: Some(Timestamp(1_656_000_000_000_001)),
        sequence: Some(-2),
        published_time: Timestamp(1_656_000_004_154_496),
        digest: Digest(std::array::from_fn(|i| i as u8)),
        schema_fingerprint: 0x1122_3344_5566_7788,
        row: "café".as_bytes(),
    };
    Stored { record, full_key: None, in_history: false, removed: false, until: None }
}

fn full() -> Stored<'static> {
    let record = RecordRef {
        event_time: Timestamp(-1),
        created_time: None,
        sequence: None,
        published_time: Timestamp(0),
        digest: Digest([0xab; 32]),
        schema_fingerprint: 1,
        row: b"",
    };
    Stored { record, full_key: Some(b"key"), in_history: false, removed: false, until: None }
}

fn bytes_of(stored: &Stored<'_>) -> Vec<u8> {
    let mut bytes = vec![0xee; 3];
    stored.encode(&mut bytes);
    bytes
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn format_1_is_pinned() {
    for (fixture, stored) in [(FIXTURE_WHOLE_KEY, whole()), (FIXTURE_FULL_KEY, full())] {
        assert_eq!(hex(&bytes_of(&stored)), hex(&from_hex(fixture)));
        assert_eq!(Stored::decode(&from_hex(fixture)), Ok(stored));
    }
}

#[test]
fn another_format_is_named() {
    let mut bytes = bytes_of(&whole());
    bytes[0] = 2;
    assert_eq!(Stored::decode(&bytes), Err(Corruption::Format { found: 2 }));
    assert_eq!(Stored::decode(&[]), Err(Corruption::Short { bytes: 0 }));
}

/// Changes bytes and makes the checksum right again, so that what stands behind it is reached.
fn malformed(change: impl FnOnce(&mut Vec<u8>)) -> Result<(), Corruption> {
    let mut bytes = bytes_of(&full());
    change(&mut bytes);
    let sum = checksum(&bytes);
    bytes[4..8].copy_from_slice(&sum.to_le_bytes());
    Stored::decode(&bytes).map(drop)
}

#[test]
fn a_right_checksum_over_wrong_fields_is_refused() {
    let layout = |result| matches!(result, Err(Corruption::Layout { .. }));
    assert_eq!(malformed(|_| ()), Ok(()));
    assert!(layout(malformed(|bytes| bytes[1] |= 1 << 7)));
    assert!(layout(malformed(|bytes| bytes[2] = 1)));
    assert!(layout(malformed(|bytes| bytes[16] = 1)));
    assert!(layout(malformed(|bytes| bytes[24] = 1)));
    assert!(layout(malformed(|bytes| bytes[80] = 4)));
    assert!(layout(malformed(|bytes| bytes[83] = 0xff)));
    assert!(layout(malformed(|bytes| bytes[1] = 0)));
}

prop_compose! {
    fn any_record()(
        event_time: i64, created_time in option::of(any::<i64>()), sequence in option::of(any::<i64>()), published_time: i64,
        digest: [u8; 32], schema_fingerprint: u64, row in vec(any::<u8>(), 0..200),
    ) -> Record {
        Record {
            event_time: Timestamp(event_time),
            created_time: created_time.map(Timestamp),
            sequence,
            published_time: Timestamp(published_time),
            digest: Digest(digest),
            schema_fingerprint,
            row,
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(record in any_record(), key in option::of(vec(any::<u8>(), 0..100))) {
        let stored = Stored { record: record.borrow(), full_key: key.as_deref(), in_history: false, removed: false, until: None };
        let bytes = bytes_of(&stored);
        prop_assert_eq!(Stored::decode(&bytes), Ok(stored));
    }

    #[test]
    fn every_flipped_bit_is_found(record in any_record(), bit: prop::sample::Index) {
        let mut bytes = bytes_of(&Stored { record: record.borrow(), full_key: None, in_history: false, removed: false, until: None });
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(Stored::decode(&bytes).is_err());
    }

    #[test]
    fn every_cut_is_found(record in any_record(), end: prop::sample::Index) {
        let bytes = bytes_of(&Stored { record: record.borrow(), full_key: None, in_history: false, removed: false, until: None });
        prop_assert!(Stored::decode(&bytes[..end.index(bytes.len())]).is_err());
    }

    #[test]
    fn random_bytes_never_panic(mut bytes in vec(any::<u8>(), 0..300), right_format: bool) {
        if right_format && bytes.len() >= HEADER_BYTES {
            bytes[0] = RECORD_FORMAT;
            let sum = checksum(&bytes);
            bytes[4..8].copy_from_slice(&sum.to_le_bytes());
        }
        if let Ok(stored) = Stored::decode(&bytes) {
            prop_assert_eq!(bytes_of(&stored), bytes);
        }
    }
}
