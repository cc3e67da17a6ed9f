use std::path::Path;

use super::*;
use crate::definition::{File, Sources, bind, bind_service, parse_project};
use crate::hash::Digest;
use crate::model::{FeatureService, Project};
use crate::types::{Field, Signature};

const FEATURES: &str = r#"
[[entity]]
name = "user"
join_keys = [{ name = "user_id", type = "int64" }]
[[entity]]
name = "merchant"
join_keys = [{ name = "merchant_id", type = "string" }]
[[source]]
name = "log"
path = "log"
kind = "state"
event_time = "at"
[[feature_view]]
name = "spend"
version = 1
source = "log"
entities = ["user"]
component = "spend.wasm"
[[feature_view]]
name = "shop"
version = 2
source = "log"
entities = ["merchant"]
component = "shop.wasm"
[[feature_view]]
name = "ratio"
version = 1
component = "ratio.wasm"
inputs = { mean = { view = "spend@1", feature = "mean" } }
[[feature_view]]
name = "risk"
version = 1
entities = ["user", "merchant"]
component = "risk.wasm"
[feature_view.inputs]
ratio = { view = "ratio@1", feature = "ratio" }
shop_risk = { view = "shop@2", feature = "risk" }
last_seen = { view = "spend@1", event_time = true }
[[feature_service]]
name = "everything"
features = ["risk@1:score", "spend@1"]
[[feature_service]]
name = "deep"
features = ["risk@1"]
"#;

fn signature(inputs: &[(&str, DataType, bool)], outputs: &[&str]) -> Signature {
    let inputs = inputs.iter().map(|(name, data_type, nullable)| Field::new(*name, *data_type, *nullable)).collect();
    let outputs = outputs.iter().map(|name| Field::new(*name, DataType::Float64, true)).collect();
    Signature { inputs, outputs, doc: String::new() }
}

fn project() -> Project {
    let settings = File { name: "tandem.toml".to_owned(), text: "[project]\nname = \"x\"\n".to_owned() };
    let features = vec![File { name: "features.toml".to_owned(), text: FEATURES.to_owned() }];
    parse_project(&Sources { settings, features }, Path::new(".")).unwrap()
}

/// All views, bound; `amount` is what `ratio` and `risk` both take of the request.
fn views(project: &Project, amount_of_risk: DataType) -> BTreeMap<ViewVersion, Arc<BoundView>> {
    use DataType::{Float64, Timestamp};
    let mut known: BTreeMap<ViewVersion, Arc<BoundView>> = BTreeMap::new();
    for view in project.views.iter().flat_map(|view| project.with_upstream(view)) {
        let signature = match view.name.as_str() {
            "spend" => signature(&[("amount", Float64, true)], &["total", "mean", "unused"]),
            "shop" => signature(&[("amount", Float64, true)], &["risk"]),
            "ratio" => signature(&[("amount", Float64, true), ("mean", Float64, true)], &["ratio"]),
            "risk" => signature(
                &[
                    ("ratio", Float64, true),
                    ("amount", amount_of_risk, false),
                    ("as_of", Timestamp, false),
                    ("shop_risk", Float64, true),
                    ("last_seen", Timestamp, true),
                ],
                &["score", "reason"],
            ),
            other => panic!("{other}"),
        };
        let bound = bind(view.clone(), signature, Digest::of(view.name.as_bytes()), &known).unwrap();
        known.insert(view.id(), Arc::new(bound));
    }
    known
}

fn columns(service: &FeatureService, views: &BTreeMap<ViewVersion, Arc<BoundView>>) -> Vec<ServiceColumn> {
    let signatures = views.iter().map(|(id, bound)| (id.clone(), &bound.signature)).collect();
    bind_service(service, &signatures).unwrap()
}

#[test]
fn every_view_is_read_once_and_after_what_it_reads() {
    let project = project();
    let views = views(&project, DataType::Float64);
    let plan = FeaturePlan::new(&columns(&project.services[1], &views), &views).unwrap();

    let stored: Vec<_> = plan.stored.iter().map(|step| (step.view.view.id().to_string(), &step.outputs[..])).collect();
    // `unused` is asked for here, because the service takes all of `spend`.
    assert_eq!(stored, [("spend@1".to_owned(), &[0, 1, 2][..]), ("shop@2".to_owned(), &[0][..])]);
    let computed: Vec<_> = plan.computed.iter().map(|step| step.view.view.id().to_string()).collect();
    assert_eq!(computed, ["ratio@1", "risk@1"]);

    let request: Vec<_> =
        plan.request.iter().map(|column| (column.name.as_str(), column.nullable, column.join_key)).collect();
    assert_eq!(request, [("amount", false, false), ("merchant_id", true, true), ("user_id", true, true)]);
    assert_eq!(plan.request[0].needed_by.iter().map(ToString::to_string).collect::<Vec<_>>(), ["ratio@1", "risk@1"]);
    assert_eq!((&plan.stored[0].keys[..], &plan.stored[1].keys[..]), (&[2][..], &[1][..]));

    let feature = |step, output| InputFrom::Feature(FeatureRef { step, output });
    assert_eq!(plan.computed[0].inputs, [InputFrom::Request(0), feature(Step::Stored(0), 1)]);
    let risk = [
        feature(Step::Computed(0), 0),
        InputFrom::Request(0),
        InputFrom::AsOf,
        feature(Step::Stored(1), 0),
        InputFrom::EventTime(0),
    ];
    assert_eq!(plan.computed[1].inputs, risk);
    let names: Vec<_> = plan.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["score", "total", "mean", "unused"]);
    assert_eq!(plan.asked(), [Step::Computed(1), Step::Stored(0)]);
}

#[test]
fn what_nobody_needs_is_not_read() {
    let project = project();
    let views = views(&project, DataType::Float64);
    let plan = FeaturePlan::new(&columns(&project.services[0], &views), &views).unwrap();
    assert_eq!(project.services[0].name, "deep");
    // Of `spend` the mean alone, for `ratio`.
    assert_eq!(plan.stored[0].outputs, [1]);
    assert_eq!(plan.asked(), [Step::Computed(1)]);
}

#[test]
fn what_does_not_go_together_is_told() {
    let project = project();
    let known = views(&project, DataType::Int64);
    let error = FeaturePlan::new(&columns(&project.services[0], &known), &known).unwrap_err();
    assert_eq!(error.to_string(), "`amount` is float64 for `ratio@1` and int64 for `risk@1`");

    let known = views(&project, DataType::Float64);
    let mut asked = columns(&project.services[0], &known);
    asked[0].feature = "scores".to_owned();
    let error = FeaturePlan::new(&asked, &known).unwrap_err();
    let message =
        "feature view `risk@1` has no feature `scores`; did you mean `score`? the features are `score` and `reason`";
    assert_eq!(error.to_string(), message);

    asked[0].view = ViewVersion::new("rusk", 1);
    assert_eq!(FeaturePlan::new(&asked, &known).unwrap_err().to_string(), "`rusk@1` is not bound");
}
