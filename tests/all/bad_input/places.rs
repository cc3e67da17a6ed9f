//! Files where folders should be, and folders where files should be. Rights would stop nobody: tests may run as root.

use std::fs;
use std::path::Path;

use super::project::Project;
use crate::harness::guests::{guests_target, workspace};
use crate::harness::program::{tandem, told};
use crate::harness::project::files;
use crate::harness::transcript::Transcript;

#[test]
fn folders_of_a_project() {
    let project = Project::new();
    let root = project.root();
    let mut said = Transcript::new(root);

    said.note("`storage.cache` is a file");
    fs::write(root.join("taken"), "a file").unwrap();
    project.set("[storage]\ncache = \"taken\"");
    said.run(&["batch", "doubles"], 1);
    said.note("`storage.cache` lies below a file");
    project.set("[storage]\ncache = \"taken/cache\"");
    said.run(&["check"], 1);

    said.note("`storage.offline` is a file");
    project.set("[storage]\noffline = \"taken\"");
    said.run(&["batch", "doubles"], 1);
    said.note("the folder of the view is a file");
    project.set("");
    fs::create_dir_all(root.join("data/features")).unwrap();
    fs::write(root.join("data/features/doubles"), "a file").unwrap();
    said.run(&["batch", "doubles"], 1);
    said.run(&["materialize", "doubles"], 1);
    fs::remove_file(root.join("data/features/doubles")).unwrap();
    said.note("the folder of a partition is a file");
    fs::create_dir_all(root.join("data/features/doubles/v1")).unwrap();
    fs::write(root.join("data/features/doubles/v1/date=2024-03-01"), "a file").unwrap();
    said.run(&["batch", "doubles"], 1);
    fs::remove_file(root.join("data/features/doubles/v1/date=2024-03-01")).unwrap();
    said.note("the published file is a folder");
    let target = root.join("data/features/doubles/v1/date=2024-03-01/part-0.parquet");
    fs::create_dir_all(target.join("inner")).unwrap();
    said.run(&["batch", "doubles"], 1);
    let left: Vec<String> = project.published().into_iter().map(|(name, _)| name).collect();
    assert_eq!(left, Vec::<String>::new(), "nothing staged stays");
    fs::remove_dir_all(target).unwrap();
    project.told(&["batch", "doubles"], 0);

    said.note("`storage.online` is a file");
    project.set("[storage]\nonline = \"taken\"");
    said.run(&["materialize", "doubles"], 1);
    said.run(&["get", "doubles", "user_id=1"], 1);
    said.note("`storage.online` lies below a file");
    project.set("[storage]\nonline = \"taken/online\"");
    said.run(&["materialize", "doubles"], 1);
    assert_eq!(fs::read_to_string(root.join("taken")).unwrap(), "a file");

    said.note("`project.features` is a file");
    project.set("");
    fs::write(root.join("tandem.toml"), "[project]\nname = \"doubles\"\nfeatures = \"taken\"\n").unwrap();
    said.run(&["check"], 1);
    said.note("the component is a folder");
    project.set("");
    fs::remove_file(project.component()).unwrap();
    fs::create_dir(project.component()).unwrap();
    said.run(&["check"], 1);
    said.assert("bad_input/places");
}

#[test]
fn folders_of_authors() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let mut said = Transcript::new(root);
    fs::write(root.join("taken"), "a file").unwrap();
    fs::create_dir(root.join("full")).unwrap();
    fs::write(root.join("full/mine.txt"), "mine").unwrap();

    said.run(&["new", "taken"], 2);
    said.run(&["new", "spend", "--path", "taken/spend"], 2);
    said.run(&["new", "full"], 2);
    said.run(&["build", "taken"], 1);
    said.run(&["test", "nothing"], 1);
    let names: Vec<String> = files(root).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["full/mine.txt", "taken"], "nothing is begun");
    said.assert("bad_input/authors");
}

#[test]
fn where_components_go() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::write(root.join("taken"), "a file").unwrap();
    fs::create_dir_all(root.join("folder.wasm/inner")).unwrap();
    let crate_dir = workspace().join("tests/guests/columnar");
    let target = guests_target();
    let build = |options: &[&str]| {
        let arguments = [&["build", crate_dir.to_str().unwrap()], options].concat();
        told(tandem(root, &arguments), 1).1
    };
    // cargo says how it went before the program says what became of it.
    let last = |notes: String| {
        let from = notes.rfind("error: ").unwrap_or_else(|| panic!("{notes}"));
        notes[from..].to_owned()
    };
    let into = ["--target-dir", target.to_str().unwrap(), "--output"];
    assert_eq!(
        last(build(&[&into[..], &["taken/x.wasm"]].concat())),
        "error: cannot write `taken/x.wasm`: File exists (os error 17)\n\
         hint: a file is where a folder should be: move it away, or name another folder\n"
    );
    assert_eq!(
        last(build(&[&into[..], &["folder.wasm"]].concat())),
        "error: cannot write `folder.wasm`: Is a directory (os error 21)\n\
         hint: a folder is where a file should be: move it away, or name another file\n"
    );
    let notes = build(&["--target-dir", "taken", "--output", "x.wasm"]);
    assert!(notes.contains("taken") && notes.contains("does not compile (cargo: exit status: "), "{notes}");
    let cached = |folder: &Path| {
        let mut command = tandem(root, &["build", crate_dir.to_str().unwrap(), "--output", "x.wasm"]);
        command.args(["--target-dir", target.to_str().unwrap()]).env("TANDEM_CACHE", folder);
        told(command, 1).1
    };
    let notes = cached(&root.join("taken"));
    assert!(notes.contains("/taken") && notes.contains("\nhint: "), "{notes}");
    assert_eq!(files(root).len(), 1, "no component, nothing staged");
}
