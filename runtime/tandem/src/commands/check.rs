//! `tandem check`: definition files, components, and the columns of the sources, without computing anything.

use serde_json::json;

use crate::cli::Context;
use crate::error::Error;
use crate::output::counted;

/// Arguments of the command.
#[derive(Debug, clap::Args)]
pub struct Arguments {}

/// Reads, binds and lists every view.
pub fn run(context: &Context, _: &Arguments) -> Result<(), Error> {
    let opened = context.open()?;
    let views = opened.bind_all_and(tandem_offline::check_columns)?;
    context.output.data(
        || {
            let mut text = String::new();
            for view in &views {
                let (view, bound) = (&view.bound.view, &view.bound);
                text.push_str(&format!(
                    "{}@{}  {}, {}  {} {}  definition {}\n",
                    view.name,
                    view.version,
                    counted(bound.signature.inputs.len() as u64, "input"),
                    counted(bound.signature.outputs.len() as u64, "feature"),
                    super::show::made_by(view),
                    bound.digest.short(),
                    bound.definition_hash.short(),
                ));
            }
            text
        },
        || {
            let view = |view: &crate::project::ViewTransform| {
                let bound = &view.bound;
                json!({
                    "view": bound.view.name,
                    "version": bound.view.version,
                    "digest": bound.digest.to_string(),
                    "definition_hash": bound.definition_hash.to_string(),
                })
            };
            json!({ "views": views.iter().map(view).collect::<Vec<_>>() })
        },
    );
    Ok(())
}
