//! Binding a feature service to the signatures of its views: the columns that it gives.

use std::collections::BTreeMap;

use super::locate::{Key, Mistake};
use crate::model::{FeatureService, Required, ViewVersion};
use crate::suggest;
use crate::types::{DataType, Signature};

/// A feature that a service gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceColumn {
    /// Its name in answers: the feature's, or `view__feature`.
    pub name: String,
    /// The view that computes it.
    pub view: ViewVersion,
    /// The feature.
    pub feature: String,
    /// Its type.
    pub data_type: DataType,
}

/// Why a service and its views do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// A view whose signature was not given, because it was not bound itself.
    #[error("feature service `{service}` uses `{view}`, which is not bound")]
    ViewNotBound {
        /// The service.
        service: String,
        /// Position among its `features`.
        index: usize,
        /// The view.
        view: ViewVersion,
    },
    /// A feature that its view does not have.
    #[error("feature service `{service}` uses feature `{feature}` of `{view}`, which does not have it")]
    UnknownFeature {
        /// The service.
        service: String,
        /// Position among its `features`.
        index: usize,
        /// The view.
        view: ViewVersion,
        /// The feature.
        feature: String,
        /// The nearest feature, and all that there are.
        hint: String,
    },
    /// Two features of one name.
    #[error("`{first}` and `{second}` of feature service `{service}` would both be named `{name}`")]
    SameName {
        /// The service.
        service: String,
        /// Position of the second among its `features`.
        index: usize,
        /// The name.
        name: String,
        /// A feature, as `view@version:feature`.
        first: String,
        /// Another one.
        second: String,
        /// Whether `prefix` would tell them apart.
        prefix_helps: bool,
    },
    /// A feature that must be there and is none of the service's.
    #[error("feature service `{service}` requires `{feature}`, which it does not give")]
    UnknownRequired {
        /// The service.
        service: String,
        /// The name.
        feature: String,
        /// The nearest feature, and all that there are.
        hint: String,
    },
}

impl ServiceError {
    /// What to do.
    pub fn hint(&self) -> &str {
        match self {
            ServiceError::ViewNotBound { .. } => "correct that view first",
            ServiceError::UnknownFeature { hint, .. } | ServiceError::UnknownRequired { hint, .. } => hint,
            ServiceError::SameName { prefix_helps: true, .. } => "`prefix = true` names every feature `view__feature`",
            ServiceError::SameName { .. } => "name single features, as `view@version:feature`, instead of whole views",
        }
    }

    /// Position among the service's `features`, from 0, where the mistake is in one of them.
    pub fn index(&self) -> Option<usize> {
        match self {
            ServiceError::ViewNotBound { index, .. }
            | ServiceError::UnknownFeature { index, .. }
            | ServiceError::SameName { index, .. } => Some(*index),
            ServiceError::UnknownRequired { .. } => None,
        }
    }
}

impl From<&ServiceError> for Mistake {
    fn from(error: &ServiceError) -> Self {
        let key = error.index().map_or_else(|| Key::of("required"), Key::service_feature);
        Mistake { key, message: error.to_string(), hint: Some(error.hint().to_owned()) }
    }
}

/// The columns that a service gives, in their order. `signatures` has, among others, those of its views. All mistakes are returned.
pub fn bind_service(
    service: &FeatureService,
    signatures: &BTreeMap<ViewVersion, &Signature>,
) -> Result<Vec<ServiceColumn>, Vec<ServiceError>> {
    let (mut columns, mut errors) = (Vec::<ServiceColumn>::new(), Vec::new());
    let mut by_name: BTreeMap<String, usize> = BTreeMap::new();
    for (index, one) in service.features.iter().enumerate() {
        let view = &one.view;
        let Some(signature) = signatures.get(view) else {
            let view = view.clone();
            errors.push(ServiceError::ViewNotBound { service: service.name.clone(), index, view });
            continue;
        };
        let outputs = signature.outputs.iter();
        let chosen: Vec<_> =
            outputs.filter(|output| one.feature.as_ref().is_none_or(|feature| *feature == output.name)).collect();
        if let (Some(feature), true) = (&one.feature, chosen.is_empty()) {
            let names: Vec<&str> = signature.outputs.iter().map(|output| output.name.as_str()).collect();
            errors.push(ServiceError::UnknownFeature {
                service: service.name.clone(),
                index,
                view: view.clone(),
                feature: feature.clone(),
                hint: suggest::hint(feature, "features", &names),
            });
        }
        for output in chosen {
            let feature = output.name.clone();
            let name = if service.prefix { format!("{}__{feature}", view.name) } else { feature.clone() };
            match by_name.get(&name).map(|first| &columns[*first]) {
                Some(first) => errors.push(ServiceError::SameName {
                    service: service.name.clone(),
                    index,
                    first: format!("{}:{}", first.view, first.feature),
                    second: format!("{view}:{feature}"),
                    prefix_helps: !service.prefix && first.view.name != view.name,
                    name,
                }),
                None => {
                    by_name.insert(name.clone(), columns.len());
                    columns.push(ServiceColumn { name, view: view.clone(), feature, data_type: output.data_type });
                }
            }
        }
    }
    if let (Required::Features(required), true) = (&service.required, errors.is_empty()) {
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let unknown = required.iter().filter(|name| !names.contains(&name.as_str()));
        errors.extend(unknown.map(|feature| ServiceError::UnknownRequired {
            service: service.name.clone(),
            feature: feature.clone(),
            hint: suggest::hint(feature, "features", &names),
        }));
    }
    if errors.is_empty() { Ok(columns) } else { Err(errors) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ServiceFeatures, Share, Stage};
    use crate::types::Field;

    fn service(features: &[(&str, u32, Option<&str>)], prefix: bool) -> FeatureService {
        let feature = |(view, version, feature): &(&str, u32, Option<&str>)| ServiceFeatures {
            view: ViewVersion::new(*view, *version),
            feature: feature.map(str::to_owned),
        };
        FeatureService {
            name: "fraud".to_owned(),
            features: features.iter().map(feature).collect(),
            prefix,
            deadline: None,
            required: Required::None,
            log_share: Share::NONE,
            stage: Stage::Experimental,
            owner: String::new(),
            description: String::new(),
            tags: BTreeMap::new(),
        }
    }

    fn signature(outputs: &[&str]) -> Signature {
        let outputs = outputs.iter().map(|name| Field::new(*name, DataType::Int64, true)).collect();
        Signature { inputs: Vec::new(), outputs, doc: String::new() }
    }

    fn names(service: &FeatureService) -> Result<Vec<String>, Vec<(usize, String, String)>> {
        let (login, spend) = (signature(&["count", "mean"]), signature(&["total", "mean"]));
        let known = [("login", 1, &login), ("login", 2, &login), ("spend", 1, &spend)]
            .map(|(n, v, s)| (ViewVersion::new(n, v), s));
        bind_service(service, &known.into())
            .map(|columns| columns.into_iter().map(|column| column.name).collect())
            .map_err(|errors| errors.iter().map(|e| (e.index().unwrap(), e.to_string(), e.hint().to_owned())).collect())
    }

    #[test]
    fn columns_come_in_the_order_of_the_service() {
        let whole = service(&[("spend", 1, Some("mean")), ("login", 2, Some("count"))], false);
        assert_eq!(names(&whole).unwrap(), ["mean", "count"]);
        let prefixed = service(&[("login", 1, None), ("spend", 1, None)], true);
        assert_eq!(names(&prefixed).unwrap(), ["login__count", "login__mean", "spend__total", "spend__mean"]);
    }

    #[test]
    fn all_mistakes_are_said_with_their_place() {
        let wrong =
            service(&[("login", 1, None), ("spend", 1, None), ("spend", 1, Some("totl")), ("x", 1, None)], false);
        let said = names(&wrong).unwrap_err();
        let said: Vec<_> =
            said.iter().map(|(index, message, hint)| (*index, message.as_str(), hint.as_str())).collect();
        assert_eq!(
            said,
            [
                (
                    1,
                    "`login@1:mean` and `spend@1:mean` of feature service `fraud` would both be named `mean`",
                    "`prefix = true` names every feature `view__feature`"
                ),
                (
                    2,
                    "feature service `fraud` uses feature `totl` of `spend@1`, which does not have it",
                    "did you mean `total`? the features are `total` and `mean`"
                ),
                (3, "feature service `fraud` uses `x@1`, which is not bound", "correct that view first"),
            ]
        );
        let versions = names(&service(&[("login", 1, None), ("login", 2, None)], true)).unwrap_err();
        assert_eq!(
            versions[0].1,
            "`login@1:count` and `login@2:count` of feature service `fraud` would both be named `login__count`"
        );
        assert!(versions[0].2.starts_with("name single features"), "{versions:?}");
    }
}
