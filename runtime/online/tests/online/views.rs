//! Views, their numbers and their definitions; opening and refusing to open.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use tandem_online::OnlineError;

#[test]
fn views_are_numbered_once_and_stay() {
    let folder = tempfile::tempdir().unwrap();
    let (store, first) = open(folder.path());
    let second = store.view(&identity("spend", 2)).unwrap();
    let other = store.view(&identity("airport", 1)).unwrap();
    assert_eq!([first.get(), second.get(), other.get()], [1, 2, 3]);
    assert_eq!(store.view(&identity("spend", 1)).unwrap(), first);
    drop(store);

    let (store, again) = open(folder.path());
    assert_eq!(again, first);
    let views = store.views().unwrap();
    let names: Vec<_> = views.iter().map(|view| (view.name.as_str(), view.version, view.id)).collect();
    assert_eq!(names, [("airport", 1, other), ("spend", 1, first), ("spend", 2, second)]);
    assert_eq!(store.find_view("spend", 2).unwrap().as_ref(), Some(&views[2]));
    assert_eq!(store.find_view("spend", 3).unwrap(), None);
    assert_eq!(store.find_view("not a name", 1).unwrap(), None);
    assert_eq!((views[0].definition_hash, views[0].digest), (Digest([1; 32]), Digest([2; 32])));
    assert!(views[0].created_at.0 > 1_700_000_000_000_000);
}

#[test]
fn a_version_never_changes_its_definition() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let changed = ViewIdentity { definition_hash: Digest([9; 32]), ..identity("spend", 1) };
    let error = store.view(&changed).unwrap_err();
    match &error {
        OnlineError::DefinitionChanged { view, version: 1, stored: Digest(stored), given: Digest(given) } => {
            assert_eq!((view.as_str(), *stored, *given), ("spend", [1; 32], [9; 32]));
        }
        other => panic!("{other}"),
    }
    assert!(error.hint().unwrap().contains("raise the version"));
    let changed = ViewIdentity { schema_fingerprint: 4, ..identity("spend", 1) };
    assert!(matches!(store.view(&changed), Err(OnlineError::SchemaChanged { stored: 3, given: 4, .. })));
    for name in ["", "Spend", "a\0b"] {
        assert!(matches!(store.view(&identity(name, 1)), Err(OnlineError::ViewName { .. })), "{name:?}");
    }
}

#[test]
fn views_do_not_see_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let (store, spend) = open(folder.path());
    let other = store.view(&identity("other", 1)).unwrap();
    let stored = row("k", 5, "spend");
    store.put_if_newer(spend, &[tandem_online::PutRow { key: &stored.key, record: stored.record.borrow() }]).unwrap();
    assert_eq!(
        store.get_many_of(&[(other, "k"), (spend, "k"), (other, "k")]).unwrap(),
        [Lookup::NotFound, Lookup::Found(stored.record), Lookup::NotFound]
    );
}

#[test]
fn one_process_opens_a_store_once() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    // Another spelling of the same folder.
    let same = folder.path().join("../").join(folder.path().file_name().unwrap());
    for path in [folder.path(), &same] {
        let error = Store::open(path, StoreOptions::default()).unwrap_err();
        assert!(matches!(error, OnlineError::AlreadyOpen { .. }), "{error}");
        let error = Store::open_read_only(path, StoreOptions::default()).unwrap_err();
        assert!(matches!(error, OnlineError::AlreadyOpen { .. }), "{error}");
    }
    let clone = store.clone();
    drop(store);
    assert!(Store::open(folder.path(), StoreOptions::default()).is_err(), "a handle is still there");
    drop(clone);
    Store::open_read_only(folder.path(), StoreOptions::default()).unwrap();
}

#[test]
fn reading_makes_nothing_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("store");
    for path in [&missing, folder.path()] {
        let error = Store::open_read_only(path, StoreOptions::default()).unwrap_err();
        assert!(matches!(error, OnlineError::NoStore { .. }), "{error}");
    }
    assert!(!missing.exists());
    drop(open(&missing));
    let store = Store::open_read_only(&missing, StoreOptions::default()).unwrap();
    let view = store.view(&identity("spend", 1)).unwrap();
    assert!(matches!(store.view(&identity("spend", 2)), Err(OnlineError::ReadOnly { .. })));
    assert!(matches!(store.put_if_newer(view, &[]), Err(OnlineError::ReadOnly { .. })));
}

#[test]
fn the_folder_is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/store");
    drop(open(&path));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    assert_eq!(mode(&path.join("data.mdb")), 0o600);
}

#[test]
fn something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("data.mdb"), vec![7; 10_000]).unwrap();
    let error = Store::open(folder.path(), StoreOptions::default()).unwrap_err();
    assert!(matches!(error, OnlineError::NotAStore { .. }), "{error}");
}
