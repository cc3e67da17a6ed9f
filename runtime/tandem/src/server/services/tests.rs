use tandem_core::definition::ServiceColumn;
use tandem_core::feature_plan::FeaturePlan;
use tandem_core::types::{DataType, Field};

use super::*;
use crate::server::testing::{LIVE, NOW, REPLAY, bound_with};

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

#[test]
fn join_keys_must_be_there_and_may_be_null() {
    let plan = plan();
    let names: Vec<_> = plan.request.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["bank", "card_id"], "a stored view takes its keys alone");
    let asked = request::decode(br#"{"rows": [{"card_id": 1, "bank": null}]}"#, &plan, LIVE, 10).unwrap();
    assert_eq!((asked.rows, asked.as_of, asked.columns[0].null_count()), (1, NOW, 1));
    let asked =
        request::decode(br#"{"columns": {"card_id": [1, 2], "bank": ["a", "b"]}, "as_of": 7}"#, &plan, REPLAY, 10);
    assert_eq!((asked.as_ref().unwrap().rows, asked.unwrap().as_of), (2, Timestamp(7)));
    assert_eq!(request::decode(br#"{"rows": []}"#, &plan, LIVE, 10).unwrap().rows, 0);

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
        let problem = request::decode(body.as_bytes(), &plan, LIVE, rows_max).err().expect(body);
        assert_eq!(problem.kind, kind, "{body}");
        assert!(problem.detail.contains(words), "{body}: {}", problem.detail);
    }
}
