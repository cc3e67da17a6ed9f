//! The definition hash: what of a view's definition can change a value.

use super::Digest;
use super::encoding::Item;
use crate::defaults::Defaults;
use crate::limits::TransformLimits;
use crate::model::{
    Allowed, ColumnContract, ColumnFeature, Entity, FeatureView, History, InputSource, JoinKey, OnError, PublishedRows,
    Source, SourceContract, SourceQuery, ViewSource, ViewVersion,
};
use crate::parameter::{ParameterValue, Parameters};
use crate::types::Signature;
use crate::window::{
    AggregateFeature, Aggregates, ComponentFunction, EventColumn, Filter, Function, Precision, STATE_VERSION, Window,
};

/// Name and version of the encoding; it opens the hashed bytes.
pub const DEFINITION_ENCODING: &str = "tandem-definition/1";

/// SHA-256 over a canonical typed encoding of everything of a definition that can change a value: the component's
/// digest, parameters, the source of each of the signature's inputs, join keys (names, types and columns, in order), the
/// source (name, kind, time columns, sequence, event id, retraction, time zone, partition), `as_of`, `known_by`, `history`, `publish_delay`, `ttl`, defaults, limits, `nan` and
/// `on_error`. A view that is read, for its rows or for a feature, is covered by its name and version.
///
/// What is not covered:
///
/// - The view's name and version: they name the definition, the hash says what it is. So the hash tells whether two
///   versions differ, or whether a renamed view is still the same.
/// - Paths of the source and of the component: they say where bytes lie on one machine. The component is covered by its
///   digest; data is new every day, and a source in staging has the same meaning as in production.
/// - Names of entities and all outputs of the signature: what they mean is in the join keys, and in the component
///   with its parameters.
/// - Checks: rows that break them are published whole or not at all. The contract of the source, where a row that breaks it stops the run; where such
///   rows are set aside, it is covered.
/// - The freshness objective: it says as what a value is told.
/// - How long instances live: a component that is registered is proved to give the same bits either way.
/// - Owner, description, tags, stage, deprecation: they are for people.
///
/// The bytes are the text [`DEFINITION_ENCODING`] and a record (`encoding.rs`).
pub fn definition_hash(view: &FeatureView, signature: &Signature, digest: Digest) -> Digest {
    let mut bytes = Vec::new();
    Item::text(DEFINITION_ENCODING).encode(&mut bytes);
    view_item(view, signature, digest).encode(&mut bytes);
    Digest::of(&bytes)
}

// Structs are taken apart without `..`, so that a new field cannot be forgotten here.

fn view_item(view: &FeatureView, signature: &Signature, digest: Digest) -> Item {
    let FeatureView {
        name: _,
        version: _,
        stage: _,
        deprecation: _,
        source,
        entities,
        component: _, // its digest says what it is
        columns,
        aggregates,
        parameters,
        inputs: _,      // resolved per input of the signature
        key_columns: _, // resolved per join key
        ttl,
        freshness: _, // it says how a value is told, and changes none
        as_of,
        known_by,
        history,
        publish_delay,
        defaults: _, // typed by the signature
        checks: _,   // they change no value
        on_error,
        nan,
        instance: _,
        limits,
        owner: _,
        description: _,
        tags: _,
    } = view;
    let Signature { inputs, outputs: _, doc: _ } = signature;
    // No field of one is a field of the other, so that no view of columns has the hash of one with a component.
    let transform = |component: Digest| {
        Item::fields([
            ("component", Item::Bytes(component.0.to_vec())),
            ("parameters", parameters_item(parameters)),
            ("inputs", Item::list(inputs, |input| input_item(&input.name, view.input_source(&input.name)))),
        ])
    };
    let mut fields = if let Some(aggregates) = aggregates {
        let mut fields = Item::fields([("aggregates", aggregates_item(aggregates))]);
        if view.has_event_transform() {
            // The digest of what is computed covers those of the components.
            fields.extend(transform(digest));
        } else if !aggregates.functions.is_empty() {
            fields.extend(Item::fields([("component", Item::Bytes(digest.0.to_vec()))]));
        }
        // Which rows are published, and so what views over them read.
        fields.extend(aggregates.every.map(|grid| ("every_us".to_owned(), Item::Unsigned(grid.every().as_micros()))));
        fields
    } else if view.is_columns() {
        Item::fields([("columns", Item::list(columns, column_item))])
    } else {
        transform(digest)
    };
    fields.extend(Item::fields([
        ("keys", Item::list(entities.iter().flat_map(|entity| keys(entity)), |key| key_item(view, key))),
        ("source", view_source_item(source)),
        ("as_of", Item::text(as_of.as_str())),
        ("known_by", Item::text(known_by.as_str())),
        ("ttl_us", Item::optional(*ttl, |ttl| Item::Unsigned(ttl.as_micros()))),
    ]));
    if view.runs_components() {
        fields.extend(Item::fields([("limits", limits_item(limits)), ("nan", Item::text(nan.as_str()))]));
    }
    fields.push(("on_error".to_owned(), Item::text(on_error.as_str())));
    // What came later is left out where it is absent, so that definitions without it keep their hashes.
    if *history != History::Append {
        fields.push(("history".to_owned(), Item::text(history.as_str())));
    }
    if let Some(delay) = publish_delay {
        fields.push(("publish_delay_us".to_owned(), Item::Unsigned(delay.as_micros())));
    }
    let defaults = defaults_item(view, signature);
    if !defaults.is_empty() {
        fields.push(("defaults".to_owned(), Item::Record(defaults)));
    }
    Item::Record(fields)
}

/// SHA-256 over names, columns and types of features that are columns: what stands for a component's digest.
pub fn columns_digest(columns: &[ColumnFeature]) -> Digest {
    let mut bytes = Vec::new();
    Item::text("tandem-columns/1").encode(&mut bytes);
    Item::list(columns, column_item).encode(&mut bytes);
    Digest::of(&bytes)
}

/// SHA-256 over what an aggregate view computes, and over the digests of the components that it runs: what stands for a component's digest.
pub fn aggregates_digest(aggregates: &Aggregates, components: &[Digest]) -> Digest {
    let mut bytes = Vec::new();
    Item::text("tandem-aggregates/1").encode(&mut bytes);
    aggregates_item(aggregates).encode(&mut bytes);
    // Views without components keep their digests.
    if !components.is_empty() {
        Item::list(components, |digest| Item::Bytes(digest.0.to_vec())).encode(&mut bytes);
    }
    Digest::of(&bytes)
}

/// SHA-256 over parameters, in the encoding that the definition hash has of them.
pub fn parameters_digest(parameters: &Parameters) -> Digest {
    let mut bytes = Vec::new();
    Item::text("tandem-parameters/1").encode(&mut bytes);
    parameters_item(parameters).encode(&mut bytes);
    Digest::of(&bytes)
}

/// How long events are kept changes no value, and is not in it; nor does the grid, at whose instants values are what they are everywhere. The version of the states is: what they are finished to must not change under a definition.
fn aggregates_item(aggregates: &Aggregates) -> Item {
    let Aggregates { columns, filter, bounds, precision, lateness, zone, retention: _, every: _, features, functions } =
        aggregates;
    let text = |filter: &Option<Filter>| Item::optional(filter.as_ref(), |filter| Item::text(filter.to_string()));
    let column = |column: &EventColumn| {
        let EventColumn { name, column, data_type } = column;
        Item::record([
            ("name", Item::text(name)),
            ("column", Item::text(column)),
            ("type", Item::text(data_type.to_string())),
        ])
    };
    let hop = match precision {
        Precision::Exact => None,
        Precision::Tiled { hop } => Some(*hop),
    };
    let feature = |feature: &AggregateFeature| {
        let AggregateFeature { name, function, column, filter, of, window, description: _ } = feature;
        let mut fields = Item::fields([
            ("name", Item::text(name)),
            ("function", function_item(*function, functions)),
            ("column", Item::optional(*column, |column| Item::text(&columns[column].name))),
            ("where", text(filter)),
            ("window", window_item(*window)),
        ]);
        // Of one function alone, and that is younger than hashes are.
        if let Some(of) = of {
            fields.extend(Item::fields([("of", Item::text(of.to_string()))]));
        }
        Item::Record(fields)
    };
    let is_calendar = |feature: &AggregateFeature| matches!(feature.window, Window::Calendar(_));
    let zone = features.iter().any(is_calendar).then(|| zone.name());
    let mut fields = Item::fields([
        ("states", Item::Unsigned(u64::from(STATE_VERSION))),
        ("columns", Item::list(columns, column)),
        ("where", text(filter)),
        ("bounds", Item::text(bounds.as_str())),
        ("hop_us", Item::optional(hop, |hop| Item::Unsigned(hop.as_micros()))),
        ("timezone", Item::optional(zone, Item::text)),
        ("features", Item::list(features, feature)),
    ]);
    // Which late events count online, and how wide tiles are.
    fields.extend(lateness.map(|lateness| ("lateness_us".to_owned(), Item::Unsigned(lateness.as_micros()))));
    Item::Record(fields)
}

fn function_item(function: Function, functions: &[ComponentFunction]) -> Item {
    let number = |name, number: u32| (name, Item::Unsigned(u64::from(number)));
    let mut fields = Item::fields([("function", Item::text(function.as_str()))]);
    let arguments = match function {
        Function::LastN { n } => vec![number("n", n)],
        Function::DistinctCount { exact_max } => vec![number("exact_max", exact_max)],
        Function::TopK { k, counted_max } => vec![number("k", k), number("counted_max", counted_max)],
        Function::Quantile { q } => vec![("q", Item::Float(q))],
        Function::Component { function, output: _ } => {
            let ComponentFunction { component: _, inputs, parameters, data_type, state_bytes_max } =
                &functions[function as usize];
            // The digest covers those of the components, in their order.
            let inputs = inputs
                .iter()
                .map(|(input, column)| Item::record([("input", Item::text(input)), ("column", Item::text(column))]));
            vec![
                number("component", function),
                ("inputs", Item::List(inputs.collect())),
                ("parameters", parameters_item(parameters)),
                ("type", Item::text(data_type.to_string())),
                ("state_bytes_max", Item::Unsigned(*state_bytes_max)),
            ]
        }
        _ => Vec::new(),
    };
    fields.extend(arguments.into_iter().map(|(name, item)| (name.to_owned(), item)));
    Item::Record(fields)
}

fn window_item(window: Window) -> Item {
    match window {
        Window::Sliding(length) => Item::record([("sliding_us", Item::Unsigned(length.as_micros()))]),
        Window::Session(gap) => Item::record([("session_us", Item::Unsigned(gap.as_micros()))]),
        Window::Lifetime => Item::text("lifetime"),
        Window::Calendar(unit) => Item::text(unit.as_str()),
    }
}

fn column_item(feature: &ColumnFeature) -> Item {
    let ColumnFeature { name, column, data_type, description: _ } = feature;
    Item::record([
        ("name", Item::text(name)),
        ("column", Item::text(column)),
        ("type", Item::text(data_type.to_string())),
    ])
}

/// Each default as the canonical bytes of its value, so that `0` and `0.0` are one default of a float64. Those that are refused when the view is bound
/// are left out.
fn defaults_item(view: &FeatureView, signature: &Signature) -> Vec<(String, Item)> {
    let (defaults, _) = Defaults::of(view, signature);
    defaults.bytes().map(|(feature, bytes)| (feature.to_owned(), Item::Bytes(bytes))).collect()
}

fn keys(entity: &Entity) -> &[JoinKey] {
    let Entity { name: _, join_keys, description: _ } = entity;
    join_keys
}

fn key_item(view: &FeatureView, key: &JoinKey) -> Item {
    let JoinKey { name, data_type } = key;
    Item::record([
        ("name", Item::text(name)),
        ("type", Item::text(data_type.to_string())),
        ("column", Item::text(view.key_column(name))),
    ])
}

fn input_item(name: &str, source: InputSource) -> Item {
    let column = match source {
        InputSource::Column(column) => Item::Text(column),
        // Not a text, so that no column's name can stand for it.
        InputSource::AsOf => Item::Absent,
        InputSource::Feature { view, feature } => {
            Item::record([("view", pin_item(&view)), ("feature", Item::Text(feature))])
        }
        InputSource::EventTime { view } => Item::record([("view", pin_item(&view)), ("event_time", Item::Absent)]),
    };
    Item::record([("name", Item::text(name)), ("column", column)])
}

/// What a version means never changes, so its name stands for all of it.
fn pin_item(view: &ViewVersion) -> Item {
    let ViewVersion { name, version } = view;
    Item::record([("name", Item::text(name)), ("version", Item::Unsigned(u64::from(*version)))])
}

fn view_source_item(source: &ViewSource) -> Item {
    match source {
        ViewSource::Files(source) => source_item(source),
        ViewSource::View(rows) => {
            // All but the view follows from the view.
            let PublishedRows { view, kind: _, created_time: _, sequence: _, event_ids: _, timezone: _, partition: _ } =
                &**rows;
            Item::record([("view", pin_item(view))])
        }
        ViewSource::Request => Item::Absent,
    }
}

fn source_item(source: &Source) -> Item {
    let Source {
        name,
        path: _,
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
        contract: SourceContract { columns, on_violation },
        description: _,
    } = source;
    let optional = |column: &Option<String>| Item::optional(column.as_ref(), Item::text);
    let mut fields = Item::fields([
        ("name", Item::text(name)),
        ("kind", Item::text(kind.as_str())),
        ("event_time", Item::text(event_time)),
        ("created_time", optional(created_time)),
        ("sequence", optional(sequence)),
        ("timezone", optional(timezone)),
        ("partition", optional(partition)),
    ]);
    if let Some(SourceQuery { text, tables }) = query {
        fields.push(("query".to_owned(), Item::text(text)));
        // Where they lie is like a path.
        fields.push(("tables".to_owned(), Item::list(tables.keys(), Item::text)));
    }
    if let Some(column) = valid_to {
        fields.push(("valid_to".to_owned(), Item::text(column)));
    }
    // What came later is left out where it is absent, so that definitions without it keep their hashes.
    for (name, column) in [("event_id", event_id), ("retracted", retracted)] {
        fields.extend(column.as_ref().map(|column| (name.to_owned(), Item::text(column))));
    }
    // Rows that are set aside are missing from what is computed; where one of them stops the run, no value depends on the contract.
    if *on_violation == OnError::Quarantine {
        // Their order says nothing.
        let mut columns: Vec<&ColumnContract> = columns.iter().collect();
        columns.sort_by(|a, b| a.name.cmp(&b.name));
        fields.push(("contract".to_owned(), Item::list(columns, contract_item)));
    }
    Item::Record(fields)
}

fn contract_item(column: &ColumnContract) -> Item {
    let ColumnContract { name, data_type, nullable, allowed, min, max } = column;
    let values = |allowed: &Allowed| match allowed {
        Allowed::Texts(texts) => Item::list(texts, Item::text),
        Allowed::Integers(integers) => Item::list(integers, |integer| Item::Signed(*integer)),
    };
    let bound = |bound: &Option<f64>| Item::optional(*bound, Item::Float);
    Item::record([
        ("name", Item::text(name)),
        ("type", Item::text(data_type.to_string())),
        ("nullable", Item::Boolean(*nullable)),
        ("allowed", Item::optional(allowed.as_ref(), values)),
        ("min", bound(min)),
        ("max", bound(max)),
    ])
}

fn limits_item(limits: &TransformLimits) -> Item {
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
    } = limits;
    Item::record([
        ("fuel_base", Item::Unsigned(*fuel_base)),
        ("fuel_per_row", Item::Unsigned(*fuel_per_row)),
        ("call_seconds_max", Item::Unsigned(*call_seconds_max)),
        ("memory_bytes_max", Item::Unsigned(*memory_bytes_max)),
        ("table_elements_max", Item::Unsigned(*table_elements_max)),
        ("output_bytes_max", Item::Unsigned(*output_bytes_max)),
        ("message_bytes_max", Item::Unsigned(*message_bytes_max)),
        ("fields_max", Item::Unsigned(*fields_max)),
        ("failed_rows_max", Item::Unsigned(*failed_rows_max)),
    ])
}

fn parameters_item(parameters: &Parameters) -> Item {
    // The type's name is part of the value: an empty list of integers is not an empty list of strings.
    let typed = |name: &str, item| Item::record([(name, item)]);
    let value = |value: &ParameterValue| match value {
        ParameterValue::Boolean(boolean) => typed("boolean", Item::Boolean(*boolean)),
        ParameterValue::Int64(integer) => typed("int64", Item::Signed(*integer)),
        ParameterValue::Float64(float) => typed("float64", Item::Float(*float)),
        ParameterValue::Text(text) => typed("text", Item::text(text)),
        ParameterValue::Int64s(integers) => typed("int64s", Item::list(integers, |integer| Item::Signed(*integer))),
        ParameterValue::Float64s(floats) => typed("float64s", Item::list(floats, |float| Item::Float(*float))),
        ParameterValue::Timestamps(times) => typed("timestamps", Item::list(times, |time| Item::Signed(time.0))),
        ParameterValue::Texts(texts) => typed("texts", Item::list(texts, Item::text)),
    };
    Item::Record(parameters.iter().map(|(name, parameter)| (name.clone(), value(parameter))).collect())
}

#[cfg(test)]
mod tests;
