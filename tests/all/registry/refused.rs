//! What is never registered, and registries that are not touched.

use std::fs;

use super::{FEATURES, Quickstart};
use crate::harness::guests::Guest;
use crate::harness::project::files;

/// A component whose rows depend on their neighbours, or on what its instance was used for, under a view that reuses instances.
fn cheating(project: &Quickstart, cheat: &str) {
    fs::copy(Guest::Cheating.path(), project.root().join("cheating.wasm")).unwrap();
    project.add(&format!(
        r#"[[feature_view]]
name = "cheat"
version = 1
component = "cheating.wasm"
instance = "reused"
parameters = {{ cheat = "{cheat}" }}
"#
    ));
}

#[test]
fn what_is_not_proved_is_not_registered() {
    let project = Quickstart::new();
    project.run(&["apply", "--by", "ada"], 0);
    let kept = || files(&project.root().join("registry")).into_iter().filter(|(name, _)| name != "lock");
    let before: Vec<_> = kept().collect();
    cheating(&project, "counter");
    let (data, told) = project.run(&["apply", "--by", "ada"], 1);
    assert!(data.is_empty(), "{data}");
    assert!(told.starts_with("error: cheat@1 is not proved, and nothing was registered\ncomponent  sha256:"), "{told}");
    assert!(told.contains("the smallest input that still differs: 2 rows in one call"), "{told}");
    assert!(told.contains("\nhint: the result of a row may depend on that row and on the parameters alone"), "{told}");
    assert!(kept().eq(before), "the registry is as it was");
    let (data, _) = project.run(&["catalog"], 0);
    assert!(!data.contains("cheat"), "{data}");
}

/// Instances are reused of what is proved alone: each of these keeps something from one call for the next.
#[test]
fn what_keeps_state_between_calls_is_never_reused() {
    for cheat in ["state", "age", "cache"] {
        let project = Quickstart::new();
        cheating(&project, cheat);
        let (_, told) = project.run(&["apply", "--by", "ada"], 1);
        assert!(told.starts_with("error: cheat@1 is not proved, and nothing was registered\n"), "{cheat}: {told}");
        let (data, _) = project.run(&["catalog"], 0);
        assert!(data.starts_with("nothing is registered"), "{data}");
    }
}

/// Whatever is wrong with the registry is told with the file at fault, by what reads as by what writes, and nothing is changed.
#[test]
fn a_registry_that_cannot_be_used_is_left_as_it_is() {
    let project = Quickstart::new();
    project.run(&["apply", "--by", "ada"], 0);
    project.add(&project.version(2));
    let registry = project.root().join("registry");
    let refused = |file: &str, bytes: &[u8], told: &[&str]| {
        let path = registry.join(file);
        let good = fs::read(&path).unwrap();
        fs::write(&path, bytes).unwrap();
        let before = files(&registry);
        for command in [&["plan"][..], &["apply", "--by", "ada"], &["catalog"], &["rollback", "--by", "ada"]] {
            let (data, notes) = project.run(command, 1);
            assert!(data.is_empty() && told.iter().all(|part| notes.contains(part)), "{file} {command:?}: {notes}");
            assert!(notes.contains("nothing was changed"), "{notes}");
        }
        assert!(files(&registry) == before, "{file}: something was changed");
        fs::write(&path, good).unwrap();
    };
    refused("FORMAT", b"tandem-registry/2\n", &["FORMAT has format 2; this program knows formats up to 1"]);
    refused("HEAD", b"1 sha256:00\n", &["the registry is damaged: ", "HEAD does not name a registration"]);
    refused("registrations/1", b"tandem-registration/7\n", &["registrations/1 has format 7"]);
    let whole = fs::read(registry.join("registrations/1")).unwrap();
    refused("registrations/1", &whole[..whole.len() / 2], &["the registry is damaged: ", "registrations/1 "]);
    let text = String::from_utf8(whole).unwrap();
    let object = text.lines().find_map(|line| line.strip_prefix("view transaction_risk@1 sha256:")).unwrap();
    refused(&format!("objects/{object}"), b"{}", &["the registry is damaged: ", object, "is not what its name says"]);
    project.run(&["apply", "--by", "ada"], 0);
}

/// A folder in which nothing can be made: a file lies where the registry should be.
#[test]
fn a_registry_that_cannot_be_written_is_told_before_anything_is_compiled() {
    let project = Quickstart::new();
    fs::write(project.root().join("registry"), "mine").unwrap();
    let (_, told) = project.run(&["apply", "--by", "ada"], 1);
    assert!(told.contains("registry is not a registry: it is not a folder") && told.contains("\nhint: "), "{told}");
    assert_eq!(fs::read(project.root().join("registry")).unwrap(), b"mine");
    assert!(!project.root().join("data").exists(), "nothing was compiled: {FEATURES}");
}
