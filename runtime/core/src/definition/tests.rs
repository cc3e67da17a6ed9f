mod reference;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;
use crate::hash::Digest;
use crate::limits::TransformLimits;
use crate::model::{
    AsOf, BoundComponent, Code, InputSource, KnownBy, NanMode, OnError, Project, SourceKind, ViewVersion,
};
use crate::parameter::ParameterValue;
use crate::time::{Duration, Timestamp};
use crate::types::{DataType, Field, Signature};

const SETTINGS: &str = "[project]\nname = \"golden\"\n";

fn file(name: &str, text: &str) -> File {
    File { name: name.to_owned(), text: text.to_owned() }
}

fn parse(features: &[&str]) -> Result<Project, Diagnostics> {
    let features = features.iter().enumerate().map(|(i, text)| file(&format!("features/{i}.toml"), text)).collect();
    parse_project(&Sources { settings: file("tandem.toml", SETTINGS), features }, Path::new("root"))
}

/// A bad file beside what is said about it. `UPDATE_GOLDEN=1` writes the messages anew.
#[test]
fn golden_messages() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/definition/golden");
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let (mut cases, mut messages, mut wrong) = (0, 0, Vec::new());
    for path in sorted_files(&folder) {
        let expected_path = path.with_extension("stderr");
        if path.extension().is_some_and(|extension| extension == "stderr") {
            assert!(path.with_extension("toml").exists(), "{} has no .toml beside it", path.display());
            messages += 1;
            continue;
        }
        cases += 1;
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let sources = if stem.starts_with("tandem") {
            Sources { settings: file("tandem.toml", &text), features: vec![] }
        } else {
            let features = vec![file(&format!("features/{stem}.toml"), &text)];
            Sources { settings: file("tandem.toml", SETTINGS), features }
        };
        let error = parse_project(&sources, Path::new("")).expect_err(stem);
        assert!(!error.found.is_empty(), "{stem}");
        let found = format!("{error}\n");
        if update {
            std::fs::write(&expected_path, &found).unwrap();
        } else if std::fs::read_to_string(&expected_path).unwrap_or_default() != found {
            wrong.push(format!("{stem}:\n{found}"));
        }
    }
    assert!(wrong.is_empty(), "these differ; UPDATE_GOLDEN=1 accepts them\n\n{}", wrong.join("\n"));
    assert!(cases >= 15 && (update || messages == cases), "{cases} cases, {messages} messages");
}

/// The signature in a line `# view@1(input: float64?, ...) -> feature: int64, ...`.
fn signature(line: &str) -> Option<(String, Signature)> {
    let (view, rest) = line.strip_prefix("# ")?.split_once('(')?;
    let (inputs, outputs) = rest.split_once(") -> ")?;
    let fields = |text: &str| {
        let fields = text.split(", ").filter(|field| !field.is_empty()).map(|field| {
            let (name, data_type) = field.split_once(": ").expect(line);
            let nullable = data_type.ends_with('?');
            Field::new(name, data_type.trim_end_matches('?').parse().expect(line), nullable)
        });
        fields.collect()
    };
    Some((view.to_owned(), Signature { inputs: fields(inputs), outputs: fields(outputs), doc: String::new() }))
}

/// A file whose views do not go together with their components, whose signatures stand in its comments, beside what is said about it.
#[test]
fn golden_messages_of_binding() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/definition/golden_bind");
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let (mut cases, mut wrong) = (0, Vec::new());
    for path in sorted_files(&folder).into_iter().filter(|path| path.extension().is_some_and(|e| e == "toml")) {
        cases += 1;
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let signatures: BTreeMap<String, Signature> = text.lines().filter_map(signature).collect();
        let files = vec![file(&format!("features/{stem}.toml"), &text)];
        let sources = Sources { settings: file("tandem.toml", SETTINGS), features: files.clone() };
        let project = parse_project(&sources, Path::new("")).unwrap_or_else(|error| panic!("{error}"));
        let (mut known, mut mistakes) = (BTreeMap::new(), Vec::new());
        for view in project.views.iter().flat_map(|view| project.with_upstream(view)) {
            let signature = signatures.get(&view.id().to_string()).unwrap_or_else(|| panic!("{stem}: {}", view.id()));
            if known.contains_key(&view.id()) {
                continue;
            }
            match bind(view.clone(), signature.clone(), Digest::of(b""), &known) {
                Ok(bound) => drop(known.insert(view.id(), Arc::new(bound))),
                Err(errors) => mistakes.push((Defined::View(view), errors.iter().map(Mistake::from).collect())),
            }
        }
        let signatures = known.iter().map(|(id, bound)| (id.clone(), &bound.signature)).collect();
        for service in &project.services {
            if let Err(errors) = bind_service(service, &signatures) {
                mistakes.push((Defined::Service(service), errors.iter().map(Mistake::from).collect()));
            }
        }
        let found = format!("{}\n", locate(&files, mistakes).expect(stem));
        let expected_path = path.with_extension("stderr");
        if update {
            std::fs::write(&expected_path, &found).unwrap();
        } else if std::fs::read_to_string(&expected_path).unwrap_or_default() != found {
            wrong.push(format!("{stem}:\n{found}"));
        }
    }
    assert!(wrong.is_empty(), "these differ; UPDATE_GOLDEN=1 accepts them\n\n{}", wrong.join("\n"));
    assert!(cases >= 3, "{cases} cases");
}

fn sorted_files(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

const CARD: &str = r#"
[[entity]]
name = "card"
join_keys = [{ name = "card_id", type = "int64" }]
"#;

const TRANSACTIONS: &str = r#"
[[source]]
name = "transactions"
path = "data/transactions"
kind = "events"
event_time = "at"
"#;

const VIEW: &str = r#"
[[feature_view]]
name = "card_risk"
version = 1
source = "transactions"
entities = ["card"]
component = "card.wasm"
as_of = "before"
"#;

#[test]
fn mistakes_of_all_files_are_reported_at_once_in_order() {
    let sources = Sources {
        settings: file("tandem.toml", "[project]\nname = \"x\"\n[engine]\nworker = 1\n"),
        features: vec![
            file("b.toml", &VIEW.replace("\"card\"", "\"crad\"")),
            file("a.toml", &format!("{CARD}typ = 1\n")),
        ],
    };
    let Diagnostics { found, .. } = parse_project(&sources, Path::new("")).unwrap_err();
    let places: Vec<_> = found.iter().map(|one| (one.file.as_str(), one.line, one.column)).collect();
    assert_eq!(places, [("tandem.toml", 4, 1), ("b.toml", 5, 10), ("b.toml", 6, 13), ("a.toml", 5, 1)]);
}

#[test]
fn a_flood_of_mistakes_is_counted() {
    let parameters = format!("[feature_view.parameters]\nx = [{}]\n", "1, \"a\", ".repeat(DIAGNOSTICS_MAX + 20));
    let error = parse(&[CARD, TRANSACTIONS, &format!("{VIEW}{parameters}")]).unwrap_err();
    assert_eq!((error.found.len(), error.omitted), (DIAGNOSTICS_MAX, 20));
    assert!(error.to_string().ends_with("\n\nerror: 20 more, not shown"));
}

#[test]
fn a_name_in_a_wrong_definition_is_still_known() {
    let Diagnostics { found, .. } = parse(&[&CARD.replace("int64", "int32"), TRANSACTIONS, VIEW]).unwrap_err();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].file, "features/0.toml");
}

#[test]
fn names_in_a_file_with_wrong_syntax_get_the_benefit_of_the_doubt() {
    let Diagnostics { found, .. } = parse(&[&format!("{CARD}\n= 1"), TRANSACTIONS, VIEW]).unwrap_err();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].message.starts_with("invalid TOML"), "{}", found[0]);
}

#[test]
fn duplicates_across_files_name_the_first() {
    let Diagnostics { found, .. } = parse(&[CARD, CARD, TRANSACTIONS, VIEW, VIEW]).unwrap_err();
    let hints: Vec<_> = found.iter().map(|one| (one.file.as_str(), one.hint.as_deref().unwrap())).collect();
    assert_eq!(
        hints,
        [
            ("features/1.toml", "the first is at features/0.toml:3"),
            ("features/4.toml", "the first is at features/3.toml:3; a changed view gets a new version"),
        ]
    );
}

#[test]
fn versions_of_a_view_live_side_by_side_and_files_have_no_order() {
    let second = VIEW.replace("version = 1", "version = 2\nttl = \"1d12h\"");
    let project = parse(&[VIEW, CARD, &second, TRANSACTIONS]).unwrap();
    assert_eq!(project.views.len(), 2);
    let view = |reference: &str| project.view(&reference.parse().unwrap());
    assert_eq!(view("card_risk").unwrap().ttl, Some(Duration::from_micros(36 * 3_600_000_000)));
    assert_eq!(view("card_risk@1").unwrap().ttl, None);
    assert_eq!(view("card_risk@3"), None);
    assert_eq!(view("card"), None);
    assert_eq!(parse(&[TRANSACTIONS, &second, CARD, VIEW]), Ok(project.clone()));
    assert_eq!(parse(&[&[second.as_str(), TRANSACTIONS, VIEW, CARD].concat()]), Ok(project));
}

#[test]
fn defaults_follow_the_source() {
    let project = parse(&[CARD, TRANSACTIONS, VIEW]).unwrap();
    let view = &project.views[0];
    assert_eq!((view.as_of, view.known_by), (AsOf::Before, KnownBy::Event));
    assert_eq!(
        (view.on_error, view.nan, &view.limits),
        (OnError::Fail, NanMode::Boundary, &TransformLimits::default())
    );
    assert_eq!(view.component, Path::new("root/card.wasm"));
    let source = view.source.files().unwrap();
    assert_eq!(source.path, Path::new("root/data/transactions"));
    assert!(Arc::ptr_eq(source, &project.sources[0]));

    let state = TRANSACTIONS.replace("\"events\"", "\"state\"") + "created_time = \"loaded_at\"\n";
    let view = VIEW.replace("as_of = \"before\"\n", "");
    let project = parse(&[CARD, &state, &view]).unwrap();
    assert_eq!(project.views[0].source.kind(), Some(SourceKind::State));
    assert_eq!((project.views[0].as_of, project.views[0].known_by), (AsOf::AtOrBefore, KnownBy::Created));
    let published = parse(&[CARD, &state, &(view + "known_by = \"published\"\n")]).unwrap();
    assert_eq!(published.views[0].known_by, KnownBy::Published);
}

#[test]
fn aggregates_have_a_feature_for_each_window() {
    let text = r#"
[[feature_view]]
name = "activity"
version = 1
source = "transactions"
entities = ["card"]
columns = { amount = "float64", fee = { column = "Fee", type = "int64" } }
where = "fee>0 AND (amount > 1)"
timezone = "europe/vienna"
aggregates = [
    { function = "count", windows = ["1h", "lifetime"] },
    { function = "mean", column = "fee", name = "fees", windows = ["today", { session = "90m" }], where = "amount < 5" },
    { function = "quantile", column = "amount", q = 0.99, windows = ["1d12h"] },
    { function = "share", name = "large", of = "amount > 10", where = "amount != 0", windows = ["1d12h"] },
]
"#;
    let project = parse(&[CARD, TRANSACTIONS, text]).unwrap_or_else(|error| panic!("{error}"));
    let view = &project.views[0];
    assert!(view.is_aggregates() && view.is_stored() && !view.has_component() && !view.is_columns());
    assert_eq!((view.as_of, view.known_by), (AsOf::Before, KnownBy::Event));
    assert_eq!(view.input_source("fee"), InputSource::Column("Fee".to_owned()));
    let (signature, _) = view.declared().unwrap();
    let fields = |fields: &[Field]| -> Vec<String> {
        let null = |field: &Field| if field.nullable { "?" } else { "" };
        fields.iter().map(|field| format!("{}: {}{}", field.name, field.data_type, null(field))).collect()
    };
    assert_eq!(fields(&signature.inputs), ["amount: float64?", "fee: int64?"]);
    assert_eq!(
        fields(&signature.outputs),
        [
            "count_1h: int64",
            "count_lifetime: int64",
            "fees_today: float64?",
            "fees_session_1h30m: float64?",
            "amount_p99_1d12h: float64?",
            "large_1d12h: float64?"
        ]
    );
    // The text of a filter is not its meaning, and the digest is of the meaning.
    let hash = |text: &str| {
        let view = parse(&[CARD, TRANSACTIONS, text]).unwrap_or_else(|error| panic!("{error}")).views.remove(0);
        let (signature, digest) = view.declared().unwrap();
        bind(view, signature, digest, &BTreeMap::new()).unwrap().definition_hash
    };
    assert_eq!(hash(text), hash(&text.replace("fee>0 AND (amount > 1)", "fee > 0 and amount > 1.0")));
    assert_eq!(hash(text), hash(&text.replace("where = \"fee", "retention = \"30d\"\nwhere = \"fee")));
    for (from, to) in [
        ("1h", "2h"),
        ("fee>0", "fee>1"),
        ("0.99", "0.9"),
        ("\"mean\"", "\"sum\""),
        ("90m", "80m"),
        ("vienna", "berlin"),
        ("amount < 5", "amount < 6"),
        ("amount > 10", "amount > 11"),
        ("column = \"Fee\"", "column = \"fee\""),
        ("where = \"fee", "bounds = \"(]\"\nwhere = \"fee"),
        ("where = \"fee", "every = \"1d\"\nwhere = \"fee"),
        ("\"fees\"", "\"charges\""),
    ] {
        assert_ne!(hash(text), hash(&text.replace(from, to)), "{from}");
    }
    let tiled = text.replace("where = \"fee", "precision = \"tiled\"\nhop = \"1h\"\nwhere = \"fee");
    let tiled = tiled.replace(", { session = \"90m\" }", "");
    let lateness = |text: &str| tiled.replace("hop = \"1h\"", &format!("hop = \"1h\"\nlateness = \"{text}\""));
    assert_eq!(hash(&tiled), hash(&lateness("1d")), "what is meant where nothing is said");
    assert_ne!(hash(&tiled), hash(&lateness("2h")));
    assert_ne!(hash(&tiled), hash(&tiled.replace("hop = \"1h\"", "hop = \"30m\"")));
    // A component that makes the events, with all that changes what it makes.
    let made = text
        .replace("\"Fee\"", "\"fee_eur\"")
        .replace("columns =", "component = \"a.wasm\"\nparameters = { x = 1 }\ninputs = { net = \"Net\" }\ncolumns =");
    let hash_of = |text: &str, component: &[u8]| {
        let view = parse(&[CARD, TRANSACTIONS, text]).unwrap_or_else(|error| panic!("{error}")).views.remove(0);
        let signature = Signature {
            inputs: vec![Field::new("net", DataType::Float64, true), Field::new("as_of", DataType::Timestamp, false)],
            outputs: vec![Field::new("amount", DataType::Float64, true), Field::new("fee_eur", DataType::Int64, false)],
            doc: String::new(),
        };
        let components = vec![BoundComponent { signature, digest: Digest::of(component), code: Code::NotLoaded }];
        let (signature, digest) = view.declared_with(&components).unwrap();
        assert_eq!(fields(&signature.inputs), ["net: float64?", "as_of: timestamp"]);
        bind_with(view, signature, digest, components, &BTreeMap::new()).unwrap()
    };
    let bound = hash_of(&made, b"a");
    assert_ne!(bound.definition_hash, hash_of(&made, b"b").definition_hash);
    for (from, to) in [
        ("x = 1", "x = 2"),
        ("\"Net\"", "\"net\""),
        ("timezone", "limits = { fuel_base = 7 }\ntimezone"),
        ("timezone", "nan = \"strict\"\ntimezone"),
    ] {
        assert_ne!(bound.definition_hash, hash_of(&made.replace(from, to), b"a").definition_hash, "{to}");
    }
    let events = bound.events().unwrap();
    assert!(events.maps_events() && events.view.is_columns());
    assert_eq!(fields(&events.signature.inputs), ["net: float64?", "as_of: timestamp"]);
    assert_eq!(fields(&events.signature.outputs), ["amount: float64?", "fee: int64?"]);
    let nothing = arrow_array::RecordBatch::new_empty(Arc::new(arrow_schema::Schema::new(
        events.signature.inputs.iter().map(Field::to_arrow).collect::<Vec<_>>(),
    )));
    assert_eq!(
        events.map_events(&nothing).unwrap_err().to_string(),
        "the component of feature view `activity` is not loaded"
    );
    let function = Arc::new(bound).row_function().unwrap();
    assert!(function.view.has_component() && function.digest == Digest::of(b"a"));
    // The events are a view of columns.
    let events = view.events().unwrap();
    assert!(events.is_columns() && !events.is_aggregates());
    assert_eq!(events.columns.iter().map(|feature| feature.column.as_str()).collect::<Vec<_>>(), ["amount", "Fee"]);
}

#[test]
fn time_zones_are_named_one_way() {
    for (written, meant) in [("utc", "UTC"), ("europe/vienna", "Europe/Vienna"), ("Etc/UTC", "Etc/UTC")] {
        let project = parse(&[&format!("{TRANSACTIONS}timezone = \"{written}\"\n")]).unwrap();
        assert_eq!(project.sources[0].timezone.as_deref(), Some(meant));
    }
    assert!(parse(&[&format!("{TRANSACTIONS}timezone = \"Etc/Unknown\"\n")]).is_err());
}

#[test]
fn parameters_of_every_type() {
    let parameters = r#"
[feature_view.parameters]
boolean = true
int = 1_000
hex = 0xff
lowest = -9223372036854775808
float = -0.0
infinite = -inf
text = "é"
ints = [3, 1, 2]
floats = [0.5, 2, -9007199254740992]
edge = [0.5, 9223372036854774784]
texts = ["b", ""]
timestamps = [1969-12-31T23:59:59.999999Z, 2024-02-29T12:00:00.120000000+01:00, 2024-02-29 12:00:00z]
"#;
    let project = parse(&[CARD, TRANSACTIONS, &format!("{VIEW}{parameters}")]).unwrap();
    let mut found = project.views[0].parameters.clone();
    let Some(ParameterValue::Float64(zero)) = found.remove("float") else { panic!("{found:?}") };
    assert_eq!(zero.to_bits(), (-0.0_f64).to_bits());
    let leap_day = 1_709_208_000_000_000;
    let expected = [
        ("boolean", ParameterValue::Boolean(true)),
        ("int", ParameterValue::Int64(1_000)),
        ("hex", ParameterValue::Int64(255)),
        ("lowest", ParameterValue::Int64(i64::MIN)),
        ("infinite", ParameterValue::Float64(f64::NEG_INFINITY)),
        ("text", ParameterValue::Text("é".to_owned())),
        ("ints", ParameterValue::Int64s(vec![3, 1, 2])),
        ("floats", ParameterValue::Float64s(vec![0.5, 2.0, -9_007_199_254_740_992.0])),
        ("edge", ParameterValue::Float64s(vec![0.5, 9_223_372_036_854_774_784.0])),
        ("texts", ParameterValue::Texts(vec!["b".to_owned(), String::new()])),
        (
            "timestamps",
            ParameterValue::Timestamps(vec![
                Timestamp(-1),
                Timestamp(leap_day - 3_600_000_000 + 120_000),
                Timestamp(leap_day),
            ]),
        ),
    ];
    assert_eq!(found, expected.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());

    // 2^63 - 1 rounds up to 2^63, which saturates back to 2^63 - 1: it must not pass as exact.
    let saturating = "[feature_view.parameters]\nx = [0.5, 9223372036854775807]\n";
    assert!(parse(&[CARD, TRANSACTIONS, &format!("{VIEW}{saturating}")]).is_err());
}

#[test]
fn the_folder_of_feature_files_is_found_whatever_else_is_wrong() {
    let folder = |text: &str| features_folder(&file("tandem.toml", text), Path::new("root"));
    assert_eq!(folder(""), Path::new("root/features"));
    assert_eq!(folder("[project]\nfeatures = \"a/b\"\nnam = 1\n= 3"), Path::new("root/a/b"));
    assert_eq!(folder("[project]\nfeatures = \"/abs\""), Path::new("/abs"));
    for wrong in
        ["project = 1", "[project]\nfeatures = 1", "[project]\nfeatures = \"\"", "[[project]]\nfeatures = \"x\""]
    {
        assert_eq!(folder(wrong), Path::new("root/features"), "{wrong}");
    }
}

const REFERENCE: &str = include_str!("../../../../docs/reference/definitions.md");

/// The fenced TOML blocks of the reference, in order.
fn reference_blocks() -> Vec<&'static str> {
    let blocks = REFERENCE.split("```toml\n").skip(1);
    blocks.map(|rest| rest.split_once("```").expect("a block that ends").0).collect()
}

#[test]
fn the_examples_of_the_reference_are_read() {
    let [settings, features] = reference_blocks()[..] else { panic!("two examples: tandem.toml and a feature file") };
    let settings_file = file("tandem.toml", settings);
    let sources = Sources { settings: settings_file.clone(), features: vec![file("features/card.toml", features)] };
    let project = parse_project(&sources, Path::new("")).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(parse_settings(&settings_file, Path::new("")), Ok(project.settings.clone()));

    // The example writes every default out; so the defaults of the reference are those of the code. Tokens and TLS have none.
    let name_only = file("tandem.toml", "[project]\nname = \"quickstart\"");
    let mut expected = parse_settings(&name_only, Path::new("")).unwrap_or_else(|error| panic!("{error}"));
    expected.server.tokens = Some("tokens".into());
    expected.server.tls = Some(TlsSettings { certificate: "certificate.pem".into(), key: "key.pem".into() });
    assert_eq!(project.settings, expected);
    assert_eq!(
        project.entities[0].join_keys.iter().map(|key| &key.name).collect::<Vec<_>>(),
        ["origin", "destination"]
    );
    let view = project.version(&ViewVersion::new("transaction_risk", 1)).expect("the example's view");
    assert_eq!(view.limits, TransformLimits::default());
    assert_eq!(view.join_keys().map(|key| key.data_type).collect::<Vec<_>>(), [DataType::Int64]);
    assert_eq!(view.key_column("user_id"), "customer");
    assert_eq!(view.input_source("amount"), InputSource::Column("amount_eur".to_owned()));
    assert_eq!(view.input_source("scored_at"), InputSource::AsOf);
    assert_eq!(view.ttl, Some(Duration::from_micros(30 * 86_400_000_000)));
}

#[test]
fn the_examples_of_the_reference_survive_rendering() {
    let [settings, features] = reference_blocks()[..] else { panic!("two examples") };
    let sources =
        Sources { settings: file("tandem.toml", settings), features: vec![file("features/card.toml", features)] };
    let root = Path::new("project");
    let project = parse_project(&sources, root).unwrap_or_else(|error| panic!("{error}"));
    let views = project.views.iter().map(|view| render_view(view, root));
    let rest = project.services.iter().map(render_service).chain(project.aliases.iter().map(render_alias));
    let files: Vec<File> = views.chain(rest).map(|text| file("rendered.toml", &text)).collect();
    let read = parse_registered(&files, root).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((read.views, read.services, read.aliases), (project.views, project.services, project.aliases));
}

#[test]
fn every_key_is_in_the_reference_and_in_its_examples() {
    let tables = [
        settings::PROJECT_KEYS,
        settings::STORAGE_KEYS,
        settings::SERVER_KEYS,
        settings::TLS_KEYS,
        settings::ENGINE_KEYS,
        settings::BATCH_KEYS,
        entity::ENTITY_KEYS,
        entity::JOIN_KEY_KEYS,
        source::SOURCE_KEYS,
        view::VIEW_KEYS,
        view::DEPRECATED_KEYS,
        view::SOURCE_VIEW_KEYS,
        view::INPUT_KEYS,
        aggregates::AGGREGATE_KEYS,
        aggregates::EVENT_COLUMN_KEYS,
        aggregates::SESSION_KEYS,
        checks::CHECK_KEYS,
        service::SERVICE_KEYS,
        service::ALIAS_KEYS,
        view::LIMIT_KEYS,
    ];
    let examples = reference_blocks().concat();
    for key in tables.into_iter().flatten() {
        assert!(REFERENCE.contains(&format!("| `{key}` |")), "{key} has no row in a table of the reference");
        let written = [format!("{key} = "), format!("[feature_view.{key}]"), format!("[server.{key}]")];
        assert!(written.iter().any(|form| examples.contains(form)), "{key} is not in the examples of the reference");
    }
}

proptest::proptest! {
    /// Whatever a file holds, it is read or refused with messages that can be shown.
    #[test]
    fn no_text_makes_reading_fail(
        which in 0_usize..2,
        cut in proptest::prelude::any::<proptest::sample::Index>(),
        length in 0_usize..40,
        text in "[a-z\\[\\]{}=\",.\r\n\t 0-9\u{1b}é😀-]{0,200}",
    ) {
        let mut changed: Vec<char> = reference_blocks()[which].chars().collect();
        let start = cut.index(changed.len());
        let end = (start + length).min(changed.len());
        changed.splice(start..end, text.chars());
        let changed = file("f.toml", &changed.into_iter().collect::<String>());
        let settings = if which == 0 { changed.clone() } else { file("tandem.toml", SETTINGS) };
        features_folder(&settings, Path::new(""));
        if let Err(error) = parse_project(&Sources { settings, features: vec![changed] }, Path::new("")) {
            proptest::prop_assert!(!error.found.is_empty());
            proptest::prop_assert!(error.to_string().starts_with("error: "));
        }
    }
}
