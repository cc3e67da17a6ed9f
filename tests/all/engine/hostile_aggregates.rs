//! Functions of aggregates in WebAssembly text that answer with states and values that are none, trap, or never answer: the call fails with its reason, and the
//! next one stands on its own.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray};
use tandem_core::limits::TransformLimits;
use tandem_core::model::NanMode;
use tandem_core::parameter::{ParameterValue, Parameters};
use tandem_core::time::Timestamp;
use tandem_core::window::{AggregateFunction, Given};
use tandem_engine::{Aggregate, EngineError};

use super::wat_guests::encode_as;
use crate::harness::guests::{Guest, engine};

const STATE_BYTES_MAX: u64 = 64;

/// One input `x` (int64), one output `y` (string, may be null), no parameters; every state is one byte, every value "a".
/// Memory: 16 names; 64 answer of `describe`; 96 field x; 128 field y; 192 answer of `empty`; 224 of `add` and `merge`; 256 of `finish`; 320 offsets and 384 bytes
/// of states; 416 offsets and 448 bytes of values; from 4096 on what the host writes.
const HONEST: &str = r#"
(memory (export "memory") 1)
(data (i32.const 16) "xy")
(data (i32.const 64) "\00\00\00\00" "\60\00\00\00\01\00\00\00" "\80\00\00\00\01\00\00\00" "\00\00\00\00\00\00\00\00")
(data (i32.const 96) "\10\00\00\00\01\00\00\00" "\01\00\00\00\00\00\00\00" "\00\00\00\00" "\00\00\00\00\00\00\00\00")
(data (i32.const 128) "\11\00\00\00\01\00\00\00" "\04\00\00\00\00\00\00\00" "\01\00\00\00" "\00\00\00\00\00\00\00\00")
;; result: ok; state (pointer, length)
(data (i32.const 192) "\00\00\00\00" "\80\01\00\00\01\00\00\00")
;; result: ok; offsets, data (pointer, length)
(data (i32.const 224) "\00\00\00\00" "\40\01\00\00\02\00\00\00" "\80\01\00\00\01\00\00\00")
;; result: ok; column: strings (offsets, data), 12 bytes of other cases, no validity
(data (i32.const 256) "\00\00\00\00" "\04\00\00\00" "\a0\01\00\00\02\00\00\00" "\c0\01\00\00\01\00\00\00" "\00\00\00\00\00\00\00\00\00\00\00\00" "\00\00\00\00\00\00\00\00\00\00\00\00")
(data (i32.const 320) "\00\00\00\00\01\00\00\00")
(data (i32.const 384) "s")
(data (i32.const 416) "\00\00\00\00\01\00\00\00")
(data (i32.const 448) "a")
"#;

/// The guest with this memory in the place of its own, and these bodies of functions.
fn guest(data: &str, bodies: &[(&str, &str)]) -> Aggregate {
    let function = |name: &str, parameters: &str, answer: &str| {
        let body = bodies.iter().find(|(of, _)| *of == name).map_or(answer, |(_, body)| body);
        format!(
            "(func (export \"tandem:feature/aggregation@0.1.0#{name}\") (param {parameters}) (result i32) {body})\n"
        )
    };
    let ten = "i32 i32 i32 i32 i32 i32 i32 i32 i32 i32";
    let functions = [
        function("describe", "i32 i32", "i32.const 64"),
        function("empty", "i32 i32", "i32.const 192"),
        function("add", ten, "i32.const 224"),
        function("merge", ten, "i32.const 224"),
        function("finish", "i32 i32 i32 i32 i32 i32 i32 i32", "i32.const 256"),
    ];
    let realloc = r#"(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 4096)"#;
    let bytes = encode_as(Guest::Surges, &format!("(module {HONEST} {data} {realloc} {})", functions.concat()));
    let limits = TransformLimits {
        fuel_base: 1_000_000,
        fuel_per_row: 10_000,
        memory_bytes_max: 8 << 20,
        ..TransformLimits::default()
    };
    let component = engine().load_aggregate(&bytes, NanMode::Boundary).expect("a component of the world");
    component.bind(&Parameters::new(), &limits, STATE_BYTES_MAX).expect("its signature is right")
}

fn one_event() -> Vec<ArrayRef> {
    vec![Arc::new(Int64Array::from(vec![7]))]
}

/// What each of the calls comes to: `empty`, `add`, `merge` and `finish` of one state.
fn calls(aggregate: &Aggregate) -> [Result<Vec<u8>, EngineError>; 4] {
    let one = |states: Vec<Vec<u8>>| states.concat();
    let text = |value: ArrayRef| value.as_string::<i32>().value(0).as_bytes().to_vec();
    [
        aggregate.session().empty(),
        aggregate.session().add(&[b"s"], &[0], &one_event()).map(one),
        aggregate.session().merge(&[b"s"], &[b"s"]).map(one),
        aggregate.session().finish(&[b"s"], &[Timestamp(0)]).map(text),
    ]
}

#[test]
fn what_is_hostile_fails_its_call_and_no_other() {
    let honest = calls(&guest("", &[]));
    assert_eq!(honest.map(Result::unwrap), [b"s", b"s", b"s", b"a"].map(|bytes: &[u8; 1]| bytes.to_vec()));

    let all = ["empty", "add", "merge", "finish"];
    let loops = "(loop $again (br $again)) unreachable";
    let grows = "(drop (memory.grow (i32.const 4096))) i32.const 224";
    let with = |name: &'static str, body: &'static str| vec![(name, body)];
    let fuel = "crossed the limit fuel (fuel_base + rows × fuel_per_row) of";
    let trap = "trapped: unreachable code reached, which is how a panic or an abort ends";
    type Attack = (&'static str, Vec<(&'static str, &'static str)>, &'static [&'static str], &'static str);
    let data = |data: &'static str, calls: &'static [&'static str], expected: &'static str| -> Attack {
        (data, Vec::new(), calls, expected)
    };
    let states: &'static [&'static str] = &["add", "merge"];
    let value: &'static [&'static str] = &["finish"];
    let attacks: Vec<Attack> = vec![
        data(r#"(data (i32.const 232) "\01")"#, states, "broke the contract: 1 offsets for 1 states, not 2"),
        data(r#"(data (i32.const 232) "\00")"#, states, "broke the contract: 0 offsets for 1 states, not 2"),
        data(r#"(data (i32.const 232) "\03")"#, states, "broke the contract: 3 offsets for 1 states, not 2"),
        data(r#"(data (i32.const 324) "\09")"#, states, "broke the contract: offsets from 0 to 9 of states of 1 bytes"),
        data(r#"(data (i32.const 320) "\01")"#, states, "broke the contract: offsets from 1 to 1 of states of 1 bytes"),
        data(
            r#"(data (i32.const 324) "\65") (data (i32.const 240) "\65")"#,
            states,
            "broke the contract: a state has 101 bytes; the limit state_bytes_max is 64",
        ),
        data(
            r#"(data (i32.const 200) "\65")"#,
            &["empty"],
            "broke the contract: a state has 101 bytes; the limit state_bytes_max is 64",
        ),
        data(
            r#"(data (i32.const 196) "\00\00\ff\7f\ff\ff\00\00")"#,
            &["empty"],
            "broke the contract: list pointer/length out of bounds of memory",
        ),
        data(
            r#"(data (i32.const 236) "\00\00\ff\7f")"#,
            states,
            "broke the contract: list pointer/length out of bounds of memory",
        ),
        data(r#"(data (i32.const 224) "\02")"#, states, "broke the contract: invalid expected discriminant"),
        data(
            r#"(data (i32.const 448) "\ff")"#,
            value,
            "broke the contract: output `y`: byte 0 of the strings is not UTF-8",
        ),
        data(
            r#"(data (i32.const 268) "\01") (data (i32.const 276) "\00")"#,
            value,
            "broke the contract: output `y`: 0 rows, not the 1 that were given",
        ),
        data(
            r#"(data (i32.const 268) "\03") (data (i32.const 424) "\01")"#,
            value,
            "broke the contract: output `y`: 2 rows, not the 1 that were given",
        ),
        data(r#"(data (i32.const 260) "\63")"#, value, "broke the contract: unexpected discriminant: 99"),
        ("", with("empty", "unreachable"), &["empty"], trap),
        ("", with("add", "unreachable"), &["add"], trap),
        ("", with("merge", "unreachable"), &["merge"], trap),
        ("", with("finish", "unreachable"), value, trap),
        ("", with("empty", loops), &["empty"], fuel),
        ("", with("add", loops), &["add"], fuel),
        ("", with("merge", loops), &["merge"], fuel),
        ("", with("finish", loops), value, fuel),
        ("", with("add", grows), &["add"], "crossed the limit memory_bytes_max of 8388608"),
        ("", with("add", "i32.const -16"), &["add"], "broke the contract: "),
        ("", with("finish", "i32.const 257"), value, "broke the contract: return pointer not aligned"),
    ];
    let honest = guest("", &[]);
    for (data, bodies, failing, expected) in attacks {
        let hostile = guest(data, &bodies);
        for (name, answer) in all.into_iter().zip(calls(&hostile)) {
            if !failing.contains(&name) {
                assert!(answer.is_ok(), "{data} {bodies:?}: {answer:?}");
                continue;
            }
            let error = answer.expect_err(name).to_string();
            assert!(error.starts_with(&format!("`{name}` failed: {expected}")), "{data} {bodies:?}: {error}");
        }
        // After a call that failed the next has an instance of its own, which has nothing of it.
        let mut session = hostile.session();
        for _ in 0..2 {
            let answer = session.add(&[b"s"], &[0], &one_event());
            assert_eq!(answer.is_err(), failing.contains(&"add"), "{data} {bodies:?}");
        }
        // As the kernel asks: an error, and no state.
        let whole = hostile.value(&[b"s", b"s"], &one_event(), Timestamp(0));
        let is_asked = failing.iter().any(|name| *name != "empty");
        assert_eq!(whole.is_err(), is_asked, "{data} {bodies:?}: {whole:?}");
        assert!(honest.value(&[b"s"], &one_event(), Timestamp(0)).is_ok());
    }
}

/// So many payments of `surges`: cents, shop, event time.
fn payments(first: i64, count: i64, shop: Option<&str>) -> Vec<ArrayRef> {
    let times = TimestampMicrosecondArray::from_iter_values((0..count).map(|event| (first + event * 7) * 60_000_000));
    vec![
        Arc::new(Int64Array::from_iter_values((0..count).map(|event| first * 31 + event))),
        Arc::new(StringArray::from(vec![shop; count as usize])),
        Arc::new(times.with_timezone("UTC")),
    ]
}

#[test]
fn what_shares_a_call_comes_to_what_it_comes_to_alone() {
    let parameters = Parameters::from([("minutes".to_owned(), ParameterValue::Int64(30))]);
    let component = engine().load_aggregate(&Guest::Surges.bytes(), NanMode::Boundary).expect("the guest loads");
    let surges = component.bind(&parameters, &TransformLimits::default(), 1 << 16).expect("it describes itself");
    let names: Vec<&str> = surges.signature().inputs.iter().map(|input| input.name.as_str()).collect();
    assert_eq!(names, ["cents", "shop", "event_time"]);
    let before: Vec<Vec<u8>> =
        (0..9).map(|list| surges.state(&[], &payments(list, list, None)).expect("a state")).collect();
    // Lists of events, some of none, with up to three states before them.
    let list = |list: usize| {
        let states = before.iter().skip(list % 5).take(list % 4).map(Vec::as_slice).collect();
        (Given { states, events: payments(list as i64, (list as i64 * 5) % 13, Some("cafe")) }, Timestamp(list as i64))
    };
    let given: Vec<(Given<'_>, Timestamp)> = (0..90).map(list).collect();
    let lists: Vec<Given<'_>> = given.iter().map(|(given, _)| given.clone()).collect();
    let alone: Vec<Vec<u8>> =
        lists.iter().map(|one| surges.state(&one.states, &one.events).expect("a state")).collect();
    let together: Vec<Vec<u8>> = surges.states(&lists).into_iter().map(|state| state.expect("a state")).collect();
    assert_eq!(together, alone);
    let different: std::collections::BTreeSet<&Vec<u8>> = together.iter().collect();
    assert!(different.len() > 40, "the states say little: {}", different.len());
    let values: Vec<ArrayRef> = surges.values(&given).into_iter().map(|value| value.expect("a value")).collect();
    for ((one, at), value) in given.iter().zip(&values) {
        assert_eq!(value, &surges.value(&one.states, &one.events, *at).expect("a value"));
    }
    // One on which it traps fails alone, wherever it stands.
    for places in [vec![0], vec![44], vec![3, 89]] {
        let mut lists = lists.clone();
        for place in &places {
            lists[*place].events = payments(0, 2, Some("cursed"));
        }
        for (index, (made, expected)) in surges.states(&lists).into_iter().zip(&alone).enumerate() {
            match places.contains(&index) {
                true => assert!(made.is_err_and(|error| error.to_string().contains("trapped")), "{index}"),
                false => assert_eq!(&made.expect("a state"), expected, "{index} beside {places:?}"),
            }
        }
    }
    // A guest that answers with one state, however many it is given, fails what is shared and nothing else.
    let honest = guest("", &[]);
    let one = Given { states: vec![b"s", b"s"], events: one_event() };
    assert_eq!(
        honest.states(&vec![one; 5]).into_iter().map(Result::unwrap).collect::<Vec<_>>(),
        vec![b"s".to_vec(); 5]
    );
}
