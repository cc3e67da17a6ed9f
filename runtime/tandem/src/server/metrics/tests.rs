use std::collections::BTreeMap;

use tandem_core::definition::{FeatureLogSettings, ServerSettings};
use tandem_core::status::FeatureStatus;
use tandem_engine::Workers;
use tandem_online::{RecordHead, Store, StoreOptions};

use super::*;
use crate::feature_log::FeatureLogWriter;
use crate::lookup::Served;
use crate::server::testing::NOW;
use crate::server::{Live, ServerState, state::Server};

fn measured(name: &str, version: u32) -> Measured {
    Measured { id: ViewVersion::new(name, version), stored: true, objective: true, computed: true }
}

fn text(metrics: &Metrics) -> String {
    metrics.encode(&Registry::default()).unwrap()
}

/// The value of a series.
fn value(text: &str, series: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

fn refused() -> crate::push::Refused {
    crate::push::Refused { reason: crate::push::Reason::NullKey, message: "x".to_owned() }
}

/// A row whose event lies so many seconds before now.
fn row(status: Status, seconds: i64) -> Served {
    let record = RecordHead {
        event_time: Timestamp(NOW.0 - seconds * 1_000_000),
        created_time: None,
        published_time: NOW,
        digest: tandem_core::hash::Digest([0; 32]),
        schema_fingerprint: 0,
        row: (),
        sequence: None,
    };
    Served { status, record: (status == Status::Present).then_some(record) }
}

fn found() -> Found {
    let of = |status| FeatureStatus { status, reason: None };
    Found {
        rows: vec![row(Status::Present, 30), row(Status::Present, 7_200), row(Status::NotFound, 0)],
        features: vec![],
        statuses: vec![
            vec![of(Status::Present), of(Status::NullValue), of(Status::Defaulted)].into(),
            vec![of(Status::Present), of(Status::Present), of(Status::NotFound)].into(),
        ],
        corrupt: vec![],
    }
}

#[test]
fn a_lookup_counts_rows_values_and_ages() {
    let metrics = Metrics::new();
    let (views, _) = metrics.replace(&[measured("risk", 2)], &[]);
    views[0].looked_up(&found(), &[0], NOW);
    let text = text(&metrics);
    let view = r#"view="risk",version="2""#;
    for (name, status, expected) in [
        ("rows", "PRESENT", 2.0),
        ("rows", "NOT_FOUND", 1.0),
        ("rows", "OUTSIDE_MAX_AGE", 0.0),
        ("values", "PRESENT", 1.0),
        ("values", "NULL_VALUE", 1.0),
        ("values", "DEFAULTED", 1.0),
        ("values", "NOT_FOUND", 0.0),
    ] {
        let series = format!("tandem_lookup_{name}_total{{{view},status=\"{status}\"}}");
        assert_eq!(value(&text, &series), Some(expected), "{series}\n{text}");
    }
    let bucket = |le: &str| value(&text, &format!("tandem_feature_age_seconds_bucket{{le=\"{le}\",{view}}}"));
    assert_eq!(
        [bucket("10.0"), bucket("60.0"), bucket("10800.0"), bucket("+Inf")].map(Option::unwrap),
        [0., 1., 2., 2.]
    );
    assert_eq!(value(&text, &format!("tandem_feature_age_seconds_sum{{{view}}}")), Some(7_230.0));
    metrics.looked_up(Duration::from_millis(3));
    assert_eq!(value(&super::tests::text(&metrics), "tandem_lookup_duration_seconds_sum"), Some(0.003));
}

#[test]
fn the_share_of_rows_within_the_objective_is_counted() {
    let metrics = Metrics::new();
    let without = Measured { objective: false, ..measured("spend", 1) };
    let (views, _) = metrics.replace(&[measured("risk", 2), without.clone()], &[]);
    let mut found = found();
    for (status, seconds) in [(Status::Stale, 9_000), (Status::OutsideMaxAge, 0), (Status::Corrupt, 0)] {
        found.rows.push(row(status, seconds));
    }
    found.rows[3].record = found.rows[0].record;
    views.iter().for_each(|view| view.looked_up(&found, &[], NOW));
    let rows = |text: &str, view: &str| {
        let of = |name| value(text, &format!(r#"tandem_freshness_{name}_total{{{view}}}"#));
        (of("rows"), of("rows_met"))
    };
    let told = text(&metrics);
    assert_eq!(rows(&told, r#"view="risk",version="2""#), (Some(4.0), Some(2.0)), "{told}");
    assert_eq!(rows(&told, r#"view="spend",version="1""#), (None, None));
    assert_eq!(
        value(&told, r#"tandem_feature_age_seconds_count{view="risk",version="2"}"#),
        Some(3.0),
        "stale is served"
    );
    // The objective is taken away from one and given to the other.
    let risk = Measured { objective: false, ..measured("risk", 2) };
    let (views, _) = metrics.replace(&[risk, measured("spend", 1)], &[]);
    views.iter().for_each(|view| view.looked_up(&found, &[], NOW));
    let told = text(&metrics);
    assert_eq!(rows(&told, r#"view="risk",version="2""#), (None, None));
    assert_eq!(rows(&told, r#"view="spend",version="1""#), (Some(4.0), Some(2.0)));
    let all = value(&told, r#"tandem_lookup_rows_total{view="risk",version="2",status="STALE"}"#);
    assert_eq!(all, Some(2.0), "other series go on");
}

#[test]
fn rows_that_lost_their_values_are_counted() {
    let metrics = Metrics::new();
    metrics.replace(&[measured("risk", 2)], &[]);
    for (version, rows) in [(2, 3), (2, 4), (9, 5)] {
        metrics.expired(&ViewVersion::new("risk", version), rows);
    }
    let rows = value(&text(&metrics), r#"tandem_expired_rows_total{view="risk",version="2"}"#);
    assert_eq!(rows, Some(7.0), "what is not served has no series");
}

#[test]
fn pushed_rows_are_counted_by_what_became_of_them() {
    let metrics = Metrics::new();
    let (views, _) = metrics.replace(&[measured("risk", 2)], &[]);
    let pushed = Pushed {
        outcomes: vec![Some(RowOutcome::Written), None, Some(RowOutcome::Written), Some(RowOutcome::Older)],
        refused: BTreeMap::from([(1, refused())]),
        published_time: None,
        logged: 3,
        sequences: None,
    };
    views[0].pushed(&Ok(pushed));
    views[0].pushed(&Err(PushError::Refused(BTreeMap::from([(0, refused()), (7, refused())]))));
    let broken = crate::push::Refused { reason: crate::push::Reason::Contract, ..refused() };
    views[0].pushed(&Err(PushError::Refused(BTreeMap::from([(3, broken)]))));
    let text = text(&metrics);
    let rows = |outcome: &str| {
        value(&text, &format!(r#"tandem_push_rows_total{{view="risk",version="2",outcome="{outcome}"}}"#)).unwrap()
    };
    assert_eq!(PUSH_OUTCOMES.map(|(outcome, _)| rows(outcome)), [2.0, 1.0, 0.0, 0.0, 0.0, 1.0, 3.0]);
}

#[test]
fn calls_that_come_to_nothing_have_a_reason() {
    let metrics = Metrics::new();
    let (views, _) = metrics.replace(&[measured("risk", 2)], &[]);
    let open = || Err(EngineError::CircuitOpen { failures: 1, seconds: 1 });
    for outcome in [Ok(None), open(), open(), Err(EngineError::Inputs("x".to_owned()))] {
        views[0].transformed(10, &outcome, Duration::from_millis(1));
    }
    let text = text(&metrics);
    let series = |reason: &str| {
        value(&text, &format!(r#"tandem_transform_errors_total{{view="risk",version="2",reason="{reason}"}}"#)).unwrap()
    };
    let reasons = ["deadline", "circuit_open", "instances", "queue", "failures", "other"];
    assert_eq!(reasons.map(series), [1.0, 2.0, 0.0, 0.0, 0.0, 1.0]);
    assert_eq!(value(&text, r#"tandem_transform_rows_total{view="risk",version="2"}"#), Some(40.0));
    for reason in NoOutcome::ALL {
        assert_eq!(NoOutcome::ALL[reason as usize], reason);
    }
    assert!(Status::ALL.iter().enumerate().all(|(index, status)| *status as usize == index));
}

#[test]
fn what_is_still_served_goes_on_and_the_rest_is_gone() {
    let metrics = Metrics::new();
    let (views, services) = metrics.replace(&[measured("risk", 1), measured("spend", 1)], &["fraud", "old"]);
    views[0].looked_up(&found(), &[], NOW);
    let answered = |service: &ServiceMetrics| service.answered(StatusCode::OK, Duration::ZERO);
    services.iter().for_each(|service| answered(service));
    let (again, services_again) = metrics.replace(&[measured("spend", 2), measured("risk", 1)], &["fraud"]);
    again[1].looked_up(&found(), &[], NOW);
    views[1].looked_up(&found(), &[], NOW);
    services.iter().chain(&services_again).for_each(|service| answered(service));
    let text = text(&metrics);
    let rows = |view: &str| {
        value(&text, &format!("tandem_lookup_rows_total{{{view},status=\"PRESENT\"}}")).map(|rows| rows as u64)
    };
    assert_eq!(rows(r#"view="risk",version="1""#), Some(4), "it goes on");
    assert_eq!(rows(r#"view="spend",version="2""#), Some(0));
    assert!(!text.contains(r#"view="spend",version="1""#), "{text}");
    assert_eq!(value(&text, r#"tandem_service_requests_total{service="fraud",status="200"}"#), Some(3.0));
    assert!(!text.contains("service=\"old\""), "a request that was under way brings nothing back: {text}");
}

#[test]
fn there_is_a_bound_on_series() {
    let metrics = Metrics::new();
    let many = (1..=VIEWS_MAX as u32 + 50).map(|version| measured("risk", version));
    let views: Vec<Measured> = many.chain([measured("spend", 1)]).collect();
    let names: Vec<String> = (0..SERVICES_MAX + 2).map(|number| format!("service_{number:05}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (of_views, of_services) = metrics.replace(&views, &names);
    assert_eq!((of_views.len(), of_services.len()), (views.len(), names.len()));
    of_views.iter().for_each(|view| view.looked_up(&found(), &[], NOW));
    of_services.iter().for_each(|service| service.answered(StatusCode::OK, Duration::ZERO));
    let text = text(&metrics);
    let series = |name: &str| text.lines().filter(|line| line.starts_with(name)).count();
    assert_eq!(series("tandem_feature_age_seconds_sum"), VIEWS_MAX + 1);
    assert_eq!(series("tandem_service_requests_total"), SERVICES_MAX + 1);
    let rows = |view: &str, version: &str| {
        value(&text, &format!(r#"tandem_lookup_rows_total{{view="{view}",version="{version}",status="PRESENT"}}"#))
    };
    assert_eq!(rows("spend", "1"), Some(2.0), "the newest of each view first");
    assert_eq!((rows("risk", "306"), rows("risk", "52"), rows("risk", "51")), (Some(2.0), Some(2.0), None));
    assert_eq!(rows(OTHER, OTHER), Some(2.0 * 51.0));
    assert_eq!(value(&text, r#"tandem_service_requests_total{service="other",status="200"}"#), Some(2.0));
}

#[test]
fn methods_that_clients_make_up_are_one() {
    let metrics = Metrics::new();
    for method in ["GET", "BREW", "WHEN"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        metrics.answered("unmatched".to_owned(), &method, StatusCode::NOT_FOUND, Duration::ZERO);
    }
    let text = text(&metrics);
    let requests = |method: &str| {
        value(&text, &format!(r#"tandem_http_requests_total{{route="unmatched",method="{method}",status="404"}}"#))
    };
    assert_eq!((requests("GET"), requests(OTHER)), (Some(1.0), Some(2.0)));
    assert_eq!(value(&text, r#"tandem_http_request_duration_seconds_count{route="unmatched"}"#), Some(3.0));
}

/// `docs/reference/metrics.md` has all metrics, with their types and labels, and no others.
#[test]
fn every_metric_is_in_the_reference() {
    let folder = tempfile::tempdir().unwrap();
    let live = Live::new(Some(7), vec![], &[], &[]);
    let (views, services) = live.metrics().replace(&[measured("risk", 1)], &["fraud"]);
    views[0].looked_up(&found(), &[0], NOW);
    services[0].answered(StatusCode::OK, Duration::ZERO);
    live.metrics().answered("/health".to_owned(), &Method::GET, StatusCode::OK, Duration::ZERO);
    Fate::ALL.into_iter().for_each(|fate| services[0].logged(fate, 1));
    let log = FeatureLogWriter::start(folder.path().to_owned(), FeatureLogSettings::default(), || NOW).unwrap();
    let server = Server::new(ServerState {
        live,
        store: Some(Arc::new(Store::open(folder.path(), StoreOptions::default()).unwrap())),
        feature_log: Some(log.log()),
        pusher: None,
        offline_root: None,
        settings: ServerSettings::default(),
        clock: || NOW,
        workers: Workers::start(1),
    });
    let text = server.live.metrics().encode(&gauges::of_now(&server)).unwrap();

    let mut told = BTreeMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        let sample = text.lines().find(|line| !line.starts_with('#') && line.starts_with(name)).unwrap();
        let labels = sample.split_once('{').map_or("", |(_, labels)| labels.split_once('}').unwrap().0);
        let labels = labels.split(',').filter_map(|label| label.split_once('=')).map(|(label, _)| label);
        let labels: Vec<&str> = labels.filter(|label| *label != "le").collect();
        let name = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
        told.insert(name, (kind.to_owned(), labels.join(", ")));
    }
    let page = include_str!("../../../../../docs/reference/metrics.md");
    let rows = page.lines().filter(|line| line.starts_with("| `tandem_")).map(|line| {
        let cells: Vec<String> = line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect();
        (cells[0].clone(), (cells[1].clone(), cells[2].clone()))
    });
    let mut rows: BTreeMap<_, _> = rows.collect();
    // These need a component; `tests/all/metrics.rs` has some.
    let of_components = ["tandem_transform_requests_waiting", "tandem_transform_circuit_open"];
    for name in of_components {
        assert_eq!(rows.remove(name), Some(("gauge".to_owned(), "view, version".to_owned())));
    }
    assert_eq!(rows, told);
    let of_view =
        text.lines().filter(|line| line.contains("view=\"risk\",version=\"1\"")).count() + of_components.len();
    assert!(page.contains(&format!("a version of a view has at most {of_view} series")), "{of_view}");
    let of_service =
        text.lines().filter(|line| line.contains("service=\"fraud\"") && !line.contains("status=")).count();
    assert!(page.contains(&format!("a service {of_service} and one for each status")), "{of_service}");
    assert!(told.len() > 20 && text.ends_with("# EOF\n"), "{text}");
}
