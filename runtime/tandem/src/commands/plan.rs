//! `tandem plan`: what the definition files would change about what is registered.

pub(super) mod shown;

use tandem_registry::plan::Severity;
use tandem_registry::{Plan, plan};

use crate::cli::Context;
use crate::error::Error;
use crate::registry::{self, wanted};

/// Arguments of the command.
#[derive(Debug, clap::Args)]
pub struct Arguments {}

/// Compares and shows; changes nothing.
pub fn run(context: &Context, _: &Arguments) -> Result<(), Error> {
    let root = context.root()?;
    let opened = context.open()?;
    let registry = registry::open(&root)?;
    let wanted = wanted::bind(&opened, &registry.registered)?;
    let plan = plan(&registry.registered.definitions(), &registry.registered.removed, &wanted.definitions);
    let number = registry.state.number();
    context.output.data(|| shown::text(&plan, number, context.output.paints()), || shown::json(&plan, number));
    check(&plan, true, false)
}

/// The error of a plan that is not made: one with refused changes never is, one with breaking changes where that is not allowed.
pub(super) fn check(plan: &Plan, breaking_is_told: bool, applying: bool) -> Result<(), Error> {
    let (breaking, refused) = (plan.count(Severity::Breaking), plan.count(Severity::Refused));
    match plan.severity() {
        Severity::Refused => Err(Error::Plan { breaking, refused, applying }),
        Severity::Breaking if breaking_is_told => Err(Error::Plan { breaking, refused, applying }),
        Severity::Breaking | Severity::Safe => Ok(()),
    }
}
