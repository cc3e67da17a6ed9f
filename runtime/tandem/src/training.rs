//! Training sets for the command line: what is asked for, with its transforms; labels of any format; the manifest.

pub mod labels;
pub mod manifest;
pub mod reproduce;

use std::collections::BTreeMap;
use std::sync::Arc;

use tandem_core::definition::{ServiceColumn, bind_service};
use tandem_core::feature_plan::FeaturePlan;
use tandem_core::model::{BoundView, FeatureService, ViewVersion};
use tandem_core::suggest;
use tandem_engine::Transform;

use crate::error::Error;
use crate::project::{Opened, ViewTransform};

/// Features with all that it takes to give them.
pub struct Asked {
    /// The feature service, where it is one.
    pub service: Option<String>,
    /// The features, in their order.
    pub columns: Vec<ServiceColumn>,
    /// How they are come by.
    pub plan: FeaturePlan,
    /// The transforms of the plan's computed views.
    pub transforms: BTreeMap<ViewVersion, Transform>,
}

impl Asked {
    /// The features of a feature service. Blocking: components that the cache does not have are compiled.
    ///
    /// # Errors
    ///
    /// An unknown service, views that cannot be loaded, or that do not go together.
    pub fn service(opened: &Opened, name: &str) -> Result<Asked, Error> {
        let services = &opened.project.services;
        let service = services.iter().find(|service| service.name == name).ok_or_else(|| {
            let known: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
            Error::UnknownService { name: name.to_owned(), hint: suggest::hint(name, "feature services", &known) }
        })?;
        let mut loaded = Loaded::default();
        for features in &service.features {
            loaded.load(opened, &features.view.to_string())?;
        }
        let columns = loaded.service_columns(service)?;
        loaded.plan(opened, Some(name.to_owned()), columns)
    }

    /// Features as people name them: `view`, `view@2`, `view@champion`, each with `:feature` or for all of its features. Blocking.
    ///
    /// # Errors
    ///
    /// As [`Asked::service`], and a feature that stands twice.
    pub fn list(opened: &Opened, names: &[String]) -> Result<Asked, Error> {
        let mut loaded = Loaded::default();
        let mut columns: Vec<ServiceColumn> = Vec::new();
        for name in names {
            let (reference, feature) = match name.rsplit_once(':') {
                Some((view, feature)) => (view, Some(feature)),
                None => (name.as_str(), None),
            };
            let bound = loaded.load(opened, reference)?;
            let column = |feature: &str| {
                let output = bound.signature.outputs.iter().find(|output| output.name == feature);
                let output = output.ok_or_else(|| unknown_feature(&bound, feature))?;
                Ok::<_, Error>(ServiceColumn {
                    name: feature.to_owned(),
                    view: bound.view.id(),
                    feature: feature.to_owned(),
                    data_type: output.data_type,
                })
            };
            let added = match feature {
                Some(feature) => vec![column(feature)?],
                None => bound.signature.outputs.iter().map(|output| column(&output.name)).collect::<Result<_, _>>()?,
            };
            for column in added {
                if columns.contains(&column) {
                    let reason = format!("feature `{}` of `{}` stands twice", column.feature, column.view);
                    return Err(Error::Argument { what: "--features".to_owned(), reason });
                }
                columns.push(column);
            }
        }
        loaded.plan(opened, None, columns)
    }

    /// Features under names that were written down. Blocking.
    ///
    /// # Errors
    ///
    /// As [`Asked::service`].
    pub fn written(
        opened: &Opened,
        service: Option<String>,
        columns: &[(String, ViewVersion, String)],
    ) -> Result<Asked, Error> {
        let mut loaded = Loaded::default();
        let mut found = Vec::with_capacity(columns.len());
        for (name, view, feature) in columns {
            let bound = loaded.load(opened, &view.to_string())?;
            let output = bound.signature.outputs.iter().find(|output| output.name == *feature);
            let data_type = output.ok_or_else(|| unknown_feature(&bound, feature))?.data_type;
            found.push(ServiceColumn { name: name.clone(), view: view.clone(), feature: feature.clone(), data_type });
        }
        loaded.plan(opened, service, found)
    }

    /// All views that are read or computed.
    pub fn views(&self) -> impl Iterator<Item = &Arc<BoundView>> {
        let stored = self.plan.stored.iter().map(|step| &step.view);
        stored.chain(self.plan.computed.iter().map(|step| &step.view))
    }
}

#[derive(Default)]
struct Loaded {
    views: BTreeMap<ViewVersion, ViewTransform>,
}

impl Loaded {
    fn load(&mut self, opened: &Opened, reference: &str) -> Result<Arc<BoundView>, Error> {
        let id = opened.definition(reference)?.id();
        if let Some(known) = self.views.get(&id) {
            return Ok(Arc::clone(&known.bound));
        }
        let view = opened.view(reference)?;
        let bound = Arc::clone(&view.bound);
        self.views.insert(id, view);
        Ok(bound)
    }

    fn service_columns(&self, service: &FeatureService) -> Result<Vec<ServiceColumn>, Error> {
        let signatures = self.views.iter().map(|(id, view)| (id.clone(), &view.bound.signature)).collect();
        bind_service(service, &signatures).map_err(|errors| {
            let reason = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            Error::Argument { what: format!("feature service `{}`", service.name), reason }
        })
    }

    fn plan(mut self, opened: &Opened, service: Option<String>, columns: Vec<ServiceColumn>) -> Result<Asked, Error> {
        let bound = self.views.iter().map(|(id, view)| (id.clone(), Arc::clone(&view.bound))).collect();
        let plan = FeaturePlan::new(&columns, &bound)?;
        let mut transforms = BTreeMap::new();
        for step in &plan.computed {
            let id = step.view.view.id();
            self.load(opened, &id.to_string())?;
            transforms.extend(self.views.get(&id).and_then(|view| Some((id, view.transform.clone()?))));
        }
        Ok(Asked { service, columns, plan, transforms })
    }
}

fn unknown_feature(bound: &BoundView, feature: &str) -> Error {
    let names: Vec<&str> = bound.signature.outputs.iter().map(|output| output.name.as_str()).collect();
    let hint = suggest::hint(feature, "features", &names);
    Error::UnknownFeature { view: bound.view.id(), feature: feature.to_owned(), hint }
}
