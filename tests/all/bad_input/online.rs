//! The online store, asked for what it does not have, and given what it cannot take.

use std::fs;

use super::project::{FEATURES, Project};
use crate::harness::transcript::Transcript;

/// A view on demand, and a service, beside the stored view.
const MORE: &str = r#"
[[feature_view]]
name = "guess"
version = 1
entities = ["user"]
component = "doubles.wasm"

[[feature_service]]
name = "checkout"
features = ["doubles@1"]
"#;

/// One row is right; of the others each has another mistake.
const ROWS: &str = r#"{"user_id": 1, "at": "2024-03-05T10:00:00Z", "amount": 5}
{"user_id": 1, "at": "2024-03-05", "amount": 5}
{"user_id": 1, "at": "2024-03-05T10:00:00Z", "amount": "5"}
{"user_id": null, "at": "2024-03-05T10:00:00Z", "amount": 5}
"#;

#[test]
fn what_the_store_does_not_have() {
    let project = Project::new();
    let root = project.root();
    fs::write(root.join("features/doubles.toml"), format!("{FEATURES}{MORE}")).unwrap();
    let mut said = Transcript::new(root);

    said.note("nothing is published yet, and so nothing is known of the view afterwards");
    said.run(&["materialize", "doubles"], 1);
    said.run(&["get", "doubles", "user_id=1"], 1);
    project.told(&["batch", "doubles"], 0);
    project.told(&["materialize", "doubles"], 0);

    said.note("keys");
    said.run(&["get", "doubles", "1"], 2);
    said.run(&["get", "doubles", "user=1"], 2);
    said.run(&["get", "doubles", "user_id=one"], 2);
    said.note("a service, and a view that is computed on demand");
    said.run(&["get", "checkout", "user_id=1"], 2);
    said.run(&["materialize", "checkout"], 2);
    said.run(&["get", "guess", "user_id=1"], 2);
    said.run(&["materialize", "guess"], 2);
    said.run(&["online", "drop", "guess", "--dev"], 2);
    said.note("no other generation, no ttl");
    said.run(&["online", "switch", "doubles", "--dev"], 1);
    said.run(&["online", "drop", "doubles", "--dev"], 1);
    said.run(&["online", "expire", "doubles", "--dev"], 2);
    said.note("a copy where something is, and none where nothing is");
    said.run(&["online", "backup", "features"], 2);
    said.run(&["online", "restore", "backup", "--dev"], 2);
    said.run(&["online", "restore", "features", "--dev"], 2);
    said.note("no project in the folder that --project names, though there is one above it");
    said.run(&["--project", "features", "online", "stats"], 2);

    said.note("a log of which nobody would see anything, and a comparison of nothing");
    said.run(&["online", "stats", "--log", "verbose"], 2);
    said.run(&["online", "stats", "--log", "tandem=debug=1"], 2);
    said.run(&["parity", "doubles", "--sample", "0"], 2);

    said.note("rows that are no newline JSON, and rows that have mistakes");
    fs::write(root.join("rows.csv"), "user_id,at,amount\n1,2024-03-05T10:00:00Z,5\n").unwrap();
    said.run(&["ingest", "doubles", "rows.csv"], 2);
    said.run(&["ingest", "doubles", "gone.jsonl"], 1);
    fs::write(root.join("rows.jsonl"), ROWS).unwrap();
    said.run(&["ingest", "doubles", "rows.jsonl"], 3);
    said.say(&fs::read_to_string(root.join("rows.jsonl.rejected.jsonl")).unwrap());
    said.assert("bad_input/online");
}
