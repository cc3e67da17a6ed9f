//! `verify`: each cheat is caught and shown small; honest transforms pass.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch};
use misbehaving_guest::mode;
use tandem::rows::Mapping;
use tandem_core::limits::TransformLimits;
use tandem_core::model::NanMode;
use tandem_core::parameter::{ParameterValue, Parameters};
use tandem_core::time::Timestamp;
use tandem_engine::verify::{
    Check, Difference, Mismatch, Report, Seen, Smallest, Verdict, VerifyOptions, golden, verify,
};
use tandem_engine::{EngineError, Transform};

use crate::harness::guests::{Guest, component, engine, workspace};

fn cheat(name: &str) -> Parameters {
    BTreeMap::from([("cheat".to_owned(), ParameterValue::Text(name.to_owned()))])
}

fn run(bytes: &[u8], parameters: &Parameters, given: Option<&RecordBatch>, options: &VerifyOptions) -> Report {
    let limits = TransformLimits::default();
    verify(engine(), bytes, parameters, &limits, NanMode::Boundary, given, options).expect("it can be verified")
}

fn cheating(name: &str) -> Report {
    run(&Guest::Cheating.bytes(), &cheat(name), None, &VerifyOptions::default())
}

/// What uncovered a cheat, and the smallest input.
fn caught(name: &str) -> (Check, Smallest) {
    let report = cheating(name);
    assert_eq!(report.verdict(), Verdict::Different, "{name}");
    let Some(Difference::Row { check, smallest, found, given, .. }) = report.difference else {
        panic!("{name}: {:?}", report.difference)
    };
    assert!(!given && !smallest.gave_up, "{name}: {smallest:?}");
    assert_really_different(name, &found);
    assert_really_different(name, &smallest.mismatch);
    (check, *smallest)
}

fn assert_really_different(name: &str, mismatch: &Mismatch) {
    let same = match (&mismatch.alone, &mismatch.here) {
        (Seen::Value(alone), Seen::Value(here)) => alone.is_same(here),
        (Seen::Failed(alone), Seen::Failed(here)) => alone == here,
        _ => false,
    };
    assert!(!same, "{name}: {mismatch:?}");
}

fn sizes(smallest: &Smallest) -> Vec<usize> {
    smallest.calls.iter().map(RecordBatch::num_rows).collect()
}

#[test]
fn cheats_within_a_call_are_caught_and_shown_small() {
    for (name, check, rows) in [
        ("counter", Check::Whole, 2),
        ("batch_mean", Check::Whole, 2),
        ("row_index", Check::Whole, 13),
        ("batch_size", Check::Whole, 8),
        ("bitmap", Check::Whole, 2),
        ("uninitialised", Check::Whole, 3),
        ("cache", Check::Whole, 2),
        ("address", Check::Whole, 2),
    ] {
        let (by, smallest) = caught(name);
        assert_eq!((by, sizes(&smallest)), (check, vec![rows]), "{name}: {smallest:?}");
        assert_eq!(smallest.mismatch.output, Some(0), "{name}");
    }
}

#[test]
fn cheats_between_calls_are_caught_and_shown_small() {
    let (by, smallest) = caught("state");
    assert_eq!((by, sizes(&smallest)), (Check::Used, vec![1, 1]), "{smallest:?}");
    assert_eq!((smallest.call, smallest.row), (1, 0));
    let (by, smallest) = caught("age");
    assert_eq!((by, sizes(&smallest)), (Check::Used, vec![1; 5]), "{smallest:?}");
    assert_eq!((smallest.call, smallest.row), (4, 0));
}

/// Made in one machine's code with a sign, in another's without: seen only against canonical NaNs.
#[test]
fn a_look_at_the_bits_of_a_nan_is_caught() {
    let report = cheating("nan_payload");
    let different: Vec<_> =
        report.compared.iter().filter(|compared| compared.different > 0).map(|compared| compared.check).collect();
    assert!(different.contains(&Check::Strict), "{different:?}");
    assert!(different.iter().all(|check| [Check::Strict, Check::Interpreter].contains(check)), "{different:?}");
    let (by, smallest) = caught("nan_payload");
    assert_eq!((by, sizes(&smallest)), (Check::Strict, vec![1]), "{smallest:?}");
    // Where every instruction's NaN is canonical, there is nothing to see.
    let (bytes, limits) = (Guest::Cheating.bytes(), TransformLimits::default());
    let options = VerifyOptions::default();
    let strict = verify(engine(), &bytes, &cheat("nan_payload"), &limits, NanMode::Strict, None, &options).unwrap();
    assert_eq!(strict.verdict(), Verdict::Proved, "{:?}", strict.difference);
    let skipped = strict.compared.iter().find(|compared| compared.check == Check::Strict).unwrap();
    assert_eq!((skipped.skipped, skipped.values), (Some("its NaNs are strict already"), 0));
}

#[test]
fn failed_rows_and_their_words_are_compared_too() {
    let (_, smallest) = caught("failures");
    assert_eq!(sizes(&smallest), [2]);
    let Mismatch { output: None, alone: Seen::Failed(alone), here: Seen::Failed(here) } = &smallest.mismatch else {
        panic!("{smallest:?}")
    };
    assert_eq!((alone.as_str(), here.as_str()), ("number: one of 1 nulls", "number: one of 2 nulls"));
}

#[test]
fn another_signature_at_the_second_question_is_caught() {
    let report = cheating("signature");
    let Some(Difference::Signature { when, what }) = report.difference else { panic!("{report:?}") };
    assert_eq!(when, "asked of one instance a second time");
    assert_eq!(what, "output 0 is \"feature\", a float64 (\"\"), then \"feature\", a int64 (\"\")");
}

/// The smallest input is as simple as can be: what a person pastes into a test.
#[test]
fn values_are_simple_in_the_end() {
    let (_, smallest) = caught("bitmap");
    let json = |call: &RecordBatch| -> Vec<String> {
        let value = |column: &ArrayRef, row| {
            let data_type = tandem_core::types::DataType::from_arrow(column.data_type()).unwrap();
            tandem_core::json::encode_value(column, data_type, row).to_string()
        };
        (0..call.num_rows())
            .map(|row| call.columns().iter().map(|column| value(column, row)).collect::<Vec<_>>().join(" "))
            .collect()
    };
    let mut rows = json(&smallest.calls[0]);
    rows.sort();
    assert_eq!(rows, ["0.0 \"\"", "null \"\""]);
    let (_, smallest) = caught("age");
    assert!(smallest.calls.iter().all(|call| json(call) == ["0.0 \"\""]), "{smallest:?}");
}

fn assert_proved(name: &str, report: &Report) {
    assert_eq!(report.verdict(), Verdict::Proved, "{name}: {:?}", report.difference);
    assert!(report.difference.is_none() && report.rows.left_out == 0, "{name}: {:?}", report.rows);
    for compared in &report.compared {
        let none = [Check::Signature, Check::Faulty, Check::Nulls].contains(&compared.check);
        assert!(compared.different == 0 && (none || compared.values > 0), "{name}: {compared:?}");
        assert_eq!(
            compared.skipped.is_some(),
            compared.calls == 0 && compared.check == Check::Faulty,
            "{name}: {compared:?}"
        );
    }
}

#[test]
fn honest_transforms_pass() {
    assert_proved("honest", &cheating("none"));
    // Reads what lies under nulls and which NaN a NaN is: the boundary lets it see neither.
    assert_proved("junk_under_nulls", &cheating("junk_under_nulls"));
    let options = VerifyOptions::default();
    for guest in [Guest::EveryType, Guest::Columnar] {
        assert_proved(&format!("{guest:?}"), &run(&guest.bytes(), &Parameters::new(), None, &options));
    }
    let text = |text: &str| ParameterValue::Text(text.to_owned());
    let parameters = BTreeMap::from([
        ("strict".to_owned(), ParameterValue::Boolean(false)),
        ("most".to_owned(), ParameterValue::Int64(7)),
        ("factor".to_owned(), ParameterValue::Float64(0.1)),
        ("label".to_owned(), text("é")),
        ("codes".to_owned(), ParameterValue::Int64s(vec![1, 2])),
        ("edges".to_owned(), ParameterValue::Float64s(vec![0.5])),
        ("holidays".to_owned(), ParameterValue::Timestamps(vec![Timestamp(0)])),
        ("countries".to_owned(), ParameterValue::Texts(vec!["de".to_owned()])),
    ]);
    assert_proved("parameters", &run(&Guest::Parameters.bytes(), &parameters, None, &options));
}

#[test]
fn the_examples_pass() {
    // What the flights' transform refuses is most of what can be made up: airports that there are not.
    let flights = r#"[
        {"departed_at": "2024-05-01T06:30:00Z", "origin": "ABE", "destination": "ATL", "delay_minutes": -3},
        {"departed_at": "2024-12-31T23:59:59Z", "origin": "JFK", "destination": "LAX", "delay_minutes": 95}
    ]"#;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("flights.json"), flights).unwrap();
    for (example, samples) in [("quickstart", None), ("flights", Some(folder.path().join("flights.json")))] {
        let root = workspace().join("examples").join(example);
        let bytes = std::fs::read(component(&root.join("transform"))).unwrap();
        let project = tandem::project::read(&root).unwrap();
        assert!(!project.views.is_empty());
        for view in project.views.iter().filter(|view| view.has_component()) {
            let transform = engine().load(&bytes, view.nan).unwrap().bind(&view.parameters, &view.limits).unwrap();
            let mapping =
                Mapping { signature: transform.signature(), view: Some(view), as_of: None, timezone: Some("UTC") };
            let given = samples.as_ref().map(|file| tandem::rows::read(file, &mapping, 10).unwrap().inputs);
            let options = VerifyOptions::default();
            let verified = verify(engine(), &bytes, &view.parameters, &view.limits, view.nan, given.as_ref(), &options);
            let report = verified.unwrap_or_else(|error| panic!("{example}: {error}"));
            assert_eq!(report.verdict(), Verdict::Proved, "{example}: {:?}", report.difference);
            assert!(report.rows.with_values > 20 && report.values() > 10_000, "{example}: {:?}", report.rows);
        }
    }
}

fn modes(modes: &[i64]) -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from(modes.to_vec()));
    RecordBatch::try_from_iter([("mode", column)]).unwrap()
}

/// A row that traps, spins or breaks the contract fails wherever it stands; the others have their values.
#[test]
fn rows_whose_call_fails_are_tried_among_others() {
    let bytes = Guest::Misbehaving.bytes();
    let options = VerifyOptions { generated_rows: 0, ..VerifyOptions::default() };
    let given = modes(&[100, mode::PANIC, 101, mode::FAILURE, 102, mode::LONG_MESSAGE, mode::BOOLEAN_TWO, 103]);
    let report = run(&bytes, &Parameters::new(), Some(&given), &options);
    assert_eq!(report.verdict(), Verdict::Proved, "{:?}", report.difference);
    let rows = report.rows;
    assert_eq!((rows.given, rows.generated, rows.with_values, rows.failed, rows.faulty), (8, 0, 4, 1, 3));
    let faulty = report.compared.iter().find(|compared| compared.check == Check::Faulty).unwrap();
    assert!(faulty.rows == 16 && faulty.skipped.is_none(), "{faulty:?}");

    let report = run(&bytes, &Parameters::new(), Some(&modes(&[mode::PANIC; 40])), &options);
    assert_eq!((report.verdict(), report.rows.faulty, report.rows.left_out), (Verdict::NoValues, 33, 7));
    let counting = run(&bytes, &Parameters::new(), Some(&modes(&[7_000, mode::COUNT_CALLS])), &options);
    let Some(Difference::Row { given: true, sample_row: 1, smallest, .. }) = counting.difference else {
        panic!("{counting:?}")
    };
    assert_eq!(sizes(&smallest), [1, 1]);
}

fn bind(parameters: &Parameters) -> Transform {
    Guest::Cheating.load().bind(parameters, &TransformLimits::default()).unwrap()
}

#[test]
fn golden_vectors_are_replayed_bit_by_bit() {
    let honest = bind(&cheat("none"));
    let options = VerifyOptions::default();
    let bytes = golden::record(&honest, None, &options).unwrap();
    assert_eq!(bytes, golden::record(&honest, None, &options).unwrap(), "the same rows, the same bytes");
    let replay = golden::replay(&honest, &bytes).unwrap();
    assert_eq!((replay.rows, replay.values, replay.different), (256, 256, 0));
    assert_eq!(replay.recorded_by, engine().fingerprint());
    assert!(replay.difference.is_none());

    // Another parameter stands for another engine: rows of nine letters and more come to something else.
    let other = golden::replay(&bind(&cheat("address")), &bytes).unwrap();
    let difference = other.difference.expect("it computes something else");
    assert!(other.different > 10 && difference.inputs.num_rows() == 1, "{}", other.different);
    assert_really_different("golden", &difference.mismatch);
}

#[test]
fn golden_vectors_that_are_not_these_are_refused() {
    let honest = bind(&cheat("none"));
    let bytes = golden::record(&honest, None, &VerifyOptions::default()).unwrap();
    let told = |transform: &Transform, bytes: &[u8]| match golden::replay(transform, bytes) {
        Err(EngineError::Golden(reason)) => reason,
        other => panic!("{other:?}"),
    };
    for cut in [0, 7, 43, 44, bytes.len() / 2, bytes.len() - 1] {
        told(&honest, &bytes[..cut]);
    }
    for at in [44, 100, bytes.len() / 2, bytes.len() - 1] {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        assert_eq!(told(&honest, &bytes), "they are damaged: their checksum does not match");
    }
    let mut later = bytes.clone();
    later[8] = 2;
    assert_eq!(told(&honest, &later), "they have format version 2, and this program reads 1");
    let other = Guest::Columnar.bind(&TransformLimits::default());
    assert!(told(&other, &bytes).starts_with("they are those of the component sha256:"));
    assert!(told(&bind(&cheat("signature")), &[]).starts_with("they do not begin"));
}

#[test]
fn given_rows_that_do_not_fit_are_refused() {
    let bytes = Guest::Cheating.bytes();
    let limits = TransformLimits::default();
    let options = VerifyOptions::default();
    let wrong = verify(engine(), &bytes, &cheat("none"), &limits, NanMode::Boundary, Some(&modes(&[1])), &options);
    assert!(matches!(wrong, Err(EngineError::Inputs(_))), "{wrong:?}");
}
