//! `tandem lineage`: where values come from and where they go.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tandem_registry::Lineage;
use tandem_registry::lineage::{ColumnEdge, Edge, Node};

use crate::cli::Context;
use crate::error::Error;
use crate::output::{Paint, Paints};
use crate::registry::{self, Found};

/// Arguments of the command.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Only what leads to this and from it: a view as NAME, NAME@VERSION or NAME@ALIAS, or a service
    #[arg(value_name = "VIEW|SERVICE")]
    name: Option<String>,
    /// Print the graph in Graphviz' language
    #[arg(long)]
    dot: bool,
}

/// Shows the graph.
pub fn run(context: &Context, arguments: &Arguments) -> Result<(), Error> {
    let registry = registry::open(&context.root()?)?;
    let mut lineage = Lineage::of(&registry.registered.definitions());
    if let Some(name) = &arguments.name {
        lineage = lineage.around(&match registry.find(name)? {
            Found::View(bound) => Node::View(bound.view.id()),
            Found::Service(service) => Node::Service(service.name.clone()),
        });
    }
    let paints = context.output.paints();
    context.output.data(
        || if arguments.dot { lineage.dot() } else { text(&lineage, paints) },
        || if arguments.dot { json!({ "dot": lineage.dot() }) } else { lineage_json(&lineage) },
    );
    Ok(())
}

fn text(lineage: &Lineage, paints: Paints) -> String {
    if lineage.nodes.is_empty() {
        return "nothing is registered\n".to_owned();
    }
    let mut text = String::new();
    for node in &lineage.nodes {
        let _ = writeln!(text, "{}", paints.paint(Paint::Strong, &node.to_string()));
        for Edge { to, columns, .. } in lineage.edges.iter().filter(|edge| edge.from == *node) {
            let columns: Vec<String> = columns.iter().map(ColumnEdge::to_string).collect();
            let _ = writeln!(text, "  -> {to}: {}", columns.join(", "));
        }
    }
    text
}

fn lineage_json(lineage: &Lineage) -> Value {
    let node = |node: &Node| json!({ "kind": node.kind(), "name": node.name() });
    let column = |column: &ColumnEdge| json!({ "from": column.from, "to": column.to });
    let edge = |edge: &Edge| {
        json!({
            "from": node(&edge.from),
            "to": node(&edge.to),
            "columns": edge.columns.iter().map(column).collect::<Vec<_>>(),
        })
    };
    json!({
        "nodes": lineage.nodes.iter().map(node).collect::<Vec<_>>(),
        "edges": lineage.edges.iter().map(edge).collect::<Vec<_>>(),
    })
}
