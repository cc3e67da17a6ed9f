mod oracle;

use std::path::PathBuf;

use tandem_core::defaults::Defaults;
use tandem_core::hash::definition_hash;
use tandem_core::limits::TransformLimits;
use tandem_core::model::{
    AsOf, Deprecation, Entity, FeatureView, History, InputSource, InstanceMode, JoinKey, KnownBy, NanMode, OnError,
    Required, ServiceFeatures, Share, Source, SourceContract, SourceKind, ViewSource,
};
use tandem_core::parameter::ParameterValue;
use tandem_core::time::Day;
use tandem_core::types::{DataType, Field, Signature};

use super::*;

fn id(name: &str, version: u32) -> ViewVersion {
    ViewVersion::new(name, version)
}

fn source() -> Source {
    Source {
        name: "events".to_owned(),
        path: PathBuf::from("data/events"),
        query: None,
        kind: SourceKind::Events,
        valid_to: None,
        event_time: "at".to_owned(),
        created_time: None,
        sequence: None,
        event_id: None,
        retracted: None,
        timezone: None,
        partition: None,
        contract: SourceContract::default(),
        description: String::new(),
    }
}

/// A view of one entity with an input for each view that it reads; stored if it reads none.
fn view(name: &str, version: u32, reads: &[ViewVersion]) -> FeatureView {
    let entity = Entity {
        name: "user".to_owned(),
        join_keys: vec![JoinKey { name: "user_id".to_owned(), data_type: DataType::Int64 }],
        description: String::new(),
    };
    let input = |(index, view): (usize, &ViewVersion)| {
        (format!("i{index}"), InputSource::Feature { view: view.clone(), feature: "f".to_owned() })
    };
    FeatureView {
        name: name.to_owned(),
        version,
        stage: Stage::Experimental,
        deprecation: None,
        source: if reads.is_empty() { ViewSource::Files(Arc::new(source())) } else { ViewSource::Request },
        entities: vec![Arc::new(entity)],
        component: PathBuf::from("a.wasm"),
        columns: Vec::new(),
        aggregates: None,
        parameters: BTreeMap::new(),
        inputs: reads.iter().enumerate().map(input).collect(),
        key_columns: BTreeMap::new(),
        ttl: None,
        freshness: None,
        as_of: AsOf::Before,
        known_by: KnownBy::Event,
        history: History::Append,
        publish_delay: None,
        defaults: BTreeMap::new(),
        checks: Vec::new(),
        on_error: OnError::Fail,
        nan: NanMode::Boundary,
        instance: InstanceMode::PerCall,
        limits: TransformLimits::default(),
        owner: String::new(),
        description: String::new(),
        tags: BTreeMap::new(),
    }
}

fn signature(outputs: &[&str]) -> Signature {
    Signature {
        inputs: (0..3).map(|index| Field::new(format!("i{index}"), DataType::Int64, true)).collect(),
        outputs: outputs.iter().map(|name| Field::new(*name, DataType::Int64, true)).collect(),
        doc: String::new(),
    }
}

fn bound_with(view: FeatureView, signature: Signature, digest: Digest) -> Arc<BoundView> {
    let definition_hash = definition_hash(&view, &signature, digest);
    let (defaults, _) = Defaults::of(&view, &signature);
    Arc::new(BoundView {
        view,
        signature,
        digest,
        definition_hash,
        defaults,
        upstream: Vec::new(),
        components: Vec::new(),
    })
}

fn bound(view: FeatureView) -> Arc<BoundView> {
    bound_with(view, signature(&["f"]), Digest::of(b"component"))
}

fn service(name: &str, features: &[ViewVersion]) -> FeatureService {
    FeatureService {
        name: name.to_owned(),
        features: features.iter().map(|view| ServiceFeatures { view: view.clone(), feature: None }).collect(),
        prefix: false,
        deadline: None,
        required: Required::None,
        log_share: Share::NONE,
        stage: Stage::Experimental,
        owner: String::new(),
        description: String::new(),
        tags: BTreeMap::new(),
    }
}

fn definitions(
    views: impl IntoIterator<Item = FeatureView>,
    services: impl IntoIterator<Item = FeatureService>,
    aliases: &[(&str, &str, u32)],
) -> Definitions {
    let alias = |(view, name, version): &(&str, &str, u32)| {
        let alias = Alias { view: (*view).to_owned(), name: (*name).to_owned(), version: *version };
        ((alias.view.clone(), alias.name.clone()), alias)
    };
    Definitions {
        views: views.into_iter().map(|view| (view.id(), bound(view))).collect(),
        services: services.into_iter().map(|service| (service.name.clone(), service)).collect(),
        aliases: aliases.iter().map(alias).collect(),
    }
}

/// A line for each change: severity, kind, name, what, and who is downstream.
fn lines(plan: &Plan) -> Vec<String> {
    let line = |change: &Change| {
        let downstream: Vec<String> = change.downstream.iter().map(Consumer::to_string).collect();
        let Change { kind, name, what, severity, .. } = change;
        format!("{} {} {name}: {what} [{}]", severity.as_str(), kind.as_str(), downstream.join(", "))
    };
    plan.changes.iter().map(line).collect()
}

#[test]
fn nothing_registered_makes_everything_new() {
    let mut spend = view("spend", 1, &[]);
    spend.ttl = Some(Duration::from_micros(86_400_000_000));
    let risk = view("risk", 1, &[id("spend", 1)]);
    let checkout = service("checkout", &[id("risk", 1)]);
    let desired = definitions([spend, risk], [checkout], &[("risk", "champion", 1)]);
    let plan = plan(&Definitions::default(), &BTreeMap::new(), &desired);
    assert_eq!(
        lines(&plan),
        [
            "safe view risk@1: new [service checkout, alias risk@champion]",
            "safe view spend@1: new [view risk@1, service checkout, alias risk@champion]",
            "safe service checkout: new []",
            "safe alias risk@champion: new []",
        ]
    );
    let ttl = Some(Duration::from_micros(86_400_000_000));
    assert_eq!(plan.backfills, [Backfill { view: id("spend", 1), ttl }], "an on-demand view has no history");
    assert_eq!((plan.severity(), plan.latest.len(), plan.unchanged), (Severity::Safe, 0, 0));
    let again = super::plan(&desired, &BTreeMap::new(), &desired);
    assert!(again.is_empty() && again.unchanged == 4 && again.backfills.is_empty());
}

#[test]
fn a_changed_meaning_is_named_and_refused() {
    let before =
        definitions([view("risk", 1, &[]), view("risk", 2, &[])], [service("checkout", &[id("risk", 1)])], &[]);
    let mut changed = view("risk", 1, &[]);
    changed.parameters.insert("threshold".to_owned(), ParameterValue::Float64(0.5));
    changed.ttl = Some(Duration::from_micros(1));
    changed.limits.fuel_base += 1;
    changed.freshness = Some(Duration::from_micros(1));
    changed.owner = "ada".to_owned();
    let mut moved = source();
    (moved.event_time, moved.path) = ("happened_at".to_owned(), PathBuf::from("elsewhere"));
    changed.source = ViewSource::Files(Arc::new(moved));
    let after = definitions([changed, view("risk", 2, &[])], before.services.values().cloned(), &[]);
    let taken = BTreeMap::from([(id("risk", 5), Digest::of(b"gone"))]);
    assert_eq!(
        lines(&plan(&before, &taken, &after)),
        [
            "safe view risk@1: documentation: source.path, freshness, owner [service checkout]",
            "refused view risk@1: would mean something else: parameters.threshold, source.event_time, ttl, limits.fuel_base; make it version 6 [service checkout]",
        ]
    );
}

#[test]
fn another_component_is_another_meaning_and_a_new_version_says_what_it_brings() {
    let before = definitions([view("risk", 1, &[])], [], &[]);
    let with = |version: u32| {
        let component = Digest::of(b"another component");
        let bound = bound_with(view("risk", version, &[]), signature(&["g"]), component);
        Definitions { views: [(id("risk", version), bound)].into(), ..Definitions::default() }
    };
    assert_eq!(
        lines(&plan(&before, &BTreeMap::new(), &with(1))),
        ["refused view risk@1: would mean something else: component; make it version 2 []"]
    );
    let mut both = with(2);
    both.views.extend(before.views.clone());
    let found = plan(&before, &BTreeMap::new(), &both);
    assert_eq!(lines(&found), ["safe view risk@2: new; differs from @1 in component, feature -f, feature +g []"]);
    assert_eq!(found.latest, [LatestMove { view: "risk".to_owned(), from: 1, to: 2 }]);
}

#[test]
fn a_number_is_never_used_again_for_something_else() {
    let old = definitions([view("risk", 1, &[])], [], &[]);
    let taken = BTreeMap::from([(id("risk", 1), old.views[&id("risk", 1)].definition_hash)]);
    let nothing = Definitions::default();
    assert_eq!(lines(&plan(&nothing, &taken, &old)), ["safe view risk@1: restored []"]);
    assert_eq!(plan(&nothing, &taken, &old).backfills.len(), 1);
    let mut other = view("risk", 1, &[]);
    other.nan = NanMode::Strict;
    assert_eq!(
        lines(&plan(&nothing, &taken, &definitions([other], [], &[]))),
        ["refused view risk@1: a removed version of this number meant something else; make it version 2 []"]
    );
}

#[test]
fn what_is_used_is_not_removed() {
    let spend = view("spend", 1, &[]);
    let risk = view("risk", 1, &[id("spend", 1)]);
    let before = definitions([spend, risk.clone()], [service("checkout", &[id("risk", 1)])], &[("spend", "main", 1)]);
    let after = definitions([risk], [service("checkout", &[id("risk", 1)])], &[("spend", "main", 1)]);
    assert_eq!(
        lines(&plan(&before, &BTreeMap::new(), &after)),
        [
            "refused view spend@1: removed, but used by view risk@1, alias spend@main [view risk@1, service checkout, alias spend@main]"
        ]
    );
    assert_eq!(
        lines(&plan(&before, &BTreeMap::new(), &Definitions::default())),
        [
            "breaking view risk@1: removed [service checkout]",
            "breaking view spend@1: removed [view risk@1, service checkout, alias spend@main]",
            "breaking service checkout: removed []",
            "breaking alias spend@main: removed []",
        ]
    );
}

#[test]
fn services_change_as_their_stage_allows() {
    let views = || [view("a", 1, &[]), view("b", 1, &[]), view("c", 1, &[])];
    let of = |features: &[&str], stage: Stage, owner: &str| {
        let features: Vec<ViewVersion> = features.iter().map(|name| id(name, 1)).collect();
        let service = FeatureService { stage, owner: owner.to_owned(), ..service("checkout", &features) };
        definitions(views(), [service], &[])
    };
    let (experimental, production) = (Stage::Experimental, Stage::Production);
    let told = |before: &Definitions, after: &Definitions| lines(&plan(before, &BTreeMap::new(), after));
    let before = of(&["a", "b"], experimental, "");
    assert_eq!(
        told(&before, &of(&["b", "c"], production, "ada")),
        [
            "safe service checkout: documentation: owner []",
            "safe service checkout: stage: experimental -> production []",
            "breaking service checkout: features: +c@1, -a@1 []",
        ]
    );
    let before = of(&["a", "b"], production, "");
    assert_eq!(
        told(&before, &of(&["b", "a"], experimental, "")),
        [
            "breaking service checkout: stage: production -> experimental []",
            "refused service checkout: features: another order or other names []",
        ]
    );
    let mut prefixed = before.clone();
    prefixed.services.get_mut("checkout").unwrap().prefix = true;
    assert_eq!(told(&before, &prefixed), ["refused service checkout: features: another order or other names []"]);
}

#[test]
fn stages_and_aliases_move() {
    let staged = |stage: Stage, alias: u32| {
        let mut risk = view("risk", 1, &[]);
        risk.stage = stage;
        let since = Day(20_000);
        risk.deprecation =
            (stage == Stage::Deprecated).then_some(Deprecation { since, replacement: Some(id("risk", 2)) });
        definitions([risk, view("risk", 2, &[])], [], &[("risk", "champion", alias)])
    };
    let told = |from: Stage, to: Stage| {
        let plan = plan(&staged(from, 1), &BTreeMap::new(), &staged(to, 1));
        (plan.severity(), lines(&plan).len())
    };
    let (experimental, production, deprecated) = (Stage::Experimental, Stage::Production, Stage::Deprecated);
    assert_eq!(told(experimental, production), (Severity::Safe, 1));
    assert_eq!(told(production, deprecated), (Severity::Safe, 2)); // and what its users are told
    assert_eq!(told(deprecated, production), (Severity::Safe, 2));
    assert_eq!(told(production, experimental), (Severity::Breaking, 1));
    assert_eq!(
        lines(&plan(&staged(production, 1), &BTreeMap::new(), &staged(production, 2))),
        ["breaking alias risk@champion: moved: @1 -> @2 []"]
    );
}

#[test]
fn history_is_computed_upstream_first() {
    let mut views = Vec::new();
    for (name, upstream) in [("a", Some("b")), ("b", Some("z")), ("z", None)] {
        let mut view = view(name, 1, &[]);
        if let Some(upstream) = upstream {
            view.source = ViewSource::View(Arc::new(tandem_core::model::PublishedRows {
                view: id(upstream, 1),
                kind: SourceKind::Events,
                created_time: false,
                sequence: false,
                event_ids: false,
                timezone: None,
                partition: None,
            }));
        }
        views.push(view);
    }
    let desired = definitions(views, [], &[]);
    let order = |plan: Plan| plan.backfills.into_iter().map(|backfill| backfill.view.name).collect::<Vec<_>>();
    assert_eq!(order(plan(&Definitions::default(), &BTreeMap::new(), &desired)), ["z", "b", "a"]);
    let mut registered = desired.clone();
    registered.views.remove(&id("a", 1));
    registered.views.remove(&id("z", 1));
    assert_eq!(order(plan(&registered, &BTreeMap::new(), &desired)), ["z", "a"]);
}
