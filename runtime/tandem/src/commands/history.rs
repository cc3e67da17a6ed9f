//! `tandem history`: what was registered, when, by whom and why.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tandem_registry::{Header, RecordedChange, Registry};

use crate::cli::Context;
use crate::error::Error;
use crate::output::{Paint, Paints, plain};
use crate::project;

/// Arguments of the command.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Only what changed about this: a view as NAME or NAME@VERSION, a service, an alias as NAME@ALIAS
    name: Option<String>,
}

/// Lists registrations, newest first.
pub fn run(context: &Context, arguments: &Arguments) -> Result<(), Error> {
    let settings = project::settings(&context.root()?)?;
    let registry = Registry::new(&settings.storage.registry);
    let mut history = registry.history()?;
    if let Some(name) = &arguments.name {
        for header in &mut history {
            header.changes.retain(|change| concerns(change, name));
        }
        history.retain(|header| !header.changes.is_empty());
        if history.is_empty() {
            let hint = "`tandem history` lists all that ever was; `tandem catalog` what is".to_owned();
            return Err(Error::NotRegistered { name: name.clone(), hint });
        }
    }
    let paints = context.output.paints();
    context.output.data(
        || text(&history, paints),
        || json!({ "registrations": history.iter().map(header_json).collect::<Vec<_>>() }),
    );
    Ok(())
}

fn concerns(change: &RecordedChange, name: &str) -> bool {
    change.name == name || change.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('@'))
}

fn text(history: &[Header], paints: Paints) -> String {
    if history.is_empty() {
        return "nothing is registered\n".to_owned();
    }
    let mut text = String::new();
    for (index, header) in history.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        text += &head(header, paints);
        for RecordedChange { kind, name, what } in &header.changes {
            let _ = writeln!(text, "  {} {name}: {}", kind.as_str(), plain(what));
        }
    }
    text
}

/// "registration 2, 2026-11-21T12:37:45Z by ada: a better threshold".
pub(super) fn head(header: &Header, paints: Paints) -> String {
    let number = paints.paint(Paint::Strong, &format!("registration {}", header.number));
    let reason = if header.reason.is_empty() { String::new() } else { format!(": {}", plain(&header.reason)) };
    format!("{number}, {} by {}{reason}\n", header.time, plain(&header.by))
}

pub(super) fn header_json(header: &Header) -> Value {
    let change =
        |change: &RecordedChange| json!({ "kind": change.kind.as_str(), "name": change.name, "what": change.what });
    json!({
        "number": header.number,
        "time": header.time.to_string(),
        "by": header.by,
        "reason": header.reason,
        "program": header.program,
        "changes": header.changes.iter().map(change).collect::<Vec<_>>(),
    })
}
