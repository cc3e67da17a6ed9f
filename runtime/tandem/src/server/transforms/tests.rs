//! Bytes to inputs and outputs to bytes, without a component.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, StringViewArray};
use arrow_ipc::CompressionType;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use serde_json::{Value, json};
use tandem_core::types::{DataType, Field};
use tandem_engine::{EngineError, Fault, Outcome, RowFailure};

use super::*;
use crate::server::as_of::Clock;
use crate::server::testing::{LIVE, NOW, REPLAY, bound, bound_with, outputs};

const BOUNDS: Bounds = Bounds { rows_max: 5, body_bytes_max: 4096 };

fn decode_with(body: &str, clock: Clock) -> Result<Decoded, Problem> {
    super::json::decode(body.as_bytes(), &InputPlan::new(&bound()), clock, BOUNDS)
}

fn decode(body: &str) -> Decoded {
    decode_with(body, LIVE).unwrap_or_else(|problem| panic!("{problem:?}"))
}

/// The problem as the client sees it, with the clock of a server that allows no replay.
fn refused(body: &str) -> Value {
    decode_with(body, LIVE).unwrap_err().to_json("")
}

fn slug(problem: &Value) -> &str {
    problem["type"].as_str().unwrap().strip_prefix("urn:tandem:problem:").unwrap()
}

fn timestamps(inputs: &RecordBatch, column: usize) -> Vec<i64> {
    inputs.column(column).as_primitive::<TimestampMicrosecondType>().values().to_vec()
}

#[test]
fn rows_and_columns_give_the_same_inputs() {
    let rows = decode(
        r#"{"rows": [{"amount": 1.5, "merchant": "é", "history": [1, 2]}, {"count": 9007199254740993, "amount": "NaN"}]}"#,
    );
    let columns = decode(
        r#"{"columns": {"merchant": ["\u00e9", null], "amount": [1.5, "NaN"], "count": [null, 9007199254740993], "history": [[1, 2], null]}}"#,
    );
    assert_eq!((rows.form, columns.form), (Form::Rows, Form::Columns));
    assert_eq!(format!("{:?}", rows.inputs), format!("{:?}", columns.inputs));
    let inputs = rows.inputs;
    assert_eq!(inputs.schema(), bound().signature.input_schema());
    assert_eq!(inputs.column(0).as_primitive::<Float64Type>().value(0).to_bits(), 1.5f64.to_bits());
    assert!(inputs.column(0).as_primitive::<Float64Type>().value(1).is_nan());
    assert_eq!(inputs.column(3).as_primitive::<Int64Type>().value(1), 9_007_199_254_740_993);
    assert!(inputs.column(2).is_null(1) && inputs.column(5).is_null(1));
    // One reading of the clock, in every input that is bound to it.
    assert_eq!(timestamps(&inputs, 1), [NOW.0, NOW.0]);
    assert_eq!(timestamps(&inputs, 4), [NOW.0, NOW.0]);
    assert_eq!(rows.as_of, Some(NOW));
}

#[test]
fn no_rows_are_rows_too() {
    assert_eq!(decode(r#"{"rows": []}"#).inputs.num_rows(), 0);
    assert_eq!(decode(r#"{"columns": {"amount": []}}"#).inputs.num_rows(), 0);
    let none = InputPlan::new(&bound_with("", vec![]));
    let decoded = super::json::decode(br#"{"rows": [{}, {}]}"#, &none, LIVE, BOUNDS).unwrap();
    assert_eq!((decoded.inputs.num_rows(), decoded.inputs.num_columns()), (2, 0));
}

#[test]
fn as_of_is_for_replay() {
    for body in [
        r#"{"as_of": "2025-01-01T00:00:00Z", "rows": [{"amount": 1}]}"#,
        r#"{"rows": [{"amount": 1, "as_of": 5}]}"#,
        r#"{"columns": {"amount": [1], "as_of": [5]}}"#,
    ] {
        let problem = refused(body);
        assert_eq!((slug(&problem), &problem["status"]), ("replay-not-allowed", &json!(403)), "{body}");
        assert!(problem["hint"].as_str().unwrap().contains("allow_replay"), "{problem}");
    }
    let one = decode_with(r#"{"as_of": 7, "rows": [{"amount": 1}, {"amount": 2}]}"#, REPLAY).unwrap();
    assert_eq!(timestamps(&one.inputs, 4), [7, 7]);
    assert_eq!(one.as_of, Some(Timestamp(7)));
    let each = decode_with(r#"{"rows": [{"amount": 1, "as_of": 5}, {"as_of": 6, "amount": 2}]}"#, REPLAY).unwrap();
    assert_eq!((timestamps(&each.inputs, 1), timestamps(&each.inputs, 4)), (vec![5, 6], vec![5, 6]));
    assert_eq!(each.as_of, None);
    let some = decode_with(r#"{"rows": [{"amount": 1, "as_of": 5}, {"amount": 2}]}"#, REPLAY).unwrap_err().to_json("");
    assert_eq!((&some["input"], &some["row"]), (&json!("as_of"), &json!(1)));
    let both = decode_with(r#"{"as_of": 7, "rows": [{"amount": 1, "as_of": 5}]}"#, REPLAY).unwrap_err();
    assert_eq!(both.kind, Kind::InvalidRequest);
}

#[test]
fn mistakes_name_input_and_row() {
    for (body, slug_expected, input, row) in [
        (r#"{"rows": [{"amount": 1}, {"amuont": 2}]}"#, "unknown-name", json!("amuont"), json!(1)),
        (r#"{"columns": {"amuont": [2]}}"#, "unknown-name", json!("amuont"), json!(null)),
        (r#"{"rows": [{"seen": 3, "amount": 1}]}"#, "unknown-name", json!("seen"), json!(0)),
        (r#"{"rows": [{"amount": 1}, {}]}"#, "invalid-value", json!("amount"), json!(1)),
        (r#"{"rows": [{"amount": null}]}"#, "invalid-value", json!("amount"), json!(0)),
        (r#"{"rows": [{"count": 1}]}"#, "missing-input", json!("amount"), json!(null)),
        (r#"{"columns": {"count": [1]}}"#, "missing-input", json!("amount"), json!(null)),
        (r#"{"columns": {"amount": [1, "1"]}}"#, "invalid-value", json!("amount"), json!(1)),
        (r#"{"columns": {"amount": [1, 2], "count": [1]}}"#, "invalid-request", json!("count"), json!(null)),
        (r#"{"rows": [{"amount": 1, "count": 1.0}]}"#, "invalid-value", json!("count"), json!(0)),
        (r#"{"rows": [{"amount": 1, "count": 9223372036854775808}]}"#, "invalid-value", json!("count"), json!(0)),
        (r#"{"rows": [{"amount": 1}, {"amount": 1e999}]}"#, "invalid-json", json!("amount"), json!(1)),
        (r#"{"rows": [{"amount": 1, "amount": 2}]}"#, "invalid-request", json!("amount"), json!(0)),
        (r#"{"rows": [{"amount": 1, "merchant": {"a": 1}}]}"#, "invalid-value", json!("merchant"), json!(0)),
    ] {
        let problem = refused(body);
        assert_eq!(slug(&problem), slug_expected, "{body}: {problem}");
        assert_eq!((&problem["input"], &problem["row"]), (&input, &row), "{body}: {problem}");
    }
    let hint = refused(r#"{"rows": [{"amuont": 2}]}"#)["hint"].to_string();
    assert!(hint.contains("did you mean `amount`?"), "{hint}");
    let item = refused(r#"{"rows": [{"amount": 1, "history": [1, null]}]}"#);
    assert_eq!(item["item"], 1, "{item}");
}

#[test]
fn another_shape_is_refused() {
    for body in [
        "{}",
        r#"{"rows": [], "columns": {}}"#,
        r#"{"rows": [], "rows": []}"#,
        r#"{"columns": {"amount": [1], "amount": [1]}}"#,
        r#"{"row": []}"#,
        r#"{"rows": {}}"#,
        r#"{"rows": [1]}"#,
        r#"{"columns": [1]}"#,
        r#"{"columns": {"amount": 1}}"#,
        "[]",
        "null",
    ] {
        let problem = refused(body);
        assert_eq!(slug(&problem), "invalid-request", "{body}: {problem}");
        assert_eq!(problem["status"], 422);
    }
    assert!(refused(r#"{"row": []}"#)["hint"].as_str().unwrap().contains("did you mean `rows`?"));
}

#[test]
fn syntax_errors_have_line_and_column() {
    let problem = refused("{\"rows\": [\n  {\"amount\": 1,}\n]}");
    assert_eq!((slug(&problem), &problem["status"]), ("invalid-json", &json!(400)));
    assert_eq!((&problem["line"], &problem["column"]), (&json!(2), &json!(16)), "{problem}");
    for body in ["", "{", "{\"rows\": [", "{\"rows\": []} x", "\u{feff}{}", r#"{"rows": [{"amount": NaN}]}"#] {
        assert_eq!(slug(&refused(body)), "invalid-json", "{body:?}");
    }
    let deep = format!(r#"{{"rows": [{{"merchant": {}1}}]}}"#, "[".repeat(100_000));
    assert_eq!(slug(&refused(&deep)), "invalid-json");
    let not_utf8 =
        super::json::decode(b"{\"rows\": [{\"merchant\": \"\xff\"}]}", &InputPlan::new(&bound()), LIVE, BOUNDS);
    assert_eq!(not_utf8.unwrap_err().kind, Kind::InvalidJson);
}

#[test]
fn rows_are_counted() {
    let rows = |count: usize| format!(r#"{{"rows": [{}]}}"#, vec![r#"{"amount": 1}"#; count].join(","));
    let columns = |count: usize| format!(r#"{{"columns": {{"amount": [{}]}}}}"#, vec!["1"; count].join(","));
    assert_eq!(decode(&rows(5)).inputs.num_rows(), 5);
    assert_eq!(decode(&columns(5)).inputs.num_rows(), 5);
    for body in [rows(6), columns(6)] {
        let problem = refused(&body);
        assert_eq!((slug(&problem), &problem["max"]), ("too-many-rows", &json!(5)));
    }
}

#[test]
fn null_vectors_do_not_multiply_a_body() {
    let plan = InputPlan::new(&bound_with("", vec![Field::new("v", DataType::Float32Vector(4096), true)]));
    let one = super::json::decode(br#"{"rows": [{}]}"#, &plan, LIVE, BOUNDS).unwrap();
    assert_eq!(one.inputs.num_rows(), 1);
    let two = super::json::decode(br#"{"rows": [{}, {}]}"#, &plan, LIVE, BOUNDS).unwrap_err();
    assert_eq!(two.kind, Kind::BodyTooLarge);
}

fn stream(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    // Two batches, so that rows of the second are counted on.
    writer.write(&batch.slice(0, 1)).unwrap();
    writer.write(&batch.slice(1, batch.num_rows() - 1)).unwrap();
    writer.into_inner().unwrap()
}

fn decode_arrow(body: &[u8], clock: Clock) -> Result<Decoded, Problem> {
    super::arrow::decode(body, &InputPlan::new(&bound()), clock, BOUNDS)
}

fn amounts(values: Vec<Option<f64>>) -> ArrayRef {
    Arc::new(Float64Array::from(values))
}

#[test]
fn a_stream_gives_the_same_inputs_as_json() {
    let merchants: ArrayRef = Arc::new(StringViewArray::from(vec![Some("é"), None, Some("shop")]));
    let body = stream(vec![("merchant", merchants), ("amount", amounts(vec![Some(1.0), Some(2.0), Some(-0.0)]))]);
    let decoded = decode_arrow(&body, LIVE).unwrap();
    let same = decode(r#"{"columns": {"merchant": ["é", null, "shop"], "amount": [1, 2, -0.0]}}"#);
    assert_eq!(format!("{:?}", decoded.inputs), format!("{:?}", same.inputs));
    assert_eq!((decoded.form, decoded.as_of), (Form::Columns, Some(NOW)));
}

#[test]
fn columns_of_a_stream_are_checked() {
    let ones = || amounts(vec![Some(1.0), Some(1.0)]);
    let integers = |values: Vec<i64>| -> ArrayRef { Arc::new(Int64Array::from(values)) };
    for (columns, kind, input, row) in [
        (vec![("amount", ones()), ("other", ones())], Kind::UnknownName, "other", None),
        (
            vec![("merchant", Arc::new(StringArray::from(vec!["a", "b"])) as ArrayRef)],
            Kind::MissingInput,
            "amount",
            None,
        ),
        (vec![("amount", amounts(vec![Some(1.0), None]))], Kind::InvalidValue, "amount", Some(1)),
        (vec![("amount", integers(vec![1, (1 << 53) + 1]))], Kind::InvalidValue, "amount", Some(1)),
        (vec![("amount", ones()), ("merchant", ones())], Kind::InvalidValue, "merchant", None),
        (vec![("amount", ones()), ("as_of", integers(vec![1, 2]))], Kind::ReplayNotAllowed, "as_of", None),
    ] {
        let problem = decode_arrow(&stream(columns), LIVE).unwrap_err();
        assert_eq!(problem.kind, kind, "{problem:?}");
        let problem = problem.to_json("");
        assert_eq!((&problem["input"], problem["row"].as_u64()), (&json!(input), row), "{problem}");
    }
    let many = stream(vec![("amount", amounts(vec![Some(1.0); 6]))]);
    assert_eq!(decode_arrow(&many, LIVE).unwrap_err().kind, Kind::TooManyRows);
    let long = "x".repeat(2000);
    let views: ArrayRef = Arc::new(StringViewArray::from(vec![long.as_str(); 3]));
    let views = stream(vec![("amount", amounts(vec![Some(1.0); 3])), ("merchant", views)]);
    assert_eq!(decode_arrow(&views, LIVE).unwrap_err().kind, Kind::BodyTooLarge);
}

#[test]
fn damaged_streams_are_refused_and_never_panic() {
    let body = stream(vec![("amount", amounts(vec![Some(1.0), Some(2.0), None]))]);
    // Every stream that ends too early, but for those that end between two messages.
    let whole = (0..body.len()).filter(|end| decode_arrow(&body[..*end], LIVE).is_ok()).count();
    assert!(whole <= 3, "{whole} cut streams were taken");
    let mut accepted = 0;
    for index in 0..body.len() {
        for bit in 0..8 {
            let mut damaged = body.clone();
            damaged[index] ^= 1 << bit;
            accepted += usize::from(decode_arrow(&damaged, LIVE).is_ok());
        }
    }
    assert!(accepted < body.len() * 8, "the null in a required input refuses each of them unless its bit is damaged");
    for body in [&b""[..], b"x", &[0xff; 64], &[0; 64], b"ARROW1\0\0"] {
        assert_eq!(decode_arrow(body, LIVE).unwrap_err().kind, Kind::InvalidArrow);
    }
    let mut trailing = stream(vec![("amount", amounts(vec![Some(1.0), Some(2.0)]))]);
    trailing.push(0);
    assert_eq!(decode_arrow(&trailing, LIVE).unwrap_err().kind, Kind::InvalidArrow);
}

#[test]
fn compressed_streams_are_refused_before_they_are_read() {
    let batch = RecordBatch::try_from_iter([("amount", amounts(vec![Some(1.0); 2]))]).unwrap();
    let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME)).unwrap();
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options).unwrap();
    writer.write(&batch).unwrap();
    let problem = decode_arrow(&writer.into_inner().unwrap(), LIVE).unwrap_err();
    assert_eq!(problem.kind, Kind::InvalidArrow);
    assert!(problem.detail.contains("compressed"), "{problem:?}");
}

fn outcome() -> Outcome {
    let fields: Vec<_> = outputs().iter().map(|field| field.to_arrow().with_nullable(true)).collect();
    let scores = amounts(vec![Some(0.1), None, Some(f64::NAN)]);
    let labels = Arc::new(StringArray::from(vec![Some("a\"b"), None, None]));
    let outputs = RecordBatch::try_new(Arc::new(arrow_schema::Schema::new(fields)), vec![scores, labels]).unwrap();
    Outcome {
        outputs,
        failures: vec![RowFailure { row: 1, message: "no \"amount\"".to_owned(), fault: Fault::Row }],
        fuel: 0,
    }
}

#[test]
fn answers_are_in_the_form_of_the_request() {
    let head = format!(r#"{{"view":"risk","version":2,"digest":"sha256:{}","#, "07".repeat(32));
    let failed = r#""failed_rows":[{"row":1,"status":"TRANSFORM_ERROR","message":"no \"amount\""}]}"#;
    let text = |form| String::from_utf8(encode::json(&bound(), &outcome(), form).unwrap()).unwrap();
    assert_eq!(
        text(Form::Rows),
        head.clone() + r#""rows":[{"score":0.1,"label":"a\"b"},null,{"score":"NaN","label":null}],"# + failed
    );
    assert_eq!(
        text(Form::Columns),
        head + r#""columns":{"score":[0.1,null,"NaN"],"label":["a\"b",null,null]},"# + failed
    );
}

#[test]
fn arrow_answers_carry_errors_and_what_computed_them() {
    let bytes = encode::arrow(&bound(), &outcome()).unwrap();
    let batches: Vec<_> = StreamReader::try_new(bytes.as_slice(), None).unwrap().collect::<Result<_, _>>().unwrap();
    let [batch] = &batches[..] else { panic!("one batch") };
    assert_eq!(batch.column_by_name("score").unwrap(), outcome().outputs.column(0));
    let errors = batch.column_by_name("__error").unwrap().as_string::<i32>();
    assert_eq!(errors.iter().collect::<Vec<_>>(), [None, Some("no \"amount\""), None]);
    let schema = batch.schema();
    let metadata = schema.metadata();
    assert_eq!((metadata["tandem.view"].as_str(), metadata["tandem.version"].as_str()), ("risk", "2"));
    assert_eq!(metadata["tandem.digest"], bound().digest.to_string());
}

#[test]
fn errors_of_the_engine_are_sorted() {
    let problem = engine_problem(&EngineError::InstancesExhausted { max: 3 });
    assert_eq!(problem.kind, Kind::Overloaded);
    let failures =
        (0..20).map(|row| RowFailure { row, message: format!("row {row} is bad"), fault: Fault::Row }).collect();
    let problem = engine_problem(&EngineError::TooManyFailures { failures, max: 19 }).to_json("");
    assert_eq!((slug(&problem), problem["failed_rows"].as_array().unwrap().len()), ("too-many-failures", 10));
    assert_eq!(problem["failed_rows"][3]["message"], "row 3 is bad");
    let problem = engine_problem(&EngineError::Arrow("a secret".to_owned()));
    assert_eq!(problem.kind, Kind::Internal);
    assert!(!problem.to_json("").to_string().contains("secret"));
}
