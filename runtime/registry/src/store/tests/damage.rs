//! Files that are not as they were written, are newer than the program, or cannot be written: refused with the file's name, nothing changed.

use std::collections::BTreeSet;

use super::*;

/// The error of reading everything; reading changed no byte.
fn refused(registry: &Registry, what: &str) -> RegistryError {
    let before = files(registry);
    let error = read_all(registry).err().unwrap_or_else(|| panic!("{what} is not noticed"));
    assert_eq!(files(registry), before, "{what}");
    error
}

/// What may become of a file, in words, with its new bytes; None: it is gone.
fn damages(bytes: &[u8]) -> Vec<(String, Option<Vec<u8>>)> {
    let mut damages = vec![("missing".to_owned(), None)];
    for length in [0, 1, bytes.len() / 2, bytes.len() - 1] {
        damages.push((format!("cut to {length} bytes"), Some(bytes[..length].to_vec())));
    }
    for at in [0, bytes.len() / 3, bytes.len() / 2, bytes.len() - 1] {
        let mut flipped = bytes.to_vec();
        flipped[at] ^= 1 << (at % 7);
        damages.push((format!("flipped at {at}"), Some(flipped)));
    }
    damages.push(("with a byte too many".to_owned(), Some([bytes, b"\n"].concat())));
    damages.retain(|(_, damaged)| damaged.as_deref() != Some(bytes));
    damages
}

#[test]
fn every_damaged_file_is_named() {
    let (_folder, registry) = filled(3);
    let layout = &registry.layout;
    let whole = files(&registry);
    let (mut cases, mut folders) = (0, BTreeSet::new());
    for (path, bytes) in &whole {
        folders.insert(path.parent().unwrap().to_owned());
        for (what, damaged) in damages(bytes) {
            let what = format!("{} {what}", path.display());
            match &damaged {
                None => fs::remove_file(path).unwrap(),
                Some(damaged) => fs::write(path, damaged).unwrap(),
            }
            let error = refused(&registry, &what);
            let named = match &error {
                RegistryError::Damaged { path, .. } => path,
                // A flipped bit may make a greater number of the format's.
                RegistryError::NewerFormat { path, .. } if *path == layout.format() => path,
                _ => panic!("{what}: {error}"),
            };
            // A HEAD that names another registration is noticed where that is looked for.
            let elsewhere = *path == layout.head() && named.starts_with(layout.folder.join("registrations"));
            assert!(named == path || elsewhere, "{what}: {error}");
            assert!(error.to_string().contains(named.to_str().unwrap()), "{what}: {error}");
            // Nothing is built on it either, where it decides what the newest is.
            if [layout.format(), layout.head(), layout.registration(3)].contains(path) {
                let before = files(&registry);
                assert!(registry.register(&change(3)).is_err(), "{what}");
                assert_eq!(files(&registry), before, "{what}");
            }
            fs::write(path, bytes).unwrap();
            cases += 1;
        }
    }
    // The registry's own folder, components, objects, registrations.
    assert!(cases > 200 && folders.len() == 4, "{cases} cases, {folders:?}");
    assert_eq!(read_all(&registry).unwrap(), 3);
}

#[test]
fn a_damaged_file_is_mended_by_registering_it_again() {
    let (_folder, registry) = filled(1);
    let path = registry.component_path(Digest::of(&component(1)));
    fs::write(&path, "something else").unwrap();
    assert!(registry.component(Digest::of(&component(1))).is_err());
    let mut next = change(1);
    next.components.push(component(1));
    registry.register(&next).unwrap();
    assert_eq!(fs::read(&path).unwrap(), component(1));
}

#[test]
fn what_a_newer_program_wrote_is_refused() {
    let (_folder, registry) = filled(2);
    let layout = &registry.layout;
    let newer = |path: &Path, text: &str, number: u32| {
        let before = fs::read(path).unwrap();
        fs::write(path, text).unwrap();
        let error = refused(&registry, "a newer format");
        let expected = format!("{} has format {number}; this program knows formats up to 1", path.display());
        assert_eq!(error.to_string(), expected);
        let untouched = files(&registry);
        assert!(matches!(registry.register(&change(2)), Err(RegistryError::NewerFormat { .. })));
        assert_eq!(files(&registry), untouched);
        fs::write(path, before).unwrap();
    };
    newer(&layout.format(), "tandem-registry/2\nwith more to say\n", 2);
    newer(&layout.registration(2), "tandem-registration/3\n{}\n", 3);
    assert_eq!(read_all(&registry).unwrap(), 2);
}

#[test]
fn a_record_that_a_newer_program_wrote_is_refused() {
    let (_folder, registry) = filled(1);
    let text = fs::read_to_string(registry.layout.object(Digest::of(record(1).encode().as_bytes()))).unwrap();
    let newer = text.replace("\"format\": 1", "\"format\": 7");
    let object = Digest::of(newer.as_bytes());
    fs::write(registry.layout.object(object), newer).unwrap();
    let mut registration = registry.registration(1, None).unwrap();
    registration.entries.iter_mut().find(|entry| entry.kind == Kind::View).unwrap().object = object;
    let (text, checksum) = registration.encode();
    fs::write(registry.layout.registration(1), text).unwrap();
    fs::write(registry.layout.head(), format!("1 {checksum}\n")).unwrap();
    let error = registry.state().unwrap_err();
    assert!(matches!(error, RegistryError::NewerFormat { found: 7, known: 1, .. }), "{error}");
}

#[test]
fn what_is_no_registry_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    let registry = Registry::new(folder.path());
    for error in [registry.state().map(drop).unwrap_err(), registry.register(&change(0)).map(drop).unwrap_err()] {
        assert!(matches!(&error, RegistryError::NotARegistry { .. }), "{error}");
        assert!(error.to_string().ends_with("is not a registry: it has no FORMAT, and holds `notes.txt`"), "{error}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);

    let file = Registry::new(folder.path().join("notes.txt"));
    for error in [file.state().map(drop).unwrap_err(), file.register(&change(0)).map(drop).unwrap_err()] {
        assert!(error.to_string().ends_with("notes.txt is not a registry: it is not a folder"), "{error}");
    }
    assert_eq!(fs::read_to_string(folder.path().join("notes.txt")).unwrap(), "mine");
}

#[test]
fn a_place_that_cannot_be_written_is_refused_before_anything_is_written() {
    // Nobody makes folders there, not even root.
    let registry = Registry::new("/proc/self/registry");
    for error in [registry.check_writable().unwrap_err(), registry.register(&change(0)).map(drop).unwrap_err()] {
        assert!(matches!(&error, RegistryError::NotWritable { .. }), "{error}");
        assert!(error.to_string().starts_with("the registry /proc/self/registry cannot be written: "), "{error}");
    }
    assert_eq!(registry.state().unwrap(), State::default());

    // A registry whose lock cannot be opened for writing, as on a file system that is mounted read-only.
    let (_folder, registry) = filled(2);
    fs::remove_file(registry.layout.lock()).unwrap();
    fs::create_dir(registry.layout.lock()).unwrap();
    let before = files(&registry);
    for error in [registry.check_writable().unwrap_err(), registry.register(&change(2)).map(drop).unwrap_err()] {
        assert!(matches!(&error, RegistryError::NotWritable { .. }), "{error}");
        assert_eq!(error.hint().unwrap(), "nothing was changed; reading it works all the same");
    }
    assert_eq!(files(&registry), before);
    assert_eq!(read_all(&registry).unwrap(), 2);
}
