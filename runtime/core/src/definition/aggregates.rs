//! `aggregates`: the features of a view that are computed of the events of its source, over windows of time.

mod function;
mod settings;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use toml::de::DeValue;

use super::entity::is_reserved;
use super::reader::{Table, Value};
use super::source;
use crate::model::{ColumnFeature, Entity, SourceKind, ViewSource};
use crate::suggest;
use crate::time::{CalendarUnit, Duration, Zone};
use crate::window::{
    AggregateFeature, Aggregates, Bounds, ComponentFunction, EventColumn, Function, Precision, STATE_BYTES_DEFAULT,
    STATE_BYTES_MAX, Window,
};
use function::{read_function, taken};
use settings::{read_columns, read_every, read_filter, read_lateness, read_precision};

pub(super) const AGGREGATE_KEYS: &[&str] = &[
    "function",
    "column",
    "windows",
    "name",
    "where",
    "of",
    "n",
    "k",
    "q",
    "exact_max",
    "counted_max",
    "component",
    "inputs",
    "parameters",
    "type",
    "state_bytes_max",
    "description",
];
pub(super) const EVENT_COLUMN_KEYS: &[&str] = &["column", "type"];
pub(super) const SESSION_KEYS: &[&str] = &["session"];

const EXAMPLE: &str = "`aggregates = [{ function = \"sum\", column = \"amount\", windows = [\"1h\", \"30d\"] }]`";
const COLUMNS_EXAMPLE: &str = "`columns = { amount = \"float64\" }`, from column to type";
const WINDOWS_HINT: &str = "a window is a duration like \"1h\" or \"30d\", \"lifetime\", \"today\", \"this_week\", \"this_month\", \"this_year\", or `{ session = \"30m\" }`";

/// Keys that a view has only with `aggregates`.
const OWN_KEYS: [&str; 9] =
    ["columns", "where", "bounds", "precision", "hop", "lateness", "retention", "every", "timezone"];

/// Keys that go with a transform of events, and why not where there is none.
const TRANSFORM_KEYS: [(&str, &str); 2] = [
    ("inputs", "without a `component`, `columns` says which columns of the events it reads"),
    ("parameters", "there is no `component` to take them"),
];

/// Keys that go with any component, and why not where there is none.
const COMPONENT_KEYS: [(&str, &str); 2] =
    [("limits", "there is no `component` to be limited"), ("nan", "there is no `component` that computes with NaN")];

/// Keys that go with other views, and why not with this one.
const OTHER_KEYS: [(&str, &str); 7] = [
    ("features", "its features are its aggregates"),
    ("instance", "each call of its component has a fresh instance"),
    ("ttl", "its windows say how old an event may be"),
    ("freshness", "its features are computed at the time that is asked for, so none gets old"),
    ("as_of", "`bounds` says whether an event at exactly the time that is asked for counts"),
    ("history", "of what batch publishes of it nothing is ever replaced"),
    ("checks", "without `every` it publishes no rows that could be looked at"),
];

/// Refuses what goes with aggregates alone in a view that has none.
pub(super) fn refuse_own_keys(view: &Table<'_>) {
    for key in OWN_KEYS {
        if let Some(value) = view.get(key) {
            let message = format!("{} has `{key}` and no `aggregates`", view.what);
            view.error(value, message, format!("add {EXAMPLE}, or take `{key}` out"));
        }
    }
}

/// Reads an aggregate view's own keys; `value` is that of `aggregates`. What is wrong is reported.
pub(super) fn read<'a>(
    view: &Table<'a>,
    value: &'a Value<'a>,
    source: Option<&ViewSource>,
    entities: Option<&[Arc<Entity>]>,
    root: &Path,
) -> Option<Aggregates> {
    check_source(view, value, source);
    let transform = view.get("component");
    let without_transform = TRANSFORM_KEYS.into_iter().filter(|_| transform.is_none());
    let computes =
        |item: &Value<'_>| matches!(item.get_ref(), DeValue::Table(entries) if entries.get("component").is_some());
    let functions = matches!(value.get_ref(), DeValue::Array(items) if items.iter().any(computes));
    let without_component = COMPONENT_KEYS.into_iter().filter(|_| transform.is_none() && !functions);
    let publishes = view.get("every").is_some();
    let others = OTHER_KEYS.into_iter().filter(|(key, _)| *key != "checks" || !publishes);
    for (key, reason) in others.chain(without_transform).chain(without_component) {
        if let Some(other) = view.get(key) {
            let message = format!("{} has `aggregates` and cannot have `{key}`: {reason}", view.what);
            view.error(other, message, format!("take `{key}` out, or `aggregates`"));
        }
    }
    let columns = read_columns(view);
    if let Some(transform) = transform.filter(|_| columns.as_ref().is_some_and(Vec::is_empty)) {
        let message = format!("{} has a `component` and no `columns`", view.what);
        view.error(
            transform,
            message,
            "name the outputs that it takes: `columns = { amount = \"float64\" }`".to_owned(),
        );
        return None;
    }
    let known = columns.as_deref().unwrap_or_default();
    let filter = view.get("where").map(|value| read_filter(view, "where", value, known));
    let bounds = view.get("bounds").map(|value| view.choice("bounds", value, &Bounds::ALL, Bounds::as_str));
    let bounds = bounds.unwrap_or(Some(Bounds::StartIncluded));
    let precision = read_precision(view, bounds);
    let zone = view.get("timezone").map(|_| source::timezone(view));
    let lateness = read_lateness(view, precision);
    let retention = view.get("retention").map(|value| view.duration("retention", value));
    let every = view.get("every").map(|value| read_every(view, value, entities.unwrap_or_default()));
    let DeValue::Array(items) = value.get_ref() else {
        view.wrong_type("aggregates", value, "an array of tables", format!("write {EXAMPLE}"));
        return None;
    };
    if items.is_empty() {
        view.error(value, format!("{} has no aggregate", view.what), format!("write {EXAMPLE}"));
    }
    let reader = Reader {
        view,
        columns: known,
        columns_read: columns.is_some(),
        hop: match precision {
            Some(Precision::Tiled { hop }) => Some(hop),
            _ => None,
        },
        retention: retention.flatten(),
        zone: zone.as_ref().and_then(|name| Zone::parse(name.as_deref()?).ok()),
        has_zone: zone.is_some(),
        entities: entities.unwrap_or_default(),
        root,
    };
    let mut features: Vec<AggregateFeature> = Vec::new();
    let mut functions: Vec<ComponentFunction> = Vec::new();
    let mut complete = !items.is_empty();
    for item in items {
        complete &= reader.read(item, &mut features, &mut functions).is_some();
    }
    let unread = retention.is_some_and(|read| read.is_none()) || every.is_some_and(|read| read.is_none());
    if !complete || filter.as_ref().is_some_and(Option::is_none) || unread {
        return None;
    }
    let zone = match zone {
        None => Zone::utc(),
        Some(name) => Zone::parse(&name?).ok()?,
    };
    Some(Aggregates {
        columns: columns?,
        filter: filter.flatten(),
        bounds: bounds?,
        precision: precision?,
        lateness: lateness?,
        zone,
        retention: retention.flatten(),
        every: every.flatten(),
        features,
        functions,
    })
}

fn check_source(view: &Table<'_>, value: &Value<'_>, source: Option<&ViewSource>) {
    let (message, hint) = match source {
        Some(ViewSource::Request) => (
            format!("{} has `aggregates`, but no `source` with events", view.what),
            "add `source = \"...\"`, the name of a `[[source]]` of events",
        ),
        Some(ViewSource::View(rows)) => (
            format!("{} has `aggregates`, but its source is feature view `{}`", view.what, rows.view),
            "name a `[[source]]` of events",
        ),
        Some(ViewSource::Files(files)) if files.kind != SourceKind::Events => (
            format!(
                "{} has `aggregates`, but source `{}` is of kind {}, not of events",
                view.what,
                files.name,
                files.kind.as_str()
            ),
            "rows that are not events cannot be counted: name a source with `kind = \"events\"`",
        ),
        Some(ViewSource::Files(_)) | None => return,
    };
    view.error(value, message, hint.to_owned());
}

/// Reads features.
struct Reader<'a, 'v> {
    view: &'v Table<'a>,
    columns: &'v [EventColumn],
    /// Whether all columns could be read.
    columns_read: bool,
    hop: Option<Duration>,
    retention: Option<Duration>,
    has_zone: bool,
    /// That zone.
    zone: Option<Zone>,
    entities: &'v [Arc<Entity>],
    /// The project's folder.
    root: &'v Path,
}

impl<'a> Reader<'a, '_> {
    /// One aggregate: a feature for each of its windows.
    fn read(
        &self,
        item: &'a Value<'a>,
        features: &mut Vec<AggregateFeature>,
        functions: &mut Vec<ComponentFunction>,
    ) -> Option<()> {
        let view = self.view;
        let DeValue::Table(entries) = item.get_ref() else {
            let message = format!("an aggregate of {} must be a table", view.what);
            view.error(item, message, format!("write {EXAMPLE}"));
            return None;
        };
        let table =
            Table::open(view.place, format!("aggregate of {}", view.what), item.span(), entries, AGGREGATE_KEYS);
        let word = table.required("function", "`function = \"sum\"`").and_then(|value| {
            let word = table.choice("function", value, &Function::WORDS, |word| word)?;
            Some((word, value))
        });
        let function = word.and_then(|(word, _)| {
            let function = read_function(&table, word)?;
            match function {
                Function::Component { .. } => self.component(&table, functions),
                function => Some(function),
            }
        });
        let column = table.get("column").map(|value| self.column(&table, value));
        let filter = table.get("where").map(|value| read_filter(&table, "where", value, self.columns));
        let of = table.get("of").map(|value| read_filter(&table, "of", value, self.columns));
        let windows = self.windows(&table);
        let name = table.get("name").map(|value| table.name("name", value));
        let ((_, at), function, windows) = (word?, function?, windows?);
        let column = match column {
            None => None,
            Some(column) => Some(column?),
        };
        let data_type = column.map(|column| self.columns[column].data_type);
        if column.is_none() && !function.counts_events() {
            let message = format!("{}: `{}` has no `column`", table.what, function.as_str());
            table.error(at, message, "add `column = \"...\"`, one of `columns`".to_owned());
            return None;
        }
        if function.output(data_type).is_none() {
            let name = column.map_or("", |column| &self.columns[column].name);
            let data_type = data_type.map(|data_type| data_type.to_string()).unwrap_or_default();
            let message = format!(
                "{}: `{}` takes no column of type {data_type}, which `{name}` is",
                table.what,
                function.as_str()
            );
            table.error(at, message, format!("it takes {}", suggest::list(&taken(function))));
            return None;
        }
        let (name, filter) =
            (name.map_or(Some(None), |name| name.map(Some))?, filter.map_or(Some(None), |read| read.map(Some))?);
        let of = of.map_or(Some(None), |read| read.map(Some))?;
        let description = table.prose("description");
        let mut complete = true;
        for window in windows {
            let column_name = column.map(|column| self.columns[column].name.as_str());
            let generated = match name {
                Some(name) => format!("{name}_{window}"),
                None => AggregateFeature::generated_name(column_name, function, window),
            };
            let at = table.get("name").map_or(item.span(), |name| name.span());
            let named =
                super::reader::check_name(table.place, at.clone(), &format!("a feature of {}", view.what), &generated);
            let problem = if features.iter().any(|feature| feature.name == generated) {
                Some(("stands twice".to_owned(), "give one of them a `name`"))
            } else if is_reserved(&generated) {
                Some(("has a reserved name".to_owned(), "give it another `name`"))
            } else {
                let keyed =
                    self.entities.iter().find(|entity| entity.join_keys.iter().any(|key| key.name == generated));
                keyed.map(|entity| {
                    (format!("has the name of a join key of entity `{}`", entity.name), "give it another `name`")
                })
            };
            if let Some((problem, hint)) = &problem {
                let message = format!("feature `{generated}` of {} {problem}", view.what);
                table.place.error(at, message, (*hint).to_owned());
            }
            complete &= named && problem.is_none();
            features.push(AggregateFeature {
                name: generated,
                function,
                column,
                filter: filter.clone(),
                of: of.clone(),
                window,
                description: description.clone(),
            });
        }
        complete.then_some(())
    }

    /// What a component computes; equal ones are one.
    fn component(&self, table: &Table<'a>, functions: &mut Vec<ComponentFunction>) -> Option<Function> {
        if let Some(value) = table.get("column") {
            let message = format!("{} has `column`, and its function is `component`", table.what);
            let hint = "its component's inputs come from the columns of their names: take `column` out, or write `inputs = { input = \"column\" }`";
            table.error(value, message, hint.to_owned());
            return None;
        }
        let named = table.required("name", "`name = \"decayed_spend\"`, to which the window is added");
        let example = "`component = \"....wasm\"`, the file that `tandem build` makes";
        let component =
            table.required("component", example).and_then(|value| table.path("component", value, self.root));
        let given = table.required("type", "`type = \"float64\"`, what it gives");
        let data_type = given.and_then(|value| super::contract::data_type(table, value));
        let mut inputs = BTreeMap::new();
        let mut complete = true;
        for (key, value) in table.entries("inputs", "`inputs = { value = \"amount\" }`, from input to one of `columns`")
        {
            let name = key.get_ref().as_ref();
            match source::column(table, &format!("inputs.{name}"), value) {
                Some(column) if self.columns_read && !self.columns.iter().any(|known| known.name == column) => {
                    let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
                    let message = format!(
                        "{} maps input `{name}` to column `{column}`, which is not among `columns`",
                        table.what
                    );
                    table.error(value, message, suggest::hint(&column, "columns", &names));
                    complete = false;
                }
                Some(column) => drop(inputs.insert(name.to_owned(), column)),
                None => complete = false,
            }
        }
        let state_bytes_max = table.integer_or("state_bytes_max", STATE_BYTES_DEFAULT, 1, STATE_BYTES_MAX);
        let parameters = super::parameters::read(table);
        named?;
        let (component, data_type) = (component?, data_type?);
        if !complete {
            return None;
        }
        let function = ComponentFunction { component, inputs, parameters, data_type, state_bytes_max };
        let place = functions.iter().position(|known| *known == function).unwrap_or_else(|| {
            functions.push(function);
            functions.len() - 1
        });
        Some(Function::Component { function: place as u32, output: data_type })
    }

    fn column(&self, table: &Table<'a>, value: &'a Value<'a>) -> Option<usize> {
        let name = table.text("column", value)?;
        let found = self.columns.iter().position(|column| column.name == name);
        // Where a column could not be read, that was said.
        if found.is_none() && self.columns_read {
            let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
            let hint = match names.is_empty() {
                true => format!("add it with its type: `columns = {{ {name} = \"float64\" }}`"),
                false => format!("{}; add it there with its type", suggest::hint(name, "columns", &names)),
            };
            table.error(value, format!("{} names column `{name}`, which is not among `columns`", table.what), hint);
        }
        found
    }

    fn windows(&self, table: &Table<'a>) -> Option<Vec<Window>> {
        let value = table.required("windows", "`windows = [\"1h\", \"30d\"]`")?;
        let DeValue::Array(items) = value.get_ref() else {
            table.wrong_type("windows", value, "an array", WINDOWS_HINT.to_owned());
            return None;
        };
        if items.is_empty() {
            table.error(value, format!("{} has no window", table.what), WINDOWS_HINT.to_owned());
        }
        let mut windows = Vec::new();
        let mut complete = !items.is_empty();
        for item in items {
            match self.window(table, item) {
                Some(window) if windows.contains(&window) => {
                    table.error(item, format!("{} has window `{window}` twice", table.what), None);
                    complete = false;
                }
                Some(window) => windows.push(window),
                None => complete = false,
            }
        }
        complete.then_some(windows)
    }

    fn window(&self, table: &Table<'a>, item: &'a Value<'a>) -> Option<Window> {
        let refuse = |message: String, hint: &str| {
            table.error(item, format!("{}: {message}", table.what), hint.to_owned());
            None
        };
        let text = match item.get_ref() {
            DeValue::Table(entries) => {
                let inner =
                    Table::open(table.place, format!("a window of {}", table.what), item.span(), entries, SESSION_KEYS);
                let gap = inner.duration("session", inner.required("session", "`session = \"30m\"`")?)?;
                if gap.as_micros() == 0 {
                    return refuse("a session needs a gap".to_owned(), "write it like `{ session = \"30m\" }`");
                }
                if self.hop.is_some() {
                    return refuse(
                        "a session begins at an event, and a tiled view keeps no events behind its `lateness`"
                            .to_owned(),
                        "move it into a view with `precision = \"exact\"`",
                    );
                }
                return self.within_retention(table, item, gap).then_some(Window::Session(gap));
            }
            DeValue::String(text) => text,
            _ => return refuse("a window is neither a text nor a table".to_owned(), WINDOWS_HINT),
        };
        if text == "lifetime" {
            return Some(Window::Lifetime);
        }
        if let Some(unit) = CalendarUnit::ALL.into_iter().find(|unit| unit.as_str() == text) {
            if !self.has_zone {
                return refuse(
                    format!("window `{text}` begins by the clocks of a place, and {} names none", self.view.what),
                    "add `timezone = \"Europe/Vienna\"` to the view, or \"UTC\"",
                );
            }
            if let (Some(hop), Some(zone)) = (self.hop, &self.zone)
                && !zone.days_begin_at_multiples_of(hop)
            {
                return refuse(
                    format!("hop `{hop}` does not divide the times at which days of `{}` begin", zone.name()),
                    "choose a hop that does, as \"15m\" does everywhere, or `precision = \"exact\"`",
                );
            }
            let days = match unit {
                CalendarUnit::Day => 1,
                CalendarUnit::Week => 7,
                CalendarUnit::Month => 31,
                CalendarUnit::Year => 366,
            };
            // Clocks that are set back make a day longer.
            let longest = Duration::from_micros((days * 24 + 1) * 3_600_000_000);
            return self.within_retention(table, item, longest).then_some(Window::Calendar(unit));
        }
        let Ok(length) = Duration::parse(text) else {
            return refuse(format!("{text:?} is not a window"), WINDOWS_HINT);
        };
        let length = table.duration("windows", item).filter(|read| *read == length)?;
        if length.as_micros() == 0 {
            return refuse("a window is zero: no event would be inside".to_owned(), WINDOWS_HINT);
        }
        if let Some(hop) = self.hop.filter(|hop| length.as_micros() % hop.as_micros() != 0) {
            return refuse(
                format!("hop `{hop}` does not divide window `{length}`"),
                "choose a hop of which every window is a multiple, or `precision = \"exact\"`",
            );
        }
        self.within_retention(table, item, length).then_some(Window::Sliding(length))
    }

    fn within_retention(&self, table: &Table<'a>, item: &Value<'_>, length: Duration) -> bool {
        let Some(retention) = self.retention.filter(|retention| length > *retention) else { return true };
        let message = format!(
            "{}: a window of {length} is longer than the retention of {retention}, after which events are dropped",
            table.what
        );
        table.error(
            item,
            message,
            "raise `retention`, leave it out (events are then kept for ever), or shorten the window".to_owned(),
        );
        false
    }
}

/// The events' columns, as inputs.
pub(super) fn inputs(aggregates: &Aggregates) -> impl Iterator<Item = ColumnFeature> + '_ {
    aggregates.columns.iter().map(|column| ColumnFeature {
        name: column.name.clone(),
        column: column.column.clone(),
        data_type: column.data_type,
        description: String::new(),
    })
}
