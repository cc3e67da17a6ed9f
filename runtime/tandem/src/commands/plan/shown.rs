//! A plan, as text and as JSON.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use tandem_registry::Plan;
use tandem_registry::plan::{Backfill, Change, Consumer, Severity, What};

use crate::output::{Paint, Paints, plain};

/// The plan against registration `number`, for people.
pub(crate) fn text(plan: &Plan, number: u64, paints: Paints) -> String {
    let against = match number {
        0 => "nothing registered yet".to_owned(),
        number => format!("against registration {number}"),
    };
    if plan.is_empty() {
        return format!("nothing to change {against}\n");
    }
    let mut text = format!("{}\n\n", paints.paint(Paint::Strong, &against));
    let kinds = plan.changes.iter().map(|change| change.kind.as_str().len()).max().unwrap_or(0);
    let names = plan.changes.iter().map(|change| change.name.len()).max().unwrap_or(0);
    for change in &plan.changes {
        line(&mut text, change, kinds, names, paints);
    }
    if !plan.latest.is_empty() {
        let _ = writeln!(text, "\n{}", paints.paint(Paint::Strong, "without a version, these names mean another one"));
        for latest in &plan.latest {
            let _ = writeln!(text, "  {}  @{} -> @{}", latest.view, latest.from, latest.to);
        }
    }
    if !plan.backfills.is_empty() {
        let heading = "to be computed before it can be looked up, in this order";
        let _ = writeln!(text, "\n{}", paints.paint(Paint::Strong, heading));
        let width = plan.backfills.iter().map(|backfill| backfill.view.to_string().len()).max().unwrap_or(0);
        for Backfill { view, ttl } in &plan.backfills {
            let back = match ttl {
                Some(ttl) => format!("back {ttl} for serving, as far as labels go for training"),
                None => "its whole history".to_owned(),
            };
            let _ = writeln!(text, "  tandem batch {:width$}  {back}", view.to_string());
        }
    }
    let counts = [Severity::Safe, Severity::Breaking, Severity::Refused].map(|severity| {
        let count = format!("{} {}", plan.count(severity), severity.as_str());
        if plan.count(severity) > 0 { paints.paint(colour(severity), &count) } else { count }
    });
    let _ = writeln!(text, "\n{}; {} unchanged", counts.join(", "), plan.unchanged);
    text
}

fn line(text: &mut String, change: &Change, kinds: usize, names: usize, paints: Paints) {
    let Change { kind, name, what, severity, why, downstream } = change;
    let mark = match what {
        What::New { .. } | What::Restored => "+",
        What::Removed { .. } => "-",
        _ => "~",
    };
    let colour = match (severity, what) {
        (Severity::Safe, What::New { .. } | What::Restored) => Paint::Good,
        (Severity::Safe, _) => Paint::Strong,
        (severity, _) => colour(*severity),
    };
    let head = paints.paint(colour, &format!("{mark} {:kinds$}  {name:names$}", kind.as_str()));
    let _ = writeln!(text, "  {head}  {}", plain(&what.to_string()));
    let indent = " ".repeat(4);
    if *severity != Severity::Safe {
        let _ = writeln!(text, "{indent}{}: {why}", paints.paint(colour, severity.as_str()));
    }
    // Of what is new or only described otherwise nobody notices anything.
    let concerns = !matches!(what, What::New { .. } | What::Documentation { .. });
    if concerns && !downstream.is_empty() {
        let consumers: Vec<String> = downstream.iter().map(Consumer::to_string).collect();
        let _ = writeln!(text, "{indent}downstream: {}", consumers.join(", "));
    }
}

fn colour(severity: Severity) -> Paint {
    match severity {
        Severity::Safe => Paint::Good,
        Severity::Breaking => Paint::Caution,
        Severity::Refused => Paint::Bad,
    }
}

/// The plan against registration `number`, for programs.
pub(crate) fn json(plan: &Plan, number: u64) -> Value {
    let backfill = |backfill: &Backfill| json!({ "view": backfill.view.to_string(), "ttl": backfill.ttl.map(|ttl| ttl.to_string()) });
    let latest = |latest: &tandem_registry::plan::LatestMove| json!({ "view": latest.view, "from": latest.from, "to": latest.to });
    json!({
        "registration": number,
        "severity": plan.severity().as_str(),
        "changes": plan.changes.iter().map(change_json).collect::<Vec<_>>(),
        "backfills": plan.backfills.iter().map(backfill).collect::<Vec<_>>(),
        "latest": plan.latest.iter().map(latest).collect::<Vec<_>>(),
        "unchanged": plan.unchanged,
    })
}

fn change_json(change: &Change) -> Value {
    let Change { kind, name, what, severity, why, downstream } = change;
    let mut value = Map::new();
    let mut set = |key: &str, part: Value| drop(value.insert(key.to_owned(), part));
    set("kind", json!(kind.as_str()));
    set("name", json!(name));
    let word = match what {
        What::New { against } => {
            if let Some((version, fields)) = against {
                set("against", json!(version));
                set("fields", json!(fields));
            }
            "new"
        }
        What::Restored => "restored",
        What::Documentation { fields } => {
            set("fields", json!(fields));
            "documentation"
        }
        What::Stage { from, to } => {
            set("from", json!(from.as_str()));
            set("to", json!(to.as_str()));
            "stage"
        }
        What::Meaning { fields, next_version } => {
            set("fields", json!(fields));
            set("next_version", json!(next_version));
            "meaning"
        }
        What::Taken { next_version } => {
            set("next_version", json!(next_version));
            "taken"
        }
        What::Features { added, removed, rearranged } => {
            set("added", json!(added));
            set("removed", json!(removed));
            set("rearranged", json!(rearranged));
            "features"
        }
        What::Moved { from, to } => {
            set("from", json!(from));
            set("to", json!(to));
            "moved"
        }
        What::Removed { consumers } => {
            set("consumers", consumers_json(consumers));
            "removed"
        }
    };
    set("change", json!(word));
    set("severity", json!(severity.as_str()));
    if !why.is_empty() {
        set("why", json!(why));
    }
    set("downstream", consumers_json(downstream));
    Value::Object(value)
}

pub(crate) fn consumers_json(consumers: &[Consumer]) -> Value {
    let consumer = |consumer: &Consumer| match consumer {
        Consumer::View(id) => json!({ "kind": "view", "name": id.to_string() }),
        Consumer::Service(name) => json!({ "kind": "service", "name": name }),
        Consumer::Alias(name) => json!({ "kind": "alias", "name": name }),
    };
    consumers.iter().map(consumer).collect()
}
