//! Examples go together: definitions, and the component of the transform beside them. `flights` is run by a test of its own.

use std::fs;

use tandem::project::Opened;

use crate::harness::guests::{component, workspace};

#[test]
fn the_quickstart_goes_together() {
    let example = workspace().join("examples/quickstart");
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for inner in ["features", "transform"] {
        fs::create_dir(root.join(inner)).unwrap();
    }
    for file in ["tandem.toml", "features/transactions.toml"] {
        fs::copy(example.join(file), root.join(file)).unwrap();
    }
    fs::copy(component(&example.join("transform")), root.join("transform/quickstart_transform.wasm")).unwrap();
    let opened = Opened::open(root).unwrap_or_else(|error| panic!("{error}"));
    assert!(!opened.project.views.is_empty());
    for view in &opened.project.views {
        let bound = opened.bind(view).unwrap_or_else(|error| panic!("{error}")).bound;
        for field in bound.signature.inputs.iter().chain(&bound.signature.outputs) {
            assert!(!field.doc.is_empty(), "`{}` of {} is documented", field.name, view.name);
        }
    }
}
