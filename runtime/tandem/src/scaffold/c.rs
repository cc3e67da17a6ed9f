//! A new transform in C.

mod sdk;

use super::place::SdkPlace;
use super::{Form, NewFile, Scaffold, Template, vendored};

pub(super) const TEMPLATE: Template = Template {
    vendored: "vendor/tandem-sdk",
    sdk: SdkPlace { manifest: "tandem.h", name_line: "#ifndefTANDEM_H", home: "guest-sdk/c" },
    files,
    sdk_files: || vendored(sdk::SOURCES),
    next: &["make test", "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt"],
};

fn files(scaffold: &Scaffold, sdk: &str) -> Vec<NewFile> {
    let (source, test) = if scaffold.form == Form::Columns {
        (include_str!("templates/c/columns.c.in"), include_str!("templates/c/test_columns.c.in"))
    } else {
        (include_str!("templates/c/rows.c.in"), include_str!("templates/c/test_rows.c.in"))
    };
    let fill = |template: &str| {
        template
            .replace("{{name}}", &scaffold.name)
            .replace("{{folder}}", &scaffold.folder_name())
            .replace("{{sdk}}", sdk)
    };
    [
        ("requirements.txt", include_str!("templates/c/requirements.txt.in")),
        ("Makefile", include_str!("templates/c/Makefile.in")),
        ("README.md", include_str!("templates/c/README.md.in")),
        (".gitignore", include_str!("templates/c/gitignore.in")),
        ("samples.json", include_str!("templates/samples.json.in")),
        ("transform.c", source),
        ("tests/transform_test.c", test),
    ]
    .map(|(path, template)| (path.to_owned(), fill(template)))
    .into()
}
