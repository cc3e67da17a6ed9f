//! A new transform in Go.

mod sdk;

use super::place::SdkPlace;
use super::{Form, NewFile, Scaffold, Template, vendored};

pub(super) const TEMPLATE: Template = Template {
    // `vendor` would be Go's own.
    vendored: "tandem-sdk",
    sdk: SdkPlace { manifest: "go.mod", name_line: "moduletandem", home: "guest-sdk/go" },
    files,
    sdk_files: || vendored(sdk::SOURCES),
    next: &["python3 -m venv .venv && .venv/bin/pip install -r requirements.txt", ".venv/bin/go test ./..."],
};

fn files(scaffold: &Scaffold, sdk: &str) -> Vec<NewFile> {
    let (source, test) = if scaffold.form == Form::Columns {
        (include_str!("templates/go/columns.go.in"), include_str!("templates/go/test_columns.go.in"))
    } else {
        (include_str!("templates/go/rows.go.in"), include_str!("templates/go/test_rows.go.in"))
    };
    // A path, and no module's name, begins with a dot or a slash.
    let sdk = if sdk.starts_with(['.', '/']) { sdk.to_owned() } else { format!("./{sdk}") };
    let fill = |template: &str| {
        template
            .replace("{{name}}", &scaffold.name)
            .replace("{{folder}}", &scaffold.folder_name())
            .replace("{{sdk}}", &sdk)
    };
    [
        ("go.mod", include_str!("templates/go/go.mod.in")),
        ("requirements.txt", include_str!("templates/go/requirements.txt.in")),
        ("README.md", include_str!("templates/go/README.md.in")),
        (".gitignore", include_str!("templates/go/gitignore.in")),
        ("samples.json", include_str!("templates/samples.json.in")),
        ("transform.go", source),
        ("transform_test.go", test),
    ]
    .map(|(path, template)| (path.to_owned(), fill(template)))
    .into()
}
