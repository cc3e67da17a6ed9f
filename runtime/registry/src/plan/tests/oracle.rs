//! The plan against a naive one: tables and loops over small worlds, without graphs, hashes or models.

use proptest::prelude::*;

use super::*;

const NAMES: [&str; 3] = ["a", "b", "c"];
const SERVICES: [&str; 2] = ["s", "t"];
const STAGES: [Stage; 3] = Stage::ALL;

/// A version in a world: numbers stand for what it means, what is written about it, its stage, and what it reads.
#[derive(Debug, Clone, PartialEq)]
struct Version {
    meaning: u8,
    words: u8,
    stage: usize,
    reads: Vec<(usize, u32)>,
}

/// A service: what it names, what is written about it, its stage.
#[derive(Debug, Clone, PartialEq)]
struct Named {
    features: Vec<(usize, u32)>,
    words: u8,
    stage: usize,
}

/// What is registered, or should be; references may lead nowhere.
#[derive(Debug, Clone, PartialEq, Default)]
struct World {
    views: BTreeMap<(usize, u32), Version>,
    services: BTreeMap<usize, Named>,
    aliases: BTreeMap<usize, u32>,
}

fn reference() -> impl Strategy<Value = (usize, u32)> {
    (0..NAMES.len(), 1..4_u32)
}

fn world() -> impl Strategy<Value = World> {
    // A view reads views whose name comes before its own: no cycles.
    let version = (0..2_u8, 0..2_u8, 0..3_usize, prop::collection::btree_set(reference(), 0..3));
    let version = version.prop_map(|(meaning, words, stage, reads)| Version {
        meaning,
        words,
        stage,
        reads: reads.into_iter().collect(),
    });
    let views = prop::collection::btree_map(reference(), version, 0..7).prop_map(|mut views| {
        views.iter_mut().for_each(|(id, version)| version.reads.retain(|read| read.0 < id.0));
        views
    });
    let features = prop::collection::btree_set(reference(), 1..4).prop_map(|all| all.into_iter().collect::<Vec<_>>());
    let named = (features.prop_shuffle(), 0..2_u8, 0..2_usize).prop_map(|(features, words, stage)| Named {
        features,
        words,
        stage,
    });
    let services = prop::collection::btree_map(0..SERVICES.len(), named, 0..3);
    let aliases = prop::collection::btree_map(0..NAMES.len(), 1..4_u32, 0..3);
    (views, services, aliases).prop_map(|(views, services, aliases)| World { views, services, aliases })
}

/// Two worlds that have much in common, and what was removed before.
fn worlds() -> impl Strategy<Value = (World, World, BTreeMap<(usize, u32), u8>)> {
    let kept = prop::collection::vec(any::<bool>(), 12);
    let taken = prop::collection::btree_map(reference(), 0..2_u8, 0..4);
    (world(), world(), kept, taken).prop_map(|(before, mut after, kept, mut taken)| {
        let mut kept = kept.into_iter().cycle();
        before.views.iter().filter(|_| kept.next() == Some(true)).for_each(|(id, version)| {
            after.views.insert(*id, version.clone());
        });
        before.services.iter().filter(|_| kept.next() == Some(true)).for_each(|(name, service)| {
            after.services.insert(*name, service.clone());
        });
        taken.retain(|id, _| !before.views.contains_key(id));
        (before, after, taken)
    })
}

fn version_of((name, version): (usize, u32)) -> ViewVersion {
    id(NAMES[name], version)
}

fn real_view(id: (usize, u32), version: &Version) -> FeatureView {
    let reads: Vec<ViewVersion> = version.reads.iter().map(|read| version_of(*read)).collect();
    let mut view = view(NAMES[id.0], id.1, &reads);
    view.parameters.insert("meaning".to_owned(), ParameterValue::Int64(version.meaning.into()));
    view.description = version.words.to_string();
    view.stage = STAGES[version.stage];
    view
}

fn real(world: &World) -> Definitions {
    let aliases: Vec<(&str, &str, u32)> =
        world.aliases.iter().map(|(name, version)| (NAMES[*name], "main", *version)).collect();
    let services = world.services.iter().map(|(name, named)| {
        let features: Vec<ViewVersion> = named.features.iter().map(|feature| version_of(*feature)).collect();
        FeatureService {
            description: named.words.to_string(),
            stage: STAGES[named.stage],
            ..service(SERVICES[*name], &features)
        }
    });
    definitions(world.views.iter().map(|(id, version)| real_view(*id, version)), services, &aliases)
}

/// Everybody who uses `view` in any of the worlds, found by asking everybody again and again until nobody is new.
fn users(worlds: &[&World], view: (usize, u32), transitively: bool) -> Vec<String> {
    let mut views = vec![view];
    let mut found = Vec::new();
    loop {
        let before = found.len();
        for world in worlds {
            for (id, version) in &world.views {
                if version.reads.iter().any(|read| views.contains(read)) {
                    found.push(format!("view {}", version_of(*id)));
                    if transitively && !views.contains(id) {
                        views.push(*id);
                    }
                }
            }
            for (name, named) in &world.services {
                if named.features.iter().any(|feature| views.contains(feature)) {
                    found.push(format!("service {}", SERVICES[*name]));
                }
            }
            for (name, version) in &world.aliases {
                if views.contains(&(*name, *version)) {
                    found.push(format!("alias {}@main", NAMES[*name]));
                }
            }
        }
        found.sort_by_key(|user| (!user.starts_with("view"), !user.starts_with("service"), user.clone()));
        found.dedup();
        if !transitively || found.len() == before {
            return found;
        }
    }
}

fn expected(before: &World, after: &World, taken: &BTreeMap<(usize, u32), u8>) -> Vec<String> {
    let mut lines = Vec::new();
    for id in (0..NAMES.len()).flat_map(|name| (1..4).map(move |version| (name, version))) {
        let numbers = [before, after].into_iter().flat_map(|world| world.views.keys()).chain(taken.keys());
        let next = numbers.filter(|number| number.0 == id.0).map(|number| number.1).max().unwrap_or(0) + 1;
        let mut said: Vec<String> = Vec::new();
        match (before.views.get(&id), after.views.get(&id)) {
            (None, None) => {}
            (None, Some(new)) => match taken.get(&id) {
                // What was removed read nothing.
                Some(meaning) if *meaning == new.meaning && new.reads.is_empty() => {
                    said.push("safe restored".to_owned())
                }
                Some(_) => said.push(format!("refused {next}")),
                None => said.push("safe new".to_owned()),
            },
            (Some(_), None) => {
                let users = users(&[after], id, false);
                said.push(if users.is_empty() {
                    "breaking removed".to_owned()
                } else {
                    format!("refused {}", users.join(", "))
                });
            }
            (Some(old), Some(new)) => {
                if old.words != new.words {
                    said.push("safe words".to_owned());
                }
                match (old.stage, new.stage) {
                    (1 | 2, 0) => said.push("breaking stage".to_owned()),
                    (from, to) if from != to => said.push("safe stage".to_owned()),
                    _ => {}
                }
                if (old.meaning, &old.reads) != (new.meaning, &new.reads) {
                    said.push(format!("refused {next}"));
                }
            }
        }
        let users = users(&[before, after], id, true).join(", ");
        lines.extend(said.into_iter().map(|said| format!("view {}: {said} [{users}]", version_of(id))));
    }
    for (name, service) in SERVICES.iter().enumerate() {
        let mut said = Vec::new();
        match (before.services.get(&name), after.services.get(&name)) {
            (None, None) => {}
            (None, Some(_)) => said.push("safe new"),
            (Some(_), None) => said.push("breaking removed"),
            (Some(old), Some(new)) => {
                if old.words != new.words {
                    said.push("safe words");
                }
                if old.stage != new.stage {
                    said.push(if new.stage == 0 { "breaking stage" } else { "safe stage" });
                }
                if old.features != new.features {
                    said.push(if old.stage == 1 { "refused features" } else { "breaking features" });
                }
            }
        }
        lines.extend(said.into_iter().map(|said| format!("service {service}: {said} []")));
    }
    for (name, view) in NAMES.iter().enumerate() {
        let said = match (before.aliases.get(&name), after.aliases.get(&name)) {
            (None, Some(_)) => "safe new",
            (Some(_), None) => "breaking removed",
            (Some(old), Some(new)) if old != new => "breaking moved",
            _ => continue,
        };
        lines.push(format!("alias {view}@main: {said} []"));
    }
    lines
}

/// The plan in the oracle's words.
fn found(plan: &Plan) -> Vec<String> {
    let line = |change: &Change| {
        let words = match &change.what {
            What::New { .. } => "new".to_owned(),
            What::Restored => "restored".to_owned(),
            What::Documentation { .. } => "words".to_owned(),
            What::Stage { .. } => "stage".to_owned(),
            What::Meaning { next_version, .. } | What::Taken { next_version } => next_version.to_string(),
            What::Features { .. } => "features".to_owned(),
            What::Moved { .. } => "moved".to_owned(),
            What::Removed { consumers } if consumers.is_empty() => "removed".to_owned(),
            What::Removed { consumers } => consumers.iter().map(Consumer::to_string).collect::<Vec<_>>().join(", "),
        };
        let downstream: Vec<String> = change.downstream.iter().map(Consumer::to_string).collect();
        let Change { kind, name, severity, .. } = change;
        format!("{} {name}: {} {words} [{}]", kind.as_str(), severity.as_str(), downstream.join(", "))
    };
    plan.changes.iter().map(line).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn the_plan_is_that_of_a_naive_reader((before, after, taken) in worlds()) {
        let hashes = taken.iter().map(|(id, meaning)| {
            let version = Version { meaning: *meaning, words: 9, stage: 0, reads: vec![] };
            (version_of(*id), bound(real_view(*id, &version)).definition_hash)
        });
        let plan = plan(&real(&before), &hashes.collect(), &real(&after));
        prop_assert_eq!(found(&plan), expected(&before, &after, &taken));
        // What is refused or breaking says why; what is safe has nothing to say.
        prop_assert!(plan.changes.iter().all(|change| change.why.is_empty() == (change.severity == Severity::Safe)));
        // Stored views that were not there, each once.
        let mut backfills: Vec<String> = plan.backfills.iter().map(|backfill| backfill.view.to_string()).collect();
        backfills.sort();
        let missing = after.views.iter().filter(|(id, version)| version.reads.is_empty() && !before.views.contains_key(id));
        prop_assert_eq!(backfills, missing.map(|(id, _)| version_of(*id).to_string()).collect::<Vec<_>>());
        let touched: BTreeSet<(&str, &str)> = plan.changes.iter().map(|change| (change.kind.as_str(), change.name.as_str())).collect();
        let (a, b) = (real(&before), real(&after));
        let all = a.views.keys().chain(b.views.keys()).collect::<BTreeSet<_>>().len()
            + a.services.keys().chain(b.services.keys()).collect::<BTreeSet<_>>().len()
            + a.aliases.keys().chain(b.aliases.keys()).collect::<BTreeSet<_>>().len();
        prop_assert_eq!(plan.unchanged + touched.len(), all);
    }

    #[test]
    fn what_is_as_it_should_be_needs_nothing(world in world()) {
        let world = real(&world);
        let plan = plan(&world, &BTreeMap::new(), &world);
        prop_assert!(plan.is_empty() && plan.backfills.is_empty() && plan.latest.is_empty());
    }
}
