//! Guests that trap, cross limits and break the contract: the row at fault fails, alone, with a message that says what happened.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch};
use misbehaving_guest::mode;
use proptest::prelude::*;
use tandem_core::limits::TransformLimits;
use tandem_engine::{EngineError, Outcome, Transform};

use crate::harness::guests::Guest;
use crate::harness::rows;

fn limits() -> TransformLimits {
    TransformLimits {
        fuel_base: 50_000_000,
        fuel_per_row: 100_000,
        memory_bytes_max: 32 << 20,
        output_bytes_max: 256 << 10,
        ..TransformLimits::default()
    }
}

fn misbehaving(limits: &TransformLimits) -> Transform {
    Guest::Misbehaving.bind(limits)
}

pub(super) fn modes(modes: &[i64]) -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from(modes.to_vec()));
    RecordBatch::try_from_iter([("mode", column)]).expect("one column")
}

fn failures(outcome: &Outcome) -> Vec<(usize, &str)> {
    outcome.failures.iter().map(|failure| (failure.row, failure.message.as_str())).collect()
}

/// The message of each attack on a row alone.
const MESSAGES: [(i64, &str); 22] = [
    (mode::PANIC, "trapped: unreachable code reached, which is how a panic or an abort ends"),
    (mode::SPIN, "crossed the limit fuel (fuel_base + rows × fuel_per_row) of 50100000"),
    (mode::RECURSE, "crossed the limit stack_bytes_max of 1048576"),
    // The engine's own error has no public type: its text is matched, and pinned here.
    (mode::OUTPUT_TOO_LARGE, "crossed the limit output_bytes_max of 262144"),
    (mode::FAILURE, "the whole call is refused"),
    (mode::ROW_MISSING, "broke the contract: output `value`: 0 rows, not the 1 that were given"),
    (mode::COLUMN_MISSING, "broke the contract: the signature has 6 outputs, the answer 5 columns"),
    (mode::OTHER_TYPE, "broke the contract: output `value`: the answer is a column of timestamps, declared is int64"),
    (mode::VALIDITY_TOO_LONG, "broke the contract: output `value`: 2 bytes of validity for 1 rows, not 1"),
    (
        mode::NULL_WHERE_NONE_MAY_BE,
        "broke the contract: output `value`: row 0 is null, and the signature promises that no row is",
    ),
    (mode::BOOLEAN_TWO, "broke the contract: output `flag`: the boolean in row 0 is 2, not 0 or 1"),
    (mode::NO_OFFSETS, "broke the contract: output `text`: 0 rows, not the 1 that were given"),
    (mode::FIRST_OFFSET, "broke the contract: output `text`: the first offset is 2, not 0"),
    (mode::OFFSETS_DECREASE, "broke the contract: output `items`: items: offsets decrease after row 1: 2 to 1"),
    (mode::LAST_OFFSET, "broke the contract: output `text`: the last offset is 2, there are 3 bytes"),
    (mode::NOT_UTF8, "broke the contract: output `text`: byte 0 of the strings is not UTF-8"),
    (
        mode::OFFSET_INSIDE_CHARACTER,
        "broke the contract: output `items`: items: offset 1 of the strings, 1, lies inside a character",
    ),
    (mode::VECTOR_WIDTH, "broke the contract: output `vector`: vectors of width 3, declared are 2"),
    (mode::VECTOR_VALUES, "broke the contract: output `vector`: 3 values for 1 vectors of width 2, not 2"),
    (mode::OTHER_ITEMS, "broke the contract: output `items`: items of another type than the declared string"),
    (mode::FAILED_ROW_BEYOND, "broke the contract: failed row 1 of 1 rows"),
    (mode::FAILED_ROW_TWICE, "broke the contract: failed row 0 is listed out of order or twice"),
];

#[test]
fn each_attack_is_told_by_its_name() {
    let transform = misbehaving(&limits());
    for (mode, message) in MESSAGES {
        let outcome = transform.apply(&modes(&[mode])).unwrap();
        assert_eq!(failures(&outcome), [(0, message)], "mode {mode}");
        assert!(outcome.outputs.columns().iter().all(|column| column.is_null(0)), "mode {mode}");
    }
}

#[test]
fn memory_is_limited_by_its_name() {
    let outcome = misbehaving(&limits()).apply(&modes(&[mode::ALLOCATE])).unwrap();
    let message = &outcome.failures[0].message;
    let asked = message.strip_prefix("crossed the limit memory_bytes_max of 33554432: asked for ").expect(message);
    assert!(asked.parse::<u64>().is_ok_and(|asked| asked > 32 << 20), "{message}");
}

#[test]
fn time_is_limited_by_its_name() {
    let limits = TransformLimits { fuel_base: u64::MAX, call_seconds_max: 1, ..limits() };
    let start = Instant::now();
    let outcome = misbehaving(&limits).apply(&modes(&[mode::SPIN])).unwrap();
    assert_eq!(failures(&outcome), [(0, "crossed the limit call_seconds_max of 1")]);
    assert!((Duration::from_millis(900)..Duration::from_secs(20)).contains(&start.elapsed()));
}

#[test]
fn an_authors_message_is_cut_and_cleaned() {
    let outcome = misbehaving(&limits()).apply(&modes(&[mode::LONG_MESSAGE])).unwrap();
    let message = &outcome.failures[0].message;
    assert!(message.starts_with("\u{fffd}é") && message.ends_with("é…"), "{message}");
    assert!(message.len() <= limits().message_bytes_max as usize + "\u{fffd}…".len());
}

#[test]
fn what_lies_under_a_null_and_stray_nans_do_not_come_through() {
    let outcome = misbehaving(&limits()).apply(&modes(&[mode::STRAY_NAN, 0, mode::JUNK_UNDER_NULL])).unwrap();
    assert_eq!(failures(&outcome), []);
    let reals = outcome.outputs.column_by_name("real").unwrap().as_primitive::<Float64Type>();
    let bits: Vec<u64> = reals.values().iter().map(|value| value.to_bits()).collect();
    assert_eq!(bits, [0x7ff8_0000_0000_0000, 0, 0], "canonical, as it is, zeroed");
    assert!(reals.is_null(2) && reals.null_count() == 1);
    let vectors = outcome.outputs.column_by_name("vector").unwrap().as_fixed_size_list();
    let bits: Vec<u32> = vectors.values().as_primitive::<Float32Type>().values().iter().map(|v| v.to_bits()).collect();
    assert_eq!(bits, [0x7fc0_0000, 0.5_f32.to_bits(), 0.5_f32.to_bits(), 0.5_f32.to_bits(), 0, 0]);
    let texts = outcome.outputs.column_by_name("text").unwrap().as_string::<i32>();
    assert_eq!(texts.value_offsets(), [0, 2, 4, 4], "a null string has no bytes");
    let items = outcome.outputs.column_by_name("items").unwrap().as_list::<i32>();
    assert_eq!((items.value_offsets(), items.values().len()), (&[0, 1, 2, 2][..], 2));
}

#[test]
fn too_many_rows_at_fault_fail_the_batch() {
    let transform = misbehaving(&TransformLimits { failed_rows_max: 3, ..limits() });
    let three = transform.apply(&modes(&[1, 100, 1, 100, 1])).unwrap();
    assert_eq!(three.failures.len(), 3, "as many as may");
    let Err(EngineError::TooManyFailures { failures, max }) = transform.apply(&modes(&[1, 100, 1, 1, 100, 1, 1]))
    else {
        panic!("five rows are more than three");
    };
    assert_eq!(max, 3);
    assert_eq!(failures.iter().map(|failure| failure.row).collect::<Vec<_>>(), [0, 2, 3, 5]);
    // Rows that the transform reports itself do not count.
    let reported = transform.apply(&modes(&[mode::LONG_MESSAGE; 10])).unwrap();
    assert_eq!(reported.failures.len(), 10);
}

#[test]
fn no_state_survives_a_call_but_in_a_session() {
    let transform = misbehaving(&limits());
    let calls = |outcome: &Outcome| outcome.outputs.column(0).as_primitive::<Int64Type>().value(0);
    let count = modes(&[mode::COUNT_CALLS]);
    for _ in 0..3 {
        assert_eq!(calls(&transform.apply(&count).unwrap()), 1, "a fresh instance for each call");
    }
    let mut session = transform.session();
    assert_eq!((1..4).map(|_| calls(&session.apply(&count).unwrap())).collect::<Vec<_>>(), [1, 2, 3]);
    session.apply(&modes(&[mode::PANIC])).unwrap();
    assert_eq!(calls(&session.apply(&count).unwrap()), 1, "a dead instance is replaced");
}

/// Attacks that cost little, and what a row of each mode comes to.
fn some_mode() -> impl Strategy<Value = i64> {
    let cheap =
        MESSAGES.map(|(mode, _)| mode).into_iter().filter(|mode| ![mode::SPIN, mode::OUTPUT_TOO_LARGE].contains(mode));
    prop_oneof![
        3 => 100..1_000_i64,
        1 => prop::sample::select(vec![mode::STRAY_NAN, mode::JUNK_UNDER_NULL, mode::LONG_MESSAGE]),
        1 => prop::sample::select(cheap.collect::<Vec<_>>()),
    ]
}

proptest! {
    #![proptest_config(rows::cases(24))]

    /// Which rows fail, with which words, and what the others give does not depend on how the rows were split.
    #[test]
    fn the_rows_at_fault_stand_alone(given in prop::collection::vec(some_mode(), 1..40), size in 1..41_usize) {
        let transform = misbehaving(&limits());
        let inputs = modes(&given);
        let mut session = transform.session();
        for from in (0..given.len()).step_by(size) {
            let part = inputs.slice(from, size.min(given.len() - from));
            let outcome = session.apply(&part).unwrap();
            let mut failures = outcome.failures.iter().peekable();
            for row in 0..part.num_rows() {
                let alone = transform.apply(&modes(&given[from + row..=from + row])).unwrap();
                prop_assert_eq!(outcome.outputs.slice(row, 1), alone.outputs);
                let message = failures.next_if(|failure| failure.row == row).map(|failure| &failure.message);
                prop_assert_eq!(message, alone.failures.first().map(|failure| &failure.message));
                let attack = MESSAGES.iter().any(|(mode, _)| *mode == given[from + row]);
                prop_assert_eq!(message.is_some(), attack || given[from + row] == mode::LONG_MESSAGE);
            }
            prop_assert!(failures.next().is_none());
        }
    }
}
