use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, Float64Array, TimestampMicrosecondArray};
use tandem_core::definition::{File, ServiceColumn, Sources, bind, parse_project};
use tandem_core::hash::Digest;
use tandem_core::model::ViewVersion;
use tandem_core::types::{DataType, Field, Signature};

use super::*;
use crate::transform::{Fault, RowFailure};

const FEATURES: &str = r#"
[[entity]]
name = "user"
join_keys = [{ name = "user_id", type = "float64" }]
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
name = "ratio"
version = 1
component = "ratio.wasm"
inputs = { mean = { view = "spend@1", feature = "mean" } }
[[feature_view]]
name = "risk"
version = 1
entities = ["user"]
component = "risk.wasm"
inputs = { ratio = { view = "ratio@1", feature = "ratio" } }
"#;

fn signature(inputs: &[&str], output: &str) -> Signature {
    let field = |name: &str| Field::new(name, DataType::Float64, true);
    Signature {
        inputs: inputs.iter().map(|name| field(name)).collect(),
        outputs: vec![field(output)],
        doc: String::new(),
    }
}

/// `risk` over `ratio` over `spend` and the request.
fn plan() -> FeaturePlan {
    let settings = File { name: "tandem.toml".to_owned(), text: "[project]\nname = \"x\"\n".to_owned() };
    let features = vec![File { name: "features.toml".to_owned(), text: FEATURES.to_owned() }];
    let project = parse_project(&Sources { settings, features }, std::path::Path::new(".")).unwrap();
    let mut known = BTreeMap::new();
    for name in ["spend", "ratio", "risk"] {
        let view = project.views.iter().find(|view| view.name == name).unwrap().clone();
        let signature = match name {
            "spend" => signature(&["amount"], "mean"),
            "ratio" => signature(&["amount", "mean"], "ratio"),
            _ => signature(&["ratio", "user_id"], "score"),
        };
        let (id, digest) = (view.id(), Digest::of(name.as_bytes()));
        known.insert(id, Arc::new(bind(view, signature, digest, &known).unwrap()));
    }
    let column = |view: &str, feature: &str| ServiceColumn {
        name: feature.to_owned(),
        view: ViewVersion::new(view, 1),
        feature: feature.to_owned(),
        data_type: DataType::Float64,
    };
    FeaturePlan::new(&[column("risk", "score"), column("ratio", "ratio")], &known).unwrap()
}

fn floats(values: &[Option<f64>]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

/// Adds up the inputs of each row; a row whose sum is in `fails` fails.
fn add_up(inputs: &Inputs, output: &str, fails: &[f64]) -> Outcome {
    let columns: Vec<_> = inputs.batch.columns().iter().map(|column| column.as_primitive::<Float64Type>()).collect();
    let mut failures = Vec::new();
    let sum = |row: usize| {
        let sum = columns.iter().map(|column| column.is_valid(row).then(|| column.value(row))).sum::<Option<f64>>();
        if sum.is_some_and(|sum| fails.contains(&sum)) {
            failures.push(RowFailure { row, message: format!("{sum:?}"), fault: Fault::Row });
            return None;
        }
        sum
    };
    let sums: Vec<Option<f64>> = (0..inputs.batch.num_rows()).map(sum).collect();
    let outputs = RecordBatch::try_from_iter_with_nullable([(output, floats(&sums), true)]).unwrap();
    Outcome { outputs, failures, fuel: 0 }
}

#[test]
fn views_are_computed_in_order_and_a_failed_row_fails_what_reads_it() {
    let plan = plan();
    let times = TimestampMicrosecondArray::from(vec![0; 5]).with_timezone("UTC");
    // The request's columns: amount, user_id.
    let request = vec![
        floats(&[Some(1.0), Some(2.0), Some(3.0), None, Some(5.0)]),
        floats(&[Some(100.0), Some(100.0), Some(100.0), Some(100.0), Some(200.0)]),
    ];
    assert_eq!(plan.request.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["amount", "user_id"]);
    let stored = StoredColumns {
        features: vec![floats(&[Some(10.0), Some(20.0), None, Some(40.0), Some(50.0)])],
        event_times: Arc::new(times.clone()),
        failed: BTreeMap::from([(4, "checksum".to_owned())]),
    };
    let mut evaluation = Evaluation::new(&plan, request, Arc::new(times), vec![stored]);

    let inputs = evaluation.ready().unwrap().unwrap();
    assert_eq!((inputs.step, inputs.batch.num_rows()), (0, 4), "the row of which nothing is known is not shown");
    let outcome = add_up(&inputs, "ratio", &[22.0]);
    evaluation.push(inputs, outcome).unwrap();
    let inputs = evaluation.ready().unwrap().unwrap();
    assert_eq!((inputs.step, inputs.batch.num_rows()), (1, 3));
    let outcome = add_up(&inputs, "score", &[]);
    evaluation.push(inputs, outcome).unwrap();
    assert!(evaluation.ready().unwrap().is_none());

    let found = |column: usize| {
        let values = evaluation.feature(plan.columns[column].from);
        values.as_primitive::<Float64Type>().iter().collect::<Vec<_>>()
    };
    assert_eq!(found(1), [Some(11.0), None, None, None, None]);
    assert_eq!(found(0), [Some(111.0), None, None, None, None]);
    let failed =
        |step| evaluation.failed(step).iter().map(|(row, why)| (*row, why.message.as_str())).collect::<Vec<_>>();
    assert_eq!(failed(0), [(1, "Some(22.0)"), (4, "`spend@1`, which it reads, has no value that is known")]);
    assert_eq!(
        failed(1),
        [
            (1, "`ratio@1`, which it reads, has no value that is known"),
            (4, "`ratio@1`, which it reads, has no value that is known")
        ]
    );
}

#[test]
fn without_rows_every_step_is_called_all_the_same() {
    let plan = plan();
    let times = Arc::new(TimestampMicrosecondArray::from(Vec::<i64>::new()).with_timezone("UTC"));
    let stored = StoredColumns {
        features: vec![floats(&[])],
        event_times: Arc::clone(&times) as ArrayRef,
        failed: BTreeMap::new(),
    };
    let mut evaluation = Evaluation::new(&plan, vec![floats(&[]), floats(&[])], times, vec![stored]);
    while let Some(inputs) = evaluation.ready().unwrap() {
        let outcome = add_up(&inputs, "x", &[]);
        evaluation.push(inputs, outcome).unwrap();
    }
    assert_eq!(evaluation.feature(plan.columns[0].from).len(), 0);
}
