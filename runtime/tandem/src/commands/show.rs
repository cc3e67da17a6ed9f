//! `tandem show`: one view or service, as it is registered.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tandem_core::definition::{ServiceColumn, bind_service};
use tandem_core::model::{BoundView, FeatureService, FeatureView};
use tandem_registry::ViewRecord;
use tandem_registry::plan::{Consumer, consumers};

use super::apply::summary;
use super::catalog::view_json;
use super::plan::shown::consumers_json;
use crate::cli::Context;
use crate::error::Error;
use crate::output::{Paint, Paints, plain};
use crate::registry::{self, Found, Opening};

/// Arguments of the command.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// A view as NAME, NAME@VERSION or NAME@ALIAS, or a service
    #[arg(value_name = "VIEW|SERVICE")]
    name: String,
}

/// Shows it.
pub fn run(context: &Context, arguments: &Arguments) -> Result<(), Error> {
    let registry = registry::open(&context.root()?)?;
    let paints = context.output.paints();
    match registry.find(&arguments.name)? {
        Found::View(bound) => {
            let users = consumers(&registry.registered.definitions(), &bound.view.id());
            let record = registry.state.content.views.get(&bound.view.id());
            context.output.data(|| view_text(bound, record, &users, paints), || view(bound, record, &users));
        }
        Found::Service(service) => {
            let columns = columns(&registry, service)?;
            context.output.data(|| service_text(service, &columns, paints), || service_json(service, &columns));
        }
    }
    Ok(())
}

fn view_text(bound: &BoundView, record: Option<&ViewRecord>, users: &[Consumer], paints: Paints) -> String {
    let view = &bound.view;
    let mut text = format!("{}\n", paints.paint(Paint::Strong, &format!("view {}", view.id())));
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            let _ = writeln!(text, "{name:12}  {}", plain(&value));
        }
    };
    line("description", view.description.clone());
    line("owner", view.owner.clone());
    line("stage", view.stage.as_str().to_owned());
    if let Some(deprecation) = &view.deprecation {
        let replacement = deprecation.replacement.as_ref().map(|id| format!("; use {id}"));
        line("deprecated", format!("since {}{}", deprecation.since, replacement.unwrap_or_default()));
    }
    line("rows from", view.source.what().replace('`', ""));
    let entities: Vec<&str> = view.entities.iter().map(|entity| entity.name.as_str()).collect();
    line("entities", entities.join(", "));
    line(made_by(view), bound.digest.to_string());
    line("definition", bound.definition_hash.to_string());
    if let Some(record) = record {
        line("runtime", record.runtime_fingerprint.clone());
        line("verified", summary(&record.verified).to_owned());
    }
    line("used by", users.iter().map(Consumer::to_string).collect::<Vec<_>>().join(", "));
    text.push('\n');
    text += &crate::describe::text(&bound.signature);
    if let Some(record) = record {
        let _ = write!(text, "\n{}\n{}", paints.paint(Paint::Strong, "definition"), record.definition);
    }
    text
}

fn view(bound: &BoundView, record: Option<&ViewRecord>, users: &[Consumer]) -> Value {
    let mut value = view_json(bound);
    value["signature"] = crate::describe::signature_json(&bound.signature);
    value["used_by"] = consumers_json(users);
    if let Some(record) = record {
        value["runtime_fingerprint"] = json!(record.runtime_fingerprint);
        value["verified"] = record.verified.clone();
        value["golden"] = json!(record.golden.map(|golden| golden.to_string()));
        value["definition"] = json!(record.definition);
    }
    value
}

fn columns(registry: &Opening, service: &FeatureService) -> Result<Vec<ServiceColumn>, Error> {
    let bound = &registry.registered.bound;
    let signatures = bound.iter().map(|(id, bound)| (id.clone(), &bound.signature)).collect();
    bind_service(service, &signatures)
        .map_err(|errors| Error::Data(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))
}

fn service_text(service: &FeatureService, columns: &[ServiceColumn], paints: Paints) -> String {
    let mut text = format!("{}\n", paints.paint(Paint::Strong, &format!("service {}", service.name)));
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "{name:12}  {}", plain(value));
        }
    };
    line("description", &service.description);
    line("owner", &service.owner);
    line("stage", service.stage.as_str());
    let names = columns.iter().map(|column| column.name.len()).max().unwrap_or(0);
    let types = columns.iter().map(|column| column.data_type.to_string().len()).max().unwrap_or(0);
    text += "\nfeatures\n";
    for ServiceColumn { name, view, feature, data_type } in columns {
        let _ = writeln!(text, "  {name:names$}  {:types$}  {view}:{feature}", data_type.to_string());
    }
    text
}

fn service_json(service: &FeatureService, columns: &[ServiceColumn]) -> Value {
    let column = |column: &ServiceColumn| {
        json!({
            "name": column.name,
            "type": column.data_type.to_string(),
            "view": column.view.to_string(),
            "feature": column.feature,
        })
    };
    json!({
        "service": service.name,
        "stage": service.stage.as_str(),
        "owner": service.owner,
        "description": service.description,
        "tags": service.tags,
        "features": columns.iter().map(column).collect::<Vec<_>>(),
    })
}

/// What a view's digest is of.
pub(super) fn made_by(view: &FeatureView) -> &'static str {
    if view.is_aggregates() {
        "aggregates"
    } else if view.is_columns() {
        "columns"
    } else {
        "component"
    }
}
