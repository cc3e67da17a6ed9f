//! Where values come from and where they go: source to view to service, column by column.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use tandem_core::model::{BoundView, FeatureService, InputSource, ViewSource, ViewVersion};
use tandem_core::types::EVENT_TIME;

use crate::plan::Definitions;

/// A thing that values come from or go to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    /// A source, by name.
    Source(String),
    /// What callers send to an on-demand view, by the view.
    Request(ViewVersion),
    /// A view.
    View(ViewVersion),
    /// A service, by name.
    Service(String),
}

impl Node {
    /// "source", "request", "view" or "service".
    pub fn kind(&self) -> &'static str {
        match self {
            Node::Source(_) => "source",
            Node::Request(_) => "request",
            Node::View(_) => "view",
            Node::Service(_) => "service",
        }
    }

    /// Its name among those of its kind.
    pub fn name(&self) -> String {
        match self {
            Node::Source(name) | Node::Service(name) => name.clone(),
            Node::Request(view) | Node::View(view) => view.to_string(),
        }
    }
}

/// "source transactions", "request to card_risk@1", "view card_risk@1", "service checkout".
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to = if matches!(self, Node::Request(_)) { "to " } else { "" };
        write!(f, "{} {to}{}", self.kind(), self.name())
    }
}

/// A column that goes from one node to another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ColumnEdge {
    /// Its name where it comes from.
    pub from: String,
    /// Its name where it goes: an input, a join key, a time column, a feature.
    pub to: String,
}

/// All columns that go from one node to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Where they come from.
    pub from: Node,
    /// Where they go.
    pub to: Node,
    /// The columns, sorted. Every feature of a view may depend on every input of it: what happens between is the component's.
    pub columns: Vec<ColumnEdge>,
}

/// A graph without cycles.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lineage {
    /// Sources, requests, views, services, each sorted by name.
    pub nodes: Vec<Node>,
    /// Sorted by where they come from and go.
    pub edges: Vec<Edge>,
}

impl Lineage {
    /// The lineage of everything.
    pub fn of(definitions: &Definitions) -> Lineage {
        let mut columns: BTreeMap<(Node, Node), BTreeSet<ColumnEdge>> = BTreeMap::new();
        let mut nodes = BTreeSet::new();
        for (id, bound) in &definitions.views {
            nodes.insert(Node::View(id.clone()));
            for (from, column) in into_view(bound) {
                columns.entry((from, Node::View(id.clone()))).or_default().insert(column);
            }
        }
        for (name, service) in &definitions.services {
            let to = Node::Service(name.clone());
            nodes.insert(to.clone());
            for (from, column) in into_service(service, definitions) {
                columns.entry((from, to.clone())).or_default().insert(column);
            }
        }
        nodes.extend(columns.keys().map(|(from, _)| from.clone()));
        let edge = |((from, to), columns): ((Node, Node), BTreeSet<ColumnEdge>)| Edge {
            from,
            to,
            columns: columns.into_iter().collect(),
        };
        Lineage { nodes: nodes.into_iter().collect(), edges: columns.into_iter().map(edge).collect() }
    }

    /// What leads to `node` and what it leads to, with it.
    pub fn around(&self, node: &Node) -> Lineage {
        let mut kept = self.reached(node, |edge| (&edge.to, &edge.from));
        kept.extend(self.reached(node, |edge| (&edge.from, &edge.to)));
        Lineage {
            nodes: self.nodes.iter().filter(|node| kept.contains(*node)).cloned().collect(),
            edges: self
                .edges
                .iter()
                .filter(|edge| kept.contains(&edge.from) && kept.contains(&edge.to))
                .cloned()
                .collect(),
        }
    }

    fn reached<'a>(&'a self, node: &'a Node, ends: impl Fn(&'a Edge) -> (&'a Node, &'a Node)) -> BTreeSet<&'a Node> {
        let mut reached = BTreeSet::from([node]);
        let mut waiting = vec![node];
        while let Some(node) = waiting.pop() {
            for (near, far) in self.edges.iter().map(&ends) {
                if near == node && reached.insert(far) {
                    waiting.push(far);
                }
            }
        }
        reached
    }

    /// The graph in Graphviz' language.
    pub fn dot(&self) -> String {
        let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        let mut text = "digraph lineage {\n  rankdir = LR;\n  node [shape = box];\n".to_owned();
        for node in &self.nodes {
            let shape = match node {
                Node::Source(_) => "cylinder",
                Node::Request(_) => "note",
                Node::View(_) => "box",
                Node::Service(_) => "component",
            };
            text += &format!("  {} [label = {}, shape = {shape}];\n", quoted(&node.to_string()), quoted(&node.name()));
        }
        for Edge { from, to, columns } in &self.edges {
            let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
            let (from, to) = (quoted(&from.to_string()), quoted(&to.to_string()));
            // `\n` is a line break in a label.
            let label = quoted(&columns.join("\n")).replace('\n', "\\n");
            text += &format!("  {from} -> {to} [label = {label}];\n");
        }
        text + "}\n"
    }
}

/// "amount", or "amount_eur as amount".
impl fmt::Display for ColumnEdge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.from)?;
        if self.from == self.to { Ok(()) } else { write!(f, " as {}", self.to) }
    }
}

fn into_view(bound: &BoundView) -> Vec<(Node, ColumnEdge)> {
    let view = &bound.view;
    let column = |from: &str, to: &str| ColumnEdge { from: from.to_owned(), to: to.to_owned() };
    let origin = match &view.source {
        ViewSource::Files(source) => Node::Source(source.name.clone()),
        ViewSource::View(rows) => Node::View(rows.view.clone()),
        ViewSource::Request => Node::Request(view.id()),
    };
    let mut edges = Vec::new();
    for input in &bound.signature.inputs {
        match view.input_source(&input.name) {
            InputSource::Column(from) => edges.push((origin.clone(), column(&from, &input.name))),
            InputSource::AsOf => {}
            InputSource::Feature { view, feature } => edges.push((Node::View(view), column(&feature, &input.name))),
            InputSource::EventTime { view } => edges.push((Node::View(view), column(EVENT_TIME, &input.name))),
        }
    }
    for key in view.join_keys() {
        edges.push((origin.clone(), column(view.key_column(&key.name), &key.name)));
    }
    match &view.source {
        ViewSource::Files(source) => {
            let times = [Some(&source.event_time), source.created_time.as_ref(), source.sequence.as_ref()];
            let names = [EVENT_TIME, tandem_core::types::CREATED_TIME, tandem_core::types::SEQUENCE];
            let times = std::iter::zip(times, names).filter_map(|(from, to)| Some(column(from?, to)));
            edges.extend(times.map(|column| (origin.clone(), column)));
        }
        ViewSource::View(_) => edges.push((origin, column(EVENT_TIME, EVENT_TIME))),
        ViewSource::Request => {}
    }
    edges
}

fn into_service(service: &FeatureService, definitions: &Definitions) -> Vec<(Node, ColumnEdge)> {
    let mut edges = Vec::new();
    for features in &service.features {
        let named = |feature: &str| {
            let to = if service.prefix { format!("{}__{feature}", features.view.name) } else { feature.to_owned() };
            (Node::View(features.view.clone()), ColumnEdge { from: feature.to_owned(), to })
        };
        match &features.feature {
            Some(feature) => edges.push(named(feature)),
            None => {
                let outputs = definitions.views.get(&features.view).map(|bound| &bound.signature.outputs);
                edges.extend(outputs.into_iter().flatten().map(|output| named(&output.name)));
            }
        }
    }
    edges
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::sync::Arc;

    use tandem_core::definition::{File, Sources, bind, parse_project};
    use tandem_core::hash::Digest;
    use tandem_core::types::{DataType, Field, Signature};

    use super::*;

    const FEATURES: &str = r#"
[[entity]]
name = "card"
join_keys = [{ name = "card_id", type = "int64" }]
[[source]]
name = "payments"
path = "data"
kind = "events"
event_time = "at"
[[source]]
name = "logins"
path = "logins"
kind = "events"
event_time = "at"
[[feature_view]]
name = "spend"
version = 1
source = "payments"
entities = ["card"]
component = "a.wasm"
as_of = "before"
inputs = { x = "amount_eur" }
key_columns = { card_id = "card" }
[[feature_view]]
name = "login"
version = 1
source = "logins"
entities = ["card"]
component = "a.wasm"
as_of = "before"
[[feature_view]]
name = "risk"
version = 2
component = "a.wasm"
inputs = { y = { view = "spend@1", feature = "f" } }
[[feature_service]]
name = "checkout"
features = ["risk@2", "spend@1:f"]
prefix = true
"#;

    fn definitions() -> Definitions {
        let settings = File { name: "tandem.toml".to_owned(), text: "[project]\nname = \"x\"".to_owned() };
        let features = vec![File { name: "f.toml".to_owned(), text: FEATURES.to_owned() }];
        let project = parse_project(&Sources { settings, features }, Path::new("")).unwrap_or_else(|e| panic!("{e}"));
        let mut bound = BTreeMap::new();
        for name in ["spend", "login", "risk"] {
            let view = project.views.iter().find(|view| view.name == name).unwrap().clone();
            let field = |name: &str| Field::new(name, DataType::Float64, true);
            let inputs = if name == "risk" { vec![field("x"), field("y")] } else { vec![field("x")] };
            let signature = Signature { inputs, outputs: vec![field("f")], doc: String::new() };
            let view = bind(view, signature, Digest::of(b""), &bound).unwrap_or_else(|e| panic!("{e:?}"));
            bound.insert(view.view.id(), Arc::new(view));
        }
        Definitions::new(&project, bound.into_values())
    }

    fn edges(lineage: &Lineage) -> Vec<String> {
        let edge = |edge: &Edge| {
            let columns: Vec<String> = edge.columns.iter().map(ToString::to_string).collect();
            format!("{} -> {}: {}", edge.from, edge.to, columns.join(", "))
        };
        lineage.edges.iter().map(edge).collect()
    }

    #[test]
    fn columns_go_from_source_to_service() {
        let lineage = Lineage::of(&definitions());
        assert_eq!(
            edges(&lineage),
            [
                "source logins -> view login@1: at as event_time, card_id, x",
                "source payments -> view spend@1: amount_eur as x, at as event_time, card as card_id",
                "request to risk@2 -> view risk@2: card_id, x",
                "view risk@2 -> service checkout: f as risk__f",
                "view spend@1 -> view risk@2: f as y",
                "view spend@1 -> service checkout: f as spend__f",
            ]
        );
    }

    #[test]
    fn around_one_thing_is_what_leads_there_and_from_there() {
        let lineage = Lineage::of(&definitions());
        let around = |node: Node| lineage.around(&node).nodes.iter().map(ToString::to_string).collect::<Vec<_>>();
        let spend = Node::View(ViewVersion::new("spend", 1));
        assert_eq!(around(spend), ["source payments", "view risk@2", "view spend@1", "service checkout"]);
        assert_eq!(around(Node::View(ViewVersion::new("login", 1))), ["source logins", "view login@1"]);
        assert_eq!(around(Node::Service("checkout".to_owned())).len(), 5);
        assert_eq!(around(Node::Service("none".to_owned())), [""; 0]);
    }

    #[test]
    fn dot_has_every_node_and_edge() {
        let lineage = Lineage::of(&definitions());
        let dot = lineage.dot();
        assert!(dot.starts_with("digraph lineage {\n") && dot.ends_with("}\n"), "{dot}");
        assert_eq!(dot.matches("shape = ").count(), lineage.nodes.len() + 1);
        assert_eq!(dot.matches(" -> ").count(), lineage.edges.len());
        assert!(dot.contains("\"view spend@1\" -> \"view risk@2\" [label = \"f as y\"];"), "{dot}");
        assert!(dot.contains("[label = \"card_id\\nx\"]"), "{dot}");
    }
}
