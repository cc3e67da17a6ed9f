//! Definitions as the registry keeps them: each in the form of a definition file.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use tandem_core::definition::{render_alias, render_service, render_view};
use tandem_core::model::ViewVersion;
use tandem_registry::{Content, State, ViewRecord};

use super::prove::{Golden, Proof};
use super::wanted::Wanted;

/// All that holds once `wanted` is registered upon `state`. `proofs` are those of views that `state` does not have.
pub(super) fn content(
    state: &State,
    wanted: &Wanted,
    proofs: &BTreeMap<ViewVersion, Proof>,
    fingerprint: &str,
    root: &Path,
) -> Content {
    let mut content = Content::default();
    for (id, bound) in &wanted.definitions.views {
        let definition = render_view(&bound.view, root);
        // What was recorded when the version was registered stays: a change of words proves nothing anew.
        let record = match state.content.views.get(id) {
            Some(record) => ViewRecord { definition, ..record.clone() },
            None => {
                let proof = proofs.get(id);
                ViewRecord {
                    definition,
                    component: bound.view.has_component().then_some(bound.digest),
                    components: bound.components.clone(),
                    definition_hash: bound.definition_hash,
                    signature: bound.signature.clone(),
                    runtime_fingerprint: fingerprint.to_owned(),
                    verified: proof.map_or(Value::Null, |proof| proof.report.clone()),
                    golden: proof.and_then(|proof| proof.golden.as_ref().map(Golden::digest)),
                }
            }
        };
        content.views.insert(id.clone(), record);
    }
    for (name, service) in &wanted.definitions.services {
        content.services.insert(name.clone(), render_service(service));
    }
    for alias in wanted.definitions.aliases.values() {
        content.aliases.insert(alias.to_string(), render_alias(alias));
    }
    content.remember(&state.content);
    content
}
