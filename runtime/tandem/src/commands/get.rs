//! `tandem get`: entities in the online store.

use std::fmt::Write;

use arrow_array::ArrayRef;
use serde_json::{Map, Value, json};
use tandem_core::json::{JsonError, decode_column, encode_value};
use tandem_core::model::{BoundView, JoinKey};
use tandem_core::status::{FeatureStatus, Status};
use tandem_core::time::Timestamp;
use tandem_core::types::{DataType, Field};
use tandem_offline::OfflineError;
use tandem_online::{Store, StoreOptions};

use super::batch::now;
use crate::cli::{Context, RunArguments};
use crate::error::Error;
use crate::lookup::{Ask, At, Found, LookupError, lookup};

/// Arguments of the command.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The feature view, as NAME, NAME@VERSION or NAME@ALIAS
    view: String,
    /// An entity, by its join keys: user_id=42, or origin=JFK,destination=LAX
    #[arg(value_name = "KEY=VALUE", required = true)]
    entities: Vec<String>,
    /// The instant for which values are asked, in RFC 3339 [default: now]
    #[arg(long, value_name = "TIME")]
    as_of: Option<Timestamp>,
    #[command(flatten)]
    run: RunArguments,
}

/// Looks up and prints.
pub fn run(context: &Context, arguments: &Arguments) -> Result<(), Error> {
    let opened = context.open_to_run(&arguments.run)?;
    let view = opened.view(&arguments.view)?.bound;
    context.warn_deprecated(&view.view);
    if !view.view.is_stored() {
        return Err(OfflineError::OnDemand { view: view.view.id() }.into());
    }
    let keys = keys(&view, &arguments.entities)?;
    let as_of = arguments.as_of.unwrap_or_else(now);
    let store = Store::open_read_only(&opened.project.settings.storage.online, StoreOptions::default())?;
    let stored = store.find_view(&view.view.name, view.view.version)?;
    let Some(stored) = stored.filter(|stored| stored.definition_hash == view.definition_hash) else {
        let (name, version) = (&view.view.name, view.view.version);
        return Err(Error::NotMaterialized { view: format!("{name}@{version}"), store: store.path().to_owned() });
    };
    let at = At { as_of, is_present: arguments.as_of.is_none() };
    let ask = Ask::new(stored.id, &view, keys);
    let found = lookup(&store, &ask, at).map_err(|error| match error {
        LookupError::Online(error) => Error::Online(error),
        LookupError::Key(error) => Error::Data(error.to_string()),
    })?;
    context.output.data(|| text(&view, &arguments.entities, &found), || json(&ask, &found, as_of));
    Ok(())
}

/// One column for each join key, one row for each entity.
fn keys(view: &BoundView, entities: &[String]) -> Result<Vec<ArrayRef>, Error> {
    let join_keys: Vec<&JoinKey> = view.view.join_keys().collect();
    let mut values = vec![Vec::new(); join_keys.len()];
    for entity in entities {
        let fail = |reason: String| Error::Argument { what: entity.clone(), reason };
        let names: Vec<&str> = join_keys.iter().map(|key| key.name.as_str()).collect();
        let mut given: Vec<Option<Value>> = vec![None; join_keys.len()];
        // Values may hold commas: a part without a join key's name belongs to the value before it.
        let mut parts: Vec<String> = Vec::new();
        for part in entity.split(',') {
            let named = part.split_once('=').is_some_and(|(name, _)| names.contains(&name));
            match parts.last_mut() {
                Some(last) if !named => {
                    last.push(',');
                    last.push_str(part);
                }
                _ => parts.push(part.to_owned()),
            }
        }
        for part in &parts {
            let (name, text) = part.split_once('=').ok_or_else(|| {
                let example: Vec<String> = names.iter().map(|name| format!("{name}=VALUE")).collect();
                fail(format!("write {}", example.join(",")))
            })?;
            let index = names.iter().position(|known| *known == name);
            let index = index.ok_or_else(|| {
                fail(format!("`{name}` is no join key; {}", tandem_core::suggest::hint(name, "join keys", &names)))
            })?;
            given[index] = Some(key_value(join_keys[index].data_type, text));
        }
        for (index, value) in given.into_iter().enumerate() {
            values[index].push(value.ok_or_else(|| fail(format!("`{}` is missing", names[index])))?);
        }
    }
    std::iter::zip(join_keys, values)
        .map(|(key, values)| {
            let field = Field::new(&key.name, key.data_type, false);
            decode_column(&field, values.iter().map(Some)).map_err(|error| match error {
                JsonError::Value { field, row, expected, found, hint, .. } => Error::Argument {
                    what: entities[row].clone(),
                    reason: format!("`{field}`: {expected} expected, found {found}; {hint}"),
                },
                error => Error::Argument { what: entities.join(" "), reason: error.to_string() },
            })
        })
        .collect()
}

/// A word of the command line as the JSON value that the type takes.
pub(super) fn key_value(data_type: DataType, text: &str) -> Value {
    match data_type {
        DataType::String | DataType::Binary | DataType::Timestamp => Value::from(text),
        // What is no JSON is left to the column's own message.
        _ => serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)),
    }
}

fn text(view: &BoundView, entities: &[String], found: &Found) -> String {
    let mut text = String::new();
    let width = view.signature.outputs.iter().map(|output| output.name.len()).max().unwrap_or(0);
    for (row, (served, entity)) in std::iter::zip(&found.rows, entities).enumerate() {
        let _ = write!(text, "{entity}  {}", served.status);
        if let Some(record) = &served.record {
            let _ = write!(text, "  event time {}  component {}", record.event_time, record.digest.short());
        }
        text.push('\n');
        for (index, (output, column)) in std::iter::zip(&view.signature.outputs, &found.features).enumerate() {
            let FeatureStatus { status, reason } = found.statuses[index][row];
            if !served.status.gives_values() && status != Status::Defaulted {
                continue;
            }
            let _ = write!(text, "  {:width$}  {}", output.name, encode_value(column, output.data_type, row));
            if let Some(reason) = reason {
                let _ = write!(text, "  {status}, {reason}");
            }
            text.push('\n');
        }
    }
    text
}

fn json(Ask { view, keys, .. }: &Ask<'_>, found: &Found, as_of: Timestamp) -> Value {
    let rows = found.rows.iter().enumerate().map(|(row, served)| {
        let entity: Map<String, Value> = std::iter::zip(view.view.join_keys(), keys)
            .map(|(key, array)| (key.name.clone(), encode_value(array, key.data_type, row)))
            .collect();
        let outputs = || std::iter::zip(&view.signature.outputs, &found.features);
        let values: Map<String, Value> = outputs()
            .map(|(output, column)| (output.name.clone(), encode_value(column, output.data_type, row)))
            .collect();
        let statuses =
            || std::iter::zip(&view.signature.outputs, &found.statuses).map(|(output, all)| (output, all[row]));
        let reasons: Map<String, Value> = statuses()
            .filter_map(|(output, status)| Some((output.name.clone(), json!(status.reason?.as_str()))))
            .collect();
        let statuses: Map<String, Value> =
            statuses().map(|(output, status)| (output.name.clone(), json!(status.status.as_str()))).collect();
        let record = served.record.as_ref();
        let mut answer = json!({
            "entity": entity,
            "status": served.status.as_str(),
            "event_time": record.map(|record| record.event_time.to_string()),
            "created_time": record.and_then(|record| record.created_time).map(|time| time.to_string()),
            "published_time": record.map(|record| record.published_time.to_string()),
            "digest": record.map(|record| record.digest.to_string()),
            "values": values,
            "statuses": statuses,
        });
        if !view.defaults.is_empty() {
            answer["reasons"] = Value::Object(reasons);
        }
        answer
    });
    json!({
        "view": view.view.name,
        "version": view.view.version,
        "as_of": as_of.to_string(),
        "rows": rows.collect::<Vec<_>>(),
    })
}
