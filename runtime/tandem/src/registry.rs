//! What the definition files say against what is registered: planning, registering, going back.
//!
//! - [`open`]: a project with its registry, as it is now
//! - [`wanted`]: the definition files bound to their components, without compiling what is registered already
//! - [`prove`]: what is proved of a component before it is registered
//! - [`content`]: definitions as the registry keeps them
//! - [`Opening::apply`], [`Opening::rollback`]: a registration, in one step

pub mod content;
pub mod prove;
pub mod wanted;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;
use tandem_core::hash::Digest;
use tandem_core::model::{BoundView, FeatureService, ViewReference, ViewVersion};
use tandem_core::suggest;
use tandem_core::time::Timestamp;
use tandem_registry::store::Change;
use tandem_registry::{Content, Header, Plan, Registered, Registry, State, plan};

use crate::error::Error;
use crate::project::Opened;
use prove::{Golden, Proof};
pub use tandem_registry::LOCK_SECONDS_MAX;
use wanted::Wanted;

/// What registers, as the history names it.
const PROGRAM: &str = concat!("tandem ", env!("CARGO_PKG_VERSION"));

/// A project with its registry, as it is now.
pub struct Opening {
    /// The registry.
    pub registry: Registry,
    /// The newest registration.
    pub state: State,
    /// Its definitions.
    pub registered: Registered,
    root: PathBuf,
}

/// Reads what is registered for the project in `root`.
pub fn open(root: &Path) -> Result<Opening, Error> {
    let settings = crate::project::settings(root)?;
    let registry = Registry::new(&settings.storage.registry);
    let state = registry.state()?;
    let registered = state.registered(&registry, settings, root)?;
    Ok(Opening { registry, state, registered, root: root.to_owned() })
}

/// A registered thing that commands show.
pub enum Found<'a> {
    /// A version of a view.
    View(&'a BoundView),
    /// A service.
    Service(&'a FeatureService),
}

/// Who registers, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Who.
    pub by: String,
    /// Why; may be empty.
    pub reason: String,
}

/// A registration that was made.
pub struct Applied {
    /// Its header.
    pub header: Header,
    /// What was proved of each new version of a view.
    pub verified: BTreeMap<ViewVersion, Value>,
}

impl Opening {
    /// The service of this name, or the view that it means: `name`, `name@version`, `name@alias`.
    ///
    /// # Errors
    ///
    /// [`Error::NotRegistered`], with what is.
    pub fn find(&self, name: &str) -> Result<Found<'_>, Error> {
        let services = &self.registered.project.services;
        if let Some(service) = services.iter().find(|service| service.name == name) {
            return Ok(Found::Service(service));
        }
        self.view(name).map(|bound| Found::View(bound))
    }

    /// The registered view that is meant: `name`, `name@version`, `name@alias`.
    ///
    /// # Errors
    ///
    /// As [`Opening::find`].
    pub fn view(&self, name: &str) -> Result<&Arc<BoundView>, Error> {
        let view = name.parse::<ViewReference>().ok().and_then(|reference| self.registered.view(&reference));
        view.ok_or_else(|| self.not_registered(name))
    }

    /// Refuses a registry in which nothing was ever registered.
    ///
    /// # Errors
    ///
    /// [`Error::NothingRegistered`].
    pub fn some(&self) -> Result<(), Error> {
        match self.registered.number {
            0 => Err(Error::NothingRegistered { registry: self.registry.folder().to_owned() }),
            _ => Ok(()),
        }
    }

    fn not_registered(&self, name: &str) -> Error {
        let Registered { project, bound, .. } = &self.registered;
        if bound.is_empty() {
            let hint = "nothing is registered yet; `tandem apply` registers what the definition files say".to_owned();
            return Error::NotRegistered { name: name.to_owned(), hint };
        }
        let views = bound.keys().map(ToString::to_string);
        let aliases = project.aliases.iter().map(ToString::to_string);
        let services = project.services.iter().map(|service| service.name.clone());
        let known: Vec<String> = views.chain(aliases).chain(services).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        Error::NotRegistered { name: name.to_owned(), hint: suggest::hint(name, "registered names", &known) }
    }

    /// What would change if `wanted` were registered.
    pub fn plan(&self, wanted: &Wanted) -> Plan {
        plan(&self.registered.definitions(), &self.registered.removed, &wanted.definitions)
    }

    /// Verifies and compiles what is new, and registers `wanted` in one atomic step. The plan must be one that may be.
    ///
    /// # Errors
    ///
    /// A component that is not proved, a registry that cannot be written or was changed since it was opened. Nothing is changed then.
    pub fn apply(&self, opened: &Opened, wanted: &Wanted, plan: &Plan, signed: &Signed) -> Result<Applied, Error> {
        let proofs = self.prove(opened, wanted)?;
        self.apply_proved(opened, wanted, plan, signed, proofs)
    }

    /// Verifies the versions of views that are not registered, and has their code compiled. Blocking.
    ///
    /// # Errors
    ///
    /// [`Error::Unproved`] of the first that is not proved.
    pub fn prove(&self, opened: &Opened, wanted: &Wanted) -> Result<BTreeMap<ViewVersion, Proof>, Error> {
        let mut proofs = BTreeMap::new();
        let mut prover = prove::Prover::new(opened, self);
        for (id, bound) in &wanted.definitions.views {
            if self.state.content.views.contains_key(id) {
                continue;
            }
            tracing::debug!(view = %id, "verifying");
            let of_aggregates = prove::prove_functions(opened, bound, |digest| wanted.component(self, digest))?;
            let of_rows = bound.row_function().map(|function| {
                let component = wanted.component(self, function.digest)?;
                prover.prove(&function, &component)
            });
            // Of columns, and of aggregates by the program's own functions, there is nothing to prove.
            let proof = match (of_rows.transpose()?, &of_aggregates[..]) {
                (None, []) => continue,
                (None, [one]) => Proof { report: one.clone(), golden: None },
                (None, [first, ..]) => {
                    let mut report = first.clone();
                    report["aggregates"] = of_aggregates.into();
                    Proof { report, golden: None }
                }
                (Some(proof), []) => proof,
                (Some(mut proof), _) => {
                    proof.report["aggregates"] = of_aggregates.into();
                    proof
                }
            };
            proofs.insert(id.clone(), proof);
        }
        Ok(proofs)
    }

    /// As [`Opening::apply`], with proofs of the new versions that are there already.
    ///
    /// # Errors
    ///
    /// As [`Opening::apply`].
    pub fn apply_proved(
        &self,
        opened: &Opened,
        wanted: &Wanted,
        plan: &Plan,
        signed: &Signed,
        proofs: BTreeMap<ViewVersion, Proof>,
    ) -> Result<Applied, Error> {
        let golden: BTreeMap<Digest, &Arc<Vec<u8>>> = proofs
            .values()
            .filter_map(|proof| match &proof.golden {
                Some(Golden::New(bytes)) => Some((Digest::of(bytes), bytes)),
                Some(Golden::Registered(_)) | None => None,
            })
            .collect();
        let objects = golden.into_values().map(|golden| golden.to_vec()).collect();
        let fingerprint = opened.engine.fingerprint();
        let content = content::content(&self.state, wanted, &proofs, &fingerprint, &self.root);
        let components = wanted.components.values().map(|bytes| bytes.to_vec()).collect();
        let header = self.register(plan, signed, content, components, objects)?;
        let verified = proofs.into_iter().map(|(id, proof)| (id, proof.report)).collect();
        Ok(Applied { header, verified })
    }

    /// What registration `number` held, or without a number the one before the newest.
    pub fn earlier(&self, number: Option<u64>) -> Result<State, Error> {
        match (number, self.state.number()) {
            (Some(number), _) => Ok(self.registry.state_at(number)?),
            (None, 0 | 1) => Err(Error::NothingBefore { newest: self.state.number() }),
            (None, newest) => Ok(self.registry.state_at(newest - 1)?),
        }
    }

    /// What would change if what `earlier` held were registered again.
    pub fn plan_rollback(&self, earlier: &State) -> Result<Plan, Error> {
        let settings = self.registered.project.settings.clone();
        let before = earlier.registered(&self.registry, settings, &self.root)?;
        Ok(plan(&self.registered.definitions(), &self.registered.removed, &before.definitions()))
    }

    /// Registers what `earlier` held, as a new registration.
    ///
    /// # Errors
    ///
    /// A component that the registry lost, and what [`Opening::apply`] says of the registry. Nothing is changed then.
    pub fn rollback(&self, earlier: &State, plan: &Plan, signed: &Signed) -> Result<Header, Error> {
        let mut content = earlier.content.clone();
        content.remember(&self.state.content);
        for record in content.views.values() {
            let others = record.components.iter().map(|component| component.digest);
            for component in record.component.into_iter().chain(others) {
                self.registry.component(component)?;
            }
        }
        self.register(plan, signed, content, Vec::new(), Vec::new())
    }

    fn register(
        &self,
        plan: &Plan,
        signed: &Signed,
        content: Content,
        components: Vec<Vec<u8>>,
        objects: Vec<Vec<u8>>,
    ) -> Result<Header, Error> {
        let change = Change {
            parent: self.state.number(),
            time: now(),
            by: signed.by.clone(),
            reason: signed.reason.clone(),
            program: PROGRAM.to_owned(),
            changes: plan.recorded(),
            content,
            components,
            objects,
        };
        Ok(self.registry.register(&change)?)
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    // Whole seconds: the history is for people.
    Timestamp(i64::try_from(since.as_secs()).unwrap_or(i64::MAX / 1_000_000) * 1_000_000)
}
