use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;

use super::super::{File, parse_registered};
use super::*;
use crate::definition::DURATION_DAYS_MAX;
use crate::model::{
    Allowed, AsOf, Check, CheckAction, ColumnFeature, Deprecation, Expected, History, InstanceMode, JoinKey, KnownBy,
    NanMode, OnError, PublishedRows, ServiceFeatures, Share, SourceKind, SourceQuery, Stage, ViewVersion,
};
use crate::parameter::Parameters;
use crate::time::{Day, Duration, MICROS_PER_DAY};
use crate::types::{DataType, ItemType};

/// Any text: control characters, quotes, emoji.
fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop_oneof![any::<char>(), prop::sample::select(vec!['"', '\\', '\n', '\t', '\0', '\u{7f}'])],
        0..8,
    )
    .prop_map(|chars| chars.into_iter().collect())
}

fn column() -> impl Strategy<Value = String> {
    text().prop_filter("a column", |text| !text.is_empty() && text != "as_of")
}

fn name() -> impl Strategy<Value = String> {
    "[a-z_][a-z0-9_]{0,5}".prop_filter("reserved", |name| name != "as_of")
}

fn path_text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z ./é\"\\\\]{1,12}", Just(".".to_owned()), Just("..".to_owned()), Just("/abs/x".to_owned())]
}

fn texts(
    key: impl Strategy<Value = String>,
    value: impl Strategy<Value = String>,
) -> impl Strategy<Value = BTreeMap<String, String>> {
    prop::collection::btree_map(key, value, 0..3)
}

/// Entities whose join keys have names of their own.
fn entities() -> impl Strategy<Value = Vec<Arc<Entity>>> {
    let types = [
        DataType::Boolean,
        DataType::Int64,
        DataType::Float64,
        DataType::Timestamp,
        DataType::String,
        DataType::Binary,
    ];
    let keys = prop::collection::vec(prop::sample::select(types.to_vec()), 1..3);
    prop::collection::vec((keys, text()), 1..3).prop_map(|entities| {
        let entity = |(index, (types, description)): (usize, (Vec<DataType>, String))| {
            let key = |(key, data_type)| JoinKey { name: format!("key_{index}_{key}"), data_type };
            let join_keys = types.into_iter().enumerate().map(key).collect();
            Arc::new(Entity { name: format!("entity_{index}"), join_keys, description })
        };
        entities.into_iter().enumerate().map(entity).collect()
    })
}

fn source(root: &'static str) -> impl Strategy<Value = Source> {
    let optional = || prop::option::of(column());
    let zone = prop::option::of(prop::sample::select(vec!["UTC", "Europe/Vienna", "America/Argentina/Ushuaia"]));
    let kind = prop::sample::select(SourceKind::ALL.to_vec());
    let columns = (column(), optional(), optional(), optional(), optional(), optional());
    (name(), path_text(), kind, columns, zone, text(), prop::option::of(text()), contract()).prop_map(
        move |(name, path, kind, columns, timezone, description, query, contract)| {
            let (event_time, created_time, sequence, partition, event_id, retracted) = columns;
            let event_id = event_id.filter(|_| created_time.is_some() && query.is_none());
            let retracted = retracted.filter(|_| event_id.is_some());
            let timezone = timezone.map(str::to_owned);
            let path = Path::new(root).join(path);
            let valid_to = (kind == SourceKind::Dimension).then(|| "until".to_owned());
            let mut source = Source {
                name,
                path,
                query: None,
                kind,
                event_time,
                valid_to,
                created_time,
                sequence,
                event_id,
                retracted,
                timezone,
                partition,
                contract,
                description,
            };
            if let Some(text) = query.filter(|text| !text.is_empty()) {
                let tables = [("a".to_owned(), source.path), ("b_2".to_owned(), Path::new(root).join("b"))].into();
                source.query = Some(SourceQuery { text, tables });
                (source.path, source.partition) = (PathBuf::new(), None);
            }
            source
        },
    )
}

fn contract() -> impl Strategy<Value = SourceContract> {
    let bounds = || prop::option::of((float(), float()).prop_map(|(a, b)| (a.min(b), a.max(b))));
    let number = (bounds(), prop::sample::select(vec![DataType::Int64, DataType::Float64]))
        .prop_map(|(bounds, data_type)| (data_type, None, bounds.map(|(min, _)| min), bounds.map(|(_, max)| max)));
    let texts = prop::collection::vec(text(), 1..3).prop_map(Allowed::Texts);
    let texts = prop::option::of(texts).prop_map(|allowed| (DataType::String, allowed, None, None));
    let integers = prop::collection::vec(any::<i64>(), 1..3).prop_map(Allowed::Integers);
    let integers = integers.prop_map(|allowed| (DataType::Int64, Some(allowed), None, Some(7.5)));
    let promise = (any::<bool>(), prop_oneof![number, texts, integers]);
    let columns = prop::collection::btree_map(column(), promise, 0..4).prop_map(|columns| {
        let column = |(name, (nullable, (data_type, allowed, min, max)))| ColumnContract {
            name,
            data_type,
            nullable,
            allowed,
            min,
            max,
        };
        columns.into_iter().map(column).collect::<Vec<_>>()
    });
    (columns, prop::sample::select(OnError::ALL.to_vec())).prop_map(|(columns, on_violation)| {
        let on_violation = if columns.is_empty() { OnError::Fail } else { on_violation };
        SourceContract { columns, on_violation }
    })
}

fn float() -> impl Strategy<Value = f64> {
    any::<u64>().prop_map(f64::from_bits).prop_filter("NaN is refused", |float| !float.is_nan())
}

/// Every instant that TOML can write, with an offset too.
fn timestamp() -> impl Strategy<Value = Timestamp> {
    let (first, last) = (-62_167_305_540_000_000_i64, 253_402_207_200_000_000_i64);
    prop_oneof![first..=last, Just(first), Just(last), first..first + MICROS_PER_DAY].prop_map(Timestamp)
}

fn parameters() -> impl Strategy<Value = Parameters> {
    use ParameterValue::*;
    let some = 1..4_usize;
    let value = prop_oneof![
        any::<bool>().prop_map(Boolean),
        any::<i64>().prop_map(Int64),
        float().prop_map(Float64),
        text().prop_map(Text),
        prop::collection::vec(any::<i64>(), some.clone()).prop_map(Int64s),
        prop::collection::vec(float(), some.clone()).prop_map(Float64s),
        prop::collection::vec(timestamp(), some.clone()).prop_map(Timestamps),
        prop::collection::vec(text(), some).prop_map(Texts),
    ];
    prop::collection::btree_map(name(), value, 0..4)
}

/// Values that have a form in TOML.
fn defaults() -> impl Strategy<Value = BTreeMap<String, serde_json::Value>> {
    use serde_json::Value;
    let finite = float().prop_filter("JSON has no infinity", |float| float.is_finite());
    let one = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        finite.prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    let value = prop_oneof![4 => one.clone(), 1 => prop::collection::vec(one, 0..3).prop_map(Value::Array)];
    prop::collection::btree_map(name(), value, 0..3)
}

fn limits() -> impl Strategy<Value = TransformLimits> {
    (1..=i64::MAX as u64, 0..=100_000_u64, 1..=86_400_u64, 1 << 16..=1_u64 << 32, 1..=1_u64 << 20).prop_map(
        |(fuel, elements, seconds, bytes, fields)| TransformLimits {
            fuel_base: fuel,
            fuel_per_row: i64::MAX as u64 - fuel,
            call_seconds_max: seconds,
            memory_bytes_max: bytes,
            table_elements_max: elements,
            output_bytes_max: bytes - 1,
            message_bytes_max: fields,
            fields_max: fields,
            failed_rows_max: fuel,
        },
    )
}

fn check() -> impl Strategy<Value = Check> {
    let share = || prop_oneof![Just(0.0), Just(1.0), 0.0..1.0];
    let bounds = prop_oneof![
        (0.0..1e300).prop_map(|min| (Some(min), None)),
        (0.0..1e300).prop_map(|max| (None, Some(max))),
        (0.0..1.0, 1.0..1e300).prop_map(|(min, max)| (Some(min), Some(max))),
    ];
    let allowed = prop_oneof![
        prop::collection::vec(text(), 1..3).prop_map(Allowed::Texts),
        prop::collection::vec(any::<i64>(), 1..3).prop_map(Allowed::Integers),
    ];
    let expected = prop_oneof![
        (name(), share()).prop_map(|(feature, max)| Expected::NullRate { feature, max }),
        (name(), bounds.clone()).prop_map(|(feature, (min, max))| Expected::Range { feature, min, max }),
        (name(), allowed).prop_map(|(feature, allowed)| Expected::Values { feature, allowed }),
        Just(Expected::Unique),
        share().prop_map(|missing| Expected::CompleteKeys { missing }),
        (bounds, 1..=10_000_u32).prop_map(|((min, max), partitions)| Expected::RowCount { min, max, partitions }),
    ];
    (expected, prop::sample::select(CheckAction::ALL.to_vec()))
        .prop_map(|(expected, action)| Check { expected, action })
}

/// A stored view over files. Its stage may be read by every other.
fn stored(root: &'static str) -> impl Strategy<Value = FeatureView> {
    let choices = (
        prop::sample::select(vec![Stage::Production, Stage::Deprecated]),
        prop::sample::select(AsOf::ALL.to_vec()),
        prop::sample::select(KnownBy::ALL.to_vec()),
        prop::sample::select(OnError::ALL.to_vec()),
        prop::sample::select(NanMode::ALL.to_vec()),
        prop::sample::select(History::ALL.to_vec()),
        prop::sample::select(InstanceMode::ALL.to_vec()),
        prop::option::of(1..=DURATION_DAYS_MAX * MICROS_PER_DAY as u64),
    );
    let input = prop_oneof![column().prop_map(InputSource::Column), Just(InputSource::AsOf)];
    let maps = (
        prop::collection::btree_map(name(), input, 0..3),
        prop::collection::btree_map(Just("key_0_0".to_owned()), column(), 0..2),
        texts(text(), text()),
    );
    let rest = (path_text(), parameters(), limits(), text(), text(), -719_528..=2_932_896_i32, any::<bool>());
    let later = (
        prop::option::of(0..=DURATION_DAYS_MAX * MICROS_PER_DAY as u64),
        defaults(),
        prop::collection::vec(check(), 0..4),
        prop::option::of(1..=DURATION_DAYS_MAX * MICROS_PER_DAY as u64),
    );
    (name(), 1..=u32::MAX, source(root), entities(), choices, maps, rest, later).prop_map(
        move |(name, version, source, entities, choices, maps, rest, later)| {
            let (publish_delay, defaults, checks, freshness) = later;
            let (stage, as_of, known_by, on_error, nan, history, instance, ttl) = choices;
            let (inputs, key_columns, tags) = maps;
            let (component, parameters, limits, owner, description, since, replaced) = rest;
            let other = ViewVersion::new("replacement", 7);
            let deprecation = Deprecation { since: Day(since), replacement: replaced.then_some(other) };
            let known_by = match known_by {
                KnownBy::Created if source.created_time.is_none() => KnownBy::Event,
                KnownBy::Event if source.event_id.is_some() => KnownBy::Created,
                known_by => known_by,
            };
            let publish_delay = publish_delay.filter(|_| known_by == KnownBy::Published);
            FeatureView {
                name,
                version,
                stage,
                deprecation: (stage == Stage::Deprecated).then_some(deprecation),
                source: ViewSource::Files(Arc::new(source)),
                entities,
                component: Path::new(root).join(component),
                columns: Vec::new(),
                aggregates: None,
                parameters,
                inputs,
                key_columns,
                ttl: ttl.map(Duration::from_micros),
                freshness: freshness
                    .filter(|freshness| ttl.is_none_or(|ttl| *freshness < ttl))
                    .map(Duration::from_micros),
                as_of,
                known_by,
                history,
                publish_delay: publish_delay.map(Duration::from_micros),
                defaults,
                checks,
                on_error,
                nan,
                instance,
                limits,
                owner,
                description,
                tags,
            }
        },
    )
}

/// `view` as a view over the rows of `upstream`.
fn over(view: FeatureView, upstream: &FeatureView) -> FeatureView {
    let rows = PublishedRows::of(upstream).unwrap();
    let known_by = match view.known_by {
        KnownBy::Created if !rows.created_time => KnownBy::Published,
        KnownBy::Event if rows.event_ids => KnownBy::Published,
        known_by => known_by,
    };
    let publish_delay = view.publish_delay.filter(|_| known_by == KnownBy::Published);
    FeatureView { name: "over".to_owned(), source: ViewSource::View(Arc::new(rows)), known_by, publish_delay, ..view }
}

/// `view` as an on-demand view that reads `upstream`.
fn on_demand(view: FeatureView, upstream: &FeatureView, feature: String) -> FeatureView {
    let mut inputs = view.inputs;
    inputs.insert("feature".to_owned(), InputSource::Feature { view: upstream.id(), feature });
    inputs.insert("event_time".to_owned(), InputSource::EventTime { view: upstream.id() });
    FeatureView {
        name: "on_demand".to_owned(),
        source: ViewSource::Request,
        entities: upstream.entities.clone(),
        inputs,
        key_columns: BTreeMap::new(),
        ttl: None,
        freshness: None,
        as_of: AsOf::AtOrBefore,
        known_by: KnownBy::Event,
        history: History::Append,
        checks: Vec::new(),
        publish_delay: None,
        defaults: BTreeMap::new(),
        ..view
    }
}

/// `view` as one of columns.
fn of_columns(view: FeatureView, description: String, column: String) -> FeatureView {
    let feature = |name: &str, column: &str, data_type| ColumnFeature {
        name: name.to_owned(),
        column: column.to_owned(),
        data_type,
        description: description.clone(),
    };
    let columns = vec![
        feature("plain", "plain", DataType::Float32Vector(3)),
        feature("mapped", &column, DataType::Sequence(ItemType::String)),
    ];
    let inputs = [("mapped".to_owned(), InputSource::Column(column))].into();
    // Corrections are found when rows are published, and nothing is published of it.
    let source = match view.source {
        ViewSource::Files(source) => {
            ViewSource::Files(Arc::new(Source { event_id: None, retracted: None, ..source.as_ref().clone() }))
        }
        other => other,
    };
    FeatureView {
        name: "of_columns".to_owned(),
        source,
        history: History::Append,
        component: PathBuf::new(),
        columns,
        parameters: BTreeMap::new(),
        inputs,
        nan: NanMode::Boundary,
        instance: InstanceMode::PerCall,
        limits: TransformLimits::default(),
        ..view
    }
}

/// What `replacement@7` refers to.
fn replacement(view: &FeatureView) -> FeatureView {
    FeatureView {
        name: "replacement".to_owned(),
        version: 7,
        stage: Stage::Experimental,
        deprecation: None,
        ..view.clone()
    }
}

fn file(index: usize, text: String) -> File {
    File { name: format!("{index}.toml"), text }
}

proptest! {
    #[test]
    fn what_is_rendered_is_read_back(
        (root, stored, others, feature) in prop::sample::select(vec!["", ".", "root/of it", "/abs"])
            .prop_flat_map(|root| (Just(root), stored(root), prop::collection::vec(stored(root), 3), name())),
        prefix: bool,
        deadline in prop::option::of((1_000u64..=3_600_000_000).prop_map(Duration::from_micros)),
        required in prop_oneof![
            Just(Required::None),
            Just(Required::All),
            prop::collection::btree_set(name(), 1..4).prop_map(|names| Required::Features(names.into_iter().collect())),
        ],
        log_share in prop_oneof![Just(Share::NONE), (1e-6..=1.0_f64).prop_map(|share| Share::new(share).unwrap())],
        (owner, description, tags) in (text(), text(), texts(text(), text())),
    ) {
        let [first, second, third] = <[FeatureView; 3]>::try_from(others).unwrap();
        let of_columns = of_columns(third, description.clone(), "a column".to_owned());
        let over = over(first, &stored);
        let on_demand = on_demand(second, &stored, feature.clone());
        let mut views = vec![replacement(&stored), stored, over, on_demand, of_columns];
        let distinct: BTreeSet<ViewVersion> = views.iter().map(FeatureView::id).collect();
        prop_assume!(distinct.len() == views.len());
        let service = FeatureService {
            name: "service".to_owned(),
            features: vec![
                ServiceFeatures { view: views[1].id(), feature: Some(feature) },
                ServiceFeatures { view: views[2].id(), feature: None },
            ],
            prefix,
            deadline,
            required,
            log_share,
            stage: Stage::Production,
            owner,
            description,
            tags,
        };
        let alias = Alias { view: views[3].name.clone(), name: "champion".to_owned(), version: views[3].version };

        let root = Path::new(root);
        let mut texts: Vec<String> = views.iter().map(|view| render_view(view, root)).collect();
        texts.extend([render_service(&service), render_alias(&alias)]);
        let files: Vec<File> = texts.into_iter().enumerate().map(|(index, text)| file(index, text)).collect();
        let read = parse_registered(&files, root).unwrap_or_else(|error| panic!("{error}"));
        views.sort_by_key(FeatureView::id);
        // Paths with a root must be the same text, not only the same components.
        prop_assert_eq!(&read.views, &views);
        for (read, view) in std::iter::zip(&read.views, &views) {
            // Floats by bits: -0.0 equals 0.0.
            prop_assert_eq!(format!("{:?}", read.parameters), format!("{:?}", view.parameters));
        }
        prop_assert_eq!((read.services, read.aliases), (vec![service], vec![alias]));
    }
}

#[test]
fn a_rendered_view_is_a_feature_file_that_people_can_read() {
    let view = FeatureView {
        name: "login_risk".to_owned(),
        version: 2,
        stage: Stage::Deprecated,
        deprecation: Some(Deprecation { since: Day(20_788), replacement: Some(ViewVersion::new("login_risk", 3)) }),
        source: ViewSource::Files(Arc::new(Source {
            name: "logins".to_owned(),
            path: "/project/data/logins".into(),
            query: None,
            kind: SourceKind::Events,
            event_time: "at".to_owned(),
            valid_to: None,
            created_time: None,
            sequence: None,
            event_id: None,
            retracted: None,
            timezone: Some("UTC".to_owned()),
            partition: Some("date".to_owned()),
            contract: SourceContract::default(),
            description: "From the \"gate\"".to_owned(),
        })),
        entities: vec![Arc::new(Entity {
            name: "user".to_owned(),
            join_keys: vec![JoinKey { name: "user_id".to_owned(), data_type: DataType::Int64 }],
            description: String::new(),
        })],
        component: "/elsewhere/login_risk.wasm".into(),
        columns: Vec::new(),
        aggregates: None,
        parameters: [
            ("edges".to_owned(), ParameterValue::Float64s(vec![0.0, 1e300, f64::NEG_INFINITY])),
            ("night".to_owned(), ParameterValue::Timestamps(vec![Timestamp(0)])),
        ]
        .into(),
        inputs: [("seconds".to_owned(), InputSource::Column("secs".to_owned()))].into(),
        key_columns: [("user_id".to_owned(), "customer".to_owned())].into(),
        ttl: Some(Duration::from_micros(36 * 3_600_000_000)),
        freshness: Some(Duration::from_micros(3_600_000_000)),
        as_of: AsOf::Before,
        known_by: KnownBy::Published,
        history: History::Append,
        publish_delay: Some(Duration::from_micros(600_000_000)),
        defaults: [("country".to_owned(), "AT".into()), ("mean".to_owned(), 0.0.into())].into(),
        checks: Vec::new(),
        on_error: OnError::Fail,
        nan: NanMode::Boundary,
        instance: InstanceMode::PerCall,
        limits: TransformLimits::default(),
        owner: "risk@example.com".to_owned(),
        description: "Two\nlines".to_owned(),
        tags: [("team".to_owned(), "risk".to_owned())].into(),
    };
    let rendered = render_view(&view, Path::new("/project"));
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/definition/render/view.toml");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &rendered).unwrap();
    }
    assert_eq!(std::fs::read_to_string(golden).unwrap_or_default(), rendered, "UPDATE_GOLDEN=1 accepts it");
}
