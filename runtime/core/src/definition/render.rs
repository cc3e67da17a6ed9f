//! Checked definitions as text of a feature file, which the same parser reads back to the same definitions.
//!
//! What has a default is written out, so that the text keeps its meaning when a later release has another default.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::path::Path;

use crate::limits::TransformLimits;
use crate::model::{
    Alias, Allowed, Check, ColumnContract, ColumnFeature, Entity, Expected, FeatureService, FeatureView, InputSource,
    Required, Share, Source, SourceContract, SourceQuery, ViewSource,
};
use crate::parameter::ParameterValue;
use crate::time::Timestamp;
use crate::types::is_name;
use crate::window::{AggregateFeature, Aggregates, ComponentFunction, EventColumn, Function, Precision, Window};

/// A view with its entities and its source: all that it needs but the views that it reads. Paths below `root`, the folder of
/// `tandem.toml`, are written relative to it.
pub fn render_view(view: &FeatureView, root: &Path) -> String {
    let FeatureView {
        name,
        version,
        stage,
        deprecation,
        source,
        entities,
        component,
        columns,
        aggregates,
        parameters,
        inputs,
        key_columns,
        ttl,
        freshness,
        as_of,
        known_by,
        history,
        publish_delay,
        defaults,
        on_error,
        nan,
        checks,
        instance,
        limits,
        owner,
        description,
        tags,
    } = view;
    let mut out = Text::default();
    for entity in entities {
        out.entity(entity);
    }
    if let ViewSource::Files(source) = source {
        out.source(source, root);
    }
    out.table("[[feature_view]]");
    out.line("name", quoted(name));
    out.line("version", version);
    out.line("stage", quoted(stage.as_str()));
    if let Some(deprecation) = deprecation {
        let replacement = deprecation.replacement.as_ref();
        let replacement = replacement.map(|view| format!(", replacement = {}", quoted(&view.to_string())));
        let since = quoted(&deprecation.since.to_string());
        out.line("deprecated", format!("{{ since = {since}{} }}", replacement.unwrap_or_default()));
    }
    match source {
        ViewSource::Files(source) => out.line("source", quoted(&source.name)),
        ViewSource::View(rows) => out.line("source", format!("{{ view = {} }}", quoted(&rows.view.to_string()))),
        ViewSource::Request => {}
    }
    out.line("entities", list(entities, |entity| quoted(&entity.name)));
    // A component with its inputs, parameters and limits.
    let has_transform = view.has_component() || view.has_event_transform();
    if let Some(aggregates) = aggregates {
        if has_transform {
            out.line("component", path(component, root));
        }
        out.aggregates(aggregates, root);
    } else if view.is_columns() {
        out.line("features", list(columns, column_text));
    } else {
        out.line("component", path(component, root));
    }
    out.optional("ttl", ttl.map(|ttl| quoted(&ttl.to_string())));
    out.optional("freshness", freshness.map(|freshness| quoted(&freshness.to_string())));
    if view.is_stored() {
        if !view.is_aggregates() {
            out.line("as_of", quoted(as_of.as_str()));
        }
        out.line("known_by", quoted(known_by.as_str()));
        if view.has_component() {
            out.line("history", quoted(history.as_str()));
        }
        out.optional("publish_delay", publish_delay.map(|delay| quoted(&delay.to_string())));
    }
    out.line("on_error", quoted(on_error.as_str()));
    if view.runs_components() {
        out.line("nan", quoted(nan.as_str()));
    }
    if view.has_component() {
        out.line("instance", quoted(instance.as_str()));
    }
    if !checks.is_empty() {
        out.line("checks", list(checks, check_text));
    }
    out.prose("owner", owner);
    out.prose("description", description);
    out.texts("[feature_view.tags]", tags);
    if !inputs.is_empty() && has_transform {
        out.table("[feature_view.inputs]");
        inputs.iter().for_each(|(name, input)| out.line(name, input_text(input)));
    }
    out.texts("[feature_view.key_columns]", key_columns);
    if !defaults.is_empty() {
        out.table("[feature_view.defaults]");
        defaults.iter().for_each(|(name, value)| out.line(name, json_text(value)));
    }
    if !parameters.is_empty() {
        out.table("[feature_view.parameters]");
        parameters.iter().for_each(|(name, parameter)| out.line(name, parameter_text(parameter)));
    }
    if view.runs_components() {
        out.limits(limits);
    }
    out.0
}

/// A feature service.
pub fn render_service(service: &FeatureService) -> String {
    let FeatureService { name, features, prefix, deadline, required, log_share, stage, owner, description, tags } =
        service;
    let mut out = Text::default();
    out.table("[[feature_service]]");
    out.line("name", quoted(name));
    out.line("features", list(features, |one| quoted(&one.to_string())));
    out.line("prefix", prefix);
    if let Some(deadline) = deadline {
        out.line("deadline", quoted(&deadline.to_string()));
    }
    match required {
        Required::None => {}
        Required::All => out.line("required", "[\"*\"]"),
        Required::Features(names) => out.line("required", list(names, |name| quoted(name))),
    }
    if *log_share != Share::NONE {
        out.line("log_share", log_share);
    }
    out.line("stage", quoted(stage.as_str()));
    out.prose("owner", owner);
    out.prose("description", description);
    out.texts("[feature_service.tags]", tags);
    out.0
}

/// An alias.
pub fn render_alias(alias: &Alias) -> String {
    let Alias { view, name, version } = alias;
    let mut out = Text::default();
    out.table("[[alias]]");
    out.line("view", quoted(view));
    out.line("name", quoted(name));
    out.line("version", version);
    out.0
}

/// The text so far.
#[derive(Default)]
struct Text(String);

impl Text {
    fn table(&mut self, header: &str) {
        let gap = if self.0.is_empty() { "" } else { "\n" };
        self.write(format_args!("{gap}{header}\n"));
    }

    fn line(&mut self, key: &str, value: impl Display) {
        self.write(format_args!("{key} = {value}\n"));
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string never fails.
        let _ = self.0.write_fmt(text);
    }

    fn optional(&mut self, key: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.line(key, value);
        }
    }

    /// A text for people, left out where it is empty.
    fn prose(&mut self, key: &str, text: &str) {
        self.optional(key, (!text.is_empty()).then(|| quoted(text)));
    }

    /// A table of texts under any keys, left out where it is empty.
    fn texts(&mut self, header: &str, texts: &BTreeMap<String, String>) {
        if !texts.is_empty() {
            self.table(header);
            for (key, text) in texts {
                let key = if is_name(key) { key.clone() } else { quoted(key) };
                self.line(&key, quoted(text));
            }
        }
    }

    fn entity(&mut self, entity: &Entity) {
        let Entity { name, join_keys, description } = entity;
        self.table("[[entity]]");
        self.line("name", quoted(name));
        let join_keys = list(join_keys, |key| {
            format!("{{ name = {}, type = {} }}", quoted(&key.name), quoted(&key.data_type.to_string()))
        });
        self.line("join_keys", join_keys);
        self.prose("description", description);
    }

    fn source(&mut self, source: &Source, root: &Path) {
        let Source {
            name,
            path: folder,
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
            description,
        } = source;
        self.table("[[source]]");
        self.line("name", quoted(name));
        match query {
            None => self.line("path", path(folder, root)),
            Some(SourceQuery { text, tables }) => {
                self.line("query", quoted(text));
                let tables: Vec<String> =
                    tables.iter().map(|(name, folder)| format!("{name} = {}", path(folder, root))).collect();
                self.line("tables", format_args!("{{ {} }}", tables.join(", ")));
            }
        }
        self.line("kind", quoted(kind.as_str()));
        self.line(if valid_to.is_some() { "valid_from" } else { "event_time" }, quoted(event_time));
        self.optional("valid_to", valid_to.as_deref().map(quoted));
        let optional = [
            ("created_time", created_time),
            ("sequence", sequence),
            ("event_id", event_id),
            ("retracted", retracted),
            ("timezone", timezone),
            ("partition", partition),
        ];
        for (key, column) in optional {
            self.optional(key, column.as_deref().map(quoted));
        }
        if !columns.is_empty() {
            self.line("columns", list(columns, contract_text));
            self.line("on_violation", quoted(on_violation.as_str()));
        }
        self.prose("description", description);
    }

    fn aggregates(&mut self, aggregates: &Aggregates, root: &Path) {
        let Aggregates { columns, filter, bounds, precision, lateness, zone, retention, every, features, functions } =
            aggregates;
        if !columns.is_empty() {
            let column = |EventColumn { name, column, data_type }: &EventColumn| {
                let (column, data_type) = (quoted(column), quoted(&data_type.to_string()));
                format!("{name} = {{ column = {column}, type = {data_type} }}")
            };
            let columns: Vec<String> = columns.iter().map(column).collect();
            self.line("columns", format_args!("{{ {} }}", columns.join(", ")));
        }
        self.optional("where", filter.as_ref().map(|filter| quoted(&filter.to_string())));
        self.line("bounds", quoted(bounds.as_str()));
        match precision {
            Precision::Exact => self.line("precision", quoted("exact")),
            Precision::Tiled { hop } => {
                self.line("precision", quoted("tiled"));
                self.line("hop", quoted(&hop.to_string()));
            }
        }
        self.optional("lateness", lateness.map(|lateness| quoted(&lateness.to_string())));
        self.line("timezone", quoted(zone.name()));
        self.optional("retention", retention.map(|retention| quoted(&retention.to_string())));
        self.optional("every", every.map(|grid| quoted(&grid.to_string())));
        self.line("aggregates", list(features, |feature| aggregate_text(feature, columns, functions, root)));
    }

    fn limits(&mut self, limits: &TransformLimits) {
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
        self.table("[feature_view.limits]");
        self.line("fuel_base", fuel_base);
        self.line("fuel_per_row", fuel_per_row);
        self.line("call_seconds_max", call_seconds_max);
        self.line("memory_bytes_max", memory_bytes_max);
        self.line("table_elements_max", table_elements_max);
        self.line("output_bytes_max", output_bytes_max);
        self.line("message_bytes_max", message_bytes_max);
        self.line("fields_max", fields_max);
        self.line("failed_rows_max", failed_rows_max);
    }
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn list<T>(items: &[T], item: impl Fn(&T) -> String) -> String {
    format!("[{}]", items.iter().map(item).collect::<Vec<_>>().join(", "))
}

/// A path as a definition has it: relative to `root` where it lies below. Its parts come from definitions, so they are UTF-8.
fn path(path: &Path, root: &Path) -> String {
    match path.strip_prefix(root) {
        Ok(inside) if inside.as_os_str().is_empty() => quoted("."),
        Ok(inside) => quoted(&inside.to_string_lossy()),
        Err(_) => quoted(&path.to_string_lossy()),
    }
}

fn input_text(input: &InputSource) -> String {
    match input {
        InputSource::Column(column) => quoted(column),
        InputSource::AsOf => quoted(crate::types::AS_OF),
        InputSource::Feature { view, feature } => {
            format!("{{ view = {}, feature = {} }}", quoted(&view.to_string()), quoted(feature))
        }
        InputSource::EventTime { view } => format!("{{ view = {}, event_time = true }}", quoted(&view.to_string())),
    }
}

fn contract_text(column: &ColumnContract) -> String {
    let ColumnContract { name, data_type, nullable, allowed, min, max } = column;
    let mut keys = vec![("name", quoted(name)), ("type", quoted(&data_type.to_string()))];
    keys.push(("nullable", nullable.to_string()));
    keys.extend(allowed.as_ref().map(|allowed| ("allowed", allowed_text(allowed))));
    keys.extend(bounds(min, max));
    table_text(keys)
}

fn bounds(min: &Option<f64>, max: &Option<f64>) -> impl Iterator<Item = (&'static str, String)> + use<> {
    let bound = |key, bound: &Option<f64>| bound.map(|bound| (key, float_text(bound)));
    [bound("min", min), bound("max", max)].into_iter().flatten()
}

fn allowed_text(allowed: &Allowed) -> String {
    match allowed {
        Allowed::Texts(texts) => list(texts, |text| quoted(text)),
        Allowed::Integers(integers) => list(integers, i64::to_string),
    }
}

fn table_text(keys: Vec<(&'static str, String)>) -> String {
    let keys: Vec<String> = keys.into_iter().map(|(key, value)| format!("{key} = {value}")).collect();
    format!("{{ {} }}", keys.join(", "))
}

fn check_text(check: &Check) -> String {
    let Check { expected, action } = check;
    let mut keys = vec![("check", quoted(expected.kind()))];
    keys.extend(expected.feature().map(|feature| ("feature", quoted(feature))));
    match expected {
        Expected::NullRate { feature: _, max } => keys.push(("max", float_text(*max))),
        Expected::Range { feature: _, min, max } => keys.extend(bounds(min, max)),
        Expected::Values { feature: _, allowed } => keys.push(("allowed", allowed_text(allowed))),
        Expected::Unique => {}
        Expected::CompleteKeys { missing } => keys.push(("max", float_text(*missing))),
        Expected::RowCount { min, max, partitions } => {
            keys.extend(bounds(min, max));
            keys.push(("partitions", partitions.to_string()));
        }
    }
    keys.push(("action", quoted(action.as_str())));
    table_text(keys)
}

fn parameter_text(parameter: &ParameterValue) -> String {
    match parameter {
        ParameterValue::Boolean(boolean) => boolean.to_string(),
        ParameterValue::Int64(integer) => integer.to_string(),
        ParameterValue::Float64(float) => float_text(*float),
        ParameterValue::Text(text) => quoted(text),
        ParameterValue::Int64s(integers) => list(integers, i64::to_string),
        ParameterValue::Float64s(floats) => list(floats, |float| float_text(*float)),
        ParameterValue::Timestamps(times) => list(times, |time| timestamp_text(*time)),
        ParameterValue::Texts(texts) => list(texts, |text| quoted(text)),
    }
}

fn column_text(feature: &ColumnFeature) -> String {
    let ColumnFeature { name, column, data_type, description } = feature;
    let (name, column, data_type) = (quoted(name), quoted(column), quoted(&data_type.to_string()));
    let description = match description.is_empty() {
        true => String::new(),
        false => format!(", description = {}", quoted(description)),
    };
    format!("{{ name = {name}, column = {column}, type = {data_type}{description} }}")
}

fn aggregate_text(
    feature: &AggregateFeature,
    columns: &[EventColumn],
    functions: &[ComponentFunction],
    root: &Path,
) -> String {
    let AggregateFeature { name, function, column, filter, of, window, description } = feature;
    let mut keys = vec![("function", quoted(function.as_str()))];
    keys.extend(column.map(|column| ("column", quoted(&columns[column].name))));
    match function {
        Function::LastN { n } => keys.push(("n", n.to_string())),
        Function::DistinctCount { exact_max } => keys.push(("exact_max", exact_max.to_string())),
        Function::TopK { k, counted_max } => {
            keys.extend([("k", k.to_string()), ("counted_max", counted_max.to_string())]);
        }
        Function::Quantile { q } => keys.push(("q", float_text(*q))),
        Function::Component { function, output: _ } => {
            let ComponentFunction { component, inputs, parameters, data_type, state_bytes_max } =
                &functions[*function as usize];
            let inputs = inputs.iter().map(|(input, column)| format!("{input} = {}", quoted(column)));
            let parameters = parameters.iter().map(|(name, value)| format!("{name} = {}", parameter_text(value)));
            let table = |entries: Vec<String>| format!("{{ {} }}", entries.join(", "));
            keys.extend([
                ("component", path(component, root)),
                ("inputs", table(inputs.collect())),
                ("parameters", table(parameters.collect())),
                ("type", quoted(&data_type.to_string())),
                ("state_bytes_max", state_bytes_max.to_string()),
            ]);
        }
        _ => {}
    }
    let text = match window {
        Window::Session(gap) => format!("{{ session = {} }}", quoted(&gap.to_string())),
        other => quoted(&other.to_string()),
    };
    keys.push(("windows", format!("[{text}]")));
    // The window is added to every name.
    let name = name.strip_suffix(&format!("_{window}")).unwrap_or(name);
    keys.push(("name", quoted(name)));
    keys.extend(of.as_ref().map(|of| ("of", quoted(&of.to_string()))));
    keys.extend(filter.as_ref().map(|filter| ("where", quoted(&filter.to_string()))));
    keys.extend((!description.is_empty()).then(|| ("description", quoted(description))));
    let keys: Vec<String> = keys.into_iter().map(|(key, value)| format!("{key} = {value}")).collect();
    format!("{{ {} }}", keys.join(", "))
}

/// A value that has a form in TOML: definitions have no others.
fn json_text(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::Null | Value::Object(_) => quoted(""),
        Value::Bool(boolean) => boolean.to_string(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (None, Some(float)) => float_text(float),
            _ => number.to_string(),
        },
        Value::String(text) => quoted(text),
        Value::Array(items) => list(items, json_text),
    }
}

/// The shortest decimal that reads back to the same bits, with a point or an exponent, so that TOML takes it for a float.
fn float_text(float: f64) -> String {
    format!("{float:?}")
}

/// A TOML datetime. One that was written with an offset may lie in the year before the first that TOML can write in UTC.
fn timestamp_text(time: Timestamp) -> String {
    const OFFSET_MICROS: i64 = (23 * 60 + 59) * 60 * 1_000_000;
    if time.is_rfc3339() {
        return time.to_string();
    }
    let shifted = Timestamp(time.0.saturating_add(OFFSET_MICROS)).to_string();
    format!("{}+23:59", shifted.trim_end_matches('Z'))
}

#[cfg(test)]
mod tests;
