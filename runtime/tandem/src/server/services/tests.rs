use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use tandem_core::definition::ServiceColumn;
use tandem_core::feature_plan::FeaturePlan;
use tandem_core::time::Timestamp;
use tandem_core::types::{DataType, Field};

use super::vectors::Rows;
use super::*;
use crate::server::arrow::write;
use crate::server::as_of::Clock;
use crate::server::testing::{LIVE, NOW, REPLAY, bound_with};

const BOUNDS: Bounds = Bounds { rows_max: 10, body_bytes_max: 10_000 };

fn plan() -> FeaturePlan {
    let bound = bound_with("", vec![Field::new("amount", DataType::Float64, false)]);
    let id = bound.view.id();
    let column = ServiceColumn {
        name: "score".to_owned(),
        view: id.clone(),
        feature: "score".to_owned(),
        data_type: DataType::Float64,
    };
    FeaturePlan::new(&[column], &BTreeMap::from([(id, bound)])).unwrap()
}

fn decode(body: &str, clock: Clock, rows_max: usize) -> Result<(Rows, Form), Problem> {
    request::decode(body.as_bytes(), &plan(), clock, Bounds { rows_max, ..BOUNDS }, &[])
}

#[test]
fn join_keys_must_be_there_and_may_be_null() {
    let plan = plan();
    let names: Vec<_> = plan.request.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["bank", "card_id"], "a stored view takes its keys alone");
    let (asked, form) = decode(r#"{"rows": [{"card_id": 1, "bank": null}]}"#, LIVE, 10).unwrap();
    assert_eq!((asked.rows, asked.as_of, asked.columns[0].null_count(), form), (1, NOW, 1, Form::Rows));
    let columns = r#"{"columns": {"card_id": [1, 2], "bank": ["a", "b"]}, "as_of": 7}"#;
    let (asked, form) = decode(columns, REPLAY, 10).unwrap();
    assert_eq!((asked.rows, asked.as_of, form), (2, Timestamp(7), Form::Columns));
    assert_eq!(decode(r#"{"rows": []}"#, LIVE, 10).unwrap().0.rows, 0);

    for (body, kind, words) in [
        (r#"{"rows": [{"card_id": 1}]}"#, Kind::MissingInput, "the join key `bank` (string) is missing"),
        (
            r#"{"rows": [{"card_id": 1, "bank": "a"}, {"bank": "a"}]}"#,
            Kind::MissingInput,
            "row 1: the join key `card_id`",
        ),
        (r#"{"rows": [{"card_id": "x", "bank": "a"}]}"#, Kind::InvalidValue, "`card_id`, row 0: int64 expected"),
        (r#"{"rows": [{"card": 1}]}"#, Kind::UnknownName, "`card` is none of the join keys and inputs"),
        (r#"{"entities": []}"#, Kind::InvalidRequest, "unknown key `entities`"),
        (r#"{}"#, Kind::InvalidRequest, "neither `rows` nor `columns`"),
        (r#"{"rows": [], "as_of": 7}"#, Kind::ReplayNotAllowed, "as_of"),
        (
            r#"{"rows": [{"card_id": 1, "bank": "a"}, {"card_id": 1, "bank": "a"}]}"#,
            Kind::TooManyRows,
            "more than 1 rows",
        ),
    ] {
        let rows_max = if kind == Kind::TooManyRows { 1 } else { 10 };
        let problem = decode(body, LIVE, rows_max).expect_err(body);
        assert_eq!(problem.kind, kind, "{body}");
        assert!(problem.detail.contains(words), "{body}: {}", problem.detail);
    }
}

#[test]
fn what_is_common_holds_for_all_rows() {
    let banks =
        |rows: &Rows| rows.columns[0].as_string::<i32>().iter().map(|bank| bank.map(str::to_owned)).collect::<Vec<_>>();
    let (asked, _) =
        decode(r#"{"common": {"bank": "a"}, "rows": [{"card_id": 1}, {"card_id": 2}]}"#, LIVE, 10).unwrap();
    assert_eq!((asked.rows, banks(&asked)), (2, vec![Some("a".to_owned()); 2]));
    assert_eq!(asked.columns[1].as_primitive::<Int64Type>().values().as_ref(), [1, 2]);
    let (asked, form) = decode(r#"{"columns": {"card_id": [1, 2]}, "common": {"bank": null}}"#, LIVE, 10).unwrap();
    assert_eq!((banks(&asked), form), (vec![None; 2], Form::Columns));
    let (asked, form) = decode(r#"{"common": {"bank": "a", "card_id": 3}}"#, LIVE, 10).unwrap();
    assert_eq!((asked.rows, banks(&asked), form), (1, vec![Some("a".to_owned())], Form::Rows), "alone it is one row");
    assert_eq!(decode(r#"{"common": {"bank": "a"}, "rows": []}"#, LIVE, 10).unwrap().0.rows, 0);

    let long =
        format!(r#"{{"common": {{"bank": "{}"}}, "rows": [{{"card_id": 1}}, {{"card_id": 2}}]}}"#, "x".repeat(6_000));
    for (body, kind, words) in [
        (
            r#"{"common": {"bank": "a"}, "rows": [{"card_id": 1, "bank": "b"}]}"#,
            Kind::InvalidRequest,
            "in `common` and in the rows",
        ),
        (r#"{"common": {"bank": 5}, "rows": [{"card_id": 1}]}"#, Kind::InvalidValue, "`bank`"),
        (r#"{"common": {"bnk": "a"}, "rows": []}"#, Kind::UnknownName, "`bnk` is none of"),
        (r#"{"common": {"bank": "a", "bank": "b"}, "rows": []}"#, Kind::InvalidRequest, "stands twice"),
        (r#"{"common": {"bank": "a"}}"#, Kind::MissingInput, "`card_id`"),
        (r#"{"common": [], "rows": []}"#, Kind::InvalidRequest, "an object"),
        (&long, Kind::BodyTooLarge, "`bank` in `common` takes"),
    ] {
        let problem = decode(body, LIVE, 10).expect_err(body);
        assert_eq!(problem.kind, kind, "{body}: {}", problem.detail);
        assert!(problem.detail.contains(words), "{body}: {}", problem.detail);
    }
}

#[test]
fn arrow_asks_for_the_same() {
    let plan = plan();
    let stream = |columns: Vec<(&str, ArrayRef)>| {
        write(
            &RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))
                .unwrap(),
        )
        .unwrap()
    };
    let cards: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
    let banks: ArrayRef = Arc::new(StringArray::from(vec![None, Some("b")]));
    let body = stream(vec![("card_id", Arc::clone(&cards)), ("bank", banks)]);
    let asked = request::decode_arrow(&body, &plan, LIVE, BOUNDS).unwrap();
    assert_eq!(
        (asked.rows, asked.as_of, &asked.columns[1]),
        (2, NOW, &cards),
        "null keys are asked for, and not found"
    );
    let problem =
        request::decode_arrow(&stream(vec![("card_id", Arc::clone(&cards))]), &plan, LIVE, BOUNDS).unwrap_err();
    assert_eq!(
        (problem.kind, problem.detail.as_str()),
        (Kind::MissingInput, "the join key `bank` (string) is missing")
    );
    let problem = request::decode_arrow(&stream(vec![("card", cards)]), &plan, LIVE, BOUNDS).unwrap_err();
    assert_eq!(problem.kind, Kind::UnknownName);
}
