//! `tandem bindings`: what authors of languages without an SDK need.

use std::path::PathBuf;

use serde_json::json;
use tandem_core::hash::Digest;

use crate::cli::Context;
use crate::error::Error;
use crate::output::bytes;

/// Arguments of the command.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub struct Arguments {
    /// Print the contract, which a component exports, as WIT
    #[arg(long, group = "what")]
    world: bool,
    /// Print the contract with lists of bytes for lists of numbers, for languages in which those would be lists of objects
    #[arg(long, group = "what")]
    bytes: bool,
    /// Make the component of a core module that exports the contract's functions as the Canonical ABI has them
    #[arg(long, group = "what", value_name = "MODULE", requires = "output")]
    encode: Option<PathBuf>,
    /// Make the component of the contract around a component of the contract in bytes
    #[arg(long, group = "what", value_name = "COMPONENT", requires = "output")]
    wrap: Option<PathBuf>,
    /// Where the component goes
    #[arg(long, short, value_name = "FILE", conflicts_with_all = ["world", "bytes"])]
    output: Option<PathBuf>,
}

/// Prints a contract, or makes a component.
pub fn run(context: &Context, arguments: &Arguments) -> Result<(), Error> {
    let output = arguments.output.clone().unwrap_or_default();
    let built = match (&arguments.encode, &arguments.wrap) {
        (Some(module), _) => tandem_build::encode(module, &output)?,
        (_, Some(component)) => tandem_build::wrap(component, &output)?,
        (None, None) => {
            let text =
                if arguments.bytes { tandem_build::contract_in_bytes() } else { tandem_build::CONTRACT.to_owned() };
            context.output.data(|| text.clone(), || json!({ "wit": text }));
            return Ok(());
        }
    };
    let (component, digest) = (built.component.display().to_string(), Digest(built.sha256));
    context.output.data(
        || format!("component  {component}\nsize       {}\ndigest     {digest}\n", bytes(built.size_bytes)),
        || json!({ "component": component, "size_bytes": built.size_bytes, "digest": digest.to_string() }),
    );
    Ok(())
}
