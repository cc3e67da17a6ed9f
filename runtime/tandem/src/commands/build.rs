//! `tandem build`: the component of a transform, in any language.

use std::path::{Path, PathBuf};

use serde_json::json;
use tandem_build::{BuildOptions, build};
use tandem_core::hash::Digest;

use super::describe::{self, ParameterArguments};
use crate::cli::Context;
use crate::error::Error;
use crate::output::bytes;

/// Arguments of the command.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Folder of the transform
    #[arg(default_value = ".", value_name = "DIR")]
    folder: PathBuf,
    /// Where the component goes [default: NAME.wasm in that folder]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Cargo's folder for intermediate files, for a transform in Rust
    #[arg(long, value_name = "DIR")]
    target_dir: Option<PathBuf>,
    #[command(flatten)]
    parameters: ParameterArguments,
}

/// Builds, then asks the component what it is.
pub fn run(context: &Context, arguments: &Arguments) -> Result<(), Error> {
    let options = BuildOptions {
        output: arguments.output.clone(),
        target_dir: arguments.target_dir.clone(),
        ..BuildOptions::default()
    };
    let built = build(&arguments.folder, &options)?;
    let component = shown(&built.component);
    let described = describe::describe(context, &built.component, &arguments.parameters);
    // A component that wants parameters is built all the same: say so, and what it said.
    let (signature, problem) = match &described {
        Ok(described) => (Some(describe::signature_text(described)), None),
        Err(error @ Error::Component { source: tandem_engine::EngineError::Describe(_), .. }) => {
            (None, Some(error.to_string()))
        }
        Err(_) => return described.map(|_| ()),
    };
    let digest = Digest(built.sha256);
    context.output.data(
        || {
            let mut text =
                format!("component  {component}\nsize       {}\ndigest     {digest}\n", bytes(built.size_bytes));
            if let Some(signature) = signature {
                text.push('\n');
                text.push_str(&signature);
            }
            text
        },
        || match &described {
            Ok(described) => {
                let mut json = describe::json(described);
                json["component"] = json!(component);
                json
            }
            Err(_) => json!({ "component": component, "size_bytes": built.size_bytes, "digest": digest.to_string() }),
        },
    );
    if let Some(problem) = problem {
        context.output.note(format!("note: its signature depends on parameters: {problem}"));
        context
            .output
            .note("hint: tandem describe FILE --param name=value, or run it in the project that has a view of it");
    }
    Ok(())
}

/// A path as a person would write it from here.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().and_then(|here| here.canonicalize()).unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).display().to_string()
}
