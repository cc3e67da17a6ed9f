//! The definition files, bound to their components. What is registered already is neither compiled nor described again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use tandem_core::definition::Mistake;
use tandem_core::hash::Digest;
use tandem_core::limits::TransformLimits;
use tandem_core::model::{BoundComponent, BoundView, Code, FeatureView, NanMode};
use tandem_core::parameter::Parameters;
use tandem_core::types::Signature;
use tandem_registry::Registered;
use tandem_registry::plan::Definitions;

use super::Opening;
use crate::error::Error;
use crate::project::{Declared, Opened, refused_component, refused_function};

/// What the definition files say, bound.
pub struct Wanted {
    /// Views, services, aliases.
    pub definitions: Definitions,
    /// The components that no registered view has, by digest.
    pub components: BTreeMap<Digest, Arc<Vec<u8>>>,
}

impl Wanted {
    /// The bytes of a component, which is new or in the registry.
    pub(super) fn component(&self, opening: &Opening, digest: Digest) -> Result<Arc<Vec<u8>>, Error> {
        match self.components.get(&digest) {
            Some(bytes) => Ok(Arc::clone(bytes)),
            None => Ok(Arc::new(opening.registry.component(digest)?)),
        }
    }
}

/// Binds all views of the definition files, and looks at the columns of sources that views which are not registered read. Blocking: components that are
/// not registered are compiled, the first time they are seen.
///
/// # Errors
///
/// [`Error::Definitions`] with all mistakes of all views at their places, as [`Opened::bind_all`].
pub fn bind(opened: &Opened, registered: &Registered) -> Result<Wanted, Error> {
    let mut known = Known::new(registered);
    let mut files: HashMap<PathBuf, (Digest, Arc<Vec<u8>>)> = HashMap::new();
    type Bytes = Result<Result<Vec<u8>, Vec<Mistake>>, Error>;
    let mut file = |path: &PathBuf, read: &dyn Fn() -> Bytes| {
        if let Some((digest, bytes)) = files.get(path) {
            return Ok(Ok((*digest, Arc::clone(bytes))));
        }
        Ok::<_, Error>(read()?.map(|bytes| {
            let found = (Digest::of(&bytes), Arc::new(bytes));
            files.insert(path.clone(), (found.0, Arc::clone(&found.1)));
            found
        }))
    };
    let mut row_function = |view: &FeatureView, file: &mut dyn FnMut(&PathBuf, &dyn Fn() -> Bytes) -> Found| {
        let (digest, bytes) = match file(&view.component, &|| opened.component_bytes(view))? {
            Ok(found) => found,
            Err(mistakes) => return Ok(Err(mistakes)),
        };
        if let Some(signature) = known.signature(view, digest) {
            return Ok::<_, Error>(Ok((signature, digest)));
        }
        Ok(opened.load(view, Shared(bytes))?.map_err(|error| vec![refused_component(view, error)]).map(|transform| {
            known.add(view, digest, transform.signature());
            (transform.signature().clone(), digest)
        }))
    };
    let declared = |view: &FeatureView| {
        if view.has_component() {
            return Ok(row_function(view, &mut file)?.map(Declared::row_function));
        }
        let mut components = Vec::new();
        if view.has_event_transform() {
            match row_function(view, &mut file)? {
                Ok((signature, digest)) => components.push(BoundComponent { signature, digest, code: Code::NotLoaded }),
                Err(mistakes) => return Ok(Err(mistakes)),
            }
        }
        for function in view.aggregates.iter().flat_map(|aggregates| &aggregates.functions) {
            let (digest, bytes) = match file(&function.component, &|| opened.function_bytes(view, function))? {
                Ok(found) => found,
                Err(mistakes) => return Ok(Err(mistakes)),
            };
            match opened.load_function(view, function, Shared(bytes))? {
                Ok(aggregate) => {
                    let signature = aggregate.signature().clone();
                    components.push(BoundComponent { signature, digest, code: Code::NotLoaded });
                }
                Err(error) => return Ok(Err(vec![refused_function(view, &function.component, error)])),
            }
        }
        Ok(Ok(Declared::by_view(view, components)))
    };
    let look = |bound: &BoundView| match registered.bound.contains_key(&bound.view.id()) {
        true => Vec::new(),
        false => tandem_offline::check_columns(bound),
    };
    let bound = opened.bind_each(declared, look)?;
    let new = files.into_values().filter(|(digest, _)| !known.registered.contains(digest)).collect();
    Ok(Wanted { definitions: Definitions::new(&opened.project, bound.into_values()), components: new })
}

/// A component's file, read.
type Found = Result<Result<(Digest, Arc<Vec<u8>>), Vec<Mistake>>, Error>;

/// Bytes that two threads have.
pub(super) struct Shared(pub(super) Arc<Vec<u8>>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// What components declared, under everything that their answer depends on.
struct Known {
    /// The components that the registry has.
    registered: HashSet<Digest>,
    described: HashMap<Digest, Vec<Described>>,
}

struct Described {
    parameters: Parameters,
    limits: TransformLimits,
    nan: NanMode,
    signature: Signature,
}

impl Known {
    fn new(registered: &Registered) -> Known {
        let mut known = Known { registered: HashSet::new(), described: HashMap::new() };
        for bound in registered.bound.values() {
            known.registered.insert(bound.digest);
            known.registered.extend(bound.components.iter().map(|component| component.digest));
            let Some(bound) = bound.row_function() else { continue };
            if known.signature(&bound.view, bound.digest).is_none() {
                known.add(&bound.view, bound.digest, &bound.signature);
            }
        }
        known
    }

    fn signature(&self, view: &FeatureView, digest: Digest) -> Option<Signature> {
        let same = |described: &&Described| {
            described.parameters == view.parameters && described.limits == view.limits && described.nan == view.nan
        };
        self.described.get(&digest)?.iter().find(same).map(|described| described.signature.clone())
    }

    fn add(&mut self, view: &FeatureView, digest: Digest, signature: &Signature) {
        self.described.entry(digest).or_default().push(Described {
            parameters: view.parameters.clone(),
            limits: view.limits.clone(),
            nan: view.nan,
            signature: signature.clone(),
        });
    }
}
