use std::path::Path;

use serde_json::Value;

use super::*;
use crate::server::ServedView;
use crate::server::live::Live;
use crate::server::testing::bound;

/// A view of every type, as a golden file. `UPDATE_GOLDEN=1` writes it anew.
#[test]
fn the_document_is_what_it_was() {
    let view = ServedView { bound: bound(), on_demand: None, store_view: None };
    let service = tandem_core::model::FeatureService {
        name: "fraud".to_owned(),
        features: vec![tandem_core::model::ServiceFeatures { view: view.bound.view.id(), feature: None }],
        prefix: false,
        deadline: None,
        required: tandem_core::model::Required::None,
        log_share: tandem_core::model::Share::NONE,
        stage: tandem_core::model::Stage::Experimental,
        owner: String::new(),
        description: String::new(),
        tags: std::collections::BTreeMap::new(),
    };
    let bound = std::sync::Arc::clone(&view.bound);
    let live = Live::new(None, vec![view], &[], &[service]);
    let mut found = document(&live.served());
    // Without a component nothing can be called; the path is what it would be.
    found["paths"]["/v1/transforms/risk"] = paths::transform(&bound, "risk");
    let text = format!("{}\n", serde_json::to_string_pretty(&found).unwrap());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/server/openapi/golden.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&path).unwrap(), "UPDATE_GOLDEN=1 writes it anew");
    for reference in references(&found) {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(found.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

fn references(value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) => {
            let own = members.get("$ref").and_then(Value::as_str).map(str::to_owned);
            own.into_iter().chain(members.values().flat_map(references)).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}
