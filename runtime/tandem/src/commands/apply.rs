//! `tandem apply`: registers what the definition files say.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use tandem_core::model::ViewVersion;
use tandem_registry::{Header, Plan};

use super::plan::{check, shown};
use crate::cli::Context;
use crate::error::Error;
use crate::output::Paint;
use crate::registry::wanted::{self, Wanted};
use crate::registry::{self, Opening, Signed};

/// Arguments of the command.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    signature: SignatureArguments,
    /// Make breaking changes too
    #[arg(long)]
    allow_breaking: bool,
    /// Show what would be registered, and register nothing
    #[arg(long)]
    dry_run: bool,
}

/// Who registers, and why.
#[derive(Debug, clap::Args)]
pub struct SignatureArguments {
    /// Why, for the history
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    /// Who, for the history
    #[arg(long, value_name = "WHO", env = "USER", default_value = "unknown", hide_env_values = true)]
    by: String,
}

impl SignatureArguments {
    pub(super) fn signed(&self) -> Signed {
        Signed { by: self.by.clone(), reason: self.reason.clone() }
    }
}

/// Plans, shows the plan, and registers it.
pub fn run(context: &Context, arguments: &Arguments) -> Result<(), Error> {
    let root = context.root()?;
    let registry = registry::open(&root)?;
    if !arguments.dry_run {
        registry.registry.check_writable()?; // before anything is compiled
    }
    let opened = context.open()?;
    let wanted = wanted::bind(&opened, &registry.registered)?;
    let plan = registry.plan(&wanted);
    let number = registry.state.number();
    let made = check(&plan, !arguments.allow_breaking, !arguments.dry_run);
    if made.is_err() || arguments.dry_run || plan.is_empty() {
        show(context, &plan, number, None, &BTreeMap::new());
        return made;
    }
    let applied = registry.apply(&opened, &wanted, &plan, &arguments.signature.signed())?;
    show(context, &plan, number, Some(&applied.header), &applied.verified);
    note_queries(context, &wanted, &registry);
    Ok(())
}

/// Says of each query that a new view reads that it is for batch alone.
fn note_queries(context: &Context, wanted: &Wanted, registry: &Opening) {
    let new = wanted.definitions.views.iter().filter(|(id, _)| !registry.registered.bound.contains_key(*id));
    let sources = new.filter_map(|(_, bound)| bound.view.source.files()).filter(|source| source.query.is_some());
    let names: BTreeSet<&str> = sources.map(|source| source.name.as_str()).collect();
    for name in names {
        context
            .output
            .note(format!("note: source {name} is a query, for batch alone: nothing can be put into it, or pushed"));
    }
}

/// The plan, and what came of it.
pub(super) fn show(
    context: &Context,
    plan: &Plan,
    number: u64,
    header: Option<&Header>,
    verified: &BTreeMap<ViewVersion, Value>,
) {
    context.output.data(
        || {
            let paints = context.output.paints();
            let mut text = shown::text(plan, number, paints);
            if !verified.is_empty() {
                text += &format!("\n{}\n", paints.paint(Paint::Strong, "verified"));
                let width = verified.keys().map(|id| id.to_string().len()).max().unwrap_or(0);
                for (id, report) in verified {
                    text += &format!("  {:width$}  {}\n", id.to_string(), summary(report));
                }
            }
            if let Some(header) = header {
                text += &format!("\nregistered as registration {}\n", header.number);
            }
            text
        },
        || {
            let registered = header.map_or(Value::Null, |header| json!(header.number));
            let verified: Map<String, Value> =
                verified.iter().map(|(id, report)| (id.to_string(), report.clone())).collect();
            json!({ "registered": registered, "plan": shown::json(plan, number), "verified": verified })
        },
    );
}

/// What was proved, in a line.
pub(super) fn summary(verified: &Value) -> &str {
    verified.get("summary").and_then(Value::as_str).unwrap_or_default()
}
