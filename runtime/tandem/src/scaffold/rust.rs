//! A new crate.

mod sdk;

use super::place::SdkPlace;
use super::{AGGREGATE_VIEW, Form, NewFile, Scaffold, Template};

pub(super) const TEMPLATE: Template = Template {
    vendored: "vendor/tandem-sdk",
    sdk: SdkPlace { manifest: "Cargo.toml", name_line: "name=\"tandem-sdk\"", home: "guest-sdk/rust" },
    files,
    sdk_files: sdk::files,
    next: &["cargo test"],
};

fn files(scaffold: &Scaffold, sdk: &str) -> Vec<NewFile> {
    let source = match scaffold.form {
        Form::Rows => include_str!("templates/rust/rows.rs.in"),
        Form::Columns => include_str!("templates/rust/columns.rs.in"),
        Form::Aggregate => include_str!("templates/rust/aggregate.rs.in"),
    };
    let (readme, samples) = match scaffold.form {
        Form::Aggregate => (include_str!("templates/rust/README.aggregate.md.in"), None),
        _ => (
            include_str!("templates/rust/README.md.in"),
            Some(("samples.json", include_str!("templates/samples.json.in"))),
        ),
    };
    // A vendored SDK is no member of the workspace: `cargo test --workspace` and editors leave it alone.
    let workspace = if scaffold.sdk.is_none() { "[workspace]\nexclude = [\"vendor\"]" } else { "[workspace]" };
    // What JSON escapes, TOML's basic strings escape in the same way.
    let sdk = serde_json::Value::from(sdk).to_string();
    let fill = |template: &str| {
        template
            .replace("{{view}}", AGGREGATE_VIEW.trim_end())
            .replace("{{name}}", &scaffold.name)
            .replace("{{folder}}", &scaffold.folder_name())
            .replace("{{sdk}}", &sdk)
            .replace("{{workspace}}", workspace)
    };
    [
        ("Cargo.toml", include_str!("templates/rust/Cargo.toml.in")),
        ("README.md", readme),
        (".gitignore", include_str!("templates/rust/gitignore.in")),
        ("src/lib.rs", source),
    ]
    .into_iter()
    .chain(samples)
    .map(|(path, template)| (path.to_owned(), fill(template)))
    .collect()
}
