//! `tandem describe`: what a component takes and gives.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tandem_core::definition::{File, parse_parameters};
use tandem_core::hash::Digest;
use tandem_core::limits::TransformLimits;
use tandem_core::model::NanMode;
use tandem_core::parameter::Parameters;
use tandem_core::types::Signature;
use tandem_engine::{Allocation, Engine, EngineOptions};

use crate::cli::Context;
use crate::error::{Error, io};
use crate::output::bytes;
use crate::project;

/// Arguments of the command.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The component
    #[arg(value_name = "FILE")]
    component: PathBuf,
    #[command(flatten)]
    parameters: ParameterArguments,
}

/// Parameters for a component outside a view.
#[derive(Debug, clap::Args)]
pub struct ParameterArguments {
    /// A parameter, with its value as in a definition file: --param threshold=0.5 --param 'words=["a", "b"]'
    #[arg(long = "param", value_name = "NAME=VALUE")]
    parameters: Vec<String>,
}

impl ParameterArguments {
    fn parse(&self) -> Result<Parameters, Error> {
        let lines = File { name: "--param".to_owned(), text: self.parameters.join("\n") };
        parse_parameters(&lines).map_err(Error::Definitions)
    }
}

/// What a component said of itself.
pub(super) struct Described {
    digest: Digest,
    size_bytes: u64,
    signature: Signature,
}

/// Prints the signature.
pub fn run(context: &Context, arguments: &Arguments) -> Result<(), Error> {
    let described = describe(context, &arguments.component, &arguments.parameters)?;
    context.output.data(
        || {
            let size = bytes(described.size_bytes);
            let head = format!("size    {size}\ndigest  {}\n\n", described.digest);
            head + &signature_text(&described)
        },
        || json(&described),
    );
    Ok(())
}

pub(super) fn signature_text(described: &Described) -> String {
    crate::describe::text(&described.signature)
}

pub(super) fn json(described: &Described) -> Value {
    crate::describe::json(&described.signature, described.digest, described.size_bytes)
}

/// Loads the component and binds it: to the parameters given, else to those of the view that uses it in the project around it, else to none.
pub(super) fn describe(
    context: &Context,
    component: &Path,
    arguments: &ParameterArguments,
) -> Result<Described, Error> {
    let code = std::fs::read(component).map_err(io("read the component", component))?;
    let view = if arguments.parameters.is_empty() { view_of(context, component) } else { None };
    let (parameters, limits) = match view {
        Some(view) => view,
        None => (arguments.parse()?, TransformLimits::default()),
    };
    let fail = |source| Error::Component { component: component.to_owned(), source };
    let options = EngineOptions { allocation: Allocation::OnDemand, ..EngineOptions::default() };
    let loaded = Engine::new(options)?.load(&code, NanMode::Boundary).map_err(fail)?;
    let transform = loaded.bind(&parameters, &limits).map_err(fail)?;
    Ok(Described { digest: loaded.digest(), size_bytes: code.len() as u64, signature: transform.signature().clone() })
}

/// Parameters and limits of the newest view that names this file as its component. A project with mistakes does not keep a component from
/// being described.
fn view_of(context: &Context, component: &Path) -> Option<(Parameters, TransformLimits)> {
    let file = component.canonicalize().ok()?;
    let root = context.find_root(file.parent()?).ok()?;
    let project = project::read(&root).ok()?;
    let uses = |path: &Path| path.canonicalize().is_ok_and(|path| path == file);
    let view = project.views.iter().rfind(|view| uses(&view.component))?;
    Some((view.parameters.clone(), view.limits.clone()))
}
