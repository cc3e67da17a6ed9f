use crate::window::{AggregateFeature, Aggregates, Bounds, EventColumn, Function, Precision, Window};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::*;
use crate::model::{
    AsOf, Check, CheckAction, Deprecation, Expected, History, InstanceMode, KnownBy, NanMode, SourceKind, Stage,
};
use crate::time::{Day, Duration, Timestamp};
use crate::types::{DataType, Field};

#[derive(Clone)]
struct Case {
    view: FeatureView,
    signature: Signature,
    digest: Digest,
}

impl Case {
    fn hash(&self) -> Digest {
        definition_hash(&self.view, &self.signature, self.digest)
    }

    fn source(&mut self) -> &mut Source {
        match &mut self.view.source {
            ViewSource::Files(source) => Arc::make_mut(source),
            other => panic!("{other:?}"),
        }
    }

    fn rows(&mut self) -> &mut PublishedRows {
        match &mut self.view.source {
            ViewSource::View(rows) => Arc::make_mut(rows),
            other => panic!("{other:?}"),
        }
    }

    fn read(&mut self, input: &str, source: InputSource) {
        self.view.inputs.insert(input.to_owned(), source);
    }

    fn query(&mut self, text: &str, tables: &[(&str, &str)]) {
        let tables = tables.iter().map(|(name, path)| ((*name).to_owned(), (*path).into())).collect();
        self.source().query = Some(SourceQuery { text: text.to_owned(), tables });
    }

    fn columns(&mut self, columns: &[(&str, &str, DataType)]) {
        let feature = |(name, column, data_type): &(&str, &str, DataType)| ColumnFeature {
            name: (*name).to_owned(),
            column: (*column).to_owned(),
            data_type: *data_type,
            description: String::new(),
        };
        self.view.columns = columns.iter().map(feature).collect();
        (self.signature, self.digest) = self.view.declared().unwrap();
    }

    fn aggregates(&mut self, name: &str, function: Function) {
        let window = Window::Lifetime;
        let feature = AggregateFeature {
            name: format!("{name}_lifetime"),
            function,
            column: Some(0),
            filter: None,
            of: None,
            window,
            description: String::new(),
        };
        let column =
            EventColumn { name: "amount".to_owned(), column: "amount".to_owned(), data_type: DataType::Float64 };
        self.view.aggregates = Some(Arc::new(Aggregates {
            functions: Vec::new(),
            columns: vec![column],
            filter: None,
            bounds: Bounds::StartIncluded,
            precision: Precision::Exact,
            lateness: None,
            zone: crate::time::Zone::utc(),
            retention: None,
            every: None,
            features: vec![feature],
        }));
        (self.signature, self.digest) = self.view.declared().unwrap();
    }

    fn default(&mut self, value: serde_json::Value) {
        self.view.defaults.insert("risk".to_owned(), value);
    }

    fn promise(&mut self, on_violation: OnError, change: impl Fn(&mut ColumnContract)) {
        let (name, data_type) = ("amount".to_owned(), DataType::Int64);
        let mut column = ColumnContract { name, data_type, nullable: false, allowed: None, min: None, max: None };
        change(&mut column);
        self.source().contract = SourceContract { columns: vec![column], on_violation };
    }

    fn entity(&mut self) -> &mut Entity {
        Arc::make_mut(&mut self.view.entities[0])
    }
}

fn parameters() -> Parameters {
    use ParameterValue::*;
    let parameters = [
        ("boolean", Boolean(true)),
        ("int64", Int64(-1)),
        ("float64", Float64(0.0)),
        ("text", Text("é".to_owned())),
        ("int64s", Int64s(vec![1, 2])),
        ("float64s", Float64s(vec![0.5])),
        ("timestamps", Timestamps(vec![Timestamp(1)])),
        ("texts", Texts(vec!["a".to_owned(), "b".to_owned()])),
    ];
    parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn case() -> Case {
    let source = Source {
        name: "transactions".to_owned(),
        path: "data/transactions".into(),
        kind: SourceKind::Events,
        event_time: "event_time".to_owned(),
        query: None,
        valid_to: None,
        created_time: Some("created_time".to_owned()),
        sequence: Some("offset".to_owned()),
        event_id: None,
        retracted: None,
        timezone: Some("UTC".to_owned()),
        partition: Some("date".to_owned()),
        contract: SourceContract::default(),
        description: String::new(),
    };
    let join_key = JoinKey { name: "user_id".to_owned(), data_type: DataType::Int64 };
    let entity = Entity { name: "user".to_owned(), join_keys: vec![join_key], description: String::new() };
    let view = FeatureView {
        name: "transaction_risk".to_owned(),
        version: 1,
        stage: Stage::Experimental,
        deprecation: None,
        source: ViewSource::Files(Arc::new(source)),
        entities: vec![Arc::new(entity)],
        component: "transform.wasm".into(),
        columns: Vec::new(),
        aggregates: None,
        parameters: parameters(),
        inputs: [("amount".to_owned(), InputSource::Column("amount_eur".to_owned()))].into(),
        key_columns: BTreeMap::new(),
        ttl: Some(Duration::from_micros(30 * 86_400_000_000)),
        freshness: Some(Duration::from_micros(3_600_000_000)),
        as_of: AsOf::Before,
        known_by: KnownBy::Created,
        history: History::Append,
        publish_delay: None,
        defaults: BTreeMap::new(),
        checks: Vec::new(),
        on_error: OnError::Fail,
        nan: NanMode::Boundary,
        instance: InstanceMode::PerCall,
        // Written out: a new default must not change the pinned hash below.
        limits: TransformLimits {
            fuel_base: 1,
            fuel_per_row: 2,
            call_seconds_max: 3,
            memory_bytes_max: 4,
            table_elements_max: 5,
            output_bytes_max: 6,
            message_bytes_max: 7,
            fields_max: 8,
            failed_rows_max: 9,
        },
        owner: String::new(),
        description: String::new(),
        tags: BTreeMap::new(),
    };
    let signature = Signature {
        inputs: vec![
            Field::new("amount", DataType::Float64, true),
            Field::new("merchant", DataType::String, true),
            Field::new("scored_at", DataType::Timestamp, false),
        ],
        outputs: vec![Field::new("risk", DataType::Float64, true)],
        doc: String::new(),
    };
    Case { view, signature, digest: Digest::of(b"component") }
}

fn view_source(name: &str, version: u32) -> ViewSource {
    ViewSource::View(Arc::new(PublishedRows {
        view: ViewVersion::new(name, version),
        kind: SourceKind::Events,
        created_time: true,
        sequence: true,
        event_ids: false,
        timezone: None,
        partition: Some("date".to_owned()),
    }))
}

fn feature(view: &str, version: u32, feature: &str) -> InputSource {
    InputSource::Feature { view: ViewVersion::new(view, version), feature: feature.to_owned() }
}

type Change = (&'static str, fn(&mut Case));

/// One change at least for everything that the hash covers.
const COVERED: &[Change] = &[
    ("digest", |c| c.digest = Digest::of(b"another component")),
    ("FeatureView.source", |c| c.view.source = view_source("spend", 1)),
    ("FeatureView.source", |c| c.view.source = ViewSource::Request),
    ("FeatureView.entities", |c| c.view.entities.clear()),
    ("FeatureView.parameters", |c| drop(c.view.parameters.remove("int64"))),
    ("FeatureView.inputs", |c| c.view.inputs.clear()),
    ("FeatureView.inputs", |c| drop(c.view.inputs.insert("scored_at".to_owned(), InputSource::AsOf))),
    ("FeatureView.inputs", |c| c.read("merchant", feature("spend", 1, "mean"))),
    ("FeatureView.inputs", |c| c.read("merchant", InputSource::EventTime { view: ViewVersion::new("spend", 1) })),
    ("InputSource.feature", |c| c.read("merchant", feature("spend", 1, "median"))),
    ("InputSource.view", |c| c.read("merchant", feature("spent", 1, "mean"))),
    ("InputSource.view", |c| c.read("merchant", feature("spend", 2, "mean"))),
    ("InputSource.view", |c| c.read("merchant", InputSource::EventTime { view: ViewVersion::new("spend", 2) })),
    ("PublishedRows.view", |c| c.view.source = view_source("spend", 2)),
    ("PublishedRows.view", |c| c.view.source = view_source("spent", 1)),
    ("FeatureView.key_columns", |c| drop(c.view.key_columns.insert("user_id".to_owned(), "customer".to_owned()))),
    ("FeatureView.ttl", |c| c.view.ttl = None),
    ("FeatureView.ttl", |c| c.view.ttl = Some(Duration::from_micros(1))),
    ("FeatureView.as_of", |c| c.view.as_of = AsOf::AtOrBefore),
    ("FeatureView.columns", |c| c.columns(&[("risk", "risk", DataType::Float64)])),
    ("FeatureView.columns", |c| c.columns(&[("risk", "risk_1", DataType::Float64)])),
    ("FeatureView.columns", |c| c.columns(&[("risk", "risk", DataType::Int64)])),
    ("FeatureView.columns", |c| c.columns(&[("risk", "risk", DataType::Float64), ("x", "x", DataType::Int64)])),
    ("FeatureView.aggregates", |c| c.aggregates("amount", Function::Sum)),
    ("FeatureView.aggregates", |c| c.aggregates("amount", Function::Mean)),
    ("FeatureView.aggregates", |c| c.aggregates("total", Function::Sum)),
    ("FeatureView.publish_delay", |c| c.view.publish_delay = Some(Duration::from_micros(0))),
    ("FeatureView.publish_delay", |c| c.view.publish_delay = Some(Duration::from_micros(1))),
    ("FeatureView.defaults", |c| c.default(serde_json::json!(1.5))),
    ("FeatureView.defaults", |c| c.default(serde_json::json!(0))),
    ("FeatureView.defaults", |c| c.default(serde_json::json!(-0.0))),
    ("FeatureView.known_by", |c| c.view.known_by = KnownBy::Published),
    ("FeatureView.known_by", |c| c.view.known_by = KnownBy::Event),
    ("FeatureView.history", |c| c.view.history = History::Replace),
    ("FeatureView.on_error", |c| c.view.on_error = OnError::Quarantine),
    ("FeatureView.nan", |c| c.view.nan = NanMode::Strict),
    ("FeatureView.limits", |c| c.view.limits = TransformLimits::default()),
    ("Source.name", |c| c.source().name.push('2')),
    ("Source.kind", |c| c.source().kind = SourceKind::Dimension),
    ("Source.query", |c| c.query("select 1", &[("a", "data/a")])),
    ("Source.query", |c| c.query("select 2", &[("a", "data/a")])),
    ("Source.query", |c| c.query("select 1", &[("b", "data/a")])),
    ("Source.valid_to", |c| c.source().valid_to = Some("until".to_owned())),
    ("Source.kind", |c| c.source().kind = SourceKind::State),
    ("Source.event_time", |c| c.source().event_time = "at".to_owned()),
    ("Source.created_time", |c| c.source().created_time = None),
    ("Source.sequence", |c| c.source().sequence = None),
    ("Source.event_id", |c| c.source().event_id = Some("id".to_owned())),
    ("Source.retracted", |c| c.source().retracted = Some("id".to_owned())),
    ("Source.timezone", |c| c.source().timezone = Some("Europe/Vienna".to_owned())),
    ("Source.timezone", |c| c.source().timezone = None),
    ("Source.partition", |c| c.source().partition = None),
    ("Source.contract", |c| c.promise(OnError::Quarantine, |_| {})),
    ("Source.contract", |c| c.promise(OnError::Quarantine, |column| column.name = "tax".to_owned())),
    ("Source.contract", |c| c.promise(OnError::Quarantine, |column| column.data_type = DataType::Float64)),
    ("Source.contract", |c| c.promise(OnError::Quarantine, |column| column.nullable = true)),
    ("Source.contract", |c| c.promise(OnError::Quarantine, |column| column.min = Some(0.0))),
    ("Source.contract", |c| c.promise(OnError::Quarantine, |column| column.max = Some(0.0))),
    ("Source.contract", |c| c.promise(OnError::Quarantine, |column| column.allowed = Some(Allowed::Integers(vec![1])))),
    ("Source.contract", |c| {
        c.promise(OnError::Quarantine, |column| column.allowed = Some(Allowed::Texts(vec!["1".to_owned()])))
    }),
    ("Entity.join_keys", |c| {
        c.entity().join_keys.push(JoinKey { name: "account".to_owned(), data_type: DataType::Int64 });
    }),
    ("Entity.join_keys", |c| {
        c.entity().join_keys.insert(0, JoinKey { name: "account".to_owned(), data_type: DataType::Int64 });
    }),
    // The column stays the same.
    ("JoinKey.name", |c| {
        c.entity().join_keys[0].name = "customer".to_owned();
        c.view.key_columns.insert("customer".to_owned(), "user_id".to_owned());
    }),
    ("JoinKey.data_type", |c| c.entity().join_keys[0].data_type = DataType::String),
    ("Signature.inputs", |c| drop(c.signature.inputs.pop())),
    ("TransformLimits.fuel_base", |c| c.view.limits.fuel_base += 1000),
    ("TransformLimits.fuel_per_row", |c| c.view.limits.fuel_per_row += 1000),
    ("TransformLimits.call_seconds_max", |c| c.view.limits.call_seconds_max += 1000),
    ("TransformLimits.memory_bytes_max", |c| c.view.limits.memory_bytes_max += 1000),
    ("TransformLimits.table_elements_max", |c| c.view.limits.table_elements_max += 1000),
    ("TransformLimits.output_bytes_max", |c| c.view.limits.output_bytes_max += 1000),
    ("TransformLimits.message_bytes_max", |c| c.view.limits.message_bytes_max += 1000),
    ("TransformLimits.fields_max", |c| c.view.limits.fields_max += 1000),
    ("TransformLimits.failed_rows_max", |c| c.view.limits.failed_rows_max += 1000),
];

const NOT_COVERED: &[Change] = &[
    ("FeatureView.name", |c| c.view.name.push('2')),
    ("FeatureView.version", |c| c.view.version = 2),
    ("FeatureView.stage", |c| c.view.stage = Stage::Production),
    ("FeatureView.deprecation", |c| {
        c.view.deprecation = Some(Deprecation { since: Day(0), replacement: Some(ViewVersion::new("spend", 1)) });
    }),
    ("FeatureView.checks", |c| {
        c.view.checks = vec![Check { expected: Expected::Unique, action: CheckAction::Fail }];
    }),
    ("FeatureView.freshness", |c| c.view.freshness = None),
    ("FeatureView.freshness", |c| c.view.freshness = Some(Duration::from_micros(1))),
    ("FeatureView.instance", |c| c.view.instance = InstanceMode::Reused),
    ("FeatureView.component", |c| c.view.component = "elsewhere.wasm".into()),
    ("FeatureView.owner", |c| c.view.owner = "risk".to_owned()),
    ("FeatureView.description", |c| c.view.description = "text".to_owned()),
    ("FeatureView.tags", |c| drop(c.view.tags.insert("team".to_owned(), "risk".to_owned()))),
    ("Source.path", |c| c.source().path = "/elsewhere".into()),
    ("Source.contract", |c| c.promise(OnError::Fail, |_| {})),
    ("Source.description", |c| c.source().description = "text".to_owned()),
    ("Entity.name", |c| c.entity().name = "customer".to_owned()),
    ("Entity.description", |c| c.entity().description = "text".to_owned()),
    ("Signature.outputs", |c| c.signature.outputs[0].doc = "text".to_owned()),
    ("Signature.doc", |c| c.signature.doc = "text".to_owned()),
    // Mapped to its own name, or not mapped: the same meaning. So is what the component does not take.
    ("inputs as resolved", |c| {
        c.view.inputs.insert("merchant".to_owned(), InputSource::Column("merchant".to_owned()));
        c.view.inputs.insert("unused".to_owned(), InputSource::AsOf);
    }),
    ("columns as resolved", |c| drop(c.view.key_columns.insert("user_id".to_owned(), "user_id".to_owned()))),
];

/// Of a view over another's rows: what follows from that view.
const NOT_COVERED_OVER_A_VIEW: &[Change] = &[
    ("PublishedRows.kind", |c| c.rows().kind = SourceKind::State),
    ("PublishedRows.created_time", |c| c.rows().created_time = false),
    ("PublishedRows.sequence", |c| c.rows().sequence = false),
    ("PublishedRows.event_ids", |c| c.rows().event_ids = true),
    ("PublishedRows.timezone", |c| c.rows().timezone = Some("Europe/Vienna".to_owned())),
    ("PublishedRows.partition", |c| c.rows().partition = None),
];

/// The names of all fields of a struct; does not compile where one is missing.
macro_rules! fields {
    ($type:ident { $($field:ident),* $(,)? } of $value:expr) => {{
        let $type { $($field: _),* } = $value;
        [$(concat!(stringify!($type), ".", stringify!($field))),*]
    }};
}

#[test]
fn every_field_is_covered_or_left_out_on_purpose() {
    let case = case();
    let mut fields: BTreeSet<&str> = BTreeSet::new();
    fields.extend(fields!(FeatureView {
        name, version, stage, deprecation, source, entities, component, columns, aggregates, parameters, inputs, key_columns, ttl, freshness, as_of, known_by, history, publish_delay, defaults, checks, on_error,
        nan, instance, limits, owner, description, tags,
    } of &case.view));
    fields.extend(fields!(Source {
        name, path, query, kind, event_time, valid_to, created_time, sequence, event_id, retracted, timezone, partition, contract, description,
    } of case.view.source.files().unwrap().as_ref()));
    fields.extend(["InputSource.view", "InputSource.feature"]);
    let mut over_a_view = case.clone();
    over_a_view.view.source = view_source("spend", 1);
    fields.extend(
        fields!(PublishedRows { view, kind, created_time, sequence, event_ids, timezone, partition } of &*over_a_view.rows()),
    );
    fields.extend(fields!(Entity { name, join_keys, description } of &*case.view.entities[0]));
    fields.extend(fields!(JoinKey { name, data_type } of &case.view.entities[0].join_keys[0]));
    fields.extend(fields!(TransformLimits {
        fuel_base, fuel_per_row, call_seconds_max, memory_bytes_max, table_elements_max, output_bytes_max,
        message_bytes_max, fields_max, failed_rows_max,
    } of &case.view.limits));
    fields.extend(fields!(Signature { inputs, outputs, doc } of &case.signature));
    let changed = COVERED
        .iter()
        .chain(NOT_COVERED)
        .chain(NOT_COVERED_OVER_A_VIEW)
        .map(|(name, _)| *name)
        .filter(|name| name.contains('.'));
    assert_eq!(changed.collect::<BTreeSet<&str>>(), fields);
}

#[test]
fn what_is_covered_changes_the_hash_each_in_its_own_way() {
    let base = case();
    let mut seen = BTreeMap::from([(base.hash(), "nothing changed")]);
    for (name, change) in COVERED {
        let mut changed = base.clone();
        change(&mut changed);
        if let Some(other) = seen.insert(changed.hash(), name) {
            // Two ways to the same definition are fine, two definitions with one hash are not.
            panic!("{name} has the hash of {other}");
        }
    }
    assert_eq!(seen.len(), COVERED.len() + 1);
}

#[test]
fn what_is_not_covered_leaves_the_hash() {
    let over_files = case();
    let mut over_a_view = case();
    over_a_view.view.source = view_source("spend", 1);
    for (base, changes) in [(over_files, NOT_COVERED), (over_a_view, NOT_COVERED_OVER_A_VIEW)] {
        for (name, change) in changes {
            let mut changed = base.clone();
            change(&mut changed);
            assert_eq!(changed.hash(), base.hash(), "{name}");
        }
    }
}

#[test]
fn parameters_differ_by_type_and_bits() {
    use ParameterValue::*;
    let values = [
        Boolean(false),
        Boolean(true),
        Int64(0),
        Int64(1),
        Float64(0.0),
        Float64(-0.0),
        Text("0".to_owned()),
        Text(String::new()),
        Int64s(vec![]),
        Int64s(vec![1, 2]),
        Int64s(vec![2, 1]),
        Float64s(vec![]),
        Float64s(vec![0.0]),
        Timestamps(vec![]),
        Timestamps(vec![Timestamp(1), Timestamp(2)]),
        Texts(vec![]),
        Texts(vec!["a".to_owned(), "b".to_owned()]),
        Texts(vec!["ab".to_owned()]),
    ];
    let hashes: BTreeSet<Digest> = values
        .iter()
        .map(|value| {
            let mut case = case();
            case.view.parameters.insert("p".to_owned(), value.clone());
            case.hash()
        })
        .collect();
    assert_eq!(hashes.len(), values.len());
}

/// What is stored under a definition hash must be found again by every later release.
#[test]
fn the_hash_is_pinned() {
    assert_eq!(case().hash().to_string(), "sha256:6cad063498b6392a2c8cef9ea16b74b98257639b3a51c0fc0549452cb4c7e98a");
    assert_eq!(DEFINITION_ENCODING, "tandem-definition/1");
}

#[test]
fn a_default_is_its_value_and_not_its_spelling() {
    let hash = |value| {
        let mut case = case();
        case.default(value);
        case.hash()
    };
    assert_eq!(hash(serde_json::json!(2)), hash(serde_json::json!(2.0)));
    assert_ne!(hash(serde_json::json!(2)), case().hash());
}
