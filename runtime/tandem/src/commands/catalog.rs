//! `tandem catalog`: what is registered.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tandem_core::model::{Alias, BoundView, FeatureService};
use tandem_registry::Header;
use tandem_registry::plan::Definitions;

use super::history::{head, header_json};
use crate::cli::Context;
use crate::error::Error;
use crate::output::{Column, Paint, Paints, Table, plain, width};
use crate::registry;

/// Arguments of the command.
#[derive(Debug, clap::Args)]
pub struct Arguments {}

/// Lists views, services and aliases.
pub fn run(context: &Context, _: &Arguments) -> Result<(), Error> {
    let registry = registry::open(&context.root()?)?;
    let definitions = registry.registered.definitions();
    let header = registry.state.header.as_ref();
    let paints = context.output.paints();
    context.output.data(|| text(header, &definitions, paints), || catalog_json(header, &definitions));
    Ok(())
}

fn text(header: Option<&Header>, definitions: &Definitions, paints: Paints) -> String {
    let Some(header) = header else { return "nothing is registered; `tandem apply` registers\n".to_owned() };
    let mut text = head(header, paints);
    let mut section = |title: &str, table: Table| {
        if !table.rows.is_empty() {
            let _ = write!(text, "\n{}\n{}", paints.paint(Paint::Strong, title), table.render(width()));
        }
    };
    section("views", views(definitions));
    section("services", services(definitions));
    section("aliases", aliases(definitions));
    text
}

fn table(names: &[(&str, bool)], rows: Vec<Vec<String>>) -> Table {
    let columns = names.iter().map(|(name, right)| Column { name: (*name).to_owned(), right: *right }).collect();
    Table { columns, split: names.len(), rows }
}

fn views(definitions: &Definitions) -> Table {
    let row = |bound: &BoundView| {
        let view = &bound.view;
        let entities: Vec<&str> = view.entities.iter().map(|entity| entity.name.as_str()).collect();
        vec![
            view.id().to_string(),
            view.stage.as_str().to_owned(),
            view.source.what().replace('`', ""),
            entities.join(", "),
            bound.signature.outputs.len().to_string(),
            view.ttl.map_or_else(String::new, |ttl| ttl.to_string()),
            plain(&view.owner),
        ]
    };
    let names = [
        ("view", false),
        ("stage", false),
        ("rows from", false),
        ("entities", false),
        ("features", true),
        ("ttl", true),
        ("owner", false),
    ];
    table(&names, definitions.views.values().map(|bound| row(bound)).collect())
}

fn services(definitions: &Definitions) -> Table {
    let row = |service: &FeatureService| {
        let features: Vec<String> = service.features.iter().map(ToString::to_string).collect();
        vec![service.name.clone(), service.stage.as_str().to_owned(), features.join(", "), plain(&service.owner)]
    };
    let names = [("service", false), ("stage", false), ("features", false), ("owner", false)];
    table(&names, definitions.services.values().map(row).collect())
}

fn aliases(definitions: &Definitions) -> Table {
    let row = |alias: &Alias| vec![alias.to_string(), alias.target().to_string()];
    table(&[("alias", false), ("view", false)], definitions.aliases.values().map(row).collect())
}

fn catalog_json(header: Option<&Header>, definitions: &Definitions) -> Value {
    let service = |service: &FeatureService| {
        json!({
            "service": service.name,
            "stage": service.stage.as_str(),
            "features": service.features.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "prefix": service.prefix,
            "owner": service.owner,
            "description": service.description,
            "tags": service.tags,
        })
    };
    let alias = |alias: &Alias| json!({ "alias": alias.to_string(), "view": alias.target().to_string() });
    json!({
        "registration": header.map(header_json),
        "views": definitions.views.values().map(|bound| view_json(bound)).collect::<Vec<_>>(),
        "services": definitions.services.values().map(service).collect::<Vec<_>>(),
        "aliases": definitions.aliases.values().map(alias).collect::<Vec<_>>(),
    })
}

pub(super) fn view_json(bound: &BoundView) -> Value {
    let view = &bound.view;
    let deprecation = view.deprecation.as_ref().map(|deprecation| {
        let replacement = deprecation.replacement.as_ref().map(ToString::to_string);
        json!({ "since": deprecation.since.to_string(), "replacement": replacement })
    });
    json!({
        "view": view.name,
        "version": view.version,
        "stage": view.stage.as_str(),
        "deprecated": deprecation,
        "stored": view.is_stored(),
        "source": view.source.files().map(|source| source.name.clone()),
        "upstream": view.upstream().into_iter().map(ToString::to_string).collect::<Vec<_>>(),
        "entities": view.entities.iter().map(|entity| entity.name.clone()).collect::<Vec<_>>(),
        "features": bound.signature.outputs.iter().map(|output| output.name.clone()).collect::<Vec<_>>(),
        "ttl": view.ttl.map(|ttl| ttl.to_string()),
        "freshness": view.freshness.map(|freshness| freshness.to_string()),
        "digest": bound.digest.to_string(),
        "definition_hash": bound.definition_hash.to_string(),
        "owner": view.owner,
        "description": view.description,
        "tags": view.tags,
    })
}
