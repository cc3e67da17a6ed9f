mod concurrency;
mod damage;
mod interruption;

use std::path::PathBuf;

use serde_json::Value;
use tandem_core::model::ViewVersion;
use tandem_core::types::{DataType, Field, Signature};

use super::*;

/// A record whose parts all follow from `seed`.
fn record(seed: u64) -> ViewRecord {
    ViewRecord {
        definition: format!("definition {seed}\n"),
        component: Some(Digest::of(&component(seed))),
        components: Vec::new(),
        definition_hash: Digest::of(&seed.to_be_bytes()),
        signature: Signature {
            inputs: vec![],
            outputs: vec![Field::new("a", DataType::Int64, true)],
            doc: String::new(),
        },
        runtime_fingerprint: "test".to_owned(),
        verified: Value::Null,
        golden: Some(Digest::of(&golden(seed))),
    }
}

fn component(seed: u64) -> Vec<u8> {
    format!("component {seed}").into_bytes()
}

fn golden(seed: u64) -> Vec<u8> {
    format!("golden {seed}").into_bytes()
}

/// Registration `parent + 1` of the tests: a view for each registration so far, and one that was removed from the third on.
fn change(parent: u64) -> Change {
    let number = parent + 1;
    let mut content = Content::default();
    content.services.insert("checkout".to_owned(), "service\n".to_owned());
    content.services.insert("batch".to_owned(), format!("service {number}\n"));
    content.aliases.insert("risk@champion".to_owned(), format!("alias {number}\n"));
    content.views = (1..=number).map(|seed| (ViewVersion::new("risk", seed as u32), record(seed))).collect();
    if number > 2 {
        let before = content.clone();
        content.views.remove(&ViewVersion::new("risk", 1));
        content.remember(&before);
    }
    Change {
        parent,
        time: Timestamp(1_795_000_000_000_000 + number as i64),
        by: format!("process {}", std::process::id()),
        reason: format!("reason {number}"),
        program: "tandem test".to_owned(),
        changes: vec![RecordedChange { kind: Kind::View, name: format!("risk@{number}"), what: "new".to_owned() }],
        content,
        components: vec![component(number)],
        objects: vec![golden(number)],
    }
}

/// A registry with so many registrations, made by [`change`].
fn filled(registrations: u64) -> (tempfile::TempDir, Registry) {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::new(folder.path().join("registry"));
    for parent in 0..registrations {
        registry.register(&change(parent)).unwrap();
    }
    (folder, registry)
}

/// Everything that can be read, read: the number of registrations.
fn read_all(registry: &Registry) -> Result<u64, RegistryError> {
    let history = registry.history()?;
    for header in &history {
        let state = registry.state_at(header.number)?;
        assert_eq!(state.header.as_ref(), Some(header));
        let expected = change(header.number - 1);
        assert_eq!(state.content, expected.content);
        for record in state.content.views.values() {
            record.component.map(|component| registry.component(component)).transpose()?;
            registry.object(record.golden.unwrap())?;
        }
    }
    let newest = registry.state()?;
    assert_eq!(newest.number(), history.first().map_or(0, |header| header.number));
    Ok(newest.number())
}

/// Every file below the registry's folder with its bytes, without the lock.
fn files(registry: &Registry) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![registry.folder().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path != registry.layout.lock() {
                let bytes = fs::read(&path).unwrap();
                files.push((path, bytes));
            }
        }
    }
    files.sort();
    files
}

#[test]
fn reading_nothing_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::new(folder.path().join("registry"));
    assert_eq!(registry.head().unwrap(), None);
    assert_eq!(registry.state().unwrap(), State::default());
    assert_eq!(registry.history().unwrap(), []);
    let error = registry.state_at(1).unwrap_err();
    assert!(matches!(error, RegistryError::NoSuchRegistration { number: 1, head: 0, .. }), "{error}");
    assert!(!registry.folder().exists());
}

#[test]
fn what_is_registered_is_read_back() {
    let (_folder, registry) = filled(3);
    assert_eq!(read_all(&registry).unwrap(), 3);
    let state = registry.state().unwrap();
    assert_eq!(state.content.removed.len(), 1);
    let removed = state.content.removed[&ViewVersion::new("risk", 1)];
    assert_eq!(removed.definition_hash, record(1).definition_hash);
    assert_eq!(fs::read(registry.component_path(Digest::of(&component(1)))).unwrap(), component(1));
    let error = registry.state_at(4).unwrap_err();
    assert_eq!(error.hint().unwrap(), "the newest is 3; `tandem history` lists them");
    assert!(registry.state_at(0).is_err());
    let history = registry.history().unwrap();
    let reasons: Vec<&str> = history.iter().map(|header| header.reason.as_str()).collect();
    assert_eq!(reasons, ["reason 3", "reason 2", "reason 1"]);
    assert!(!registry.layout.staged().exists());
}

#[test]
fn what_was_registered_once_stays_remembered() {
    let mut content = change(3).content;
    assert!(content.removed.contains_key(&ViewVersion::new("risk", 1)) && content.views.len() == 3);
    let before = content.clone();
    content.views.remove(&ViewVersion::new("risk", 4));
    content.removed.clear();
    content.remember(&before);
    let removed: Vec<u32> = content.removed.keys().map(|id| id.version).collect();
    assert_eq!(removed, [1, 4]);
    let mut restored = before.clone();
    restored.remember(&content);
    assert_eq!(restored.removed.keys().map(|id| id.version).collect::<Vec<_>>(), [1]);
}

#[test]
fn a_plan_against_an_older_registration_is_refused() {
    let (_folder, registry) = filled(2);
    let before = files(&registry);
    let error = registry.register(&change(1)).unwrap_err();
    assert_eq!(error.to_string(), "registration 2 was made since this was planned (against 1)");
    assert_eq!(files(&registry), before);
}
