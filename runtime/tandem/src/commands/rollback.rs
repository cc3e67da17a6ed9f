//! `tandem rollback`: registers again what was registered before.

use std::collections::BTreeMap;

use super::apply::{SignatureArguments, show};
use crate::cli::Context;
use crate::error::Error;
use crate::registry::{self, Signed};

/// Arguments of the command.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The registration to go back to [default: the one before the newest]
    #[arg(value_name = "NUMBER")]
    number: Option<u64>,
    #[command(flatten)]
    signature: SignatureArguments,
}

/// Shows what changes by it, and registers.
pub fn run(context: &Context, arguments: &Arguments) -> Result<(), Error> {
    let registry = registry::open(&context.root()?)?;
    let earlier = registry.earlier(arguments.number)?;
    let plan = registry.plan_rollback(&earlier)?;
    let number = registry.state.number();
    if plan.is_empty() {
        show(context, &plan, number, None, &BTreeMap::new());
        return Ok(());
    }
    let mut signed = arguments.signature.signed();
    if signed.reason.is_empty() {
        signed = Signed { reason: format!("back to registration {}", earlier.number()), ..signed };
    }
    let header = registry.rollback(&earlier, &plan, &signed)?;
    show(context, &plan, number, Some(&header), &BTreeMap::new());
    context.output.note("note: the definition files say what they said; `tandem plan` shows how they differ now");
    Ok(())
}
