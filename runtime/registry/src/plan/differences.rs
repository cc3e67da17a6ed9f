//! In what two definitions differ. What changes a meaning is told by the definition hash alone; the names of fields are for people.

use std::path::PathBuf;

use tandem_core::limits::TransformLimits;
use tandem_core::model::{
    BoundView, ColumnFeature, FeatureService, FeatureView, InputSource, JoinKey, OnError, PublishedRows, Source,
    SourceQuery, ViewSource,
};
use tandem_core::types::Signature;
use tandem_core::window::{AggregateFeature, Aggregates, ComponentFunction};

use super::What;

/// Names of fields that differ.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Differences {
    /// Fields that can change a value; empty if, and only if, the definition hashes are equal.
    pub meaning: Vec<String>,
    /// Fields that cannot: what people read, where files lie, how long instances live. Without the stage.
    pub documentation: Vec<String>,
}

impl Differences {
    fn meaning(&mut self, differs: bool, field: impl Into<String>) {
        if differs {
            self.meaning.push(field.into());
        }
    }

    fn documentation(&mut self, differs: bool, field: impl Into<String>) {
        if differs {
            self.documentation.push(field.into());
        }
    }
}

// Structs are taken apart without `..`, so that a new field cannot be forgotten here.

/// In what two versions differ.
pub(super) fn of_views(before: &BoundView, after: &BoundView) -> Differences {
    let mut found = Differences::default();
    let FeatureView {
        name: _,
        version: _,
        stage: _, // a change of its own
        deprecation,
        source,
        entities,
        component: _, // its digest says what it is; the file lies in the registry
        columns,
        aggregates,
        parameters,
        inputs: _,      // resolved for each input of the signature
        key_columns: _, // resolved for each join key
        ttl,
        freshness,
        as_of,
        known_by,
        history,
        publish_delay,
        defaults,
        checks,
        on_error,
        nan,
        instance,
        limits,
        owner,
        description,
        tags,
    } = &after.view;
    let old = &before.view;
    if old.is_columns() && after.view.is_columns() {
        let meant = |columns: &[ColumnFeature]| -> Vec<ColumnFeature> {
            columns.iter().map(|feature| ColumnFeature { description: String::new(), ..feature.clone() }).collect()
        };
        let differs = meant(&old.columns) != meant(columns);
        found.meaning(differs, "features");
        found.documentation(!differs && old.columns != *columns, "features");
    } else if let (Some(old), Some(new)) = (&old.aggregates, aggregates) {
        of_aggregates(old, new, &mut found);
        let digests = |bound: &BoundView| bound.components.iter().map(|one| one.digest).collect::<Vec<_>>();
        found.meaning(digests(before) != digests(after), "component");
    } else {
        found.meaning(before.digest != after.digest, "component");
    }
    let names = old.parameters.keys().chain(parameters.keys());
    for name in sorted(names) {
        found.meaning(old.parameters.get(name) != parameters.get(name), format!("parameters.{name}"));
    }
    let input = |bound: &BoundView, name: &str| -> Option<InputSource> {
        bound.signature.inputs.iter().any(|input| input.name == name).then(|| bound.view.input_source(name))
    };
    let names = before.signature.inputs.iter().chain(&after.signature.inputs).map(|input| &input.name);
    // Those of columns are their features'.
    for name in sorted(names).into_iter().filter(|_| !after.view.is_columns()) {
        found.meaning(input(before, name) != input(after, name), format!("inputs.{name}"));
    }
    let keys = |view: &FeatureView| -> Vec<(JoinKey, String)> {
        view.join_keys().map(|key| (key.clone(), view.key_column(&key.name).to_owned())).collect()
    };
    found.meaning(keys(old) != keys(&after.view), "join keys");
    of_sources(&old.source, source, &mut found);
    found.meaning(old.ttl != *ttl, "ttl");
    found.meaning(old.as_of != *as_of, "as_of");
    found.meaning(old.known_by != *known_by, "known_by");
    found.meaning(old.history != *history, "history");
    found.meaning(old.publish_delay != *publish_delay, "publish_delay");
    for name in sorted(old.defaults.keys().chain(defaults.keys())) {
        found.meaning(old.defaults.get(name) != defaults.get(name), format!("defaults.{name}"));
    }
    found.meaning(old.on_error != *on_error, "on_error");
    found.meaning(old.nan != *nan, "nan");
    of_limits(&old.limits, limits, &mut found);
    // The hash decides; the names explain it.
    if before.definition_hash == after.definition_hash {
        found.meaning.clear();
    } else if found.meaning.is_empty() {
        found.meaning.push("what an upstream view or the encoding covers".to_owned());
    }
    found.documentation(old.freshness != *freshness, "freshness");
    found.documentation(old.checks != *checks, "checks");
    found.documentation(old.instance != *instance, "instance");
    found.documentation(old.owner != *owner, "owner");
    found.documentation(old.description != *description, "description");
    found.documentation(old.tags != *tags, "tags");
    found.documentation(old.deprecation != *deprecation, "deprecated");
    let documented = |view: &FeatureView| -> Vec<(String, String)> {
        view.entities.iter().map(|entity| (entity.name.clone(), entity.description.clone())).collect()
    };
    let new: Vec<(String, String)> =
        entities.iter().map(|entity| (entity.name.clone(), entity.description.clone())).collect();
    found.documentation(documented(old) != new, "entities");
    found
}

fn of_aggregates(before: &Aggregates, after: &Aggregates, found: &mut Differences) {
    let Aggregates { columns, filter, bounds, precision, lateness, zone, retention, every, features, functions } =
        after;
    // Their digests say what components are; the files lie in the registry.
    let of_functions = |functions: &[ComponentFunction]| -> Vec<ComponentFunction> {
        functions.iter().map(|one| ComponentFunction { component: PathBuf::new(), ..one.clone() }).collect()
    };
    let functions_differ = of_functions(&before.functions) != of_functions(functions);
    let meant = |features: &[AggregateFeature]| -> Vec<AggregateFeature> {
        features.iter().map(|feature| AggregateFeature { description: String::new(), ..feature.clone() }).collect()
    };
    let differs = meant(&before.features) != meant(features) || before.columns != *columns || functions_differ;
    found.meaning(differs, "aggregates");
    found.documentation(!differs && before.features != *features, "aggregates");
    found.meaning(before.filter != *filter, "where");
    found.meaning(before.bounds != *bounds, "bounds");
    found.meaning(before.precision != *precision, "precision");
    found.meaning(before.lateness != *lateness, "lateness");
    // Without calendar windows the hash leaves it out.
    found.meaning(before.zone != *zone, "timezone");
    found.documentation(before.retention != *retention, "retention");
    found.meaning(before.every != *every, "every");
}

fn of_sources(before: &ViewSource, after: &ViewSource, found: &mut Differences) {
    match (before, after) {
        (ViewSource::Files(before), ViewSource::Files(after)) => of_files(before, after, found),
        (ViewSource::View(before), ViewSource::View(after)) => {
            // The rest follows from the view.
            let PublishedRows { view, kind: _, created_time: _, sequence: _, event_ids: _, timezone: _, partition: _ } =
                &**after;
            found.meaning(before.view != *view, "source");
        }
        (ViewSource::Request, ViewSource::Request) => {}
        _ => found.meaning(true, "source"),
    }
}

fn of_files(before: &Source, after: &Source, found: &mut Differences) {
    let Source {
        name,
        path,
        query,
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
    } = after;
    found.meaning(before.name != *name, "source");
    let text = |query: &Option<SourceQuery>| query.as_ref().map(|query| query.text.clone());
    let tables = |query: &Option<SourceQuery>| -> Vec<String> {
        query.iter().flat_map(|query| query.tables.keys().cloned()).collect()
    };
    found.meaning(text(&before.query) != text(query), "source.query");
    found.meaning(tables(&before.query) != tables(query), "source.tables");
    let folders = |query: &Option<SourceQuery>| query.as_ref().map(|query| query.tables.clone());
    let moved = tables(&before.query) == tables(query) && folders(&before.query) != folders(query);
    found.documentation(moved, "source.tables");
    found.meaning(before.kind != *kind, "source.kind");
    found.meaning(before.event_time != *event_time, "source.event_time");
    found.meaning(before.valid_to != *valid_to, "source.valid_to");
    found.meaning(before.created_time != *created_time, "source.created_time");
    found.meaning(before.sequence != *sequence, "source.sequence");
    found.meaning(before.event_id != *event_id, "source.event_id");
    found.meaning(before.retracted != *retracted, "source.retracted");
    found.meaning(before.timezone != *timezone, "source.timezone");
    found.meaning(before.partition != *partition, "source.partition");
    // Only rows that are set aside change what is computed.
    let sets_aside =
        before.contract.on_violation == OnError::Quarantine || contract.on_violation == OnError::Quarantine;
    let columns = before.contract.columns != contract.columns;
    let on_violation = before.contract.on_violation != contract.on_violation;
    if sets_aside {
        found.meaning(columns, "source.columns");
        found.meaning(on_violation, "source.on_violation");
    } else {
        found.documentation(columns, "source.columns");
    }
    found.documentation(before.path != *path, "source.path");
    found.documentation(before.description != *description, "source.description");
}

fn of_limits(before: &TransformLimits, after: &TransformLimits, found: &mut Differences) {
    let TransformLimits {
        fuel_base,
        fuel_per_row,
        call_seconds_max,
        memory_bytes_max,
        table_elements_max,
        output_bytes_max,
        message_bytes_max,
        fields_max,
        failed_rows_max,
    } = after;
    for (name, before, after) in [
        ("fuel_base", &before.fuel_base, fuel_base),
        ("fuel_per_row", &before.fuel_per_row, fuel_per_row),
        ("call_seconds_max", &before.call_seconds_max, call_seconds_max),
        ("memory_bytes_max", &before.memory_bytes_max, memory_bytes_max),
        ("table_elements_max", &before.table_elements_max, table_elements_max),
        ("output_bytes_max", &before.output_bytes_max, output_bytes_max),
        ("message_bytes_max", &before.message_bytes_max, message_bytes_max),
        ("fields_max", &before.fields_max, fields_max),
        ("failed_rows_max", &before.failed_rows_max, failed_rows_max),
    ] {
        found.meaning(before != after, format!("limits.{name}"));
    }
}

/// Features that come, go or change their type: "feature +a", "feature -b", "feature c int64 -> float64".
pub(super) fn outputs(before: &Signature, after: &Signature) -> Vec<String> {
    let names = before.outputs.iter().chain(&after.outputs).map(|output| &output.name);
    let find = |signature: &Signature, name: &str| {
        let found = signature.outputs.iter().find(|output| output.name == name);
        found.map(|output| format!("{}{}", output.data_type, if output.nullable { "?" } else { "" }))
    };
    let difference = |name: &String| match (find(before, name), find(after, name)) {
        (None, Some(_)) => Some(format!("feature +{name}")),
        (Some(_), None) => Some(format!("feature -{name}")),
        (Some(before), Some(after)) if before != after => Some(format!("feature {name} {before} -> {after}")),
        _ => None,
    };
    sorted(names).into_iter().filter_map(difference).collect()
}

/// What changes about a service's features, and the names of the other fields that differ.
pub(super) fn of_services(before: &FeatureService, after: &FeatureService) -> (Option<What>, Vec<String>) {
    let FeatureService { name: _, features, prefix, deadline, required, log_share, stage: _, owner, description, tags } =
        after;
    let added: Vec<String> =
        features.iter().filter(|one| !before.features.contains(one)).map(ToString::to_string).collect();
    let removed: Vec<String> =
        before.features.iter().filter(|one| !features.contains(one)).map(ToString::to_string).collect();
    let kept_before = before.features.iter().filter(|one| features.contains(one));
    let kept_after = features.iter().filter(|one| before.features.contains(one));
    let rearranged = before.prefix != *prefix || !kept_before.eq(kept_after);
    let mut documentation = Differences::default();
    documentation.documentation(before.owner != *owner, "owner");
    documentation.documentation(before.description != *description, "description");
    documentation.documentation(before.tags != *tags, "tags");
    // How it is answered, not what: consumers see the same features with the same values.
    documentation.documentation(before.deadline != *deadline, "deadline");
    documentation.documentation(before.required != *required, "required");
    documentation.documentation(before.log_share != *log_share, "log_share");
    let same = before.features == *features && before.prefix == *prefix;
    ((!same).then_some(What::Features { added, removed, rearranged }), documentation.documentation)
}

fn sorted<'a>(names: impl Iterator<Item = &'a String>) -> Vec<&'a String> {
    let mut names: Vec<&String> = names.collect();
    names.sort();
    names.dedup();
    names
}
