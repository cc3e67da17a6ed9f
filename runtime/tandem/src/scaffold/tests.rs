//! Folders as they are made. That they build and pass their tests is tested with the program (tests/).

use std::fs;
use std::path::Path;

use super::*;

fn scaffold(folder: &Path) -> Scaffold {
    let name = "my_transform".to_owned();
    Scaffold { language: Language::Rust, name, folder: folder.to_owned(), form: Form::Rows, sdk: None }
}

#[test]
fn a_folder_has_all_that_a_transform_needs() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("deep/my_transform");
    let created = create(&scaffold(&folder)).unwrap();
    assert_eq!(created.files, [".gitignore", "Cargo.toml", "README.md", "samples.json", "src/lib.rs"]);
    assert_eq!(created.next, ["cargo test", "tandem build .", "tandem test"]);
    assert_eq!(created.sdk, "vendor/tandem-sdk");
    for file in created.files.iter().map(String::as_str).chain(["vendor/tandem-sdk/wit/feature.wit"]) {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        assert!(!text.is_empty() && !text.contains("{{"), "{file}");
    }
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    assert!(manifest.contains("name = \"my_transform\"\n"), "{manifest}");
    assert!(manifest.contains("tandem-sdk = { path = \"vendor/tandem-sdk\" }\n"), "{manifest}");
    // Nothing is left beside it.
    assert_eq!(fs::read_dir(root.path().join("deep")).unwrap().count(), 1);
}

#[test]
fn the_columnar_form_has_the_same_features() {
    let root = tempfile::tempdir().unwrap();
    let source = |form, name: &str| {
        let folder = root.path().join(name);
        create(&Scaffold { form, ..scaffold(&folder) }).unwrap();
        fs::read_to_string(folder.join("src/lib.rs")).unwrap()
    };
    let (rows, columns) = (source(Form::Rows, "rows"), source(Form::Columns, "columns"));
    assert!(rows.contains("#[transform]\n") && columns.contains("#[transform(columns)]\n"));
    let fields =
        |text: &str| text.lines().filter(|line| line.starts_with("    pub ")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(fields(&rows), fields(&columns));
    assert_eq!(fields(&rows).len(), 8);
}

#[test]
fn a_folder_with_something_in_it_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("kept"), "mine").unwrap();
    let error = create(&scaffold(root.path())).unwrap_err();
    assert_eq!(error.to_string(), format!("{} is not empty", root.path().display()));
    assert_eq!(error.exit_code(), 2);
    let error = create(&scaffold(&root.path().join("kept"))).unwrap_err();
    assert!(error.to_string().ends_with("kept is not a folder"), "{error}");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
}

#[test]
fn an_empty_folder_is_filled() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("empty");
    fs::create_dir(&folder).unwrap();
    create(&scaffold(&folder)).unwrap();
    assert!(folder.join("src/lib.rs").is_file());
}

#[test]
fn an_sdk_may_lie_elsewhere() {
    let root = tempfile::tempdir().unwrap();
    let sdk = root.path().join("sdk \"1\"");
    fs::create_dir(&sdk).unwrap();
    let with = |folder: &str| Scaffold { sdk: Some(sdk.clone()), ..scaffold(&root.path().join(folder)) };
    assert!(create(&with("a")).unwrap_err().to_string().ends_with("is not the SDK: it has no Cargo.toml"));
    fs::write(sdk.join("Cargo.toml"), "[package]\nname = \"other\"\n").unwrap();
    assert!(create(&with("a")).unwrap_err().to_string().ends_with("its Cargo.toml is not that of tandem-sdk"));
    fs::write(sdk.join("Cargo.toml"), "[package]\nname = \"tandem-sdk\" # this one\n").unwrap();
    let created = create(&with("a")).unwrap();
    assert_eq!(created.sdk, sdk.canonicalize().unwrap().to_str().unwrap());
    let manifest = fs::read_to_string(root.path().join("a/Cargo.toml")).unwrap();
    assert!(manifest.contains("sdk \\\"1\\\"\" }\n") && manifest.ends_with("[workspace]\n"), "{manifest}");
    assert!(!root.path().join("a/vendor").exists());
}
